//! Do the pods of a node send and receive what NetworkPolicy objects say, as `ipvl policy translate` puts them into words?

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs, process};

use ipvl_testbed::{EXT_V4, Lab, Netns, bound, require_root};
use serde_json::Value;

use crate::common::{exec, shell, soon};

/// Three pods with slaves, one of another node, and a rule about each kind of peer.
const OBJECTS: &str = "
kind: Namespace
apiVersion: v1
metadata: {name: shop, labels: {kubernetes.io/metadata.name: shop}}
---
kind: List
apiVersion: v1
items:
- {kind: Pod, apiVersion: v1, metadata: {name: client, namespace: shop, labels: {role: client}}, status: {podIP: 10.0.0.10}}
- kind: Pod
  apiVersion: v1
  metadata: {name: server, namespace: shop, labels: {role: server}}
  spec: {containers: [{name: c, ports: [{name: web, containerPort: 80}]}]}
  status: {phase: Running, podIPs: [{ip: 10.0.0.11}]}
- {kind: Pod, apiVersion: v1, metadata: {name: other, namespace: shop}, status: {podIP: 10.0.0.12}}
- {kind: Pod, apiVersion: v1, metadata: {name: far, namespace: shop}, status: {podIP: 10.9.0.1}}
";
const POLICIES: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {matchLabels: {role: server}}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {role: server}}
  ingress: [{from: [{podSelector: {matchLabels: {role: client}}}], ports: [{port: web}]}]
";

#[test]
fn what_is_printed_is_what_a_batch_carries_out() {
    require_root!();
    let lab = Lab::new(3);
    for n in 0..3 {
        lab.add_slave(n, "mode l2", &[&format!("10.0.0.1{n}/24")]);
        soon("the slaves reach the outside", || lab.pings(&lab.slaves[n], &EXT_V4.to_string()));
        // As in pods: the name alone does not say which slave is meant.
        lab.slaves[n].run(["ip", "link", "set", &format!("ipvl{n}"), "name", "eth0"]);
    }
    let [client, server, other] = [0, 1, 2].map(|n| &lab.slaves[n]);
    let carry_out = |text: &str| {
        let file = file(text);
        let done = shell(
            &lab.host,
            &format!("set -o pipefail; $IPVL policy translate {} | tee /dev/stderr | $IPVL -batch -", file.display()),
        );
        fs::remove_file(file).expect("removed");
        assert!(done.ok, "{}{}", done.stdout, done.stderr);
        done.stderr
    };
    let printed = carry_out(&format!("{OBJECTS}{POLICIES}"));
    for line in [
        "# shop/client: nothing restricts it",
        "in drop out drop rules in from host accept, in from 10.0.0.10/32 tcp dport 80 accept, out to host accept",
        "# without a slave here: 1",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    assert!(connects(client, server, "10.0.0.11:80"), "{}", lab.ipvl("-s policy show"));
    assert!(!connects(client, server, "10.0.0.11:81") && !connects(other, server, "10.0.0.11:80"));
    assert!(!connects(&lab.ext, server, "10.0.0.11:80") && !connects(server, client, "10.0.0.10:80"));
    assert!(connects(client, other, "10.0.0.12:81"));
    // The policies are deleted, and the next run says so.
    carry_out(OBJECTS);
    assert!(connects(other, server, "10.0.0.11:81") && connects(server, client, "10.0.0.10:81"));
}

#[test]
fn nothing_is_printed_of_what_is_not_understood() {
    require_root!();
    let lab = Lab::new(1);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    let translate = |text: &str, switch: &str| {
        let file = file(text);
        let done = shell(&lab.host, &format!("$IPVL {switch} policy translate - < {}", file.display()));
        fs::remove_file(file).expect("removed");
        done
    };
    let unknown = POLICIES.replace("podSelector: {matchLabels: {role: client}}", "serviceSelector: {}");
    let refused = translate(&format!("{OBJECTS}{unknown}"), "");
    assert!(!refused.ok && refused.stdout.is_empty(), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("unknown field `serviceSelector`") && refused.stderr.contains("Nothing was translated"),
        "{}",
        refused.stderr
    );
    let many: String = (0..64).map(|n| format!("{{port: {}}}, ", 1000 + 2 * n)).collect();
    let many = POLICIES
        .replace("role: server", "role: client")
        .replace("port: web", "port: 1")
        .replace("{port: 1}", &format!("{many}{{port: 1}}"));
    let refused = translate(&format!("{OBJECTS}{many}"), "");
    assert!(
        !refused.ok && refused.stdout.is_empty() && refused.stderr.contains("pod shop/client"),
        "{}",
        refused.stderr
    );
    let read: Value = serde_json::from_str(&translate(OBJECTS, "-j").stdout).expect("JSON");
    assert_eq!((&read[0]["pod"], &read[0]["default"]), (&Value::from("shop/client"), &Value::Null));
    assert!(exec(&lab.host, &format!("ip link show {}", read[0]["host_end"].as_str().expect("a name"))).ok);
}

fn file(text: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = env::temp_dir().join(format!("ipvl-kubernetes-{}-{number}.yaml", process::id()));
    fs::write(&path, text).expect("written");
    path
}

/// Whether a connection is opened; what a policy drops is not answered.
fn connects(from: &Netns, to: &Netns, address: &str) -> bool {
    let address = address.parse().expect("address and port");
    let _listener = to.within(|| bound(|| TcpListener::bind(address)));
    from.within(|| TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok())
}
