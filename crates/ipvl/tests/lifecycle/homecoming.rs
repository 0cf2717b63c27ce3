//! Does a master that returns from another netns with another ifindex find its slaves again?

use ipvl_testbed::{Lab, Netns, ipvl_path, require_root};

use crate::common::{agents, exec, kill_agent, link_value, run, soon, start_agent};

/// Slaves in l2 and l3s, and a netns in which the master's ifindex is taken.
struct Journey {
    lab: Lab,
    elsewhere: Netns,
}

impl Journey {
    fn new(hook: &str) -> Self {
        let lab = Lab::new(2);
        for (n, mode) in ["l2", "l3s"].into_iter().enumerate() {
            let ipvl = ipvl_path();
            let ipvl = ipvl.display();
            run(
                &lab.host,
                &format!("env IPVL_HOOK={hook} {ipvl} link add link eth0 name ipvl{n} type ipvlan mode {mode}"),
            );
            run(&lab.host, &format!("ip link set ipvl{n} netns {}", lab.slaves[n].name()));
            run(&lab.slaves[n], &format!("ip addr add 10.0.0.1{n}/24 dev ipvl{n}"));
            run(&lab.slaves[n], &format!("ip link set ipvl{n} up"));
        }
        run(&lab.ext, "ip route add 10.0.0.11/32 via 10.0.0.1");
        let elsewhere = Netns::new("elsewhere");
        let number = link_value(&lab.host, "eth0", "ifindex");
        run(&elsewhere, &format!("ip link add name bystander index {number} type veth peer name other index 999"));
        let journey = Self { lab, elsewhere };
        journey.expect_traffic();
        journey
    }

    fn leave(&self) {
        run(&self.lab.host, &format!("ip link set eth0 netns {}", self.elsewhere.name()));
        soon("the slaves know", || self.lab.ipvl("link show").matches("its master has left").count() == 2);
    }

    fn come_back(&self) {
        let before = link_value(&self.elsewhere, "bystander", "ifindex");
        run(&self.elsewhere, &format!("ip link set eth0 netns {}", self.lab.host.name()));
        assert_ne!(link_value(&self.lab.host, "eth0", "ifindex"), before, "it has another number");
        run(&self.lab.host, "ip addr add 10.0.0.1/24 dev eth0");
        run(&self.lab.host, "ip link set eth0 up");
    }

    #[track_caller]
    fn expect_traffic(&self) {
        let lab = &self.lab;
        soon("from outside", || lab.pings(&lab.ext, "10.0.0.10"));
        soon("from outside to l3s", || lab.pings(&lab.ext, "10.0.0.11"));
        soon("to the outside", || lab.pings(&lab.slaves[1], "10.0.0.254"));
    }

    #[track_caller]
    fn expect_home(&self) {
        soon("nothing is degraded", || !self.lab.ipvl("link show").contains("degraded"));
        self.expect_traffic();
        let number = link_value(&self.lab.host, "eth0", "ifindex");
        let alias = link_value(&self.lab.host, "ipvlh0", "ifalias").to_string();
        assert!(alias.contains(&format!("master={number} ")), "{alias}");
        self.lab.ipvl("link add link eth0 name ipvl2 type ipvlan mode l3");
        for n in 0..3 {
            self.lab.ipvl(&format!("link del ipvl{n}"));
        }
        assert!(agents(&self.lab.host).is_empty());
    }
}

#[test]
fn a_master_that_returns_under_another_number_is_known_again() {
    require_root!();
    for hook in ["tcx", "clsact"] {
        let journey = Journey::new(hook);
        journey.leave();
        journey.come_back();
        journey.expect_home();
    }
}

#[test]
fn so_it_is_by_an_agent_that_was_not_there() {
    require_root!();
    ipvl_testbed::require_kernel!("6.6", "tcx, by which the program stays with its device,");
    let journey = Journey::new("tcx");
    journey.leave();
    kill_agent(&journey.lab.host);
    journey.come_back();
    let doctor = journey.lab.try_ipvl("doctor").stdout;
    assert_eq!(doctor.matches("start the agent").count(), 2, "{doctor}");
    let mut agent = start_agent(&journey.lab.host);
    journey.expect_home();
    assert!(agent.wait().expect("wait for the agent").success());
}

/// Its program went with the clsact, and the agent that knew it is gone.
#[test]
fn where_nobody_can_help_the_doctor_says_so() {
    require_root!();
    let journey = Journey::new("clsact");
    journey.leave();
    kill_agent(&journey.lab.host);
    let doctor = journey.lab.try_ipvl("doctor").stdout;
    assert_eq!(doctor.matches("bring the master back").count(), 2, "{doctor}");
    run(&journey.elsewhere, &format!("ip link set eth0 netns {}", journey.lab.host.name()));
    for n in 0..2 {
        journey.lab.ipvl(&format!("link del ipvlh{n}"));
    }
    assert!(!run(&journey.lab.host, "ip -br link").contains("ipvlh"));
}

/// A master of another netns brings a table along that is not about slaves here.
#[test]
fn the_agent_of_a_netns_that_it_visits_leaves_it_alone() {
    require_root!();
    let journey = Journey::new("tcx");
    let at_home = &journey.elsewhere;
    run(at_home, "ip link set bystander up");
    run(at_home, &format!("{} link add link other name own type ipvlan mode l2", ipvl_path().display()));
    journey.leave();
    kill_agent(at_home);
    let mut agent = start_agent(at_home);
    soon("it has read everything", || {
        exec(at_home, &format!("{} doctor", ipvl_path().display())).stdout.contains("runs as")
    });
    run(at_home, &format!("{} link add link other name more type ipvlan mode l2", ipvl_path().display()));
    journey.come_back();
    journey.expect_home();
    for name in ["own", "more"] {
        run(at_home, &format!("{} link del {name}", ipvl_path().display()));
    }
    assert!(agent.wait().expect("wait for the agent").success());
}
