//! The brain: its parts, how they are put together, and how they end.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use async_std::channel::{Receiver, bounded};

use super::addresses::Addresses;
use super::answers::{Answers, Asker};
use super::history::History;
use super::input::Inputs;
use super::listeners::{Listeners, Memory};
use super::main_log::start_main_log;
use super::memory::Records;
use super::options::Personality;
use super::pidfile;
use super::processes::Process;
use super::reconfigure::Configuration;
use super::recover::{Legacy, read_legacy};
use super::sentences::{self, say};
use super::serving::{Served, serve, take_listeners};
use super::settings::Settings;
use super::sockets::Sockets;
use super::systemd::Systemd;
use super::trees::Trees;
use super::turn::Outcome;
use super::upgrade::Upgrades;
use crate::control::Question;
use crate::control::measures::TurnTimes;
use crate::events::Bulletin;
use crate::fleet::{Event, Fleet, Moment, ProcessId, Stamp, State};
use crate::keeper::{ExitRecord, Inheritance, Ledger, Link, ParkKey, Slate, Watch};
use crate::launch::{self, Deaths, Launcher, Limits, OomKills};
use crate::logs::{Plane, PlaneReport, Staging};
use crate::ordered;

/// Questions that wait for the turn; sessions wait when there are more.
const QUESTIONS_MAX: usize = 256;

/// How long sessions have for the last answers.
const LAST_ANSWER_TIME: Duration = Duration::from_millis(100);

/// Everything the brain owns.
#[derive(Debug)]
pub struct Brain {
    /// The moment of the current turn.
    pub(super) now: Moment,
    pub(super) keeper: Keeper,
    pub(super) plane: Plane,
    pub(super) reports: Receiver<PlaneReport>,
    pub(super) questions: Receiver<Question>,
    pub(super) served: Served,
    pub(super) deaths: Deaths,
    pub(super) oom_kills: OomKills,
    pub(super) launcher: Launcher,
    pub(super) records: Records,

    pub(super) fleet: Fleet,
    pub(super) processes: BTreeMap<ProcessId, Box<Process>>,
    pub(super) configuration: Configuration,
    /// Under which name the daemon was started.
    pub(super) personality: Personality,
    pub(super) child_limits: Limits,

    /// What the fleet has not been told yet.
    pub(super) events: VecDeque<Event>,
    /// Starts whose log files are being opened, with the end of patience.
    pub(super) opening: BTreeMap<ProcessId, Stamp>,
    /// Processes whose log files are open and that wait to be started.
    pub(super) starts: VecDeque<ProcessId>,
    /// Programs that ended and whose output is drained, with the end of patience.
    pub(super) endings: BTreeMap<ProcessId, Stamp>,
    /// Programs that were gone when looked for, with the end of patience for the keeper's word.
    pub(super) lost: BTreeMap<ProcessId, Stamp>,
    /// What programs left behind.
    pub(super) trees: Trees,

    pub(super) answers: Answers,
    /// User id of whoever asked for what is being decided.
    pub(super) asked_by: Option<u32>,
    /// A client asked for the end, and waits for the answer.
    pub(super) asked_to_end: bool,
    /// What happened, for whoever reads it.
    pub(super) bulletin: Bulletin,
    pub(super) listeners: Listeners,
    /// What clients write to programs.
    pub(super) inputs: Inputs,
    pub(super) history: History,
    /// Open sockets of FastCGI programs.
    pub(super) sockets: Sockets,
    /// The hosts they name.
    pub(super) addresses: Addresses,
    pub(super) upgrades: Upgrades,

    /// Groups are being put into an empty fleet: the daemon does not supervise yet.
    pub(super) introducing: bool,
    /// Why what the predecessor left cannot be read, if so: see [`Brain::stand_by`].
    pub(super) unreadable_past: Option<String>,
    /// Brains died in a row: nothing is changed, see [`Brain::refuses`].
    pub(super) safe_mode: bool,
    /// Has this brain replaced when a turn takes too long.
    pub(super) watch: Option<Watch>,
    /// Who started us, if it wants to be told how we are.
    pub(super) systemd: Option<Systemd>,
    pub(super) turn_times: TurnTimes,
    pub(super) finished: Option<Outcome>,
}

/// The keeper, as its brain sees it.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) pid: i32,
    pub(super) link: Link,
    /// Nothing more will come from it.
    pub(super) gone: bool,
}

/// Runs a brain to its end: the whole life of the process.
///
/// Not to be inlined: what it needs of the stack would be touched by every other role as well, a
/// hundred kilobytes in each process. For the same reason its future is on the heap.
#[inline(never)]
pub fn run_brain(link: Link, inheritance: Inheritance) -> ExitCode {
    launch::share_one_heap();
    let code = match async_std::task::block_on(Box::pin(live(link, inheritance))) {
        Ok(code) => code,
        Err(reason) => {
            eprintln!("Error: {reason}");
            say(sentences::critical(reason));
            2
        }
    };
    ExitCode::from(code)
}

/// What is done with once a brain has begun.
struct Past {
    settings: Settings,
    legacy: Option<Result<Legacy, String>>,
    memory: Memory,
    parked: BTreeMap<ParkKey, OwnedFd>,
    exits: Vec<ExitRecord>,
    incarnation: u32,
    upgrade: Option<Result<(), String>>,
    asker: Option<OwnedFd>,
}

async fn live(link: Link, inheritance: Inheritance) -> Result<u8, String> {
    let (mut brain, past) = assemble(link, inheritance)?;
    let mut settings = past.settings;
    brain.begin_watch();
    match past.legacy {
        Some(Ok(legacy)) => {
            let first = past.incarnation == 1;
            brain.continue_with(
                legacy,
                past.memory,
                past.parked,
                past.exits,
                past.incarnation,
            );
            if first {
                brain.begin_after_all(&settings);
            }
        }
        Some(Err(reason)) => brain.stand_by(past.exits, reason),
        None => brain.begin(&settings)?,
    }
    brain.tell_ready();
    if let Some(outcome) = past.upgrade {
        brain.tell_upgrade(outcome, past.asker);
    }
    brain.meet_systemd();
    if settings.detached {
        launch::let_go_of_terminal();
    }
    let code = loop {
        match brain.turns().await {
            Outcome::StartOver => {
                brain.follow_servers(&mut settings).await;
                brain.begin_again(&settings);
            }
            Outcome::Shutdown(code) => break code,
        }
    };
    if brain.asked_to_end {
        // Where nothing had to be stopped, the answer may still be on its way to the client.
        async_std::task::sleep(LAST_ANSWER_TIME).await;
    }
    Ok(brain.leave(&settings, code))
}

/// Puts the parts together, from what the keeper holds.
fn assemble(link: Link, inheritance: Inheritance) -> Result<(Brain, Past), String> {
    let Inheritance {
        incarnation,
        parked,
        exits,
        keeper_pid,
        duty,
    } = inheritance;
    let mut parked: BTreeMap<ParkKey, OwnedFd> = ordered::map(parked);
    let asker = parked.remove(&ParkKey::Asker);
    let settings_memory = take(&mut parked, ParkKey::Settings)?;
    let settings = Settings::read(&settings_memory)
        .map_err(|error| format!("the settings left by the boot phase: {error}"))?;
    let (ledger, contents) = Ledger::open(take(&mut parked, ParkKey::Ledger)?)
        .map_err(|error| format!("the ledger: {error}"))?;
    let legacy = parked
        .remove(&ParkKey::Structure)
        .map(|structure| read_legacy(&structure, contents));
    let supervisord = match &legacy {
        Some(Ok(legacy)) if incarnation > 1 => legacy.structure.supervisord.clone(),
        _ => settings.supervisord.clone(),
    };

    let staging = Staging {
        read: take(&mut parked, ParkKey::StagingRead)?,
        write: take(&mut parked, ParkKey::StagingWrite)?,
        owner: take(&mut parked, ParkKey::StagingOwner)?,
    };
    let (plane, reports) =
        Plane::start(staging).map_err(|error| format!("starting the log thread: {error}"))?;
    start_main_log(&plane, &supervisord, &settings, keeper_pid, &mut parked)?;

    let (ask, questions) = bounded(QUESTIONS_MAX);
    let served = serve(&settings, take_listeners(&mut parked), &ask)
        .map_err(|error| format!("serving: {error}"))?;
    let deaths = Deaths::new().map_err(|error| format!("the set of pidfds: {error}"))?;
    let (slate, memory) =
        open_slate(&mut parked, &link).map_err(|error| format!("the memory of events: {error}"))?;
    let listeners = Listeners::new(slate, memory.last_event)
        .map_err(|error| format!("the set of listeners' pipes: {error}"))?;
    let history = History::open(&settings, &supervisord)?;
    let trees = Trees::new(ledger.as_fd()).map_err(|error| format!("the ledger: {error}"))?;
    let births = ledger.as_fd().try_clone_to_owned();
    let launcher = births
        .and_then(Launcher::new)
        .map_err(|error| format!("starting the thread that starts programs: {error}"))?;
    let brain = Brain {
        now: launch::now(),
        keeper: Keeper {
            pid: keeper_pid,
            link,
            gone: false,
        },
        plane,
        reports,
        questions,
        served,
        deaths,
        oom_kills: OomKills::from_now_on(),
        launcher,
        records: Records::new(ledger, settings_memory),
        fleet: Fleet::new(),
        processes: BTreeMap::new(),
        configuration: Configuration::new(&settings, supervisord),
        personality: settings.options.personality,
        child_limits: settings.child_limits,
        events: VecDeque::new(),
        opening: BTreeMap::new(),
        starts: VecDeque::new(),
        endings: BTreeMap::new(),
        lost: BTreeMap::new(),
        trees,
        answers: Answers::default(),
        asked_by: None,
        asked_to_end: false,
        bulletin: Bulletin::continuing(memory.last_event),
        listeners,
        inputs: Inputs::default(),
        history,
        sockets: Sockets::new(),
        addresses: Addresses::new(),
        upgrades: Upgrades::new(),
        introducing: false,
        unreadable_past: None,
        safe_mode: duty.safe_mode,
        watch: None,
        systemd: None,
        turn_times: TurnTimes::default(),
        finished: None,
    };
    let past = Past {
        settings,
        legacy,
        memory,
        parked,
        exits,
        incarnation,
        upgrade: duty.upgrade,
        asker,
    };
    Ok((brain, past))
}

impl Brain {
    fn begin_watch(&mut self) {
        match self.keeper.link.watch() {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => say(sentences::trouble(format!(
                "a brain that hangs will not be replaced: {error}"
            ))),
        }
    }

    /// Says to systemd, if that started us, that we serve.
    fn meet_systemd(&mut self) {
        match Systemd::of_environment(self.keeper.pid) {
            Ok(systemd) => self.systemd = systemd,
            Err(error) => say(sentences::warning(format!(
                "NOTIFY_SOCKET is of no use: {error}"
            ))),
        }
        self.tell_systemd();
    }

    fn tell_ready(&self) {
        if let Err(error) = self.keeper.link.ready() {
            say(sentences::critical(format!(
                "telling the keeper that we serve: {error}"
            )));
        }
    }

    /// Closes and opens every log file; who asked is told when that is done.
    pub(super) fn reopen_logs(&mut self, asker: Asker) {
        self.answers.await_reopened(asker);
        self.plane.reopen_all();
        say(sentences::reopened());
    }

    /// The end: answers who still waits, removes what we made, drains the main log.
    fn leave(self, settings: &Settings, code: u8) -> u8 {
        self.answers.end();
        if self.configuration.source.single.is_some() {
            for process in self.fleet.processes() {
                if let (State::Fatal, Some(reason)) = (process.state(), process.spawn_error()) {
                    eprintln!("appctl: {}: {reason}", process.name());
                }
            }
        }
        pidfile::remove(&self.configuration.supervisord, self.keeper.pid);
        settings.remove_sockets();
        settings.remove_holder_socket();
        self.trees.close();
        self.history.finish();
        self.plane.finish();
        if let Err(error) = self.keeper.link.leave(code) {
            eprintln!("appctl: telling the keeper goodbye: {error}");
        }
        code
    }
}

pub(super) fn take(
    parked: &mut BTreeMap<ParkKey, OwnedFd>,
    key: ParkKey,
) -> Result<OwnedFd, String> {
    parked
        .remove(&key)
        .ok_or_else(|| format!("the keeper does not hold {key:?}"))
}

/// What is remembered of events and listeners; begun anew by the first brain of all.
fn open_slate(parked: &mut BTreeMap<ParkKey, OwnedFd>, link: &Link) -> io::Result<(Slate, Memory)> {
    let keys = [ParkKey::EventsEven, ParkKey::EventsOdd];
    if let [Some(even), Some(odd)] = keys.map(|key| parked.remove(&key)) {
        let (slate, bytes) = Slate::open([even, odd])?;
        // What cannot be read is as good as nothing: listeners are then started again.
        let memory = bytes.and_then(|bytes| Memory::read(&bytes));
        return Ok((slate, memory.unwrap_or_default()));
    }
    let slate = Slate::create()?;
    let [even, odd] = slate.copies();
    link.park(&[(ParkKey::EventsEven, even), (ParkKey::EventsOdd, odd)])?;
    Ok((slate, Memory::default()))
}
