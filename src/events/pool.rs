//! One pool: the processes of an `[eventlistener:x]` and the events that wait for them.
//!
//! An event goes to the first process that is RUNNING and READY, oldest event first. One that was
//! rejected, or whose listener died over it, goes back to the head of the buffer of *this* pool and
//! pushes nothing out; a full buffer gives up its oldest event for a new one.
//!
//! Pure. Must never: know a descriptor, decide when a process runs.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::dialogue::{Dialogue, ListenerState, Said};
use crate::config::{EventType, ListenerConfig};
use crate::fleet::{ProcessId, Stamp};
use crate::ordered;

/// Events that a pool keeps until the first of its listeners has been READY, if `buffer_size` is
/// less: what happens while the daemon starts would push itself out otherwise.
pub const STARTUP_BUFFER: usize = 1000;

/// Bytes that a pool keeps, whatever `buffer_size` says.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

/// An event that is rejected is not sent again before this time, which doubles with every further
/// rejection up to [`PAUSE_MAX`]: a listener that rejects everything costs next to nothing.
pub const PAUSE_MIN: Duration = Duration::from_millis(100);

/// See [`PAUSE_MIN`].
pub const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What an event weighs beside its payload, in bytes.
const ENVELOPE_WEIGHT: usize = 32;

/// An event on its way to a pool's listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Its number among the events that any pool took; the same in all pools.
    pub serial: u64,
    /// Its number among those of this pool.
    pub poolserial: u64,
    /// Its type.
    pub kind: EventType,
    /// Its payload.
    pub payload: String,
}

/// What a pool did that is worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The buffer was full: this event will not be delivered.
    Discarded {
        /// Which pool.
        pool: String,
        /// The event's serial.
        serial: u64,
    },
    /// A listener's state changed.
    State {
        /// Which listener.
        process: ProcessId,
        /// Before.
        from: ListenerState,
        /// After.
        to: ListenerState,
    },
    /// A listener gave the result of its event.
    Result {
        /// Which listener.
        process: ProcessId,
        /// It does not want it back.
        accepted: bool,
    },
    /// A listener does not speak the protocol, or cannot be spoken to.
    Broken {
        /// Which listener.
        process: ProcessId,
        /// What it did.
        why: String,
    },
    /// An event goes to a listener.
    Sent {
        /// Which listener.
        process: ProcessId,
        /// The event's serial.
        serial: u64,
    },
}

/// A listener as its pool sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Listener {
    dialogue: Dialogue,
    /// The event it has, or is being sent.
    event: Option<Envelope>,
    /// Of the event's text, what has been written so far.
    written: usize,
}

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    name: String,
    events: Vec<EventType>,
    buffer_size: usize,
    next_serial: u64,
    /// One more than the serial of the last event that was taken.
    end: u64,
    /// No event from this serial on was ever given to a listener, or up. Those before it that wait
    /// came back, and are at the head.
    begin: u64,
    buffer: VecDeque<Envelope>,
    /// Bytes of payload in the buffer.
    bytes: usize,
    /// By process; its order is the order in which they are tried.
    listeners: BTreeMap<ProcessId, Listener>,
    /// A listener of it has been READY.
    spoke: bool,
    /// The pool is about to be stopped: only what it took before this number is still sent.
    closes_at: Option<u64>,
    /// Events given up so far because the buffer was full.
    discarded: u64,
    /// After rejections: when to send again, and how long was waited last.
    pause: Option<(Stamp, Duration)>,
}

impl Pool {
    /// A pool with nothing to tell.
    pub fn new(name: &str, config: &ListenerConfig, processes: &[ProcessId]) -> Pool {
        let listeners = processes.iter().map(|id| (*id, Listener::default()));
        Pool {
            name: name.to_owned(),
            events: config.events.clone(),
            buffer_size: usize::try_from(config.buffer_size).unwrap_or(usize::MAX),
            next_serial: 0,
            end: 0,
            begin: 0,
            buffer: VecDeque::new(),
            bytes: 0,
            listeners: ordered::map(listeners),
            spoke: false,
            closes_at: None,
            discarded: 0,
            pause: None,
        }
    }

    /// Events given up so far because the buffer was full.
    pub fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Whether it wants events of this type.
    pub fn wants(&self, kind: EventType) -> bool {
        self.events.iter().any(|event| event.covers(kind))
    }

    /// Whether this process is one of its listeners.
    pub fn has(&self, process: ProcessId) -> bool {
        self.listeners.contains_key(&process)
    }

    /// Takes an event that it wants.
    pub fn accept(&mut self, serial: u64, kind: EventType, payload: String, notes: &mut Vec<Note>) {
        let envelope = Envelope {
            serial,
            poolserial: self.next_serial,
            kind,
            payload,
        };
        self.next_serial += 1;
        self.end = serial + 1;
        let most = match self.spoke {
            true => self.buffer_size,
            false => self.buffer_size.max(STARTUP_BUFFER),
        };
        self.bytes += envelope.payload.len();
        self.buffer.push_back(envelope);
        // What came from a listener, or from the start, may exceed it: one goes for one that comes.
        if self.buffer.len() > most {
            self.discard_oldest(notes);
        }
        while self.buffer.len() > 1 && self.bytes > BYTES_MAX {
            self.discard_oldest(notes);
        }
    }

    /// The process has been started.
    pub fn started(&mut self, process: ProcessId) {
        self.take_back(process);
        if let Some(listener) = self.listeners.get_mut(&process) {
            *listener = Listener::default();
        }
    }

    /// The process has ended: whatever event it had is to be sent again.
    pub fn ended(&mut self, process: ProcessId) {
        self.take_back(process);
        if let Some(listener) = self.listeners.get_mut(&process) {
            *listener = Listener::default();
        }
    }

    /// What a listener said.
    pub fn heard(&mut self, now: Stamp, process: ProcessId, bytes: &[u8], notes: &mut Vec<Note>) {
        let Some(listener) = self.listeners.get_mut(&process) else {
            return;
        };
        let from = listener.dialogue.state();
        let said = listener.dialogue.hear(bytes);
        let to = listener.dialogue.state();
        if from != to {
            notes.push(Note::State { process, from, to });
        }
        for one in said {
            match one {
                Said::Ready => self.spoke = true,
                Said::Accepted => {
                    self.pause = None;
                    self.forget_event(process);
                    let accepted = true;
                    notes.push(Note::Result { process, accepted });
                }
                Said::Rejected => {
                    let accepted = false;
                    notes.push(Note::Result { process, accepted });
                    self.take_back(process);
                    let last = self.pause.map(|(_, wait)| (wait * 2).min(PAUSE_MAX));
                    let wait = last.unwrap_or(PAUSE_MIN);
                    self.pause = Some((now.after(wait), wait));
                }
                Said::Nonsense(why) => {
                    notes.push(Note::Broken { process, why });
                    self.take_back(process);
                }
            }
        }
    }

    /// A listener cannot be written to.
    pub fn deaf(&mut self, process: ProcessId, why: String, notes: &mut Vec<Note>) {
        let Some(listener) = self.listeners.get_mut(&process) else {
            return;
        };
        let from = listener.dialogue.state();
        listener.dialogue.give_up();
        let to = ListenerState::Unknown;
        notes.push(Note::State { process, from, to });
        notes.push(Note::Broken { process, why });
        self.take_back(process);
    }

    /// Gives events to listeners that wait for one and are RUNNING, as `runs` says. What is to be
    /// written to each is [`Pool::unwritten`].
    pub fn dispatch(
        &mut self,
        now: Stamp,
        runs: impl Fn(ProcessId) -> bool,
        notes: &mut Vec<Note>,
    ) -> Vec<ProcessId> {
        let mut sent = Vec::new();
        if self.pause.is_some_and(|(until, _)| now < until) {
            return sent;
        }
        for (process, listener) in &mut self.listeners {
            if listener.dialogue.state() != ListenerState::Ready || !runs(*process) {
                continue;
            }
            let open = |event: &Envelope| self.closes_at.is_none_or(|end| event.poolserial < end);
            if !self.buffer.front().is_some_and(open) {
                break;
            }
            let Some(event) = self.buffer.pop_front() else {
                break;
            };
            self.bytes -= event.payload.len();
            self.begin = self.begin.max(event.serial + 1);
            notes.push(Note::Sent {
                process: *process,
                serial: event.serial,
            });
            listener.dialogue.sent();
            listener.event = Some(event);
            listener.written = 0;
            sent.push(*process);
        }
        sent
    }

    /// What is still to be written to a listener; `server` is the daemon's identifier.
    pub fn unwritten(&self, process: ProcessId, server: &str) -> Option<Vec<u8>> {
        let listener = self.listeners.get(&process)?;
        let event = listener.event.as_ref()?;
        let mut text = event.text(server, &self.name).into_bytes();
        let written = listener.written.min(text.len());
        text.drain(..written);
        (!text.is_empty()).then_some(text)
    }

    /// Whether anything is.
    pub fn has_unwritten(&self, process: ProcessId) -> bool {
        self.unwritten(process, "").is_some()
    }

    /// So many bytes of it have been written.
    pub fn wrote(&mut self, process: ProcessId, bytes: usize) {
        if let Some(listener) = self.listeners.get_mut(&process) {
            listener.written += bytes;
        }
    }

    /// It is about to be stopped: what happens from now on is not for it any more.
    pub fn close(&mut self) {
        self.closes_at.get_or_insert(self.next_serial);
    }

    /// Whether its listeners have dealt with all that they are to be told.
    pub fn is_done(&self) -> bool {
        let end = self.closes_at.unwrap_or(u64::MAX);
        let waits = self
            .buffer
            .front()
            .is_some_and(|event| event.poolserial < end);
        !waits
            && self
                .listeners
                .values()
                .all(|listener| listener.event.is_none())
    }

    /// When there is something to do without anything happening.
    pub fn next_deadline(&self) -> Option<Stamp> {
        let (until, _) = self.pause.filter(|_| !self.buffer.is_empty())?;
        let ready = |listener: &Listener| listener.dialogue.state() == ListenerState::Ready;
        self.listeners.values().any(ready).then_some(until)
    }

    /// Where a listener is in its dialogue.
    pub fn state_of(&self, process: ProcessId) -> Option<ListenerState> {
        let listener = self.listeners.get(&process)?;
        Some(listener.dialogue.state())
    }

    /// No event from this serial on was ever given to a listener, or up.
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// One more than the serial of the last event that was taken.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The same pool with what listeners have or gave back, and without the rest: for a successor,
    /// which gets of the rest what [`Pool::oldest`] gives.
    pub fn without_waiting(&self) -> Pool {
        let came_back = |event: &&Envelope| event.serial < self.begin && !is_output(event);
        let buffer: VecDeque<Envelope> =
            self.buffer.iter().take_while(came_back).cloned().collect();
        Pool {
            name: self.name.clone(),
            events: self.events.clone(),
            bytes: buffer.iter().map(|event| event.payload.len()).sum(),
            buffer,
            listeners: self.listeners.clone(),
            ..*self
        }
    }

    /// The oldest events that were never given to a listener, within so many bytes, and where those
    /// begin that are not among them. Output of programs is left out: it is in their logs.
    pub fn oldest(&self, bytes: usize) -> (Vec<&Envelope>, u64) {
        let (mut room, mut oldest) = (bytes, Vec::new());
        for event in self
            .buffer
            .iter()
            .filter(|event| event.serial >= self.begin)
        {
            if is_output(event) {
                continue;
            }
            match room.checked_sub(event.payload.len() + ENVELOPE_WEIGHT) {
                Some(rest) => room = rest,
                None => return (oldest, event.serial),
            }
            oldest.push(event);
        }
        (oldest, self.end)
    }

    /// Takes back what [`Pool::oldest`] gave, as far as it was not given to listeners since.
    pub fn give_back(&mut self, events: Vec<Envelope>) {
        for event in events {
            if event.serial >= self.begin {
                self.bytes += event.payload.len();
                self.buffer.push_back(event);
            }
        }
    }

    fn forget_event(&mut self, process: ProcessId) -> Option<Envelope> {
        let listener = self.listeners.get_mut(&process)?;
        listener.written = 0;
        listener.event.take()
    }

    /// The event of a listener goes back to the head.
    fn take_back(&mut self, process: ProcessId) {
        if let Some(event) = self.forget_event(process) {
            self.bytes += event.payload.len();
            self.buffer.push_front(event);
        }
    }

    fn discard_oldest(&mut self, notes: &mut Vec<Note>) {
        if let Some(oldest) = self.buffer.pop_front() {
            self.bytes -= oldest.payload.len();
            self.begin = self.begin.max(oldest.serial + 1);
            self.discarded += 1;
            notes.push(Note::Discarded {
                pool: self.name.clone(),
                serial: oldest.serial,
            });
        }
    }
}

/// What a program wrote.
fn is_output(event: &Envelope) -> bool {
    EventType::ProcessLog.covers(event.kind)
}

impl Envelope {
    /// What is written to a listener: Supervisor's header line and the payload. `len` counts
    /// characters, as Supervisor's does, because listeners in Python read characters.
    fn text(&self, server: &str, pool: &str) -> String {
        let Envelope {
            serial,
            poolserial,
            kind,
            payload,
        } = self;
        format!(
            "ver:3.0 server:{server} serial:{serial} pool:{pool} poolserial:{poolserial} \
             eventname:{} len:{}\n{payload}",
            kind.name(),
            payload.chars().count()
        )
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
