//! Can Multus give a pod further interfaces by the plugin? Its calls: ADD for the cluster's network and then for each
//! further one, in order and each with an interface name of its own; CHECK in the same order, DEL in reverse.

use ipvl_testbed::require_root;
use serde_json::{Value, json};

use crate::stage::{Stage, answer, changed, config, started};

/// The master's address, which all its slaves have.
const MAC: &str = "02:00:00:00:00:01";
const ARGS: &str =
    "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=6b23";

/// A network that a pod is attached to, by an interface, with what Multus remembers of the result.
struct Attachment {
    interface: &'static str,
    network: Value,
    args: String,
    result: Value,
}

impl Attachment {
    fn new(interface: &'static str, network: Value) -> Self {
        Self { interface, network: config(network), args: ARGS.to_owned(), result: Value::Null }
    }

    fn call(&self, stage: &Stage, command: &str, changes: Value) -> (bool, Value) {
        let netns = format!("/run/netns/{}", stage.lab.slaves[0].name());
        let mut plugin = stage.lab.host.command([env!("CARGO_BIN_EXE_ipvl-cni")]);
        stage.environment(&mut plugin, command, &netns);
        plugin.env("CNI_IFNAME", self.interface).env("CNI_ARGS", &self.args);
        answer(started(plugin, &changed(self.network.clone(), changes)))
    }

    #[track_caller]
    fn add(&mut self, stage: &Stage) {
        let (ok, result) = self.call(stage, "ADD", json!({}));
        assert!(ok, "{}: {result}", self.interface);
        self.result = result;
    }

    #[track_caller]
    fn check(&self, stage: &Stage) {
        let checked = self.call(stage, "CHECK", json!({ "prevResult": self.result }));
        assert_eq!(checked, (true, Value::Null), "{}", self.interface);
    }

    #[track_caller]
    fn del(&self, stage: &Stage) {
        let (ok, error) = self.call(stage, "DEL", json!({ "prevResult": self.result }));
        assert!(ok, "{}: {error}", self.interface);
    }

    /// Its part of the annotation `k8s.v1.cni.cncf.io/network-status`, as the library that Multus uses makes it of a result:
    /// the one interface with a sandbox, and all addresses.
    fn status(&self) -> Value {
        let interfaces = self.result["interfaces"].as_array().expect("interfaces");
        let inside: Vec<_> =
            interfaces.iter().filter(|one| one["sandbox"].as_str().is_some_and(|at| !at.is_empty())).collect();
        let [inside] = inside.as_slice() else { panic!("one interface is the pod's: {}", self.result) };
        let ips = self.result["ips"].as_array().expect("addresses").iter();
        let ips: Vec<_> = ips.map(|ip| ip["address"].as_str().and_then(|text| text.split('/').next())).collect();
        json!({ "name": self.network["name"], "interface": inside["name"], "mac": inside["mac"], "ips": ips })
    }
}

/// The cluster's network and two further ones: one that asks for its address, and one of another master.
fn pod(stage: &Stage) -> [Attachment; 3] {
    stage.lab.host.run("ip addr add 10.2.0.1/24 dev eth0".split(' '));
    stage.lab.host.run("ip link add other address 02:00:00:00:00:99 type veth peer name beyond".split(' '));
    stage.lab.host.run("ip addr add 10.1.0.1/24 dev other".split(' '));
    stage.lab.host.run("ip link set other up".split(' '));
    stage.lab.host.run("ip link set beyond up".split(' '));
    stage.ipam("first", r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.2.0.77/24"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.2.0.254"}]}'"#);
    // Like the CNI project's `static`: what the runtime asks for.
    stage.ipam(
        "asked-for",
        r#"[ $CNI_COMMAND = ADD ] || exit 0
case $IN in *'"ips":["10.0.0.88/24"]'*) echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.88/24"}]}';;
*) echo '{"code":7,"msg":"no address asked for"}'; exit 1;; esac"#,
    );
    stage.ipam("third", r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.5/24"},{"address":"fd01::5/64"}]}'"#);
    let asking = json!({
        "name": "lan", "capabilities": { "ips": true, "mac": true }, "ipam": { "type": "asked-for" },
        "runtimeConfig": { "ips": ["10.0.0.88/24"], "mac": MAC },
    });
    let mut lan = Attachment::new("net1", asking);
    // Multus says it once more in the arguments, for plugins that do not know the capability.
    lan.args = format!("{ARGS};IP=10.0.0.88/24;MAC={MAC}");
    [
        Attachment::new("eth0", json!({ "name": "cluster", "ipam": { "type": "first" } })),
        lan,
        Attachment::new("net2", json!({ "name": "other", "master": "other", "ipam": { "type": "third" } })),
    ]
}

#[test]
fn a_pod_has_an_interface_of_each_network_and_its_status_names_them() {
    require_root!();
    let stage = Stage::new();
    let mut pod = pod(&stage);
    pod.iter_mut().for_each(|one| one.add(&stage));
    let status: Vec<_> = pod.iter().map(Attachment::status).collect();
    let expected = json!([
        { "name": "cluster", "interface": "eth0", "mac": MAC, "ips": ["10.2.0.77"] },
        { "name": "lan", "interface": "net1", "mac": MAC, "ips": ["10.0.0.88"] },
        { "name": "other", "interface": "net2", "mac": "02:00:00:00:00:99", "ips": ["10.1.0.5", "fd01::5"] },
    ]);
    assert_eq!(json!(status), expected);
    pod.iter().for_each(|one| one.check(&stage));
    for address in ["10.2.0.77", "10.0.0.88", "10.1.0.5"] {
        assert!(stage.lab.pings(&stage.lab.host, address), "{address}");
    }
    for _ in 0..2 {
        pod.iter().rev().for_each(|one| one.del(&stage));
    }
    stage.expect_nothing();
    assert_eq!(stage.asked().matches("DEL c1").count(), 6, "each address is given back, each time:\n{}", stage.asked());
}

/// `default-route` in a pod's annotation: Multus takes the default route from the cluster's interface, gives one to the other,
/// and changes the results that it remembers.
#[test]
fn check_knows_a_default_route_that_multus_moved() {
    require_root!();
    let stage = Stage::new();
    let mut pod = pod(&stage);
    pod[..2].iter_mut().for_each(|one| one.add(&stage));
    let inside = &stage.lab.slaves[0];
    inside.run("ip route del default dev eth0".split(' '));
    inside.run("ip route add default via 10.0.0.254 dev net1".split(' '));
    let (ok, missed) = pod[0].call(&stage, "CHECK", json!({ "prevResult": pod[0].result }));
    assert!(!ok && missed["code"] == 102, "until then it is missed: {missed}");
    pod[0].result["routes"] = json!([]);
    pod[1].result["routes"] = json!([{ "dst": "0.0.0.0/0", "gw": "10.0.0.254" }]);
    pod[..2].iter().for_each(|one| one.check(&stage));
    pod[..2].iter().rev().for_each(|one| one.del(&stage));
    stage.expect_nothing();
}

/// If one network fails, Multus deletes that and all before it, in reverse.
#[test]
fn a_network_that_fails_leaves_nothing_of_the_others() {
    require_root!();
    let stage = Stage::new();
    let mut pod = pod(&stage);
    pod[..2].iter_mut().for_each(|one| one.add(&stage));
    for (key, value) in [("mac", json!("02:00:00:00:00:77")), ("ips", json!(["10.0.0.89/24"]))] {
        let mut refused = Attachment::new("net2", pod[1].network.clone());
        refused.network["runtimeConfig"][key] = value;
        let (ok, error) = refused.call(&stage, "ADD", json!({}));
        assert!(!ok && error["code"] == 7, "{key}: {error}");
        refused.del(&stage);
        pod[..2].iter().for_each(|one| one.check(&stage));
    }
    pod[..2].iter().rev().for_each(|one| one.del(&stage));
    stage.expect_nothing();
}

/// GC and STATUS are asked of each network for itself, without an interface or a namespace.
#[test]
fn gc_of_one_network_leaves_the_others_interfaces_alone() {
    require_root!();
    let stage = Stage::new();
    let mut pod = pod(&stage);
    pod.iter_mut().for_each(|one| one.add(&stage));
    let valid =
        |one: &Attachment| json!({ "cni.dev/valid-attachments": [{ "containerID": "c1", "ifname": one.interface }] });
    for one in &pod {
        assert_eq!(one.call(&stage, "STATUS", json!({})), (true, Value::Null));
        assert!(one.call(&stage, "GC", valid(one)).0);
    }
    pod.iter().for_each(|one| one.check(&stage));
    // As if `net1` were another container's by now: only that interface goes.
    assert!(pod[1].call(&stage, "GC", valid(&pod[0])).0);
    let links = stage.lab.slaves[0].run(["ip", "-o", "link"]);
    assert!(links.contains("eth0") && links.contains("net2") && !links.contains("net1"), "{links}");
    pod.iter().step_by(2).for_each(|one| one.check(&stage));
    pod.iter().rev().for_each(|one| one.del(&stage));
    stage.expect_nothing();
}
