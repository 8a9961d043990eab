//! An event with its number and its time, and its form for people: JSON, and the fields of a row.

use serde::Serialize;

use super::event::{Event, Output, StateChange};
use super::payload::text;
use crate::fleet::State;

/// Longest name or text of a record, in bytes; listeners get the whole of it, the ring its beginning.
pub const TEXT_MAX: usize = 4096;

/// An event as it is kept and told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number: one more than that of the event before it.
    pub sequence: u64,
    /// When it happened, in seconds since 1970.
    pub wall: i64,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// A record whose texts are cut to [`TEXT_MAX`].
    pub fn shortened(sequence: u64, wall: i64, mut event: Event) -> Record {
        match &mut event {
            Event::State(change) => shorten(&mut change.why),
            Event::Communication(output) | Event::Log(output) => {
                output.data.truncate(TEXT_MAX);
                output.data.shrink_to_fit();
            }
            Event::Remote { kind, data } => {
                shorten(kind);
                shorten(data);
            }
            Event::GroupAdded { group } | Event::GroupRemoved { group } => shorten(group),
            Event::SupervisorRunning | Event::SupervisorStopping | Event::Tick { .. } => {}
        }
        Record {
            sequence,
            wall,
            event,
        }
    }

    /// Bytes that it takes, about.
    pub fn weight(&self) -> usize {
        let texts = match &self.event {
            Event::State(change) => {
                change.name.group.len() + change.name.process.len() + change.why.len()
            }
            Event::Communication(output) | Event::Log(output) => {
                output.name.group.len() + output.name.process.len() + output.data.len()
            }
            Event::Remote { kind, data } => kind.len() + data.len(),
            Event::GroupAdded { group } | Event::GroupRemoved { group } => group.len(),
            Event::SupervisorRunning | Event::SupervisorStopping | Event::Tick { .. } => 0,
        };
        size_of::<Record>() + texts
    }

    /// Its facts, flat, as JSON and rows have them. What says nothing is empty.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts {
            sequence: self.sequence,
            time: self.wall,
            event: self.event.kind().name().to_owned(),
            ..Facts::default()
        };
        match &self.event {
            Event::State(StateChange {
                name,
                from,
                to,
                pid,
                tries,
                expected,
                why,
            }) => {
                facts.name = Some(name.to_string());
                facts.group = Some(name.group.clone());
                facts.from = Some(from.word().to_owned());
                facts.to = Some(to.word().to_owned());
                facts.pid = (*pid != 0).then_some(*pid);
                facts.tries = (*tries != 0).then_some(*tries);
                facts.expected = (*to == State::Exited).then_some(*expected);
                facts.why = some(why.clone());
            }
            Event::Communication(output) | Event::Log(output) => {
                let Output {
                    name,
                    pid,
                    channel,
                    data,
                } = output;
                facts.name = Some(name.to_string());
                facts.group = Some(name.group.clone());
                facts.pid = (*pid != 0).then_some(*pid);
                facts.channel = Some(channel.word().to_owned());
                facts.data = some(text(data));
            }
            Event::Remote { kind, data } => {
                facts.kind = some(kind.clone());
                facts.data = some(data.clone());
            }
            Event::Tick { when, .. } => facts.when = Some(*when),
            Event::GroupAdded { group } | Event::GroupRemoved { group } => {
                facts.group = Some(group.clone());
            }
            Event::SupervisorRunning | Event::SupervisorStopping => {}
        }
        facts
    }
}

/// The facts of a record, flat. Fields that mean nothing for an event are left out of its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Facts {
    /// Its number.
    pub sequence: u64,
    /// When it happened, in seconds since 1970.
    pub time: i64,
    /// Supervisor's name of its type.
    pub event: String,
    /// The process, as shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// State before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// State after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Pid of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Attempts to start it that have failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// Whether an end was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Which output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Type of a remote event.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Time of a tick, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<i64>,
    /// What was written or sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

/// The text, if it says anything.
fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn shorten(text: &mut String) {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
