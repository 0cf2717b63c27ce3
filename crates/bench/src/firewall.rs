//! Which rules has the host where slaves are behind a firewall, and how fast are they there?

use crate::candidate::{Candidate, PATHS};
use crate::compared::{Compared, FAMILIES, UNSTEADY, head, precise};
use crate::load::LOADS;
use crate::results::Results;
use std::io;
use std::path::Path;

/// Established connections pass, and of the others those that a rule lets pass: as people write it, for what is sent by the
/// host, what is for it, and what it forwards.
pub const RULES: &str = "
    table inet firewall {
        chain rules {
            ct state established,related accept
            ct state invalid drop
            tcp dport { 22, 80, 443 } accept
            ip saddr 203.0.113.0/24 drop
            ip6 saddr 2001:db8:ffff::/48 drop
            meta l4proto { icmp, ipv6-icmp } accept
            tcp dport 1-65535 accept
            udp dport 1-65535 accept
        }
        chain input {
            type filter hook input priority filter; policy drop;
            jump rules
        }
        chain forward {
            type filter hook forward priority filter; policy drop;
            jump rules
        }
        chain output {
            type filter hook output priority filter; policy drop;
            jump rules
        }
    }
";

/// The ratios of `firewall.json` to the kernel's driver behind the same rules.
pub fn table(directory: &Path) -> io::Result<String> {
    Ok(ratios(&Results::read(&directory.join("firewall.json"))?))
}

fn ratios(results: &Results) -> String {
    let (compared, [reference, ours @ ..]) = (Compared::of(results), Candidate::FILTERED.map(Candidate::name));
    let loads: Vec<&str> = LOADS.into_iter().filter(|load| *load != UNSTEADY).map(|load| load.name()).collect();
    let mut text = format!("Linux {}, IPv4 / IPv6.\n\n", results.kernel);
    text += &head(&["", ""].into_iter().chain(loads.iter().copied()).collect::<Vec<_>>());
    for path in PATHS {
        for candidate in &ours {
            let cell = |load: &&str| {
                FAMILIES
                    .map(|family| precise(compared.ratio(candidate, &reference, load, path.name(), family)))
                    .join(" / ")
            };
            let cells: Vec<String> = loads.iter().map(cell).collect();
            text += &format!("| {} | {candidate} | {} |\n", path.name(), cells.join(" | "));
        }
    }
    text
}
