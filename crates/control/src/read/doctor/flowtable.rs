//! Do established connections pass by a flowtable, and can they here?

use super::finding::{bad, good, limited};
use crate::error::Result;
use crate::kernel::netlink::Netlink;
use crate::model::Finding;
use crate::port::{Port, hook};
use crate::slave::flowtable::{devices, is_on, listed};
use std::fs;
use std::path::Path;

const SUBJECT: &str = "flowtable";
const MODULE: &str = "nft_flow_offload";

/// About all slaves of this netns.
pub fn finding() -> Finding {
    is_on()
        .and_then(|on| if on { complete() } else { Ok(off()) })
        .unwrap_or_else(|error| bad(SUBJECT, &error.to_string(), "`ipvl set flowtable off`, then on again"))
}

fn off() -> Finding {
    match is_in_kernel() {
        true => good(SUBJECT, "off: connections of slaves pass the host's hooks (`ipvl set flowtable on`)"),
        false => good(SUBJECT, &format!("off: this kernel shows no {MODULE}, which it needs")),
    }
}

fn complete() -> Result<Finding> {
    let netlink = Netlink::open()?;
    let wanted = devices(&netlink, &Port::all(&netlink)?)?;
    let Some(has) = listed() else {
        return Ok(limited(SUBJECT, "on, but nft cannot list its devices", "nft list flowtables"));
    };
    let missing: Vec<&str> = wanted.values().filter(|name| !has.contains(*name)).map(String::as_str).collect();
    Ok(match &missing[..] {
        [] => good(SUBJECT, "on: established connections pass no hook and no rule of the host"),
        _ => bad(
            SUBJECT,
            &format!("on, but without {}: their connections pass the host's hooks", missing.join(", ")),
            "`ipvl set flowtable on` adds them; so does the agent",
        ),
    })
}

/// Where it is part of the kernel or loaded it has a folder or a line there; one that can be loaded has a line in the other.
fn is_in_kernel() -> bool {
    let lists = ["modules.builtin", "modules.dep"].map(|list| format!("/lib/modules/{}/{list}", hook::release()));
    let has = |list: &String| fs::read_to_string(list).is_ok_and(|text| text.contains(&format!("/{MODULE}.ko")));
    Path::new("/sys/module").join(MODULE).exists() || lists.iter().any(has)
}
