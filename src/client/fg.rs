//! `fg`: both outputs of a process on this terminal, and typed lines to its standard input.
//!
//! One thread waits for everything at once: two connections that follow the logs, one that tells
//! when the process stops running, the terminal, and Ctrl-C.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

use super::dialogue::{Daemon, Trouble};
use super::input::Input;
use super::output::{self, LogOutput};
use super::session::{Lost, Session, Step};
use crate::control::codes::Code;
use crate::events::Facts;
use crate::fleet::{ProcessName, State};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Ctrl-C or end of input.
    Left,
    /// The process does not run any more.
    ProcessEnded,
}

/// Connects this terminal to a process, until either leaves.
pub fn run(daemon: &mut Daemon, name: &ProcessName, input: &mut Input) -> Result<Ending, Trouble> {
    daemon.watch_interrupts();
    // The name as sent always has its group, so that it cannot be taken for anything else.
    let full = format!("{}:{}", name.group, name.process);
    let mut events = daemon.another()?;
    events.send(&["events", "-f"]).map_err(Trouble::Lost)?;
    let mut outputs = Vec::new();
    for channel in ["stdout", "stderr"] {
        let mut session = daemon.another()?;
        session
            .send(&["tail", "-f", "--", &full, channel])
            .map_err(Trouble::Lost)?;
        outputs.push((session, LogOutput::new()));
    }
    loop {
        if !send_typed(daemon, &full, input)? {
            return Ok(Ending::ProcessEnded);
        }
        if input.take_end() {
            return Ok(Ending::Left);
        }
        let ready = wait(daemon, &events, &outputs).map_err(Trouble::Lost)?;
        if ready.interrupted {
            return Ok(Ending::Left);
        }
        for index in (0..outputs.len()).rev() {
            if ready.outputs[index] && !copy(&mut outputs[index])? {
                outputs.remove(index);
            }
        }
        if ready.events && has_stopped(&mut events, name)? {
            return Ok(Ending::ProcessEnded);
        }
        if ready.typed {
            input.fill();
        }
    }
}

/// What there is to do.
struct Ready {
    interrupted: bool,
    typed: bool,
    events: bool,
    outputs: Vec<bool>,
}

fn wait(
    daemon: &Daemon,
    events: &Session,
    outputs: &[(Session, LogOutput)],
) -> Result<Ready, Lost> {
    let stdin = io::stdin();
    let interrupts = daemon.interrupts();
    let mut waited = vec![
        PollFd::new(&stdin, PollFlags::IN),
        PollFd::new(events, PollFlags::IN),
    ];
    waited.extend(
        outputs
            .iter()
            .map(|(session, _)| PollFd::new(session, PollFlags::IN)),
    );
    if let Some(interrupts) = &interrupts {
        waited.push(PollFd::from_borrowed_fd(interrupts.as_fd(), PollFlags::IN));
    }
    loop {
        match poll(&mut waited, None) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Lost::Io(error.into())),
        }
    }
    let ready = |index: usize| !waited[index].revents().is_empty();
    Ok(Ready {
        interrupted: interrupts
            .as_ref()
            .is_some_and(|interrupts| interrupts.take()),
        typed: ready(0),
        events: ready(1),
        outputs: (0..outputs.len()).map(|index| ready(index + 2)).collect(),
    })
}

/// Writes what arrived. `false`: nothing more will come, for there is no such log or it ended.
fn copy((session, log): &mut (Session, LogOutput)) -> Result<bool, Trouble> {
    session.fill().map_err(Trouble::Lost)?;
    while let Some(step) = session.take().map_err(Trouble::Lost)? {
        match step {
            Step::Raw { bytes, .. } => log.write(&bytes),
            Step::Row(_) => {}
            Step::Done(_) | Step::Failed { .. } => {
                log.finish();
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Reads changes of state; whether the process left RUNNING.
fn has_stopped(events: &mut Session, name: &ProcessName) -> Result<bool, Trouble> {
    events.fill().map_err(Trouble::Lost)?;
    let (name, mut stopped) = (name.to_string(), false);
    while let Some(step) = events.take().map_err(Trouble::Lost)? {
        if let Step::Row(row) = step
            && let Ok(facts) = Facts::try_from(&row)
            && facts.name.as_deref() == Some(&name)
            && facts.to.is_some()
        {
            stopped |= facts.to.as_deref() != Some(State::Running.word());
        }
    }
    Ok(stopped)
}

/// Sends the lines that were typed; `false` if the process does not run.
fn send_typed(daemon: &mut Daemon, name: &str, input: &mut Input) -> Result<bool, Trouble> {
    while let Some(piece) = input.take_piece() {
        // The line protocol is UTF-8, and so is what people type.
        let text = String::from_utf8_lossy(&piece);
        match daemon.ask(&["stdin", "--", name, &text], |_| {})? {
            Ok(_) => {}
            Err(refused) if refused.code == Code::NotRunning => return Ok(false),
            Err(refused) => output::line(&format!("ERROR: {}", refused.text)),
        }
    }
    // The daemon hangs up on those who are silent for long, and people think before they type.
    daemon.hang_up();
    Ok(true)
}
