//! Does the JSON schema that is kept say what the reader of files does?

use ipvl_control::apply::{read, schema};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What a table can have besides its master and its name.
const GOOD: &[&str] = &[
    "",
    "mode = \"l3s\"",
    "mtu = 68",
    "addresses = []",
    "netns = \"a\"",
    "type = \"ipvtap\"\nmulti_queue = true",
    "host = true",
    "host = \"on\"",
    "host_access = \"false\"",
    "hostAccess = \"1\"",
    "neighProxy = true",
    "ipvlan_mode = \"l2\"\nipvlan_flag = \"vepa\"",
    "\"com.docker.network.driver.mtu\" = 1400",
    "routes = [{ to = \"default\", via = \"10.0.0.1\" }, { to = \"fd00::/8\", metric = 1, onlink = false }]",
    "netns = \"a\"\nroutes = [{ to = \"10.0.0.0/8\", type = \"blackhole\", table = 7, mtu = 1400 }]",
    "netns = \"a\"\nrules = [{ priority = 1, table = 7, from = \"10.0.0.1\", family = \"ipv4\", iif = \"lo\" }]",
    "policy = { in = \"drop\", out = \"accept\", rules = [\"in tcp dport 443 accept\", \"in from label a,b accept;\"] }",
    "policy = {}",
    "policy = \"in drop rules in tcp dport 443 accept, in from host accept\"",
    "policy = \"\"\"\n  in drop;\n  rules\n    in tcp dport 443 accept\n    out drop\n\"\"\"",
    "policy = \"off\"",
    "labels = [\"web\", \"db:1\"]",
    "labels = \"web, db\"",
    "sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = 2, \"net.ipv6.conf.IFNAME.accept_ra\" = \"0\" }",
];

/// What it cannot have.
const BAD: &[&str] = &[
    "mode = \"L2\"",
    "flag = \"none\"",
    "guard = true",
    "host = \"yes\"",
    "host = 1",
    "hostAccess = \"yes\"",
    "neigh = \"on\"",
    "mode = \"l2\"\nipvlan_mode = \"l2\"",
    "mtu = 1400\n\"com.docker.network.driver.mtu\" = 1400",
    "parent = \"eth0\"",
    "mtu = 67",
    "mtu = 65536",
    "mtu = 1.5",
    "netns = \"a/b\"",
    "netns = \"\"",
    "addresses = \"10.0.0.1\"",
    "addresses = [\"ten\"]",
    "declared = [10]",
    "type = \"macvlan\"",
    "user = 7",
    "speed = 1",
    "routes = [{ via = \"10.0.0.1\" }]",
    "routes = [{ to = \"all\" }]",
    "routes = [{ to = \"10.0.0.0/8\", type = \"local\" }]",
    "routes = [{ to = \"10.0.0.0/8\", mtu = 65535 }]",
    "routes = [{ to = \"10.0.0.0/8\", table = 0 }]",
    "rules = [{ priority = 1 }]",
    "rules = [{ priority = 0, table = 7 }]",
    "netns = \"a\"\nrules = [{ priority = 1, table = 7, family = \"inet\" }]",
    "sysctls = { \"net.ipv4.conf.IFNAME.rp_filter\" = true }",
    "policy = { in = \"reject\" }",
    "policy = { input = \"drop\" }",
    "policy = { rules = \"in accept\" }",
    "policy = { rules = [\"in tcp dport 443\"] }",
    "policy = [\"in drop\"]",
    "policy = true",
    "policy = \"drop\"",
    "labels = [\"a b\"]",
    "labels = [\"\"]",
    "labels = [1]",
    "labels = \"a;b\"",
];

#[test]
fn the_schema_that_is_kept_is_the_readers() {
    let path = deploy().join("ipvl.schema.json");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, schema()).expect("write the schema");
    }
    let kept = fs::read_to_string(path).expect("deploy/ipvl.schema.json");
    assert_eq!(kept, schema(), "run this test with BLESS=1");
}

#[test]
fn the_examples_are_good_by_both() {
    let mut seen = 0;
    for entry in fs::read_dir(deploy().join("examples")).expect("deploy/examples").flatten() {
        let text = fs::read_to_string(entry.path()).expect("an example");
        assert!(agreed(&text), "{}", entry.path().display());
        seen += 1;
    }
    assert!(seen > 1, "{seen} examples");
}

#[test]
fn what_one_refuses_the_other_refuses() {
    let link = |rest: &str| format!("[[link]]\nmaster = \"eth0\"\nname = \"a\"\n{rest}\n");
    for rest in GOOD {
        assert!(agreed(&link(rest)), "{rest}");
    }
    for rest in BAD {
        assert!(!agreed(&link(rest)), "{rest}");
    }
    for text in ["[[link]]\nname = \"a\"", "[[link]]\nmaster = \"eth0\"", "[[netns]]", "[netns]\nname = \"a\"", "x = 1"]
    {
        assert!(!agreed(text), "{text}");
    }
    for text in ["[[link]]\nparent = \"eth0\"\nname = \"a\"", "[[link]]\nlink = \"eth0\"\nname = \"a\""] {
        assert!(agreed(text), "{text}");
    }
    let long = format!("[[link]]\nmaster = \"eth0\"\nname = \"{}\"", "a".repeat(16));
    assert!(!agreed(&long), "a name that no device can have");
}

/// Whether both take a text; fails unless they are of one mind.
#[track_caller]
fn agreed(text: &str) -> bool {
    let instance: Value = toml::from_str(text).expect("TOML");
    let schema: Value = serde_json::from_str(&schema()).expect("JSON");
    let valid = jsonschema::is_valid(&schema, &instance);
    let read = read([("file", text)]);
    assert_eq!(valid, read.is_ok(), "the schema says {valid}, the reader {read:?} of\n{text}");
    valid
}

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}
