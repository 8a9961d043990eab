//! daemon
pub mod options;

pub use options::*;

use std::process::ExitCode;

use crate::keeper::{Inheritance, Link};

/// Starts the daemon: reads the configuration, then becomes the keeper.
pub fn boot(options: BootOptions) -> ExitCode {
    let _ = options;
    todo!()
}

/// Runs the brain to its end.
pub fn run_brain(link: Link, inheritance: Inheritance) -> ExitCode {
    let _ = (link, inheritance);
    todo!()
}
