//! Does the CNI plugin report errors in the runtime's form, and leave nothing behind, whichever process is killed midway?

mod multus;
mod stage;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use ipvl_testbed::{require_root, wait_until};
use serde_json::{Value, json};
use stage::{SOON, Stage, config};

#[test]
fn the_capability_bandwidth_limits_both_ways() {
    require_root!();
    let stage = Stage::new();
    let limits =
        json!({ "ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 16_000_000, "egressBurst": 800_000 });
    let wanted = config(json!({ "cniVersion": "1.0.0", "runtimeConfig": { "bandwidth": limits } }));
    let (ok, result) = stage.call("ADD", &wanted);
    assert!(ok, "{result}");
    let host_end = result["interfaces"][1]["name"].as_str().expect("a host end");
    let gets = stage.lab.host.run(["tc", "qdisc", "show", "dev", host_end, "root"]);
    assert!(gets.contains("tbf") && gets.contains("rate 8Mbit burst 100000b lat 25ms"), "{gets}");
    let shown = stage.lab.host.run(stage.lab.driver.command("-d link show"));
    let rates = "ipvl rate in 8mbit burst 100000b out 16mbit burst 100000b";
    assert!(shown.contains(rates), "nothing in the container can remove either: {shown}");
    assert!(shown.contains("ipvl queue tbf"), "it is passed when ADD has come back: {shown}");

    let mut checked = wanted.clone();
    checked["prevResult"] = result.clone();
    assert_eq!(stage.call("CHECK", &checked), (true, Value::Null));
    stage.lab.host.run(["tc", "qdisc", "del", "dev", host_end, "root"]);
    let (ok, missed) = stage.call("CHECK", &checked);
    assert!(!ok && missed["msg"].to_string().contains("gets is not limited"), "{missed}");
    assert!(stage.call("DEL", &wanted).0);
    stage.expect_nothing();

    let half = config(json!({ "runtimeConfig": { "bandwidth": { "ingressRate": 8000 } } }));
    let (ok, refused) = stage.call("ADD", &half);
    assert!(!ok && refused["code"] == 7 && refused["msg"].to_string().contains("ingressBurst"), "{refused}");
    stage.expect_nothing();
}

#[test]
fn a_container_has_its_networks_policy_and_labels() {
    require_root!();
    let stage = Stage::new();
    let policy = json!({ "in": "drop", "rules": ["in from host tcp dport 80 accept", "in from label b,a accept"] });
    let wanted = config(json!({ "cniVersion": "1.0.0", "policy": policy, "labels": ["b", "a"] }));
    let (ok, result) = stage.call("ADD", &wanted);
    assert!(ok, "{result}");
    let shown = stage.lab.ipvl("policy show");
    let rules = "    in from host tcp dport 80 accept # handle 1\n    in from label a,b accept # handle 2\n";
    assert!(shown.starts_with("eth0 of eth0 label a,b\n    default in drop out accept\n"), "{shown}");
    assert!(shown.ends_with(rules), "{shown}");
    assert!(stage.lab.pings(&stage.lab.slaves[0], "10.0.0.254"), "what it opens itself passes");
    assert!(!stage.lab.ext.exec(["ping", "-c", "1", "-W", "1", "10.0.0.77"]).ok, "what others open does not");
    let mut checked = wanted.clone();
    checked["prevResult"] = result.clone();
    assert_eq!(stage.call("CHECK", &checked), (true, Value::Null));
    let host_end = result["interfaces"][1]["name"].as_str().expect("a host end");
    stage.lab.ipvl(&format!("policy delete dev {host_end} handle 1"));
    let (ok, told) = stage.call("CHECK", &checked);
    assert!(!ok && told["code"] == 102 && told["msg"].to_string().contains("another policy"), "{told}");
    assert!(stage.call("DEL", &wanted).0);
    stage.expect_nothing();
}

#[test]
fn a_probe_is_answered_whatever_its_environment_says() {
    require_root!();
    let stage = Stage::new();
    let (ok, reply) = stage.call_in("VERSION", "dummy", &json!({ "cniVersion": "0.4.0" }));
    assert!(
        ok && reply["cniVersion"] == "0.4.0" && reply["supportedVersions"].to_string().contains("1.1.0"),
        "{reply}"
    );
}

#[test]
fn what_is_wrong_is_named_and_leaves_nothing() {
    require_root!();
    let stage = Stage::new();
    stage.ipam("dies", "kill -9 $$");
    stage.ipam("babbles", "echo yes");
    stage.ipam("refuses", r#"echo '{"code":11,"msg":"none left"}'; exit 1"#);
    stage.ipam("empty", r#"echo '{"cniVersion":"1.0.0","ips":[]}'"#);
    stage.ipam("takes", r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.1/24"}]}'"#);
    stage.ipam("strays", r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.0.0.77/24"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.9.9.9"}]}'"#);
    let ipam = |kind: &str| json!({ "ipam": { "type": kind } });
    for (changes, code, says) in [
        (json!({ "cniVersion": "2.0.0" }), 1, "incompatible"),
        (json!({ "gaurd": "strict" }), 7, "is \"guard\" meant?"),
        (json!({ "name": "a b" }), 7, "\"name\""),
        (json!({ "master": "eth7" }), 7, "no link of that name"),
        (json!({ "master": "lo" }), 7, "loopback"),
        (json!({ "mode": "l4" }), 7, "l2, l3, l3s"),
        (json!({ "mtu": 9000 }), 7, "mtu 9000"),
        (json!({ "policy": "in tcp dport 80 accept" }), 7, "rules stand behind the word rules"),
        (json!({ "policy": "rules in from slave nobody accept" }), 103, "nobody"),
        (json!({ "policy": "in drop", "backend": "kernel" }), 7, "it is a slave of the kernel module"),
        (json!({ "policy": "in drop", "ipam": { "type": "takes" } }), 101, "belongs to the host"),
        (json!({ "ipam": {} }), 7, "\"ipam\" is missing"),
        (json!({ "runtimeConfig": { "mac": "02:00:00:00:00:77" } }), 7, "is not the master's MAC address"),
        (ipam("nobody"), 100, "none of that name"),
        (ipam("../gives"), 100, "none of that name"),
        (ipam("dies"), 100, "signal: 9"),
        (ipam("babbles"), 100, "babbles"),
        (ipam("refuses"), 11, "none left"),
        (ipam("empty"), 100, "no address"),
        (ipam("takes"), 101, "belongs to the host"),
        (ipam("strays"), 103, "via 10.9.9.9"),
    ] {
        let (ok, error) = stage.call("ADD", &config(changes.clone()));
        assert!(!ok && error["code"] == code, "{changes}: {error}");
        assert!(error["msg"].as_str().is_some_and(|text| text.contains(says)), "{changes}: {error}");
        stage.expect_nothing();
    }
    let (ok, error) = stage.call_in("ADD", "/run/netns/no-such", &config(json!({})));
    assert!(!ok && error["code"] == 3, "{error}");
    assert!(stage.asked().matches("DEL").count() >= 4, "whoever may have given an address is told:\n{}", stage.asked());
}

#[test]
fn the_first_versions_are_spoken_too() {
    require_root!();
    let stage = Stage::new();
    let gives =
        r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.77/24","gateway":"10.0.0.254","routes":[{"dst":"0.0.0.0/0"}]}}"#;
    stage.ipam("old", &format!("echo '{gives}'"));
    for version in [json!("0.2.0"), json!("0.1.0"), Value::Null] {
        let wanted = config(json!({ "cniVersion": version, "ipam": { "type": "old" } }));
        let (ok, result) = stage.call("ADD", &wanted);
        assert!(ok && result["cniVersion"] == version.as_str().unwrap_or("0.1.0"), "{version}: {result}");
        let expected = json!({ "ip": "10.0.0.77/24", "gateway": "10.0.0.254", "routes": [{ "dst": "0.0.0.0/0" }] });
        assert_eq!((&result["ip4"], &result["ips"]), (&expected, &Value::Null), "{version}");
        assert!(stage.lab.slaves[0].run(["ip", "route"]).contains("default via 10.0.0.254"), "{version}");
        assert!(stage.call("DEL", &wanted).0, "{version}");
        stage.expect_nothing();
    }
    let (ok, error) = stage.call("CHECK", &config(json!({ "cniVersion": "0.2.0" })));
    assert!(!ok && error["code"] == 1, "{error}");
}

#[test]
fn an_endless_configuration_is_not_read() {
    require_root!();
    let stage = Stage::new();
    let mut plugin = stage.lab.host.command([env!("CARGO_BIN_EXE_ipvl-cni")]);
    stage.environment(&mut plugin, "ADD", "/run/netns/x");
    let endless = fs::File::open("/dev/zero").expect("a device");
    let output = plugin.stdin(endless).output().expect("the plugin's end");
    let error: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(error["code"] == 5 && error["msg"].to_string().contains("more than 1048576 bytes"), "{error}");
}

#[test]
fn what_a_killed_call_left_is_collected() {
    require_root!();
    let stage = Stage::new();
    stage.ipam("waits", "sleep 60");
    let network = config(json!({ "ipam": { "type": "waits" } }));
    let mut call = stage.start("ADD", &format!("/run/netns/{}", stage.lab.slaves[0].name()), &network);
    assert!(wait_until(SOON, || stage.asked().contains("ADD c1")), "the IPAM plugin is asked");
    call.kill().expect("killed");
    call.wait().expect("its end");
    let (ok, error) =
        stage.call("GC", &config(json!({ "cni.dev/valid-attachments": [{ "containerID": "c1", "ifname": "eth0" }] })));
    assert!(ok && stage.slaves() > 0, "what is valid stays: {error}");
    let (ok, error) = stage.call("GC", &config(json!({ "cni.dev/valid-attachments": [] })));
    assert!(ok, "{error}");
    assert!(stage.asked().contains("DEL c1"), "its address is given back");
    stage.expect_nothing();
}

#[test]
fn an_older_delegate_is_called_in_its_version() {
    require_root!();
    let stage = Stage::new();
    stage.ipam(
        "old",
        r#"case $CNI_COMMAND in VERSION) echo '{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}'; exit;; esac
case $IN in
*'"cniVersion":"0.4.0"'*) echo '{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.0.0.77/24"}]}';;
*) echo '{"code":1,"msg":"incompatible CNI versions"}'; exit 1;;
esac"#,
    );
    let (ok, result) = stage.call("ADD", &config(json!({ "ipam": { "type": "old" } })));
    assert!(ok && result["cniVersion"] == "1.1.0" && result["ips"][0]["address"] == "10.0.0.77/24", "{result}");
    assert!(result["ips"][0].get("version").is_none() && result["interfaces"][0]["mtu"] == 1500, "{result}");
    assert!(stage.lab.pings(&stage.lab.host, "10.0.0.77"));
    let (ok, error) = stage.call_in("DEL", "", &config(json!({ "ipam": { "type": "old" } })));
    assert!(ok, "{error}");
    stage.expect_nothing();
}

#[test]
fn a_master_inside_of_the_container_is_found_there() {
    require_root!();
    let stage = Stage::new();
    let inside = &stage.lab.slaves[0];
    inside.run("ip link add up0 type veth peer name up1".split(' '));
    inside.run("ip link set up0 up".split(' '));
    inside.run("ip link set up1 up".split(' '));
    let network = config(json!({ "master": "up0", "linkInContainer": true, "hostAccess": false }));
    let (ok, result) = stage.call("ADD", &network);
    assert!(ok, "{result}");
    assert!(inside.run(["ip", "addr", "show", "eth0"]).contains("10.0.0.77/24"));
    assert_eq!(stage.slaves(), 0, "nothing is beside the host's devices");
    for _ in 0..2 {
        let (ok, error) = stage.call("DEL", &network);
        assert!(ok, "{error}");
    }
    stage.expect_nothing();
}

#[test]
fn gc_takes_the_key_that_older_runtimes_send() {
    require_root!();
    let stage = Stage::new();
    let (ok, result) = stage.call("ADD", &config(json!({})));
    assert!(ok, "{result}");
    let told = |attachments: Value| config(json!({ "cni.dev/attachments": attachments }));
    let (ok, error) = stage.call_in("GC", "", &told(json!([{ "containerID": "c1", "ifname": "eth0" }])));
    assert!(ok && stage.slaves() > 0, "what is valid stays: {error}");
    let (ok, error) = stage.call_in("GC", "", &told(json!([])));
    assert!(ok && stage.asked().contains("DEL c1"), "{error}");
    stage.expect_nothing();
}

/// The reference plugin makes its interface under another name first, and then fails to rename it.
#[test]
fn an_interface_of_that_name_is_left_alone() {
    require_root!();
    let stage = Stage::new();
    let inside = &stage.lab.slaves[0];
    inside.run("ip link add eth0 type veth peer name other".split(' '));
    let before = inside.run(["ip", "-o", "link"]);
    let (ok, error) = stage.call("ADD", &config(json!({})));
    assert!(!ok && error["msg"].as_str().is_some_and(|text| text.contains("eth0")), "{error}");
    assert_eq!(stage.slaves(), 0, "nothing is left");
    assert_eq!(inside.run(["ip", "-o", "link"]), before);
}

/// Nomad with `network { mode = "cni/net" }` makes the namespace itself, passes words of its own in `CNI_ARGS`, tries ADD up
/// to three times for one namespace with no DEL between, takes from the result the interface with a sandbox and an address,
/// asks by CHECK after it was restarted, and says DEL without those words.
#[test]
fn nomads_calls_are_answered() {
    require_root!();
    let stage = Stage::new();
    let alloc = "6b235529-8111-4bbe-520b-d639b1d2a94e";
    let words = "IgnoreUnknown=true;NOMAD_REGION=global;NOMAD_NAMESPACE=default;NOMAD_JOB_ID=shop;NOMAD_GROUP_NAME=web";
    let call = |command: &str, words: &str, changes: Value| {
        let netns = format!("/run/netns/{}", stage.lab.slaves[0].name());
        let mut plugin = stage.lab.host.command([env!("CARGO_BIN_EXE_ipvl-cni")]);
        stage.environment(&mut plugin, command, &netns);
        plugin.env("CNI_CONTAINERID", alloc).env("CNI_ARGS", words);
        let config = config(changes);
        let mut child = plugin.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the plugin");
        child.stdin.take().expect("stdin").write_all(config.to_string().as_bytes()).expect("a configuration");
        let output = child.wait_with_output().expect("the plugin's end");
        (output.status.success(), serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default())
    };
    stage.ipam("fails", r#"echo '{"code":11,"msg":"try again"}'; exit 1"#);
    for _ in 0..2 {
        let (ok, error) = call("ADD", words, json!({ "cniVersion": "1.0.0", "ipam": { "type": "fails" } }));
        assert!(!ok && error["code"] == 11, "{error}");
    }
    let (ok, result) = call("ADD", words, json!({ "cniVersion": "1.0.0" }));
    assert!(ok, "{result}");
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    let index = result["ips"][0]["interface"].as_u64().expect("which interface has the address");
    let inside = interfaces.iter().position(|one| one["sandbox"].as_str().is_some_and(|path| !path.is_empty()));
    assert_eq!(inside, Some(index as usize), "the address is that of the interface with a sandbox: {result}");
    assert!(stage.lab.pings(&stage.lab.host, "10.0.0.77"), "its health checks come from the host");
    let checked = call("CHECK", words, json!({ "cniVersion": "1.0.0", "prevResult": result }));
    assert_eq!(checked, (true, Value::Null));
    for _ in 0..2 {
        let (ok, error) = call("DEL", "", json!({ "cniVersion": "1.0.0" }));
        assert!(ok, "{error}");
    }
    stage.expect_nothing();
}
