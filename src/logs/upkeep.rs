//! The log thread's part in rotation: on request and by the clock, and what is left to do behind it.

use rustix::event::Timespec;
use rustix::time::{Itimerspec, TimerfdTimerFlags, timerfd_settime};

use super::plane::{PlaneReport, StreamId};
use super::stream::Stream;
use super::thread::Thread;
use super::tidy::{Background, Finding, Job};

impl Thread {
    /// Somebody asks for it.
    pub(super) fn rotate(&mut self, id: StreamId) {
        let now = self.now;
        match self.streams.get_mut(id) {
            Some(stream) => {
                stream.outlets.rotate_soon(true, now);
                stream.rotate_soon(true, now);
            }
            None => {
                let result = Err("it has no log file".to_owned());
                self.report(PlaneReport::Rotated { stream: id, result });
            }
        }
        self.tell_rotation(id);
    }

    /// Rotates a file that has waited long enough for the end of a line.
    pub(super) fn close(&mut self, id: StreamId) {
        let now = self.now;
        if let Some(stream) = self.streams.get_mut(id) {
            stream.rotate(now);
        }
        self.tell_rotation(id);
    }

    /// Tells what came of a rotation.
    pub(super) fn tell_rotation(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let news = stream.rotation_news();
        let (answer, failure) = (news.answer.take(), news.failure.take());
        stream.troubled |= failure.is_some();
        if let Some(result) = answer {
            self.report(PlaneReport::Rotated { stream: id, result });
        }
        match failure {
            Some(failure) => self.tell_failure(id, failure),
            None => self.tell_recovery(id),
        }
        self.look_after(id);
    }

    /// Has done in the background what is left to do after a rotation.
    pub(super) fn look_after(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let (mut fallen, mut jobs) = (Vec::new(), Vec::new());
        for sink in stream.sinks() {
            let left = sink.take_aftermath();
            fallen.extend(left.fallen);
            let config = sink.config();
            let path = config.path.as_ref();
            let path = path.filter(|_| left.is_untidy && Background::is_needed(&config.file));
            jobs.extend(path.map(|path| Job {
                path: path.clone(),
                config: config.file,
                now: self.now.wall,
            }));
        }
        for file in fallen {
            let size = rustix::fs::fstat(&file).map_or(0, |it| it.st_size.unsigned_abs());
            self.allowance.freed(id, size);
            self.background.close(file);
        }
        for job in jobs {
            self.background.look_after(id, job);
        }
    }

    /// What the background thread wants or tells.
    pub(super) fn hear(&mut self, finding: Finding) {
        match finding {
            Finding::Request(request, answer) => {
                // Nobody waits any more only if that thread is gone.
                let _ = answer.send(request.perform());
            }
            Finding::Surveyed(surveyed) => self.hear_survey(surveyed),
            Finding::Finished {
                stream: id,
                path,
                expiry,
                failure,
            } => {
                self.background.has_finished();
                let sinks = self.streams.get_mut(id).into_iter().flat_map(Stream::sinks);
                for sink in sinks.filter(|sink| sink.config().path == path) {
                    sink.set_expiry(expiry);
                }
                if let Some(text) = failure {
                    self.report(PlaneReport::Untidy { stream: id, text });
                }
            }
        }
    }

    /// A wall-clock rotation is due, or somebody set the clock.
    pub(super) fn clock_rang(&mut self) {
        let mut count = [0; 8];
        let was_set = rustix::io::read(&self.clock, &mut count).is_err();
        self.clock_set_for = None;
        let now = self.now;
        let ids = self.streams.ids();
        for id in ids {
            let Some(stream) = self.streams.get_mut(id) else {
                continue;
            };
            for sink in stream.sinks() {
                if was_set {
                    sink.clock_was_set(now);
                }
                if sink.has_expired(now) {
                    sink.leave_untidy();
                }
            }
            stream.outlets.rotate_soon(false, now);
            let boundary = stream.sink.boundary();
            if boundary.is_some_and(|boundary| boundary <= now.wall) {
                stream.rotate_soon(false, now);
            }
            self.tell_rotation(id);
        }
    }

    /// Has the clock ring for the first stream that has something to do by it.
    pub(super) fn set_clock(&mut self) {
        let next = self.streams.next_alarm();
        if next == self.clock_set_for {
            return;
        }
        self.clock_set_for = next;
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // A moment that has passed still has to ring, and 0 would mean never.
        let value = next.map_or(zero, |wall| Timespec {
            tv_sec: wall.max(1),
            tv_nsec: 0,
        });
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let timer = Itimerspec {
            it_interval: zero,
            it_value: value,
        };
        let _ = timerfd_settime(&self.clock, flags, &timer);
    }
}
