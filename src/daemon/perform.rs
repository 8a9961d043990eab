//! Performs what the fleet decides. One small function per action; nothing is decided here.

use super::brain::Brain;
use super::files;
use super::processes::{Process, RunId};
use super::sentences::{self, say};
use super::turn::Outcome;
use crate::config::Signal;
use crate::control::Answer;
use crate::events;
use crate::fleet::{Action, Event, KillPurpose, ProcessId, ProcessName};
use crate::launch;

impl Brain {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Start { process } => self.prepare_start(process),
            Action::Kill {
                process,
                pid,
                signal,
                group,
                purpose,
            } => {
                self.kill(process, pid, signal, group, purpose);
            }
            Action::Changed(change) => self.announce_change(&change),
            Action::GroupAdded { group, processes } => self.add_group(&group, processes),
            Action::GroupRemoved { group, processes } => self.remove_group(&group, &processes),
            Action::Report { ticket, report } => self.reply(ticket, Answer::Report(report)),
            Action::Answered { ticket } => self.finish_reply(ticket, Answer::Done),
            Action::Waiting { living } => say(sentences::waiting_to_die(&living)),
            Action::Finished { start_over } => {
                self.finished = Some(if start_over {
                    Outcome::StartOver
                } else {
                    Outcome::Shutdown
                });
            }
        }
    }

    fn kill(&mut self, id: ProcessId, pid: i32, signal: Signal, group: bool, purpose: KillPurpose) {
        // The decision to stop must outlive us before its effect can be seen.
        self.remember();
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        let run = process.run.as_ref().filter(|run| run.pid == pid);
        let Some(living) = run.and_then(|run| run.living.as_ref()) else {
            return;
        };
        say(sentences::killing(
            &process.name,
            pid,
            signal,
            group,
            purpose,
        ));
        // Somebody who is gone already is not a failure: the news of the end is under way.
        if let Err(error) = launch::kill(living, signal, group) {
            let reason = format!("sending {} to pid {pid}: {error}", signal.name());
            self.events.push_back(Event::SignalFailed {
                process: id,
                reason,
            });
        }
    }

    fn add_group(&mut self, name: &str, members: Vec<(ProcessId, ProcessName)>) {
        let Some(config) = self.incoming.remove(name) else {
            say(sentences::trouble(format!(
                "group {name} was added without a configuration"
            )));
            return;
        };
        for ((id, name), config) in members.into_iter().zip(config.processes.iter().cloned()) {
            let files = files::settle(&name.process, &config, &self.supervisord);
            let process = Process {
                name,
                config,
                files,
                slot: self.slots.take(),
                runs: 0,
                preparing: None,
                run: None,
                log_trouble: Default::default(),
            };
            self.processes.insert(id, process);
            self.changed.insert(id);
        }
        self.groups.insert(name.to_owned(), config);
        self.structure_changed = true;
        let group = name.to_owned();
        self.announce(events::Event::GroupAdded { group });
    }

    fn remove_group(&mut self, name: &str, members: &[ProcessId]) {
        self.groups.remove(name);
        for id in members {
            let Some(process) = self.processes.remove(id) else {
                continue;
            };
            for channel in process.channels() {
                self.plane
                    .forget(super::processes::stream_of(*id, *channel));
            }
            if let Some(run) = &process.run {
                self.let_go(run.id);
            }
            self.opening.remove(id);
            self.changed.remove(id);
            self.slots.give_back(process.slot);
            self.vacate(process.slot);
        }
        self.structure_changed = true;
        let group = name.to_owned();
        self.announce(events::Event::GroupRemoved { group });
    }

    /// Empties a slot of the ledger.
    pub(super) fn vacate(&mut self, slot: u32) {
        if let Err(error) = self.ledger.vacate(slot) {
            say(sentences::trouble(format!(
                "clearing ledger slot {slot}: {error}"
            )));
        }
    }

    /// Closes the descriptors of a run that is over, here and in the keeper.
    pub(super) fn let_go(&mut self, run: RunId) {
        if let Err(error) = self.link.unpark(&run.keys()) {
            say(sentences::trouble(format!(
                "closing parked descriptors: {error}"
            )));
        }
    }
}
