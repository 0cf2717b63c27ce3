//! What may come next on a command line? The shells' scripts ask the command itself.

use crate::command::Shell;
use crate::definition::{BURST, DeviceKind, Form, OBJECTS, Object, SWITCHES, Value, Verb, Word};
use ipvl_core::{OptionEntry, Reason};
use std::iter::Peekable;

/// A word that may come next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// This word, and what it means.
    Word(String, String),
    /// Any device.
    Devices,
    /// Any slave.
    Slaves,
    /// Any network namespace.
    Namespaces,
}

/// The script that makes a shell ask `ipvl complete`.
pub fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("completion.bash"),
        Shell::Zsh => include_str!("completion.zsh"),
        Shell::Fish => include_str!("completion.fish"),
    }
}

/// What may replace the last of the words `typed` behind `ipvl`. The caller omits words that do not begin like it.
pub fn candidates(typed: &[String]) -> Vec<Candidate> {
    let complete = typed.split_last().map_or(&[][..], |(_, complete)| complete);
    let mut words = complete.iter().map(String::as_str);
    let mut first = words.next();
    while let Some(word) = first.filter(|word| word.starts_with('-')) {
        let option = SWITCHES.iter().find(|option| option.is_named(word.trim_start_matches('-')));
        if let Some(value) = option.and_then(|option| option.value)
            && words.next().is_none()
        {
            return of_value(value);
        }
        first = words.next();
    }
    match first {
        None => beginning(typed.last().is_some_and(|last| last.starts_with('-'))),
        Some(word) => OBJECTS.iter().find(|object| object.is_named(word)).map_or(vec![], |o| of_object(o, words)),
    }
}

fn beginning(dashed: bool) -> Vec<Candidate> {
    match dashed {
        true => SWITCHES.iter().map(|option| word(&format!("-{}", option.name), option.about)).collect(),
        false => OBJECTS.iter().filter(|object| !object.hidden).map(|object| word(object.name, object.about)).collect(),
    }
}

fn of_object<'a>(object: &'static Object, mut words: impl Iterator<Item = &'a str>) -> Vec<Candidate> {
    if let Some(command) = object.only_command() {
        return of_command(command, words);
    }
    match words.next() {
        None => object.commands.iter().map(|command| word(command.name, command.about)).collect(),
        Some(typed) => object
            .commands
            .iter()
            .find(|command| command.is_named(typed))
            .map_or(vec![], |command| of_command(command, words)),
    }
}

fn of_command<'a>(command: &'static Verb, words: impl Iterator<Item = &'a str>) -> Vec<Candidate> {
    let mut open: Vec<&'static Word> = command.words.iter().collect();
    let mut words = words.peekable();
    while let Some(typed) = words.next() {
        let claiming = open.iter().position(|word| word.claims(typed).is_some());
        let bare = || open.iter().position(|word| matches!(word.form, Form::Bare(_) | Form::Many(_)));
        let Some(place) = claiming.or_else(bare) else { return vec![] };
        if let Form::Many(_) = open[place].form {
            continue;
        }
        let claimed = open.remove(place);
        if let Form::Rates(ways) = claimed.form {
            match within_rates(ways, &mut words) {
                Typed::Word => return vec![],
                Typed::Next(ways) => {
                    let ways = ways.into_iter().map(|way| word(way, ""));
                    return ways.chain(open.iter().flat_map(|word| of_word(word))).collect();
                }
                Typed::All => continue,
            }
        }
        let value_follows = claimed.claims(typed).is_some_and(|name| claimed.takes_value(name));
        let value = if value_follows { words.next() } else { Some("") };
        let Some(value) = value else { return value_of(claimed) };
        if let Form::Kind(kinds) = claimed.form {
            open = kinds.iter().filter(|kind| kind.name == value).flat_map(|kind| kind.words).collect();
        }
    }
    open.iter().flat_map(|word| of_word(word)).collect()
}

/// How far `rate in RATE burst SIZE out RATE` is typed.
enum Typed {
    /// Up to a word that a value follows.
    Word,
    /// Up to where these may come, or something else.
    Next(Vec<&'static str>),
    /// To its end.
    All,
}

fn within_rates<'a>(ways: &[&'static str], words: &mut Peekable<impl Iterator<Item = &'a str>>) -> Typed {
    let mut open = ways.to_vec();
    while let Some(typed) = words.next_if(|typed| open.contains(typed) || *typed == BURST) {
        open.retain(|way| *way != typed);
        if words.next().is_none() {
            return Typed::Word;
        }
    }
    if words.peek().is_some() { Typed::All } else { Typed::Next(open) }
}

fn of_word(next: &'static Word) -> Vec<Candidate> {
    match next.form {
        Form::Choice(choices) => choices.iter().map(|choice| word(choice, &next.about())).collect(),
        Form::Option(entry) if next.is_one_of() => of_option(entry),
        Form::Bare(value) | Form::Many(value) => of_value(value),
        _ => vec![word(next.name, &next.about())],
    }
}

fn value_of(after: &'static Word) -> Vec<Candidate> {
    match after.form {
        Form::Pair(value) | Form::Bare(value) | Form::Many(value) | Form::Rest(value) => of_value(value),
        Form::Kind(kinds) => kinds.iter().map(|DeviceKind { name, .. }| word(name, "")).collect(),
        Form::Option(entry) => of_option(entry),
        Form::Rates(ways) => ways.iter().map(|way| word(way, "")).collect(),
        Form::Choice(_) => vec![],
    }
}

fn of_option(entry: &OptionEntry) -> Vec<Candidate> {
    entry.words.iter().map(|choice| word(choice.word, choice.meaning)).collect()
}

fn of_value(value: Value) -> Vec<Candidate> {
    match value {
        Value::Master => vec![Candidate::Devices],
        Value::Slave => vec![Candidate::Slaves],
        Value::Netns | Value::NetnsName => vec![Candidate::Namespaces],
        Value::Reason => Reason::ALL.iter().map(|reason| word(reason.name(), reason.meaning())).collect(),
        Value::OneOf(choices) => choices.iter().map(|choice| word(choice, "")).collect(),
        _ => vec![],
    }
}

fn word(word: &str, about: &str) -> Candidate {
    Candidate::Word(word.to_owned(), about.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_follow_the_definition() {
        check(
            "",
            "addr link policy stats top metrics monitor flows capture explain graph doctor agent set flush upgrade apply",
        );
        check("-n ", "NETNS");
        check(
            "-n ns0 -d l",
            "addr link policy stats top metrics monitor flows capture explain graph doctor agent set flush upgrade apply",
        );
        check("link ", "add set delete show");
        check("link add ", "link mtu address netns rate type");
        check("link add link ", "DEVICE");
        check("link add link eth0 ipvl0 ", "mtu address netns rate type");
        check("l a link eth0 type ", "ipvlan ipvtap");
        check("l a link eth0 type ipvlan mode ", "l2 l3 l3s");
        check("link add link eth0 type ipvlan private ", "mode guard host neigh dhcp siblings backend");
        check("l a link eth0 type ipvlan backend ", "veth netkit kernel");
        check(
            "l a link eth0 type ipvtap mode l2 ",
            "bridge private vepa guard host neigh dhcp siblings user group multi_queue",
        );
        check("link set ipvl0 type ipvtap host on ", "mode bridge private vepa guard neigh dhcp siblings");
        check("link set ", "SLAVE up down mtu name netns rate type");
        check("link set ipvl0 rate ", "in out up down mtu name netns type");
        check("link set ipvl0 rate in ", "");
        check("link set ipvl0 rate in 1mbit burst 20kb ", "out up down mtu name netns type");
        check("link set ipvl0 rate in 1mbit out 2mbit up mtu 1400 ", "name netns type");
        check("link set ipvl0 netns ", "NETNS");
        check("addr add 10.0.0.1/32 dev ", "SLAVE");
        check("explain from ipvl0 to 10.0.0.1 ", "src dst-mac src-mac arp ns udp tcp icmp dport len hex");
        check("monitor link ", "label dev");
        check("completion ", "bash zsh fish");
        check("nonsense ", "");
    }

    #[test]
    fn options_are_offered_after_a_dash() {
        let found = candidates(&["-".to_owned()]);
        assert_eq!(found.len(), SWITCHES.len());
    }

    #[track_caller]
    fn check(typed: &str, expected: &str) {
        let words: Vec<_> = typed.split(' ').map(str::to_owned).collect();
        let found: Vec<_> = candidates(&words)
            .into_iter()
            .map(|candidate| match candidate {
                Candidate::Word(word, _) => word,
                Candidate::Devices => "DEVICE".to_owned(),
                Candidate::Slaves => "SLAVE".to_owned(),
                Candidate::Namespaces => "NETNS".to_owned(),
            })
            .collect();
        assert_eq!(found.join(" "), expected, "after {typed:?}");
    }
}
