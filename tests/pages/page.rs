//! Which commands does a page have, and what does it say comes of each?
//!
//! They are the lines of blocks that begin with "```sh". Words behind that say for which body a block is (`ebpf`,
//! `module`; without either: for both) and where it is typed (`outside`; otherwise on the host). A block with `build` is
//! not played: it would build or install. A comment at a line's end says what comes of it:
//!
//! | comment | the command |
//! | --- | --- |
//! | none | succeeds |
//! | `# answers` | succeeds, soon |
//! | `# no answer` | fails |
//! | `# prints WORDS` | succeeds with these words in its output, soon |
//! | `# prints nothing` | succeeds without output, soon |
//! | `# fails: WORDS` | fails with these words in its output |
//!
//! No other comment is allowed, so that none is mistyped. Runs of blanks count as one.

use crate::session::ROOT;
use std::path::Path;

/// What carries out the decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Ebpf,
    Module,
}

/// One page, by headings.
#[derive(Debug)]
pub struct Page {
    pub name: String,
    pub sections: Vec<Section>,
}

/// A heading with what is below it, up to the next heading.
#[derive(Debug)]
pub struct Section {
    pub title: String,
    pub steps: Vec<Step>,
    /// It has a block that is not played.
    pub builds: bool,
}

/// One command.
#[derive(Debug)]
pub struct Step {
    /// `docs/howto.md:12`
    pub place: String,
    pub body: Option<Body>,
    pub outside: bool,
    pub command: String,
    pub expected: Expected,
}

/// What comes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Success,
    Answer,
    NoAnswer,
    Words(String),
    Silence,
    Failure(String),
}

impl Page {
    /// Reads a page of the repository.
    pub fn read(name: &str) -> Self {
        let text =
            std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::parse(name, &text)
    }

    /// # Panics
    /// When a block or a comment is not as described above.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut page = Self { name: name.to_owned(), sections: vec![Section::new("")] };
        let mut block: Option<Vec<&str>> = None;
        for (number, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", number + 1);
            match (line.strip_prefix("```"), &block) {
                (Some(_), Some(_)) => block = None,
                (Some(info), None) => block = Some(info.split(' ').collect()),
                (None, Some(info)) if info[0] == "sh" => page.last().take(place, &info[1..], line),
                (None, None) if line.starts_with('#') => page.sections.push(Section::new(line)),
                _ => {}
            }
        }
        assert!(block.is_none(), "{name}: the last block has no end");
        page
    }

    fn last(&mut self) -> &mut Section {
        self.sections.last_mut().expect("there is always one")
    }
}

impl Section {
    fn new(heading: &str) -> Self {
        Self { title: heading.trim_start_matches('#').trim().to_owned(), steps: Vec::new(), builds: false }
    }

    fn take(&mut self, place: String, info: &[&str], line: &str) {
        self.builds |= info == ["build"];
        if info != ["build"] && !line.trim().is_empty() {
            self.steps.push(Step::new(place, info, line));
        }
    }
}

impl Step {
    fn new(place: String, info: &[&str], line: &str) -> Self {
        let (mut body, mut outside) = (None, false);
        for word in info {
            match *word {
                "ebpf" => body = Some(Body::Ebpf),
                "module" => body = Some(Body::Module),
                "outside" => outside = true,
                other => panic!("{place}: \"{other}\" is no word for a block"),
            }
        }
        let (command, comment) = line.rsplit_once("# ").map_or((line, None), |(command, said)| (command, Some(said)));
        let expected = comment.map_or(Expected::Success, |said| Expected::parse(&place, said.trim()));
        Self { place, body, outside, command: command.trim().to_owned(), expected }
    }

    /// Whether it is typed with this body.
    pub fn is_for(&self, body: Body) -> bool {
        self.body.is_none_or(|own| own == body)
    }
}

impl Expected {
    fn parse(place: &str, said: &str) -> Self {
        let words = |prefix| said.strip_prefix(prefix).map(|words: &str| words.trim().to_owned());
        match said {
            "answers" => Self::Answer,
            "no answer" => Self::NoAnswer,
            "prints nothing" => Self::Silence,
            _ => words("prints ")
                .map(Self::Words)
                .or_else(|| words("fails:").map(Self::Failure))
                .unwrap_or_else(|| panic!("{place}: \"# {said}\" says nothing that can be checked")),
        }
    }

    /// Whether a command that ended so did what is expected.
    pub fn met_by(&self, ok: bool, output: &str) -> bool {
        match self {
            Self::Success | Self::Answer => ok,
            Self::NoAnswer => !ok,
            Self::Words(words) => ok && output.contains(words),
            Self::Silence => ok && output.is_empty(),
            Self::Failure(words) => !ok && output.contains(words),
        }
    }

    /// Whether it may take a moment until it is so.
    pub fn is_patient(&self) -> bool {
        matches!(self, Self::Answer | Self::Words(_) | Self::Silence)
    }
}

#[test]
fn a_page_is_read_as_it_is_written() {
    let page = Page::parse("p", "# P\ntext\n## A\n```sh ebpf outside\nx  y   # prints a b\n\n```\n```text\nno\n```\n");
    let [_, _, section] = &page.sections[..] else { panic!("{page:?}") };
    let [step] = &section.steps[..] else { panic!("{section:?}") };
    assert_eq!((step.place.as_str(), step.command.as_str()), ("p:5", "x  y"));
    assert_eq!((step.body, step.outside, &step.expected), (Some(Body::Ebpf), true, &Expected::Words("a b".to_owned())));
}

#[test]
#[should_panic(expected = "says nothing that can be checked")]
fn a_comment_that_cannot_be_checked_is_refused() {
    Page::parse("p", "```sh\ntrue   # answer\n```\n");
}
