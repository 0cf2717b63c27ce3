//! How did results look before version 0.3.0? One address a family, under `ip4` and `ip6`, and no interfaces.

use crate::failure::Failure;
use crate::fields::Fields;
use crate::outcome::{Outcome, ip_under, route};
use serde_json::{Value, json};

const FAMILIES: [&str; 2] = ["ip4", "ip6"];

/// Takes over what a result says in this form.
pub fn take(fields: &Fields<'_>, place: &str, outcome: &mut Outcome) -> Result<(), Failure> {
    for key in FAMILIES {
        let (Some(value), place) = (fields.get(key), format!("{place}.{key}")) else { continue };
        let family = Fields::of(value, &place)?;
        outcome.ips.push(ip_under("ip", family)?);
        for (n, value) in family.list("routes")?.into_iter().flatten().enumerate() {
            outcome.routes.push(route(Fields::of(value, &format!("{place}.routes[{n}]"))?)?);
        }
    }
    Ok(())
}

/// Writes a result of a later version in this form: the first address of each family, with the routes of that.
pub fn write(result: &Value, version: &str) -> Value {
    let mut old = json!({ "cniVersion": version });
    for (key, is_v6) in FAMILIES.into_iter().zip([false, true]) {
        let of_family = |list: &str, field: &str| -> Vec<&Value> {
            let objects = result[list].as_array().into_iter().flatten();
            objects.filter(|object| object[field].as_str().is_some_and(|text| text.contains(':') == is_v6)).collect()
        };
        let Some(ip) = of_family("ips", "address").into_iter().next() else { continue };
        old[key] = json!({ "ip": ip["address"] });
        if let Some(gateway) = ip.get("gateway") {
            old[key]["gateway"] = gateway.clone();
        }
        let routes: Vec<Value> = of_family("routes", "dst").into_iter().map(plain_route).collect();
        if !routes.is_empty() {
            old[key]["routes"] = routes.into();
        }
    }
    old["dns"] = result.get("dns").cloned().unwrap_or_else(|| json!({}));
    old
}

fn plain_route(route: &Value) -> Value {
    let mut plain = json!({ "dst": route["dst"] });
    if let Some(gateway) = route.get("gw") {
        plain["gw"] = gateway.clone();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(result: &Value, place: &str) -> Result<Outcome, Failure> {
        let mut outcome = Outcome::default();
        take(&Fields::of(result, place)?, place, &mut outcome).map(|()| outcome)
    }

    #[test]
    fn a_result_is_read_and_written_in_the_oldest_form() {
        let old = json!({
            "cniVersion": "0.2.0",
            "ip4": { "ip": "10.0.0.5/24", "gateway": "10.0.0.1", "routes": [{ "dst": "0.0.0.0/0", "gw": "10.0.0.1" }] },
            "ip6": { "ip": "fd00::5/64" },
            "dns": {},
        });
        let outcome = parse(&old, "r").expect("a result");
        assert_eq!((outcome.ips.len(), outcome.routes.len(), outcome.ips[0].prefix_len), (2, 1, 24));
        assert_eq!(write(&outcome.to_json(&json!({})), "0.2.0"), old);
    }

    #[test]
    fn what_the_form_has_no_place_for_is_left_out() {
        let new = json!({
            "interfaces": [{ "name": "eth0" }],
            "ips": [{ "address": "10.0.0.5/24" }, { "address": "10.0.0.6/24" }],
            "routes": [{ "dst": "10.9.0.0/16", "mtu": 1300 }, { "dst": "::/0" }],
            "dns": { "nameservers": ["10.0.0.1"] },
        });
        let expected = json!({
            "cniVersion": "0.1.0",
            "ip4": { "ip": "10.0.0.5/24", "routes": [{ "dst": "10.9.0.0/16" }] },
            "dns": { "nameservers": ["10.0.0.1"] },
        });
        assert_eq!(write(&new, "0.1.0"), expected);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (result, says) in [
            (json!({ "ip4": { "gateway": "10.0.0.1" } }), "\"r.ip4.ip\" must be an address"),
            (json!({ "ip6": { "ip": "fd00::1/64", "routes": [{}] } }), "\"r.ip6.routes[0].dst\" must be a network"),
            (json!({ "ip4": [] }), "r.ip4 must be an object"),
        ] {
            assert!(parse(&result, "r").is_err_and(|failure| failure.text().contains(says)), "{result}");
        }
    }
}
