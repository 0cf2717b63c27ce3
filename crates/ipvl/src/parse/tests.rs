//! Which command lines are accepted, with which meaning, and which are refused, with which message?

use super::*;
use crate::command::{Frame, Question};
use ipvl_control::{Account, Backend, Change, LinkSpec, NetnsRef, Rates, RatesChange, Tap, rate};
use ipvl_core::{Dhcp, Flag, Guard, HostAccess, Mac, Mode, NeighProxy, Options, OptionsChange, Siblings};

#[test]
fn a_slave_is_added_in_iproute2s_words() {
    let spec = plain_spec();
    adds("link add link eth0 type ipvlan", LinkSpec { name: None, ..spec.clone() });
    for line in [
        "link add link eth0 name ipvl0 type ipvlan",
        "link add link eth0 dev ipvl0 type ipvlan",
        "link add link eth0 ipvl0 type ipvlan",
        "link add ipvl0 link eth0 type ipvlan",
        "link add name ipvl0 link eth0 type ipvlan mode l3 bridge",
        "l a l eth0 ipvl0 t ipvlan m l2 m l3 b g owned h off",
    ] {
        adds(line, spec.clone());
    }
    let has = |words: &str, options| {
        let line = format!("link add link eth0 ipvl0 type ipvlan {words}");
        adds(&line, LinkSpec { options, ..plain_spec() });
    };
    has("mode l3s private", Options { mode: Mode::L3s, flag: Flag::Private, ..Options::DEFAULT });
    has("vepa", Options { flag: Flag::Vepa, ..Options::DEFAULT });
    has("guard strict host on", Options { guard: Guard::Strict, host: HostAccess::On, ..Options::DEFAULT });
    has("neigh proxy", Options { neigh: NeighProxy::Proxy, ..Options::DEFAULT });
    has("siblings direct", Options { siblings: Siblings::Direct, ..Options::DEFAULT });
    let backend = Some(Backend::Netkit);
    adds("link add link eth0 ipvl0 type ipvlan backend netkit", LinkSpec { backend, ..spec.clone() });
    let mac = Some(Mac([2, 0, 0, 0, 0, 1]));
    adds("link add link eth0 ipvl0 mtu 1400 addr 2:0:0:0:0:1 type ipvlan", LinkSpec { mtu: Some(1400), mac, ..spec });
}

#[test]
fn the_words_of_files_and_engines_are_understood() {
    let host = Options { host: HostAccess::On, ..Options::DEFAULT };
    let (mode, flag, neigh) = (Mode::L2, Flag::Private, NeighProxy::Proxy);
    for (words, options) in [
        ("host true", host),
        ("hostAccess 1", host),
        ("host_access true host on", host),
        ("ipvlan_mode l2 ipvlan_flag private neighProxy true", Options { mode, flag, neigh, ..Options::DEFAULT }),
        ("flag private mode l2 neigh_proxy true host off", Options { mode, flag, neigh, ..Options::DEFAULT }),
    ] {
        let spec = LinkSpec { options, mtu: Some(1400), ..plain_spec() };
        adds(&format!("link add parent eth0 ipvl0 com.docker.network.driver.mtu 1400 type ipvlan {words}"), spec);
    }
}

#[test]
fn a_tap_device_has_words_of_its_own() {
    let spec = |tap| LinkSpec { tap: Some(tap), ..plain_spec() };
    let add = |words: &str| format!("link add link eth0 ipvl0 type ipvtap mode l3 {words}");
    adds(&add(""), spec(Tap::default()));
    let (user, group) = (Some(Account::Id(1000)), Some(Account::Name("kvm".to_owned())));
    adds(&add("user 1000 group kvm bridge multi_queue"), spec(Tap { user, group, multi_queue: true }));
    let options = OptionsChange { flag: Some(Flag::Private), ..OptionsChange::NONE };
    sets("link set ipvl0 type ipvtap private", Change { options, ..Change::default() });
}

#[test]
fn a_netns_of_digits_is_a_process() {
    let add = |netns: &str| format!("link add link eth0 ipvl0 netns {netns} type ipvlan");
    adds(&add("ns0"), LinkSpec { netns: Some(NetnsRef::Name("ns0".to_owned())), ..plain_spec() });
    adds(&add("42"), LinkSpec { netns: Some(NetnsRef::Pid(42)), ..plain_spec() });
    adds(
        &add("/proc/42/ns/net"),
        LinkSpec { netns: Some(NetnsRef::Name("/proc/42/ns/net".to_owned())), ..plain_spec() },
    );
}

#[test]
fn only_what_is_given_changes() {
    let none = Change::default;
    sets("link set ipvl0", none());
    sets("link set dev ipvl0 up", Change { up: Some(true), ..none() });
    sets("link change ipvl0 down mtu 1400", Change { up: Some(false), mtu: Some(1400), ..none() });
    sets(
        "link set ipvl0 name a netns ns1",
        Change { name: Some("a".to_owned()), netns: Some(NetnsRef::Name("ns1".to_owned())), ..none() },
    );
    let kept = OptionsChange::NONE;
    for (words, options) in [
        ("mode l2", OptionsChange { mode: Some(Mode::L2), ..kept }),
        ("vepa", OptionsChange { flag: Some(Flag::Vepa), ..kept }),
        ("guard off host on", OptionsChange { guard: Some(Guard::Off), host: Some(HostAccess::On), ..kept }),
    ] {
        sets(&format!("link set ipvl0 type ipvlan {words}"), Change { options, ..none() });
    }
}

#[test]
fn the_other_commands_are_understood() {
    for (line, expected) in [
        ("link", r#"LinkShow { name: None, kind: None }"#),
        ("l", r#"LinkShow { name: None, kind: None }"#),
        ("link ls", r#"LinkShow { name: None, kind: None }"#),
        ("link list dev ipvl0", r#"LinkShow { name: Some("ipvl0"), kind: None }"#),
        ("link sh ipvl0 type ipvlan", r#"LinkShow { name: Some("ipvl0"), kind: Some(Ipvlan) }"#),
        ("link del ipvl0", r#"LinkDelete { name: "ipvl0" }"#),
        ("link delete dev ipvl0 type ipvlan", r#"LinkDelete { name: "ipvl0" }"#),
        ("addr", r#"AddressShow { slave: None }"#),
        ("a s dev ipvl0", r#"AddressShow { slave: Some("ipvl0") }"#),
        ("address show ipvl0", r#"AddressShow { slave: Some("ipvl0") }"#),
        ("stats", r#"Stats { name: None }"#),
        ("stats dev ipvl0", r#"Stats { name: Some("ipvl0") }"#),
        ("doctor", r#"Doctor { slave: None }"#),
        ("doctor ipvl0", r#"Doctor { slave: Some("ipvl0") }"#),
        ("set flowtable on", r#"SetFlowtable { on: true }"#),
        ("set flowtable off", r#"SetFlowtable { on: false }"#),
        ("flush", r#"FlushFlowtable"#),
        ("upgrade", r#"Upgrade { master: None, again: false }"#),
        ("upgrade eth0 again", r#"Upgrade { master: Some("eth0"), again: true }"#),
        ("agent", r#"Agent(WhileNeeded)"#),
        ("agent stay", r#"Agent(Service)"#),
        ("man", r#"Man { page: "ipvl" }"#),
        ("man target/man", r#"ManAll { dir: "target/man" }"#),
        ("completions zsh", r#"Completion { shell: Zsh }"#),
        ("completion zsh", r#"Completion { shell: Zsh }"#),
        ("complete -- link help", r#"Complete { words: ["link", "help"] }"#),
        ("help", r#"Help(All)"#),
        ("help guard", r#"Help(Word("guard"))"#),
        ("help ipvtap", r#"Help(Kind(Ipvtap))"#),
        ("", r#"Help(All)"#),
        ("link add type ipvlan help", r#"Help(Kind(Ipvlan))"#),
    ] {
        assert_eq!(format!("{:?}", parse(line).unwrap()), expected, "{line}");
    }
}

#[test]
fn declared_prefixes_are_whole() {
    for (line, addr, prefix_len) in [
        ("addr add 10.0.0.5 dev ipvl0", "10.0.0.5", 32),
        ("addr add 10.0.0.5/32 dev ipvl0", "10.0.0.5", 32),
        ("addr add dev ipvl0 local 10.1.0.0/16", "10.1.0.0", 16),
        ("addr add 0.0.0.0/0 dev ipvl0", "0.0.0.0", 0),
        ("addr add fd00::/64 dev ipvl0", "fd00::", 64),
        ("addr add ::/0 dev ipvl0", "::", 0),
    ] {
        let Command::AddressAdd(found) = parse(line).unwrap() else { panic!("{line}") };
        let addr = addr.parse::<std::net::IpAddr>().unwrap().into();
        assert_eq!(found, Declaration { slave: "ipvl0".to_owned(), addr, prefix_len }, "{line}");
    }
}

#[test]
fn questions_are_understood() {
    for (line, expected) in [
        ("explain from s0 to 10.0.0.1", "From s0 10.0.0.1 None Icmp None"),
        ("explain from s0 to 10.0.0.1 src 10.0.0.2 udp len 99", "From s0 10.0.0.1 Some(10.0.0.2) Udp Some(99)"),
        ("explain in eth0 to fd00::1 from fd00::2 tcp", "In eth0 fd00::1 Some(fd00::2) Tcp None"),
        ("e f s0 to fd00::1 ns", "From s0 fd00::1 None Ns None"),
    ] {
        let Command::Explain(Question { way, device, frame: Frame::Described(d) }) = parse(line).unwrap() else {
            panic!("{line}")
        };
        let src = d.src.map(|src| src.ip());
        assert_eq!(format!("{way:?} {device} {} {src:?} {:?} {:?}", d.to, d.protocol, d.len), expected, "{line}");
    }
    let Command::Explain(question) = parse("explain in eth0 hex 02:00 ff Ee").unwrap() else { panic!() };
    assert_eq!(question.frame, Frame::Bytes(vec![2, 0, 0xff, 0xee]));
}

#[test]
fn options_stand_first_and_may_be_shortened() {
    for (line, expected) in [
        ("-d -j link", Switches { details: true, json: true, ..Switches::default() }),
        (
            "-details -json -pretty -stats link",
            Switches { details: true, json: true, pretty: true, statistics: true, ..Switches::default() },
        ),
        (
            "-br -o -4 -c=never link",
            Switches {
                brief: true,
                oneline: true,
                family: Some(Family::V4),
                color: When::Never,
                ..Switches::default()
            },
        ),
        ("-6 --color link", Switches { family: Some(Family::V6), color: When::Always, ..Switches::default() }),
        ("--net ns0 link", Switches { netns: Some("ns0".to_owned()), ..Switches::default() }),
        (
            "-n ns0 -fo -b -",
            Switches { netns: Some("ns0".to_owned()), force: true, batch: Some("-".to_owned()), ..Switches::default() },
        ),
    ] {
        assert_eq!(command_line(&words(line)).unwrap().0, expected, "{line}");
    }
    for line in ["-V", "--version", "-Version"] {
        assert!(matches!(command_line(&words(line)), Ok((_, Some(Command::Version)))), "{line}");
    }
    assert!(matches!(command_line(&words("--help")), Ok((_, Some(Command::Help(_))))));
}

#[test]
fn a_word_that_stands_wrong_gets_the_line_that_can_be_typed() {
    for (line, meant) in [
        ("link set ipvl0 private", "ipvl link set ipvl0 type ipvlan private"),
        ("link set ipvl0 mode l3 host on mtu 1400", "ipvl link set ipvl0 mtu 1400 type ipvlan mode l3 host on"),
        ("link add link eth0 ipvl0 vepa", "ipvl link add link eth0 ipvl0 type ipvlan vepa"),
        ("link add link eth0 private", "ipvl link add link eth0 type ipvlan private"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.to_string().ends_with(&format!("stands behind the type: {meant}")), "{line}: {error}");
        assert!(parse(&meant["ipvl ".len()..]).is_ok(), "{meant}");
    }
}

#[test]
fn a_word_that_is_spelt_alike_is_named() {
    for (line, meant) in [
        ("lnik", "link"),
        ("link shwo", "show"),
        ("-jsno link", "-json"),
        ("link add link eth0 type ipvlan privaet", "private"),
        ("link add link eth0 type ipvlan gaurd strict", "guard"),
        ("link set a type ipvlan guard stirct", "strict"),
        ("link set a dwon", "down"),
        ("explain from a scr 10.0.0.1", "src"),
    ] {
        let error = command_line(&words(line)).map(|(_, command)| command).expect_err(line);
        assert!(error.to_string().ends_with(&format!(" Did you mean \"{meant}\"?")), "{line}: {error}");
    }
    assert!(!parse("link set a b").unwrap_err().to_string().contains("Did you mean"));
}

#[test]
fn a_failure_is_json_even_if_the_line_is_wrong() {
    assert!(wants_json(&words("-n ns0 -d -j -x link")) && wants_json(&words("--json foo")));
    assert!(!wants_json(&words("link -j")) && !wants_json(&words("-n -j link")) && !wants_json(&words("-- -j")));
}

/// Status and beginning of the message. The first of each group are iproute2's own, to the letter.
const REFUSED: &[(&str, u8, &str)] = &[
    ("foo", 1, "Object \"foo\" is unknown, try \"ipvl help\"."),
    ("link foo", 1, "Command \"foo\" is unknown, try \"ipvl link help\"."),
    ("-z link", 255, "Option \"-z\" is unknown, try \"ipvl -help\"."),
    ("-f link", 255, "Option \"-f\" is unknown"),
    ("-n", 255, "Command line is not complete"),
    ("link add link", 255, "Command line is not complete"),
    ("link add link eth0 type ipvlan mode", 255, "Command line is not complete"),
    ("link set ipvl0 mtu", 255, "Command line is not complete"),
    ("link set", 255, "Not enough information: \"dev\" argument is required."),
    ("link del", 255, "Not enough information: \"dev\" argument is required."),
    ("link add link eth0", 255, "Not enough information: \"type\" argument is required."),
    ("link add type ipvlan", 255, "Not enough information: \"link\" argument is required."),
    ("link del a b", 255, "Error: either \"dev\" is duplicate, or \"b\" is a garbage."),
    ("link show a b", 255, "Error: either \"dev\" is duplicate, or \"b\" is a garbage."),
    ("link add link eth0 name a name b type ipvlan", 255, "Error: duplicate \"name\": \"b\" is the second value."),
    ("link set a up down", 255, "Error: duplicate \"state\": \"down\""),
    ("link add link eth0 mtu x type ipvlan", 255, "Error: argument \"x\" is wrong: mtu must be"),
    ("link add link eth0 mtu 67 type ipvlan", 255, "Error: argument \"67\" is wrong: mtu must be"),
    ("link add link eth0 mtu 65536 type ipvlan", 255, "Error: argument \"65536\" is wrong: mtu must be"),
    (
        "link add link eth0 name aaaaaaaaaaaaaaaa type ipvlan",
        255,
        "Error: argument \"aaaaaaaaaaaaaaaa\" is wrong: \"name\" not a valid ifname",
    ),
    ("link add link eth0 name a/b type ipvlan", 255, "Error: argument \"a/b\" is wrong: \"name\" not"),
    ("link add link eth0 address 2:0:0:0:0 type ipvlan", 255, "Error: argument \"2:0:0:0:0\" is wrong: a MAC"),
    ("link add link eth0 type ipvlan mode l4", 255, "Error: argument \"l4\" is wrong: mode must be l2, l3 or l3s"),
    ("link add link eth0 type ipvlan mode 3", 255, "Error: argument \"3\" is wrong: mode must be l2, l3 or l3s"),
    ("link set a type ipvlan mode L2", 255, "Error: argument \"L2\" is wrong: mode must be l2, l3 or l3s"),
    ("link add link eth0 type ipvlan guard on", 255, "Error: argument \"on\" is wrong: guard must be"),
    ("link add link eth0 type ipvlan neigh on", 255, "Error: argument \"on\" is wrong: neigh must be proxy or off"),
    ("link set ipvl0 type ipvlan siblings on", 255, "Error: argument \"on\" is wrong: siblings must be host or direct"),
    ("link add link eth0 type ipvlan host yes", 255, "Error: argument \"yes\" is wrong: host must be on or off"),
    ("link add link eth0 type ipvlan foo", 1, "ipvlan: unknown option \"foo\"?\nUsage: ... ipvlan "),
    ("link add link eth0 type ipvlan name a", 1, "ipvlan: unknown option \"name\"?"),
    ("link add link eth0 type ipvlan bridge private", 1, "ipvlan: unknown option \"private\"? Only one of"),
    ("link set a type ipvlan vepa private", 1, "ipvlan: unknown option \"private\"? Only one of"),
    ("link add link eth0 type ipvlan user kvm", 1, "ipvlan: unknown option \"user\"?"),
    ("link set a type ipvtap user kvm", 1, "ipvtap: unknown option \"user\"?\nUsage: ... ipvtap "),
    ("link add link eth0 type ipvtap user 4294967295", 255, "Error: argument \"4294967295\" is wrong: a user"),
    ("link add link eth0 type macvlan", 255, "Error: argument \"macvlan\" is wrong: type must be ipvlan"),
    ("link add link eth0 txqueuelen 5 type ipvlan", 255, "Error: \"txqueuelen\" is not for ipvl"),
    ("link add master eth0 type ipvlan", 255, "Error: \"master\" is not for ipvl"),
    ("link add link eth0 parent eth1 type ipvlan", 255, "Error: duplicate \"link\": \"eth1\""),
    (
        "link set a type ipvlan flag open",
        255,
        "Error: argument \"open\" is wrong: flag must be bridge, private or vepa",
    ),
    ("link set a type ipvlan vepa flag private", 1, "ipvlan: unknown option \"flag\"? Only one of"),
    ("link set a arp off", 255, "Error: \"arp\" is not for ipvl"),
    ("link set a address 2:0:0:0:0:1", 255, "Error: \"address\" cannot be set"),
    ("addr add foo dev a", 1, "Error: any valid prefix is expected rather than \"foo\"."),
    ("addr add 1.2.3.4/33 dev a", 1, "Error: any valid prefix is expected rather than \"1.2.3.4/33\"."),
    ("addr add ::ffff:1.2.3.4/128 dev a", 1, "Error: any valid prefix is expected"),
    (
        "addr add 10.0.0.5/24 dev a",
        255,
        "Error: argument \"10.0.0.5/24\" is wrong: give 10.0.0.0/24 for the whole prefix",
    ),
    ("addr add 10.0.0.5", 255, "Not enough information: \"dev\" argument is required."),
    ("doctor ipvl0 now", 255, "Error: either \"dev\" is duplicate, or \"now\" is a garbage."),
    ("explain from a", 255, "Not enough information: \"to\" argument is required."),
    ("explain from a to b", 255, "Error: argument \"b\" is wrong: any valid address is expected"),
    ("explain from a to fd00::1 arp", 255, "Error: fd00::1 has the wrong address family for this \"arp\" frame."),
    (
        "explain from a to 10.0.0.1 src fd00::1",
        255,
        "Error: fd00::1 has the wrong address family for this \"icmp\" frame.",
    ),
    ("explain from a hex 0", 255, "Error: argument \"0\" is wrong: hex wants"),
    ("explain from a to 10.0.0.1 hex 00", 255, "Error: \"hex\" gives the whole frame: omit \"to\"."),
    ("explain from a to 10.0.0.1 udp tcp", 255, "Error: duplicate \"protocol\": \"tcp\""),
    ("metrics --listen x", 255, "Error: argument \"x\" is wrong: a port, or an address and a port"),
    ("completion csh", 255, "Error: \"csh\" is garbage"),
];

#[test]
fn what_is_wrong_is_said_as_iproute2_says_it() {
    for (line, status, message) in REFUSED {
        let error = command_line(&words(line)).map(|(_, command)| command).expect_err(line);
        assert!(error.to_string().starts_with(message), "{line}: {error}");
        assert_eq!(error.status(), *status, "{line}: {error}");
    }
}

#[track_caller]
fn adds(line: &str, expected: LinkSpec) {
    let Command::LinkAdd(spec) = parse(line).unwrap() else { panic!("{line}") };
    assert_eq!(spec, expected, "{line}");
}

#[test]
fn rates_are_given_for_each_way() {
    let limit = |text| rate::parse(text).expect("a rate");
    let rates = Rates { input: limit("100mbit burst 256kb"), output: limit("1gbit") };
    let add = "link add link eth0 ipvl0 rate in 100mbit burst 256kb out 1gbit type ipvlan";
    adds(add, LinkSpec { rates, ..plain_spec() });
    let change = |input, output| Change { rates: RatesChange { input, output }, ..Change::default() };
    sets("link set ipvl0 rate in off", change(Some(None), None));
    sets("link set ipvl0 rate out 1gbit up", Change { up: Some(true), ..change(None, Some(limit("1gbit"))) });
    for (words, why) in [
        ("rate", "Command line is not complete"),
        ("rate up", "Command line is not complete"),
        ("rate in", "Command line is not complete"),
        ("rate in 1mbit burst", "Command line is not complete"),
        ("rate in quick", "rate must be in tc's units"),
        ("rate in 1mbit in 2mbit", "duplicate"),
    ] {
        let error = parse(&format!("link set ipvl0 {words}")).expect_err(words).to_string();
        assert!(error.contains(why), "{words}: {error}");
    }
}

#[track_caller]
fn sets(line: &str, expected: Change) {
    let Command::LinkSet { name, change } = parse(line).unwrap() else { panic!("{line}") };
    assert_eq!((name.as_str(), change), ("ipvl0", expected), "{line}");
}

fn plain_spec() -> LinkSpec {
    LinkSpec {
        master: "eth0".to_owned(),
        name: Some("ipvl0".to_owned()),
        options: Options {
            mode: Mode::L3,
            flag: Flag::Bridge,
            guard: Guard::Owned,
            host: HostAccess::Off,
            neigh: NeighProxy::Off,
            dhcp: Dhcp::On,
            siblings: Siblings::Host,
        },
        mtu: None,
        mac: None,
        rates: Rates::default(),
        netns: None,
        tap: None,
        backend: None,
    }
}

fn parse(line: &str) -> Result<Command, UsageError> {
    command(&words(line))
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}
