//! Does the HOWTO's example work exactly as it is printed there?

use std::io::Write as _;
use std::process::Stdio;

use ipvl_testbed::{Lab, ipvl_path, require_root};

use crate::common::{expect_as_before, run, traces};

const TYPED: &str = include_str!("../data/howto.txt");
/// The example's names are short and may be taken, so it runs with names of its own in a mount namespace of its own.
const PRIVATE: &str = "mount -t tmpfs none /run && mkdir /run/netns && exec bash";
const CHECKS: &str = "
ip netns exec ns0 ping -n -c 2 -i 0.05 -W 1 10.0.0.11
ip netns exec ns1 ping -n -c 2 -i 0.05 -W 1 10.0.0.10
ip netns exec ns0 ping -n -c 2 -i 0.05 -W 1 10.0.0.254
ip netns exec ns1 ping -n -c 2 -i 0.05 -W 1 192.0.2.1
ip netns exec ns0 ping -n -c 1 -W 1 127.0.0.1
! ip netns exec ns0 ping -n -c 1 -W 1 10.0.0.1
ipvl -d link show
ip netns del ns0
ip netns del ns1
";

#[test]
fn the_howtos_example_works_as_it_stands() {
    require_root!();
    let lab = Lab::new(0);
    run(&lab.ext, "ip addr add 192.0.2.1/32 dev lo");
    let before = traces(&lab.host);
    let mut command = lab.host.command(["unshare", "-m", "bash", "-c", PRIVATE]);
    // Every shell, also the one that the example opens, ends at the first failure and shows what it runs.
    command.env("SHELLOPTS", "errexit:xtrace").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut typing = command.spawn().expect("start a shell");
    typing.stdin.take().expect("its input").write_all(session().as_bytes()).expect("type");
    let output = typing.wait_with_output().expect("wait for the shell");
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{told}");
    expect_as_before(&lab.host, &before);
}

/// A pipe, so that each shell reads no further than its own lines.
fn session() -> String {
    let ipvl = ipvl_path().display().to_string();
    let typed: String = TYPED.lines().filter(|line| !line.starts_with('#')).map(|line| adapted(line, &ipvl)).collect();
    typed + &CHECKS.replace("\nipvl ", &format!("\n{ipvl} "))
}

fn adapted(line: &str, ipvl: &str) -> String {
    match line.strip_prefix("ip ") {
        Some(rest) if rest.contains("type ipvlan") => format!("{ipvl} {rest}\n"),
        _ => format!("{line}\n"),
    }
}
