//! Is the table right in the end when a slave's addresses change all the time, and are others served meanwhile?

use std::thread;

use ipvl_testbed::{Lab, require_root};

use crate::common::{run, shell, soon};

/// Far more changes than a slave is read again without a pause.
const CHANGES: u32 = 20_000;

#[test]
fn the_last_state_of_a_slave_that_flaps_is_seen_and_others_do_not_wait() {
    require_root!();
    let lab = Lab::new(2);
    lab.add_slave(0, "mode l2", &["10.0.0.10/24"]);
    lab.add_slave(1, "mode l2", &["10.0.0.11/24"]);
    let knows = |address: &str| lab.ipvl("addr show").lines().any(|line| line.starts_with(&format!("{address} ")));
    let flap = format!(
        "for n in {{1..{}}}; do echo addr add 10.0.0.20/32 dev ipvl0; echo addr del 10.0.0.20/32 dev ipvl0; done; \
         echo addr add 10.0.0.21/32 dev ipvl0",
        CHANGES / 2
    );
    thread::scope(|scope| {
        let flapping = scope.spawn(|| shell(&lab.slaves[0], &format!("({flap}) | ip -batch -")));
        for number in 30..40 {
            run(&lab.slaves[1], &format!("ip addr add 10.0.0.{number}/32 dev ipvl1"));
            soon("another slave's address is in the table", || knows(&format!("10.0.0.{number}")));
        }
        let done = flapping.join().expect("the changes");
        assert!(done.ok, "{}", done.stderr);
    });
    soon("the last state is in the table", || knows("10.0.0.21") && !knows("10.0.0.20"));
}
