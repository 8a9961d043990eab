//! `fg` over HTTP: both outputs of a process on this terminal, and typed lines to its standard
//! input.
//!
//! XML-RPC tells nobody that a process has ended, so it is asked for: after each line, as
//! Supervisor's client does, and while nothing happens.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::fg::Ending;
use super::http::Stream;
use super::input::Input;
use super::interrupt::Interrupts;
use super::output::{self, LogOutput};
use super::rpc_server::RpcServer;
use super::server::Trouble;
use super::session::Lost;
use crate::fleet::State;
use crate::http::xml_rpc::Value;

/// How often to ask whether the process still runs.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// The fault of a process that does not run.
const NOT_RUNNING: i64 = 70;

/// Connects this terminal to a process, until either leaves.
pub(super) fn run(
    server: &mut RpcServer,
    name: &str,
    mut outputs: Vec<(Stream, LogOutput)>,
    input: &mut Input,
    interrupts: Option<&Interrupts>,
) -> Result<Ending, Trouble> {
    loop {
        for (stream, log) in &mut outputs {
            while let Some(piece) = stream.take()? {
                log.write(&piece);
            }
        }
        if !send_typed(server, name, input)? {
            return Ok(Ending::ProcessEnded);
        }
        if input.take_end() {
            return Ok(Ending::Left);
        }
        let ready = wait(&outputs, interrupts)?;
        if interrupts.is_some_and(Interrupts::take) {
            return Ok(Ending::Left);
        }
        if ready.is_empty() && !runs(server, name)? {
            return Ok(Ending::ProcessEnded);
        }
        for what in ready.into_iter().rev() {
            match what.checked_sub(1) {
                None => input.fill(),
                Some(index) => {
                    if !outputs[index].0.fill()? {
                        outputs.remove(index);
                    }
                }
            }
        }
    }
}

/// What can be read: 0 is standard input, then come the outputs.
fn wait(
    outputs: &[(Stream, LogOutput)],
    interrupts: Option<&Interrupts>,
) -> Result<Vec<usize>, Lost> {
    let stdin = io::stdin();
    let mut waited = vec![PollFd::new(&stdin, PollFlags::IN)];
    waited.extend(
        outputs
            .iter()
            .map(|(stream, _)| PollFd::new(stream, PollFlags::IN)),
    );
    if let Some(interrupts) = interrupts {
        waited.push(PollFd::from_borrowed_fd(interrupts.as_fd(), PollFlags::IN));
    }
    loop {
        match poll(&mut waited, Some(&LOOK_EVERY)) {
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Lost::Io(error.into())),
        }
    }
    let readable = |index: &usize| !waited[*index].revents().is_empty();
    Ok((0..=outputs.len()).filter(readable).collect())
}

/// Sends the lines that were typed; `false` if the process does not run.
fn send_typed(server: &mut RpcServer, name: &str, input: &mut Input) -> Result<bool, Trouble> {
    while let Some(piece) = input.take_piece() {
        let text = String::from_utf8_lossy(&piece).into_owned();
        match server.call("sendProcessStdin", &[name.into(), text.into()])? {
            Ok(_) => {}
            Err(fault) if fault.code == NOT_RUNNING => return Ok(false),
            Err(fault) => output::line(&format!("ERROR: {}", fault.text)),
        }
        if !runs(server, name)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn runs(server: &mut RpcServer, name: &str) -> Result<bool, Trouble> {
    let info = server.call("getProcessInfo", &[name.into()])?;
    let running = i64::from(State::Running.code());
    Ok(info.is_ok_and(|info| info.member("state") == Some(&Value::Int(running))))
}
