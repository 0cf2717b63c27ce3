//! Does a container get the slave that the options of network and container ask for? The bodies are those of Podman 5.4.

use super::*;
use ipvl_core::{Flag, Mode};

const NETNS: &str = "/run/netns/netns-7cc9ae4d-3d88-6334-87da-9ba5ee1a8e99";

fn body(with: &[(&str, Value)]) -> Container {
    let mut body = json!({
        "container_id": "5d62b0a5cb02e6376fb6d8d042e6e00626927d3269e9a27904921e3f0726d015", "container_name": "c1",
        "port_mappings": null,
        "network": {
            "dns_enabled": false, "driver": "ipvl",
            "id": "66ecebc62425b101d5bfd8bdaf077d414f56fdaa015d808905eeb4cc215deebd", "internal": false,
            "ipv6_enabled": true, "name": "np", "network_interface": "eth0", "options": { "mode": "l3" },
            "ipam_options": { "driver": "host-local" },
            "subnets": [
                { "gateway": "10.78.0.1", "lease_range": null, "subnet": "10.78.0.0/24" },
                { "gateway": "10.79.0.1", "lease_range": null, "subnet": "10.79.0.0/16" },
                { "gateway": "fd00:78::1", "lease_range": null, "subnet": "fd00:78::/64" },
            ],
            "routes": [{ "gateway": "10.78.0.5", "destination": "10.9.0.0/16", "metric": 7 }],
            "network_dns_servers": null,
        },
        "network_options": {
            "aliases": ["5d62b0a5cb02"], "interface_name": "eth0",
            "static_ips": ["10.78.0.2", "10.79.0.2", "fd00:78::2"], "static_mac": null, "options": null,
        },
    });
    for (place, value) in with {
        *body.pointer_mut(place).expect("a place in the body") = value.clone();
    }
    serde_json::from_value(body).expect("a body")
}

fn wanted(with: &[(&str, Value)]) -> Result<Attachment> {
    let body = body(with);
    let options = NetworkOptions::of_container(&body.network, &body.network_options)?;
    attachment(NETNS, &body, &options, "eth0")
}

fn routes_of(wanted: &Attachment) -> Vec<String> {
    wanted.routes.iter().map(|route| format!("{route} metric {:?}", route.metric)).collect()
}

fn refused(place: &str, value: Value) -> String {
    wanted(&[(place, value)]).expect_err("refused").to_string()
}

#[test]
fn a_container_gets_what_podman_chose() {
    let wanted = wanted(&[]).expect("good");
    assert_eq!((wanted.spec.master.as_str(), wanted.spec.name.as_deref()), ("eth0", Some("eth0")));
    assert_eq!((wanted.spec.options.mode, wanted.spec.netns), (Mode::L3, Some(NetnsRef::Name(NETNS.to_owned()))));
    let addresses: Vec<String> = wanted.addresses.iter().map(|(addr, length)| format!("{addr}/{length}")).collect();
    assert_eq!(addresses, ["10.78.0.2/24", "10.79.0.2/16", "fd00:78::2/64"]);
    assert!(wanted.assign && wanted.owner.len() < 183, "{}", wanted.owner);
}

#[test]
fn the_first_network_leads_out_in_both_families() {
    let metrics = |name: &str| -> Vec<Option<u32>> {
        let wanted = wanted(&[("/network_options/interface_name", json!(name))]).expect("good");
        wanted.routes[..2].iter().map(|route| route.metric).collect()
    };
    for (name, metric) in [("eth0", 99), ("eth1", 101), ("eth12", 112), ("lan", 99)] {
        assert_eq!(metrics(name), [Some(metric); 2], "{name}");
    }
    let given =
        wanted(&[("/network_options/interface_name", json!("eth1")), ("/network/options", json!({ "metric": "7" }))]);
    assert_eq!(given.expect("good").routes[0].metric, Some(7));
}

#[test]
fn a_mac_address_is_ignored_where_the_network_says_so() {
    let asked = ("/network_options/static_mac", json!("02:00:00:00:00:99"));
    let mac = |options: Value| wanted(&[asked.clone(), ("/network/options", options)]).expect("good").spec.mac;
    assert_eq!(mac(json!({})), Some(Mac([2, 0, 0, 0, 0, 0x99])));
    assert_eq!(mac(json!({ "mac": "ignore" })), None);
}

#[test]
fn the_first_gateway_of_each_family_is_the_way_out() {
    assert_eq!(
        routes_of(&wanted(&[]).expect("good")),
        [
            "route 0.0.0.0/0 via 10.78.0.1 metric Some(99)",
            "route ::/0 via fd00:78::1 metric Some(99)",
            "route 10.9.0.0/16 via 10.78.0.5 metric Some(7)",
        ]
    );
    let own = ["route 10.9.0.0/16 via 10.78.0.5 metric Some(7)"];
    assert_eq!(routes_of(&wanted(&[("/network/internal", json!(true))]).expect("good")), own);
    let options = [("/network/options", json!({ "no_default_route": "true" }))];
    assert_eq!(routes_of(&wanted(&options).expect("good")), own);
}

#[test]
fn a_container_may_have_options_of_its_own() {
    let wanted = wanted(&[("/network_options/options", json!({ "flag": "private", "mode": "l2" }))]).expect("good");
    assert_eq!((wanted.spec.options.mode, wanted.spec.options.flag), (Mode::L2, Flag::Private));
    assert!(refused("/network_options/options", json!({ "foo": "bar" })).starts_with("there is no option foo"));
}

#[test]
fn its_user_is_told_what_it_got() {
    let told = status(&body(&[]), Mac([2, 0, 0, 0, 0, 1])).expect("good");
    let subnets = json!([
        { "ipnet": "10.78.0.2/24", "gateway": "10.78.0.1" },
        { "ipnet": "10.79.0.2/16", "gateway": "10.79.0.1" },
        { "ipnet": "fd00:78::2/64", "gateway": "fd00:78::1" },
    ]);
    assert_eq!(told["interfaces"], json!({ "eth0": { "mac_address": "02:00:00:00:00:01", "subnets": subnets } }));
    assert_eq!((&told["dns_server_ips"], &told["dns_search_domains"]), (&json!([]), &json!([])));
    let internal = status(&body(&[("/network/internal", json!(true))]), Mac([0; 6])).expect("good");
    assert_eq!(internal.pointer("/interfaces/eth0/subnets/0/gateway"), Some(&Value::Null));
}

#[test]
fn without_podmans_addresses_it_has_none() {
    let none = [("/network/subnets", Value::Null), ("/network_options/static_ips", Value::Null)];
    let wanted = wanted(&none).expect("good");
    assert!(wanted.addresses.is_empty());
    assert_eq!(routes_of(&wanted).len(), 1);
    assert!(refused("/network_options/static_ips", Value::Null).contains("no address"));
    assert_eq!(refused("/network_options/static_ips", json!(["10.1.1.1"])), "10.1.1.1 is in no subnet of the network");
}

#[test]
fn a_mac_address_is_read_or_refused() {
    let given = |text: &str| wanted(&[("/network_options/static_mac", json!(text))]);
    assert_eq!(given("02:00:00:00:00:0a").expect("good").spec.mac, Some(Mac([2, 0, 0, 0, 0, 10])));
    assert_eq!(given("").expect("good").spec.mac, None);
    for text in ["02:00:00:00:00", "02:00:00:00:00:zz", "x"] {
        assert_eq!(given(text).expect_err("refused").to_string(), format!("{text:?} is not a MAC address"));
    }
}

#[test]
fn a_route_that_cannot_be_made_is_refused() {
    let route = |with: Value| refused("/network/routes/0", with);
    let blackhole = json!({ "destination": "10.9.0.0/16", "route_type": "blackhole" });
    assert!(route(blackhole).contains("only unicast"));
    assert!(route(json!({ "destination": "10.9.0.0/16" })).contains("no gateway"));
    let other = json!({ "destination": "10.9.0.0/16", "gateway": "fd00::1" });
    assert!(route(other).contains("other address family"));
}

#[test]
fn who_asks_for_ports_is_told_where_to_look() {
    assert_eq!(about_ports(&body(&[])), None);
    let ports = json!([
        { "container_port": 80, "host_ip": "", "host_port": 8080, "protocol": "tcp", "range": 1 },
        { "container_port": 53, "host_ip": "", "host_port": 53, "protocol": "udp", "range": 1 },
    ]);
    let told = about_ports(&body(&[("/port_mappings", ports)])).expect("a line");
    assert!(told.contains("-p 8080:80/tcp -p 53:53/udp") && told.contains("10.78.0.2"), "{told}");
}
