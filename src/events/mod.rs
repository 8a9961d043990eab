//! What happened: typed events, numbered, in a ring that anyone reads by number, and the listeners
//! that are told of them.
//!
//! `event` says what an event is and `payload` what a listener is sent of it. For people: `record`
//! numbers it; `ring` keeps the last ones; `bulletin` shares the ring between the daemon's turn, which
//! adds, and sessions, which read: a reader costs a number, not a queue. For listeners: `pools` hand
//! events to each `pool` that wants them, `dialogue` understands what a listener says, `ticks` know
//! when time itself is an event, `waiting` is what a successor is told of the pools' buffers.
//!
//! All but `bulletin` is pure. Must never: do I/O, know a session or a process.

mod bulletin;
mod dialogue;
mod event;
mod payload;
mod pool;
mod pools;
mod record;
mod ring;
mod ticks;
mod waiting;

pub use bulletin::Bulletin;
pub use dialogue::ListenerState;
pub use event::{Event, Output, StateChange, TickPeriod};
pub use pool::{Note, Pool};
pub use pools::Pools;
pub use record::{Facts, Record};
pub use ring::{Batch, Ring};
pub use waiting::Waiting;
