//! How a brain begins: as the first one, after a daemon that was killed, after a reload, or after
//! another brain.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use super::brain::Brain;
use super::listeners::Memory;
use super::main_log::main_sink;
use super::pidfile;
use super::processes::{MAIN_LOG, Slots, stream_of};
use super::recover::Legacy;
use super::sentences::{self, say};
use super::settings::Settings;
use crate::config::SupervisordConfig;
use crate::fleet::Fleet;
use crate::keeper::{ExitRecord, ParkKey};
use crate::logs::mainlog;
use crate::ordered;

impl Brain {
    /// The first brain: reads the configuration and starts what is to be started.
    pub(super) fn begin(&mut self, settings: &Settings) -> Result<(), String> {
        let loaded = self
            .configuration
            .read()
            .map_err(|diagnostics| diagnostics.to_string())?;
        // Warnings first, as Supervisor has them; the order is otherwise that of the file.
        let mut notices = loaded.notices;
        ordered::sort_by_key(&mut notices, |notice| notice.severity);
        for notice in &notices {
            say(sentences::notice(notice));
        }
        for sentence in &settings.notes {
            say(sentence.clone().into());
        }
        self.configuration.last_read = loaded.config;
        self.fleet.end_when(settings.options.exit_when);
        self.clean_auto_logs();
        pidfile::write(&self.configuration.supervisord, self.keeper.pid);
        say(sentences::started(self.keeper.pid));
        self.add_all();
        self.chronicle_programs();
        Ok(())
    }

    /// The first brain of a daemon that found living programs of one that was killed: what differs
    /// from the file is changed as an update would.
    pub(super) fn begin_after_all(&mut self, settings: &Settings) {
        for sentence in &settings.notes {
            say(sentence.clone().into());
        }
        pidfile::write(&self.configuration.supervisord, self.keeper.pid);
        say(sentences::started(self.keeper.pid));
        self.records.structure_changed = true;
        self.follow_last_read();
        self.settle();
    }

    /// After a reload: the same, with the configuration read before everything was stopped.
    pub(super) fn begin_again(&mut self, settings: &Settings) {
        self.finished = None;
        self.fleet = Fleet::new();
        self.fleet.end_when(settings.options.exit_when);
        let gone = std::mem::take(&mut self.processes);
        for (id, process) in gone {
            for channel in process.channels() {
                self.plane.forget(stream_of(id, *channel));
            }
            self.vacate(process.slot);
        }
        self.records.slots = Slots::default();
        self.opening.clear();
        self.listeners.clear();
        self.configuration.groups.clear();
        self.configuration.incoming.clear();
        self.records.changed.clear();
        self.records.structure_changed = true;
        self.follow_supervisord();
        for sentence in settings.notes.iter().filter(|note| note.lasting) {
            say(sentence.clone().into());
        }
        self.clean_auto_logs();
        say(sentences::started(self.keeper.pid));
        self.add_all();
    }

    /// Puts the `[supervisord]` last read in force. The pid file stays where it was written.
    pub(super) fn follow_supervisord(&mut self) {
        let pidfile = std::mem::take(&mut self.configuration.supervisord.pidfile);
        self.configuration.supervisord = SupervisordConfig {
            pidfile,
            ..self.configuration.last_read.supervisord.clone()
        };
        mainlog::set_level(self.configuration.supervisord.loglevel);
        self.plane
            .prepare(MAIN_LOG, main_sink(&self.configuration.supervisord));
        self.records.structure_changed = true;
    }

    pub(super) fn continue_with(
        &mut self,
        legacy: Legacy,
        memory: Memory,
        parked: BTreeMap<ParkKey, OwnedFd>,
        exits: Vec<ExitRecord>,
        incarnation: u32,
    ) {
        if self.safe_mode {
            say(sentences::safe_mode());
        }
        // What clients may `add` is the file as it is now; what runs is what was in force. From
        // something that is not a file, such as a pipe, it cannot be read again.
        let file = self.configuration.source.file.as_deref();
        let readable = !self.safe_mode && file.is_none_or(|file| file.is_file());
        if readable && let Ok(loaded) = self.configuration.read() {
            self.configuration.last_read = loaded.config;
        }
        self.take_over(legacy, memory, parked, exits, incarnation);
        self.settle();
    }
}
