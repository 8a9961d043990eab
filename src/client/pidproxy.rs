//! `pidproxy`: runs a command that puts itself into the background, and passes signals on to the
//! process that the command's pid file names.
//!
//! Unlike Supervisor's, it ends when the command ends and with the command's exit status, also
//! after TERM: whoever stops it may then rely on the program being stopped.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use super::output;

/// Signals that are passed on.
const PASSED: [i32; 6] = [SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGQUIT];

/// Largest pid file that is read, in bytes.
const PID_FILE_MAX: usize = 64;

/// Runs `pidproxy PIDFILE COMMAND [ARGUMENT…]`.
pub fn main(argv0: &str, arguments: &[String]) -> ExitCode {
    let [pid_file, command, rest @ ..] = arguments else {
        output::text(&usage(argv0));
        return ExitCode::FAILURE;
    };
    match run(pid_file, command, rest) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::complain(&format!("{argv0}: {command}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(pid_file: &str, command: &str, arguments: &[String]) -> io::Result<u8> {
    let mut signals = Signals::new(PASSED.into_iter().chain([SIGCHLD]))?;
    // As in Supervisor the command is a path, absolute or from here; PATH is not searched.
    let path = std::path::absolute(command)?;
    let mut child = Command::new(path).args(arguments).spawn()?;
    loop {
        if let Some(code) = ended(&mut child)? {
            return Ok(code);
        }
        for signal in signals.wait() {
            if signal == SIGCHLD {
                continue;
            }
            pass_on(pid_file, signal);
        }
    }
}

/// The command's exit status as a shell would tell it; `None` while it runs.
fn ended(child: &mut Child) -> io::Result<Option<u8>> {
    let Some(status) = child.try_wait()? else {
        return Ok(None);
    };
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    Ok(Some(u8::try_from(code).unwrap_or(1)))
}

fn pass_on(pid_file: &str, signal: i32) {
    let Some(pid) = read_pid(pid_file) else {
        output::line(&format!("Can't read child pidfile {pid_file}!"));
        return;
    };
    let Some(signal) = Signal::from_named_raw(signal) else {
        return;
    };
    if let Err(error) = kill_process(pid, signal) {
        output::complain(&format!(
            "{pid_file}: pid {}: {error}",
            pid.as_raw_nonzero()
        ));
    }
}

fn read_pid(pid_file: &str) -> Option<Pid> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(pid_file).ok()?;
    file.take(PID_FILE_MAX as u64)
        .read_to_string(&mut text)
        .ok()?;
    pid_in(&text)
}

/// The pid in a pid file; never 0 or less, which would mean a group of processes.
fn pid_in(text: &str) -> Option<Pid> {
    let number: i32 = text.trim().parse().ok()?;
    if number <= 0 {
        None
    } else {
        Pid::from_raw(number)
    }
}

fn usage(argv0: &str) -> String {
    format!(
        "pidproxy -- run command and proxy signals to it via its pidfile.\n\n\
         This executable runs a command and then monitors a pidfile.  When this\n\
         executable receives a signal, it sends the same signal to the pid\n\
         in the pidfile.\n\n\
         Usage: {argv0} <pidfile name> <command> [<cmdarg1> ...]\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_files_hold_one_positive_number() {
        assert_eq!(
            pid_in("12\n").map(|pid| pid.as_raw_nonzero().get()),
            Some(12)
        );
        for text in ["", "0", "-1", "x", "1 2", "99999999999"] {
            assert_eq!(pid_in(text), None, "{text}");
        }
    }
}
