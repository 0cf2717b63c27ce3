//! How are rates written down? As in tc(8): `100mbit`, and where the default will not do, `100mbit burst 256kb`.

/// The word for no limit.
pub const OFF: &str = "off";
/// What a limit looks like, as part of a sentence.
pub const EXAMPLE: &str = "a rate such as 100mbit, `100mbit burst 256kb`, or off";
const BITS: f64 = 8.0;
/// The burst where none is given: what the rate carries in a fifth of a second, and at least 64 KiB. With less, TCP does not
/// reach the rate at which a slave may send (docs/performance.md).
const BURSTS_PER_SECOND: u64 = 5;
const LEAST_BURST: u64 = 64 << 10;
/// The most bits a second that can be asked for: a hundred terabits.
const MOST: f64 = 1e14;

/// In bits a second.
const RATE_UNITS: [(&str, f64); 20] = [
    ("", 1.0),
    ("bit", 1.0),
    ("kbit", 1e3),
    ("mbit", 1e6),
    ("gbit", 1e9),
    ("tbit", 1e12),
    ("kibit", 1024.0),
    ("mibit", 1048576.0),
    ("gibit", 1073741824.0),
    ("tibit", 1099511627776.0),
    ("bps", BITS),
    ("kbps", BITS * 1e3),
    ("mbps", BITS * 1e6),
    ("gbps", BITS * 1e9),
    ("tbps", BITS * 1e12),
    ("kibps", BITS * 1024.0),
    ("mibps", BITS * 1048576.0),
    ("gibps", BITS * 1073741824.0),
    ("tibps", BITS * 1099511627776.0),
    ("b/s", BITS),
];

/// In bytes, where tc(8) counts by 1024.
const SIZE_UNITS: [(&str, f64); 11] = [
    ("", 1.0),
    ("b", 1.0),
    ("k", 1024.0),
    ("kb", 1024.0),
    ("m", 1048576.0),
    ("mb", 1048576.0),
    ("g", 1073741824.0),
    ("gb", 1073741824.0),
    ("kbit", 1024.0 / BITS),
    ("mbit", 1048576.0 / BITS),
    ("gbit", 1073741824.0 / BITS),
];

/// A packet in the queue of `tbf` waits at most a fortieth of a second, as with the CNI project's plugin `bandwidth`.
pub(crate) const WAITS_PER_SECOND: u64 = 40;

/// The rate at which a device, or a slave, may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In bytes a second.
    pub rate: u64,
    /// The most that it may send at once after a pause, in bytes. With `tbf`, less than a packet lets no packet pass.
    pub burst: u32,
}

impl Limit {
    /// A limit with a burst that is cut to what the kernel can store.
    pub fn new(rate: u64, burst: u64) -> Self {
        let most = u64::from(u32::MAX).saturating_sub(rate / WAITS_PER_SECOND).max(1);
        Self { rate, burst: burst.min(most) as u32 }
    }
}

/// The limits of a slave's two directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Of what it gets.
    pub input: Option<Limit>,
    /// Of what it sends.
    pub output: Option<Limit>,
}

/// A change of [`Rates`]. What is `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RatesChange {
    /// Of what it gets.
    pub input: Option<Option<Limit>>,
    /// Of what it sends.
    pub output: Option<Option<Limit>>,
}

impl Rates {
    /// The change that makes `new` of these limits.
    pub fn change_to(self, new: Self) -> RatesChange {
        RatesChange {
            input: (self.input != new.input).then_some(new.input),
            output: (self.output != new.output).then_some(new.output),
        }
    }

    /// Each direction's word, and its limit.
    pub fn ways(self) -> [(&'static str, Option<Limit>); 2] {
        [("in", self.input), ("out", self.output)]
    }
}

impl RatesChange {
    /// These limits where they are given, and no limits else.
    pub fn of_new(self) -> Rates {
        Rates { input: self.input.flatten(), output: self.output.flatten() }
    }
}

/// What a text says: a limit, or none. `None` if it says nothing.
pub fn parse(text: &str) -> Option<Option<Limit>> {
    let mut words = text.split_whitespace();
    let rate = words.next()?;
    let burst = match (words.next(), words.next(), words.next()) {
        (None, ..) => None,
        (Some("burst"), Some(size), None) => Some(size),
        _ => return None,
    };
    match (rate, burst) {
        (OFF, None) => Some(None),
        (rate, None) => Some(Some(default_burst(bytes_a_second(rate)?))),
        (rate, Some(size)) => Some(Some(Limit::new(bytes_a_second(rate)?, size_in_bytes(size)?))),
    }
}

/// A limit with the burst that it has where none is given.
pub fn default_burst(rate: u64) -> Limit {
    Limit::new(rate, (rate / BURSTS_PER_SECOND).max(LEAST_BURST))
}

/// A limit as [`parse`] reads it, with the burst if it is not the default.
pub fn text(limit: Option<Limit>) -> String {
    let Some(limit) = limit else { return OFF.to_owned() };
    let burst = if limit == default_burst(limit.rate) { String::new() } else { format!(" burst {}b", limit.burst) };
    rate_text(limit.rate) + &burst
}

/// A rate in the largest unit of which it is a multiple.
pub fn rate_text(bytes_a_second: u64) -> String {
    let bits = bytes_a_second.saturating_mul(8);
    let units = [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1000)];
    let whole = units.into_iter().find(|(_, unit)| bits >= *unit && bits.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{bits}bit"), |(name, unit)| format!("{}{name}", bits / unit))
}

fn bytes_a_second(text: &str) -> Option<u64> {
    let bits = number(text, &RATE_UNITS).filter(|bits| (BITS..=MOST).contains(bits))?;
    Some((bits / BITS).round() as u64)
}

fn size_in_bytes(text: &str) -> Option<u64> {
    let bytes = number(text, &SIZE_UNITS)?;
    (1.0..=f64::from(u32::MAX)).contains(&bytes).then(|| bytes.round() as u64)
}

fn number(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?.1;
    number.parse::<f64>().ok().map(|number| number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_tc() {
        let rate = |text: &str| parse(text).flatten().map(|limit| limit.rate);
        for (text, bytes) in [
            ("100mbit", 12_500_000),
            ("1gbit", 125_000_000),
            ("1.5Mbit", 187_500),
            ("8000", 1000),
            ("1mbps", 1_000_000),
            ("1kibit", 128),
            ("8bit", 1),
        ] {
            assert_eq!(rate(text), Some(bytes), "{text}");
        }
        for bad in
            ["", "mbit", "-1mbit", "1xbit", "7bit", "0", "1e3", "1..2mbit", "200tbit", "10mbit burst", "off burst 1"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse("off"), Some(None));
    }

    #[test]
    fn a_burst_is_kept_or_chosen() {
        let burst = |text: &str| parse(text).flatten().map(|limit| limit.burst);
        assert_eq!((burst("10mbit"), burst("1gbit")), (Some(250_000), Some(25_000_000)));
        assert_eq!((burst("10mbit burst 20kb"), burst("10mbit burst 1500")), (Some(20_480), Some(1500)));
        assert_eq!((burst("10mbit burst 0"), burst("10mbit burst 9gb")), (None, None));
    }

    #[test]
    fn what_is_shown_is_what_can_be_typed() {
        for typed in ["off", "100mbit", "1gbit", "8bit", "1500kbit", "10mbit burst 20000b"] {
            assert_eq!(parse(typed).map(text).as_deref(), Some(typed));
        }
    }
}
