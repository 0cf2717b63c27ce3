//! Does a slave have the policy that a file or an engine gives it, from before it is open, and is it taken back as it came?

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use ipvl_control::policy_words::{labels, spec};
use ipvl_control::{Attachment, LinkSpec, NetnsRef, PolicyKeys, attach_all};
use ipvl_core::{Mode, Options};
use ipvl_testbed::{Lab, require_root};
use serde_json::Value;

use crate::apply::{Etc, link};
use crate::common::{run, soon, traces};
use crate::policy::{LONG, MOMENT, connects};

const WEB: &str = "mode = \"l2\"\naddresses = [\"10.0.0.11/24\"]\n";
const POLICY: &str = r#"
labels = ["web"]
[link.policy]
in = "drop"
rules = [
  "in from slave ipvl0 tcp dport 80 accept",
  "in from label client icmp accept",
]
"#;

/// The files of two slaves: a client, and one with a policy.
fn both(lab: &Lab, client: &str, policy: &str) -> String {
    let client = format!("mode = \"l2\"\naddresses = [\"10.0.0.10/24\"]\n{client}\n");
    link(lab, 1, &format!("{WEB}{policy}")) + &link(lab, 0, &client)
}

fn reaches(lab: &Lab, port: u16, patience: Duration) -> bool {
    connects(&lab.slaves[0], &lab.slaves[1], &format!("10.0.0.11:{port}"), patience)
}

#[test]
fn a_file_gives_a_policy_that_names_later_slaves_and_a_second_time_nothing_is_done() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    file.write("a.toml", &both(&lab, "labels = \"client\"", POLICY));
    let shown = file.apply("--dry-run");
    for line in [
        "+     labels web\n+     policy in drop out accept\n+     policy rule in from slave ipvl0 tcp dport 80 accept\n",
        "+     policy rule in from label client icmp accept\n",
        "+     labels client\n",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert_eq!(lab.ipvl("policy show"), "", "nothing was done");
    assert_eq!(file.apply(""), shown);
    let told = || lab.ipvl("-s policy show");
    assert!(reaches(&lab, 80, LONG) && !reaches(&lab, 81, MOMENT), "{}", told());
    assert!(lab.pings(&lab.slaves[0], "10.0.0.11") && !connects(&lab.ext, &lab.slaves[1], "10.0.0.11:80", MOMENT));
    let before = lab.ipvl("policy show");
    assert!(file.apply("").starts_with("Nothing to do: 2 of 2"), "{}", told());
    run(&lab.slaves[0], "ip link set ipvl0 name stray");
    assert!(file.apply("").contains("name stray -> ipvl0\n"), "a rule is about a slave, whatever it is called");
    assert!(file.apply("").starts_with("Nothing to do"));
    assert_eq!(lab.ipvl("policy show"), before);
}

#[test]
fn a_policy_is_changed_while_a_connection_goes_on_and_leaves_with_its_key() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    let said = |policy: &str| file.write("a.toml", &both(&lab, "", policy));
    said("policy = \"in drop rules in tcp dport 80 accept, in udp accept\"");
    file.apply("");
    let probe = crate::common::Probe::start(&lab.slaves[0], &lab.slaves[1], "10.0.0.11:7");
    said("labels = [\"web\"]\npolicy = \"out drop, in drop, rules in udp dport 7 accept, in tcp dport 80 accept\"");
    let shown = file.apply("");
    for line in [
        "+     labels web\n",
        "-     policy in drop out accept\n-     policy rule in udp accept\n",
        "+     policy in drop out drop\n+     policy rule in udp dport 7 accept\n",
        "0 to make, 1 to change, 0 to delete, 1 as they should be",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert!(reaches(&lab, 80, LONG) && !reaches(&lab, 81, MOMENT));
    probe.expect_no_loss("a policy that is changed");
    assert!(file.apply("").starts_with("Nothing to do"));
    lab.ipvl("policy add dev ipvl1 before 1 rule in accept");
    lab.ipvl("policy label dev ipvl1 labels web other");
    let shown = file.apply("");
    assert!(shown.contains("-     labels other,web\n+     labels web\n-     policy rule in accept\n"), "{shown}");
    assert!(!reaches(&lab, 81, MOMENT));
    said("");
    let shown = file.apply("");
    assert!(shown.contains("-     labels web\n-     policy in drop out drop\n"), "{shown}");
    assert!(reaches(&lab, 81, LONG) && lab.ipvl("policy show").is_empty(), "{}", lab.ipvl("policy show"));
    lab.ipvl("policy set dev ipvl1 in drop");
    assert!(file.apply("").contains("-     policy in drop out accept\n"), "as with rates, one set by hand goes");
    assert!(reaches(&lab, 81, LONG) && file.apply("").starts_with("Nothing to do"));
}

#[test]
fn whatever_a_rule_says_a_second_time_there_is_nothing_to_do() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    let all = [
        "accept",
        "in from label b,a tcp dport 1-65535 accept",
        "out ip daddr 0.0.0.0/0 udp dport 53 accept;",
        "out to ::/0 proto 47 drop",
        "peer host icmpv6 accept",
        "peer any ipv6-icmp drop",
        "in from slaves proto 6 accept,",
        "in from slave ipvlh0 accept",
        "in from slave ipvl0 accept",
        "in from 2001:db8::/32 proto sctp dport 7 drop",
        "accept",
    ];
    let policy = format!("labels = \"b a\"\npolicy = {{ out = \"drop\", rules = {all:?} }}");
    file.write("a.toml", &(both(&lab, "", "")));
    file.apply("");
    file.write("a.toml", &(both(&lab, "", &policy)));
    file.apply("");
    let again = file.apply("");
    assert!(again.starts_with("Nothing to do: 2 of 2"), "{again}");
    let in_one = format!("labels = [\"a\", \"b\"]\npolicy = \"out drop rules {}\"", all.join(" "));
    file.write("a.toml", &(both(&lab, "", &in_one)));
    let again = file.apply("");
    assert!(again.starts_with("Nothing to do: 2 of 2"), "{again}");
}

#[test]
fn the_file_of_the_page_does_what_the_page_says() {
    require_root!();
    let page = include_str!("../../../../docs/policy.md");
    let block = page.lines().skip_while(|line| *line != "    [[link]]");
    let block = block.take_while(|line| line.is_empty() || line.starts_with("    "));
    let lab = Lab::new(0);
    let file = Etc::new(&lab);
    file.write(
        "web.toml",
        &block.map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned() + "\n").collect::<String>(),
    );
    file.apply("");
    let rules = "    in tcp dport 443 accept # handle 1\n    in from label monitor tcp dport 9100 accept # handle 2\n    \
                 in from host accept # handle 3\n";
    assert_eq!(lab.ipvl("policy show"), format!("web of eth0 label web\n    default in drop out accept\n{rules}"));
    assert!(file.apply("").starts_with("Nothing to do: 1 of 1"));
}

#[test]
fn what_fails_later_takes_the_policy_back() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    lab.ipvl("link add link eth0 name mine type ipvlan mode l2");
    let before = traces(&lab.host);
    let lost = "routes = [{ to = \"default\", via = \"203.0.113.1\" }]\n";
    file.write("a.toml", &both(&lab, "", &format!("{lost}{POLICY}")));
    assert!(file.refused("").contains("203.0.113.1"), "{}", file.refused(""));
    assert_eq!((traces(&lab.host), lab.ipvl("policy show")), (before, String::new()));
    file.write("a.toml", &both(&lab, "", POLICY));
    file.apply("");
    let before = lab.ipvl("policy show");
    file.write("a.toml", &both(&lab, "", &format!("{lost}policy = \"in accept\"")));
    assert!(file.refused("").contains("203.0.113.1"));
    assert_eq!(lab.ipvl("policy show"), before);
    assert!(reaches(&lab, 80, LONG) && !reaches(&lab, 81, MOMENT));
}

#[test]
fn a_bad_policy_is_named_by_file_slave_and_key_and_changes_nothing() {
    require_root!();
    let lab = Lab::new(2);
    let file = Etc::new(&lab);
    file.write("a.toml", &both(&lab, "", ""));
    file.apply("");
    let before = (traces(&lab.host), lab.ipvl("-j link show"));
    let sixty_five = format!("policy = \"rules {}\"", "accept ".repeat(65));
    for (policy, told) in [
        (
            "policy = \"in tcp dport 80 accept\"",
            "a.toml:7: [[link]] 1: policy: \"in\" wants accept or drop, not \"tcp\"",
        ),
        ("policy = { in = \"drop\", rules = [\"in tpc accept\"] }", "[[link]] 1: policy.rules: \"tpc\" is unknown"),
        ("policy = { rules = [\"in accept out drop\"] }", "policy.rules: \"in accept out drop\" is not one rule"),
        ("policy = { inn = \"drop\" }", "policy.inn: unknown field `inn`"),
        ("policy = { in = \"reject\" }", "policy.in: unknown variant `reject`"),
        (&sixty_five, "policy: a policy has at most 64 rules"),
        ("labels = [\"a b\"]", "labels: \"a b\" is not one label"),
        ("labels = \"a;b\"", "labels: \"a;b\": a label is 1 to 32 visible ASCII characters without , and ;"),
        (
            "policy = \"rules in from slave nobody accept\"",
            "a.toml: [[link]] 1 \"ipvl1\": policy: a rule names nobody, which is no slave of eth0",
        ),
        ("backend = \"kernel\"\npolicy = \"in drop\"", "\"ipvl1\": policy: it is a slave of the kernel module"),
        ("backend = \"kernel\"\nlabels = [\"web\"]", "\"ipvl1\": labels: it is a slave of the kernel module"),
    ] {
        file.write("a.toml", &both(&lab, "", policy));
        let said = file.refused("");
        assert!(said.contains(told), "of\n{policy}\nit is said\n{said}");
        assert_eq!((traces(&lab.host), lab.ipvl("-j link show")), before, "{policy}");
    }
}

#[test]
fn an_engines_slave_is_never_open_without_its_policy() {
    require_root!();
    let lab = lab_with_an_agent();
    let received = lab.slaves[1].within(|| UdpSocket::bind("0.0.0.0:7").expect("bind"));
    received.set_nonblocking(true).expect("no waiting");
    let eth0: Value = serde_json::from_str(&run(&lab.host, "ip -j link show eth0")).expect("JSON");
    let mac = eth0[0]["address"].as_str().expect("a MAC address");
    run(&lab.ext, &format!("ip neigh replace 10.0.0.11 lladdr {mac} dev eth0"));
    let policed =
        |policy: &str| PolicyKeys { policy: spec(policy).expect("words"), labels: labels("web").expect("one") };
    for (policy, arrives) in [("in drop rules in from slave client accept", false), ("out drop", true)] {
        let wanted = [wanted(&lab, 1, "eth7", policed(policy)), wanted(&lab, 0, "client", PolicyKeys::default())];
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let from = lab.ext.within(|| UdpSocket::bind("0.0.0.0:0").expect("bind"));
                while !is_over.load(Relaxed) {
                    from.send_to(b"?", "10.0.0.11:7").expect("send");
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let made = lab.host.within(|| attach_all(&wanted, |_| {}));
            thread::sleep(MOMENT);
            is_over.store(true, Relaxed);
            made.expect("two slaves");
        });
        assert_eq!(received.recv(&mut [0; 1]).is_ok(), arrives, "{policy}: {}", lab.ipvl("-s policy show"));
        let shown = lab.ipvl("policy show dev eth7");
        assert!(shown.contains("label web") && shown.contains("client") != arrives, "{shown}");
        for name in ["eth7", "client"] {
            lab.ipvl(&format!("link del {name}"));
        }
    }
    soon("nothing is left", || lab.ipvl("policy show").is_empty());
}

#[test]
fn a_slave_whose_rule_names_nobody_is_not_made_nor_its_siblings() {
    require_root!();
    let lab = lab_with_an_agent();
    let before = traces(&lab.host);
    let policy =
        PolicyKeys { policy: spec("rules in from slave nobody accept").expect("words"), ..PolicyKeys::default() };
    let wanted = [wanted(&lab, 0, "client", PolicyKeys::default()), wanted(&lab, 1, "eth7", policy)];
    let refused = lab.host.within(|| attach_all(&wanted, |_| {})).expect_err("nobody has that name");
    assert!(refused.to_string().contains("nobody"), "{refused}");
    assert_eq!(traces(&lab.host), before);
}

/// A slave beside its master keeps the agent running.
fn lab_with_an_agent() -> Lab {
    let lab = Lab::new(2);
    lab.ipvl("link add link eth0 name mine type ipvlan mode l2");
    lab
}

fn wanted(lab: &Lab, n: usize, name: &str, policy: PolicyKeys) -> Attachment {
    let spec = LinkSpec {
        name: Some(name.to_owned()),
        options: Options { mode: Mode::L2, ..Options::DEFAULT },
        netns: Some(NetnsRef::Name(lab.slaves[n].name().to_owned())),
        ..LinkSpec::of("eth0")
    };
    let address = format!("10.0.0.1{n}").parse::<std::net::IpAddr>().expect("an address");
    let (addresses, routes) = (vec![(address.into(), 24)], Vec::new());
    Attachment { spec, owner: format!("test {name}"), policy, addresses, assign: true, routes }
}
