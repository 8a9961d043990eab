//! A second opinion: Supervisor's machine written down a second time, naively, with flags and
//! clocks instead of phases and deadlines, scanning everything. Both see the same events; after
//! each one states, pids, counters and actions must agree.

use appctl::config::{Autorestart, Policy, Signal};
use appctl::fleet::pace::BURST;
use appctl::fleet::*;
use proptest::prelude::*;

use crate::scene::policy;

const SECOND: u64 = 1_000_000_000;

/// A process as Supervisor keeps it.
struct Naive {
    group_priority: i64,
    policy: Policy,
    state: State,
    pid: i32,
    laststart: u64,
    delay: u64,
    backoff: u32,
    exit: Option<ExitStatus>,
    /// A start was asked for and not answered.
    launching: bool,
    /// An exit waits for its autorestart.
    respawn: bool,
    /// When it was restarted by itself: each counts against the burst for its time.
    respawns: Vec<u64>,
    /// To be started when no other process with this number lives.
    restart: Option<u64>,
}

#[derive(Default)]
struct Model {
    processes: Vec<Naive>,
    leaving: bool,
    restarts: u64,
    actions: Vec<String>,
}

impl Model {
    fn change(&mut self, i: usize, state: State) {
        self.processes[i].state = state;
        self.actions.push(format!("{i} {state}"));
    }

    fn kill(&mut self, i: usize, signal: u8, group: bool) {
        let pid = self.processes[i].pid;
        self.actions.push(format!("kill {pid} {signal} {group}"));
    }

    fn spawn(&mut self, i: usize, now: u64) {
        self.change(i, State::Starting);
        let process = &mut self.processes[i];
        process.laststart = now;
        process.launching = true;
        process.respawn = false;
        process.exit = None;
        self.actions.push(format!("start {i}"));
    }

    fn start(&mut self, i: usize, now: u64) {
        if matches!(
            self.processes[i].state,
            State::Stopped | State::Exited | State::Fatal
        ) {
            self.processes[i].restart = None;
            self.processes[i].backoff = 0;
            self.spawn(i, now);
        }
    }

    fn stop(&mut self, i: usize, now: u64) {
        self.processes[i].restart = None;
        let process = &mut self.processes[i];
        match process.state {
            State::Backoff => self.change(i, State::Stopped),
            State::Exited if process.respawn => {
                process.respawn = false;
                self.change(i, State::Stopped);
            }
            State::Starting | State::Running => {
                process.delay = now + process.policy.stopwaitsecs as u64 * SECOND;
                let (signal, group) = (process.policy.stopsignal.0, process.policy.stopasgroup);
                let spawned = !process.launching;
                self.change(i, State::Stopping);
                if spawned {
                    self.kill(i, signal, group);
                }
            }
            _ => {}
        }
    }

    fn restart(&mut self, all: &[usize], now: u64) {
        self.restarts += 1;
        for &i in all.iter().rev() {
            self.stop(i, now);
        }
        for &i in all {
            if self.processes[i].state != State::Unknown {
                self.processes[i].restart = Some(self.restarts);
            }
        }
    }

    fn spawned(&mut self, i: usize, pid: i32, now: u64) {
        let process = &mut self.processes[i];
        process.launching = false;
        process.pid = pid;
        process.laststart = now;
        if process.state == State::Stopping {
            process.delay = now + process.policy.stopwaitsecs as u64 * SECOND;
            let (signal, group) = (process.policy.stopsignal.0, process.policy.stopasgroup);
            self.kill(i, signal, group);
        } else if process.policy.startsecs <= 0 {
            process.backoff = 0;
            self.change(i, State::Running);
        }
    }

    fn spawn_failed(&mut self, i: usize, now: u64) {
        self.processes[i].launching = false;
        if self.processes[i].state == State::Stopping {
            self.change(i, State::Stopped);
        } else {
            self.back_off(i, now);
        }
    }

    fn back_off(&mut self, i: usize, now: u64) {
        self.change(i, State::Backoff);
        let process = &mut self.processes[i];
        process.backoff += 1;
        process.delay = now + u64::from(process.backoff) * SECOND;
        self.give_up(i);
    }

    fn give_up(&mut self, i: usize) {
        let process = &self.processes[i];
        let exhausted = i64::from(process.backoff) > process.policy.startretries;
        if process.state == State::Backoff && (exhausted || self.leaving) {
            self.change(i, State::Fatal);
        }
    }

    fn exited(&mut self, i: usize, pid: i32, status: ExitStatus, now: u64) {
        let process = &mut self.processes[i];
        if process.pid != pid {
            return;
        }
        process.pid = 0;
        let too_quickly =
            (now - process.laststart) < process.policy.startsecs.max(0) as u64 * SECOND;
        match process.state {
            State::Stopping | State::Unknown => {
                process.exit = Some(status);
                self.change(i, State::Stopped);
            }
            State::Starting if too_quickly => {
                process.exit = None;
                self.back_off(i, now);
            }
            _ => {
                process.backoff = 0;
                process.exit = Some(status);
                if process.state == State::Starting {
                    self.change(i, State::Running);
                }
                self.change(i, State::Exited);
                self.processes[i].respawn = self.wants_respawn(i);
                self.respawn(i, now);
            }
        }
    }

    fn wants_respawn(&self, i: usize) -> bool {
        let process = &self.processes[i];
        let expected = match process.exit {
            Some(ExitStatus::Code(code)) => process.policy.exitcodes.contains(&code),
            _ => false,
        };
        let wanted = match process.policy.autorestart {
            Autorestart::Never => false,
            Autorestart::Always => true,
            Autorestart::Unexpected => !expected,
        };
        wanted && !self.leaving
    }

    /// A burst at once, then one a second: counted anew from the very first restart.
    fn respawn(&mut self, i: usize, now: u64) {
        let process = &self.processes[i];
        let burst = u64::from(BURST) * SECOND;
        let (mut in_hand, mut since) = (burst, 0);
        for &at in &process.respawns {
            in_hand = burst.min(in_hand + (at - since)) - SECOND;
            since = at;
        }
        let due = burst.min(in_hand + (now - since)) >= SECOND;
        if process.state == State::Exited && process.respawn && due {
            self.processes[i].respawns.push(now);
            self.spawn(i, now);
        }
    }

    fn signal_failed(&mut self, i: usize) {
        if self.processes[i].pid != 0 && self.processes[i].state != State::Unknown {
            self.change(i, State::Unknown);
        }
    }

    fn signal(&mut self, i: usize) {
        if self.processes[i].pid != 0 && self.processes[i].state != State::Unknown {
            self.kill(i, 10, false);
        }
    }

    fn tick(&mut self, now: u64) {
        for i in 0..self.processes.len() {
            let process = &mut self.processes[i];
            let startsecs = process.policy.startsecs.max(0) as u64 * SECOND;
            match process.state {
                State::Starting if !process.launching && now - process.laststart > startsecs => {
                    process.backoff = 0;
                    self.change(i, State::Running);
                }
                State::Backoff if now > process.delay => self.spawn(i, now),
                State::Stopping if process.pid != 0 && process.delay <= now => {
                    process.delay = now + process.policy.stopwaitsecs.max(1) as u64 * SECOND;
                    let group = process.policy.killasgroup;
                    self.kill(i, 9, group);
                }
                _ => self.respawn(i, now),
            }
        }
    }

    fn leave(&mut self) {
        self.leaving = true;
        for i in 0..self.processes.len() {
            self.processes[i].restart = None;
            self.processes[i].respawn = false;
            self.give_up(i);
        }
    }

    /// What follows when others have stopped.
    fn follow_up(&mut self, now: u64) {
        for number in 1..=self.restarts {
            let of = |process: &Naive| process.restart == Some(number);
            let members = |model: &Model| -> Vec<usize> {
                (0..model.processes.len())
                    .filter(|&i| of(&model.processes[i]))
                    .collect()
            };
            let all = members(self);
            if all.iter().all(|&i| self.processes[i].state.is_stopped()) {
                for i in all {
                    self.processes[i].restart = None;
                    self.start(i, now);
                }
            }
        }
        let living = self
            .processes
            .iter()
            .filter(|process| !process.state.is_stopped());
        if let (true, Some(level)) = (self.leaving, living.map(|one| one.group_priority).max()) {
            for i in 0..self.processes.len() {
                if self.processes[i].group_priority == level {
                    self.stop(i, now);
                }
            }
        }
    }
}

/// A fleet and the model, side by side.
struct Pair {
    fleet: Fleet,
    model: Model,
    now: Moment,
    pids: i32,
    tickets: u64,
}

impl Pair {
    fn new(policies: &[Policy]) -> Pair {
        let mut pair = Pair {
            fleet: Fleet::new(),
            model: Model::default(),
            now: Moment {
                stamp: Stamp(SECOND),
                wall: 0,
            },
            pids: 0,
            tickets: 0,
        };
        let mut groups: Vec<GroupPolicy> = Vec::new();
        for (i, policy) in policies.iter().enumerate() {
            if i % 2 == 0 {
                let priority = [5, 1, 5][i / 2 % 3];
                groups.push(GroupPolicy {
                    name: format!("g{i}"),
                    priority,
                    processes: vec![],
                });
            }
            let group = groups.last_mut().unwrap();
            group.processes.push((format!("p{i}"), policy.clone()));
            pair.model.processes.push(Naive {
                group_priority: group.priority,
                policy: policy.clone(),
                state: State::Stopped,
                pid: 0,
                laststart: 0,
                delay: 0,
                backoff: 0,
                exit: None,
                launching: false,
                respawn: false,
                respawns: vec![],
                restart: None,
            });
        }
        #[allow(clippy::needless_range_loop)] // the index is the process number of both models
        for i in 0..policies.len() {
            if policies[i].autostart {
                pair.model.spawn(i, SECOND);
            }
        }
        pair.ask(Request::Add { groups });
        pair
    }

    fn ask(&mut self, request: Request) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.both(Event::Asked { ticket, request });
    }

    /// Lets the fleet take an event that the model has taken already, and compares.
    fn both(&mut self, event: Event) {
        self.model.follow_up(self.now.stamp.0);
        let mut actions = Vec::new();
        self.fleet.handle(self.now, event.clone(), &mut actions);
        self.fleet.check().unwrap();
        let mut actual: Vec<String> = actions.iter().filter_map(text).collect();
        let mut expected = std::mem::take(&mut self.model.actions);
        actual.sort();
        expected.sort();
        assert_eq!(actual, expected, "{event:?}");
        for (i, naive) in self.model.processes.iter().enumerate() {
            let process = self.fleet.get(ProcessId(i as u32)).unwrap();
            assert_eq!(process.state(), naive.state, "{i}");
            assert_eq!(process.pid().unwrap_or(0), naive.pid, "{i}");
            assert_eq!(process.exit_status(), naive.exit, "{i}");
            assert_eq!(process.is_launching(), naive.launching, "{i}");
            if matches!(naive.state, State::Backoff) {
                assert_eq!(process.failures(), naive.backoff, "{i}");
            }
        }
    }

    /// Something that can happen to process `i`, chosen by `what`.
    fn step(&mut self, what: u8, i: usize, millis: u64) {
        let i = i % self.model.processes.len();
        let process = ProcessId(i as u32);
        let now = self.now.stamp.0;
        let (launching, pid) = (
            self.model.processes[i].launching,
            self.model.processes[i].pid,
        );
        let one = || {
            let name = self.fleet.get(process).unwrap().name().clone();
            vec![Selector::Process(name)]
        };
        let stays = !self.model.leaving;
        match what {
            // While leaving, requests are refused.
            8..=17 if !stays => self.ask(Request::Stop {
                selectors: one(),
                wait: true,
            }),
            0..=5 if launching => {
                self.pids += 1;
                self.model.spawned(i, self.pids, now);
                self.both(Event::Spawned {
                    process,
                    pid: self.pids,
                });
            }
            6..=7 if launching => {
                self.model.spawn_failed(i, now);
                let failure = SpawnFailure {
                    kind: SpawnFailureKind::Other,
                    text: String::new(),
                };
                self.both(Event::SpawnFailed { process, failure });
            }
            0..=5 if pid != 0 => {
                let statuses = [
                    ExitStatus::Code(0),
                    ExitStatus::Code(1),
                    ExitStatus::Signal {
                        number: 9,
                        core: false,
                    },
                    ExitStatus::Unknown,
                ];
                let status = statuses[usize::from(what) % 4];
                let pid = if what == 5 { pid - 1 } else { pid };
                self.model.exited(i, pid, status, now);
                self.both(Event::Exited {
                    process,
                    pid,
                    status,
                });
            }
            6 if pid != 0 && millis < 200 => {
                self.model.signal_failed(i);
                self.both(Event::SignalFailed {
                    process,
                    reason: String::new(),
                });
            }
            8..=10 => {
                let selectors = one();
                self.model.start(i, now);
                self.ask(Request::Start {
                    selectors,
                    wait: true,
                });
            }
            11..=12 => {
                let selectors = one();
                self.model.stop(i, now);
                self.ask(Request::Stop {
                    selectors,
                    wait: true,
                });
            }
            13 => {
                for i in 0..self.model.processes.len() {
                    self.model.stop(i, now);
                }
                self.ask(Request::Stop {
                    selectors: vec![Selector::All],
                    wait: false,
                });
            }
            14 => {
                let selectors = one();
                self.model.restart(&[i], now);
                self.ask(Request::Restart { selectors });
            }
            15 => {
                let all: Vec<usize> = (0..self.model.processes.len()).collect();
                self.model.restart(&all, now);
                self.ask(Request::Restart {
                    selectors: vec![Selector::All],
                });
            }
            16 => {
                let selectors = one();
                self.model.signal(i);
                self.ask(Request::Signal {
                    selectors,
                    signal: Signal(10),
                });
            }
            17 if millis < 50 => {
                self.model.leave();
                self.ask(Request::Shutdown);
            }
            _ => {
                let due = self
                    .fleet
                    .next_deadline()
                    .filter(|_| what.is_multiple_of(2));
                let later = Stamp(now + millis * 1_000_000);
                self.now.stamp = due.map_or(later, |due| due.max(self.now.stamp));
                self.model.tick(self.now.stamp.0);
                self.both(Event::Tick);
            }
        }
    }
}

fn text(action: &Action) -> Option<String> {
    match action {
        Action::Start { process } => Some(format!("start {}", process.0)),
        Action::Kill {
            pid, signal, group, ..
        } => Some(format!("kill {pid} {} {group}", signal.0)),
        Action::Changed(change) => Some(format!("{} {}", change.process.0, change.to)),
        _ => None,
    }
}

prop_compose! {
    fn any_policy()(
        autostart: bool,
        autorestart in prop_oneof![
            Just(Autorestart::Never), Just(Autorestart::Unexpected), Just(Autorestart::Always)
        ],
        startsecs in -1..3i64,
        startretries in -1..4i64,
        stopwaitsecs in 0..4i64,
        stopasgroup: bool,
        killasgroup: bool,
    ) -> Policy {
        Policy {
            autostart, autorestart, startsecs, startretries, stopwaitsecs, stopasgroup, killasgroup,
            exitcodes: vec![0],
            ..policy()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn the_fleet_does_what_supervisor_does(
        policies in prop::collection::vec(any_policy(), 1..8),
        steps in prop::collection::vec((0..26u8, 0..8usize, 0..4_000u64), 0..400),
    ) {
        let mut pair = Pair::new(&policies);
        for (what, process, millis) in steps {
            pair.step(what, process, millis);
        }
    }
}
