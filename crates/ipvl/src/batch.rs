//! Which steps does a batch file ask for? Adjoining `link add` lines are one step, so that slaves are made together; so
//! are `link del` lines.

use crate::command::Command;
use crate::parse;
use crate::usage::UsageError;
use ipvl_control::LinkSpec;
use std::ops::RangeInclusive;

/// Some lines of the file.
#[derive(Debug)]
pub struct Step {
    /// Counted from 1.
    pub lines: RangeInclusive<usize>,
    /// What they ask for.
    pub what: Result<Action, UsageError>,
}

/// What a step does.
#[derive(Debug)]
pub enum Action {
    /// All of these, or none.
    Add(Vec<LinkSpec>),
    /// All of these, or none if one is not a slave.
    Delete(Vec<String>),
    /// Anything else.
    One(Box<Command>),
}

/// Reads a batch file. With `each`, every line stays a step of its own.
pub fn steps(text: &str, each: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (lines, line) in logical_lines(text) {
        let Some(what) = action(&line) else { continue };
        let step = Step { lines, what };
        let alone = match steps.last_mut() {
            Some(last) if !each => last.join(step),
            _ => Some(step),
        };
        steps.extend(alone);
    }
    steps
}

impl Step {
    /// Adds a step that can be carried out together with this one. Returns any other step.
    fn join(&mut self, mut other: Self) -> Option<Self> {
        match (&mut self.what, &mut other.what) {
            (Ok(Action::Add(specs)), Ok(Action::Add(more))) => specs.append(more),
            (Ok(Action::Delete(names)), Ok(Action::Delete(more))) => names.append(more),
            _ => return Some(other),
        }
        self.lines = *self.lines.start()..=*other.lines.end();
        None
    }
}

fn action(line: &str) -> Option<Result<Action, UsageError>> {
    let command = match split(line) {
        Ok(words) if words.is_empty() => return None,
        Ok(words) => parse::command(&words),
        Err(error) => Err(error),
    };
    Some(command.map(|command| match command {
        Command::LinkAdd(spec) => Action::Add(vec![spec]),
        Command::LinkDelete { name } => Action::Delete(vec![name]),
        other => Action::One(Box::new(other)),
    }))
}

/// A backslash at the end of a line continues it.
fn logical_lines(text: &str) -> Vec<(RangeInclusive<usize>, String)> {
    let mut lines: Vec<(RangeInclusive<usize>, String)> = Vec::new();
    let mut continued = false;
    for (number, line) in (1..).zip(text.lines()) {
        let (line, more) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
        match lines.last_mut() {
            Some((range, start)) if continued => {
                *range = *range.start()..=number;
                start.push_str(line);
            }
            _ => lines.push((number..=number, line.to_owned())),
        }
        continued = more;
    }
    lines
}

/// Splits at blanks; single and double quotes keep blanks, `#` ends the line.
fn split(line: &str) -> Result<Vec<String>, UsageError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.map_or(Ok(words), |_| Err(UsageError::OpenQuote { line: line.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: &str = "link add link eth0 type ipvlan\n";

    #[test]
    fn adjoining_adds_are_one_step() {
        let text = format!("{ADD}\n# more\n{ADD}link show\n{ADD}");
        assert_eq!(shape(&text, false), ["1-4: add 2", "5-5: LinkShow", "6-6: add 1"]);
        assert_eq!(shape(&text, true), ["1-1: add 1", "4-4: add 1", "5-5: LinkShow", "6-6: add 1"]);
    }

    #[test]
    fn so_are_adjoining_deletes() {
        let delete = "link del a\n";
        assert_eq!(shape(&format!("{delete}{delete}{ADD}{delete}"), false), ["1-2: del 2", "3-3: add 1", "4-4: del 1"]);
        assert_eq!(shape(&format!("{delete}{delete}"), true), ["1-1: del 1", "2-2: del 1"]);
    }

    #[test]
    fn a_bad_line_is_a_step_of_its_own() {
        assert_eq!(shape(&format!("{ADD}nonsense\n{ADD}"), false), ["1-1: add 1", "2-2: error", "3-3: add 1"]);
    }

    #[test]
    fn lines_continue_comments_end_and_quotes_hold() {
        assert_eq!(shape("link \\\n  show # all\n", false), ["1-2: LinkShow"]);
        assert_eq!(split("a 'b c' d\"\"e ''").unwrap(), ["a", "b c", "de", ""]);
        assert!(split("a 'b").is_err());
    }

    fn shape(text: &str, each: bool) -> Vec<String> {
        steps(text, each)
            .iter()
            .map(|step| {
                let what = match &step.what {
                    Ok(Action::Add(specs)) => format!("add {}", specs.len()),
                    Ok(Action::Delete(names)) => format!("del {}", names.len()),
                    Ok(Action::One(command)) => format!("{command:?}").split(' ').next().unwrap().to_owned(),
                    Err(_) => "error".to_owned(),
                };
                format!("{}-{}: {what}", step.lines.start(), step.lines.end())
            })
            .collect()
    }
}
