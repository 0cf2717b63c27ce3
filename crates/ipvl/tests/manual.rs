//! Do the manual pages render: without a warning, and without a hole where text should be?

use std::path::Path;
use std::process::Command;
use std::{env, fs};

#[test]
fn every_page_renders_without_a_warning_and_without_a_hole() {
    let dir = env::temp_dir().join(format!("ipvl-man-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let written = Command::new(env!("CARGO_BIN_EXE_ipvl")).arg("man").arg(format!("{}/", dir.display())).status();
    assert!(written.unwrap().success());
    let pages: Vec<_> = fs::read_dir(&dir).unwrap().map(|page| page.unwrap().path()).collect();
    let checked: Vec<_> = pages.iter().map(|page| (page, rendered(page))).collect();
    fs::remove_dir_all(&dir).unwrap();
    assert!(pages.len() > 9, "{pages:?}");
    for (page, text) in checked {
        let name = page.file_stem().unwrap().to_string_lossy().to_uppercase();
        assert!(text.starts_with(&format!("{name}(8)")), "{text}");
        assert_eq!(holes(&text), Vec::<&str>::new(), "{}", page.display());
    }
}

/// The page as a terminal shows it.
fn rendered(page: &Path) -> String {
    let groff = Command::new("groff").args(["-man", "-ww", "-Tutf8", "-P-cbou"]).arg(page).output();
    let groff = groff.expect("groff; `make setup` installs it");
    assert_eq!(String::from_utf8_lossy(&groff.stderr), "", "{}", page.display());
    String::from_utf8(groff.stdout).unwrap()
}

/// Headings with nothing below them, and words without their meaning.
fn holes(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    // The last line is the footer.
    let pairs = lines.windows(2).take(lines.len().saturating_sub(2));
    let is_hole = |pair: &[&str]| match (indent(pair[0]), indent(pair[1])) {
        (0, below) => below == 0,
        (3, below) => below <= 3,
        (7, 7) => pair[0].trim().starts_with('-') && !pair[0].trim().contains(' '),
        _ => pair[0].contains("{ }") || pair[0].contains("[ ]"),
    };
    pairs.skip(1).filter(|pair| is_hole(pair)).map(|pair| pair[0]).collect()
}
