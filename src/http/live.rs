//! What the open pages watch: one task follows the events and reads CPU and memory for all of them,
//! and ends with the last.
//!
//! Every watcher is sent a snapshot, then what changes. A message is made once and shared: a page
//! costs a place in a list and a short queue. One that does not keep up is let go; its browser comes
//! back by itself and gets a new snapshot.
//!
//! Must never: do anything while nobody watches, ask the daemon's turn once for each watcher.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer;
use async_std::channel::{Receiver, Sender, bounded, unbounded};
use async_std::task;
use futures_lite::future::{self, FutureExt};
use futures_lite::stream::unfold;
use hyper::body::{Bytes, Frame};
use serde::Serialize;

use super::api::DaemonFacts;
use super::asking::Asking;
use super::events::{EVENT_STREAM, message};
use super::reply::{self, Reply};
use super::usage::Meter;
use crate::control::facts::ProcessFacts;
use crate::control::{Failure, ProcessView, Question};
use crate::events::{Batch, Bulletin, Event, Facts};
use crate::fleet::{ProcessName, Selector};
use crate::ordered;

/// Messages that wait for a page.
const QUEUE: usize = 32;

/// How often CPU and memory are read.
const SAMPLE: Duration = Duration::from_secs(2);

/// Every how many samples everything is looked at for what has no event, such as a full disk.
const LOOK_ROUND: u32 = 5;

/// Changes within this time are sent together.
const GATHER: Duration = Duration::from_millis(20);

/// Events that are read at once, and past ones that a snapshot holds.
const EVENTS: usize = 64;

/// The way to the task; clones share it.
#[derive(Debug, Clone)]
pub struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    questions: Sender<Question>,
    /// Where those who come are to be sent; `None` while nobody watches.
    door: Mutex<Option<Sender<Sender<Bytes>>>>,
}

impl Live {
    /// Nobody watches yet.
    pub fn new(questions: Sender<Question>) -> Live {
        let door = Mutex::new(None);
        Live(Arc::new(Shared { questions, door }))
    }

    /// A stream of messages for a page. The token it needs for changes is the first of them.
    pub fn watch(&self, token: &str) -> Reply {
        let first = Bytes::from(message("token", None, &token));
        let messages = unfold((Some(first), self.join()), |(first, coming)| async move {
            let message = match first {
                Some(message) => message,
                None => coming.recv().await.ok()?,
            };
            Some((Ok::<_, io::Error>(Frame::data(message)), (None, coming)))
        });
        reply::endless(EVENT_STREAM, messages)
    }

    fn join(&self) -> Receiver<Bytes> {
        let (watcher, coming) = bounded(QUEUE);
        let mut door = self.0.door();
        let watcher = match &*door {
            Some(task) => task
                .try_send(watcher)
                .err()
                .map(|refused| refused.into_inner()),
            None => Some(watcher),
        };
        if let Some(watcher) = watcher {
            let (comes, comers) = unbounded();
            // It has room for any number, and the task holds the other end.
            let _ = comes.try_send(watcher);
            *door = Some(comes);
            task::spawn(run(self.0.clone(), comers).boxed());
        }
        coming
    }
}

impl Shared {
    fn door(&self) -> MutexGuard<'_, Option<Sender<Sender<Bytes>>>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the door, unless somebody has just come.
    fn close(&self, comers: &Receiver<Sender<Bytes>>) -> bool {
        let mut door = self.door();
        let nobody = comers.is_empty();
        if nobody {
            *door = None;
        }
        nobody
    }
}

/// The task: until nobody watches, or the daemon does not answer.
async fn run(shared: Arc<Shared>, comers: Receiver<Sender<Bytes>>) {
    let asking = Asking::new(shared.questions.clone(), None);
    if let Ok(bulletin) = asking.bulletin().await {
        let hub = Hub::new(asking, bulletin);
        if hub.serve(&shared, &comers).await.is_ok() {
            return;
        }
    }
    // Those who watch see their streams end.
    *shared.door() = None;
}

/// What woke the task.
enum Woken {
    Comer(Sender<Bytes>),
    News,
    Sample,
}

struct Hub {
    asking: Asking,
    bulletin: Bulletin,
    /// The last event that was read.
    seen: u64,
    watchers: Vec<Sender<Bytes>>,
    /// Every process as the watchers know it.
    known: BTreeMap<ProcessName, ProcessView>,
    meter: Meter,
    next_sample: Instant,
    samples: u32,
}

#[derive(Debug, Serialize)]
struct Snapshot<'a> {
    daemon: DaemonFacts<'a>,
    processes: Vec<ProcessFacts<'a>>,
    /// What happened last, for those who have just come.
    events: Vec<Facts>,
}

impl Hub {
    fn new(asking: Asking, bulletin: Bulletin) -> Hub {
        Hub {
            asking,
            seen: bulletin.last(),
            bulletin,
            watchers: Vec::new(),
            known: BTreeMap::new(),
            meter: Meter::default(),
            next_sample: Instant::now(),
            samples: 0,
        }
    }

    async fn serve(
        mut self,
        shared: &Shared,
        comers: &Receiver<Sender<Bytes>>,
    ) -> Result<(), Failure> {
        loop {
            match self.wait(comers).await {
                Woken::Comer(first) => {
                    let mut new = vec![first];
                    while let Ok(next) = comers.try_recv() {
                        new.push(next);
                    }
                    self.welcome(new).await?;
                }
                Woken::News => self.pass_on().await?,
                Woken::Sample => self.sample().await?,
            }
            self.watchers.retain(|watcher| !watcher.is_closed());
            if self.watchers.is_empty() && shared.close(comers) {
                return Ok(());
            }
        }
    }

    async fn wait(&self, comers: &Receiver<Sender<Bytes>>) -> Woken {
        let comer = async {
            match comers.recv().await {
                Ok(comer) => Woken::Comer(comer),
                Err(_) => future::pending().await,
            }
        };
        let news = async {
            self.bulletin.news_after(self.seen).await;
            Timer::after(GATHER).await;
            Woken::News
        };
        let sample = async {
            Timer::at(self.next_sample).await;
            Woken::Sample
        };
        comer.or(news).or(sample).await
    }

    /// Sends a snapshot to those who have just come.
    async fn welcome(&mut self, new: Vec<Sender<Bytes>>) -> Result<(), Failure> {
        let snapshot = self.snapshot().await?;
        for watcher in new {
            if watcher.try_send(snapshot.clone()).is_ok() {
                self.watchers.push(watcher);
            }
        }
        self.next_sample = Instant::now();
        Ok(())
    }

    async fn snapshot(&mut self) -> Result<Bytes, Failure> {
        let views = self.asking.processes(Vec::new()).await?;
        let daemon = self.asking.daemon().await?;
        let before = self.seen.saturating_sub(EVENTS as u64);
        let Batch { records, .. } = self.bulletin.since(before, EVENTS);
        let snapshot = Snapshot {
            daemon: DaemonFacts::of(&daemon),
            processes: views.iter().map(ProcessFacts::of).collect(),
            events: records.iter().map(|record| record.facts()).collect(),
        };
        let snapshot = message("snapshot", None, &snapshot);
        let by_name = views.into_iter().map(|view| (view.name.clone(), view));
        self.known = ordered::map(by_name);
        Ok(snapshot.into())
    }

    /// Sends what happened, and how the processes are since.
    async fn pass_on(&mut self) -> Result<(), Failure> {
        let batch = self.bulletin.since(self.seen, EVENTS);
        self.seen = batch.seen;
        let mut changed = BTreeSet::new();
        let mut all = batch.missed > 0;
        let mut text = String::new();
        for record in &batch.records {
            match &record.event {
                Event::State(change) => {
                    changed.insert(change.name.clone());
                    text.push_str(&message("change", None, &record.facts()));
                }
                Event::SupervisorRunning
                | Event::SupervisorStopping
                | Event::GroupAdded { .. }
                | Event::GroupRemoved { .. } => all = true,
                _ => {}
            }
        }
        if all {
            let snapshot = self.snapshot().await?;
            self.send(snapshot);
        } else if !changed.is_empty() {
            let selectors = changed.into_iter().map(Selector::Process).collect();
            // One that has just left the fleet is told of by the next event.
            if let Ok(views) = self.asking.processes(selectors).await {
                text.push_str(&self.known_as(views));
            }
        }
        self.send(text.into());
        Ok(())
    }

    /// Remembers processes as they are, and says so.
    fn known_as(&mut self, views: Vec<ProcessView>) -> String {
        let facts: Vec<_> = views.iter().map(ProcessFacts::of).collect();
        let text = message("processes", None, &facts);
        for view in views {
            self.known.insert(view.name.clone(), view);
        }
        text
    }

    async fn sample(&mut self) -> Result<(), Failure> {
        self.next_sample = Instant::now() + SAMPLE;
        self.samples += 1;
        if self.samples.is_multiple_of(LOOK_ROUND) {
            let views = self.asking.processes(Vec::new()).await?;
            let news = views
                .into_iter()
                .filter(|view| {
                    self.known
                        .get(&view.name)
                        .is_none_or(|old| differ(old, view))
                })
                .collect::<Vec<_>>();
            if !news.is_empty() {
                let text = self.known_as(news);
                self.send(text.into());
            }
        }
        let pids = self
            .known
            .values()
            .filter(|view| view.pid != 0)
            .map(|view| (view.name.to_string(), view.pid))
            .collect();
        let mut meter = std::mem::take(&mut self.meter);
        let usage;
        (meter, usage) = blocking::unblock(move || {
            let usage = meter.read(pids);
            (meter, usage)
        })
        .await;
        self.meter = meter;
        self.send(message("usage", None, &usage).into());
        Ok(())
    }

    fn send(&mut self, message: Bytes) {
        if message.is_empty() {
            return;
        }
        self.watchers
            .retain(|watcher| watcher.try_send(message.clone()).is_ok());
    }
}

/// Whether a page would show the two otherwise, beside the time that passes.
fn differ(old: &ProcessView, new: &ProcessView) -> bool {
    let shown = |view: &ProcessView| {
        (
            view.state,
            view.pid,
            view.start,
            view.stop,
            view.log_trouble.clone(),
            view.left_behind.clone(),
            view.disabled,
            view.spawn_error.clone(),
        )
    };
    shown(old) != shown(new)
}
