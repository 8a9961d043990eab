//! The turn: wait for one thing, take all that has come, decide, perform.
//!
//! Everything that can wake the brain is gathered here in a fixed order — deaths, what the keeper
//! tells, the log plane's reports, deadlines, then requests, each bounded — and handed to plain
//! functions. The only `.await` of the loop is in [`Brain::wait`].

use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future::{self, FutureExt};

use super::addresses;
use super::brain::Brain;
use super::sentences::{say, slow_turn, turned};
use super::trees::Found;
use crate::control::Question;
use crate::events;
use crate::fleet::{Event, Stamp};
use crate::keeper::{FromKeeper, Watch};
use crate::launch;
use crate::logs::PlaneReport;

/// Most things of one kind that a turn takes; the rest waits for the next one.
const TAKEN_PER_TURN: usize = 256;

/// Programs started in one turn, so that a client never waits for a thousand starts.
const STARTS_PER_TURN: usize = 16;

/// A turn longer than this names itself in the log.
const SLOW_TURN: Duration = Duration::from_millis(50);

/// How the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything stopped after a shutdown: the exit code.
    Shutdown(u8),
    /// Everything stopped to start over with the configuration as it is now.
    StartOver,
}

/// What woke the brain.
enum Woken {
    Deaths,
    Keeper(FromKeeper),
    Report(PlaneReport),
    Question(Question),
    Listeners,
    Trees(Vec<Found>),
    Address(addresses::Found),
    Deadline,
}

impl Brain {
    /// Turns until the fleet is finished.
    pub async fn turns(&mut self) -> Outcome {
        loop {
            if let Some(outcome) = self.finished {
                return outcome;
            }
            let woken = self.wait().await;
            let began = Instant::now();
            self.watch.iter().for_each(Watch::start);
            let taken = self.take(woken);
            self.settle();
            self.tell_systemd();
            self.watch.iter().for_each(Watch::stop);
            say(turned(taken));
            let took = began.elapsed();
            self.turn_times.note(took);
            if took > SLOW_TURN {
                say(slow_turn(took.as_millis(), taken));
            }
        }
    }

    /// Sleeps until something happens.
    async fn wait(&self) -> Woken {
        if !self.starts.is_empty() {
            // Starts are left over from the last turn: look at what has come, but do not sleep.
            return Woken::Deadline;
        }
        let deaths = async {
            match self.deaths.ready().await {
                Ok(()) => Woken::Deaths,
                // The set of pidfds cannot fail in a way that waiting would mend.
                Err(_) => future::pending().await,
            }
        };
        let keeper = async {
            match self.keeper.gone {
                false => Woken::Keeper(self.keeper.link.next().await),
                true => future::pending().await,
            }
        };
        let report = async {
            match self.reports.recv().await {
                Ok(report) => Woken::Report(report),
                Err(_) => future::pending().await,
            }
        };
        let question = async {
            match self.questions.recv().await {
                Ok(question) => Woken::Question(question),
                Err(_) => future::pending().await,
            }
        };
        let listeners = async {
            match self.listeners.wires.ready().await {
                Ok(()) => Woken::Listeners,
                Err(_) => future::pending().await,
            }
        };
        let trees = async {
            match self.trees.founds.recv().await {
                Ok(found) => Woken::Trees(found),
                Err(_) => future::pending().await,
            }
        };
        let address = async {
            match self.addresses.founds.recv().await {
                Ok(found) => Woken::Address(found),
                Err(_) => future::pending().await,
            }
        };
        let deadline = async {
            match self.next_deadline() {
                Some(stamp) => {
                    Timer::after(stamp.since(launch::now().stamp)).await;
                    Woken::Deadline
                }
                None => future::pending().await,
            }
        };
        let told = deaths.or(keeper).or(report).or(question);
        let found = trees.or(address);
        told.or(listeners).or(found).or(deadline).await
    }

    /// The earliest moment at which something is due by itself.
    fn next_deadline(&self) -> Option<Stamp> {
        let patience = self.endings.values().chain(self.lost.values());
        let patience = patience.chain(self.opening.values()).copied();
        let listeners = self.listeners.next_deadline(launch::now().stamp);
        let own = self.fleet.next_deadline().into_iter().chain(listeners);
        let own = own.chain(self.trees.next_deadline());
        own.chain(patience).chain(self.watchdog_due()).min()
    }

    /// Takes what has come, in the fixed order; returns how much it was.
    fn take(&mut self, woken: Woken) -> usize {
        self.now = launch::now();
        while self.upgrades.overs.try_recv().is_ok() {
            self.upgrades.under_way = false;
        }
        let (mut told, mut reports, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        match woken {
            Woken::Deaths | Woken::Listeners | Woken::Deadline => {}
            Woken::Keeper(message) => told.push(message),
            Woken::Report(report) => reports.push(report),
            Woken::Question(question) => questions.push(question),
            Woken::Trees(found) => self.hear_trees(found),
            Woken::Address(found) => self.address_found(found),
        }
        while !self.keeper.gone && told.len() < TAKEN_PER_TURN {
            let Some(message) = future::block_on(future::poll_once(self.keeper.link.next())) else {
                break;
            };
            let last = message == FromKeeper::Gone;
            told.push(message);
            if last {
                break;
            }
        }
        while reports.len() < TAKEN_PER_TURN
            && let Ok(report) = self.reports.try_recv()
        {
            reports.push(report);
        }
        while questions.len() < TAKEN_PER_TURN
            && let Ok(question) = self.questions.try_recv()
        {
            questions.push(question);
        }

        let mut taken = told.len() + reports.len() + questions.len();
        taken += self.take_deaths(TAKEN_PER_TURN);
        for message in told {
            self.hear_keeper(message);
        }
        for report in reports {
            self.hear_plane(report);
        }
        self.end_lost();
        self.end_overdue();
        self.give_up_opening();
        self.events.push_back(Event::Tick);
        self.settle();
        for question in questions {
            self.answer(question);
            self.asked_by = None;
        }
        taken
    }

    /// Decides and performs until nothing is left to decide, then starts some of what waits.
    pub(super) fn settle(&mut self) {
        self.decide();
        if !self.starts.is_empty() {
            self.start_some(STARTS_PER_TURN);
            self.decide();
        }
        self.remember();
        self.look_at_trees();
        self.close_idle_sockets();
        self.attend_listeners();
    }

    /// Hands every waiting event to the fleet and performs what it decides.
    pub(super) fn decide(&mut self) {
        let mut actions = Vec::new();
        while let Some(event) = self.events.pop_front() {
            let supervises = !self.fleet.is_leaving();
            self.fleet.handle(self.now, event, &mut actions);
            if supervises && self.fleet.is_leaving() {
                self.announce(events::Event::SupervisorStopping);
            }
            for action in actions.drain(..) {
                self.announce_supervising(&action);
                self.perform(action);
            }
        }
    }
}
