//! `tail -f`: writes a log as it grows, until Ctrl-C.

use super::dialogue::{Daemon, Refused, Trouble};
use super::output::LogOutput;
use super::session::{Lost, Step};

/// How following ended.
#[derive(Debug)]
pub enum Followed {
    /// Ctrl-C.
    Interrupted,
    /// The daemon says that there is no more.
    Ended,
    /// The daemon says why not.
    Refused(Refused),
}

/// Sends the request and writes what comes to standard output.
pub fn run(daemon: &Daemon, request: &[&str]) -> Result<Followed, Trouble> {
    let mut session = daemon.another()?;
    session.send(request).map_err(Trouble::Lost)?;
    let mut log = LogOutput::new();
    let ended = loop {
        match session.next(None) {
            Ok(Step::Raw { bytes, .. }) => log.write(&bytes),
            Ok(Step::Row(_)) => {}
            Ok(Step::Done(_)) => break Ok(Followed::Ended),
            Ok(Step::Failed { code, text }) => {
                break Ok(Followed::Refused(Refused::new(&code, &text)));
            }
            Err(Lost::Interrupted) => break Ok(Followed::Interrupted),
            Err(lost) => break Err(Trouble::Lost(lost)),
        }
    };
    log.finish();
    ended
}
