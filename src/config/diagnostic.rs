//! What there is to say about a configuration: errors, warnings, notices, each with its place.

use crate::ordered;
use std::collections::HashSet;
use std::fmt;

/// How bad it is. The order is that of reading aloud: errors first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and probably does not do what was meant. Logged as WARN.
    Warning,
    /// Worth a line in the log (INFO).
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        })
    }
}

/// One finding. Printed, it is `file:line: error: [section] option: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file, written as it was named.
    pub file: Option<String>,
    /// Line in that file, from 1.
    pub line: Option<u32>,
    /// The section's whole name, without brackets.
    pub section: Option<String>,
    /// The option's name.
    pub option: Option<String>,
    /// What is wrong, with which value, what was expected, and what may have been meant.
    pub message: String,
    /// What Supervisor 4.3.0 says about the same: for an error the text behind `Error: `, for a
    /// notice its log line. `None` if Supervisor is silent about it.
    pub supervisor_text: Option<String>,
}

impl Diagnostic {
    /// A finding without a place.
    pub fn new(severity: Severity, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity,
            file: None,
            line: None,
            section: None,
            option: None,
            message: message.into(),
            supervisor_text: None,
        }
    }

    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Error, message)
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Severity::Warning, message)
    }

    /// Says the place.
    pub fn at(mut self, file: &str, line: u32) -> Diagnostic {
        self.file = Some(file.to_string());
        self.line = Some(line);
        self
    }

    /// Says the section.
    pub fn in_section(mut self, section: &str) -> Diagnostic {
        self.section = Some(section.to_string());
        self
    }

    /// Says the option.
    pub fn of_option(mut self, option: &str) -> Diagnostic {
        self.option = Some(option.to_string());
        self
    }

    /// Says what Supervisor says.
    pub fn as_supervisor(mut self, text: impl Into<String>) -> Diagnostic {
        self.supervisor_text = Some(text.into());
        self
    }

    /// Supervisor's text where it has one, else our own with its place in one line.
    pub fn for_supervisor(&self) -> String {
        self.supervisor_text
            .clone()
            .unwrap_or_else(|| format!("{}{}", Place(self), self.message))
    }
}

/// The place of a diagnostic, with a separator behind each part that there is.
struct Place<'a>(&'a Diagnostic);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.file, self.0.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            _ => {}
        }
        Topic(self.0).fmt(f)
    }
}

/// Section and option of a diagnostic.
struct Topic<'a>(&'a Diagnostic);

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.section, &self.0.option) {
            (Some(section), Some(option)) => write!(f, "[{section}] {option}: "),
            (Some(section), None) => write!(f, "[{section}]: "),
            (None, Some(option)) => write!(f, "{option}: "),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            _ => {}
        }
        write!(f, "{}: {}{}", self.severity, Topic(self), self.message)
    }
}

/// What makes a finding the same as another: file, line, option, message.
type Said = (Option<String>, Option<u32>, Option<String>, String);

/// Findings in the order in which Supervisor would meet them, none twice.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    said: HashSet<Said>,
}

impl Diagnostics {
    /// None yet.
    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    /// Adds one, unless the same was said of the same place: a program is read once for each of
    /// its processes and groups. What merely happened is told as often as it happens.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let key = (
            diagnostic.file.clone(),
            diagnostic.line,
            diagnostic.option.clone(),
            diagnostic.message.clone(),
        );
        if self.said.insert(key) || diagnostic.severity == Severity::Info {
            self.list.push(diagnostic);
        }
    }

    /// Adds the error of a result, and gives its value.
    pub fn take<T>(&mut self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// How many errors there are.
    pub fn error_count(&self) -> usize {
        self.of(Severity::Error).count()
    }

    /// All of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Diagnostic> {
        self.list
            .iter()
            .filter(move |diagnostic| diagnostic.severity == severity)
    }

    /// The one error that Supervisor would stop at, in its words: what stands behind `Error: `.
    /// If it would accept all of it, our first error.
    pub fn supervisor_error(&self) -> Option<String> {
        self.of(Severity::Error)
            .find(|diagnostic| diagnostic.supervisor_text.is_some())
            .or_else(|| self.of(Severity::Error).next())
            .map(Diagnostic::for_supervisor)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }
}

impl PartialEq for Diagnostics {
    fn eq(&self, other: &Diagnostics) -> bool {
        self.list == other.list
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        diagnostics.push(diagnostic);
        diagnostics
    }
}

/// Findings in the order in which a person walks through the files: what has no place first, then
/// file by file as they were met, from top to bottom.
pub fn by_place(findings: &[Diagnostic]) -> Vec<&Diagnostic> {
    let mut files: Vec<Option<&str>> = vec![None];
    for finding in findings {
        if !files.contains(&finding.file.as_deref()) {
            files.push(finding.file.as_deref());
        }
    }
    let file = |finding: &Diagnostic| {
        let name = finding.file.as_deref();
        files.iter().position(|file| *file == name)
    };
    let mut sorted: Vec<&Diagnostic> = findings.iter().collect();
    ordered::sort_by_key(&mut sorted, |finding| (file(finding), finding.line));
    sorted
}

/// One line for each, by place.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        by_place(&self.list)
            .into_iter()
            .try_for_each(|diagnostic| writeln!(f, "{diagnostic}"))
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_knows() {
        let error = Diagnostic::error("'FOO' is not a signal");
        assert_eq!(error.to_string(), "error: 'FOO' is not a signal");
        let error = error.at("c.conf", 3);
        assert_eq!(error.to_string(), "c.conf:3: error: 'FOO' is not a signal");
        let error = error.in_section("program:a").of_option("stopsignal");
        assert_eq!(
            error.to_string(),
            "c.conf:3: error: [program:a] stopsignal: 'FOO' is not a signal"
        );
        assert_eq!(
            error.for_supervisor(),
            "c.conf:3: [program:a] stopsignal: 'FOO' is not a signal"
        );
        assert_eq!(error.as_supervisor("bad").for_supervisor(), "bad");
    }

    #[test]
    fn are_read_from_top_to_bottom() {
        let at = |file, line| Diagnostic::error("e").at(file, line);
        let told = [
            at("main", 9),
            at("extra", 1),
            Diagnostic::error("e"),
            at("main", 3),
        ];
        let places: Vec<_> = by_place(&told)
            .into_iter()
            .map(|one| (one.file.as_deref(), one.line))
            .collect();
        assert_eq!(
            places,
            [
                (None, None),
                (Some("main"), Some(3)),
                (Some("main"), Some(9)),
                (Some("extra"), Some(1)),
            ]
        );
    }

    #[test]
    fn supervisor_stops_at_the_first_error_it_knows() {
        let mut all = Diagnostics::new();
        all.push(Diagnostic::warning("w").as_supervisor("w"));
        all.push(Diagnostic::error("only ours"));
        assert_eq!(all.supervisor_error().as_deref(), Some("only ours"));
        all.push(Diagnostic::error("both").as_supervisor("theirs"));
        all.push(Diagnostic::error("both").as_supervisor("theirs"));
        assert_eq!(all.supervisor_error().as_deref(), Some("theirs"));
        assert_eq!(all.error_count(), 2);
    }
}
