//! Does `ipvl top` work on a real terminal of 80 columns and 24 lines? tmux is the terminal.

use ipvl_testbed::{Lab, require_root};

use crate::common::{exec, pings_now, shell, soon};

/// A terminal with `ipvl top` in it, in the host's netns.
struct Screen<'a> {
    lab: &'a Lab,
    socket: String,
}

impl<'a> Screen<'a> {
    fn open(lab: &'a Lab, words: &str) -> Self {
        let screen = Self { lab, socket: format!("ipvl-{}", lab.host.name()) };
        let command = format!("{} -f /dev/null new-session -d -x 80 -y 24 \"$IPVL {words}; sleep 60\"", screen.tmux());
        let started = shell(&lab.host, &command);
        assert!(started.ok, "{}; `make setup` installs tmux", started.stderr);
        screen
    }

    fn tmux(&self) -> String {
        format!("tmux -L {}", self.socket)
    }

    fn press(&self, keys: &str) {
        assert!(shell(&self.lab.host, &format!("{} send-keys {keys}", self.tmux())).ok, "{keys}");
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        let screen = || exec(&self.lab.host, &format!("{} capture-pane -p", self.tmux())).stdout;
        soon(&format!("{text:?} is shown"), || screen().contains(text));
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        exec(&self.lab.host, &format!("{} kill-server", self.tmux()));
    }
}

#[test]
fn top_shows_drops_with_their_remedy_and_ends_by_a_key() {
    require_root!();
    let lab = Lab::new(2);
    for (n, flag) in [(0, "bridge"), (1, "private")] {
        lab.add_slave(n, &format!("mode l2 {flag}"), &[&format!("10.0.0.1{n}/24")]);
    }
    let screen = Screen::open(&lab, "top --every 1");
    screen.shows("ipvl top: 2 slaves");
    screen.shows("l2 private");
    screen.shows("agent: ");
    assert!(!pings_now(&lab.slaves[0], "10.0.0.11"));
    screen.press("s s s");
    screen.shows("by drops");
    screen.press("Enter");
    screen.shows("s ago as private: Sender or receiver has flag");
    screen.shows("To do: ipvl link set SLAVE type ipvlan bridge");
    screen.press("Escape");
    screen.press("/ i p v l 1 Enter");
    screen.shows("/ipvl1");
    screen.press("q");
    soon("top has ended", || !exec(&lab.host, "pgrep -f ipvl.top.--every.1$").ok);
}

#[test]
fn without_a_terminal_top_says_what_to_use_instead() {
    require_root!();
    let lab = Lab::new(0);
    let output = shell(&lab.host, "$IPVL top </dev/null");
    assert!(!output.ok && output.stderr.contains("\"ipvl stats\" prints the counters once"), "{}", output.stderr);
}
