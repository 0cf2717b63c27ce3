//! Is a file understood, and is what is wrong named with its file, its table and its key?

use super::*;
use ipvl_core::{Dhcp, Flag, Guard, HostAccess, Mode, NeighProxy, Siblings};

const GOOD: &str = r#"
[[netns]]
name = "web"

[[link]]
master = "eth0"
name = "web0"
netns = "web"
mode = "l2"
flag = "private"
guard = "strict"
host = true
neigh = "proxy"
siblings = "direct"
dhcp = false
mtu = 1400
addresses = ["192.0.2.10/24", "2001:db8::10/64"]
declared = ["198.51.100.0/28"]

[[link]]
master = "eth0"
name = "tap0"
type = "ipvtap"
user = "kvm"
up = false
"#;

#[test]
fn a_file_has_the_commands_words_and_defaults() {
    let desired = read([("a.toml", GOOD)]).expect("good");
    let [web, tap] = &desired.links[..] else { panic!("{desired:?}") };
    let (mode, flag, guard) = (Mode::L2, Flag::Private, Guard::Strict);
    let (host, neigh, dhcp, siblings) = (HostAccess::On, NeighProxy::Proxy, Dhcp::Off, Siblings::Direct);
    assert_eq!(web.spec.options, Options { mode, flag, guard, host, neigh, dhcp, siblings });
    assert_eq!((web.spec.mtu, web.up), (Some(1400), true));
    assert_eq!(
        (web.addresses.as_ref().map(BTreeSet::len), web.declared.as_ref().map(BTreeSet::len)),
        (Some(2), Some(1))
    );
    let (mode, flag, guard) = (Mode::L3, Flag::Bridge, Guard::Owned);
    let (host, neigh, dhcp, siblings) = (HostAccess::Off, NeighProxy::Off, Dhcp::On, Siblings::Host);
    assert_eq!(tap.spec.options, Options { mode, flag, guard, host, neigh, dhcp, siblings });
    assert_eq!((tap.spec.mtu, tap.up), (None, false));
    assert!(tap.spec.tap.is_some() && tap.addresses.is_none());
    assert_eq!((web.owner(), tap.owner()), ("apply web/web0".to_owned(), "apply /tap0".to_owned()));
    assert_eq!(desired.netns, BTreeSet::from(["web".to_owned()]));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_with_what_is_allowed() {
    let link = |rest: &str| format!("[[link]]\nmaster = \"eth0\"\nname = \"a\"\n{rest}\n");
    for (text, expected) in [
        (link("mode = \"l4\""), "f:4: [[link]] 1: mode: unknown variant `l4`, expected one of `l2`, `l3`, `l3s`"),
        (link("colour = 1"), "f:4: [[link]] 1: colour: unknown field `colour`, expected one of `master`, `name`, "),
        (link("mtu = 20"), "f:4: [[link]] 1: mtu: 20 is not from 68 to 65535"),
        (link("mtu = \"big\""), "f:4: [[link]] 1: mtu: invalid type: string \"big\", expected u32"),
        (link("netns = \"a/b\""), "f:4: [[link]] 1: netns: \"a/b\" is not a network namespace's name"),
        (link("addresses = [\"10.0.0.1/24\", \"x\"]"), "f:4: [[link]] 1: addresses: \"x\" is not an address such as"),
        (link("addresses = [\"224.0.0.1/4\"]"), "f:4: [[link]] 1: addresses: 224.0.0.1 is not an address that a slave"),
        (
            link("declared = [\"10.0.0.1/24\"]"),
            "f:4: [[link]] 1: declared: \"10.0.0.1/24\" has bits set after its length",
        ),
        (link("user = \"kvm\""), "f: [[link]] 1 \"a\": user: this key is only for type \"ipvtap\""),
        (link("type = \"ipvtap\"\nnetns = \"n\""), "f: [[link]] 1 \"a\": netns: a tap device works only in its"),
        (link("type = \"ipvtap\"\naddresses = []"), "f: [[link]] 1 \"a\": addresses: a guest sets its addresses"),
        (
            link("") + &link(""),
            "f: [[link]] 2 \"a\": name: there is a slave of that name and netns already: f: [[link]] 1 \"a\"",
        ),
        (
            link("addresses = [\"10.0.0.1\"]")
                + "[[link]]\nmaster = \"eth0\"\nname = \"b\"\naddresses = [\"10.0.0.1/8\"]",
            "f: [[link]] 2 \"b\": addresses: another slave has 10.0.0.1, too: f: [[link]] 1 \"a\"",
        ),
        ("[[link]]\nname = \"a\"".to_owned(), "f:1: [[link]] 1: missing field `master`"),
        ("link = 1".to_owned(), "f:1: link: invalid type"),
        ("[[slave]]".to_owned(), "f:1: slave: unknown field `slave`, expected one of `flowtable`, `netns`, `link`"),
        ("[[link]\n".to_owned(), "f:1: "),
    ] {
        let said = read([("f", text.as_str())]).expect_err(&text).to_string();
        assert!(said.starts_with(expected), "of\n{text}\nit is said\n{said}\nrather than\n{expected}");
    }
}
