//! The end of a program: seen on its pidfd (or told by the keeper for one that an earlier brain
//! started), recorded, reaped; then its output is drained, and only then is the end news.

use std::time::Duration;

use super::brain::Brain;
use super::listeners::COPY;
use super::pipes::output_key;
use super::processes::{Ending, Parent, RecordedRun, Run, RunId, owner_of, stream_of};
use super::sentences::{self, say};
use crate::config::Signal;
use crate::control::{Answer, Channel, Failure, LogDone};
use crate::fleet::{Event, ExitStatus, ProcessId, Request, Selector, State};
use crate::keeper::{ExitRecord, FromKeeper, ParkKey};
use crate::launch;
use crate::logs::{PlaneReport, StreamId};

/// How long the news of an end waits for the rest of the output. A disk that hangs must not
/// make a dead program look alive.
const DRAIN_TIME: Duration = Duration::from_millis(100);

impl Brain {
    /// Takes at most `most` ended programs from the set of pidfds.
    pub(super) fn take_deaths(&mut self, most: usize) -> usize {
        let mut runs = Vec::new();
        if let Err(error) = self.deaths.take(most, &mut runs) {
            say(sentences::critical(format!(
                "waiting for the end of programs: {error}"
            )));
        }
        if !runs.is_empty() {
            say(sentences::child_quit());
        }
        for token in &runs {
            if !self.tree_member_died(*token) {
                self.died(RunId(*token));
            }
        }
        runs.len()
    }

    fn died(&mut self, run: RunId) {
        let id = run.process();
        let Some(current) = self
            .processes
            .get_mut(&id)
            .and_then(|process| process.run.as_mut())
        else {
            return;
        };
        if current.id != run || current.ending.is_some() {
            return;
        }
        let Some(living) = current.living.as_ref() else {
            return;
        };
        let status = match (current.parent, launch::peek_exit(living)) {
            (Parent::Keeper, _) => return,
            (Parent::Other, _) => launch::foreign_exit(living),
            (Parent::Brain, Ok(Some(status))) => status,
            (Parent::Brain, Ok(None)) => return,
            (Parent::Brain, Err(_)) => ExitStatus::Unknown,
        };
        self.deaths.forget(living);
        let (pid, parent) = (current.pid, current.parent);
        if parent == Parent::Brain {
            self.note_peak_memory(id);
        }
        // Recorded while it is still a zombie: whoever follows us can never lose the status.
        self.record(
            id,
            Some(RecordedRun::Ended {
                counter: run.counter(),
                pid,
                status,
            }),
        );
        let run = self
            .processes
            .get(&id)
            .and_then(|process| process.run.as_ref());
        if let Some(living) = run.and_then(|run| run.living.as_ref())
            && let Err(error) = launch::reap(living)
        {
            say(sentences::trouble(format!("reaping pid {pid}: {error}")));
        }
        self.begin_ending(id, status);
    }

    /// The program ended with this status: drain its output, then tell.
    pub(super) fn begin_ending(&mut self, id: ProcessId, status: ExitStatus) {
        // Nobody waits for the keeper's word any more: what runs by then is another run.
        self.lost.remove(&id);
        let deadline = self.now.stamp.after(DRAIN_TIME);
        self.listener_ended(id);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let channels = process.channels();
        let Some(run) = process.run.as_mut() else {
            return;
        };
        run.stdin = None;
        self.inputs.forget(run.id);
        run.ending = Some(Ending {
            status,
            undrained: channels.len() as u8,
            deadline,
        });
        let run = run.id;
        self.endings.insert(id, deadline);
        for channel in channels {
            self.plane.drain(stream_of(id, *channel), run.0);
        }
    }

    fn drained(&mut self, id: ProcessId, run: u64) {
        let Some(current) = self
            .processes
            .get_mut(&id)
            .and_then(|process| process.run.as_mut())
        else {
            return;
        };
        let Some(ending) = current.ending.as_mut().filter(|_| current.id.0 == run) else {
            return;
        };
        ending.undrained = ending.undrained.saturating_sub(1);
        if ending.undrained == 0 {
            self.tell_end(id);
        }
    }

    /// Tells the ends whose output could not be drained in time.
    pub(super) fn end_overdue(&mut self) {
        let now = self.now.stamp;
        let overdue: Vec<ProcessId> = self
            .endings
            .iter()
            .filter(|(_, deadline)| **deadline <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in overdue {
            self.tell_end(id);
        }
    }

    /// Whether somebody wants its end.
    pub(super) fn is_stopping(&self, id: ProcessId) -> bool {
        self.fleet.get(id).map(|it| it.state()) == Some(State::Stopping)
    }

    /// Its output is drained, or has had its time; and a stop is over when nothing is left.
    pub(super) fn tell_end(&mut self, id: ProcessId) {
        self.endings.remove(&id);
        if self.tree_holds_end(id) {
            return;
        }
        let stopping = self.is_stopping(id);
        let Some(process) = self.processes.get_mut(&id) else {
            return;
        };
        let Some(run) = process.run.take() else {
            return;
        };
        let Some(ending) = run.ending else { return };
        if let Err(error) = self.keeper.link.unpark(&[ParkKey::Stdin(run.id.0)]) {
            say(sentences::trouble(format!(
                "closing a parked standard input: {error}"
            )));
        }
        let killed = matches!(ending.status, ExitStatus::Signal { number: 9, .. });
        if killed && !stopping && self.oom_kills.happened(self.now.stamp) {
            process.circumstances.out_of_memory = true;
            say(sentences::out_of_memory(&process.name));
        }
        let trouble = process.trouble();
        if !trouble.is_empty() {
            say(sentences::log_incomplete(
                &process.name.to_string(),
                &trouble,
            ));
        }
        let pid = run.pid;
        self.records.changed.insert(id);
        self.events.push_back(Event::Exited {
            process: id,
            pid,
            status: ending.status,
        });
    }

    /// What the keeper tells: the end of an orphan, a signal, or nothing any more.
    pub(super) fn hear_keeper(&mut self, message: FromKeeper) {
        match message {
            FromKeeper::Exited(record) => self.orphan_ended(record),
            FromKeeper::Signal(notice) => self.hear_signal(notice.number),
            FromKeeper::NotParked(keys) => say(sentences::critical(format!(
                "the keeper has no room for {} descriptors: their programs would not outlive a \
                 crash of this brain",
                keys.len()
            ))),
            FromKeeper::Gone => self.lose_keeper(),
        }
    }

    /// Nobody tells the ends of its children any more, so they are watched from here. The next
    /// daemon ends this brain and takes over from it.
    fn lose_keeper(&mut self) {
        if std::mem::replace(&mut self.keeper.gone, true) {
            return;
        }
        say(sentences::critical(
            "the keeper is gone; programs go on, and so does this brain, but nobody will replace \
             it: start the daemon again, it takes over what runs",
        ));
        for process in self.processes.values_mut() {
            let Some(run) = process.run.as_mut() else {
                continue;
            };
            if run.parent == Parent::Keeper && run.ending.is_none() {
                run.parent = Parent::Other;
                watch(&self.deaths, run);
            }
        }
    }

    /// The keeper told an end. It is acknowledged as soon as it is in the ledger, or of no
    /// concern: never before, for the keeper forgets it then.
    pub(super) fn orphan_ended(&mut self, record: ExitRecord) {
        let ExitRecord {
            pid,
            start_time,
            status,
        } = record;
        let runs = self.processes.iter().filter_map(|(id, process)| {
            let run = process.run.as_ref().filter(|run| run.pid == pid)?;
            Some((*id, run))
        });
        // One whose end is known already was recorded by a brain that died before it reaped. When
        // one was started is not known if its brain died before it could record it.
        let owner = runs
            .map(|(id, run)| (id, run.id, run.start_time, run.ending.is_some()))
            .find(|(_, _, started, known)| *known || [0, start_time].contains(started));
        match owner {
            Some((id, run, _, false)) => {
                let counter = run.counter();
                let ended = RecordedRun::Ended {
                    counter,
                    pid,
                    status,
                };
                self.record(id, Some(ended));
                self.begin_ending(id, status);
            }
            Some(_) => {}
            None => {
                let how = sentences::how_it_ended(status);
                say(sentences::information(format!(
                    "reaped unknown pid {pid} ({how})"
                )));
            }
        }
        if let Err(error) = self.keeper.link.acknowledge(record) {
            say(sentences::trouble(format!(
                "acknowledging the end of pid {pid}: {error}"
            )));
        }
    }

    fn hear_signal(&mut self, number: u8) {
        say(sentences::received(number, self.fleet.is_leaving()));
        match number {
            // The one program is meant: the daemon has nothing to reread or to reopen.
            1 | 10 | 12 if self.configuration.source.single.is_some() => {
                let selectors = vec![Selector::All];
                let signal = Signal(number);
                self.ask_fleet(Request::Signal { selectors, signal }, None);
            }
            1 if !self.fleet.is_leaving() => self.start_over(None),
            2 | 3 | 15 => self.ask_fleet(Request::Shutdown, None),
            12 => self.reopen_logs(None),
            _ => {}
        }
    }

    /// What the log plane reports.
    pub(super) fn hear_plane(&mut self, report: PlaneReport) {
        match report {
            PlaneReport::Prepared { stream, result } => match owner_of(stream) {
                Some((id, channel)) => self.prepared(id, channel, result),
                None => {
                    if let Err(error) = result {
                        eprintln!("appctl: opening the main log: {error}");
                    }
                }
            },
            PlaneReport::Drained { stream, generation } => {
                if let Some((id, _)) = owner_of(stream) {
                    self.drained(id, generation);
                }
            }
            PlaneReport::Ended { stream, generation } => {
                say(sentences::output_closed(&self.stream_name(stream)));
                if let Some((_, channel)) = owner_of(stream)
                    && generation & COPY == 0
                    && let Err(error) = self
                        .keeper
                        .link
                        .unpark(&[output_key(RunId(generation), channel)])
                {
                    say(sentences::trouble(format!(
                        "closing a parked output: {error}"
                    )));
                }
            }
            PlaneReport::Reopened => self.answers.reopened(),
            PlaneReport::Output {
                stream,
                generation,
                captured,
                excerpt,
            } => self.announce_output(stream, generation, captured, excerpt.into_bytes()),
            PlaneReport::Untold { stream, times } => {
                say(sentences::output_untold(&self.stream_name(stream), times));
            }
            PlaneReport::Stalled { stream, text } => {
                say(sentences::log_stalled(&self.stream_name(stream), &text));
                self.set_log_trouble(stream, text);
            }
            PlaneReport::Dropping { stream, text } => self.set_dropped(stream, &text),
            PlaneReport::Recovered { stream, dropped } => {
                say(sentences::log_recovered(
                    &self.stream_name(stream),
                    dropped.as_deref(),
                ));
                self.set_log_trouble(stream, String::new());
            }
            PlaneReport::Untidy { stream, text } => {
                say(sentences::log_untidy(&self.stream_name(stream), &text));
            }
            PlaneReport::Freed {
                files,
                bytes,
                because,
            } => say(sentences::logs_removed(files, bytes, &because)),
            PlaneReport::Cleared { stream, result } => {
                self.done_to_log(stream, LogDone::Cleared, result);
            }
            PlaneReport::Rotated { stream, result } => {
                self.done_to_log(stream, LogDone::Rotated, result);
            }
        }
    }

    /// The count stands behind the reason, and is brought up to date there.
    fn set_dropped(&mut self, stream: StreamId, tally: &str) {
        if let Some((id, channel)) = owner_of(stream)
            && let Some(process) = self.processes.get_mut(&id)
        {
            let trouble = &mut process.log_trouble[channel as usize];
            if let Some((reason, _)) = trouble.rsplit_once("; ") {
                *trouble = format!("{reason}; {tally}");
            }
        }
    }

    fn set_log_trouble(&mut self, stream: StreamId, text: String) {
        if let Some((id, channel)) = owner_of(stream)
            && let Some(process) = self.processes.get_mut(&id)
        {
            process.log_trouble[channel as usize] = text;
        }
    }

    fn stream_name(&self, stream: StreamId) -> String {
        match owner_of(stream) {
            None => "supervisord".to_owned(),
            Some((id, channel)) => {
                let output = if channel == Channel::Stdout {
                    "stdout"
                } else {
                    "stderr"
                };
                match self.processes.get(&id) {
                    Some(process) => format!("{} {output}", process.name),
                    None => format!("a removed process, {output}"),
                }
            }
        }
    }

    fn done_to_log(&mut self, stream: StreamId, done: LogDone, result: Result<(), String>) {
        let tickets = self.answers.log_done(stream, done);
        if tickets.is_empty() {
            return;
        }
        let doing = match done {
            LogDone::Cleared => "clearing",
            LogDone::Rotated => "rotating",
        };
        let failure = result.err().map(|error| {
            let name = self.stream_name(stream);
            Failure::Other(format!("{doing} the log of {name}: {error}"))
        });
        let owner = owner_of(stream)
            .and_then(|(id, channel)| Some((self.processes.get(&id)?.name.clone(), channel)));
        for ticket in tickets {
            match (&owner, &failure) {
                // One line for a process that is well, one for each log that is not.
                (Some((name, Channel::Stdout)), None) => {
                    let (name, result) = (name.clone(), Ok(done));
                    self.reply(ticket, Answer::LogReport { name, result });
                }
                (Some((name, _)), Some(failure)) => {
                    let (name, result) = (name.clone(), Err(failure.clone()));
                    self.reply(ticket, Answer::LogReport { name, result });
                }
                _ => {}
            }
            let end = match (&owner, &failure) {
                (None, Some(failure)) => Answer::Failed(failure.clone()),
                _ => Answer::Done,
            };
            self.answers.finish(ticket, end);
        }
    }
}

/// Has the end of a program reported that is not the keeper's to tell.
pub(super) fn watch(deaths: &launch::Deaths, run: &Run) {
    if let Some(living) = &run.living
        && let Err(error) = deaths.watch(run.id.0, living)
    {
        say(sentences::critical(format!(
            "watching pid {}: {error}",
            run.pid
        )));
    }
}
