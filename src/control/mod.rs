//! The line protocol on the unix socket: codec, verbs, sessions (docs/protocol.md).
//!
//! Must never: change anything itself. A session turns lines into [`Question`]s for the daemon's
//! turn and [`Answer`]s into lines; it reads log files by offset. Imports `config`, `fleet`, `logs`.

pub mod answer;
mod arguments;
pub mod codes;
pub mod line;
pub mod question;
pub mod request;
pub mod selector;
mod signals;
pub mod verbs;
mod word;

pub use question::*;
