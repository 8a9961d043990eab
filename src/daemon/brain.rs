//! The brain: its parts, how they are put together, and how they end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use async_std::channel::{Receiver, Sender, bounded};

use super::history::History;
use super::input::Inputs;
use super::listeners::{Listeners, Memory};
use super::main_log::{main_sink, start_main_log};
use super::options::Personality;
use super::pidfile;
use super::processes::{MAIN_LOG, Process, Slots};
use super::recover::{Legacy, read_legacy};
use super::sentences::{self, say};
use super::serving::{serve, take_listeners};
use super::settings::Settings;
use super::sockets::Sockets;
use super::systemd::Systemd;
use super::trees::Trees;
use super::turn::Outcome;
use crate::config::{self, Config, GroupConfig, RealHost, Source, SupervisordConfig};
use crate::control::measures::TurnTimes;
use crate::control::{Answer, LogDone, Question};
use crate::events::Bulletin;
use crate::fleet::{Event, Fleet, Moment, ProcessId, Stamp, State, Ticket};
use crate::keeper::{Inheritance, Ledger, Link, ParkKey, Slate, Watch};
use crate::launch::{self, Deaths, Launcher, Limits};
use crate::logs::{Plane, PlaneReport, Staging, StreamId, mainlog};

/// Questions that wait for the turn; sessions wait when there are more.
const QUESTIONS_MAX: usize = 256;

/// How long sessions have for the last answers.
const LAST_ANSWER_TIME: Duration = Duration::from_millis(100);

/// Everything the brain owns.
#[derive(Debug)]
pub struct Brain {
    /// The moment of the current turn.
    pub(super) now: Moment,
    pub(super) link: Link,
    pub(super) plane: Plane,
    pub(super) reports: Receiver<PlaneReport>,
    pub(super) questions: Receiver<Question>,
    pub(super) deaths: Deaths,
    pub(super) launcher: Launcher,
    pub(super) ledger: Ledger,

    pub(super) fleet: Fleet,
    pub(super) processes: BTreeMap<ProcessId, Process>,
    pub(super) slots: Slots,
    /// Groups in force.
    pub(super) groups: BTreeMap<String, GroupConfig>,
    /// Groups on their way into the fleet.
    pub(super) incoming: BTreeMap<String, GroupConfig>,
    /// The configuration as last read; clients add groups from it.
    pub(super) last_read: Config,
    /// `[supervisord]` as in force.
    pub(super) supervisord: SupervisordConfig,
    pub(super) source: Source,
    /// The machine, as seen from where the daemon was started.
    pub(super) host: RealHost,
    /// Under which name the daemon was started.
    pub(super) personality: Personality,
    pub(super) child_limits: Limits,
    pub(super) keeper_pid: i32,
    /// Nothing more will come from the keeper.
    pub(super) keeper_gone: bool,

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
    /// Processes to be recorded.
    pub(super) changed: BTreeSet<ProcessId>,
    pub(super) structure_changed: bool,

    pub(super) last_ticket: u64,
    pub(super) askers: BTreeMap<Ticket, async_std::channel::Sender<Answer>>,
    /// Answers that come in several parts: how many are still to come.
    pub(super) parts: BTreeMap<Ticket, usize>,
    /// Who waits for what is being done to a log.
    pub(super) log_deeds: BTreeMap<(StreamId, LogDone), Vec<Ticket>>,
    pub(super) listeners: Listeners,
    pub(super) inputs: Inputs,
    pub(super) history: History,
    /// User id of whoever asked for what is being decided.
    pub(super) asked_by: Option<u32>,
    /// What programs left behind.
    pub(super) trees: Trees,
    /// Open sockets of FastCGI programs.
    pub(super) sockets: Sockets,
    /// What happened, for whoever reads it.
    pub(super) bulletin: Bulletin,
    /// Groups are being put into an empty fleet: the daemon does not supervise yet.
    pub(super) introducing: bool,
    /// Why what the predecessor left cannot be read, if so: see [`Brain::stand_by`].
    pub(super) unreadable_past: Option<String>,
    /// Brains died in a row: nothing is changed, see [`Brain::refuses`].
    pub(super) safe_mode: bool,
    /// The settings as they were left, for a candidate to read.
    pub(super) settings_memory: OwnedFd,
    /// An upgrade is being tried.
    pub(super) upgrading: bool,
    /// Where it is said that nothing came of it.
    pub(super) upgrade_over: Sender<()>,
    pub(super) upgrades_over: Receiver<()>,
    /// Has this brain replaced when a turn takes too long.
    pub(super) watch: Option<Watch>,
    /// Who started us, if it wants to be told how we are.
    pub(super) systemd: Option<Systemd>,
    pub(super) finished: Option<Outcome>,
    pub(super) turn_times: TurnTimes,
    /// A client asked for the end, and waits for the answer.
    pub(super) asked_to_end: bool,
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

async fn live(link: Link, inheritance: Inheritance) -> Result<u8, String> {
    let Inheritance {
        incarnation,
        parked,
        exits,
        keeper_pid,
        duty,
    } = inheritance;
    let mut parked: BTreeMap<ParkKey, OwnedFd> = parked.into_iter().collect();
    let asker = parked.remove(&ParkKey::Asker);
    let settings_memory = take(&mut parked, ParkKey::Settings)?;
    let settings = Settings::read(&settings_memory)
        .map_err(|error| format!("the settings left by the boot phase: {error}"))?;
    let (ledger, contents) = Ledger::open(take(&mut parked, ParkKey::Ledger)?)
        .map_err(|error| format!("the ledger: {error}"))?;
    let legacy = parked
        .remove(&ParkKey::Structure)
        .map(|structure| read_legacy(&structure, contents));
    let source = settings.source();
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
    serve(&settings, take_listeners(&mut parked), &ask);
    let deaths = Deaths::new().map_err(|error| format!("the set of pidfds: {error}"))?;
    let (slate, memory) =
        open_slate(&mut parked, &link).map_err(|error| format!("the memory of events: {error}"))?;
    let listeners = Listeners::new(slate, memory.last_event)
        .map_err(|error| format!("the set of listeners' pipes: {error}"))?;
    let history = History::open(&settings, &supervisord)?;
    let trees = Trees::new(ledger.as_fd()).map_err(|error| format!("the ledger: {error}"))?;
    let (upgrade_over, upgrades_over) = bounded(1);
    let launcher = Launcher::new()
        .map_err(|error| format!("starting the thread that starts programs: {error}"))?;
    let mut brain = Brain {
        now: launch::now(),
        link,
        plane,
        reports,
        questions,
        deaths,
        launcher,
        ledger,
        fleet: Fleet::new(),
        processes: BTreeMap::new(),
        slots: Slots::default(),
        groups: BTreeMap::new(),
        incoming: BTreeMap::new(),
        last_read: settings.empty_config(),
        supervisord,
        source,
        host: RealHost::seen_from(settings.started_in.clone()),
        personality: settings.options.personality,
        child_limits: settings.child_limits,
        keeper_pid,
        keeper_gone: false,
        events: VecDeque::new(),
        opening: BTreeMap::new(),
        starts: VecDeque::new(),
        endings: BTreeMap::new(),
        lost: BTreeMap::new(),
        changed: BTreeSet::new(),
        structure_changed: false,
        last_ticket: 0,
        askers: BTreeMap::new(),
        parts: BTreeMap::new(),
        log_deeds: BTreeMap::new(),
        inputs: Inputs::default(),
        listeners,
        history,
        asked_by: None,
        trees,
        sockets: Sockets::new(),
        bulletin: Bulletin::continuing(memory.last_event),
        introducing: false,
        unreadable_past: None,
        safe_mode: duty.safe_mode,
        settings_memory,
        upgrading: false,
        upgrade_over,
        upgrades_over,
        watch: None,
        systemd: None,
        finished: None,
        turn_times: TurnTimes::default(),
        asked_to_end: false,
    };
    brain.begin_watch();
    match legacy {
        Some(Ok(legacy)) => {
            brain.continue_with(legacy, memory, parked, exits, incarnation);
            if incarnation == 1 {
                brain.begin_after_all(&settings);
            }
        }
        Some(Err(reason)) => brain.stand_by(exits, reason),
        None => brain.begin(&settings)?,
    }
    brain.tell_ready();
    if let Some(outcome) = duty.upgrade {
        brain.tell_upgrade(outcome, asker);
    }
    brain.meet_systemd();
    if settings.detached {
        super::detach::let_go_of_terminal();
    }
    let code = loop {
        match brain.turns().await {
            Outcome::StartOver => brain.begin_again(&settings),
            Outcome::Shutdown(code) => break code,
        }
    };
    if brain.asked_to_end {
        // Where nothing had to be stopped, the answer may still be on its way to the client.
        async_std::task::sleep(LAST_ANSWER_TIME).await;
    }
    Ok(brain.leave(&settings, code))
}

impl Brain {
    /// The first brain: reads the configuration and starts what is to be started.
    fn begin(&mut self, settings: &Settings) -> Result<(), String> {
        let loaded = config::load(&self.host, &self.source)
            .map_err(|diagnostics| diagnostics.to_string())?;
        // Warnings first, as Supervisor has them; the order is otherwise that of the file.
        let mut notices = loaded.notices;
        notices.sort_by_key(|notice| notice.severity);
        for notice in &notices {
            say(sentences::notice(notice));
        }
        for sentence in &settings.notes {
            say(sentence.clone().into());
        }
        self.last_read = loaded.config;
        self.fleet.end_when(settings.options.exit_when);
        self.clean_auto_logs();
        pidfile::write(&self.supervisord, self.keeper_pid);
        say(sentences::started(self.keeper_pid));
        self.add_all();
        self.chronicle_programs();
        Ok(())
    }

    /// The first brain of a daemon that found living programs of one that was killed: what differs
    /// from the file is changed as an update would.
    fn begin_after_all(&mut self, settings: &Settings) {
        for sentence in &settings.notes {
            say(sentence.clone().into());
        }
        pidfile::write(&self.supervisord, self.keeper_pid);
        say(sentences::started(self.keeper_pid));
        self.structure_changed = true;
        self.follow_last_read();
        self.settle();
    }

    /// After a reload: the same, with the configuration read before everything was stopped.
    fn begin_again(&mut self, settings: &Settings) {
        self.finished = None;
        self.fleet = Fleet::new();
        self.fleet.end_when(settings.options.exit_when);
        let gone = std::mem::take(&mut self.processes);
        for (id, process) in gone {
            for channel in process.channels() {
                self.plane.forget(super::processes::stream_of(id, *channel));
            }
            self.vacate(process.slot);
        }
        self.slots = Slots::default();
        self.opening.clear();
        self.listeners.clear();
        self.groups.clear();
        self.incoming.clear();
        self.changed.clear();
        self.structure_changed = true;
        self.follow_supervisord();
        for sentence in settings.notes.iter().filter(|note| note.lasting) {
            say(sentence.clone().into());
        }
        self.clean_auto_logs();
        say(sentences::started(self.keeper_pid));
        if self.last_read.servers != settings.configured_servers {
            say(sentences::warning(
                "[unix_http_server] or [inet_http_server] was changed: the sockets and passwords \
                 stay as they were until the daemon itself is restarted",
            ));
        }
        self.add_all();
    }

    /// Puts the `[supervisord]` last read in force. The pid file stays where it was written.
    pub(super) fn follow_supervisord(&mut self) {
        let pidfile = std::mem::take(&mut self.supervisord.pidfile);
        self.supervisord = SupervisordConfig {
            pidfile,
            ..self.last_read.supervisord.clone()
        };
        mainlog::set_level(self.supervisord.loglevel);
        self.plane.prepare(MAIN_LOG, main_sink(&self.supervisord));
        self.structure_changed = true;
    }

    fn continue_with(
        &mut self,
        legacy: Legacy,
        memory: Memory,
        parked: BTreeMap<ParkKey, OwnedFd>,
        exits: Vec<crate::keeper::ExitRecord>,
        incarnation: u32,
    ) {
        if self.safe_mode {
            say(sentences::safe_mode());
        }
        // What clients may `add` is the file as it is now; what runs is what was in force. From
        // something that is not a file, such as a pipe, it cannot be read again.
        let file = self.source.file.as_deref();
        let readable = !self.safe_mode && file.is_none_or(|file| file.is_file());
        if readable && let Ok(loaded) = config::load(&self.host, &self.source) {
            self.last_read = loaded.config;
        }
        self.take_over(legacy, memory, parked, exits, incarnation);
        self.settle();
    }

    fn begin_watch(&mut self) {
        match self.link.watch() {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => say(sentences::trouble(format!(
                "a brain that hangs will not be replaced: {error}"
            ))),
        }
    }

    /// Says to systemd, if that started us, that we serve.
    fn meet_systemd(&mut self) {
        match Systemd::of_environment(self.keeper_pid) {
            Ok(systemd) => self.systemd = systemd,
            Err(error) => say(sentences::warning(format!(
                "NOTIFY_SOCKET is of no use: {error}"
            ))),
        }
        self.tell_systemd();
    }

    fn tell_ready(&self) {
        if let Err(error) = self.link.ready() {
            say(sentences::critical(format!(
                "telling the keeper that we serve: {error}"
            )));
        }
    }

    /// Closes and opens every log file.
    pub(super) fn reopen_logs(&mut self) {
        self.plane.reopen_all();
        say(sentences::reopened());
    }

    /// The end: answers who still waits, removes what we made, drains the main log.
    fn leave(self, settings: &Settings, code: u8) -> u8 {
        for (_, asker) in self.askers {
            super::questions::send(&asker, Answer::Done);
        }
        if self.source.single.is_some() {
            for process in self.fleet.processes() {
                if let (State::Fatal, Some(reason)) = (process.state(), process.spawn_error()) {
                    eprintln!("appctl: {}: {reason}", process.name());
                }
            }
        }
        pidfile::remove(&self.supervisord, self.keeper_pid);
        settings.remove_sockets();
        settings.remove_holder_socket();
        self.trees.close();
        self.history.finish();
        self.plane.finish();
        if let Err(error) = self.link.leave(code) {
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
