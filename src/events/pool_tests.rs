//! Tests of `pool.rs`, by way of [`Pools`].

use super::*;
use crate::events::{Event, Pools, Waiting};
use proptest::prelude::*;

const A: ProcessId = ProcessId(1);
const B: ProcessId = ProcessId(2);
const OTHER: ProcessId = ProcessId(3);

fn config(events: &[EventType], buffer_size: u32) -> ListenerConfig {
    ListenerConfig {
        events: events.to_vec(),
        buffer_size,
    }
}

fn group(name: &str) -> Event {
    Event::GroupAdded { group: name.into() }
}

/// Pools with the notes of what they did, and a clock.
struct Scene {
    pools: Pools,
    notes: Vec<Note>,
    now: Stamp,
}

impl Scene {
    fn new(buffer_size: u32) -> Scene {
        let mut pools = Pools::default();
        let wanted = [EventType::ProcessGroup, EventType::ProcessGroupAdded];
        pools.add(0, "pool", &config(&wanted, buffer_size), &[A, B]);
        pools.add(0, "other", &config(&[EventType::Tick], 10), &[OTHER]);
        Scene {
            pools,
            notes: Vec::new(),
            now: Stamp(0),
        }
    }

    fn happen(&mut self, names: &[&str]) {
        for name in names {
            self.pools.accept(&group(name), &mut self.notes);
        }
    }

    fn hear(&mut self, process: ProcessId, text: &str) {
        let (now, notes) = (self.now, &mut self.notes);
        let pool = self.pools.of(process).unwrap();
        pool.heard(now, process, text.as_bytes(), notes);
    }

    /// Who is sent what: the listener, and serial, poolserial and group of the event.
    fn dispatch(&mut self) -> Vec<(ProcessId, String)> {
        let sent = self.pools.dispatch(self.now, |_| true, &mut self.notes);
        let mut told = Vec::new();
        for process in sent {
            let pool = self.pools.of(process).unwrap();
            let text = pool.unwritten(process, "s").unwrap();
            pool.wrote(process, text.len());
            assert_eq!(pool.unwritten(process, "s"), None);
            let text = String::from_utf8(text).unwrap();
            let words: Vec<_> = text.split([' ', ':', '\n']).collect();
            told.push((process, [words[5], words[9], words[15]].join(" ")));
        }
        told
    }

    fn discarded(&self) -> Vec<u64> {
        let serials = self.notes.iter().filter_map(|note| match note {
            Note::Discarded { serial, .. } => Some(*serial),
            _ => None,
        });
        serials.collect()
    }
}

#[test]
fn the_text_is_supervisors() {
    let mut scene = Scene::new(10);
    scene.happen(&["é"]);
    scene.hear(A, "READY\n");
    scene.pools.dispatch(scene.now, |_| true, &mut scene.notes);
    let pool = scene.pools.of(A).unwrap();
    let text = String::from_utf8(pool.unwritten(A, "sup").unwrap()).unwrap();
    let expected = "ver:3.0 server:sup serial:0 pool:pool poolserial:0 \
                    eventname:PROCESS_GROUP_ADDED len:12\ngroupname:é\n";
    assert_eq!(text, expected);
    pool.wrote(A, 10);
    assert_eq!(pool.unwritten(A, "sup").unwrap().len(), text.len() - 10);
}

#[test]
fn events_go_to_whoever_is_ready_one_at_a_time() {
    let mut scene = Scene::new(10);
    // Two subscriptions cover each, and it comes once.
    scene.happen(&["a", "b", "c", "d"]);
    assert_eq!(scene.dispatch(), []);
    scene.hear(B, "READY\n");
    assert_eq!(scene.dispatch(), [(B, "0 0 a".into())]);
    assert_eq!(scene.dispatch(), []);
    scene.hear(A, "READY\n");
    scene.hear(B, "RESULT 2\nOKREADY\n");
    assert_eq!(scene.dispatch(), [(A, "1 1 b".into()), (B, "2 2 c".into())]);
    // Not RUNNING yet: it waits.
    scene.hear(A, "RESULT 2\nOKREADY\n");
    let sent = scene.pools.dispatch(scene.now, |_| false, &mut scene.notes);
    assert_eq!(sent, []);
    assert_eq!(scene.dispatch(), [(A, "3 3 d".into())]);
}

#[test]
fn a_rejected_event_comes_back_to_its_pool_alone_and_later() {
    let mut scene = Scene::new(10);
    scene.hear(A, "READY\n");
    scene.hear(OTHER, "READY\n");
    scene.happen(&["a", "b"]);
    assert_eq!(scene.dispatch().len(), 1);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        scene.hear(A, "RESULT 4\nFAILREADY\n");
        assert_eq!(scene.dispatch(), [], "not at once");
        let due = scene.pools.next_deadline().unwrap();
        pauses.push(due.since(scene.now).as_millis());
        scene.now = due;
        assert_eq!(scene.dispatch(), [(A, "0 0 a".into())]);
    }
    assert_eq!(pauses[..3], [100, 200, 400]);
    assert_eq!(pauses[7..], [10_000, 10_000]);
    scene.hear(A, "RESULT 2\nOKREADY\n");
    assert_eq!(scene.dispatch(), [(A, "1 1 b".into())]);
    assert_eq!(scene.pools.next_deadline(), None);
}

#[test]
fn the_event_of_a_listener_that_ends_or_babbles_goes_to_another() {
    for end in ["end", "babble", "deaf"] {
        let mut scene = Scene::new(1);
        scene.hear(A, "READY\n");
        scene.happen(&["a"]);
        assert_eq!(scene.dispatch(), [(A, "0 0 a".into())]);
        scene.happen(&["b"]);
        match end {
            "end" => scene.pools.of(A).unwrap().ended(A),
            "babble" => scene.hear(A, "what?\n"),
            _ => {
                let notes = &mut scene.notes;
                scene.pools.of(A).unwrap().deaf(A, "closed".into(), notes);
            }
        }
        scene.hear(B, "READY\n");
        // It comes first, and has pushed nothing out.
        assert_eq!(scene.dispatch(), [(B, "0 0 a".into())], "{end}");
        scene.hear(B, "RESULT 2\nOKREADY\n");
        assert_eq!(scene.dispatch(), [(B, "1 1 b".into())], "{end}");
        scene.happen(&["c"]);
        if end != "end" {
            scene.hear(A, "READY\n");
            assert_eq!(scene.dispatch(), [], "{end}: it is not heard any more");
        }
        scene.pools.of(A).unwrap().started(A);
        scene.hear(A, "READY\n");
        assert_eq!(scene.dispatch(), [(A, "2 2 c".into())], "{end}");
    }
}

#[test]
fn a_full_buffer_gives_up_its_oldest_event() {
    let mut scene = Scene::new(2);
    scene.hear(A, "READY\n");
    scene.happen(&["a"]);
    scene.dispatch();
    scene.happen(&["b", "c", "d", "e", "f"]);
    assert_eq!(scene.discarded(), [1, 2, 3]);
    scene.hear(A, "RESULT 2\nOKREADY\n");
    assert_eq!(scene.dispatch(), [(A, "4 4 e".into())]);
}

#[test]
fn what_happens_before_a_listener_is_there_waits_for_it() {
    let mut scene = Scene::new(2);
    scene.happen(&["a"; 500]);
    assert_eq!(scene.discarded(), [0; 0]);
    scene.happen(&["a"; 501]);
    assert_eq!(scene.discarded(), [0]);
    scene.hear(A, "READY\n");
    scene.dispatch();
    // Nothing more is given up than what comes.
    scene.happen(&["z"]);
    assert_eq!(scene.discarded(), [0, 2]);
}

#[test]
fn a_buffer_is_bounded_in_bytes() {
    let mut scene = Scene::new(1_000_000);
    let long = "x".repeat(1024 * 1024);
    scene.happen(&[long.as_str(); 20]);
    assert_eq!(scene.discarded().len(), 5);
    assert_eq!(scene.pools.of(A).unwrap().discarded(), 5);
}

#[test]
fn a_successor_knows_all_but_the_bulk() {
    let mut scene = Scene::new(10);
    scene.hear(A, "READY\n");
    scene.happen(&["a", "b", "c"]);
    scene.dispatch();
    scene.hear(A, "RESULT 4\nFA");
    let waiting = Waiting::default().of(&scene.pools, 50).to_vec();
    let bytes = postcard::to_stdvec(&scene.pools.without_waiting()).unwrap();
    scene.pools = postcard::from_bytes(&bytes).unwrap();
    Waiting::give_back(&waiting, &mut scene.pools);
    scene.hear(A, "IL");
    scene.hear(B, "READY\n");
    scene.now = Stamp(u64::MAX);
    assert_eq!(scene.dispatch(), [(B, "0 0 a".into())]);
    scene.hear(B, "RESULT 2\nOKREADY\n");
    assert_eq!(scene.dispatch(), [(B, "1 1 b".into())]);
    scene.hear(B, "RESULT 2\nOKREADY\n");
    assert_eq!(scene.dispatch(), [], "c was beyond the bound");
}

proptest! {
    /// Whatever listeners do, every event is accepted once, or was given up by name, or waits.
    #[test]
    fn no_event_is_lost_in_silence(
        steps in prop::collection::vec((0_u8..8, any::<bool>()), 0..200),
        buffer_size in 1_u32..5,
    ) {
        let mut scene = Scene::new(buffer_size);
        let (mut happened, mut accepted) = (0_u64, Vec::new());
        let mut held: BTreeMap<ProcessId, u64> = BTreeMap::new();
        for (step, first) in steps {
            let process = if first { A } else { B };
            match step {
                0..=2 => {
                    scene.happen(&["e"]);
                    happened += 1;
                }
                3 if scene.pools.state_of(process) == Some(ListenerState::Acknowledged) => {
                    scene.hear(process, "READY\n");
                }
                4 => {
                    scene.now = scene.now.after(Duration::from_secs(20));
                    for (process, text) in scene.dispatch() {
                        let serial = text.split(' ').next().unwrap().parse().unwrap();
                        prop_assert_eq!(held.insert(process, serial), None);
                    }
                }
                5 => if let Some(serial) = held.remove(&process) {
                    scene.hear(process, "RESULT 2\nOK");
                    accepted.push(serial);
                },
                6 => if held.remove(&process).is_some() {
                    scene.hear(process, "RESULT 4\nFAIL");
                },
                _ => {
                    held.remove(&process);
                    scene.pools.of(process).unwrap().started(process);
                }
            }
        }
        let waiting = &scene.pools.of(A).unwrap().buffer;
        let mut all: Vec<u64> = waiting.iter().map(|event| event.serial).collect();
        all.extend(&accepted);
        all.extend(held.values());
        all.extend(scene.discarded());
        all.sort_unstable();
        prop_assert_eq!(all, (0..happened).collect::<Vec<_>>());
    }
}
