//! The history of every program's runs, and the programs that are not started with the daemon: what
//! of them the turn hears and asks. Where it is kept, and when it is written, is `state`'s.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use async_std::channel::Sender;

use super::answers::{fail, send};
use super::brain::Brain;
use super::options::Personality;
use super::questions::these_or_all;
use super::sentences::{self, say};
use super::settings::Settings;
use crate::config::{ServerAddress, StateDirectory, SupervisordConfig};
use crate::control::{Answer, Channel, RunView};
use crate::fleet::{Cause, Change, GroupPolicy, ProcessId, ProcessName, Request, Selector, State};
use crate::launch;
use crate::ordered;
use crate::state::{Clerk, Run, Shelf};

/// How long the end of the daemon waits for the disk.
const FINISH_TIME: Duration = Duration::from_secs(1);

/// What is known of the state.
#[derive(Debug)]
pub struct History {
    clerk: Clerk,
    /// Not started with the daemon.
    disabled: BTreeSet<String>,
}

/// What is known of a run before it begins and after it has ended.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// Why it is started.
    why: String,
    /// Who asked.
    by: Option<u32>,
    /// Most memory that it had in use, in bytes.
    peak_memory: u64,
    /// The kernel killed it because memory ran out, in all likelihood.
    pub(super) out_of_memory: bool,
}

impl History {
    /// Of this daemon. Without a place on a disk, the history is as old as the brain.
    pub fn open(settings: &Settings, supervisord: &SupervisordConfig) -> Result<History, String> {
        let directory = place(settings, supervisord);
        let shelf = Shelf::open(directory.as_deref()).or_else(|error| {
            let place = directory.unwrap_or_default();
            say(sentences::warning(format!(
                "no state is kept on a disk, so what is disabled is forgotten and the history lost \
                 when the daemon ends: {}: {error}; statedir= says where, NONE is nowhere",
                place.display()
            )));
            Shelf::open(None)
        });
        let shelf = shelf.map_err(|error| error.to_string())?;
        let disabled = shelf.disabled().unwrap_or_else(|error| {
            say(sentences::critical(format!(
                "{error}: programs that were disabled are started again"
            )));
            BTreeSet::new()
        });
        let clerk = Clerk::start(shelf, |text| say(sentences::trouble(text)));
        let clerk = clerk.map_err(|error| format!("starting the thread of the state: {error}"))?;
        Ok(History { clerk, disabled })
    }

    /// Whether a program is started with the daemon, as far as it is for us to say.
    pub fn is_enabled(&self, name: &ProcessName) -> bool {
        !self.disabled.contains(&name.to_string())
    }

    /// The daemon ends.
    pub fn finish(&self) {
        self.clerk.finish(FINISH_TIME);
    }
}

fn place(settings: &Settings, supervisord: &SupervisordConfig) -> Option<PathBuf> {
    match &supervisord.statedir {
        StateDirectory::None => None,
        StateDirectory::At(directory) => Some(directory.clone()),
        StateDirectory::Default if settings.options.personality == Personality::Supervisord => None,
        StateDirectory::Default => settings.servers.iter().find_map(|server| {
            let ServerAddress::Unix { path, .. } = &server.address else {
                return None;
            };
            let mut beside = path.as_os_str().to_owned();
            beside.push(".state");
            Some(beside.into())
        }),
    }
}

impl Brain {
    /// A process changed state: what its history needs to know of that.
    pub(super) fn chronicle(&mut self, change: &Change, why: &str) {
        let (at, by) = (self.now.wall, self.asked_by);
        let wanted = self
            .fleet
            .get(change.process)
            .is_some_and(crate::fleet::Process::is_wanted);
        let Some(process) = self.processes.get_mut(&change.process) else {
            return;
        };
        let name = process.name.to_string();
        // A restart is asked for when it stops, and begins when it has.
        match change.cause {
            Cause::Asked => process.circumstances.by = by.or(process.circumstances.by),
            Cause::Stopped(_) if wanted => {}
            // Told with the start that failed, below.
            Cause::SpawnFailed(_) => {}
            _ => process.circumstances.by = None,
        }
        match &change.cause {
            Cause::SpawnFailed(_) => {
                let run = Run {
                    started: at,
                    why: process.circumstances.why.clone(),
                    by: process.circumstances.by.take(),
                    ended: Some(at),
                    how: why.to_owned(),
                    ..Run::default()
                };
                self.history.clerk.began(name, run, [None, None]);
            }
            Cause::Exited { status, .. }
            | Cause::ExitedTooQuickly(status)
            | Cause::Stopped(status) => {
                let peak = std::mem::take(&mut process.circumstances.peak_memory);
                let out_of_memory = process.circumstances.out_of_memory;
                let how = sentences::how_it_ended_and_why(*status, out_of_memory);
                self.history.clerk.ended(name, change.pid, at, how, peak);
            }
            _ if change.to == State::Starting => why.clone_into(&mut process.circumstances.why),
            _ => {}
        }
    }

    /// A program was started.
    pub(super) fn chronicle_start(&mut self, id: ProcessId, pid: i32) {
        let started = self.now.wall;
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        process.circumstances.out_of_memory = false;
        let run = Run {
            started,
            why: process.circumstances.why.clone(),
            by: process.circumstances.by.take(),
            pid,
            ..Run::default()
        };
        let logs = [Channel::Stdout, Channel::Stderr].map(|it| process.file(it).cloned());
        let name = process.name.to_string();
        self.history.clerk.began(name, run, logs);
    }

    /// Programs that run under this brain and were started by another one.
    pub(super) fn chronicle_adopted(&self) {
        for (id, process) in &self.processes {
            let (Some(run), Some(of_fleet)) = (&process.run, self.fleet.get(*id)) else {
                continue;
            };
            let adopted = Run {
                started: of_fleet.started().map_or(self.now.wall, |at| at.wall),
                why: "started by an earlier brain".to_owned(),
                pid: run.pid,
                ..Run::default()
            };
            self.history
                .clerk
                .adopted(process.name.to_string(), adopted);
        }
    }

    /// All programs are known: what is kept of others is forgotten in time.
    pub(super) fn chronicle_programs(&self) {
        let names = self
            .processes
            .values()
            .map(|process| process.name.to_string());
        self.history.clerk.programs(ordered::set(names));
    }

    /// The main process has ended and can still be asked about.
    pub(super) fn note_peak_memory(&mut self, id: ProcessId) {
        if let Some(process) = self.processes.get_mut(&id)
            && let Some(living) = process.run.as_ref().and_then(|run| run.living.as_ref())
        {
            process.circumstances.peak_memory = launch::peak_memory(living).unwrap_or(0);
        }
    }

    /// What is disabled is added, but not started.
    pub(super) fn respect_disabled(&self, request: &mut Request) {
        let respect = |group: &mut GroupPolicy| {
            for (process, policy) in &mut group.processes {
                let name = ProcessName {
                    group: group.name.clone(),
                    process: process.clone(),
                };
                policy.autostart &= self.history.is_enabled(&name);
            }
        };
        match request {
            Request::Add { groups } => groups.iter_mut().for_each(respect),
            Request::Update(changes) => {
                let whole = changes.changed.iter_mut().chain(&mut changes.added);
                whole.for_each(respect);
                let revised = changes.revised.iter_mut();
                revised.for_each(|revision| respect(&mut revision.group));
            }
            _ => {}
        }
    }

    /// Says which programs are started with the daemon; answered when that is on the disk.
    pub(super) fn enable(&mut self, enabled: bool, selectors: &[Selector], reply: Sender<Answer>) {
        let names: Vec<ProcessName> = self
            .selected(selectors, &reply)
            .into_iter()
            .filter_map(|id| Some(self.processes.get(&id)?.name.clone()))
            .collect();
        for name in &names {
            match enabled {
                true => self.history.disabled.remove(&name.to_string()),
                false => self.history.disabled.insert(name.to_string()),
            };
        }
        let then = move |written: Result<(), String>| match written {
            Ok(()) => {
                for name in names {
                    send(&reply, Answer::Enabled { name, enabled });
                }
                send(&reply, Answer::Done);
            }
            Err(error) => fail(&reply, error),
        };
        let disabled = self.history.disabled.clone();
        self.history.clerk.disable(disabled, Box::new(then));
    }

    /// Shows the last runs of programs.
    pub(super) fn answer_history(&self, selectors: &[Selector], reply: Sender<Answer>) {
        let names: Vec<ProcessName> = self
            .selected(these_or_all(selectors), &reply)
            .into_iter()
            .filter_map(|id| Some(self.processes.get(&id)?.name.clone()))
            .collect();
        let asked = names.iter().map(ToString::to_string).collect();
        let show = move |found: Vec<(String, VecDeque<Run>)>| {
            for (name, (_, runs)) in names.into_iter().zip(found) {
                for run in runs {
                    let name = name.clone();
                    send(&reply, Answer::Run(Box::new(RunView { name, run })));
                }
            }
            send(&reply, Answer::Done);
        };
        self.history.clerk.show(asked, Box::new(show));
    }
}
