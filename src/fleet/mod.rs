//! The pure core: what every process does next, and why.
//!
//! [`Fleet::handle`] takes a moment and an event and appends [`Action`]s; [`Fleet::next_deadline`]
//! says when it wants to be woken. It owns processes, groups and the jobs that clients asked for.
//!
//! Must never: read a clock, do I/O, await, draw random numbers, iterate in hash order. Imports
//! only `config` (for [`Policy`](crate::config::Policy)).

pub mod event;
pub mod name;
pub mod state;

pub use event::*;
pub use name::*;
pub use state::*;
