//! The log plane: every byte a program writes, from its pipe to its file, on one thread.
//!
//! Raw streams go by two splices, program pipe → staging pipe → file at offset = file size, so a
//! SIGKILL at any moment neither loses nor doubles a byte (the staging pipe is parked in the
//! keeper; a word in shared memory says whose bytes it holds). Streams that must be looked at go
//! through a chain of transformations on that way. Rotation is decided by pure code and done by file-rotate.
//!
//! Must never: decide about processes, talk to clients, let the failure of one file reach another
//! stream.

mod allowance;
mod archive;
pub mod auto;
mod budget;
mod capture;
mod chain;
mod compress;
mod counts;
mod excerpt;
mod format;
mod line_end;
mod lines;
mod link;
mod losses;
pub mod mainlog;
mod merge;
mod message;
mod moments;
mod moving;
pub mod names;
mod outlet;
mod pace;
pub mod plane;
pub mod read;
mod retention;
mod rotate;
pub mod rotation;
mod search;
mod shed;
mod shedding;
mod sink;
mod sources;
mod splice;
mod stall;
mod stream;
mod streams;
mod strip;
mod survey;
mod syslog;
mod target;
mod telling;
mod thread;
mod tidy;
mod times;
mod upkeep;
mod withhold;

pub use excerpt::Excerpt;
pub use format::Format;
pub use lines::{LINE_MAX, Mark, Wish};
pub use merge::{Batch, Merge, Run, Source};
pub use message::Origin;
pub use moments::{Moments, Timeline};
pub use outlet::OutletConfig;
pub use plane::*;
pub use survey::Holdings;
pub use syslog::Syslog;
