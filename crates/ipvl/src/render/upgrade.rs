//! How is it shown what an upgrade did? A line for each master.

use super::harmless;
use ipvl_control::Upgraded;

/// What was replaced.
pub fn upgraded(ports: &[Upgraded]) -> String {
    harmless(&ports.iter().map(line).collect::<String>())
}

fn line(port: &Upgraded) -> String {
    let Upgraded { master, from, to, replaced } = port;
    match replaced {
        0 => format!("{master}: the programs are of this build already\n"),
        1 => format!("{master}: 1 program replaced, version {from} -> {to}\n"),
        _ => format!("{master}: {replaced} programs replaced, version {from} -> {to}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_master_has_a_line() {
        let port = |replaced| Upgraded { master: "eth0".to_owned(), from: 4, to: 5, replaced };
        let text = upgraded(&[port(3), port(0)]);
        assert_eq!(text, "eth0: 3 programs replaced, version 4 -> 5\neth0: the programs are of this build already\n");
    }
}
