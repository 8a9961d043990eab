//! The daemon: boot phase, the brain's turn, and the glue between the pure core and the world.
//!
//! Owns the order of things: what is read, decided, recorded and done, one turn after the other
//! (`turn.rs`).
//!
//! Must never: decide what a process does next (that is `fleet`), touch a log file (`logs`), or
//! call the kernel for a process (`launch`).

mod addresses;
mod announce;
mod answers;
mod begin;
pub mod boot;
mod brain;
mod detach;
mod doors;
mod ends;
mod farewell;
mod files;
mod history;
mod input;
mod leftovers;
mod listeners;
mod main_log;
mod measures;
mod memory;
pub mod options;
mod perform;
mod pidfile;
mod pipes;
mod plan;
mod processes;
mod questions;
mod reconfigure;
mod recover;
mod reopening;
mod sentences;
mod serving;
mod settings;
mod sockets;
mod starts;
mod status;
mod systemd;
mod trees;
mod turn;
mod upgrade;
mod wires;

pub use boot::boot;
pub use brain::run_brain;
pub use options::{BootOptions, Personality};
pub use upgrade::answer_if_candidate;
