//! How is a flow or a packet shown?

use super::time::{clock, short};
use super::{Style, explain};
use ipvl_control::{Passage, Seen};
use ipvl_core::wire::ethertype::{ARP, IPV4, IPV6};
use ipvl_core::{Addr, Verdict};
use serde_json::{Value, json};
use std::time::SystemTime;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// IANA's numbers and names, as far as they are common (Assigned Internet Protocol Numbers).
const PROTOCOLS: [(u8, &str); 13] = [
    (0, "hop-by-hop"),
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (TCP, "tcp"),
    (UDP, "udp"),
    (44, "fragment"),
    (47, "gre"),
    (50, "esp"),
    (58, "icmpv6"),
    (89, "ospf"),
    (112, "vrrp"),
    (132, "sctp"),
];

/// A line, or an object, for what was seen.
pub fn seen(seen: &Seen, style: Style) -> String {
    style.print(|| vec![format!("{}\n", text(seen))], || in_json(seen))
}

/// What becomes of it, for people: the verdict, and why it is dropped.
fn verdict(passage: &Passage) -> String {
    let verdict = Verdict::from(passage.action);
    match explain::reason(verdict) {
        Some(reason) => format!("drop {reason}"),
        None => explain::word(verdict).to_owned(),
    }
}

fn text(seen: &Seen) -> String {
    match seen {
        Seen::Flow { passage, at, new, packets, bytes } => {
            let count = if *new { "new".to_owned() } else { format!("packets {packets} bytes {bytes}") };
            format!("{} {} {count}", clock(*at), described(passage))
        }
        Seen::Packet { passage, at, len, .. } => format!("{} {} len {len}", clock(*at), described(passage)),
        Seen::Lost(count) => format!("{count} were lost: there were more than could be told"),
    }
}

/// `ipvl0 > ipvl1 udp 10.0.0.1:4242 > 10.0.0.2:53 deliver`
pub fn described(passage: &Passage) -> String {
    let (from, to) = (end(passage.from.as_deref()), end(passage.to.as_deref()));
    format!("{from} > {to} {} {} {}", protocol(passage), addresses(passage), verdict(passage)).replace("  ", " ")
}

fn end(slave: Option<&str>) -> &str {
    slave.unwrap_or("-")
}

fn protocol(passage: &Passage) -> String {
    match passage.ethertype {
        ARP => "arp".to_owned(),
        IPV4 | IPV6 => match PROTOCOLS.iter().find(|(number, _)| *number == passage.protocol) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("ip-protocol-{}", passage.protocol),
        },
        ethertype => format!("{ethertype:#06x}"),
    }
}

fn addresses(passage: &Passage) -> String {
    let ports = matches!(passage.protocol, TCP | UDP);
    let one = |addr: Addr, port: u16| match (ports, addr.as_v4()) {
        (false, _) => addr.to_string(),
        (true, Some(_)) => format!("{addr}:{port}"),
        (true, None) => format!("[{addr}]:{port}"),
    };
    match passage.ethertype {
        ARP | IPV4 | IPV6 => format!("{} > {}", one(passage.src, passage.src_port), one(passage.dst, passage.dst_port)),
        _ => String::new(),
    }
}

fn in_json(seen: &Seen) -> Value {
    match seen {
        Seen::Flow { passage, at, new, packets, bytes } => {
            let mut all = passage_json(if *new { "new" } else { "flow" }, passage, *at);
            (all["packets"], all["bytes"]) = (json!(packets), json!(bytes));
            all
        }
        Seen::Packet { passage, at, len, .. } => {
            let mut all = passage_json("packet", passage, *at);
            all["len"] = json!(len);
            all
        }
        Seen::Lost(count) => json!({ "event": "lost", "count": count }),
    }
}

fn passage_json(event: &str, passage: &Passage, at: SystemTime) -> Value {
    let verdict = Verdict::from(passage.action);
    let ip = matches!(passage.ethertype, ARP | IPV4 | IPV6);
    let ports = ip && matches!(passage.protocol, TCP | UDP);
    json!({
        "event": event,
        "time": short(at),
        "master": passage.master,
        "from": passage.from,
        "to": passage.to,
        "protocol": protocol(passage),
        "src": ip.then(|| passage.src.to_string()),
        "dst": ip.then(|| passage.dst.to_string()),
        "src_port": ports.then_some(passage.src_port),
        "dst_port": ports.then_some(passage.dst_port),
        "verdict": explain::word(verdict),
        "reason": explain::reason(verdict),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipvl_core::{Action, Reason, Slot};

    fn passage(action: Action) -> Passage {
        Passage {
            master: "eth0".to_owned(),
            from: Some("ipvl0".to_owned()),
            to: None,
            action,
            ethertype: IPV4,
            protocol: UDP,
            src: Addr::v4([10, 0, 0, 1]),
            dst: Addr::v4([10, 0, 0, 2]),
            src_port: 4242,
            dst_port: 53,
        }
    }

    #[test]
    fn a_passage_is_both_ends_both_addresses_and_the_verdict() {
        let dropped = passage(Action::Drop(Reason::Private));
        assert_eq!(described(&dropped), "ipvl0 > - udp 10.0.0.1:4242 > 10.0.0.2:53 drop private");
        let other = Passage { ethertype: 0x88cc, to: Some("ipvl1".to_owned()), ..passage(Action::Deliver(Slot(1))) };
        assert_eq!(described(&other), "ipvl0 > ipvl1 0x88cc deliver");
        let v6 = Passage { ethertype: IPV6, dst: Addr([0xfd; 16]), ..passage(Action::Wire) };
        assert!(described(&v6).contains(" > [fdfd:"), "{}", described(&v6));
    }

    #[test]
    fn json_has_the_reason_apart() {
        let seen = Seen::Packet {
            passage: passage(Action::Drop(Reason::NoRoute)),
            at: SystemTime::UNIX_EPOCH,
            len: 60,
            bytes: Vec::new(),
        };
        let json = in_json(&seen);
        assert_eq!((&json["verdict"], &json["reason"], &json["len"]), (&json!("drop"), &json!("no-route"), &json!(60)));
    }
}
