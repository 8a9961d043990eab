//! Reading options of a section: look up, expand, parse, and keep every problem with its place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::expand::{ExpandProblem, Word, expand};
use super::host::Host;
use super::ini::{Document, Entry, Section};
use super::options;
use super::value::Refused;
use crate::ordered;

/// What is read, the machine it is read on, and what was found wrong so far.
pub(super) struct Reader<'a> {
    pub host: &'a dyn Host,
    pub document: &'a Document,
    /// Variables for `%(ENV_x)s`.
    pub environment: BTreeMap<String, String>,
    pub diagnostics: Diagnostics,
}

/// A section with the names that its values may use.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub section: &'a Section,
    pub words: BTreeMap<&'static str, String>,
    pub numbers: BTreeMap<&'static str, i64>,
    /// Variables of the program itself.
    pub own: BTreeMap<String, String>,
    /// Supervisor ends messages of program-like sections by their section and file.
    pub suffixed: bool,
}

impl<'a> Scope<'a> {
    pub fn of(section: &'a Section) -> Scope<'a> {
        Scope {
            section,
            words: BTreeMap::new(),
            numbers: BTreeMap::new(),
            own: BTreeMap::new(),
            suffixed: false,
        }
    }
}

impl<'a> Reader<'a> {
    /// The raw entry of an option.
    pub fn entry(&self, scope: &Scope<'a>, option: &str) -> Option<&'a Entry> {
        self.document.entry(scope.section, option)
    }

    /// The expanded text of an option, trimmed; `None` if it is absent or cannot be expanded.
    pub fn text(&mut self, scope: &Scope<'a>, option: &str) -> Option<String> {
        let entry = self.entry(scope, option)?;
        let here = self.document.file(entry.origin).here.clone();
        let lookup = |name: &str| -> Option<Word<'_>> {
            if let Some(variable) = name.strip_prefix("ENV_") {
                let value = scope
                    .own
                    .get(variable)
                    .or_else(|| self.environment.get(variable))?;
                return Some(Word::Text(Cow::Owned(value.clone())));
            }
            if let Some(number) = scope.numbers.get(name) {
                return Some(Word::Number(*number));
            }
            match name {
                "here" => Some(Word::Text(Cow::Owned(here.clone()))),
                "host_node_name" => Some(Word::Text(Cow::Owned(self.host.host_name()))),
                _ => scope
                    .words
                    .get(name)
                    .map(|word| Word::Text(Cow::Owned(word.clone()))),
            }
        };
        match expand(&entry.value, lookup) {
            Ok(expanded) => {
                if let Some(nameless) = expanded.nameless {
                    let message = format!(
                        "{nameless} has no name, as %(program_name)s has, and stays as it is; write \
                         %{nameless} to say so"
                    );
                    self.warn(scope, option, message);
                }
                Some(expanded.text.into_owned())
            }
            Err(problem) => {
                let words = self.expansion_words(scope, option, &entry.value, &problem);
                self.refuse(scope, option, &words, "a value that can be expanded");
                None
            }
        }
    }

    fn expansion_words(
        &self,
        scope: &Scope<'a>,
        option: &str,
        value: &str,
        problem: &ExpandProblem,
    ) -> String {
        let of_program = !scope.words.is_empty();
        let place = match option {
            "process_name" | "environment" if of_program => option.to_owned(),
            _ => format!("{}.{option}", scope.section.name),
        };
        match problem {
            ExpandProblem::Unknown(name) => {
                let mut names: Vec<String> = self
                    .environment
                    .keys()
                    .chain(scope.own.keys())
                    .map(|name| format!("ENV_{name}"))
                    .chain(scope.words.keys().map(|name| (*name).to_owned()))
                    .chain(scope.numbers.keys().map(|name| (*name).to_owned()))
                    .chain(["here".to_owned()])
                    .collect();
                if of_program || scope.section.name == "include" {
                    names.push("host_node_name".to_owned());
                }
                ordered::sort(&mut names);
                names.dedup();
                format!(
                    "Format string '{value}' for '{place}' contains names ('{name}') which cannot \
                     be expanded. Available names: {}",
                    names.join(", ")
                )
            }
            ExpandProblem::Malformed(why) => {
                format!("Format string '{value}' for '{place}' is badly formatted: {why}")
            }
        }
    }

    /// Reads an option; its default if it is absent or wrong.
    pub fn read<T>(
        &mut self,
        scope: &Scope<'a>,
        option: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, Refused>,
    ) -> T {
        let Some(text) = self.text(scope, option) else {
            return default;
        };
        match parse(&text) {
            Ok(value) => value,
            Err(refused) => {
                let expected = match options::nearest_value(option, &text) {
                    Some(meant) => format!("{}; did you mean {meant}?", refused.expected),
                    None => refused.expected.to_owned(),
                };
                self.refuse(scope, option, &refused.words, &expected);
                default
            }
        }
    }

    /// Adds an error about an option, or about the section if the option is absent.
    pub fn refuse(&mut self, scope: &Scope<'a>, option: &str, words: &str, expected: &str) {
        let origin = self
            .entry(scope, option)
            .map_or(scope.section.origin, |entry| entry.origin);
        let file = self.document.file(origin).name.clone();
        // Python's name for it helps only those who know Python.
        let plain = words.replace("invalid literal for int() with base 10: ", "not a number: ");
        // The place says the section already.
        let plain = match plain.strip_prefix(&format!("[{}] ", scope.section.name)) {
            Some(rest) => rest.to_owned(),
            None => plain,
        };
        let message = match expected.is_empty() {
            true => plain,
            false => format!("{plain} (expected {expected})"),
        };
        let mut diagnostic = Diagnostic::error(message)
            .at(&file, origin.line)
            .in_section(&scope.section.name);
        if self.entry(scope, option).is_some() {
            diagnostic = diagnostic.of_option(option);
        }
        let words = if scope.suffixed {
            let section_file = &self.document.file(scope.section.origin).name;
            format!(
                "{words} in section '{}' (file: '{section_file}')",
                scope.section.name
            )
        } else {
            words.to_owned()
        };
        self.diagnostics.push(diagnostic.as_supervisor(words));
    }

    /// Adds a warning about an option.
    pub fn warn(&mut self, scope: &Scope<'a>, option: &str, message: String) {
        let warning = self.warning(scope, option, message);
        self.diagnostics.push(warning);
    }

    /// Adds a warning about an option for which Supervisor has a line as well.
    pub fn warn_as(&mut self, scope: &Scope<'a>, option: &str, message: String, theirs: String) {
        let warning = self.warning(scope, option, message).as_supervisor(theirs);
        self.diagnostics.push(warning);
    }

    fn warning(&self, scope: &Scope<'a>, option: &str, message: String) -> Diagnostic {
        let origin = self
            .entry(scope, option)
            .map_or(scope.section.origin, |entry| entry.origin);
        let file = self.document.file(origin).name.clone();
        Diagnostic::warning(message)
            .at(&file, origin.line)
            .in_section(&scope.section.name)
            .of_option(option)
    }
}
