//! What `supervisorctl` asks of a supervisord, whichever way it is asked: by our line protocol or
//! by XML-RPC. What is asked and what is said about the answers is the same for both.
//!
//! Must never: word a sentence, print anything but the bytes of logs.

use std::rc::Rc;

use super::connect::{self, Address, Spoken, Unreachable};
use super::dialogue::{self, Refused, Report};
use super::fg::Ending;
use super::input::Input;
use super::interrupt::Interrupts;
use super::line_server::LineServer;
use super::rpc_server::RpcServer;
use super::session::Lost;
use super::words::{self, Deed, Unreached};
use crate::control::{AvailView, DifferenceKind, ProcessView};
use crate::fleet::ProcessName;

/// An answer: what was asked for, or the server's reason, unless there was no answer at all.
pub type Asked<T> = Result<Result<T, Refused>, Trouble>;

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The server cannot be reached.
    Unreached(Unreached),
    /// It wants a user name and a password, or others.
    LoginNeeded,
    /// It runs, and does not serve `supervisorctl`.
    NoInterface,
    /// It has another version of the interface.
    OtherVersion(String),
    /// It serves nothing at the moment.
    Refused(Refused),
    /// The conversation broke off.
    Lost(Lost),
}

impl From<Lost> for Trouble {
    fn from(lost: Lost) -> Trouble {
        Trouble::Lost(lost)
    }
}

impl From<Unreachable> for Trouble {
    fn from(unreachable: Unreachable) -> Trouble {
        Trouble::Unreached(unreachable.unreached())
    }
}

impl From<dialogue::Trouble> for Trouble {
    fn from(trouble: dialogue::Trouble) -> Trouble {
        match trouble {
            dialogue::Trouble::Unreachable(unreachable) => unreachable.into(),
            dialogue::Trouble::Lost(lost) => lost.into(),
        }
    }
}

/// Which processes something is to be done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// All there are.
    All,
    /// All of a group.
    Group(&'a str),
    /// The one that is named like this: `name` or `group:name`.
    Process(&'a str),
}

impl<'a> Target<'a> {
    /// What a word on the command line means.
    pub fn of(word: &'a str) -> Target<'a> {
        match word {
            "all" => Target::All,
            _ if words::names_group(word) => Target::Group(words::group_of(word)),
            _ => Target::Process(word),
        }
    }
}

/// What is to be done to processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order<'a> {
    /// What.
    pub deed: Deed,
    /// With which signal; empty where none is sent.
    pub signal: &'a str,
}

/// A log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log<'a> {
    /// The daemon's own.
    Main,
    /// One output of a process, named as it was typed.
    Of {
        /// The process.
        name: &'a str,
        /// `stdout` or `stderr`.
        channel: &'a str,
    },
}

impl Log<'_> {
    /// Where HTTP has it.
    pub fn path(&self) -> String {
        match self {
            Log::Main => "/mainlogtail".to_string(),
            Log::Of { name, channel } => format!("/logtail/{name}/{channel}"),
        }
    }
}

/// A part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The last so many bytes.
    Last(u64),
    /// Everything from this offset on: `-0` is the whole log.
    From(u64),
}

/// How following a log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Following {
    /// Ctrl-C.
    Interrupted,
    /// There is no more.
    Ended,
    /// It could not be followed, as this status of HTTP says.
    Refused(u16),
}

/// A supervisord.
pub trait Server: std::fmt::Debug {
    /// Makes sure that it serves, as Supervisor's client does before most commands.
    fn check(&mut self) -> Result<(), Trouble>;
    /// All processes, by group and name.
    fn processes(&mut self) -> Asked<Vec<ProcessView>>;
    /// Its process id.
    fn pid(&mut self) -> Asked<String>;
    /// The version of Supervisor that it is, or answers as.
    fn version(&mut self) -> Asked<String>;
    /// Starts, stops, signals or clears, and tells of each process what became of it.
    fn carry_out(
        &mut self,
        order: Order<'_>,
        target: Target<'_>,
        on: &mut dyn FnMut(&Report),
    ) -> Asked<()>;
    /// Every process of the configuration last read.
    fn available(&mut self) -> Asked<Vec<AvailView>>;
    /// Has the configuration read again; the groups that differ, of each kind in its order.
    fn reread(&mut self) -> Asked<Vec<(String, DifferenceKind)>>;
    /// Takes a group of the configuration last read into use.
    fn add(&mut self, group: &str) -> Asked<()>;
    /// Takes a stopped group out of use.
    fn remove(&mut self, group: &str) -> Asked<()>;
    /// Lets it stop everything and start over.
    fn restart(&mut self) -> Asked<()>;
    /// Lets it stop everything and end.
    fn shut_down(&mut self) -> Asked<()>;
    /// A part of a log, in pieces.
    fn read_log(&mut self, log: Log<'_>, part: Part, on: &mut dyn FnMut(&[u8])) -> Asked<()>;
    /// Writes what is in a log, and what comes, to standard output, until Ctrl-C.
    fn follow(&mut self, log: Log<'_>) -> Result<Following, Trouble>;
    /// Connects this terminal to a process, until either leaves.
    fn foreground(&mut self, name: &ProcessName, input: &mut Input) -> Result<Ending, Trouble>;
}

/// User name and password for a server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// Who; Supervisor's client sends nothing without a name or a password.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// Reaches the server at an address, and finds out what it speaks: the line protocol where it is
/// ours and asks for no password, else XML-RPC.
pub fn reach(
    address: &Address,
    login: &Login,
    interrupts: Option<Rc<Interrupts>>,
) -> Result<Box<dyn Server>, Trouble> {
    if let Address::Unix(path) = address
        && let Spoken::Line(session, greeting) = connect::greet(path, interrupts.clone())?
    {
        return Ok(Box::new(LineServer::new(
            address.clone(),
            session,
            greeting,
            interrupts,
        )));
    }
    Ok(Box::new(RpcServer::new(address.clone(), login, interrupts)))
}
