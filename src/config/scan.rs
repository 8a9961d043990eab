//! Lines into sections, keys and values, by the rules of Python's `RawConfigParser` as Supervisor
//! sets it up (repeated sections and keys allowed, `;` and `#` as comment signs).
//!
//! Every finding keeps its line. Knows nothing of files, merging or the meaning of options.

use super::python::{is_space, strip};

/// Most faulty lines that are reported of one file: the rest of a wrong file says nothing new.
pub const PROBLEMS_MAX: usize = 50;

/// What stands in one text, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanned {
    /// The sections; a name may come again.
    pub sections: Vec<ScannedSection>,
    /// Lines that are not of the grammar, at most [`PROBLEMS_MAX`].
    pub problems: Vec<LineProblem>,
    /// Lines whose comment sign stands inside quotes, which do not protect it.
    pub cut_quotes: Vec<u32>,
}

/// One section header and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedSection {
    /// The text between the brackets, untrimmed.
    pub name: String,
    /// Line of the header, from 1.
    pub line: u32,
    /// Its options; a key may come again.
    pub entries: Vec<ScannedEntry>,
}

/// One `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedEntry {
    /// The key, in lower case.
    pub key: String,
    /// The value without comments; the lines of a longer one joined by line feeds.
    pub value: String,
    /// Line of the key, from 1.
    pub line: u32,
}

/// A line that is not of the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineProblem {
    /// The line, from 1.
    pub line: u32,
    /// Its whole text with its line feed, as Supervisor's message shows it.
    pub raw: String,
    /// What is wrong with it.
    pub kind: LineProblemKind,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineProblemKind {
    /// It stands before the first section. Only the first such line is reported.
    BeforeSections,
    /// It has no `=` or `:`.
    NoDelimiter,
    /// It has nothing before its `=` or `:`.
    NoKey,
}

/// Reads a text. A byte order mark at its start is skipped.
pub fn scan(text: &str) -> Scanned {
    let mut scanner = Scanner::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, raw) in (1..).zip(lines(text)) {
        scanner.line(number, raw);
    }
    scanner.finish()
}

/// Splits at line feeds, carriage returns and pairs of both, as Python opens text files. The
/// last line is given without a line feed if it has none.
fn lines(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = rest.find(['\n', '\r']) else {
            return Some((std::mem::take(&mut rest), false));
        };
        let line = &rest[..end];
        let width = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + width..];
        Some((line, true))
    })
}

#[derive(Default)]
struct Scanner {
    scanned: Scanned,
    /// Lines of the value that may still be continued; empty: none can.
    value: Vec<String>,
    /// Indentation of the last header or key.
    indent: usize,
}

impl Scanner {
    fn line(&mut self, number: u32, (raw, ended): (&str, bool)) {
        let comment = comment_start(raw);
        let text = strip(&raw[..comment.unwrap_or(raw.len())]);
        if text.is_empty() {
            if comment.is_none() && !self.value.is_empty() {
                self.value.push(String::new());
            }
            return;
        }
        if let Some(comment) = comment
            && cuts_quotes(text, &raw[comment..])
        {
            self.scanned.cut_quotes.push(number);
        }
        let indent = raw.chars().take_while(|c| is_space(*c)).count();
        if !self.value.is_empty() && indent > self.indent {
            self.value.push(text.to_string());
            return;
        }
        self.indent = indent;
        if let Some(name) = header(text) {
            self.end_value();
            self.scanned.sections.push(ScannedSection {
                name: name.to_string(),
                line: number,
                entries: Vec::new(),
            });
        } else if let Err(kind) = self.option(number, text) {
            self.problem(number, raw, ended, kind);
        }
    }

    fn option(&mut self, number: u32, text: &str) -> Result<(), LineProblemKind> {
        if self.scanned.sections.is_empty() {
            return Err(LineProblemKind::BeforeSections);
        }
        let delimiter = text.find(['=', ':']).ok_or(LineProblemKind::NoDelimiter)?;
        let key = strip(&text[..delimiter]).to_lowercase();
        self.end_value();
        if key.is_empty() {
            return Err(LineProblemKind::NoKey);
        }
        self.value.push(strip(&text[delimiter + 1..]).to_string());
        if let Some(section) = self.scanned.sections.last_mut() {
            section.entries.push(ScannedEntry {
                key,
                value: String::new(),
                line: number,
            });
        }
        Ok(())
    }

    fn problem(&mut self, line: u32, raw: &str, ended: bool, kind: LineProblemKind) {
        let problems = &mut self.scanned.problems;
        let known = kind == LineProblemKind::BeforeSections
            && problems.iter().any(|problem| problem.kind == kind);
        if !known && problems.len() < PROBLEMS_MAX {
            let raw = format!("{raw}{}", if ended { "\n" } else { "" });
            problems.push(LineProblem { line, raw, kind });
        }
    }

    /// Gives the last key its whole value.
    fn end_value(&mut self) {
        let lines = std::mem::take(&mut self.value);
        let entry = self
            .scanned
            .sections
            .last_mut()
            .and_then(|section| section.entries.last_mut());
        if let (false, Some(entry)) = (lines.is_empty(), entry) {
            entry.value = lines.join("\n").trim_end_matches(is_space).to_string();
        }
    }

    fn finish(mut self) -> Scanned {
        self.end_value();
        self.scanned
    }
}

/// The name of a section header: from the `[` to the last `]`, whatever follows it.
fn header(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('[')?;
    let name = &rest[..rest.rfind(']')?];
    (!name.is_empty()).then_some(name)
}

/// Where the comment of a line begins: at its first visible character, or at a sign behind white
/// space.
///
/// Python looks for both signs in rounds, the n-th `;` together with the n-th `#`, and the first
/// round that finds a comment decides. So in `a;b;c ;d #e` the comment is `#e`.
fn comment_start(line: &str) -> Option<usize> {
    if line.trim_start_matches(is_space).starts_with([';', '#']) {
        return Some(0);
    }
    let starts = |sign| {
        line.match_indices(sign)
            .map(|(at, _)| (line[..at].ends_with(is_space), at))
    };
    let (mut semicolons, mut hashes) = (starts(';'), starts('#'));
    loop {
        match (semicolons.next(), hashes.next()) {
            (None, None) => return None,
            (a, b) => {
                let found = [a, b].into_iter().flatten().filter(|(starts, _)| *starts);
                if let Some(at) = found.map(|(_, at)| at).min() {
                    return Some(at);
                }
            }
        }
    }
}

/// Whether a quotation opens before the comment and closes in it.
fn cuts_quotes(kept: &str, comment: &str) -> bool {
    ['"', '\'']
        .into_iter()
        .any(|quote| kept.matches(quote).count() % 2 == 1 && comment.contains(quote))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `section.key=value` of each option, the value's line feeds shown as `|`.
    fn flat(text: &str) -> Vec<String> {
        let flat = |section: &ScannedSection| {
            let name = section.name.clone();
            let entries = section.entries.clone();
            entries
                .into_iter()
                .map(move |e| format!("{name}.{}={}", e.key, e.value.replace('\n', "|")))
        };
        scan(text).sections.iter().flat_map(flat).collect()
    }

    #[test]
    fn reads_what_python_reads() {
        // Each expectation was seen in Python's RawConfigParser set up as Supervisor does it.
        let table: &[(&str, &[&str])] = &[
            (
                "[a]\nk=v\nk2: w\nK 3 = x = y\n",
                &["a.k=v", "a.k2=w", "a.k 3=x = y"],
            ),
            ("[a] junk\nk=v", &["a.k=v"]),
            ("[a]b]\nk=v", &["a]b.k=v"]),
            ("[ a ]\nk=v", &[" a .k=v"]),
            ("  [a]\n  k=v\n  l=w\n", &["a.k=v", "a.l=w"]),
            (
                "[a]\nk=v ; c\nl=v;c\nm=;x\nn= ;x\n",
                &["a.k=v", "a.l=v;c", "a.m=;x", "a.n="],
            ),
            ("[a]\n; c\n  # c\nk=v\t#c\n", &["a.k=v"]),
            ("[a]\nk=a;b;c ;d #e\n", &["a.k=a;b;c ;d"]),
            ("[a]\nk=1\n  2\n\t3\nl=4\n", &["a.k=1|2|3", "a.l=4"]),
            ("[a]\nk=1\n\n  2\n\n\nl=4\n", &["a.k=1||2", "a.l=4"]),
            ("[a]\nk=1\n; c\n  # c\n  2 ; c\n", &["a.k=1|2"]),
            ("[a]\nk=\n  1\n  2\n", &["a.k=|1|2"]),
            ("[a]\n  k=1\n  l=2\n   m=3\n", &["a.k=1", "a.l=2|m=3"]),
            ("[a]\nk=1\n [b]\n", &["a.k=1|[b]"]),
            ("[a]\n[program:b\n", &["a.[program=b"]),
            ("[a]\r\nk=1\r\nl=2\r", &["a.k=1", "a.l=2"]),
            ("\u{feff}[a]\nk=1", &["a.k=1"]),
            ("[a]\nk=1\n[a]\nk=2\n", &["a.k=1", "a.k=2"]),
            ("[a]\nÄ=\u{a0}x\u{a0}\n", &["a.ä=x"]),
        ];
        for (text, expected) in table {
            assert_eq!(flat(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn keeps_lines() {
        let scanned = scan("\n[a]\nk=1\n  2\n\n; c\nl=2\n[b]\n");
        let lines: Vec<_> = scanned.sections.iter().map(|s| s.line).collect();
        assert_eq!(lines, [2, 8]);
        let lines: Vec<_> = scanned.sections[0].entries.iter().map(|e| e.line).collect();
        assert_eq!(lines, [3, 7]);
    }

    #[test]
    fn reports_faulty_lines() {
        use LineProblemKind::{BeforeSections, NoDelimiter, NoKey};
        #[allow(clippy::type_complexity)] // a table of a test
        let table: &[(&str, &[(u32, &str, LineProblemKind)])] = &[
            ("x=1\ny=2\n[a]\n", &[(1, "x=1\n", BeforeSections)]),
            ("[a\n", &[(1, "[a\n", BeforeSections)]),
            (
                "[a]\njunk\nk=1\n more\n[]\n=5",
                &[
                    (2, "junk\n", NoDelimiter),
                    (5, "[]\n", NoDelimiter),
                    (6, "=5", NoKey),
                ],
            ),
        ];
        for (text, expected) in table {
            let found = scan(text).problems;
            let found: Vec<_> = found
                .iter()
                .map(|p| (p.line, p.raw.as_str(), p.kind))
                .collect();
            assert_eq!(found, *expected, "{text:?}");
        }
        assert_eq!(
            scan(&("[a]\n".to_string() + &"x\n".repeat(1000)))
                .problems
                .len(),
            PROBLEMS_MAX
        );
    }

    #[test]
    fn sees_quotes_that_do_not_protect() {
        let text = "[a]\nk=sh -c \"a ; b\"\nl=it's ; fine\nm='x' ; 'y'\n";
        assert_eq!(scan(text).cut_quotes, [2]);
    }
}
