//! Where a stream goes beside its file: a second file or the daemon's output, a syslog, journald.
//!
//! None of them ever holds up the stream. What cannot be sent at once waits, up to [`WAITING_MAX`];
//! what comes then is dropped and counted, and once there is room again a marker says how much is
//! missing. A peer that is gone is tried again after a growing pause.
//!
//! What waits is lost if the process is killed, and a chunk that was under way then is sent again.
//!
//! A second file is rotated by the same rules as the first.
//!
//! Must never: wait, decide how a peer is reached (see `link`).

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::link::{Link, is_refusal_of_size};
use super::message::{self, Framing, Origin};
use super::rotation::Wall;
use super::sink::{Now, Sink};
use super::stall::Backoff;
use crate::config::{Destination, LogFileConfig, SyslogStyle};

/// Most bytes that wait for one outlet.
const WAITING_MAX: usize = 64 * 1024;

/// A peer that takes no more for the moment is looked at again after this time.
const PAUSE: Duration = Duration::from_millis(20);

/// How an outlet is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutletConfig {
    /// Where to.
    pub destination: Destination,
    /// How it is rotated and kept, if it is a file.
    pub file: LogFileConfig,
    /// How messages look.
    pub style: SyslogStyle,
    /// Whose lines they are.
    pub origin: Origin,
}

/// All outlets of one stream.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    list: Vec<Outlet>,
    /// When there is something to be tried again.
    pub due: Option<Instant>,
}

/// What is to be told of outlets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutletNews {
    /// One takes nothing: which, and why.
    Troubled(String),
    /// All of them take what comes.
    Recovered,
}

impl Outlets {
    pub fn new(configs: &[OutletConfig]) -> Outlets {
        let list: Vec<Outlet> = configs.iter().cloned().map(Outlet::new).collect();
        // A file is there from the beginning, though nothing has been written.
        let has_file = list.iter().any(Outlet::is_of_file);
        Outlets {
            list,
            due: has_file.then(Instant::now),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Its files that are open.
    pub fn sinks(&mut self) -> impl Iterator<Item = &mut Sink> {
        let links = self.list.iter_mut().flat_map(|outlet| &mut outlet.link);
        links.filter_map(Link::regular)
    }

    /// The next moment at which the clock matters for one of them.
    pub fn alarm(&self) -> Option<Wall> {
        let alarms = self.list.iter().filter_map(|outlet| match &outlet.link {
            Some(Link::File(sink)) => sink.alarm(),
            _ => None,
        });
        alarms.min()
    }

    /// Rotates those whose moment has come, or all, once their lines have ended.
    pub fn rotate_soon(&mut self, all: bool, now: Now) {
        for outlet in &mut self.list {
            let is_due = |sink: &mut Sink| {
                let boundary = sink.boundary();
                (all || boundary.is_some_and(|boundary| boundary <= now.wall))
                    && sink.can_close(now)
            };
            if outlet.regular().is_some_and(is_due) {
                outlet.rotate(now);
            }
        }
        if !self.list.is_empty() {
            self.due.get_or_insert(now.instant);
        }
    }

    /// Bytes that their files grew by since this was last asked.
    pub fn take_grown(&mut self) -> u64 {
        let grown = self.list.iter_mut().map(|outlet| &mut outlet.grown);
        grown.map(std::mem::take).sum()
    }

    /// Hands over a chunk: as the program wrote it, and in the form in which it is written.
    pub fn offer(&mut self, plain: &[u8], formed: &[u8], now: Now) {
        for outlet in &mut self.list {
            outlet.offer(plain, formed, now);
        }
    }

    /// Opens files anew.
    pub fn reopen(&mut self, now: Now) {
        for outlet in &mut self.list {
            if outlet.sent == 0 && outlet.is_of_file() {
                outlet.link = None;
                self.due = Some(now.instant);
            }
        }
    }

    /// Sends what waits, as far as it can be sent.
    pub fn flush(&mut self, now: Now) -> Option<OutletNews> {
        let mut news = None;
        let troubled_before = self.list.iter().any(|outlet| outlet.told);
        for outlet in &mut self.list {
            news = news.or(outlet.flush(now).map(OutletNews::Troubled));
        }
        self.due = self.list.iter_mut().filter_map(Outlet::next_due).min();
        let troubled = self.list.iter().any(|outlet| outlet.told);
        news.or((troubled_before && !troubled).then_some(OutletNews::Recovered))
    }
}

/// One of them.
#[derive(Debug)]
struct Outlet {
    config: OutletConfig,
    link: Option<Link>,
    /// Messages that wait, and their bytes.
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How much of the first one was sent.
    sent: usize,
    /// Lines that were dropped since the last marker.
    dropped: u64,
    due: Option<Instant>,
    backoff: Backoff,
    told: bool,
    /// Trouble that is still to be told.
    untold: Option<String>,
    /// Bytes that its file grew by.
    grown: u64,
}

impl Outlet {
    fn new(config: OutletConfig) -> Outlet {
        Outlet {
            config,
            link: None,
            waiting: VecDeque::new(),
            bytes: 0,
            sent: 0,
            dropped: 0,
            due: None,
            backoff: Backoff::default(),
            told: false,
            untold: None,
            grown: 0,
        }
    }

    fn offer(&mut self, plain: &[u8], formed: &[u8], now: Now) {
        if let Destination::Path(_) = self.config.destination {
            for line in formed.split_inclusive(|byte| *byte == b'\n') {
                self.put(line.to_vec(), now);
            }
        } else {
            for text in message::texts(plain) {
                let message = self.message(text, now.micros);
                self.put(message, now);
            }
        }
    }

    fn message(&self, text: &[u8], micros: i64) -> Vec<u8> {
        let OutletConfig {
            destination,
            style,
            origin,
            ..
        } = &self.config;
        let syslog = |host, framing| message::syslog(style, origin, text, micros, host, framing);
        let uname = rustix::system::uname();
        let host = uname.nodename().to_str().unwrap_or("-");
        match destination {
            Destination::Path(_) => [text, b"\n"].concat(),
            Destination::Syslog(_) => syslog(None, Framing::None),
            Destination::Udp(_) => syslog(Some(host), Framing::None),
            Destination::Tcp(_) => syslog(Some(host), Framing::Stream),
            Destination::Journal(_) => message::journal(style, origin, text),
        }
    }

    /// Puts a message at the end, or drops it.
    fn put(&mut self, message: Vec<u8>, now: Now) {
        if self.is_full(&message) && self.due.is_none() {
            let trouble = self.send_waiting(now);
            self.untold = self.untold.take().or(trouble);
        }
        // What follows something that was dropped waits for its marker.
        if self.is_full(&message) || self.dropped > 0 {
            self.dropped += 1;
            return;
        }
        self.bytes += message.len();
        self.waiting.push_back(message);
    }

    fn is_full(&self, message: &[u8]) -> bool {
        !self.waiting.is_empty() && self.bytes + message.len() > WAITING_MAX
    }

    /// Says how much was dropped, once there is room.
    fn mark(&mut self, now: Now) {
        if self.dropped == 0 || self.bytes > WAITING_MAX / 2 {
            return;
        }
        let text = format!("appctl: {} lines were dropped here", self.dropped);
        let marker = self.message(text.as_bytes(), now.micros);
        self.dropped = 0;
        self.put(marker, now);
    }

    fn is_of_file(&self) -> bool {
        matches!(self.config.destination, Destination::Path(_))
    }

    /// Its file, if it has one that is rotated.
    fn regular(&mut self) -> Option<&mut Sink> {
        self.link.as_mut().and_then(Link::regular)
    }

    fn rotate(&mut self, now: Now) {
        let Some(sink) = self.regular() else { return };
        let failed_before = sink.cannot_rotate();
        if let Err(error) = sink.rotate(now)
            && !failed_before
        {
            let file = &self.config.destination;
            self.untold = Some(format!("cannot rotate {file}: {error}"));
            self.told = true;
        }
    }

    /// Sends what it can, and closes a file that has waited long enough for the end of a line; the
    /// first trouble is told.
    fn flush(&mut self, now: Now) -> Option<String> {
        if self.due.is_some_and(|due| now.instant < due) {
            return None;
        }
        self.due = None;
        let trouble = self.send_waiting(now);
        let deadline = self.regular().and_then(|sink| sink.closing_deadline());
        if deadline.is_some_and(|deadline| deadline <= now.instant) {
            self.rotate(now);
        }
        trouble.or(self.untold.take())
    }

    fn next_due(&mut self) -> Option<Instant> {
        let deadline = self.regular().and_then(|sink| sink.closing_deadline());
        [self.due, deadline].into_iter().flatten().min()
    }

    fn send_waiting(&mut self, now: Now) -> Option<String> {
        loop {
            self.mark(now);
            if self.waiting.is_empty() && (self.link.is_some() || !self.is_of_file()) {
                self.told &= self.regular().is_some_and(|sink| sink.cannot_rotate());
                return None;
            }
            let opened = match self.link.take() {
                Some(link) => link.go_on(&self.config.destination),
                None => Link::open(&self.config, now),
            };
            let link = match opened {
                Ok(link) => self.link.insert(link),
                Err(error) => return self.fail(error, now),
            };
            let Some(first) = self.waiting.front() else {
                continue;
            };
            match link.send(&first[self.sent..], now) {
                Ok(sent) => {
                    let part = &first[self.sent..self.sent + sent];
                    let closes = link.regular().is_some_and(|sink| sink.closes(part, now));
                    self.grown += sent as u64;
                    self.sent += sent;
                    self.backoff = Backoff::default();
                    if self.sent >= first.len() {
                        self.bytes -= first.len();
                        self.waiting.pop_front();
                        self.sent = 0;
                    }
                    if closes {
                        self.rotate(now);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.due = Some(now.instant + PAUSE);
                    return None;
                }
                Err(error) if is_refusal_of_size(&error) => {
                    self.bytes -= first.len();
                    self.waiting.pop_front();
                    self.sent = 0;
                    self.dropped += 1;
                }
                Err(error) => return self.fail(error, now),
            }
        }
    }

    /// Gives the link up for a while.
    fn fail(&mut self, error: io::Error, now: Now) -> Option<String> {
        self.link = None;
        self.sent = 0;
        self.due = Some(now.instant + self.backoff.next());
        let first = !std::mem::replace(&mut self.told, true);
        first.then(|| format!("cannot write to {}: {error}", self.config.destination))
    }
}

#[cfg(test)]
#[path = "outlet_tests.rs"]
mod tests;
