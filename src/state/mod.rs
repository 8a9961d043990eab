//! What outlives the daemon, on a disk: the last runs of every program, and which programs are not
//! to be started with it.
//!
//! One small file for each program's runs, one for all that are disabled, replaced as a whole: written
//! beside, synced, renamed. A thread does that, and alone knows the disk, so one that hangs costs
//! history and nothing else. A file that cannot be read is moved aside, told of, and begun anew.
//!
//! Must never: be waited for by the turn; decide whether a program is started.

mod clerk;
mod run;
mod shelf;

pub use clerk::{Clerk, Tell};
pub use run::{Place, RUNS_MAX, Run};
pub use shelf::Shelf;
