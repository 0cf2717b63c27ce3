//! How is a finding shown?

use super::Style;
use super::color::Color;
use crate::names::Named;
use ipvl_control::{Finding, Severity};
use serde_json::json;

/// All of `findings`, each with its remedy below it.
pub fn findings(findings: &[Finding], style: Style) -> String {
    style
        .print(|| findings.iter().map(|finding| text(finding, style)).collect(), || findings.iter().map(json).collect())
}

fn text(finding: &Finding, style: Style) -> String {
    let Finding { severity, subject, text, remedy } = finding;
    let remedy = if remedy.is_empty() { String::new() } else { format!("         {remedy}\n") };
    let severity = style.paint(color(*severity), &format!("{:<8}", severity.word()));
    format!("{severity} {subject}: {text}\n{remedy}")
}

fn color(severity: Severity) -> Color {
    match severity {
        Severity::Good => Color::Good,
        Severity::Limited => Color::Limited,
        Severity::Bad => Color::Bad,
    }
}

fn json(finding: &Finding) -> serde_json::Value {
    json!({
        "severity": finding.severity.word(),
        "subject": finding.subject,
        "text": finding.text,
        "remedy": finding.remedy,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stands_below_its_finding() {
        let owned = str::to_owned;
        let good =
            Finding { severity: Severity::Good, subject: owned("kernel"), text: owned("6.18"), remedy: String::new() };
        let bad = Finding { severity: Severity::Bad, text: owned("too old"), remedy: owned("upgrade"), ..good.clone() };
        let expected = "good     kernel: 6.18\nbad      kernel: too old\n         upgrade\n";
        assert_eq!(findings(&[good, bad], Style::default()), expected);
    }
}
