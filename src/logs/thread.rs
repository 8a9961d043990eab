//! The log thread: one ready set over all pipes, commands in, reports out.
//!
//! It sleeps until a pipe has bytes, a command comes, a stalled stream is to be tried again or a
//! wall-clock rotation is due; an idle daemon never wakes it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use async_std::channel::Sender;
use rustix::event::{Timespec, epoll};
use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

use super::allowance::Allowance;
use super::counts::Counts;
use super::excerpt::Account;
use super::moments::Moments;
use super::outlet::OutletNews;
use super::pace::Pace;
use super::plane::{Command, PlaneReport, SinkConfig, StreamId};
use super::rotation::Wall;
use super::sink::{Failure, Now, Sink};
use super::sources::{hold, watch};
use super::splice::Stage;
use super::stream::{Flow, Pumped, Stream};
use super::streams::Streams;
use super::survey::Holdings;
use super::tidy::{Background, Findings};
use super::withhold::Removals;
use crate::config::LogBudget;

const WAKE: u64 = 0;
const CLOCK: u64 = 1;
const FIRST_SOURCE: u64 = 2;

/// Events taken from the ready set at once.
const EVENTS_MAX: usize = 128;

/// At the end: how long what the pipes hold may take to reach a disk.
const FINISH_TIME: Duration = Duration::from_secs(2);

/// Everything the thread owns.
pub(super) struct Thread {
    commands: Receiver<Command>,
    wake: OwnedFd,
    pub(super) clock: OwnedFd,
    /// When it will ring.
    pub(super) clock_set_for: Option<Wall>,
    pub(super) ready: OwnedFd,
    pub(super) stage: Stage,
    pub(super) streams: Streams,
    pub(super) owners: BTreeMap<u64, StreamId>,
    /// Sources in whose pipe the beginning of a line waits, and until when.
    pub(super) held: BTreeMap<u64, Instant>,
    pace: Pace,
    /// Bytes taken out of pipes in this turn.
    moved: usize,
    pub(super) next_token: u64,
    pub(super) reports: Sender<PlaneReport>,
    pub(super) moments: Arc<Moments>,
    pub(super) background: Background,
    pub(super) counts: Arc<Counts>,
    /// Limits of all logs, which logs those are, and what may still be written before one is reached.
    pub(super) budget: LogBudget,
    pub(super) limited: Vec<(StreamId, PathBuf)>,
    pub(super) allowance: Allowance,
    pub(super) holdings: Arc<Holdings>,
    /// Streams that drop their lines because of a limit, and those that did until then.
    pub(super) withheld: BTreeMap<StreamId, Option<Instant>>,
    pub(super) removals: Removals,
    pub(super) now: Now,
    /// Output that is on its way to the turn.
    pub(super) account: Account,
    /// Output for which there was no room there.
    pub(super) untold: BTreeMap<StreamId, u64>,
}

impl Thread {
    pub fn new(
        commands: Receiver<Command>,
        wake: OwnedFd,
        stage: Stage,
        reports: Sender<PlaneReport>,
        (moments, counts, holdings): (Arc<Moments>, Arc<Counts>, Arc<Holdings>),
        findings: Findings,
    ) -> io::Result<Thread> {
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let clock = timerfd_create(TimerfdClockId::Realtime, flags)?;
        epoll::add(
            &ready,
            &wake,
            epoll::EventData::new_u64(WAKE),
            epoll::EventFlags::IN,
        )?;
        epoll::add(
            &ready,
            &clock,
            epoll::EventData::new_u64(CLOCK),
            epoll::EventFlags::IN,
        )?;
        Ok(Thread {
            commands,
            wake,
            clock,
            clock_set_for: None,
            ready,
            stage,
            streams: Streams::default(),
            owners: BTreeMap::new(),
            held: BTreeMap::new(),
            pace: Pace::default(),
            moved: 0,
            next_token: FIRST_SOURCE,
            reports,
            moments,
            background: Background::new(findings),
            counts,
            budget: LogBudget::default(),
            limited: Vec::new(),
            allowance: Allowance::default(),
            holdings,
            withheld: BTreeMap::new(),
            removals: Removals::default(),
            now: Now::read(),
            account: Account::default(),
            untold: BTreeMap::new(),
        })
    }

    /// Runs until told to finish.
    pub fn run(mut self) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS_MAX);
        loop {
            self.streams.settle();
            self.set_clock();
            let timeout = self.timeout();
            self.pace.waits(Instant::now());
            events.clear();
            let spare = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.ready, spare, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // The ready set is ours alone and open: nothing else can be answered here.
                Err(_) => return,
            }
            self.now = Now::read();
            self.pace.begins(self.now.instant);
            let (mut commanded, mut pumped) = (false, 0);
            for event in &events {
                match event.data.u64() {
                    WAKE => commanded = true,
                    CLOCK => self.clock_rang(),
                    token => {
                        pumped += 1;
                        self.source_ready(token);
                    }
                }
            }
            self.pass_overdue();
            for id in self.streams.overdue(self.now.instant) {
                self.look_at(id);
            }
            if !self.withheld.is_empty() {
                self.survey_if_due();
            }
            if commanded && self.obey() {
                return self.finish();
            }
            let moved = std::mem::take(&mut self.moved);
            if let Some(rest) = self.pace.ends(pumped, moved) {
                std::thread::sleep(rest);
            }
        }
    }

    fn timeout(&self) -> Option<Timespec> {
        let held = self.held.values().copied();
        let survey = self.allowance.due(!self.withheld.is_empty());
        let due = held.chain(self.streams.next_due()).chain(survey).min()?;
        let wait = due.saturating_duration_since(Instant::now());
        Timespec::try_from(wait).ok()
    }

    /// Carries out what was asked; true if it is the end.
    fn obey(&mut self) -> bool {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Prepare(stream, sink) => self.prepare(stream, sink),
                Command::Attach(stream, generation, pipe) => self.attach(stream, generation, pipe),
                Command::Drain(stream, generation) => self.drain(stream, generation),
                Command::Forget(stream) => self.forget(stream),
                Command::Clear(stream) => self.clear(stream),
                Command::Reopen => self.reopen(),
                Command::Rotate(stream) => self.rotate(stream),
                Command::Limit(budget, logs) => self.limit(budget, logs),
                Command::Found(finding) => self.hear(finding),
                Command::Finish => return true,
            }
        }
        false
    }

    fn prepare(&mut self, id: StreamId, config: SinkConfig) {
        let now = self.now;
        let result = match self.streams.get_mut(id) {
            Some(stream) if *stream.config() == config => {
                stream.sink.doubt();
                stream.sink.end(now).map(drop)
            }
            Some(stream) => Sink::open(config, now).map(|sink| stream.change_sink(sink)),
            None => Sink::open(config, now).and_then(|sink| {
                let mut stream = Stream::new(id, sink, self.moments.clone(), self.counts.of(id));
                let resumed = stream.resume_shedding(&mut self.stage, now);
                self.streams.insert(id, stream);
                resumed
            }),
        };
        if result.is_ok() {
            self.retry(id);
            self.look_after(id);
        }
        self.report(PlaneReport::Prepared { stream: id, result });
    }

    pub(super) fn pump(&mut self, id: StreamId, index: usize) -> Pumped {
        let now = self.now;
        self.withhold(id);
        let chunks = self.chunks(id);
        let Some(stream) = self.streams.get_mut(id) else {
            return Pumped::Empty;
        };
        let (pumped, failure) = stream.pump(index, chunks, &mut self.stage, now);
        let Flow { taken, grown } = stream.take_flow();
        if let Some(source) = stream.sources.get(index) {
            hold(&self.ready, &mut self.held, source);
        }
        let told = std::mem::take(&mut stream.told);
        let fine = failure.is_none() && pumped != Pumped::Stalled;
        let waits = pumped == Pumped::Stalled && !stream.is_shedding();
        self.moved += taken;
        if let Some(failure) = failure {
            stream.troubled = true;
            self.tell_failure(id, failure);
        }
        self.account_for(id, taken, grown);
        if fine {
            self.tell_recovery(id);
        }
        self.flush_outlets_of(id);
        self.tell_output(id, told);
        match pumped {
            Pumped::Empty | Pumped::Stalled => self.tell_drained(id, index),
            Pumped::Ended => {
                self.tell_drained(id, index);
                self.end_source(id, index);
            }
            Pumped::More => {}
        }
        if waits {
            self.unwatch(id);
        }
        self.tell_rotation(id);
        pumped
    }

    /// Passes on beginnings of lines that have waited long enough.
    fn pass_overdue(&mut self) {
        let now = self.now.instant;
        let overdue = self.held.iter().filter(|(_, until)| **until <= now);
        let overdue: Vec<u64> = overdue.map(|(token, _)| *token).collect();
        for token in overdue {
            self.source_ready(token);
        }
    }

    /// Does what a stream has waited for.
    fn look_at(&mut self, id: StreamId) {
        let now = self.now.instant;
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let retries = is_due(stream.retry.map(|(due, _)| due));
        let flushes = is_due(stream.outlets.due);
        let closes = is_due(stream.sink.closing_deadline());
        if retries {
            self.retry(id);
        }
        if flushes {
            self.flush_outlets_of(id);
        }
        if closes {
            self.close(id);
        }
    }

    /// Sends what outlets did not take before.
    fn flush_outlets_of(&mut self, id: StreamId) {
        let now = self.now;
        let stream = self.streams.get_mut(id);
        let Some(stream) = stream.filter(|stream| !stream.outlets.is_empty()) else {
            return;
        };
        match stream.outlets.flush(now) {
            Some(OutletNews::Troubled(text)) => {
                self.report(PlaneReport::Stalled { stream: id, text });
            }
            Some(OutletNews::Recovered) => self.report(PlaneReport::Recovered {
                stream: id,
                dropped: None,
            }),
            None => {}
        }
        self.look_after(id);
    }

    fn forget(&mut self, id: StreamId) {
        self.moments.forget(id);
        self.counts.forget(id);
        self.stage.losses.forget(id);
        if self.withheld.remove(&id).is_some() {
            self.release(id);
        }
        if let Some(stream) = self.streams.remove(id) {
            for source in stream.sources {
                self.owners.remove(&source.token);
                self.held.remove(&source.token);
                let _ = epoll::delete(&self.ready, &source.pipe);
            }
        }
        if self.stage.held_for(id) > 0 {
            // Bytes of a stream that nobody wants any more; the pipe is needed by the others.
            let _ = self.stage.copy_out(&mut Vec::new());
        }
    }

    fn clear(&mut self, id: StreamId) {
        let now = self.now;
        let result = match self.streams.get_mut(id) {
            Some(stream) => stream.sink.clear(now).map_err(|error| error.to_string()),
            None => Err("it has no log file".to_owned()),
        };
        self.report(PlaneReport::Cleared { stream: id, result });
    }

    fn reopen(&mut self) {
        let now = self.now;
        let ids = self.streams.ids();
        for id in ids {
            let Some(stream) = self.streams.get_mut(id) else {
                continue;
            };
            stream.outlets.reopen(now);
            if let Err(error) = stream.sink.reopen(now) {
                stream.troubled = true;
                self.tell_failure(
                    id,
                    Failure {
                        doing: "open",
                        error,
                    },
                );
            }
        }
        self.report(PlaneReport::Reopened);
    }

    /// Tries a stream again.
    fn retry(&mut self, id: StreamId) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        if stream.retry.is_none() && !stream.is_owed(&self.stage) && !stream.is_shedding() {
            return;
        }
        let flushed = stream.flush(&mut self.stage, now);
        if let Err(failure) = flushed.and_then(|()| stream.end_shedding(&mut self.stage, now)) {
            let told = stream.stall(failure, &mut self.stage, now);
            let is_shedding = stream.is_shedding();
            if let Some(failure) = told {
                self.tell_failure(id, failure);
            }
            match is_shedding {
                true => self.tell_dropping(id),
                false => self.unwatch(id),
            }
            return;
        }
        stream.retry = None;
        for source in &stream.sources {
            let _ = watch(&self.ready, source.token, &source.pipe);
        }
        self.tell_recovery(id);
    }

    /// Writes what the pipes hold.
    fn finish(mut self) {
        let deadline = Instant::now() + FINISH_TIME;
        let ids = self.streams.ids();
        for id in ids {
            let sources = self.streams.get_mut(id).map(|stream| &mut stream.sources);
            for source in sources.into_iter().flatten() {
                source.draining = true;
            }
            let mut index = 0;
            while Instant::now() < deadline {
                self.now = Now::read();
                let Some(stream) = self.streams.get(id) else {
                    break;
                };
                if stream.retry.is_some() || index >= stream.sources.len() {
                    break;
                }
                match self.pump(id, index) {
                    Pumped::More | Pumped::Ended => {}
                    Pumped::Empty | Pumped::Stalled => index += 1,
                }
            }
            if self.withheld.contains_key(&id) {
                self.release(id);
            }
        }
    }
}
