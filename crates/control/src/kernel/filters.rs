//! Which base chains of netfilter see forwarded packets, and what do they do with packets that no rule takes? Asks `nft`.

use super::nft;
use std::fs;

/// The tables of the older iptables, which `nft` does not list; empty or absent where nobody uses them.
const LEGACY: [&str; 2] = ["/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"];

/// A base chain of the forward hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardChain {
    /// Family and name of its table: `inet guest`.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Whether it drops what no rule takes.
    pub drops: bool,
}

/// The base chains of the forward hook; none if `nft` is not installed or may not look.
pub fn forward_chains() -> Option<Vec<ForwardChain>> {
    nft::ask(&["list", "chains"]).map(|text| parse(&text))
}

/// Whether the older iptables has tables here, which nothing here can read.
pub fn has_legacy_tables() -> bool {
    LEGACY.iter().any(|path| fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty()))
}

fn parse(text: &str) -> Vec<ForwardChain> {
    let (mut table, mut name, mut found) = (String::new(), String::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("table ") {
            table = rest.trim_end_matches(" {").to_owned();
        } else if let Some(rest) = line.strip_prefix("chain ") {
            name = rest.trim_end_matches(" {").to_owned();
        } else if line.contains(" hook forward ") {
            let drops = line.contains("policy drop");
            found.push(ForwardChain { table: table.clone(), name: name.clone(), drops });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base_chains_of_the_forward_hook_count() {
        let text = "table inet a {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n\
            \tchain other {\n\t}\n}\ntable ip b {\n\tchain in {\n\t\ttype filter hook input priority 0; policy drop;\n\t}\n\
            \tchain f {\n\t\ttype filter hook forward priority 0; policy accept;\n\t}\n}\n";
        let chain = |table: &str, name: &str, drops| ForwardChain { table: table.into(), name: name.into(), drops };
        assert_eq!(parse(text), [chain("inet a", "forward", true), chain("ip b", "f", false)]);
    }
}
