//! The line protocol on the unix socket: codec, verbs, sessions (docs/protocol.md).
//!
//! From the text outwards: `word` and `line` are the codec; `verbs`, `arguments`, `selector`, `since`
//! and `request` read what is asked; `question` is what the daemon's turn sees of it; `answer`,
//! `facts`, `uptime` and `codes` write what it says. All of that is pure. `listener` makes the socket at boot;
//! `server`, `seats`, `connection`, `session`, `logs`, `peer` and `follow` serve it.
//!
//! Must never: change anything itself. A session turns lines into [`Question`]s for the daemon's
//! turn and [`Answer`]s into lines; it reads log files by offset and events by number.

pub mod answer;
mod arguments;
pub mod codes;
mod connection;
pub mod facts;
pub mod follow;
pub mod limits;
pub mod line;
pub mod listener;
mod logs;
pub mod measures;
mod peer;
pub mod question;
pub mod request;
mod runs;
pub mod seats;
pub mod selector;
pub mod server;
mod session;
mod since;
mod uptime;
pub mod verb;
pub mod verbs;
mod word;

pub use question::*;
pub use runs::{RunFacts, RunView};
pub use uptime::uptime;
