//! Which words that start with `-` may stand before the object?

use super::Value;

/// The switches, in the order in which a beginning is matched.
pub const SWITCHES: &[Switch] = &[
    switch("details", "d", None, "Show all properties of a device; with stats, the meaning of each reason."),
    switch("json", "j", None, "Print JSON; a failure, too, on standard error."),
    switch("pretty", "p", None, "Indent the JSON."),
    switch("brief", "br", None, "Show each slave, address or counter in one short line, in columns."),
    switch("oneline", "o", None, "Print each record in one line, with a backslash where a line would end."),
    Switch { alias: "stats", ..switch("statistics", "s", None, "Show the traffic of a device, too.") },
    switch("timestamp", "t", None, "With monitor: print the time, on a line of its own."),
    switch("tshort", "ts", None, "With monitor: print the time, in short form, at the start of the line."),
    switch("4", "4", None, "Show only addresses of IPv4."),
    switch("6", "6", None, "Show only addresses of IPv6."),
    Switch {
        alias: "colour",
        choices: &["always", "auto", "never"],
        ..switch(
            "color",
            "c",
            None,
            "Print in colors: always (also -c alone), never, or auto (the default): on a terminal, unless the variable \
             NO_COLOR is set. JSON has none.",
        )
    },
    switch("netns", "n", Some(Value::NetnsName), "Work in this network namespace: a name, or a path."),
    switch("batch", "b", Some(Value::File), "Read commands from a file, one a line; - is standard input."),
    switch("force", "fo", None, "In a batch, continue after a command that failed."),
    Switch { alias: "version", ..switch("Version", "V", None, "Print the version.") },
    switch("help", "h", None, "Print the help."),
];

/// A word that starts with `-`.
#[derive(Debug)]
pub struct Switch {
    /// Without the dash. Any beginning that is at least as long as `short` is accepted.
    pub name: &'static str,
    /// Another spelling.
    pub alias: &'static str,
    /// The shortest beginning, as help shows it.
    pub short: &'static str,
    /// What follows it.
    pub value: Option<Value>,
    /// What may follow it behind `=`; nothing means the first.
    pub choices: &'static [&'static str],
    /// In a sentence.
    pub about: &'static str,
}

impl Switch {
    /// The switch that is typed so, with its dashes.
    pub fn find(typed: &str) -> Option<&'static Self> {
        let name = typed.trim_start_matches('-');
        SWITCHES.iter().find(|switch| switch.is_named(name))
    }

    /// `-d[etails]`
    pub fn synopsis(&self) -> String {
        let rest = &self.name[self.short.len()..];
        let word = if rest.is_empty() { format!("-{}", self.short) } else { format!("-{}[{rest}]", self.short) };
        match (self.value, self.choices) {
            (Some(value), _) => format!("{word} {}", value.meta()),
            (None, []) => word,
            (None, choices) => format!("{word}[={{{}}}]", choices.join("|")),
        }
    }

    /// Whether `typed`, without its dashes, is this switch, maybe with one of its choices.
    pub fn is_named(&self, typed: &str) -> bool {
        let (name, choice) = typed.split_once('=').map_or((typed, None), |(name, choice)| (name, Some(choice)));
        let named = name.len() >= self.short.len() && (self.name.starts_with(name) || self.alias.starts_with(name));
        named && choice.is_none_or(|choice| self.choices.contains(&choice))
    }

    /// The choice behind `=`; the first if there is none.
    pub fn choice(&self, typed: &str) -> &'static str {
        let typed = typed.split_once('=').map_or("", |(_, choice)| choice);
        let found = self.choices.iter().find(|choice| **choice == typed);
        found.or(self.choices.first()).copied().unwrap_or_default()
    }
}

const fn switch(name: &'static str, short: &'static str, value: Option<Value>, about: &'static str) -> Switch {
    Switch { name, alias: name, short, value, choices: &[], about }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_may_be_shortened_down_to_its_short_form() {
        let force = SWITCHES.iter().find(|switch| switch.name == "force").unwrap();
        assert!(force.is_named("force") && force.is_named("fo") && !force.is_named("f") && !force.is_named("forced"));
    }

    #[test]
    fn b_is_batch_and_br_is_brief_as_in_ip() {
        let found = |typed: &str| Switch::find(typed).map(|switch| switch.name);
        let expected = [("-b", "batch"), ("-br", "brief"), ("-brief", "brief"), ("-o", "oneline"), ("-c", "color")];
        for (typed, name) in expected {
            assert_eq!(found(typed), Some(name), "{typed}");
        }
        assert_eq!((found("--color=auto"), found("-c=sometimes"), found("-b=1")), (Some("color"), None, None));
    }
}
