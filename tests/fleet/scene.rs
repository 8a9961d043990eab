//! A fleet on a stage: events go in by name, what it decides comes out as text.

use appctl::config::{Autorestart, Policy, Signal};
use appctl::fleet::*;
use std::time::Duration;

/// A policy without surprises: everything off, `startsecs=1`, `startretries=3`.
pub fn policy() -> Policy {
    Policy {
        priority: 999,
        autostart: false,
        autorestart: Autorestart::Unexpected,
        startsecs: 1,
        startretries: 3,
        exitcodes: vec![0],
        stopsignal: Signal(15),
        stopwaitsecs: 10,
        stopasgroup: false,
        killasgroup: false,
        stop_tree: None,
        essential: false,
    }
}

/// A group of processes with the same policy.
pub fn group(name: &str, priority: i64, processes: &[&str], policy: &Policy) -> GroupPolicy {
    let processes = processes
        .iter()
        .map(|name| (name.to_string(), policy.clone()));
    GroupPolicy {
        name: name.to_owned(),
        priority,
        processes: processes.collect(),
    }
}

/// A program: a group of one.
pub fn program(name: &str, policy: Policy) -> GroupPolicy {
    group(name, 999, &[name], &policy)
}

pub fn process_name(text: &str) -> ProcessName {
    let (group, process) = text.split_once(':').unwrap_or((text, text));
    ProcessName {
        group: group.to_owned(),
        process: process.to_owned(),
    }
}

pub fn selectors(text: &str) -> Vec<Selector> {
    let one = |word: &str| match word {
        "all" => Selector::All,
        _ if word.ends_with(":*") => Selector::Group(word.trim_end_matches(":*").to_owned()),
        _ if word.contains(['*', '?', '[']) => Selector::Glob(word.to_owned()),
        _ => Selector::Process(process_name(word)),
    };
    text.split_whitespace().map(one).collect()
}

/// `start a b`, `stop all`, `restart g:*`, `signal a` (USR1), `remove g`, `shutdown`, …
pub fn request(text: &str) -> Request {
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    let selectors = selectors(rest);
    match verb {
        "start" => Request::Start {
            selectors,
            wait: true,
        },
        "launch" => Request::Start {
            selectors,
            wait: false,
        },
        "stop" => Request::Stop {
            selectors,
            wait: true,
        },
        "halt" => Request::Stop {
            selectors,
            wait: false,
        },
        "restart" => Request::Restart { selectors },
        "signal" => Request::Signal {
            selectors,
            signal: Signal(10),
        },
        "remove" => Request::Remove {
            groups: rest.split_whitespace().map(str::to_owned).collect(),
        },
        "shutdown" => Request::Shutdown,
        "reload" => Request::StartOver,
        _ => panic!("no such verb: {verb}"),
    }
}

pub struct Scene {
    pub fleet: Fleet,
    pub now: Moment,
    tickets: u64,
    /// Names by id, of processes that have left too.
    names: Vec<ProcessName>,
}

impl Scene {
    /// The groups are there; those to be autostarted are STARTING.
    pub fn with(groups: Vec<GroupPolicy>) -> Scene {
        let mut scene = Scene {
            fleet: Fleet::new(),
            now: Moment {
                stamp: Stamp(1_000_000_000_000),
                wall: 1_700_000_000,
            },
            tickets: 0,
            names: Vec::new(),
        };
        scene.ask_for(Request::Add { groups });
        scene.tickets = 0;
        scene
    }

    /// One program `a` with this policy.
    pub fn one(policy: Policy) -> Scene {
        Scene::with(vec![program("a", policy)])
    }

    pub fn id(&self, name: &str) -> ProcessId {
        let name = process_name(name);
        self.fleet
            .find(&name)
            .unwrap_or_else(|| panic!("no process {name}"))
    }

    pub fn process(&self, name: &str) -> &Process {
        self.fleet.get(self.id(name)).unwrap()
    }

    pub fn state(&self, name: &str) -> State {
        self.process(name).state()
    }

    pub fn handle(&mut self, event: Event) -> Vec<String> {
        let mut actions = Vec::new();
        self.fleet.handle(self.now, event, &mut actions);
        self.fleet.check().unwrap();
        self.learn_names(&actions);
        actions.iter().map(|action| self.text(action)).collect()
    }

    pub fn ask(&mut self, text: &str) -> Vec<String> {
        self.ask_for(request(text))
    }

    pub fn ask_for(&mut self, request: Request) -> Vec<String> {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.handle(Event::Asked { ticket, request })
    }

    pub fn abandon(&mut self, ticket: u64) -> Vec<String> {
        self.handle(Event::Abandoned {
            ticket: Ticket(ticket),
        })
    }

    /// The start worked. Its pid is its id and 100.
    pub fn spawned(&mut self, name: &str) -> Vec<String> {
        let process = self.id(name);
        let pid = 100 + process.0 as i32;
        self.handle(Event::Spawned { process, pid })
    }

    pub fn spawn_failed(&mut self, name: &str) -> Vec<String> {
        let process = self.id(name);
        let failure = SpawnFailure {
            kind: SpawnFailureKind::NoFile,
            text: "can't find command 'x'".to_owned(),
        };
        self.handle(Event::SpawnFailed { process, failure })
    }

    pub fn exited(&mut self, name: &str, status: ExitStatus) -> Vec<String> {
        let process = self.id(name);
        let pid = self.process(name).pid().unwrap_or(100 + process.0 as i32);
        self.handle(Event::Exited {
            process,
            pid,
            status,
        })
    }

    pub fn died(&mut self, name: &str, code: u8) -> Vec<String> {
        self.exited(name, ExitStatus::Code(code))
    }

    pub fn signal_failed(&mut self, name: &str) -> Vec<String> {
        let process = self.id(name);
        let reason = "EPERM".to_owned();
        self.handle(Event::SignalFailed { process, reason })
    }

    /// Time passes without a tick.
    pub fn pass(&mut self, nanos: u64) {
        self.now.stamp = self.now.stamp.after(Duration::from_nanos(nanos));
        self.now.wall = 1_700_000_000 + (self.now.stamp.0 / 1_000_000_000) as i64;
    }

    /// Time passes, then a tick.
    pub fn tick(&mut self, millis: u64) -> Vec<String> {
        self.pass(millis * 1_000_000);
        let actions = self.handle(Event::Tick);
        self.fleet.check_deadlines(self.now.stamp).unwrap();
        actions
    }

    /// Time passes until the next deadline. Tells how many milliseconds that took, rounded down.
    pub fn wait(&mut self) -> (u64, Vec<String>) {
        let due = self.fleet.next_deadline().expect("nothing is awaited");
        let nanos = due.0.saturating_sub(self.now.stamp.0);
        self.pass(nanos);
        (nanos / 1_000_000, self.tick(0))
    }

    /// Started, and RUNNING for a minute.
    pub fn run(&mut self, names: &str) {
        for name in names.split_whitespace() {
            if !self.process(name).is_launching() {
                self.ask(&format!("launch {name}"));
            }
            self.spawned(name);
        }
        self.tick(60_000);
        for name in names.split_whitespace() {
            assert_eq!(self.state(name), State::Running);
        }
    }

    /// A program `a` in this state.
    pub fn in_state(state: State) -> Scene {
        let mut scene = Scene::one(policy());
        match state {
            State::Stopped => {}
            State::Starting => {
                scene.ask("launch a");
                scene.spawned("a");
            }
            State::Running => scene.run("a"),
            State::Backoff => {
                scene.ask("launch a");
                scene.spawn_failed("a");
            }
            State::Stopping => {
                scene.run("a");
                scene.ask("halt a");
            }
            State::Exited => {
                scene.run("a");
                scene.died("a", 0);
            }
            State::Fatal => {
                scene = Scene::one(Policy {
                    startretries: 0,
                    ..policy()
                });
                scene.ask("launch a");
                scene.spawn_failed("a");
            }
            State::Unknown => {
                scene.run("a");
                scene.signal_failed("a");
            }
        }
        assert_eq!(scene.state("a"), state);
        scene.tickets = 0;
        scene
    }

    fn learn_names(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::GroupAdded { processes, .. } | Action::Joined { processes, .. } = action
            {
                for (id, name) in processes {
                    assert_eq!(id.0 as usize, self.names.len(), "ids are given in order");
                    self.names.push(name.clone());
                }
            }
        }
    }

    fn text(&self, action: &Action) -> String {
        let name = |id: &ProcessId| self.names[id.0 as usize].to_string();
        match action {
            Action::Start { process } => format!("start {}", name(process)),
            Action::Kill {
                process,
                pid,
                signal,
                group,
                purpose,
            } => {
                let whom = if *group { "group of " } else { "" };
                assert_eq!(self.fleet.get(*process).and_then(Process::pid), Some(*pid));
                format!("{purpose:?} {} to {whom}{}", signal.0, name(process))
            }
            Action::Changed(change) => {
                let Change {
                    process, to, cause, ..
                } = change;
                format!("{} {to}: {cause:?}", name(process))
            }
            Action::GroupAdded { group, .. } => format!("{group} comes"),
            Action::GroupRemoved { group, .. } => format!("{group} leaves"),
            Action::Joined { group, .. } => format!("{group} grows"),
            Action::Left { process } => format!("{} leaves", name(process)),
            Action::Revised { process } => format!("{} revised", name(process)),
            Action::GroupRevised { group } => format!("{group} revised"),
            Action::Report { ticket, report } => match &report.result {
                Ok(done) => format!("#{} {}: {done:?}", ticket.0, report.subject),
                Err(refusal) => format!("#{} {}: {refusal:?}", ticket.0, report.subject),
            },
            Action::Answered { ticket } => format!("#{} answered", ticket.0),
            Action::Waiting { living } => {
                let living: Vec<String> = living.iter().map(ToString::to_string).collect();
                format!("waiting for {}", living.join(", "))
            }
            Action::Ending { code, .. } => format!("ending with {code}"),
            Action::Finished {
                start_over,
                code: 0,
            } => {
                format!("finished, start over: {start_over}")
            }
            Action::Finished { code, .. } => format!("finished with {code}"),
        }
    }
}

/// Only the lines of an answer.
pub fn answers(actions: Vec<String>) -> Vec<String> {
    actions
        .into_iter()
        .filter(|line| line.starts_with('#'))
        .collect()
}

/// Everything but the changes of state.
pub fn effects(actions: Vec<String>) -> Vec<String> {
    const WORDS: [&str; 8] = [
        "STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL", "UNKNOWN",
    ];
    let is_change = |line: &str| {
        WORDS
            .iter()
            .any(|word| line.contains(&format!(" {word}: ")))
    };
    actions
        .into_iter()
        .filter(|line| !is_change(line))
        .collect()
}
