//! How does a number or a course of numbers fit into a few columns?

/// At most five characters: `0`, `9.5`, `12k`, `3.4M`.
pub fn short(number: f64) -> String {
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let (mut number, mut unit) = (number, 0);
    while number >= 999.5 && unit + 1 < UNITS.len() {
        (number, unit) = (number / 1000.0, unit + 1);
    }
    let digits = if number >= 9.95 || number == 0.0 { 0 } else { 1 };
    format!("{number:.digits$}{}", UNITS[unit])
}

/// The newest numbers as bars, compared with the largest.
pub fn bars(numbers: &[u64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let numbers = &numbers[numbers.len().saturating_sub(width)..];
    let most = numbers.iter().copied().max().unwrap_or_default();
    let bar = |number: &u64| match (*number, most) {
        (0, _) | (_, 0) => ' ',
        (number, most) => BARS[((number * 8).div_ceil(most) as usize).clamp(1, 8) - 1],
    };
    numbers.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, expected) in
            [(0.0, "0"), (0.4, "0.4"), (9.96, "10"), (999.4, "999"), (999.6, "1.0k"), (3.4e6, "3.4M")]
        {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn the_largest_has_the_highest_bar() {
        assert_eq!(bars(&[9, 0, 1, 4, 8], 4), " ▁▄█");
        assert_eq!((bars(&[], 3), bars(&[0, 0], 3)), (String::new(), "  ".to_owned()));
    }
}
