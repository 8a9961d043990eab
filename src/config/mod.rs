//! Configuration: text and facts about the host in, a typed [`Config`] or [`Diagnostics`] out.
//!
//! Owns the grammar of `supervisord.conf`, the one table of options, expansion of `%(name)s`,
//! and the difference between two configurations. Everything is a function of its arguments:
//! files, users, environment and host name come through the [`Host`] trait.
//!
//! Must never: start, open or change anything; print; import another module of this crate.

pub mod model;

pub use model::*;
