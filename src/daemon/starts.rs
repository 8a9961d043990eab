//! Starting a program: the command is looked at, as Supervisor does before it touches anything
//! for a start; then log files (the log thread opens them, for a disk may hang), then
//! the pipes, parked in the keeper before anything writes to them, then the intent in the ledger,
//! then the program itself. Killed between any two of these, a later brain can tell what happened.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use async_std::channel::Sender;

use super::addresses::Found;
use super::answers::send;
use super::brain::Brain;
use super::ends::watch;
use super::pipes::{OurEnds, Pipes, make_pipes, pipe_failure};
use super::processes::{Parent, Preparing, RecordedRun, Run, RunId, stream_of};
use super::sentences::{self, say};
use crate::control::{Answer, Channel};
use crate::fleet::{
    Event, ProcessId, Refusal, Report, Request, Selector, SpawnFailure, SpawnFailureKind,
};
use crate::launch::{self, Begun, Membership};

/// Starts in a row from this length on are worth having memory given back before.
const LONG_ROW: usize = 64;

/// How long the log files of a start may take to open. A disk that hangs must not leave a program
/// in STARTING for ever; the log thread goes on waiting for it, the start does not.
const OPEN_TIME: Duration = Duration::from_secs(10);

impl Brain {
    /// Starts what a client asks for. A command that cannot be executed is refused at once, and
    /// the state of its process stays what it was (Supervisor's rule); one that was asked for by
    /// its own name even if it runs already.
    pub(super) fn start_asked(
        &mut self,
        selectors: Vec<Selector>,
        wait: bool,
        reply: Sender<Answer>,
    ) {
        let mut refused = Vec::new();
        let mut others = Vec::new();
        // One answer for each selector, or one for `all`, which is never in vain.
        for (selector, selected) in selectors.iter().zip(self.fleet.select(&selectors)) {
            let Ok(found) = selected.processes else {
                others.push(selector.clone());
                continue;
            };
            for id in found {
                let Some(process) = self.processes.get(&id) else {
                    continue;
                };
                if !selected.named && self.fleet.get(id).is_some_and(|it| it.state().is_running()) {
                    continue;
                }
                match launch::check_command(&process.config.launch) {
                    Err(failure) => refused.push(Report {
                        subject: process.name.to_string(),
                        result: Err(Refusal::SpawnFailed(failure)),
                    }),
                    Ok(_) => others.push(Selector::Process(process.name.clone())),
                }
            }
        }
        if refused.is_empty() {
            return self.ask_fleet(Request::Start { selectors, wait }, Some(reply));
        }
        for report in refused {
            send(&reply, Answer::Report(report));
        }
        if others.is_empty() {
            return send(&reply, Answer::Done);
        }
        let selectors = others;
        self.ask_fleet(Request::Start { selectors, wait }, Some(reply));
    }

    /// First step: look at the command, end what is left of the last run, and have the log files
    /// opened.
    pub(super) fn prepare_start(&mut self, id: ProcessId) {
        self.records.changed.insert(id);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        if let Err(failure) = launch::check_command(&process.config.launch) {
            self.events.push_back(Event::SpawnFailed {
                process: id,
                failure,
            });
            return;
        }
        if !self.tree_holds_start(id) {
            self.open_logs(id);
        }
    }

    /// Nothing of an earlier run is in the way.
    pub(super) fn open_logs(&mut self, id: ProcessId) {
        let host = self.host_to_look_up(id);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let channels = process.channels();
        process.preparing = Some(Preparing {
            outstanding: channels.len() as u8 + u8::from(host.is_some()),
            failure: None,
            looks_up: host.is_some(),
        });
        if let Some(host) = host {
            self.addresses.look_up(id, host);
        }
        self.opening.insert(id, self.now.stamp.after(OPEN_TIME));
        for channel in channels {
            let sink = process.sink(*channel, &self.configuration.supervisord);
            self.plane.prepare(stream_of(id, *channel), sink);
        }
    }

    /// Gives up the starts whose log files could not be opened in time. The report that comes
    /// after all finds nobody waiting, or the next attempt, which it serves as well.
    pub(super) fn give_up_opening(&mut self) {
        if !self.reports.is_empty() {
            // It is we who are late: what they say comes first.
            return;
        }
        let now = self.now.stamp;
        let overdue: Vec<ProcessId> = self
            .opening
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in overdue {
            self.opening.remove(&id);
            let Some(process) = self.processes.get_mut(&id) else {
                continue;
            };
            if let Some(preparing) = process.preparing.take() {
                let failure = too_slow(&process.name.process, preparing.looks_up);
                self.events.push_back(Event::SpawnFailed {
                    process: id,
                    failure,
                });
            }
        }
    }

    /// Second step: the host of its socket was looked up. That it has no address shows when the
    /// socket is made.
    pub(super) fn address_found(&mut self, found: Found) {
        let id = found.process;
        let process = self.processes.get_mut(&id);
        let Some(preparing) = process.and_then(|process| process.preparing.as_mut()) else {
            return;
        };
        preparing.looks_up = false;
        self.addresses.keep(found);
        self.part_prepared(id);
    }

    /// Second step: a log file is open, or cannot be opened.
    pub(super) fn prepared(&mut self, id: ProcessId, channel: Channel, result: io::Result<()>) {
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let file = process.file(channel).map(|file| file.display().to_string());
        let Some(preparing) = process.preparing.as_mut() else {
            return;
        };
        if let Err(error) = result {
            let file = file.unwrap_or_default();
            say(sentences::trouble(format!(
                "opening log file {file}: {error}"
            )));
            preparing.failure.get_or_insert_with(|| errno_name(&error));
        }
        self.part_prepared(id);
    }

    fn part_prepared(&mut self, id: ProcessId) {
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let Some(preparing) = process.preparing.as_mut() else {
            return;
        };
        preparing.outstanding = preparing.outstanding.saturating_sub(1);
        if preparing.outstanding > 0 {
            return;
        }
        self.opening.remove(&id);
        if self.opening.is_empty() && self.starts.len() >= LONG_ROW {
            // What the preparation of all took would be copied for each.
            launch::give_back_memory();
        }
        match process
            .preparing
            .take()
            .and_then(|preparing| preparing.failure)
        {
            None => self.starts.push_back(id),
            Some(reason) => {
                let failure = no_dispatchers(&process.name.process, &reason);
                self.events.push_back(Event::SpawnFailed {
                    process: id,
                    failure,
                });
            }
        }
    }

    /// Last step, for at most `most` processes at once: pipes, one message to the keeper that
    /// parks them all, then one program after the other.
    pub(super) fn start_some(&mut self, most: usize) {
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some(id) = self.starts.pop_front()
        {
            let socket = match self.socket_for(id) {
                Ok(socket) => socket,
                Err(failure) => {
                    self.events.push_back(Event::SpawnFailed {
                        process: id,
                        failure,
                    });
                    continue;
                }
            };
            let Some(process) = self.processes.get_mut(&id) else {
                continue;
            };
            process.runs += 1;
            let run = RunId::new(id, process.runs);
            match make_pipes(process, id, run, socket) {
                Ok(pipes) => batch.push(pipes),
                Err(error) => {
                    let failure = pipe_failure(&process.name.process, &error);
                    self.events.push_back(Event::SpawnFailed {
                        process: id,
                        failure,
                    });
                }
            }
        }
        if let Err(error) = self.park(&batch) {
            for pipes in batch {
                let text = format!("parking descriptors in the keeper: {error}");
                let failure = SpawnFailure {
                    kind: SpawnFailureKind::Other,
                    text,
                };
                self.events.push_back(Event::SpawnFailed {
                    process: pipes.ours.id,
                    failure,
                });
            }
            return;
        }
        // All are begun before the first is waited for: while one program is started, what there
        // is to do for the one before it is done.
        let row = batch.len();
        let begun: Vec<_> = batch
            .into_iter()
            .filter_map(|pipes| self.begin_start(pipes, row))
            .collect();
        for (pipes, begun) in begun {
            self.finish_start(pipes, begun);
        }
    }

    fn park(&self, batch: &[Pipes]) -> io::Result<()> {
        let mut descriptors = Vec::with_capacity(3 * batch.len());
        for Pipes { ours, .. } in batch {
            let [stdin, stdout, stderr] = ours.run.keys();
            descriptors.extend(ours.stdin.iter().map(|end| (stdin, end.as_fd())));
            for (channel, output) in &ours.outputs {
                let key = if *channel == Channel::Stdout {
                    stdout
                } else {
                    stderr
                };
                descriptors.push((key, output.as_fd()));
            }
        }
        if descriptors.is_empty() {
            Ok(())
        } else {
            self.keeper.link.park(&descriptors)
        }
    }

    /// Records the intent and hands the start to the thread that carries it out.
    fn begin_start(&mut self, pipes: Pipes, row: usize) -> Option<(OurEnds, Begun)> {
        let Pipes { ours, child } = pipes;
        let (id, run) = (ours.id, ours.run);
        let own_pipe = (ours.stdin.as_ref()).or(ours.outputs.first().map(|(_, output)| output));
        let intent = own_pipe.map_or(Err(io::ErrorKind::NotFound.into()), launch::pipe_inode);
        let intent = intent.map(|pipe_inode| RecordedRun::Intended {
            counter: run.counter(),
            pipe_inode,
        });
        if let Ok(intent) = intent {
            self.record(id, Some(intent));
        }
        let process = self.processes.get(&id)?;
        let cradle = self.records.ledger.cradle(process.slot, run.0);
        let launch = &process.config.launch;
        let tree = match self.ends_tree(process) {
            true => self.trees.membership(&process.name.to_string(), row),
            false => Membership::default(),
        };
        let begun = self.launcher.begin(
            &process.name,
            launch,
            child,
            &self.child_limits,
            &tree,
            cradle,
        );
        match begun {
            Ok(begun) => Some((ours, begun)),
            Err(failure) => {
                self.start_failed(id, run, failure);
                None
            }
        }
    }

    /// Waits for the program, records it, and hands its output to the log thread.
    fn finish_start(&mut self, ours: OurEnds, begun: Begun) {
        let OurEnds {
            id,
            run,
            stdin,
            outputs,
        } = ours;
        // It was there when the start was begun, in this very turn.
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let (name, launch) = (&process.name, &process.config.launch);
        match self
            .launcher
            .finish(begun, name, launch, &self.child_limits)
        {
            Ok(living) => {
                say(sentences::spawned(&process.name.process, living.pid));
                let (pid, number) = (living.pid, run);
                let ends = stdin.iter().chain(outputs.iter().map(|(_, end)| end));
                let pipes = ends
                    .filter_map(|end| launch::pipe_inode(end).ok())
                    .collect();
                let run = Run {
                    id: run,
                    pid,
                    start_time: living.start_time,
                    living: Some(living),
                    stdin,
                    parent: Parent::Brain,
                    ending: None,
                    pipes,
                    overdue: false,
                    tree_ended: false,
                };
                watch(&self.deaths, &run);
                process.run = Some(run);
                self.record_run(id);
                self.listener_started(id);
                self.chronicle_start(id, pid);
                for (channel, output) in outputs {
                    self.attach_output(id, number, channel, output);
                }
                self.events.push_back(Event::Spawned { process: id, pid });
            }
            Err(failure) => self.start_failed(id, run, failure),
        }
    }

    fn start_failed(&mut self, id: ProcessId, run: RunId, failure: SpawnFailure) {
        self.let_go(run);
        self.records.changed.insert(id);
        self.events.push_back(Event::SpawnFailed {
            process: id,
            failure,
        });
    }
}

/// Why a start is given up whose preparation takes too long.
fn too_slow(name: &str, looks_up: bool) -> SpawnFailure {
    let patience = OPEN_TIME.as_secs();
    match looks_up {
        true => SpawnFailure {
            kind: SpawnFailureKind::Other,
            text: format!("looking up the host of its socket takes longer than {patience} s"),
        },
        false => no_dispatchers(
            name,
            &format!("opening its log files takes longer than {patience} s; does their disk hang?"),
        ),
    }
}

/// Supervisor's words for a start whose log files cannot be had.
fn no_dispatchers(name: &str, reason: &str) -> SpawnFailure {
    SpawnFailure {
        kind: SpawnFailureKind::Other,
        text: format!("unknown error making dispatchers for '{name}': {reason}"),
    }
}

/// The symbol of an error as Supervisor shows it; its words where it has none of the usual ones.
pub(super) fn errno_name(error: &io::Error) -> String {
    use rustix::io::Errno;
    let names = [
        (Errno::ACCESS, "EACCES"),
        (Errno::DQUOT, "EDQUOT"),
        (Errno::ISDIR, "EISDIR"),
        (Errno::LOOP, "ELOOP"),
        (Errno::MFILE, "EMFILE"),
        (Errno::NAMETOOLONG, "ENAMETOOLONG"),
        (Errno::NOENT, "ENOENT"),
        (Errno::NOSPC, "ENOSPC"),
        (Errno::NOTDIR, "ENOTDIR"),
        (Errno::PERM, "EPERM"),
        (Errno::ROFS, "EROFS"),
    ];
    let found = names
        .iter()
        .find(|(errno, _)| error.raw_os_error() == Some(errno.raw_os_error()));
    found.map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
}
