//! What happened: typed events, numbered, in a ring that anyone reads by number.
//!
//! `event` says what an event is and `payload` what a listener is sent of it; `record` numbers it and
//! tells it to people; `ring` keeps the last ones; `bulletin` shares the ring between the daemon's
//! turn, which adds, and sessions, which read: a reader costs a number, not a queue.
//!
//! All but `bulletin` is pure. Must never: do I/O, know a session or a process. Imports `config` and
//! `fleet`.

mod bulletin;
mod event;
mod payload;
mod record;
mod ring;

pub use bulletin::Bulletin;
pub use event::{Event, Output, StateChange, TickPeriod};
pub use record::{Facts, Record};
pub use ring::{Batch, Ring};
