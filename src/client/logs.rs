//! `logs`: shows the lines of several logs as they come, each behind the name of its process.
//!
//! The name is followed by `|` for standard output and by `!` for standard error. A terminal gets
//! a colour for each process and lines without harmful characters; a pipe gets the lines as
//! they are.
//!
//! When a brain dies while its logs are followed, the next one is asked to go on in each log where
//! this one was. Lines that were on their way may come twice.

use std::collections::BTreeMap;

use super::arguments;
use super::dialogue::{Daemon, Refused, Report, Trouble, request};
use super::escape::{Escaper, printable};
use super::output;
use super::render::Target;
use super::session::{Lost, Session, Step};
use crate::control::line::Row;

/// How it ended.
#[derive(Debug)]
pub enum Shown {
    /// All that was asked for was shown, or Ctrl-C.
    All,
    /// Something could not be; why has been said.
    Part,
    /// The daemon says why not.
    Refused(Refused),
}

/// Writes the lines of logs to standard output.
pub fn run(daemon: &Daemon, wanted: &arguments::Logs) -> Result<Shown, Trouble> {
    let mut screen = Screen::new(output::target(), !wanted.no_prefix);
    let mut part = false;
    let mut begin = beginning(wanted);
    let mut begun = false;
    let mut places = Places::default();
    loop {
        let mut session = match daemon.another() {
            Ok(session) => session,
            // It was there before: it has been shut down.
            Err(_) if begun => return Ok(Shown::All),
            Err(trouble) => return Err(trouble),
        };
        let options = begin.iter().map(String::as_str);
        let places_before: Vec<String> = places.0.values().cloned().collect();
        let places_before = places_before
            .iter()
            .flat_map(|place| ["--at", place.as_str()]);
        let options = ["logs"].into_iter().chain(options).chain(places_before);
        let options: Vec<&str> = options.collect();
        let names: Vec<&str> = wanted.names.iter().map(String::as_str).collect();
        let words = request(&options, &names);
        begun = false;
        match copy(
            &mut session,
            &words,
            &mut screen,
            &mut part,
            &mut begun,
            &mut places,
        ) {
            Ok(Some(refused)) if !part => return Ok(Shown::Refused(refused)),
            Ok(_) | Err(Lost::Interrupted) => break,
            Err(Lost::Closed) if wanted.follow && begun => {
                begin = beginning(&arguments::Logs {
                    lines: Some("0".to_owned()),
                    since: None,
                    grep: wanted.grep.clone(),
                    names: Vec::new(),
                    ..*wanted
                });
            }
            Err(lost) => return Err(Trouble::Lost(lost)),
        }
    }
    output::bytes(&screen.finish());
    Ok(if part { Shown::Part } else { Shown::All })
}

/// Where in which log the next line comes from, as the daemon told it.
#[derive(Debug, Default)]
struct Places(BTreeMap<String, String>);

impl Places {
    fn note(&mut self, place: &str) {
        if let Some((block, _)) = place.rsplit_once('=') {
            self.0.insert(block.to_owned(), place.to_owned());
        }
    }
}

/// The options of the request.
fn beginning(wanted: &arguments::Logs) -> Vec<String> {
    let mut words = Vec::new();
    if wanted.follow {
        words.push("-f".to_owned());
    }
    for (option, value) in [
        ("-n", &wanted.lines),
        ("--since", &wanted.since),
        ("--grep", &wanted.grep),
    ] {
        if let Some(value) = value {
            words.extend([option.to_owned(), value.clone()]);
        }
    }
    words
}

/// Copies one answer; the refusal that it ends with, if it does.
fn copy(
    session: &mut Session,
    words: &[&str],
    screen: &mut Screen,
    part: &mut bool,
    begun: &mut bool,
    places: &mut Places,
) -> Result<Option<Refused>, Lost> {
    session.send(words)?;
    loop {
        match session.next(None)? {
            Step::Row(row) => {
                *begun = true;
                if let Some(place) = row.field("at") {
                    places.note(place);
                    continue;
                }
                match Report::of(&row).map(|report| (report.subject, report.result)) {
                    Some((subject, Err(refused))) => {
                        *part = true;
                        output::complain(&format!("{subject}: {}", refused.text));
                    }
                    _ => screen.meet(&row),
                }
            }
            Step::Raw { name, bytes } => output::bytes(&screen.show(&name, &bytes)),
            Step::Done(_) => return Ok(None),
            Step::Failed { code, text } => return Ok(Some(Refused::new(&code, &text))),
        }
    }
}

/// Colours of names, one after the other.
const COLOURS: &[&str] = &["36", "33", "32", "35", "34", "96", "93", "92", "95", "94"];

/// What lines look like. Pure.
#[derive(Debug)]
struct Screen {
    target: Target,
    prefixed: bool,
    /// Processes in the order in which they were met.
    names: Vec<String>,
    width: usize,
    /// The block whose last line has no newline yet.
    unfinished: Option<String>,
}

impl Screen {
    fn new(target: Target, prefixed: bool) -> Screen {
        Screen {
            target,
            prefixed,
            names: Vec::new(),
            width: 0,
            unfinished: None,
        }
    }

    /// A row that says of a log that it will be shown.
    fn meet(&mut self, row: &Row) {
        if let Some(name) = row.words.first() {
            self.number(name);
        }
    }

    fn number(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.width = self.width.max(printable(name).chars().count());
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }

    /// The text for some lines of the log `NAME/stdout` or `NAME/stderr`.
    fn show(&mut self, block: &str, lines: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(lines.len() + lines.len() / 4);
        let prefix = self.prefix(block);
        let mut goes_on = self.unfinished.as_deref() == Some(block);
        if self.unfinished.is_some() && !goes_on {
            text.push(b'\n');
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if !goes_on {
                text.extend_from_slice(prefix.as_bytes());
            }
            self.show_line(line, &mut text);
            goes_on = false;
        }
        self.unfinished = (!lines.ends_with(b"\n")).then(|| block.to_owned());
        text
    }

    /// What ends the last line.
    fn finish(&self) -> Vec<u8> {
        match self.unfinished {
            Some(_) => b"\n".to_vec(),
            None => Vec::new(),
        }
    }

    fn prefix(&mut self, block: &str) -> String {
        if !self.prefixed {
            return String::new();
        }
        let (name, channel) = block.rsplit_once('/').unwrap_or((block, "stdout"));
        let number = self.number(name);
        let mark = if channel == "stderr" { '!' } else { '|' };
        let width = self.width;
        if !self.target.colours {
            let name = if self.target.columns.is_some() {
                printable(name)
            } else {
                name.to_owned()
            };
            return format!("{name:<width$} {mark} ");
        }
        let colour = COLOURS[number % COLOURS.len()];
        format!("\x1b[{colour}m{:<width$} {mark}\x1b[0m ", printable(name))
    }

    fn show_line(&self, line: &[u8], text: &mut Vec<u8>) {
        if self.target.columns.is_none() {
            return text.extend_from_slice(line);
        }
        let (line, newline) = match line.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        let mut escaper = Escaper::default();
        escaper.push(line, text);
        escaper.finish(text);
        // A colour that a line does not end must not reach the next name.
        if line.contains(&0x1b) {
            text.extend_from_slice(b"\x1b[0m");
        }
        text.extend_from_slice(newline.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Target = Target {
        columns: None,
        colours: false,
    };

    fn show(target: Target, blocks: &[(&str, &str)]) -> String {
        let mut screen = Screen::new(target, true);
        for (block, _) in blocks {
            screen.number(block.rsplit_once('/').unwrap().0);
        }
        let mut text = Vec::new();
        for (block, lines) in blocks {
            text.extend(screen.show(block, lines.as_bytes()));
        }
        text.extend(screen.finish());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn each_line_stands_behind_its_name() {
        let blocks = [
            ("web/stdout", "one\ntwo\n"),
            ("worker:0/stderr", "bad\nprompt"),
            ("worker:0/stderr", ": yes\n"),
            ("worker:0/stdout", "half"),
            ("web/stdout", "\x1b[31mred\x1b[2J\n"),
        ];
        assert_eq!(
            show(PIPE, &blocks),
            "web      | one\nweb      | two\nworker:0 ! bad\nworker:0 ! prompt: yes\n\
             worker:0 | half\nweb      | \x1b[31mred\x1b[2J\n"
        );
        let terminal = Target {
            columns: Some(80),
            colours: true,
        };
        let shown = show(terminal, &blocks[3..]);
        assert_eq!(
            shown,
            "\x1b[36mworker:0 |\x1b[0m half\n\
             \x1b[33mweb      |\x1b[0m \x1b[31mred\\x1b[2J\x1b[0m\n"
        );
    }
}
