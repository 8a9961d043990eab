//! Configuration: text and facts about the host in, a typed [`Config`] or [`Diagnostics`] out.
//!
//! Owns the grammar of `supervisord.conf`, the one table of options, expansion of `%(name)s`,
//! and the difference between two configurations. Everything is a function of its arguments:
//! files, users, environment and host name come through the [`Host`] trait.
//!
//! Must never: start, open or change anything; print.

mod command;
mod destination;
mod diagnostic;
mod differences;
mod environment;
mod event_type;
mod expand;
mod fake;
mod fast_cgi;
mod files;
mod glob;
mod groups;
mod host;
mod ini;
mod log_limits;
mod logfile;
pub mod model;
mod nearest;
pub mod options;
mod paths;
mod programs;
mod python;
mod read;
mod reader;
pub mod revision;
mod sample;
mod scan;
pub mod search;
mod servers;
mod signal;
mod supervisorctl;
mod supervisord;
mod value;

pub use command::{CommandProblem, split_command};
pub use destination::{Destination, SyslogForm, SyslogStyle};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, by_place};
pub use differences::Differences;
pub use event_type::EventType;
pub use fake::FakeHost;
pub use host::{Host, RealHost, User};
pub use log_limits::{LogBudget, MinFree};
pub use logfile::{Compression, LogFileConfig, Owner, RotatePeriod, RotateSuffix};
pub use model::*;
pub use nearest::nearest;
pub use python::bytes_repr;
pub use read::{Loaded, Override, Single, Source, load};
pub use revision::{OptionChange, readable_bytes};
pub use sample::sample;
pub use search::default_socket;
pub use servers::first_socket;
pub use signal::SignalProblem;
pub use supervisorctl::load_supervisorctl;
pub use value::integer;
