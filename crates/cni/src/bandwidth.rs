//! How much may a container get and send? What the runtime passes for the capability `bandwidth`.

use crate::failure::Failure;
use crate::fields::Fields;
use ipvl_control::rate::default_burst;
use ipvl_control::{Limit, Rates};
use serde_json::Value;

/// The burst that runtimes pass if none was configured: 2^31 - 1 (dockershim), 2^32 - 1 (containerd) or more (CRI-O) bits.
/// Taken literally, it would let a quarter of a gigabyte through before the limit applies.
const UNSAID_BURST: u64 = i32::MAX as u64;
const BITS: u64 = 8;
const RATES_AND_BURSTS: [[&str; 2]; 2] = [["ingressRate", "ingressBurst"], ["egressRate", "egressBurst"]];
const SUBNETS: [&str; 2] = ["shapedSubnets", "unshapedSubnets"];

/// Reads the runtime's words: bits a second, and bits. containerd writes keys with capitals, which Go reads all the same.
pub fn read(passed: &Value) -> Result<Rates, Failure> {
    let words = passed.as_object().map_or_else(|| passed.clone(), |object| object.iter().map(known).collect());
    let fields = &Fields::of(&words, "runtimeConfig.bandwidth")?;
    for key in SUBNETS {
        if fields.list(key)?.is_some_and(|subnets| !subnets.is_empty()) {
            return Err(fields.wrong(key, "empty: all that a container gets or sends is limited"));
        }
    }
    let [ingress, egress] = RATES_AND_BURSTS;
    Ok(Rates { input: limit(fields, ingress)?, output: limit(fields, egress)? })
}

/// The key in its usual spelling.
fn known((key, value): (&String, &Value)) -> (String, Value) {
    let mut keys = RATES_AND_BURSTS.iter().flatten().chain(&SUBNETS);
    let known = keys.find(|known| known.eq_ignore_ascii_case(key));
    (known.map_or_else(|| key.clone(), |known| (*known).to_owned()), value.clone())
}

/// None if neither is set.
fn limit(fields: &Fields<'_>, [rate_key, burst_key]: [&str; 2]) -> Result<Option<Limit>, Failure> {
    let read = |key| fields.whole(key).map(Option::unwrap_or_default);
    let (rate, burst) = (read(rate_key)?, read(burst_key)?);
    match (rate / BITS, burst / BITS) {
        _ if rate == 0 && burst == 0 => Ok(None),
        (0, _) => Err(fields.wrong(rate_key, &format!("8 or more bits a second where {burst_key} is set"))),
        (_, 0) => Err(fields.wrong(burst_key, &format!("8 or more bits where {rate_key} is set"))),
        (rate, _) if burst >= UNSAID_BURST => Ok(Some(default_burst(rate))),
        (rate, burst) => Ok(Some(Limit::new(rate, burst))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bits_become_bytes_and_what_is_not_said_is_no_limit() {
        let limits = read(&json!({"ingressRate": 8_000_000, "ingressBurst": 800_000})).expect("limits");
        assert_eq!(limits, Rates { input: Some(Limit::new(1_000_000, 100_000)), output: None });
        let shouted =
            read(&json!({"IngressRate": 8_000_000, "IngressBurst": 800_000, "EgressRate": 0})).expect("limits");
        assert_eq!(shouted, limits, "as containerd writes it");
        let none = read(&json!({"ingressRate": 0, "ingressBurst": 0, "egressRate": null})).expect("limits");
        assert_eq!(none, Rates::default());
    }

    #[test]
    fn a_burst_that_says_nothing_is_chosen() {
        let burst_of = |rate: u64, burst: u64| {
            read(&json!({"egressRate": rate, "egressBurst": burst})).expect("limits").output.map(|limit| limit.burst)
        };
        assert_eq!(burst_of(10_000_000, u64::from(u32::MAX)), Some(250_000));
        assert_eq!(burst_of(10_000_000, u64::from(u32::MAX) * 8 - 1), Some(250_000));
        assert_eq!((burst_of(1_000_000, UNSAID_BURST), burst_of(1_000_000, 80_000)), (Some(65_536), Some(10_000)));
    }

    #[test]
    fn half_a_limit_is_refused_by_name() {
        for (value, says) in [
            (
                json!({"ingressRate": 8000}),
                "\"runtimeConfig.bandwidth.ingressBurst\" must be 8 or more bits where ingressRate",
            ),
            (json!({"egressBurst": 8000}), "\"runtimeConfig.bandwidth.egressRate\" must be 8 or more bits a second"),
            (json!({"egressRate": 7, "egressBurst": 8000}), "egressRate\" must be 8 or more"),
            (json!({"egressRate": -1}), "egressRate\" must be a whole number"),
            (json!({"shapedSubnets": ["10.0.0.0/8"]}), "shapedSubnets\" must be empty"),
        ] {
            let failure = read(&value).expect_err(says);
            assert!(failure.text().contains(says), "{}", failure.text());
        }
    }
}
