//! How is it shown what an upgrade did? A line for each master.

use super::Style;
use ipvl_control::Upgraded;
use serde_json::{Value, json};

/// What was replaced.
pub fn upgraded(ports: &[Upgraded], style: Style) -> String {
    style.print(|| ports.iter().map(line).collect(), || ports.iter().map(json).collect())
}

fn json(port: &Upgraded) -> Value {
    let Upgraded { master, from, to, replaced } = port;
    json!({ "master": master, "from": from, "to": to, "replaced": replaced })
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
        let text = upgraded(&[port(3), port(0)], Style::default());
        assert_eq!(text, "eth0: 3 programs replaced, version 4 -> 5\neth0: the programs are of this build already\n");
    }
}
