//! appctl: a process supervisor that reads `supervisord.conf`.
//!
//! One binary plays three roles (see ARCHITECTURE.md): the *keeper*, the pid people see, which
//! holds descriptors and exit statuses; the *brain*, which decides and serves; the *client*.
//!
//! The modules, in reading order. Each may import those above it in the table of
//! ARCHITECTURE.md, which a test checks against every `use`.

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod client;
pub mod config;
pub mod control;
pub mod daemon;
pub mod events;
pub mod fleet;
pub mod http;
pub mod keeper;
pub mod launch;
pub mod logs;
pub mod ordered;
pub mod state;
