//! A world around the fleet, made of one seed: programs that die at once, later or never, ignore
//! SIGTERM or cannot be spawned; operators who type at random, hang up and change the
//! configuration; brains that die, some of them in the middle of saving.
//!
//! A failure prints its seed: `FLEET_SEED=17 cargo test --test fleet world`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use appctl::config::{Autorestart, Policy, Signal};
use appctl::fleet::*;

use crate::audit::Audit;
use crate::scene::policy;
use crate::snapshots::{records, successor};

const SEEDS: u64 = 60;
const STEPS: usize = 400;
const GROUPS: u64 = 6;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// A living program.
#[derive(Debug, Clone)]
struct Program {
    pid: i32,
    dies_at: Option<Stamp>,
    ignores_term: bool,
}

struct World {
    dice: Dice,
    fleet: Fleet,
    /// The same fleet in a brain that was restored at some time; it must do the same.
    twin: Option<Fleet>,
    audit: Audit,
    now: Moment,
    /// When the answer to a start comes.
    launches: BTreeMap<ProcessId, Stamp>,
    programs: BTreeMap<ProcessId, Program>,
    pids: i32,
    tickets: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let mut world = World {
            dice: Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            fleet: Fleet::new(),
            twin: None,
            audit: Audit::default(),
            now: Moment {
                stamp: Stamp(5_000_000_000),
                wall: 1_700_000_000,
            },
            launches: BTreeMap::new(),
            programs: BTreeMap::new(),
            pids: 1_000,
            tickets: 0,
        };
        let groups = (0..GROUPS).step_by(2).map(|i| world.group(i)).collect();
        world.ask(Request::Add { groups });
        world
    }

    fn group(&mut self, i: u64) -> GroupPolicy {
        let processes = (0..1 + self.dice.roll(3)).map(|k| (format!("p{k}"), self.policy()));
        let processes = processes.collect();
        GroupPolicy {
            name: format!("g{i}"),
            priority: [1, 7, 7, 9][self.dice.roll(4) as usize],
            processes,
        }
    }

    fn policy(&mut self) -> Policy {
        let dice = &mut self.dice;
        Policy {
            autostart: dice.chance(60),
            autorestart: [
                Autorestart::Never,
                Autorestart::Unexpected,
                Autorestart::Always,
            ][dice.roll(3) as usize],
            startsecs: dice.roll(4) as i64 - 1,
            startretries: dice.roll(4) as i64,
            stopwaitsecs: dice.roll(6) as i64,
            stopasgroup: dice.chance(20),
            ..policy()
        }
    }

    fn after(&mut self, most_millis: u64) -> Stamp {
        let millis = self.dice.roll(most_millis);
        self.now.stamp.after(Duration::from_millis(millis))
    }

    /// The fleet and its twin take an event; what it decides happens.
    fn take(&mut self, event: Event) {
        let actions = self.decide_audited(event);
        for action in &actions {
            self.perform(action);
        }
    }

    fn decide_audited(&mut self, event: Event) -> Vec<Action> {
        self.audit.event(&event);
        let actions = self.decide(event);
        self.audit.actions(&self.fleet, &actions);
        actions
    }

    fn decide(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.fleet.handle(self.now, event.clone(), &mut actions);
        if let Some(twin) = &mut self.twin {
            let mut same = Vec::new();
            twin.handle(self.now, event, &mut same);
            twin.check().unwrap();
            let lasting = |actions: &[Action]| -> Vec<Action> {
                let answers = |action: &Action| {
                    use Action::{Answered, Report, Waiting};
                    matches!(action, Report { .. } | Answered { .. } | Waiting { .. })
                };
                actions
                    .iter()
                    .filter(|action| !answers(action))
                    .cloned()
                    .collect()
            };
            assert_eq!(
                lasting(&actions),
                lasting(&same),
                "the successor does otherwise"
            );
            assert_eq!(self.fleet.structure(), twin.structure());
            assert_eq!(records(&self.fleet), records(twin));
        }
        actions
    }

    fn perform(&mut self, action: &Action) {
        match action {
            Action::Start { process } => {
                let at = self.after(300);
                self.launches.insert(*process, at);
            }
            Action::Kill {
                process, signal, ..
            } => {
                let dies_at = self.after(2_500);
                let fails = self.dice.chance(1);
                let program = self.programs.get_mut(process).unwrap();
                if fails {
                    let reason = "EPERM".to_owned();
                    self.take(Event::SignalFailed {
                        process: *process,
                        reason,
                    });
                } else if *signal == Signal(9) || *signal == Signal(15) && !program.ignores_term {
                    program.dies_at = program.dies_at.into_iter().chain([dies_at]).min();
                }
            }
            Action::GroupRemoved { processes, .. } => {
                // UNKNOWN ones live on, out of sight.
                for process in processes {
                    self.programs.remove(process);
                }
            }
            Action::Left { process } => drop(self.programs.remove(process)),
            _ => {}
        }
    }

    fn ask(&mut self, request: Request) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.take(Event::Asked { ticket, request });
    }

    /// Answers a start whose time has come.
    fn launch(&mut self, process: ProcessId) {
        self.launches.remove(&process);
        if self.dice.chance(15) {
            let failure = SpawnFailure {
                kind: SpawnFailureKind::NoFile,
                text: "no".to_owned(),
            };
            return self.take(Event::SpawnFailed { process, failure });
        }
        self.pids += 1;
        let dies_at = match self.dice.roll(4) {
            0 => Some(self.now.stamp),
            1 | 2 => Some(self.after(6_000)),
            _ => None,
        };
        let ignores_term = self.dice.chance(20);
        let program = Program {
            pid: self.pids,
            dies_at,
            ignores_term,
        };
        self.programs.insert(process, program);
        self.take(Event::Spawned {
            process,
            pid: self.pids,
        });
    }

    fn die(&mut self, process: ProcessId) {
        let status = match self.dice.roll(4) {
            0 => ExitStatus::Code(0),
            1 => ExitStatus::Code(3),
            2 => ExitStatus::Signal {
                number: 9,
                core: false,
            },
            _ => ExitStatus::Unknown,
        };
        if let Some(Program { pid, .. }) = self.programs.remove(&process) {
            self.take(Event::Exited {
                process,
                pid,
                status,
            });
        }
    }

    /// Lets time pass to the next thing that happens, in the world or in the fleet.
    fn pass(&mut self) {
        let launches = self.launches.values().copied();
        let deaths = self.programs.values().filter_map(|program| program.dies_at);
        let next = launches
            .chain(deaths)
            .chain(self.fleet.next_deadline())
            .min();
        let idle = self.now.stamp.after(Duration::from_secs(1));
        self.now.stamp = next.unwrap_or(idle).max(self.now.stamp);
        let now = self.now.stamp;
        for (process, _) in self.launches.clone().iter().filter(|(_, at)| **at <= now) {
            self.launch(*process);
        }
        for (process, program) in self.programs.clone() {
            if program.dies_at.is_some_and(|at| at <= now) {
                self.die(process);
            }
        }
        let actions = self.decide_audited(Event::Tick);
        self.fleet.check_deadlines(now).unwrap();
        for action in &actions {
            self.perform(action);
        }
    }

    fn selector(&mut self) -> Selector {
        let group = format!("g{}", self.dice.roll(GROUPS));
        match self.dice.roll(8) {
            0 => Selector::All,
            1 => Selector::Glob("*:p[12]".to_owned()),
            2 | 3 => Selector::Group(group),
            _ => {
                let process = format!("p{}", self.dice.roll(3));
                Selector::Process(ProcessName { group, process })
            }
        }
    }

    fn request(&mut self) -> Request {
        let selectors = (0..1 + self.dice.roll(3))
            .map(|_| self.selector())
            .collect();
        let wait = self.dice.chance(80);
        match self.dice.roll(12) {
            0..=3 => Request::Start { selectors, wait },
            4 | 5 => Request::Stop { selectors, wait },
            6 | 7 => Request::Restart { selectors },
            8 => Request::Signal {
                selectors,
                signal: Signal(10),
            },
            9 => Request::Remove {
                groups: vec![format!("g{}", self.dice.roll(GROUPS))],
            },
            10 => {
                let i = self.dice.roll(GROUPS);
                Request::Add {
                    groups: vec![self.group(i)],
                }
            }
            _ => self.update(),
        }
    }

    fn update(&mut self) -> Request {
        let mut changes = Changes::default();
        for i in 0..GROUPS {
            let group = self.group(i);
            match self.dice.roll(8) {
                0 => changes.removed.push(group.name),
                1 => changes.changed.push(group),
                2 => changes.added.push(group),
                3 | 4 => changes.revised.push(self.revision(group)),
                _ => {}
            }
        }
        Request::Update(changes)
    }

    fn revision(&mut self, group: GroupPolicy) -> Revision {
        let (mut replaced, mut adjusted) = (BTreeSet::new(), BTreeSet::new());
        for (name, _) in &group.processes {
            match self.dice.roll(3) {
                0 => drop(replaced.insert(name.clone())),
                1 => drop(adjusted.insert(name.clone())),
                _ => {}
            }
        }
        Revision {
            group,
            replaced,
            adjusted,
        }
    }

    /// A brain dies between two turns: its successor answers nobody, and does the same.
    fn succeed(&mut self) {
        match self.twin.take() {
            Some(twin) if self.dice.chance(50) => {
                self.fleet = successor(&twin);
                self.audit.open.clear();
            }
            _ => {
                self.twin = Some(successor(&self.fleet));
                self.take(Event::Tick);
            }
        }
    }

    /// A brain dies in the middle of a turn: it has saved the structure and some of the records,
    /// and performed nothing.
    fn tear(&mut self, event: Event) {
        let mut saved = records(&self.fleet);
        self.decide(event);
        let mut changed = records(&self.fleet);
        changed.retain(|process, record| saved.get(process) != Some(record));
        saved.extend(changed.into_iter().take(self.dice.roll(8) as usize));
        self.fleet = Fleet::restore(self.fleet.structure(), saved).unwrap();
        self.twin = None;
        self.audit = Audit::taking_over(&self.fleet);
        self.programs
            .retain(|process, _| self.fleet.get(*process).is_some());
        // The new brain finds no child for these starts, and carries them out.
        for process in self.audit.launching.clone() {
            let at = self.after(300);
            self.launches.entry(process).or_insert(at);
        }
        self.take(Event::Tick);
    }

    fn live(&mut self) {
        for _ in 0..STEPS {
            match self.dice.roll(30) {
                0..=5 => {
                    let request = self.request();
                    self.ask(request);
                }
                6 => {
                    let open: Vec<Ticket> = self.audit.open.iter().copied().collect();
                    if let Some(ticket) = open.first().copied() {
                        self.take(Event::Abandoned { ticket });
                    }
                }
                7 => self.succeed(),
                8 if self.dice.chance(30) => {
                    let request = self.request();
                    self.tickets += 1;
                    let ticket = Ticket(self.tickets);
                    self.tear(Event::Asked { ticket, request });
                }
                _ => self.pass(),
            }
        }
    }

    /// Whatever was going on, a shutdown ends it within the sum of its deadlines.
    fn end(&mut self) {
        let start = self.now.stamp;
        let start_over = self.dice.chance(50);
        self.ask(if start_over {
            Request::StartOver
        } else {
            Request::Shutdown
        });
        for _ in 0..2_000 {
            if self.audit.finished {
                break;
            }
            if self.dice.chance(2) {
                self.succeed();
            }
            self.pass();
        }
        assert!(self.audit.finished, "does not finish: {:#?}", self.fleet);
        assert!(self.audit.open.is_empty());
        let took = self.now.stamp.since(start);
        assert!(took < Duration::from_secs(60), "took {took:?}");
    }
}

impl Audit {
    /// What an outsider knows of a restored fleet.
    fn taking_over(fleet: &Fleet) -> Audit {
        let mut audit = Audit::default();
        for process in fleet.processes() {
            audit.resume(process);
        }
        audit
    }
}

#[test]
fn the_fleet_survives_the_world() {
    let chosen: Option<u64> = std::env::var("FLEET_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = chosen.map_or(1..=SEEDS, |seed| seed..=seed);
    for seed in seeds {
        println!("FLEET_SEED={seed}");
        let mut world = World::new(seed);
        world.live();
        world.end();
    }
}
