//! Answers what clients ask: from the tables at once, or by a request to the fleet whose reports
//! come back under a ticket.

use std::path::PathBuf;

use async_std::channel::Sender;

use super::answers::{Asker, fail, refused, send, unhurried, value};
use super::brain::Brain;
use super::options::Personality;
use super::processes::{MAIN_LOG, Process, stream_of};
use super::sentences::how_it_ended_and_why;
use super::status::{Facts, description};
use crate::config::MainLogTarget;
use crate::control::{
    Answer, Ask, Channel, DaemonState, DaemonView, Failure, LogDone, LogView, ProcessView, Question,
};
use crate::events;
use crate::fleet::{
    Event, ExitStatus, ProcessId, ProcessName, Refusal, Request, Selected, Selector, Ticket,
};
use crate::logs::StreamId;

impl Brain {
    /// Answers a question, now or later.
    pub(super) fn answer(&mut self, question: Question) {
        let Question {
            ask,
            reply,
            connection,
            peer,
        } = question;
        self.asked_by = peer.map(|peer| peer.uid);
        let reply = unhurried(reply);
        if self.refuses(&ask) {
            return fail(
                &reply,
                "safe mode: the daemon's brains died again and again, so nothing is started or \
                 changed; `appctl upgrade` ends it",
            );
        }
        match ask {
            Ask::Status(selectors) => self.answer_status(&selectors, &reply),
            Ask::Start { selectors, wait } => self.start_asked(selectors, wait, reply),
            Ask::Stop { selectors, wait } => self.stop_asked(selectors, wait, reply),
            Ask::Restart(selectors) => self.ask_fleet(Request::Restart { selectors }, Some(reply)),
            Ask::Signal { signal, selectors } => {
                self.ask_fleet(Request::Signal { selectors, signal }, Some(reply));
            }
            Ask::Remove(groups) => self.ask_fleet(Request::Remove { groups }, Some(reply)),
            Ask::Shutdown => {
                self.asked_to_end = true;
                self.ask_fleet(Request::Shutdown, Some(reply));
            }
            Ask::Upgrade(path) => self.upgrade(path, connection, reply),
            Ask::StartOver => self.start_over(Some(reply)),
            Ask::Reread => self.reread(&reply),
            Ask::Reload => self.reload(reply),
            Ask::Plan(following) => self.plan(&following, &reply),
            Ask::Update(following) => self.update(&following, reply),
            Ask::Add(groups) => self.add(&groups, reply),
            Ask::Avail => self.avail(&reply),
            Ask::Pid => value(&reply, self.keeper.pid.to_string()),
            Ask::Version => value(&reply, env!("CARGO_PKG_VERSION").to_owned()),
            Ask::Daemon => {
                send(&reply, Answer::Daemon(Box::new(self.daemon_view())));
                send(&reply, Answer::Done);
            }
            Ask::Configuration => self.configuration(&reply),
            Ask::Clear(selectors) => self.do_to_logs(LogDone::Cleared, &selectors, reply),
            Ask::ClearMain => self.do_to_streams(LogDone::Cleared, &[MAIN_LOG], reply),
            Ask::Reopen => self.reopen_logs(Some(reply)),
            Ask::Rotate(selectors) => self.do_to_logs(LogDone::Rotated, &selectors, reply),
            Ask::RotateMain => self.do_to_streams(LogDone::Rotated, &[MAIN_LOG], reply),
            Ask::LogOf { name, channel } => {
                let file = self.log_of(name, channel);
                send(&reply, file.map_or_else(Answer::Failed, Answer::Log));
            }
            Ask::Logs(selectors) => self.answer_logs(&selectors, &reply),
            Ask::MainLog => {
                let file = self.main_log();
                send(&reply, file.map_or_else(Answer::Failed, Answer::Log));
            }
            Ask::Stdin { name, bytes } => {
                let written = self.write_stdin(&name, &bytes);
                send(
                    &reply,
                    written.map_or_else(Answer::Failed, |()| Answer::Done),
                );
            }
            Ask::Remote { kind, data } => {
                self.announce(events::Event::Remote { kind, data });
                self.settle();
                send(&reply, Answer::Done);
            }
            Ask::History(selectors) => self.answer_history(&selectors, reply),
            Ask::Enable { enabled, selectors } => self.enable(enabled, &selectors, reply),
            Ask::Events => send(&reply, Answer::Events(self.bulletin.clone())),
            Ask::Measures => {
                send(&reply, Answer::Measures(Box::new(self.measures())));
                send(&reply, Answer::Done);
            }
        }
    }

    /// In safe mode: whatever leads to new programs or to another configuration.
    fn refuses(&self, ask: &Ask) -> bool {
        let careful = matches!(
            ask,
            Ask::Start { .. }
                | Ask::Restart(_)
                | Ask::Reread
                | Ask::Update(_)
                | Ask::Add(_)
                | Ask::Remove(_)
                | Ask::Reload
                | Ask::StartOver
        );
        self.safe_mode && careful
    }

    /// Puts a request to the fleet under a new ticket.
    pub(super) fn ask_fleet(&mut self, mut request: Request, asker: Asker) {
        self.respect_disabled(&mut request);
        let ticket = self.answers.ticket();
        if let Some(reply) = asker {
            self.answers.expect(ticket, 1, reply);
        }
        self.events.push_back(Event::Asked { ticket, request });
        self.settle();
    }

    /// Passes on one item of an answer. If nobody listens any more, the fleet need not report.
    pub(super) fn reply(&mut self, ticket: Ticket, answer: Answer) {
        if !self.answers.pass_on(ticket, answer) {
            self.events.push_back(Event::Abandoned { ticket });
        }
    }

    fn daemon_view(&self) -> DaemonView {
        let state = match (self.fleet.is_leaving(), self.fleet.is_starting_over()) {
            (false, _) => DaemonState::Running,
            (true, true) => DaemonState::Restarting,
            (true, false) => DaemonState::Leaving,
        };
        DaemonView {
            // Supervisor follows the file in this at every reread.
            identifier: self.configuration.last_read.supervisord.identifier.clone(),
            pid: self.keeper.pid,
            state,
            serves_supervisor: self.personality == Personality::Appctl
                || self
                    .configuration
                    .last_read
                    .rpc_interfaces
                    .iter()
                    .any(|name| name == "supervisor"),
        }
    }

    fn answer_status(&self, selectors: &[Selector], reply: &Sender<Answer>) {
        for Selected {
            subject, processes, ..
        } in self.fleet.select(these_or_all(selectors))
        {
            match processes {
                Ok(ids) => {
                    for view in ids.into_iter().filter_map(|id| self.view(id)) {
                        send(reply, Answer::Process(Box::new(view)));
                    }
                }
                Err(refusal) => send(reply, refused(subject, refusal)),
            }
        }
        send(reply, Answer::Done);
    }

    fn answer_logs(&self, selectors: &[Selector], reply: &Sender<Answer>) {
        for id in self.selected(these_or_all(selectors), reply) {
            let Some(process) = self.processes.get(&id) else {
                continue;
            };
            for channel in process.channels() {
                if let Some(path) = process.file(*channel) {
                    let view = LogView {
                        name: process.name.clone(),
                        channel: *channel,
                        path: path.clone(),
                        timeline: self.plane.timeline(stream_of(id, *channel)),
                    };
                    send(reply, Answer::LogOf(Box::new(view)));
                }
            }
        }
        send(reply, Answer::Done);
    }

    /// A process as clients see it.
    pub(super) fn view(&self, id: ProcessId) -> Option<ProcessView> {
        let (held, of_fleet) = (self.processes.get(&id)?, self.fleet.get(id)?);
        let start = of_fleet.started().map_or(0, |moment| moment.wall);
        let stop = of_fleet.ended().map_or(0, |moment| moment.wall);
        let pid = of_fleet.pid().unwrap_or(0);
        let uptime = match of_fleet.started() {
            Some(moment) if pid != 0 => self.now.stamp.since(moment.stamp).as_secs(),
            _ => 0,
        };
        let state = of_fleet.state();
        let spawn_error = of_fleet.spawn_error().unwrap_or_default().to_owned();
        let facts = Facts {
            state,
            pid,
            uptime,
            start,
            stop,
            spawn_error: &spawn_error,
        };
        let file = |channel| {
            held.file(channel)
                .map_or_else(String::new, |path| path.display().to_string())
        };
        Some(ProcessView {
            name: held.name.clone(),
            state,
            description: description(facts),
            pid,
            start,
            stop,
            now: self.now.wall,
            uptime,
            exit_status: match of_fleet.exit_status() {
                Some(ExitStatus::Code(code)) => i32::from(code),
                Some(ExitStatus::Signal { .. }) => -1,
                Some(ExitStatus::Unknown) | None => 0,
            },
            ended: of_fleet.exit_status().map_or_else(String::new, |status| {
                how_it_ended_and_why(status, held.circumstances.out_of_memory)
            }),
            stdout_logfile: file(Channel::Stdout),
            stderr_logfile: file(Channel::Stderr),
            log_trouble: held.trouble(),
            left_behind: self.trees.left_behind(id),
            disabled: !self.history.is_enabled(&held.name),
            spawn_error,
        })
    }

    fn log_of(&self, name: ProcessName, channel: Channel) -> Result<PathBuf, Failure> {
        let process = self.select_process(&Selector::Process(name))?;
        process.file(channel).cloned().ok_or(Failure::NoLogFile)
    }

    fn main_log(&self) -> Result<PathBuf, Failure> {
        match &self.configuration.supervisord.logfile {
            MainLogTarget::File(path) => Ok(path.clone()),
            _ => Err(Failure::NoLogFile),
        }
    }

    fn select_process(&self, selector: &Selector) -> Result<&Process, Failure> {
        let Selector::Process(name) = selector else {
            return Err(Failure::Refused(Refusal::NoSuchProcess));
        };
        self.fleet
            .find(name)
            .and_then(|id| self.processes.get(&id))
            .map(Box::as_ref)
            .ok_or(Failure::Refused(Refusal::NoSuchProcess))
    }

    /// Asks the log plane to do something to the logs of processes.
    fn do_to_logs(&mut self, done: LogDone, selectors: &[Selector], reply: Sender<Answer>) {
        let mut streams = Vec::new();
        let mut ids = self.selected(selectors, &reply);
        if selectors.contains(&Selector::All) {
            // Supervisor tells of all of them in this order.
            ids = self.fleet.start_order(&ids);
        }
        for id in ids {
            let Some(process) = self.processes.get(&id) else {
                continue;
            };
            for channel in process.channels() {
                let stream = stream_of(id, *channel);
                self.plane.prepare(
                    stream,
                    process.sink(*channel, &self.configuration.supervisord),
                );
                streams.push(stream);
            }
        }
        self.do_to_streams(done, &streams, reply);
    }

    fn do_to_streams(&mut self, done: LogDone, streams: &[StreamId], reply: Sender<Answer>) {
        let ticket = self.answers.ticket();
        for stream in streams {
            match done {
                LogDone::Cleared => self.plane.clear(*stream),
                LogDone::Rotated => self.plane.rotate(*stream),
            }
            self.answers.await_log(*stream, done, ticket);
        }
        self.answers.expect(ticket, streams.len(), reply);
    }

    /// The selected processes; what cannot be selected is answered at once.
    pub(super) fn selected(
        &self,
        selectors: &[Selector],
        reply: &Sender<Answer>,
    ) -> Vec<ProcessId> {
        let mut ids = Vec::new();
        for Selected {
            subject, processes, ..
        } in self.fleet.select(selectors)
        {
            match processes {
                Ok(some) => ids.extend(some),
                Err(refusal) => send(reply, refused(subject, refusal)),
            }
        }
        ids
    }
}

/// What is asked about; without a name, everything.
pub(super) fn these_or_all(selectors: &[Selector]) -> &[Selector] {
    match selectors {
        [] => &[Selector::All],
        some => some,
    }
}
