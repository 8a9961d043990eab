//! What a verb is: its arguments, who may use it, its help.
//!
//! Must never: do what a verb asks for. A line becomes a [`Request`] or the reason why not.

use super::arguments::Arguments;
use super::codes::Trouble;
use super::line::Row;
use super::request::Request;

/// What a peer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// Look.
    Observe,
    /// Look and change.
    Control,
}

impl Rights {
    /// As written in help and documentation.
    pub fn word(self) -> &'static str {
        match self {
            Rights::Observe => "observe",
            Rights::Control => "control",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Verb {
    /// The first word of the line.
    pub name: &'static str,
    /// Options, which stand before the arguments; `--` ends them.
    pub options: &'static [VerbOption],
    /// Arguments as shown in usage; `…` says several, brackets say that it can be left out.
    pub arguments: &'static str,
    /// Who may use it.
    pub rights: Rights,
    /// The answer can go on until either side hangs up.
    pub streams: bool,
    /// What it does, in a sentence or two.
    pub help: &'static str,
    pub(super) read: fn(&mut Arguments) -> Result<Request, Trouble>,
}

/// An option of a verb.
#[derive(Debug)]
pub struct VerbOption {
    /// With its dashes.
    pub name: &'static str,
    /// What follows it, as shown in usage.
    pub value: Option<&'static str>,
}

impl Verb {
    /// `start [--no-wait] SELECTOR…`
    pub fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        for option in self.options {
            match option.value {
                None => usage += &format!(" [{}]", option.name),
                Some(value) => usage += &format!(" [{} {value}]", option.name),
            }
        }
        if !self.arguments.is_empty() {
            usage += " ";
            usage += self.arguments;
        }
        usage
    }
}

/// `NAME arguments=… rights=… streams=yes help=…`, the answer of `help`.
pub fn help_row(verb: &Verb) -> Row {
    let usage = verb.usage();
    let arguments = usage[verb.name.len()..].trim_start();
    Row::of([verb.name])
        .with_some("arguments", arguments)
        .with("rights", verb.rights.word())
        .with_some("streams", if verb.streams { "yes" } else { "" })
        .with("help", verb.help)
}
