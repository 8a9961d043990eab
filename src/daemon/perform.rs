//! Performs what the fleet decides. One small function per action; nothing is decided here.

use std::sync::Arc;

use super::brain::Brain;
use super::files;
use super::processes::{Process, RunId, stream_of};
use super::sentences::{self, say};
use super::turn::Outcome;
use crate::config::{ProcessConfig, Signal};
use crate::control::{Answer, Channel};
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
            Action::Joined { group, processes } => self.join_group(&group, processes),
            Action::Left { process } => self.leave_group(process),
            Action::Revised { process } => self.revise(process),
            Action::GroupRevised { group } => self.group_revised(&group),
            Action::Report { ticket, report } => self.reply(ticket, Answer::Report(report)),
            Action::Answered { ticket } => self.answers.finish(ticket, Answer::Done),
            Action::Waiting { living } => say(sentences::waiting_to_die(&living)),
            Action::Ending { process, code } => {
                let process = process.and_then(|id| self.processes.get(&id));
                say(sentences::ending(
                    process.map(|process| &process.name),
                    code,
                ));
            }
            Action::Finished { start_over, code } => {
                self.leave_after_trees(if start_over {
                    Outcome::StartOver
                } else {
                    Outcome::Shutdown(code)
                });
            }
        }
    }

    fn kill(&mut self, id: ProcessId, pid: i32, signal: Signal, group: bool, purpose: KillPurpose) {
        // The decision to stop must outlive us before its effect can be seen.
        self.remember();
        if purpose == KillPurpose::Overdue && self.tree_overdue(id) {
            return;
        }
        if purpose == KillPurpose::Stop && self.begin_farewell(id, pid, signal, group) {
            return;
        }
        self.send_signal(id, pid, signal, group, purpose);
    }

    /// Sends a signal to a process, if it still has this pid.
    pub(super) fn send_signal(
        &mut self,
        id: ProcessId,
        pid: i32,
        signal: Signal,
        group: bool,
        purpose: KillPurpose,
    ) {
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
        let Some(config) = self.configuration.incoming.remove(name) else {
            say(sentences::trouble(format!(
                "group {name} was added without a configuration"
            )));
            return;
        };
        let ids: Vec<ProcessId> = members.iter().map(|(id, _)| *id).collect();
        for ((id, name), config) in members.into_iter().zip(config.processes.iter().cloned()) {
            self.add_process(id, name, config);
        }
        self.configuration.groups.insert(name.to_owned(), config);
        self.records.structure_changed = true;
        self.add_pool(name, &ids);
        let group = name.to_owned();
        self.announce(events::Event::GroupAdded { group });
    }

    fn remove_group(&mut self, name: &str, members: &[ProcessId]) {
        self.configuration.groups.remove(name);
        self.remove_pool(name, members);
        for id in members {
            self.remove_process(*id);
        }
        self.records.structure_changed = true;
        let group = name.to_owned();
        self.announce(events::Event::GroupRemoved { group });
    }

    fn add_process(&mut self, id: ProcessId, name: ProcessName, config: Arc<ProcessConfig>) {
        let files = files::settle(&name.process, &config, &self.configuration.supervisord);
        let process = Process {
            name,
            config,
            files,
            slot: self.records.slots.take(),
            runs: 0,
            preparing: None,
            run: None,
            circumstances: Default::default(),
            log_trouble: Default::default(),
        };
        self.processes.insert(id, Box::new(process));
        self.records.changed.insert(id);
    }

    fn remove_process(&mut self, id: ProcessId) {
        let Some(process) = self.processes.remove(&id) else {
            return;
        };
        self.tree_leaves(id, &process.name.to_string(), &process.config.policy);
        for channel in process.channels() {
            self.plane.forget(stream_of(id, *channel));
        }
        if let Some(run) = &process.run {
            self.let_go(run.id);
        }
        self.opening.remove(&id);
        self.records.changed.remove(&id);
        self.records.slots.give_back(process.slot);
        self.vacate(process.slot);
    }

    fn join_group(&mut self, group: &str, members: Vec<(ProcessId, ProcessName)>) {
        for (id, name) in members {
            let Some(config) = self.incoming_process(&name) else {
                continue;
            };
            if let Some(group) = self.configuration.groups.get_mut(group) {
                group.processes.push(config.clone());
            }
            self.add_process(id, name, config);
        }
        self.records.structure_changed = true;
    }

    fn leave_group(&mut self, id: ProcessId) {
        if let Some(name) = self.processes.get(&id).map(|process| &process.name)
            && let Some(group) = self.configuration.groups.get_mut(&name.group)
        {
            group.processes.retain(|one| one.name != name.process);
        }
        self.remove_process(id);
        self.records.structure_changed = true;
    }

    /// Gives a process its new configuration, at rest or while it runs.
    fn revise(&mut self, id: ProcessId) {
        let name = self.processes.get(&id).map(|process| process.name.clone());
        let Some(config) = name.and_then(|name| self.incoming_process(&name)) else {
            return;
        };
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let group = self.configuration.groups.get_mut(&process.name.group);
        let listed = group.into_iter().flat_map(|group| &mut group.processes);
        for one in listed.filter(|one| one.name == config.name) {
            one.clone_from(&config);
        }
        let before = std::mem::replace(&mut process.config, config);
        let config = &process.config;
        let same_files = before.stdout.logfile == config.stdout.logfile
            && before.stderr.logfile == config.stderr.logfile
            && before.launch.redirect_stderr == config.launch.redirect_stderr;
        if !same_files {
            if process.config.launch.redirect_stderr {
                self.plane.forget(stream_of(id, Channel::Stderr));
            }
            process.files = files::settle(
                &process.name.process,
                config,
                &self.configuration.supervisord,
            );
            process.log_trouble = Default::default();
        } else if process.run.is_some() {
            for channel in process.channels() {
                let sink = process.sink(*channel, &self.configuration.supervisord);
                self.plane.prepare(stream_of(id, *channel), sink);
            }
        }
        self.records.changed.insert(id);
        self.records.structure_changed = true;
    }

    /// The group in force is now the one that was to come.
    fn group_revised(&mut self, name: &str) {
        if let Some(group) = self.configuration.incoming.remove(name) {
            self.configuration.groups.insert(name.to_owned(), group);
        }
        self.records.structure_changed = true;
    }

    fn incoming_process(&self, name: &ProcessName) -> Option<Arc<ProcessConfig>> {
        let mut processes = self
            .configuration
            .incoming
            .get(&name.group)?
            .processes
            .iter();
        let config = processes.find(|one| one.name == name.process);
        if config.is_none() {
            say(sentences::trouble(format!(
                "{name} was changed without a configuration"
            )));
        }
        config.cloned()
    }

    /// Empties a slot of the ledger.
    pub(super) fn vacate(&mut self, slot: u32) {
        if let Err(error) = self.records.ledger.vacate(slot) {
            say(sentences::trouble(format!(
                "clearing ledger slot {slot}: {error}"
            )));
        }
    }

    /// Closes the descriptors of a run that is over, here and in the keeper.
    pub(super) fn let_go(&mut self, run: RunId) {
        if let Err(error) = self.keeper.link.unpark(&run.keys()) {
            say(sentences::trouble(format!(
                "closing parked descriptors: {error}"
            )));
        }
    }
}
