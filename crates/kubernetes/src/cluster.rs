//! Which policies, pods and namespaces are there?

use crate::meaning::Policy;
use crate::objects::{self, Metadata, Protocol};
use crate::refusal::{Refusal, Wrong};
use crate::selector::{Labels, Selector};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A namespace and a name in it.
pub type Name = (String, String);

/// All objects that are known.
#[derive(Debug, Default)]
pub struct Cluster {
    pub(crate) policies: BTreeMap<Name, Policy>,
    pub(crate) pods: BTreeMap<Name, Pod>,
    namespaces: BTreeMap<String, Labels>,
}

/// A pod with a network of its own.
#[derive(Debug)]
pub(crate) struct Pod {
    pub namespace: String,
    pub name: String,
    pub labels: Labels,
    pub addresses: Vec<IpAddr>,
    ports: Vec<(String, Protocol, u16)>,
}

impl Cluster {
    /// Reads texts with their names: YAML with any number of documents, or JSON.
    ///
    /// # Errors
    ///
    /// The first object that is not understood.
    pub fn read<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Refusal> {
        let mut cluster = Self::default();
        for (file, text) in texts {
            for object in documents(text).map_err(|source| Refusal::Unreadable { file: file.to_owned(), source })? {
                cluster.add(object)?;
            }
        }
        Ok(cluster)
    }

    /// Adds an object, or the objects of a list. One of the same kind and name replaces the earlier.
    ///
    /// # Errors
    ///
    /// The object is not understood.
    pub fn add(&mut self, mut object: Value) -> Result<(), Refusal> {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        if kind == "List" || object["items"].is_array() {
            let items = object["items"].take();
            let items = if let Value::Array(items) = items { items } else { Vec::new() };
            let of_kind = kind.strip_suffix("List").filter(|kind| !kind.is_empty()).map(str::to_owned);
            return items.into_iter().try_for_each(|item| self.add(of_list(item, of_kind.as_deref(), &object)));
        }
        match kind.as_str() {
            "NetworkPolicy" => self.add_policy(shaped(&kind, object)?),
            "Pod" => self.add_pod(shaped(&kind, object)?),
            "Namespace" => self.add_namespace(shaped(&kind, object)?),
            _ => Err(Refusal::Kind { kind }),
        }
    }

    /// Whether the labels of a pod's namespace fit.
    pub(crate) fn is_in(&self, pod: &Pod, namespaces: &Selector) -> Result<bool, Refusal> {
        let labels = self.namespaces.get(&pod.namespace);
        let unknown = || Refusal::NoNamespace { namespace: pod.namespace.clone(), pod: pod.to_string() };
        labels.map(|labels| namespaces.fits(labels)).ok_or_else(unknown)
    }

    fn add_policy(&mut self, policy: objects::NetworkPolicy) -> Result<(), Refusal> {
        let objects::NetworkPolicy { api_version, metadata, spec } = policy;
        let (namespace, name) = place(&metadata);
        let understood = match api_version == "networking.k8s.io/v1" {
            true => Policy::of(namespace.clone(), spec),
            false => Err(Wrong::ApiVersion(api_version)),
        };
        let refuse = |wrong| Refusal::Policy { policy: format!("{namespace}/{name}"), wrong };
        let policy = understood.map_err(refuse)?;
        self.policies.insert((namespace, name), policy);
        Ok(())
    }

    /// One in the node's network counts as the node, and the addresses of one that has ended may be another's.
    fn add_pod(&mut self, pod: objects::Pod) -> Result<(), Refusal> {
        let objects::Pod { metadata, spec, status } = pod;
        let (namespace, name) = place(&metadata);
        let has_ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        if spec.host_network || has_ended {
            self.pods.remove(&(namespace, name));
            return Ok(());
        }
        let listed: Vec<IpAddr> = status.pod_ips.iter().map(|pod| pod.ip).collect();
        let addresses = if listed.is_empty() { status.pod_ip.into_iter().collect() } else { listed };
        let labels = metadata.labels.unwrap_or_default();
        let pod = Pod { namespace: namespace.clone(), name: name.clone(), labels, addresses, ports: named_ports(spec) };
        self.pods.insert((namespace, name), pod);
        Ok(())
    }

    fn add_namespace(&mut self, namespace: objects::Namespace) -> Result<(), Refusal> {
        let Metadata { name, labels, .. } = namespace.metadata;
        self.namespaces.insert(name, labels.unwrap_or_default());
        Ok(())
    }
}

impl Pod {
    /// The number of its port with this name.
    pub fn port(&self, protocol: Protocol, name: &str) -> Option<u16> {
        let port = self.ports.iter().find(|port| port.0 == name && port.1 == protocol);
        port.map(|(.., number)| *number)
    }
}

impl std::fmt::Display for Pod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// JSON is tried first: it is read faster.
fn documents(text: &str) -> Result<Vec<Value>, Box<serde_saphyr::Error>> {
    if let Ok(object) = serde_json::from_str(text) {
        return Ok(vec![object]);
    }
    // As large as a cluster's objects may be: the limits on depth and on aliases stay.
    let budget = serde_saphyr::budget! { max_events: usize::MAX, max_nodes: usize::MAX, max_documents: usize::MAX };
    serde_saphyr::from_multiple_with_options(text, serde_saphyr::options! { budget: budget }).map_err(Box::new)
}

/// Where a list says which kind all of its items have, they need not say it.
fn of_list(mut item: Value, kind: Option<&str>, list: &Value) -> Value {
    if let (Some(kind), Value::Object(item)) = (kind, &mut item) {
        item.entry("kind").or_insert_with(|| kind.into());
        item.entry("apiVersion").or_insert_with(|| list["apiVersion"].clone());
    }
    item
}

fn shaped<T: DeserializeOwned>(kind: &str, object: Value) -> Result<T, Refusal> {
    let metadata = &object["metadata"];
    let word = |key: &str| metadata[key].as_str().unwrap_or("?");
    let name = format!("{kind} {} of namespace {}", word("name"), word("namespace"));
    serde_path_to_error::deserialize(object).map_err(|source| Refusal::Shape { object: name, source })
}

/// As `kubectl apply` has it, the namespace is `default` where none is said.
fn place(metadata: &Metadata) -> Name {
    (metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()), metadata.name.clone())
}

/// The named ports of the containers that run beside each other.
fn named_ports(spec: objects::PodSpec) -> Vec<(String, Protocol, u16)> {
    let sidecars = spec.init_containers.into_iter().filter(|it| it.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.into_iter().chain(sidecars).flat_map(|container| container.ports);
    ports.filter_map(|port| Some((port.name?, port.protocol, port.container_port))).collect()
}
