//! What an outsider who sees only events and actions holds the fleet to.

use std::collections::{BTreeMap, BTreeSet};

use appctl::fleet::State::{Backoff, Exited, Fatal, Running, Starting, Stopped, Stopping, Unknown};
use appctl::fleet::*;

/// Every change of state there is.
const EDGES: &[(State, &[State])] = &[
    (Stopped, &[Starting]),
    (Starting, &[Running, Backoff, Stopping, Unknown]),
    (Running, &[Exited, Stopping, Unknown]),
    (Backoff, &[Starting, Stopped, Fatal]),
    (Stopping, &[Stopped, Unknown]),
    (Exited, &[Starting, Stopped]),
    (Fatal, &[Starting]),
    (Unknown, &[Stopped]),
];

#[derive(Debug, Clone, Default)]
pub struct Audit {
    /// Requests that were not answered in full.
    pub open: BTreeSet<Ticket>,
    /// Starts that were asked for and not answered.
    pub launching: BTreeSet<ProcessId>,
    /// Living processes.
    pub alive: BTreeMap<ProcessId, i32>,
    states: BTreeMap<ProcessId, State>,
    pub finished: bool,
}

impl Audit {
    /// Takes over a process as it is.
    pub fn resume(&mut self, process: &Process) {
        self.states.insert(process.id(), process.state());
        self.alive
            .extend(process.pid().map(|pid| (process.id(), pid)));
        if process.is_launching() {
            self.launching.insert(process.id());
        }
    }

    /// To be called before the fleet sees the event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Spawned { process, pid } => {
                assert!(self.launching.remove(process), "the test spawns uninvited");
                self.alive.insert(*process, *pid);
            }
            Event::SpawnFailed { process, .. } => {
                assert!(self.launching.remove(process), "the test fails uninvited");
            }
            Event::Exited { process, pid, .. } => {
                if self.alive.get(process) == Some(pid) {
                    self.alive.remove(process);
                }
            }
            Event::Asked { ticket, .. } => assert!(self.open.insert(*ticket)),
            Event::Abandoned { ticket } => drop(self.open.remove(ticket)),
            Event::Tick | Event::SignalFailed { .. } => {}
        }
    }

    /// To be called after it, with what it decided.
    pub fn actions(&mut self, fleet: &Fleet, actions: &[Action]) {
        for action in actions {
            self.action(action);
        }
        fleet.check().unwrap();
        for process in fleet.processes() {
            let id = process.id();
            assert_eq!(process.state(), self.states[&id], "unannounced change");
            assert_eq!(process.pid(), self.alive.get(&id).copied(), "{process:?}");
            assert_eq!(
                process.is_launching(),
                self.launching.contains(&id),
                "{process:?}"
            );
        }
        assert_eq!(self.states.len(), fleet.processes().count());
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Start { process } => {
                assert!(!self.finished, "started after the end");
                assert!(
                    !self.alive.contains_key(process),
                    "two live pids for one process"
                );
                assert!(self.launching.insert(*process), "started twice");
            }
            Action::Kill { process, pid, .. } => {
                assert_eq!(self.alive.get(process), Some(pid), "killed a stranger");
            }
            Action::Changed(change) => {
                let Change {
                    process, from, to, ..
                } = *change;
                assert_eq!(self.states.insert(process, to), Some(from), "{change:?}");
                let edges = EDGES.iter().find(|(state, _)| *state == from).unwrap().1;
                assert!(edges.contains(&to), "no such transition: {change:?}");
            }
            Action::GroupAdded { processes, .. } | Action::Joined { processes, .. } => {
                for (id, _) in processes {
                    assert_eq!(
                        self.states.insert(*id, Stopped),
                        None,
                        "an id was given twice"
                    );
                }
            }
            Action::GroupRemoved { processes, .. } => {
                for id in processes {
                    let state = self.states.remove(id).unwrap();
                    assert!(state.is_stopped(), "removed while {state}");
                    let lost = self.alive.remove(id).is_some();
                    assert_eq!(lost, state == Unknown);
                }
            }
            Action::Left { process } => {
                let state = self.states.remove(process).unwrap();
                assert!(state.is_stopped(), "left while {state}");
                let lost = self.alive.remove(process).is_some();
                assert_eq!(lost, state == Unknown);
            }
            Action::Revised { process } => assert!(self.states.contains_key(process)),
            Action::GroupRevised { .. } => {}
            Action::Report { ticket, .. } => {
                assert!(
                    self.open.contains(ticket),
                    "reported after the answer: {action:?}"
                );
            }
            Action::Answered { ticket } => {
                assert!(self.open.remove(ticket), "answered twice: {action:?}");
            }
            Action::Ending { .. } => assert!(!self.finished),
            Action::Waiting { living } => assert!(!living.is_empty()),
            Action::Finished { .. } => {
                assert!(!self.finished, "finished twice");
                assert!(
                    self.open.is_empty(),
                    "unanswered at the end: {:?}",
                    self.open
                );
                assert!(self.states.values().all(|state| state.is_stopped()));
                assert!(self.launching.is_empty());
                self.finished = true;
            }
        }
    }
}
