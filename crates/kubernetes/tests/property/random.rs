//! Which worlds are tried? Few names and addresses, so that they meet often.

use crate::model::{Allowed, Labels, Peer, Pod, Policy, Port, Protocol, Selector, World};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub fn world() -> impl Strategy<Value = World> {
    let namespaces = (labels(), labels()).prop_map(|(a, b)| vec![("a".to_owned(), a), ("b".to_owned(), b)]);
    let packet = (address(), prop_oneof![protocol(), Just(Protocol::Icmp)], port());
    (namespaces, vec(pod(), 1..5), vec(policy(), 0..4), vec(packet, 40)).prop_map(
        |(namespaces, pods, policies, packets)| {
            let named = pods.into_iter().zip(1..).map(|(mut pod, number)| {
                pod.name = format!("p{number}");
                pod.addresses = [v4(number), v6(number)]
                    .into_iter()
                    .filter(|addr| pod.addresses.iter().any(|one| one.is_ipv4() == addr.is_ipv4()))
                    .collect();
                pod
            });
            let mut pods: Vec<Pod> = named.collect();
            pods.sort_by_key(|pod| (pod.namespace.clone(), pod.name.clone()));
            World { namespaces, pods, policies, packets }
        },
    )
}

fn pod() -> impl Strategy<Value = Pod> {
    let families = select(vec![vec![v4(0)], vec![v6(0)], vec![v4(0), v6(0)]]);
    let ports = subsequence(vec!["web", "dns"], 0..=2);
    (namespace(), labels(), families, ports, protocol(), port()).prop_map(
        |(namespace, labels, addresses, names, protocol, port)| Pod {
            namespace,
            name: String::new(),
            labels,
            addresses,
            ports: names.into_iter().zip(port..).map(|(name, port)| (name.to_owned(), protocol, port)).collect(),
        },
    )
}

fn policy() -> impl Strategy<Value = Policy> {
    let types = of(subsequence(vec!["Ingress", "Egress"], 0..=2));
    let rules = || of(vec(allowed(), 0..3));
    (namespace(), selector(), types, rules(), rules()).prop_map(|(namespace, pods, types, ingress, egress)| Policy {
        namespace,
        pods,
        types,
        ingress,
        egress,
    })
}

fn allowed() -> impl Strategy<Value = Allowed> {
    (of(vec(peer(), 0..3)), of(vec(allowed_port(), 0..3))).prop_map(|(peers, ports)| Allowed { peers, ports })
}

fn peer() -> impl Strategy<Value = Peer> {
    let pods = prop_oneof![
        selector().prop_map(|pods| Peer::Pods(None, Some(pods))),
        selector().prop_map(|namespaces| Peer::Pods(Some(namespaces), None)),
        (selector(), selector()).prop_map(|(namespaces, pods)| Peer::Pods(Some(namespaces), Some(pods))),
    ];
    prop_oneof![pods, block()]
}

fn block() -> impl Strategy<Value = Peer> {
    (address(), 0..8_u8, vec((address(), 1..=32_u8), 0..4)).prop_map(|(addr, short, parts)| {
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        let len = if short < 5 { bits - short } else { 0 };
        let inside = parts.into_iter().filter(|(part, _)| part.is_ipv4() == addr.is_ipv4());
        let inside = inside.map(|(part, short)| (part, (bits - (short - 1) % 4).max(len + 1).min(bits)));
        let except = inside.filter(|(part, longer)| *longer > len && meet((addr, len), *part)).collect();
        Peer::Block((addr, len), except)
    })
}

fn meet((net, len): (IpAddr, u8), addr: IpAddr) -> bool {
    let low = |addr: IpAddr| match addr {
        IpAddr::V4(addr) => u128::from(addr.to_bits()),
        IpAddr::V6(addr) => addr.to_bits(),
    };
    let bits: u32 = if net.is_ipv4() { 32 } else { 128 };
    len == 0 || (low(net) ^ low(addr)).checked_shr(bits - u32::from(len)) == Some(0)
}

fn allowed_port() -> impl Strategy<Value = Port> {
    prop_oneof![
        of(protocol()).prop_map(Port::Any),
        (protocol(), port()).prop_map(|(protocol, port)| Port::Number(protocol, port)),
        (protocol(), port(), 0..4_u16).prop_map(|(protocol, port, more)| Port::Range(protocol, port, port + more)),
        (protocol(), select(vec!["web", "dns", "none"]))
            .prop_map(|(protocol, name)| Port::Named(protocol, name.to_owned())),
    ]
}

fn selector() -> impl Strategy<Value = Selector> {
    let expression = (
        select(vec!["app", "tier"]),
        select(vec!["In", "NotIn", "Exists", "DoesNotExist"]),
        subsequence(vec!["x", "y"], 1..=2),
    );
    let expression = expression.prop_map(|(key, operator, values)| {
        let values = if operator.ends_with("In") { values } else { Vec::new() };
        (key.to_owned(), operator, values.into_iter().map(str::to_owned).collect())
    });
    prop_oneof![
        Just(Selector { labels: Labels::new(), expressions: Vec::new() }),
        (labels(), vec(expression, 0..2)).prop_map(|(labels, expressions)| Selector { labels, expressions }),
    ]
}

fn labels() -> impl Strategy<Value = Labels> {
    btree_map(select(vec!["app".to_owned(), "tier".to_owned()]), select(vec!["x".to_owned(), "y".to_owned()]), 0..2)
}

fn namespace() -> impl Strategy<Value = String> {
    select(vec!["a".to_owned(), "b".to_owned()])
}

/// Pods have the numbers 1 to 4, the node 7.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![6 => (0..9_u8).prop_map(v4), 5 => (0..9_u8).prop_map(v6), 1 => Just(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))]
}

fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn v6(last: u8) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()))
}

fn protocol() -> impl Strategy<Value = Protocol> {
    select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp])
}

fn port() -> impl Strategy<Value = u16> {
    80..86_u16
}
