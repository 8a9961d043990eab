//! The pipes that the log thread reads: taken on, watched, held while a line begins in them, drained
//! and let go.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::epoll;

use super::chain::Chain;
use super::plane::{PlaneReport, SinkConfig, StreamId};
use super::sink::Sink;
use super::stream::{SOURCES_MAX, Source, Stream};
use super::thread::Thread;
use crate::config::LogFileConfig;

impl Thread {
    pub(super) fn attach(&mut self, id: StreamId, generation: u64, pipe: OwnedFd) {
        let now = self.now;
        if self.streams.get(id).is_none() {
            // Its file could not be opened: read and discard, so that the program can go on.
            let discard = SinkConfig::raw(None, 0o600, LogFileConfig::UNLIMITED);
            let Ok(sink) = Sink::open(discard, now) else {
                return;
            };
            let count = self.counts.of(id);
            let stream = Stream::new(id, sink, self.moments.clone(), count);
            self.streams.insert(id, stream);
        }
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let token = self.next_token;
        self.next_token += 1;
        if stream.sources.len() >= SOURCES_MAX {
            let oldest = stream.sources.remove(0);
            self.owners.remove(&oldest.token);
            self.held.remove(&oldest.token);
            let _ = epoll::delete(&self.ready, &oldest.pipe);
            let ended = PlaneReport::Ended {
                stream: id,
                generation: oldest.generation,
            };
            let _ = self.reports.try_send(ended);
        }
        if let Some(shed) = &mut stream.shed {
            shed.attach(token);
        }
        if stream.retry.is_none() || stream.is_shedding() {
            let _ = watch(&self.ready, token, &pipe);
        }
        // There is one for most of its life.
        stream.sources.reserve_exact(1);
        stream.sources.push(Source {
            token,
            generation,
            pipe,
            draining: false,
            chain: Chain::of(stream.config()).map(Box::new),
            held: None,
        });
        self.owners.insert(token, id);
    }

    pub(super) fn source_ready(&mut self, token: u64) {
        let Some(id) = self.owners.get(&token).copied() else {
            return;
        };
        let found = self.streams.get(id).and_then(|stream| {
            stream
                .sources
                .iter()
                .position(|source| source.token == token)
        });
        if let Some(index) = found {
            self.pump(id, index);
        }
    }

    pub(super) fn end_source(&mut self, id: StreamId, index: usize) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let source = stream.sources.remove(index);
        self.owners.remove(&source.token);
        self.held.remove(&source.token);
        let _ = epoll::delete(&self.ready, &source.pipe);
        self.report(PlaneReport::Ended {
            stream: id,
            generation: source.generation,
        });
    }

    pub(super) fn drain(&mut self, id: StreamId, generation: u64) {
        let found = self.streams.get_mut(id).and_then(|stream| {
            let stalled = stream.retry.is_some() && !stream.is_shedding();
            let index = stream
                .sources
                .iter()
                .position(|source| source.generation == generation)?;
            stream.sources[index].draining = !stalled;
            (!stalled).then_some(index)
        });
        match found {
            // What is left arrives by the ready set; this takes what is there now.
            Some(index) => _ = self.pump(id, index),
            None => {
                self.tell_dropping(id);
                self.report(PlaneReport::Drained {
                    stream: id,
                    generation,
                });
            }
        }
    }

    pub(super) fn unwatch(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        for source in &mut stream.sources {
            self.held.remove(&source.token);
            source.held = None;
            let _ = epoll::delete(&self.ready, &source.pipe);
        }
    }
}

/// Where the beginning of a line waits in the pipe, only more of it is worth waking up for.
pub(super) fn hold(ready: &OwnedFd, all_held: &mut BTreeMap<u64, Instant>, source: &Source) {
    let before = match source.held {
        Some(until) => all_held.insert(source.token, until),
        None => all_held.remove(&source.token),
    };
    let flags = match (before, source.held) {
        (None, Some(_)) => epoll::EventFlags::IN | epoll::EventFlags::ET,
        (Some(_), None) => epoll::EventFlags::IN,
        _ => return,
    };
    // Fails only if the source is not watched, and then nothing of it is held either.
    let data = epoll::EventData::new_u64(source.token);
    let _ = epoll::modify(ready, &source.pipe, data, flags);
}

pub(super) fn watch(ready: &OwnedFd, token: u64, pipe: &OwnedFd) -> io::Result<()> {
    match epoll::add(
        ready,
        pipe,
        epoll::EventData::new_u64(token),
        epoll::EventFlags::IN,
    ) {
        Err(rustix::io::Errno::EXIST) => Ok(()),
        other => Ok(other?),
    }
}
