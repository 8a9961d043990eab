//! Event listeners: what they say is heard, what happened is sent to them, and what a brain knows
//! of both is on the slate before it touches their pipes.
//!
//! Who gets which event is decided in [`events::Pools`](crate::events::Pools); here is only the
//! reading, the writing and the remembering. A brain that is killed leaves the pools on the slate.
//! A listener it was reading from or writing to at that very moment cannot be known any more: it is
//! started again, and the event it had is sent again. So an event is delivered at least once.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::brain::Brain;
use super::farewell::Farewell;
use super::processes::{RunId, stream_of};
use super::sentences::{self, say};
use super::wires::{Heard, Wires};
use crate::config::GroupKind;
use crate::control::Channel;
use crate::events::{ListenerState, Note, Pools, Waiting};
use crate::fleet::{Event, ProcessId, Request, Selector, Stamp, State};
use crate::keeper::Slate;
use crate::launch;
use crate::ordered;

/// Bytes of events of one pool that are remembered while they wait: all of a buffer of usual size. They
/// are copied at every step, so this is a price that every event pays.
const REMEMBERED_MAX: usize = 16 * 1024;

/// Lost events that are named one by one in a second; more are counted.
const NAMED_MAX: u32 = 20;

/// How long losses are counted before they are told.
const LOSSES_TIME: Duration = Duration::from_secs(1);

/// Reads of one listener that has ended.
const LAST_READS: u32 = 16;

/// The source of a listener's log that is a copy of what it says, beside its output itself: the
/// launch number with this bit.
pub(super) const COPY: u64 = 1 << 63;

/// What the brain has of its listeners.
#[derive(Debug)]
pub struct Listeners {
    /// Who gets which event.
    pub pools: Pools,
    /// Their pipes.
    pub wires: Wires,
    slate: Slate,
    /// The pools' events as they are on the slate.
    waiting: Waiting,
    /// The turn in which they were heard last; what they say after that is for the next one.
    heard: Stamp,
    /// The number of the last event that is on the slate.
    remembered: u64,
    /// The pools are not on the slate as they are.
    changed: bool,
    losses: Losses,
    /// Listeners that are to be stopped with the daemon, once they know what happened until then.
    pub(super) farewells: BTreeMap<ProcessId, Farewell>,
}

/// What is on the slate, followed by what waits in the pools.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The number of the last event.
    pub last_event: u64,
    /// The pools.
    pools: Pools,
    /// Listeners that are being read from or written to.
    touched: Vec<ProcessId>,
}

impl Memory {
    /// Reads what is on a slate; nothing if it cannot be read, which is as good as nothing.
    pub fn read(bytes: &[u8]) -> Option<Memory> {
        let (mut memory, waiting): (Memory, _) = postcard::take_from_bytes(bytes).ok()?;
        Waiting::give_back(waiting, &mut memory.pools);
        Some(memory)
    }
}

/// Counts lost events, so that a flood of them is no flood of lines.
#[derive(Debug, Default)]
struct Losses {
    since: Stamp,
    named: u32,
    unnamed: u64,
}

impl Listeners {
    /// With what a predecessor left on the slate, which is nothing that can be relied on yet.
    pub fn new(slate: Slate, last_event: u64) -> io::Result<Listeners> {
        Ok(Listeners {
            pools: Pools::default(),
            wires: Wires::new()?,
            slate,
            waiting: Waiting::default(),
            heard: Stamp::default(),
            remembered: last_event,
            changed: false,
            losses: Losses::default(),
            farewells: BTreeMap::new(),
        })
    }

    /// An event happened; what came of it is in the notes.
    pub fn accept(&mut self, event: &crate::events::Event, notes: &mut Vec<Note>) {
        if self.pools.want(event.kind()) {
            self.pools.accept(event, notes);
            self.changed = true;
        }
    }

    /// When there is something to do without anything happening.
    pub fn next_deadline(&self, now: Stamp) -> Option<Stamp> {
        let tick = self.pools.next_tick();
        let tick = tick.map(|wall| now.after(launch::until(wall)));
        let losses = (self.losses.unnamed > 0).then(|| self.losses.since.after(LOSSES_TIME));
        let farewell = self.farewells.values().map(Farewell::until).min();
        let deadlines = [self.pools.next_deadline(), tick, losses, farewell];
        deadlines.into_iter().flatten().min()
    }

    /// All of them are gone.
    pub fn clear(&mut self) {
        self.pools = Pools::default();
        self.farewells.clear();
        self.changed = true;
    }
}

impl Brain {
    /// A group joined the fleet.
    pub(super) fn add_pool(&mut self, name: &str, ids: &[ProcessId]) {
        if let Some(GroupKind::EventListener(config)) =
            self.configuration.groups.get(name).map(|it| &it.kind)
        {
            self.listeners.pools.add(self.now.wall, name, config, ids);
            self.listeners.changed = true;
        }
    }

    /// A group left the fleet.
    pub(super) fn remove_pool(&mut self, name: &str, ids: &[ProcessId]) {
        for id in ids {
            self.hand_over(*id);
        }
        self.listeners.pools.remove(self.now.wall, name);
        self.listeners.changed = true;
    }

    /// A process has been started: if it is a listener, its standard output is ours to read.
    pub(super) fn attach_output(
        &mut self,
        id: ProcessId,
        run: RunId,
        channel: Channel,
        output: OwnedFd,
    ) {
        let stream = stream_of(id, channel);
        let state = self
            .listeners
            .pools
            .state_of(id)
            .filter(|_| channel == Channel::Stdout);
        if state.is_none_or(|state| state == ListenerState::Unknown) {
            return self.plane.attach(stream, run.0, output);
        }
        match self.listeners.wires.connect(id, run, output) {
            Ok(copy) => self.plane.attach(stream, run.0 | COPY, copy),
            Err((error, output)) => {
                let why = format!("its output cannot be read: {error}");
                self.plane.attach(stream, run.0, output);
                self.with_pool(id, |pool, notes| pool.deaf(id, why, notes));
            }
        }
    }

    /// A listener was started.
    pub(super) fn listener_started(&mut self, id: ProcessId) {
        if self.listeners.pools.state_of(id).is_some() {
            self.with_pool(id, |pool, _| pool.started(id));
        }
    }

    /// A listener has ended: its last words, then its event is free for others.
    pub(super) fn listener_ended(&mut self, id: ProcessId) {
        if self.listeners.pools.state_of(id).is_none() {
            return;
        }
        for _ in 0..LAST_READS {
            if !self.listeners.wires.has(id) || !self.hear_listener(id) {
                break;
            }
        }
        self.listeners.farewells.remove(&id);
        self.with_pool(id, |pool, _| pool.ended(id));
        if let Some(stdin) = self
            .processes
            .get(&id)
            .and_then(|it| it.run.as_ref()?.stdin.as_ref())
        {
            self.listeners.wires.forget_room(stdin);
        }
        self.hand_over(id);
    }

    /// Hears what listeners say and sends them what waits: at the end of every step of a turn.
    pub(super) fn attend_listeners(&mut self) {
        if !self.listeners.pools.is_empty() {
            for tick in self.listeners.pools.ticks(self.now.wall) {
                self.announce(tick);
            }
            let heard = std::mem::replace(&mut self.listeners.heard, self.now.stamp);
            let ready = match heard == self.now.stamp {
                true => Vec::new(),
                false => self.listeners.wires.take(),
            };
            if !ready.is_empty() {
                self.remember_events(&ready);
                for id in &ready {
                    self.hear_listener(*id);
                }
            }
            let touched = ready.clone();
            let runs = |id| {
                let state = self.fleet.get(id).map(|process| process.state());
                state == Some(State::Running) || self.listeners.farewells.contains_key(&id)
            };
            let (now, mut notes) = (self.now.stamp, Vec::new());
            let mut sent = self.listeners.pools.dispatch(now, runs, &mut notes);
            self.tell_notes(notes);
            // Those among the ready that wait for room.
            sent.extend(ready);
            ordered::sort(&mut sent);
            sent.dedup();
            sent.retain(|id| {
                let pool = self.listeners.pools.of(*id);
                pool.is_some_and(|pool| pool.has_unwritten(*id))
            });
            // Who has just been heard is on the slate as touched already.
            if !sent.iter().all(|id| touched.contains(id)) {
                let touched: Vec<ProcessId> = touched.iter().chain(&sent).copied().collect();
                self.remember_events(&touched);
            }
            for id in sent {
                self.write_listener(id);
            }
            self.tell_losses();
            self.end_farewells();
        }
        if self.listeners.changed || self.listeners.remembered != self.bulletin.last() {
            self.remember_events(&[]);
        }
    }

    /// Takes over the listeners of a predecessor. Those it was just touching are started again.
    pub(super) fn take_over_listeners(&mut self, memory: Memory) {
        let Memory { pools, touched, .. } = memory;
        self.listeners.pools = pools;
        self.listeners.changed = true;
        let wall = self.now.wall;
        let groups: Vec<(String, Vec<ProcessId>)> = self
            .fleet
            .groups()
            .map(|(name, group)| (name.to_owned(), group.processes.clone()))
            .collect();
        let in_force = |name: &str| groups.iter().any(|(group, _)| group == name);
        for name in self.listeners.pools.names() {
            if !in_force(&name) {
                self.listeners.pools.remove(wall, &name);
            }
        }
        for (name, ids) in &groups {
            let kind = self.configuration.groups.get(name).map(|group| &group.kind);
            let listens = matches!(kind, Some(GroupKind::EventListener(_)));
            if listens && !self.listeners.pools.has(name) {
                // Their dialogue is lost with it, if there was any.
                self.add_pool(name, ids);
                self.restart_listeners(ids);
            }
        }
        self.restart_listeners(&touched);
    }

    /// Listeners whose dialogue cannot be known any more, if they run.
    fn restart_listeners(&mut self, ids: &[ProcessId]) {
        for id in ids {
            let process = self
                .processes
                .get(id)
                .filter(|process| process.run.is_some());
            let Some(name) = process.map(|process| process.name.clone()) else {
                continue;
            };
            let why = "where it was in its dialogue is not known, so it is started again";
            self.with_pool(*id, |pool, notes| pool.deaf(*id, why.to_owned(), notes));
            let ticket = self.answers.ticket();
            let selectors = vec![Selector::Process(name)];
            let request = Request::Restart { selectors };
            self.events.push_back(Event::Asked { ticket, request });
        }
    }

    /// Reads from a listener once; whether there may be more.
    fn hear_listener(&mut self, id: ProcessId) -> bool {
        match self.listeners.wires.read(id) {
            Heard::Nothing => return false,
            Heard::Bytes(bytes) => {
                let now = self.now.stamp;
                self.with_pool(id, |pool, notes| pool.heard(now, id, &bytes, notes));
            }
            Heard::Closed => {
                let why = "it closed its standard output".to_owned();
                self.with_pool(id, |pool, notes| pool.deaf(id, why, notes));
            }
        }
        if self.listeners.pools.state_of(id) == Some(ListenerState::Unknown) {
            self.hand_over(id);
            return false;
        }
        true
    }

    /// Writes to a listener as much as it takes.
    fn write_listener(&mut self, id: ProcessId) {
        let server = &self.configuration.last_read.supervisord.identifier;
        let pool = self.listeners.pools.of(id);
        let Some(text) = pool.and_then(|pool| pool.unwritten(id, server)) else {
            return;
        };
        let process = self.processes.get(&id);
        let stdin = process.and_then(|process| process.run.as_ref()?.stdin.as_ref());
        let Some(stdin) = stdin else {
            return;
        };
        let written = match rustix::io::write(stdin, &text) {
            Ok(written) => Ok(written),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error),
        };
        let awaited = match written {
            Ok(written) if written < text.len() => self.listeners.wires.await_room(id, stdin),
            _ => Ok(()),
        };
        let result = written
            .map_err(io::Error::from)
            .and_then(|it| awaited.map(|()| it));
        self.with_pool(id, |pool, notes| match result {
            Ok(written) => pool.wrote(id, written),
            Err(error) => {
                let why = format!("its standard input cannot be written to: {error}");
                pool.deaf(id, why, notes);
            }
        });
        if self.listeners.pools.state_of(id) == Some(ListenerState::Unknown) {
            self.hand_over(id);
        }
    }

    /// The output of a listener that is not listened to any more goes to its log like any other.
    fn hand_over(&mut self, id: ProcessId) {
        if let Some(wire) = self.listeners.wires.disconnect(id) {
            self.plane
                .attach(stream_of(id, Channel::Stdout), wire.run.0, wire.stdout);
        }
    }

    /// Does something with the pool of a listener, and tells what came of it.
    pub(super) fn with_pool(
        &mut self,
        id: ProcessId,
        change: impl FnOnce(&mut crate::events::Pool, &mut Vec<Note>),
    ) {
        let mut notes = Vec::new();
        if let Some(pool) = self.listeners.pools.of(id) {
            change(pool, &mut notes);
            self.listeners.changed = true;
        }
        self.tell_notes(notes);
    }

    /// Writes down what a successor has to know before these listeners are touched.
    fn remember_events(&mut self, touched: &[ProcessId]) {
        if self.unreadable_past.is_some() {
            return;
        }
        let memory = Memory {
            last_event: self.bulletin.last(),
            pools: self.listeners.pools.without_waiting(),
            touched: touched.to_vec(),
        };
        let Listeners {
            pools,
            waiting,
            slate,
            ..
        } = &mut self.listeners;
        let written = postcard::to_stdvec(&memory)
            .map_err(io::Error::other)
            .and_then(|mut bytes| {
                bytes.extend_from_slice(waiting.of(pools, REMEMBERED_MAX));
                slate.write(&bytes)
            });
        if let Err(error) = written {
            say(sentences::critical(format!(
                "keeping the events for a successor: {error}; a crash now would lose some"
            )));
        }
        self.listeners.remembered = memory.last_event;
        self.listeners.changed = false;
    }

    /// Says what pools did.
    pub(super) fn tell_notes(&mut self, notes: Vec<Note>) {
        for note in notes {
            if let Note::Discarded { pool, serial } = &note {
                self.tell_loss(pool, *serial);
                continue;
            }
            let process = match &note {
                Note::Discarded { .. } => continue,
                Note::State { process, .. }
                | Note::Result { process, .. }
                | Note::Broken { process, .. }
                | Note::Sent { process, .. } => process,
            };
            if let Some(process) = self.processes.get(process) {
                for line in sentences::listener(&process.name.process, &note) {
                    say(line);
                }
            }
        }
    }

    fn tell_loss(&mut self, pool: &str, serial: u64) {
        self.tell_losses();
        let losses = &mut self.listeners.losses;
        if losses.named == 0 {
            losses.since = self.now.stamp;
        }
        if losses.named < NAMED_MAX {
            losses.named += 1;
            say(sentences::event_discarded(pool, serial));
        } else {
            losses.unnamed += 1;
        }
    }

    /// Ends a second of losses.
    fn tell_losses(&mut self) {
        let losses = &mut self.listeners.losses;
        if losses.named > 0 && losses.since.after(LOSSES_TIME) <= self.now.stamp {
            if losses.unnamed > 0 {
                say(sentences::events_discarded(losses.unnamed));
            }
            *losses = Losses::default();
        }
    }
}
