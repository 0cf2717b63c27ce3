//! Does the plan do what is missing and nothing else, and are impossible files refused?

use super::*;
use crate::apply::{Inside, read};
use crate::model::Backend;
use crate::place::{NsId, Place};
use crate::policy_words::{PolicyKeys, spec};
use crate::rate::Rates;
use ipvl_core::{Dhcp, Flag, Guard, HostAccess, IfIndex, Mode, NeighProxy, Options, OptionsChange, Siblings};

const ETH0: IfIndex = IfIndex(2);
const OPTIONS: Options = Options { mode: Mode::L2, ..Options::DEFAULT };

#[test]
fn what_is_not_there_is_made_and_a_second_time_nothing_is_done() {
    let desired =
        desired("[[netns]]\nname = \"new\"\n", &["name = \"a\"\nnetns = \"new\"\naddresses = [\"10.0.0.1/24\"]"]);
    let first = plan(&desired, &actual(vec![]), false).expect("a plan");
    assert_eq!((first.netns.len(), shape(&first)), (1, "make a".to_owned()));
    let there = ActualLink { netns: Some("new".to_owned()), addresses: set("10.0.0.1/24"), ..slave(7, "a") };
    let mut after = actual(vec![there]);
    after.netns.insert("new".to_owned());
    let second = plan(&desired, &after, false).expect("a plan");
    assert!(second.is_empty() && second.unchanged == 1, "{second:?}");
}

#[test]
fn what_can_be_changed_in_place_is() {
    let text = "name = \"a\"\nflag = \"vepa\"\nhost = true\nmtu = 1400\nup = false\nneigh = \"proxy\"\nsiblings = \"direct\"\ndhcp = \"off\"\nguard = \"off\"";
    let plan = plan(&desired("", &[text]), &actual(vec![slave(7, "a")]), false).expect("a plan");
    let [Step::Change(difference)] = &plan.steps[..] else { panic!("{plan:?}") };
    let options = OptionsChange {
        mode: None,
        flag: Some(Flag::Vepa),
        guard: Some(Guard::Off),
        host: Some(HostAccess::On),
        neigh: Some(NeighProxy::Proxy),
        dhcp: Some(Dhcp::Off),
        siblings: Some(Siblings::Direct),
    };
    let expected = Change { options, mtu: Some(1400), up: Some(false), ..Change::default() };
    assert_eq!(difference.change, expected);
}

#[test]
fn addresses_are_those_of_the_file_if_it_has_any() {
    let there = ActualLink { addresses: set("10.0.0.1/24"), declared: set("10.1.0.0/16"), ..slave(7, "a") };
    let diff = |text: &str| {
        let plan = plan(&desired("", &[text]), &actual(vec![there.clone()]), false).expect("a plan");
        plan.steps.first().map(|step| match step {
            Step::Change(difference) => (difference.addresses.clone(), difference.declared.clone()),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(diff("name = \"a\""), None);
    let (addresses, declared) = diff("name = \"a\"\naddresses = [\"10.0.0.2/24\"]\ndeclared = []").expect("a change");
    assert_eq!((addresses.add, addresses.remove), (set("10.0.0.2/24"), set("10.0.0.1/24")));
    assert_eq!((declared.add, declared.remove), (BTreeSet::new(), set("10.1.0.0/16")));
}

#[test]
fn a_slave_is_known_wherever_it_was_moved_and_comes_back_if_the_file_says_where() {
    let moved = |owner: &str| ActualLink {
        owner: Some(owner.to_owned()),
        local: false,
        netns: Some("other".to_owned()),
        name: Some("eth0".to_owned()),
        ..slave(7, "")
    };
    let anywhere = plan(&desired("", &["name = \"a\""]), &actual(vec![moved("apply /a")]), false).expect("a plan");
    let [Step::Change(difference)] = &anywhere.steps[..] else { panic!("{anywhere:?}") };
    assert_eq!(difference.change, Change { name: Some("a".to_owned()), ..Change::default() });
    let text = "name = \"eth0\"\nnetns = \"web\"";
    let fixed = plan(&desired("", &[text]), &actual(vec![moved("apply web/eth0")]), false).expect("a plan");
    let [Step::Change(difference)] = &fixed.steps[..] else { panic!("{fixed:?}") };
    let home = Some(NetnsRef::Name("web".to_owned()));
    assert_eq!(difference.change, Change { netns: home, up: Some(true), ..Change::default() });
}

#[test]
fn routes_that_differ_are_replaced_and_only_those() {
    let inside = |text: &str| desired("", &[&format!("name = \"a\"\nnetns = \"web\"\n{text}")]).links.remove(0).inside;
    let text = "routes = [{ to = \"default\", via = \"10.0.0.1\" }, { to = \"10.1.0.0/16\", type = \"blackhole\" }]";
    let given = "routes = [{ to = \"default\", via = \"10.0.0.2\" }, { to = \"10.2.0.0/16\" }]\nrules = [{ priority = 1, table = 7 }]";
    let there = ActualLink { local: false, netns: Some("web".to_owned()), inside: inside(given), ..slave(7, "a") };
    let named = |was: ActualLink| ActualState { netns: ["web".to_owned()].into(), ..actual(vec![was]) };
    let diff = |text: &str, was: &ActualLink| {
        let wanted = desired("", &[&format!("name = \"a\"\nnetns = \"web\"\n{text}")]);
        let plan = plan(&wanted, &named(was.clone()), false).expect("a plan");
        plan.steps.first().map(|step| match step {
            Step::Change(difference) => difference.inside.clone(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(diff(given, &there), None);
    let changed = diff(text, &there).expect("a change");
    let lines = |inside: &Inside| inside.routes.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(lines(&changed.add), ["0.0.0.0/0 via 10.0.0.1", "blackhole 10.1.0.0/16"]);
    assert_eq!(lines(&changed.replaced), ["0.0.0.0/0 via 10.0.0.2"]);
    assert_eq!((lines(&changed.gone()), changed.gone().rules.len()), (vec!["10.2.0.0/16".to_owned()], 1));
    let elsewhere = ActualLink { owner: Some("apply web/a".to_owned()), netns: Some("db".to_owned()), ..there };
    let moved = diff(text, &elsewhere).expect("a change");
    assert_eq!(
        (moved.add.clone(), moved.gone()),
        (inside(text), Inside { rules: inside(given).rules, ..Inside::default() })
    );
}

#[test]
fn only_what_came_from_files_is_pruned_and_only_if_asked() {
    let owned =
        |host_end, name: &str, owner: &str| ActualLink { owner: Some(owner.to_owned()), ..slave(host_end, name) };
    let slaves = vec![owned(7, "a", "apply /a"), owned(8, "b", "apply /b"), owned(9, "c", "cni n x"), slave(10, "d")];
    let desired = desired("", &["name = \"a\""]);
    assert_eq!(shape(&plan(&desired, &actual(slaves.clone()), true).expect("a plan")), "delete b");
    assert!(plan(&desired, &actual(slaves), false).expect("a plan").is_empty());
}

#[test]
fn an_address_goes_from_one_slave_to_another_in_one_go() {
    let first = ActualLink { addresses: set("10.0.0.1/24"), ..slave(7, "a") };
    let mut actual = actual(vec![first]);
    actual.owners.insert((ETH0, Addr::v4([10, 0, 0, 1]), 32), Some(Place::here(IfIndex(7))));
    let heir = "name = \"b\"\naddresses = [\"10.0.0.1/24\"]";
    let given = plan(&desired("", &["name = \"a\"\naddresses = []", heir]), &actual, false).expect("a plan");
    assert_eq!(shape(&given), "change a, make b");
    let kept = plan(&desired("", &["name = \"a\"", heir]), &actual, false).expect_err("a keeps it");
    assert_eq!(kept.to_string(), "f: [[link]] 2 \"b\": addresses: 10.0.0.1 belongs to a");
    actual.owners.insert((ETH0, Addr::v4([10, 0, 0, 1]), 32), None);
    let hosts = plan(&desired("", &["name = \"a\"\naddresses = []", heir]), &actual, false).expect_err("the host's");
    assert!(hosts.to_string().ends_with("10.0.0.1 belongs to the host"), "{hosts}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_done() {
    let at_another = ActualLink { master: (IfIndex(3), "eth1".to_owned()), ..slave(7, "a") };
    let engines = ActualLink { owner: Some("docker n e".to_owned()), ..slave(7, "a") };
    let tap = ActualLink { kind: Kind::Ipvtap, ..slave(7, "a") };
    let hidden = ActualLink { name: None, owner: Some("apply /a".to_owned()), ..slave(7, "a") };
    for (text, slaves, expected) in [
        (
            "name = \"a\"",
            vec![at_another],
            "master: it is a slave of eth1, and that cannot be changed: `ipvl link del ipvlh7`, then apply again",
        ),
        ("name = \"a\"", vec![engines], "name: there is a slave of that name and netns, which belongs to docker n e"),
        ("name = \"a\"", vec![tap], "type: it is an ipvtap device"),
        ("name = \"a\"", vec![hidden], "name: the slave's network namespace cannot be entered"),
        ("name = \"a\"\nbackend = \"netkit\"", vec![slave(7, "a")], "backend: it is of another backend"),
        ("name = \"a\"\nnetns = \"nowhere\"", vec![], "netns: there is no network namespace nowhere: make it"),
        ("name = \"a\"\nmtu = 9000", vec![], "mtu: a slave's mtu cannot be larger than the master's, 1500"),
    ] {
        let error = plan(&desired("", &[text]), &actual(slaves), false).expect_err(text).to_string();
        assert!(error.starts_with(&format!("f: [[link]] 1 \"a\": {expected}")), "{error}");
    }
    let nowhere = ActualState::default();
    let error = plan(&desired("", &["name = \"a\""]), &nowhere, false).expect_err("no master").to_string();
    assert_eq!(error, "f: [[link]] 1 \"a\": master: there is no link eth0 here; `ip link` lists the links");
}

#[test]
fn a_slave_of_the_module_is_told_from_others_of_its_name() {
    let in_module = |netns: i32, owner: &str| ActualLink {
        place: Place { netns: Some(NsId(netns)), ifindex: IfIndex(5) },
        owner: Some(format!("apply {owner}")),
        local: false,
        netns: Some(if netns == 1 { "web" } else { "db" }.to_owned()),
        backend: Some(Backend::Kernel),
        options: OPTIONS,
        ..slave(5, "eth0")
    };
    let state = || {
        let both = actual(vec![in_module(0, "web/eth0"), in_module(1, "web/eth0")]);
        ActualState { netns: BTreeSet::from(["web".to_owned(), "db".to_owned()]), ..both }
    };
    let kept = desired("", &["name = \"eth0\"\nnetns = \"web\""]);
    let same = plan(&kept, &state(), true).expect("a plan");
    assert_eq!((same.unchanged, shape(&same)), (1, "delete eth0".to_owned()));
    let Step::Delete(gone) = &same.steps[0] else { panic!("{same:?}") };
    assert_eq!(gone.place.netns, Some(NsId(0)));
    let asked =
        plan(&desired("", &["name = \"eth0\"\nnetns = \"web\"\ndhcp = \"off\""]), &state(), false).expect("a plan");
    let Step::Change(difference) = &asked.steps[0] else { panic!("{asked:?}") };
    assert_eq!(difference.change.options, OptionsChange { dhcp: Some(Dhcp::Off), ..OptionsChange::NONE });
    let declared = desired("", &["name = \"eth0\"\nnetns = \"web\"\ndeclared = [\"10.9.0.0/24\"]"]);
    let declared = plan(&declared, &state(), false).expect("a plan");
    let Step::Change(difference) = &declared.steps[0] else { panic!("{declared:?}") };
    assert_eq!(difference.declared.add, BTreeSet::from([(Addr::v4([10, 9, 0, 0]), 24)]));
}

#[test]
fn the_flowtable_is_turned_on_or_off_if_a_file_says_so_and_files_cannot_disagree() {
    for (text, is, to_do) in [
        ("", None, None),
        ("flowtable = true", Some(true), None),
        ("flowtable = true", Some(false), Some(true)),
        ("flowtable = false", Some(true), Some(false)),
    ] {
        let actual = ActualState { flowtable: is, ..actual(Vec::new()) };
        let plan = plan(&desired(text, &[]), &actual, false).expect("a plan");
        assert_eq!((plan.flowtable, plan.is_empty()), (to_do, to_do.is_none()), "{text}");
    }
    let error = read([("a", "flowtable = true"), ("b", ""), ("c", "flowtable = false")]).expect_err("they disagree");
    assert_eq!(error.to_string(), "c: flowtable: it is false here, and true in a file before");
}

#[test]
fn a_policy_is_what_the_file_says_whatever_its_siblings_are_called() {
    let policed = |text: &str, labels: &[&str]| PolicyKeys {
        policy: spec(text).expect("a policy"),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let with = |name: &str, policy| ActualLink { policy, ..slave(if name == "a" { 7 } else { 8 }, name) };
    let there = |keys| actual(vec![with("a", keys), with("b", PolicyKeys::default())]);
    let file = |first: &str| desired("", &[&format!("name = \"a\"\n{first}"), "name = \"b\""]);
    let same = file("policy = { in = \"drop\", rules = [\"in from slave b accept\"] }\nlabels = [\"x\", \"y\"]");
    let unchanged = |keys| plan(&same, &there(keys), false).expect("a plan").is_empty();
    assert!(unchanged(policed("in drop rules in from slave b accept", &["y", "x"])));
    assert!(unchanged(policed("in drop rules in from slave ipvlh8 accept", &["x", "y"])), "by its host end");
    assert!(!unchanged(policed("in drop rules in from slave b accept", &["x"])), "a label");
    assert!(!unchanged(policed("in drop out drop rules in from slave b accept", &["x", "y"])), "a default");
    assert!(!unchanged(policed("in drop", &["x", "y"])), "a rule");
    let by_hand = there(policed("in drop", &[]));
    let [Step::Change(difference)] = &plan(&file(""), &by_hand, false).expect("a plan").steps[..] else {
        panic!("what was set by hand goes")
    };
    assert_eq!(difference.policy.as_ref().map(|diff| &diff.new), Some(&PolicyKeys::default()));
    let another = "name = \"c\"\nnetns = \"web\"\npolicy = \"rules in from slave b accept\"";
    let strays = ActualLink { owner: Some("apply /b".to_owned()), ..slave(8, "stray") };
    let made = plan(&desired("", &["name = \"b\"", another]), &actual(vec![strays]), false).expect("a plan");
    let Some(Step::Make(made)) = made.steps.last() else { panic!("one to make") };
    assert_eq!(made.policy, policed("rules in from slave ipvlh8 accept", &[]), "it gets its name back only later");
}

#[test]
fn a_rule_about_nobody_or_about_several_is_refused_where_it_stands() {
    let refused = |links: &[&str], there: Vec<ActualLink>| {
        plan(&desired("", links), &actual(there), false).expect_err("refused").to_string()
    };
    let asks = "name = \"a\"\npolicy = \"rules in from slave b accept\"";
    let told = refused(&[asks], vec![]);
    assert_eq!(told, "f: [[link]] 1 \"a\": policy: a rule names b, which is no slave of eth0");
    let elsewhere = ActualLink { master: (IfIndex(3), "eth1".to_owned()), ..slave(8, "b") };
    assert!(refused(&[asks], vec![elsewhere]).contains("no slave of eth0"));
    let several = refused(&[asks, "name = \"b\"", "name = \"b\"\nnetns = \"web\""], vec![]);
    assert!(several.contains("several slaves have that name"), "{several}");
    let in_module = ActualLink { backend: Some(Backend::Kernel), ..slave(7, "a") };
    let told = refused(&["name = \"a\"\nlabels = \"web\""], vec![in_module]);
    assert!(told.starts_with("f: [[link]] 1 \"a\": labels: it is a slave of the kernel module"), "{told}");
}

fn desired(start: &str, links: &[&str]) -> DesiredState {
    let table = |link: &&str| format!("[[link]]\nmaster = \"eth0\"\nmode = \"l2\"\n{link}\n");
    let text = start.to_owned() + &links.iter().map(table).collect::<String>();
    read([("f", text.as_str())]).expect("a good file")
}

fn actual(slaves: Vec<ActualLink>) -> ActualState {
    ActualState {
        slaves,
        masters: BTreeMap::from([("eth0".to_owned(), (ETH0, 1500))]),
        netns: BTreeSet::from(["web".to_owned()]),
        owners: BTreeMap::new(),
        left: BTreeMap::new(),
        flowtable: None,
    }
}

/// One beside its master.
fn slave(host_end: u32, name: &str) -> ActualLink {
    ActualLink {
        place: Place::here(IfIndex(host_end)),
        owner: None,
        name: Some(name.to_owned()),
        local: true,
        netns: None,
        kind: Kind::Ipvlan,
        backend: Some(Backend::Veth),
        master: (ETH0, "eth0".to_owned()),
        host_end: (IfIndex(host_end), format!("ipvlh{host_end}")),
        options: OPTIONS,
        rates: Rates::default(),
        policy: PolicyKeys::default(),
        mtu: 1500,
        up: true,
        addresses: BTreeSet::new(),
        device: Some(Place::here(IfIndex(host_end))),
        inside: Inside::default(),
        declared: BTreeSet::new(),
    }
}

fn set(network: &str) -> BTreeSet<(Addr, u8)> {
    BTreeSet::from([crate::text::network(network).expect("an address")])
}

fn shape(plan: &Plan) -> String {
    let word = |step: &Step| match step {
        Step::Delete(slave) => format!("delete {}", slave.called()),
        Step::Change(difference) => format!("change {}", difference.desired.name),
        Step::Make(link) => format!("make {}", link.name),
    };
    plan.steps.iter().map(word).collect::<Vec<_>>().join(", ")
}
