//! The words after a verb, taken one by one by the verb's row of the table.
//!
//! Must never: know what a verb does.

use crate::fleet::Selector;

use super::codes::{Code, Trouble};
use super::question::Ask;
use super::request::{FOLLOW_LINES, LINES_MAX, Logs, Request, Tail};
use super::selector;
use super::since::Since;
use super::verb::{Verb, VerbOption};
use super::verbs::{AT, BYTES, FOLLOW, FROM, GREP, LINES, SINCE};
use super::word::shown;

/// The words after a verb: options apart, arguments still to be taken.
pub(super) struct Arguments {
    verb: &'static Verb,
    options: Vec<(&'static str, String)>,
    words: std::vec::IntoIter<String>,
}

impl Arguments {
    pub(super) fn new(
        verb: &'static Verb,
        mut words: std::vec::IntoIter<String>,
    ) -> Result<Arguments, Trouble> {
        let mut arguments = Arguments {
            verb,
            options: Vec::new(),
            words: Vec::new().into_iter(),
        };
        while let Some(word) = words.as_slice().first() {
            if !word.starts_with('-') || word == "-" {
                break;
            }
            let word = words.next().unwrap_or_default();
            if word == "--" {
                break;
            }
            let option = verb.options.iter().find(|option| option.name == word);
            let Some(option) = option else {
                let text = format!("there is no option {}", shown(&word));
                return Err(arguments.misuse(&text));
            };
            let value = match option.value {
                None => String::new(),
                Some(what) => words.next().ok_or_else(|| {
                    arguments.misuse(&format!("{} is not followed by {what}", option.name))
                })?,
            };
            arguments.options.push((option.name, value));
        }
        arguments.words = words;
        Ok(arguments)
    }

    /// What is wrong, and how the verb is used.
    pub(super) fn misuse(&self, text: &str) -> Trouble {
        let usage = self.verb.usage();
        Trouble::new(Code::BadArguments, format!("{text}; usage: {usage}"))
    }

    pub(super) fn has(&self, option: &VerbOption) -> bool {
        self.options.iter().any(|(name, _)| *name == option.name)
    }

    pub(super) fn number_of(&self, option: &VerbOption) -> Result<Option<u64>, Trouble> {
        let given = self
            .options
            .iter()
            .rev()
            .find(|(name, _)| *name == option.name);
        given
            .map(|(name, value)| {
                let what = option.value.unwrap_or("NUMBER");
                let bad = |_| self.misuse(&format!("{name} {what} is not a number"));
                value.parse().map_err(bad)
            })
            .transpose()
    }

    fn value_of(&self, option: &VerbOption) -> Option<&str> {
        let given = self.options.iter().rev();
        let mut given = given.filter(|(name, _)| *name == option.name);
        given.next().map(|(_, value)| value.as_str())
    }

    /// `logs`.
    pub(super) fn logs(&mut self) -> Result<Request, Trouble> {
        let follow = self.has(&FOLLOW);
        let since = self.value_of(&SINCE).map(Since::read).transpose();
        let since = since.map_err(|text| self.misuse(&text))?;
        let last = match self.value_of(&LINES) {
            Some("all") => None,
            Some(_) => self.number_of(&LINES)?,
            None => (follow && since.is_none()).then_some(FOLLOW_LINES),
        };
        if last > Some(LINES_MAX) {
            let text = format!("LINES is at most {LINES_MAX}; `all` is all of them");
            return Err(self.misuse(&text));
        }
        let pattern = self.value_of(&GREP).map(str::to_owned);
        if let Some(pattern) = &pattern {
            super::logs::compile(pattern).map_err(|text| self.misuse(&text))?;
        }
        let places = self.options.iter().filter(|(name, _)| *name == AT.name);
        let places = places.map(|(_, place)| {
            super::logs::place(place)
                .ok_or_else(|| self.misuse(&format!("{} is no PLACE that was told", shown(place))))
        });
        let at = places.collect::<Result<_, _>>()?;
        Ok(Request::Logs(Logs {
            at,
            selectors: self.selectors()?,
            follow,
            last,
            since,
            pattern,
        }))
    }

    pub(super) fn next(&mut self) -> Option<String> {
        self.words.next()
    }

    pub(super) fn required(&mut self, what: &str) -> Result<String, Trouble> {
        let word = self.next();
        word.ok_or_else(|| self.misuse(&format!("{what} is missing")))
    }

    pub(super) fn optional_number(&mut self, what: &str) -> Result<Option<u32>, Trouble> {
        let word = self.next();
        word.map(|word| word.parse())
            .transpose()
            .map_err(|_| self.misuse(&format!("{what} is not a number")))
    }

    pub(super) fn selectors(&mut self) -> Result<Vec<Selector>, Trouble> {
        let words = std::mem::take(&mut self.words);
        let selectors: Result<_, String> = words.map(|word| selector::selector(&word)).collect();
        selectors.map_err(|text| self.misuse(&text))
    }

    pub(super) fn some_selectors(&mut self) -> Result<Vec<Selector>, Trouble> {
        let selectors = self.selectors()?;
        match selectors.is_empty() {
            true => Err(self.misuse("no process is named")),
            false => Ok(selectors),
        }
    }

    pub(super) fn groups(&mut self) -> Vec<String> {
        std::mem::take(&mut self.words).collect()
    }

    pub(super) fn some_groups(&mut self) -> Result<Vec<String>, Trouble> {
        let groups = self.groups();
        match groups.is_empty() {
            true => Err(self.misuse("no group is named")),
            false => Ok(groups),
        }
    }

    pub(super) fn tail(&self, ask: Ask, block: &'static str) -> Result<Request, Trouble> {
        Ok(Request::Tail(Tail {
            ask,
            block,
            follow: self.has(&FOLLOW),
            from: self.number_of(&FROM)?,
            bytes: self.number_of(&BYTES)?,
        }))
    }
}
