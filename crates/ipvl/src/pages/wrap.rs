//! Where does a line of help end?

const WIDTH: usize = 79;

/// `pieces` in lines, the first of which begins with `first` and the others with `hang` blanks. No piece is broken.
pub fn wrap<'a>(first: &str, hang: usize, pieces: impl IntoIterator<Item = &'a str>) -> String {
    let indent = " ".repeat(hang);
    let mut lines = vec![first.to_owned()];
    for piece in pieces {
        let last = lines.last_mut().filter(|line| line.chars().count() + 1 + piece.chars().count() <= WIDTH);
        match last {
            Some(line) if line.trim().is_empty() || line.ends_with(' ') => line.push_str(piece),
            Some(line) => *line = format!("{line} {piece}"),
            None => lines.push(format!("{indent}{piece}")),
        }
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A long heading has a line of its own.
pub fn entry(title: &str, about: &str) -> String {
    const HANG: usize = 24;
    let text = about.split(' ');
    match format!("  {title:<21} ") {
        short if short.chars().count() <= HANG => wrap(&short, HANG, text),
        long => format!("{}\n{}", long.trim_end(), wrap(&" ".repeat(HANG), HANG, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_hang() {
        let long = "x".repeat(60);
        assert_eq!(wrap("ab ", 3, ["c", "d"]), "ab c d\n");
        assert_eq!(wrap("ab ", 5, [&long[..], &long]), format!("ab {long}\n     {long}\n"));
    }
}
