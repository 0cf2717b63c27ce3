//! What does the API's documentation say may pass? Written down sentence by sentence, without thought of speed.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub type Labels = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
    Icmp,
}

#[derive(Clone, Debug)]
pub struct World {
    /// By name, sorted.
    pub namespaces: Vec<(String, Labels)>,
    pub pods: Vec<Pod>,
    pub policies: Vec<Policy>,
    /// The other side, the protocol and the port that a connection is opened to.
    pub packets: Vec<(IpAddr, Protocol, u16)>,
}

#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub labels: Labels,
    pub addresses: Vec<IpAddr>,
    pub ports: Vec<(String, Protocol, u16)>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub namespace: String,
    pub pods: Selector,
    pub types: Option<Vec<&'static str>>,
    pub ingress: Option<Vec<Allowed>>,
    pub egress: Option<Vec<Allowed>>,
}

#[derive(Clone, Debug)]
pub struct Allowed {
    pub peers: Option<Vec<Peer>>,
    pub ports: Option<Vec<Port>>,
}

#[derive(Clone, Debug)]
pub enum Peer {
    Pods(Option<Selector>, Option<Selector>),
    Block((IpAddr, u8), Vec<(IpAddr, u8)>),
}

#[derive(Clone, Debug)]
pub enum Port {
    Any(Option<Protocol>),
    Number(Protocol, u16),
    Range(Protocol, u16, u16),
    Named(Protocol, String),
}

#[derive(Clone, Debug)]
pub struct Selector {
    pub labels: Labels,
    pub expressions: Vec<(String, &'static str, Vec<String>)>,
}

impl World {
    pub fn node(&self, is_v4: bool) -> IpAddr {
        if is_v4 { "10.0.0.7".parse().expect("an address") } else { "fd00::7".parse().expect("an address") }
    }

    pub fn may_pass(&self, pod: &Pod, way: &str, peer: IpAddr, protocol: Protocol, port: u16) -> bool {
        // "traffic to and from the node where a Pod is running is always allowed"
        if peer == self.node(peer.is_ipv4()) {
            return true;
        }
        let selects = |policy: &&Policy| policy.namespace == pod.namespace && policy.pods.fits(&pod.labels);
        let about: Vec<&Policy> = self.policies.iter().filter(selects).filter(|policy| policy.is_about(way)).collect();
        // "By default, a pod is non-isolated"; "Network policies do not conflict; they are additive."
        about.is_empty()
            || about.iter().any(|policy| {
                let rules = if way == "in" { &policy.ingress } else { &policy.egress };
                // "Each rule allows traffic which matches both the from and ports sections."
                rules.iter().flatten().any(|rule| {
                    self.has_peer(policy, rule, peer) && self.has_port(rule, (pod, way, peer), protocol, port)
                })
            })
    }

    /// "If this field is empty or missing, this rule matches all sources"
    fn has_peer(&self, policy: &Policy, rule: &Allowed, addr: IpAddr) -> bool {
        let peers = rule.peers.clone().unwrap_or_default();
        peers.is_empty()
            || peers.iter().any(|peer| match peer {
                Peer::Block(net, except) => contains(*net, addr) && !except.iter().any(|net| contains(*net, addr)),
                Peer::Pods(namespaces, pods) => {
                    self.pods.iter().filter(|pod| pod.addresses.contains(&addr)).any(|pod| {
                        let of_namespace = match namespaces {
                            Some(selector) => {
                                let found = self.namespaces.iter().find(|(name, _)| *name == pod.namespace);
                                selector.fits(&found.expect("each is there").1)
                            }
                            None => pod.namespace == policy.namespace,
                        };
                        of_namespace && pods.as_ref().is_none_or(|selector| selector.fits(&pod.labels))
                    })
                }
            })
    }

    /// "If this field is empty or missing, this rule matches all ports (traffic not restricted by port)."
    fn has_port(&self, rule: &Allowed, (pod, way, peer): (&Pod, &str, IpAddr), protocol: Protocol, port: u16) -> bool {
        let ports = rule.ports.clone().unwrap_or_default();
        let has = |pod: &Pod, name: &String, wanted: Protocol| {
            pod.ports.iter().any(|(known, of, number)| (known, *of, *number) == (name, wanted, port))
        };
        ports.is_empty()
            || ports.iter().any(|allowed| match allowed {
                Port::Any(wanted) => wanted.unwrap_or(Protocol::Tcp) == protocol,
                Port::Number(wanted, number) => *wanted == protocol && *number == port,
                Port::Range(wanted, first, last) => *wanted == protocol && (*first..=*last).contains(&port),
                // "This can either be a numerical or named port on a pod": the one that is connected to.
                Port::Named(wanted, name) if way == "in" => *wanted == protocol && has(pod, name, *wanted),
                Port::Named(wanted, name) => {
                    let mut targets = self.pods.iter().filter(|pod| pod.addresses.contains(&peer));
                    *wanted == protocol && targets.any(|pod| has(pod, name, *wanted))
                }
            })
    }

    pub fn objects(&self) -> Vec<Value> {
        let namespaces = self
            .namespaces
            .iter()
            .map(|(name, labels)| json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
        let pods = self.pods.iter().map(Pod::object);
        let policies = self.policies.iter().enumerate().map(|(number, policy)| policy.object(number));
        policies.chain(pods).chain(namespaces).collect()
    }
}

impl Policy {
    /// "If no policyTypes are specified on a NetworkPolicy then by default Ingress will always be set and Egress will be set
    /// if the NetworkPolicy has any egress rules."
    fn is_about(&self, way: &str) -> bool {
        match (&self.types, way) {
            (Some(types), _) if !types.is_empty() => types.contains(&if way == "in" { "Ingress" } else { "Egress" }),
            (_, "in") => true,
            _ => self.egress.as_ref().is_some_and(|rules| !rules.is_empty()),
        }
    }

    fn object(&self, number: usize) -> Value {
        let rules = |rules: &Option<Vec<Allowed>>, peers: &str| {
            rules.as_ref().map(|rules| rules.iter().map(|rule| rule.object(peers)).collect::<Vec<_>>())
        };
        let spec = json!({
            "podSelector": self.pods.object(),
            "policyTypes": self.types,
            "ingress": rules(&self.ingress, "from"),
            "egress": rules(&self.egress, "to"),
        });
        json!({"kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1",
            "metadata": {"namespace": self.namespace, "name": number.to_string()}, "spec": spec})
    }
}

impl Allowed {
    fn object(&self, peers: &str) -> Value {
        let mut object = json!({});
        if let Some(known) = &self.peers {
            object[peers] = known.iter().map(Peer::object).collect();
        }
        if let Some(ports) = &self.ports {
            object["ports"] = ports.iter().map(Port::object).collect();
        }
        object
    }
}

impl Peer {
    fn object(&self) -> Value {
        let text = |(addr, len): &(IpAddr, u8)| format!("{addr}/{len}");
        match self {
            Self::Block(net, except) => {
                json!({"ipBlock": {"cidr": text(net), "except": except.iter().map(text).collect::<Vec<_>>()}})
            }
            Self::Pods(namespaces, pods) => {
                let mut object = json!({});
                for (key, selector) in [("namespaceSelector", namespaces), ("podSelector", pods)] {
                    if let Some(selector) = selector {
                        object[key] = selector.object();
                    }
                }
                object
            }
        }
    }
}

impl Port {
    fn object(&self) -> Value {
        match self {
            Self::Any(None) => json!({}),
            Self::Any(Some(protocol)) => json!({"protocol": protocol.name()}),
            Self::Number(protocol, port) => json!({"protocol": protocol.name(), "port": port}),
            Self::Range(protocol, first, last) => json!({"protocol": protocol.name(), "port": first, "endPort": last}),
            Self::Named(protocol, name) => json!({"protocol": protocol.name(), "port": name}),
        }
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
            Self::Icmp => panic!("no policy names it"),
        }
    }
}

impl Pod {
    fn object(&self) -> Value {
        let port = |(name, protocol, number): &(String, Protocol, u16)| json!({"name": name, "protocol": protocol.name(), "containerPort": number});
        let ips: Vec<Value> = self.addresses.iter().map(|addr| json!({"ip": addr})).collect();
        json!({"kind": "Pod", "metadata": {"namespace": self.namespace, "name": self.name, "labels": self.labels},
            "spec": {"containers": [{"ports": self.ports.iter().map(port).collect::<Vec<_>>()}]},
            "status": {"phase": "Running", "podIPs": ips}})
    }
}

impl Selector {
    /// "The result of matchLabels and matchExpressions are ANDed. An empty label selector matches all objects."
    fn fits(&self, labels: &Labels) -> bool {
        self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(|(key, operator, values)| match (*operator, labels.get(key)) {
                ("In", value) => value.is_some_and(|value| values.contains(value)),
                ("NotIn", value) => !value.is_some_and(|value| values.contains(value)),
                ("Exists", value) => value.is_some(),
                (_, value) => value.is_none(),
            })
    }

    fn object(&self) -> Value {
        let expression = |(key, operator, values): &(String, &str, Vec<String>)| match values.is_empty() {
            true => json!({"key": key, "operator": operator}),
            false => json!({"key": key, "operator": operator, "values": values}),
        };
        json!({"matchLabels": self.labels, "matchExpressions": self.expressions.iter().map(expression).collect::<Vec<_>>()})
    }
}

/// Bit by bit.
fn contains((net, len): (IpAddr, u8), addr: IpAddr) -> bool {
    let bits = |addr: IpAddr| match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    };
    let bit = |bytes: &[u8], place: u8| bytes[usize::from(place / 8)] >> (7 - place % 8) & 1;
    net.is_ipv4() == addr.is_ipv4() && (0..len).all(|place| bit(&bits(net), place) == bit(&bits(addr), place))
}
