//! What do the manual pages say?

use crate::definition::{OBJECTS, Object, SWITCHES, Verb, Word};

/// The page called `name` in roff: `ipvl`, or an object's, such as `ipvl-link`.
pub fn page(name: &str) -> Option<String> {
    match name.strip_prefix("ipvl-") {
        None if name == "ipvl" => Some(overview()),
        None => None,
        Some(object) => shown().find(|known| known.name == object).map(of_object),
    }
}

/// All of them, with their names.
pub fn pages() -> impl Iterator<Item = (String, String)> {
    let names = std::iter::once("ipvl".to_owned()).chain(shown().map(page_name));
    names.filter_map(|name| page(&name).map(|text| (name, text)))
}

fn overview() -> String {
    let objects: String = shown().map(|object| item(&page_name(object), object.about)).collect();
    let options: String = SWITCHES.iter().map(|option| item(&option.synopsis(), option.about)).collect();
    [
        header("ipvl", "IPVLAN devices for any kernel with eBPF"),
        section(
            "SYNOPSIS",
            "\\fBipvl\\fR [ OPTIONS ] OBJECT { COMMAND | help }\n.PP\n\\fBipvl\\fR [ \\-force ] \\-batch FILE\n",
        ),
        section("DESCRIPTION", &paragraphs(OVERVIEW)),
        section("OBJECTS", &objects),
        section("OPTIONS", &options),
        section("EXIT STATUS", &STATUS.iter().map(|(status, about)| item(status, about)).collect::<String>()),
        see_also(shown().map(page_name)),
    ]
    .concat()
}

const OVERVIEW: &[&str] = &[
    "Makes and shows IPVLAN devices: slaves that share the MAC address of their master and are told apart by IP \
     address. The grammar is that of ip(8): a line that names type ipvlan works with ip replaced by ipvl, and all \
     else about a device is done with ip itself.",
    "Objects and commands may be shortened to any beginning of theirs, and so may the words that ip(8) lets one \
     shorten. help at the end of a line explains it, and help WORD any word, option or reason of a drop.",
    "A batch file has one command a line. Adjoining link add lines are carried out together: all of them, or none.",
];

const STATUS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "No such device, object or command; a batch in which something failed; a finding of doctor that is bad."),
    ("2", "It could not be done; the message says why."),
    ("255", "The command line is wrong."),
];

fn of_object(object: &'static Object) -> String {
    let synopsis: Vec<_> = object.commands.iter().map(|command| command_line(object, command)).collect();
    let commands: String = object.commands.iter().map(|command| of_command(object, command)).collect();
    let examples: String =
        object.examples.iter().map(|(line, about)| format!(".TP\n.B {}\n{}\n", escape(line), escape(about))).collect();
    [
        header(&page_name(object), object.about),
        section("SYNOPSIS", &synopsis.join(".PP\n")),
        section("DESCRIPTION", &paragraphs(object.text)),
        section("COMMANDS", &commands),
        section("EXAMPLES", &examples),
        see_also(["ipvl".to_owned()].into_iter()),
    ]
    .concat()
}

fn of_command(object: &'static Object, command: &'static Verb) -> String {
    let words: String = command.words.iter().map(of_word).collect();
    let name = if command.name.is_empty() { object.name } else { command.name };
    format!(".SS {}\n{}\n{words}", escape(name), escape(command.about))
}

fn of_word(word: &'static Word) -> String {
    item(&word.title(), &(word.about() + &word.also()))
        + &word.kind_words().into_iter().map(of_word).collect::<String>()
}

/// A word stays on one line with its value.
fn command_line(object: &Object, command: &Verb) -> String {
    let pieces: Vec<_> = command.synopsis(object).iter().map(|piece| escape(piece).replace(' ', "\\~")).collect();
    let (start, rest) = pieces.split_first().map_or(("", &[][..]), |(start, rest)| (start.as_str(), rest));
    format!("{}\n", [&format!("\\fB{start}\\fR")].into_iter().chain(rest).cloned().collect::<Vec<_>>().join(" "))
}

fn header(name: &str, about: &str) -> String {
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    let line = format!("{} \\- {}\n", escape(name), escape(about));
    format!(".TH {title} 8 \"\" \"ipvl {version}\" \"ipvl\"\n.nh\n.ad l\n{}", section("NAME", &line))
}

fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!(".SH {title}\n{body}") }
}

fn paragraphs(text: &[&str]) -> String {
    text.iter().map(|paragraph| format!("{}\n", escape(paragraph))).collect::<Vec<_>>().join(".PP\n")
}

fn item(title: &str, about: &str) -> String {
    format!(".TP\n.B {}\n{}\n", escape(title), escape(about))
}

fn see_also(pages: impl Iterator<Item = String>) -> String {
    let pages: Vec<_> = pages.chain(["ip".to_owned(), "ip-link".to_owned()]).collect();
    section(
        "SEE ALSO",
        &format!(
            "{}\n",
            pages.iter().map(|page| format!("\\fB{}\\fR(8)", escape(page))).collect::<Vec<_>>().join(", ")
        ),
    )
}

fn page_name(object: &'static Object) -> String {
    format!("ipvl-{}", object.name)
}

fn shown() -> impl Iterator<Item = &'static Object> {
    OBJECTS.iter().filter(|object| !object.hidden)
}

/// A dash is not a hyphen, and neither a dot nor a quote may begin a line.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot;

    #[test]
    fn pages_are_as_they_were() {
        for (name, text) in pages() {
            snapshot::check(&format!("{name}.8"), &text);
        }
        assert_eq!(page("ipvl-nothing"), None);
    }
}
