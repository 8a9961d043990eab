//! Every state one process can get into, and everything that can happen to it there, under every
//! small policy: sequences of any length.
//!
//! Two fleets are the same state if they differ only in what nothing depends on: how much time
//! has passed altogether, which numbers pids, ids and tickets have. From each state there is a
//! way out: a shutdown must finish and answer everybody.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use appctl::config::{Autorestart, Policy};
use appctl::fleet::*;

use crate::audit::Audit;
use crate::scene::{policy, program, request};

/// Requests that may wait for an answer at the same time. `FLEET_OPEN=2` takes longer.
fn open_max() -> usize {
    std::env::var("FLEET_OPEN")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

#[derive(Clone)]
struct Node {
    policy: Policy,
    fleet: Fleet,
    audit: Audit,
    now: Moment,
    pids: i32,
    tickets: u64,
    trail: Vec<Event>,
}

impl Node {
    fn new(policy: &Policy) -> Node {
        let mut node = Node {
            policy: policy.clone(),
            fleet: Fleet::new(),
            audit: Audit::default(),
            now: Moment {
                stamp: Stamp(1_000_000),
                wall: 0,
            },
            pids: 0,
            tickets: 0,
            trail: Vec::new(),
        };
        node.ask(Request::Add {
            groups: vec![program("a", policy.clone())],
        });
        node
    }

    fn take(&mut self, event: Event) {
        self.trail.push(event.clone());
        self.audit.event(&event);
        let mut actions = Vec::new();
        self.fleet.handle(self.now, event, &mut actions);
        self.fleet.take_unsaved();
        self.audit.actions(&self.fleet, &actions);
    }

    fn ask(&mut self, request: Request) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.take(Event::Asked { ticket, request });
    }

    fn tick(&mut self, stamp: Stamp) {
        self.now.stamp = self.now.stamp.max(stamp);
        self.take(Event::Tick);
        self.fleet.check_deadlines(self.now.stamp).unwrap();
    }

    /// Everything that can happen next.
    fn successors(&self) -> Vec<Node> {
        let mut next = Vec::new();
        let mut branch = |step: &dyn Fn(&mut Node)| {
            let mut node = self.clone();
            step(&mut node);
            next.push(node);
        };
        if let Some(due) = self.fleet.next_deadline() {
            branch(&|node| node.tick(due));
            branch(&|node| node.tick(due.after(Duration::from_secs(20))));
            let early = self.now.stamp.after(Duration::from_millis(500));
            branch(&|node| node.tick(early.min(due)));
        }
        for process in self.audit.launching.iter().copied() {
            branch(&|node| {
                node.pids += 1;
                node.take(Event::Spawned {
                    process,
                    pid: node.pids,
                });
            });
            let failure = SpawnFailure {
                kind: SpawnFailureKind::Other,
                text: String::new(),
            };
            branch(&|node| {
                node.take(Event::SpawnFailed {
                    process,
                    failure: failure.clone(),
                })
            });
        }
        for (process, pid) in self.audit.alive.clone() {
            for code in [0, 1] {
                let status = ExitStatus::Code(code);
                branch(&|node| {
                    node.take(Event::Exited {
                        process,
                        pid,
                        status,
                    })
                });
            }
            branch(&|node| {
                let status = ExitStatus::Unknown;
                node.take(Event::Exited {
                    process,
                    pid: pid + 1,
                    status,
                });
            });
            let reason = String::new();
            branch(&|node| {
                node.take(Event::SignalFailed {
                    process,
                    reason: reason.clone(),
                })
            });
        }
        if self.audit.open.len() < open_max() {
            for text in [
                "start a",
                "stop all",
                "restart a",
                "signal a",
                "shutdown",
                "reload",
            ] {
                branch(&|node| node.ask(request(text)));
            }
            let changed = vec![program("a", self.policy.clone())];
            let update = Request::Update(Changes {
                removed: vec![],
                changed,
                added: vec![],
                ..Changes::default()
            });
            branch(&|node| node.ask(update.clone()));
        }
        for ticket in self.audit.open.iter().copied() {
            branch(&|node| node.take(Event::Abandoned { ticket }));
        }
        next
    }

    /// Whatever is owed comes true, and the fleet is told to leave.
    fn finish(mut self) {
        self.ask(Request::Shutdown);
        for _ in 0..4 {
            for process in self.audit.launching.clone() {
                self.pids += 1;
                self.take(Event::Spawned {
                    process,
                    pid: self.pids,
                });
            }
            let status = ExitStatus::Code(0);
            for (process, pid) in self.audit.alive.clone() {
                self.take(Event::Exited {
                    process,
                    pid,
                    status,
                });
            }
        }
        assert!(
            self.audit.finished && self.audit.open.is_empty(),
            "did not finish"
        );
    }
}

/// The state of a node, without what nothing depends on.
fn state(node: &Node) -> String {
    let text = format!("{:?}", node.fleet);
    let mut state = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, tail) = rest.split_at(at);
        let end = tail
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(tail.len());
        let number: i64 = tail[..end].parse().unwrap();
        state.push_str(before);
        let relative = if before.ends_with("ended: Some(Moment { stamp: Stamp(") {
            0
        } else if before.ends_with("pace: Pace { full: Stamp(") {
            // What is over is over; half a second is the step in which time passes here.
            (number - node.now.stamp.0 as i64 + 499_999_999).max(0) / 500_000_000
        } else if before.ends_with("Stamp(") {
            // Older than any bound is old.
            (number - node.now.stamp.0 as i64).max(-1_000_000_000)
        } else if before.ends_with("Ticket(") {
            node.audit
                .open
                .iter()
                .filter(|open| (open.0 as i64) < number)
                .count() as i64
        } else if before.ends_with("pid: ") {
            number - i64::from(node.pids)
        } else if before.ends_with("ProcessId(") || before.ends_with("next_id: ") {
            0
        } else {
            number
        };
        state.push_str(&relative.to_string());
        rest = &tail[end..];
    }
    state + rest
}

/// Visits every state that can be reached; counts states and events.
fn visit(first: Node) -> (usize, usize) {
    let mut seen = BTreeSet::from([state(&first)]);
    let mut unvisited = VecDeque::from([first]);
    let mut events = 0;
    while let Some(node) = unvisited.pop_front() {
        for next in node.successors() {
            events += 1;
            if seen.insert(state(&next)) {
                unvisited.push_back(next);
            }
        }
        node.finish();
    }
    (seen.len(), events)
}

impl Drop for Node {
    /// Tells how it came to a failure.
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("a node at {:#?}", self.trail);
        }
    }
}

#[test]
fn everything_that_can_happen_to_one_process() {
    for autorestart in [
        Autorestart::Never,
        Autorestart::Unexpected,
        Autorestart::Always,
    ] {
        for (startsecs, stopwaitsecs, startretries) in [(0, 0, 1), (1, 1, 0), (1, 1, 1)] {
            let policy = Policy {
                autostart: true,
                autorestart,
                startsecs,
                startretries,
                stopwaitsecs,
                ..policy()
            };
            let (states, events) = visit(Node::new(&policy));
            println!("{states} states, {events} events");
            assert!(states > 200, "the test has lost its reach");
        }
    }
}
