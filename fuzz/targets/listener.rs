//! What event listeners say: the tokens of their dialogue, in pieces, between other things that happen.

use std::collections::BTreeMap;

use appctl::config::{EventType, ListenerConfig};
use appctl::events::{Event, Note, Pools};
use appctl::fleet::{ProcessId, Stamp};

use super::pieces::Pieces;

const LISTENERS: [ProcessId; 2] = [ProcessId(1), ProcessId(2)];

/// Says what the input says however it is cut, and loses no event on the way.
pub fn check(data: &[u8]) {
    whatever_the_pieces(data);
    no_event_is_lost(data);
}

fn pools() -> Pools {
    let config = ListenerConfig {
        events: vec![EventType::Event],
        buffer_size: 3,
    };
    let mut pools = Pools::default();
    pools.add(0, "pool", &config, &LISTENERS);
    pools
}

fn whatever_the_pieces(data: &[u8]) {
    let whole = said(data, usize::MAX);
    assert_eq!(said(data, 1), whole);
    assert_eq!(said(data, usize::from(u8::MAX)), whole);
}

/// What came of it with one listener that gets an event whenever it is ready for one: the notes, but
/// for changes of the state, which are told once for a piece.
fn said(data: &[u8], most: usize) -> Vec<Note> {
    let (mut pools, mut notes) = (pools(), Vec::new());
    let listener = LISTENERS[0];
    // A listener may not speak while it waits for an event, so each READY ends a piece.
    for text in data.split_inclusive(|byte| *byte == b'\n') {
        for piece in text.chunks(most.min(text.len())) {
            pools.accept(&Event::SupervisorRunning, &mut notes);
            hear(&mut pools, listener, piece, &mut notes);
            pools.dispatch(Stamp(u64::MAX), |id| id == listener, &mut notes);
        }
    }
    let results = |note: &Note| matches!(note, Note::Result { .. } | Note::Broken { .. });
    notes.into_iter().filter(results).collect()
}

fn hear(pools: &mut Pools, id: ProcessId, bytes: &[u8], notes: &mut Vec<Note>) {
    if let Some(pool) = pools.of(id) {
        pool.heard(Stamp(0), id, bytes, notes);
    }
}

/// Where each event is, as the notes tell.
#[derive(Debug, Default)]
struct Account {
    happened: u64,
    with: BTreeMap<ProcessId, u64>,
    done: Vec<u64>,
}

impl Account {
    fn note(&mut self, notes: Vec<Note>) {
        for note in notes {
            match note {
                Note::Sent { process, serial } => {
                    self.with.insert(process, serial);
                }
                Note::Discarded { serial, .. } => self.done.push(serial),
                Note::Result { process, accepted } => {
                    let serial = self
                        .with
                        .remove(&process)
                        .expect("a result without an event");
                    if accepted {
                        self.done.push(serial);
                    }
                }
                Note::Broken { process, .. } => {
                    self.with.remove(&process);
                }
                Note::State { .. } => {}
            }
        }
    }
}

fn no_event_is_lost(data: &[u8]) {
    let (mut pools, mut account) = (pools(), Account::default());
    let mut pieces = Pieces::of(data);
    loop {
        let piece = pieces.take(usize::MAX);
        let Some(first) = piece.first() else {
            break;
        };
        let mut notes = Vec::new();
        let id = LISTENERS[usize::from(first % 2)];
        match first {
            0..16 => {
                account.happened += 1;
                pools.accept(&Event::SupervisorRunning, &mut notes);
            }
            16..20 => {
                account.with.remove(&id);
                if let Some(pool) = pools.of(id) {
                    pool.ended(id);
                }
            }
            _ => hear(&mut pools, id, piece, &mut notes),
        }
        pools.dispatch(Stamp(u64::MAX), |_| true, &mut notes);
        account.note(notes);
    }
    drain(pools, &mut account);
    account.done.sort_unstable();
    assert_eq!(account.done, (0..account.happened).collect::<Vec<_>>());
}

/// A listener that does all that is asked of it, in place of those.
fn drain(mut pools: Pools, account: &mut Account) {
    for id in LISTENERS {
        if let Some(pool) = pools.of(id) {
            pool.ended(id);
        }
    }
    account.with.clear();
    let [id, _] = LISTENERS;
    loop {
        let mut notes = Vec::new();
        hear(&mut pools, id, b"READY\n", &mut notes);
        let sent = pools.dispatch(Stamp(u64::MAX), |one| one == id, &mut notes);
        hear(&mut pools, id, b"RESULT 2\nOK", &mut notes);
        if sent.is_empty() {
            break;
        }
        account.note(notes);
    }
}
