//! Does the driver keep dockerd's protocol, with and without errors? Bodies as dockerd sends them, over its socket.

mod plugin;

use ipvl_control::NetnsRef;
use ipvl_control::kernel::lock::{LOCK_WAIT, Lock};
use ipvl_control::kernel::netns;
use ipvl_testbed::{EXT_V4, Lab, require_device, require_root, wait_until};
use plugin::{ENDPOINT, NETWORK, Plugin, endpoint, ids, network};
use serde_json::{Value, json};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

#[test]
fn an_endpoint_is_a_slave_from_creation_to_deletion() {
    require_root!();
    let (lab, plugin) = stage("life");
    assert_eq!(plugin.call("/Plugin.Activate", &Value::Null), json!({ "Implements": ["NetworkDriver"] }));
    let capabilities = plugin.call("/NetworkDriver.GetCapabilities", &Value::Null);
    assert_eq!(capabilities, json!({ "Scope": "local", "ConnectivityScope": "global", "GwAllocChecker": true }));
    assert_eq!(plugin.call("/NetworkDriver.CreateNetwork", &network(json!({ "parent": "eth0" }))), json!({}));
    let created = plugin.call("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24"));
    assert_eq!(created, json!({ "Interface": {} }));
    let device = format!("ipvd{}", &ENDPOINT[..11]);
    assert!(lab.ipvl("addr show").contains(&format!("10.0.0.50 dev {device} ")), "it is in the table already");

    let expected = json!({
        "InterfaceName": { "SrcName": device, "DstPrefix": "eth" },
        "Gateway": "10.0.0.254",
        "GatewayIPv6": "",
        "StaticRoutes": [],
        "DisableGatewayService": true,
    });
    assert_eq!(plugin.call("/NetworkDriver.Join", &join("/var/run/docker/netns/3f2a")), expected);
    move_to_container(&lab, &device);
    assert!(lab.pings(&lab.slaves[0], &EXT_V4.to_string()));

    assert_eq!(plugin.call("/NetworkDriver.EndpointOperInfo", &ids()), json!({ "Value": {} }));
    assert_eq!(plugin.call("/NetworkDriver.Leave", &ids()), json!({}));
    assert!(has_device(&lab), "dockerd takes it out of the container itself");
    for _ in 0..2 {
        assert_eq!(plugin.call("/NetworkDriver.DeleteEndpoint", &ids()), json!({}), "also when it is gone");
        assert!(!has_device(&lab) && slaves(&lab) == 0);
        assert_eq!(plugin.call("/NetworkDriver.DeleteNetwork", &ids()), json!({}));
    }
    assert_eq!(plugin.files(), 0);
}

#[test]
fn a_killed_plugin_loses_neither_packets_nor_state() {
    require_root!();
    let (lab, mut plugin) = stage("killed");
    plugin.call("/NetworkDriver.CreateNetwork", &network(json!({ "parent": "eth0" })));
    plugin.call("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24"));
    plugin.restart();
    let joined = plugin.call("/NetworkDriver.Join", &join("/var/run/docker/netns/3f2a"));
    assert_eq!(joined["Gateway"], "10.0.0.254", "it knows the network, though it was not told again");
    move_to_container(&lab, joined["InterfaceName"]["SrcName"].as_str().expect("a name"));
    plugin.kill();
    assert!(lab.pings(&lab.slaves[0], &EXT_V4.to_string()), "traffic needs no plugin");
    plugin.start();
    plugin.call("/NetworkDriver.Leave", &ids());
    assert_eq!(plugin.call("/NetworkDriver.DeleteEndpoint", &ids()), json!({}));
    assert!(!has_device(&lab));
}

#[test]
fn a_socket_of_systemds_is_served() {
    require_root!();
    let (_lab, mut plugin) = stage("activated");
    plugin.call("/NetworkDriver.CreateNetwork", &network(json!({ "parent": "eth0" })));
    plugin.kill();
    plugin.start_activated();
    assert_eq!(plugin.call("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24")), json!({ "Interface": {} }));
}

#[test]
fn what_is_wrong_is_told_in_the_protocols_form_and_changes_nothing() {
    require_root!();
    let (lab, plugin) = stage("wrong");
    let refused = |path: &str, body: &Value| plugin.call(path, body)["Err"].as_str().expect("Err").to_owned();
    let create = "/NetworkDriver.CreateNetwork";
    assert!(refused(create, &network(json!({ "parent": "eth9" }))).contains("there is no link of that name"));
    assert!(refused(create, &network(json!({ "parent": "lo" }))).contains("loopback"));
    assert!(refused(create, &network(json!({ "parent": "eth0", "x": "y" }))).contains("no network option x"));
    assert!(refused(create, &json!({ "NetworkID": "../x" })).contains("as an id"));
    let (status, body) = plugin.raw(create, b"{");
    assert!(status == 400 && body.contains("\"Err\":\"cannot read the request"), "{status} {body}");
    assert_eq!(plugin.raw("/NetworkDriver.AllocateNetwork", b"{}").0, 404, "for swarms alone");
    assert_eq!(plugin.files(), 0);

    let unknown = refused("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24"));
    assert!(unknown.contains("is not known to ipvl-docker"), "{unknown}");
    plugin.call(create, &network(json!({ "parent": "eth0" })));
    let endpoint_refused = |address: &str| refused("/NetworkDriver.CreateEndpoint", &endpoint(address));
    assert!(endpoint_refused("10.0.0.1/24").contains("10.0.0.1 belongs to the host"));
    assert!(endpoint_refused("10.9.0.1/24").contains("in no subnet of the network"));
    assert!(refused("/NetworkDriver.Join", &join("")).contains("has no slave"));
    assert_eq!(slaves(&lab), 0);
}

#[test]
fn a_mac_address_of_ones_own_is_refused_or_ignored_as_the_network_says() {
    require_root!();
    let (lab, plugin) = stage("mac");
    let (create, create_endpoint) = ("/NetworkDriver.CreateNetwork", "/NetworkDriver.CreateEndpoint");
    let mut asked = endpoint("10.0.0.50/24");
    asked["Interface"]["MacAddress"] = json!("02:42:ac:11:00:02");
    plugin.call(create, &network(json!({ "parent": "eth0" })));
    let refused = plugin.call(create_endpoint, &asked)["Err"].to_string();
    assert!(
        refused.contains("02:42:ac:11:00:02 is not the master's MAC address") && refused.contains("mac=ignore"),
        "{refused}"
    );
    assert_eq!(slaves(&lab), 0);
    plugin.call("/NetworkDriver.DeleteNetwork", &ids());
    plugin.call(create, &network(json!({ "parent": "eth0", "mac": "ignore", "gateway": "10.0.0.253" })));
    assert_eq!(plugin.call(create_endpoint, &asked), json!({ "Interface": {} }));
    assert_eq!(plugin.call("/NetworkDriver.Join", &join("/var/run/docker/netns/3f2a"))["Gateway"], "10.0.0.253");
}

#[test]
fn an_endpoint_has_its_networks_policy_before_a_container_has_it_and_until_its_end() {
    require_root!();
    let (lab, plugin) = stage("policy");
    let options = |policy: &str| network(json!({ "parent": "eth0", "policy": policy, "labels": "web" }));
    let refused = plugin.call("/NetworkDriver.CreateNetwork", &options("in tcp dport 80 accept"));
    assert!(refused["Err"].to_string().contains("cannot use policy=in tcp dport 80 accept: "), "{refused}");
    assert_eq!(plugin.files(), 0);
    let created = plugin.call("/NetworkDriver.CreateNetwork", &options("in drop rules in from host accept"));
    assert_eq!(created, json!({}));
    plugin.call("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24"));
    let device = format!("ipvd{}", &ENDPOINT[..11]);
    let words = |device: &str| {
        let head = format!("{device} of eth0 label web\n    default in drop out accept\n");
        head + "    in from host accept # handle 1\n"
    };
    assert_eq!(lab.ipvl("policy show"), words(&device));
    plugin.call("/NetworkDriver.Join", &join("/var/run/docker/netns/3f2a"));
    move_to_container(&lab, &device);
    assert_eq!(lab.ipvl("policy show"), words("eth0"));
    assert!(lab.pings(&lab.slaves[0], &EXT_V4.to_string()), "what it opens itself passes");
    assert!(!lab.ext.exec(["ping", "-c", "1", "-W", "1", "10.0.0.50"]).ok, "what others open does not");
    plugin.call("/NetworkDriver.Leave", &ids());
    assert_eq!(plugin.call("/NetworkDriver.DeleteEndpoint", &ids()), json!({}));
    assert!(slaves(&lab) == 0 && lab.ipvl("policy show").is_empty());
}

#[test]
fn a_body_that_is_too_long_is_not_read() {
    require_root!();
    let (_lab, plugin) = stage("long");
    let long = format!("{{\"NetworkID\":\"{}\"}}", "a".repeat(1 << 20));
    assert_eq!(plugin.raw("/NetworkDriver.CreateNetwork", long.as_bytes()).0, 413);
}

#[test]
fn dockerd_that_goes_before_the_answer_leaves_nothing() {
    require_root!();
    let (lab, plugin) = stage("hasty");
    plugin.call("/NetworkDriver.CreateNetwork", &network(json!({ "parent": "eth0" })));
    // While another process holds the lock there is no answer.
    let host = netns::open(&NetnsRef::Name(lab.host.name().to_owned())).expect("the host's netns");
    let lock = netns::within(host, || Lock::acquire(LOCK_WAIT)).expect("a thread").expect("the lock");
    plugin.say_and_go("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24"));
    drop(lock);
    assert!(wait_until(SOON, || plugin
        .log()
        .contains("CreateEndpoint: dockerd closed the connection; the call was undone")));
    assert_eq!(slaves(&lab), 0);
    assert_eq!(plugin.call("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24")), json!({ "Interface": {} }));
}

#[test]
fn an_endpoint_that_no_container_takes_goes_by_itself_or_for_the_next_that_has_its_address() {
    require_root!();
    let (lab, plugin) = stage("stale");
    plugin.call("/NetworkDriver.CreateNetwork", &network(json!({ "parent": "eth0" })));
    plugin.call("/NetworkDriver.CreateEndpoint", &endpoint("10.0.0.50/24"));
    let mut other = endpoint("10.0.0.50/24");
    other["EndpointID"] = json!("b".repeat(64));
    assert_eq!(plugin.call("/NetworkDriver.CreateEndpoint", &other), json!({ "Interface": {} }));
    assert_eq!(slaves(&lab), 1, "dockerd gives an address to one endpoint at a time");
    plugin.call("/Plugin.Activate", &Value::Null);
    assert!(wait_until(SOON, || slaves(&lab) == 0), "a new dockerd does not know of it");
}

#[test]
fn of_two_networks_in_l3_one_leads_out() {
    require_root!();
    let (_lab, plugin) = stage("exits");
    for (number, subnet) in ["1", "2"].iter().zip(["10.1.0", "10.2.0"]) {
        let mut created = network(json!({ "parent": "eth0", "ipvlan_mode": "l3" }));
        created["NetworkID"] = json!(number);
        created["IPv4Data"] = json!([{ "Pool": format!("{subnet}.0/24"), "Gateway": format!("{subnet}.1/24") }]);
        assert_eq!(plugin.call("/NetworkDriver.CreateNetwork", &created), json!({}));
        let mut added = endpoint(&format!("{subnet}.7/24"));
        (added["NetworkID"], added["EndpointID"]) = (json!(number), json!(number));
        assert_eq!(plugin.call("/NetworkDriver.CreateEndpoint", &added), json!({ "Interface": {} }));
    }
    let routes = |number: &str| {
        let sandbox = "/var/run/docker/netns/77";
        let body = json!({ "NetworkID": number, "EndpointID": number, "SandboxKey": sandbox });
        plugin.call("/NetworkDriver.Join", &body)["StaticRoutes"].clone()
    };
    assert_eq!(routes("1"), json!([{ "Destination": "0.0.0.0/0", "RouteType": 1, "NextHop": "" }]));
    assert_eq!(routes("2"), json!([]));
    let check = |options| plugin.call("/NetworkDriver.GwAllocCheck", &json!({ "Options": options }));
    let l3 = check(json!({ "com.docker.network.generic": { "parent": "eth0", "ipvlan_mode": "l3" } }));
    assert_eq!(l3, json!({ "SkipIPv4": true, "SkipIPv6": true }));
    let l2 = check(json!({ "com.docker.network.generic": { "parent": "eth0" } }));
    assert_eq!(l2, json!({ "SkipIPv4": false, "SkipIPv6": false }), "its gateway is the way out");
}

#[test]
fn a_vlan_and_a_dummy_are_made_for_their_networks() {
    require_root!();
    require_device!("vlan id 5");
    require_device!("dummy");
    let (lab, plugin) = stage("made");
    let numbered = |number: &str, options: Value| {
        let mut body = network(options);
        body["NetworkID"] = json!(number);
        body
    };
    let is_there = |name: &str| lab.host.exec(["ip", "link", "show", name]).ok;
    for number in ["1", "2"] {
        let created = numbered(number, json!({ "parent": "eth0.10" }));
        assert_eq!(plugin.call("/NetworkDriver.CreateNetwork", &created), json!({}));
    }
    plugin.call("/NetworkDriver.DeleteNetwork", &json!({ "NetworkID": "1" }));
    assert!(is_there("eth0.10"), "the other network needs it");
    lab.host.run(["ip", "link", "del", "eth0.10"]);
    let mut added = endpoint("10.0.0.50/24");
    added["NetworkID"] = json!("2");
    assert_eq!(plugin.call("/NetworkDriver.CreateEndpoint", &added), json!({ "Interface": {} }));
    assert!(is_there("eth0.10"), "made again, as after a reboot");
    plugin.call("/NetworkDriver.DeleteNetwork", &json!({ "NetworkID": "2" }));
    assert!(!is_there("eth0.10") && slaves(&lab) == 0);

    plugin.call("/NetworkDriver.CreateNetwork", &numbered("3", json!({})));
    assert!(is_there("di-3"));
    plugin.call("/NetworkDriver.DeleteNetwork", &json!({ "NetworkID": "3" }));
    assert!(!is_there("di-3"));
    let refused = plugin.call(
        "/NetworkDriver.CreateNetwork",
        &numbered("4", json!({ "parent": "eth0.11", "com.docker.network.driver.mtu": "9000" })),
    );
    assert!(refused["Err"].as_str().is_some_and(|text| text.contains("mtu 9000")), "{refused}");
    assert!(!is_there("eth0.11"), "what is refused leaves nothing");
}

fn stage(label: &str) -> (Lab, Plugin) {
    let lab = Lab::new(1);
    let plugin = Plugin::new(&lab.host, label);
    (lab, plugin)
}

fn join(sandbox: &str) -> Value {
    json!({ "NetworkID": NETWORK, "EndpointID": ENDPOINT, "SandboxKey": sandbox, "Options": {} })
}

/// As dockerd does it.
fn move_to_container(lab: &Lab, device: &str) {
    let container = &lab.slaves[0];
    lab.host.run(["ip", "link", "set", device, "netns", container.name(), "name", "eth0"]);
    container.run("ip addr add 10.0.0.50/24 dev eth0".split(' '));
    container.run("ip link set eth0 up".split(' '));
    assert!(wait_until(SOON, || container.exec(["ip", "link", "show", "eth0"]).stdout.contains("LOWER_UP")));
}

fn has_device(lab: &Lab) -> bool {
    lab.slaves[0].exec(["ip", "link", "show", "eth0"]).ok
}

fn slaves(lab: &Lab) -> usize {
    lab.host.run(["ip", "-o", "link"]).lines().filter(|line| line.contains("alias ipvl host end: ")).count()
}
