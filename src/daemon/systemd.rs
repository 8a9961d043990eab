//! What systemd is told (sd_notify(3)): that we serve, stop or start over, how programs are, and,
//! if it asked for that, that the turn goes round. One datagram each, to the socket it names.
//!
//! The brain tells it, for it alone knows; so the unit needs `NotifyAccess=all`. Programs never see
//! the variables, and so cannot speak for us by mistake.
//!
//! Must never: wait, or take a failure to tell for a failure of the daemon.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::brain::Brain;
use super::sentences::{self, say};
use crate::fleet::{Fleet, Stamp, State};
use crate::launch;

/// What the daemon is about, as systemd sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    StartingOver,
    Stopping,
}

/// The way to systemd.
#[derive(Debug)]
pub struct Systemd {
    socket: UnixDatagram,
    address: SocketAddr,
    /// The last stage and status that were told.
    told: Option<(Stage, String)>,
    /// How often it wants to hear from us, and when that is due.
    watchdog: Option<(Duration, Stamp)>,
}

impl Systemd {
    /// The one that this process was started by, if it wants to be told.
    pub fn of_environment(keeper_pid: i32) -> io::Result<Option<Systemd>> {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
            return Ok(None);
        };
        let interval = interval(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            keeper_pid,
        );
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Some(Systemd {
            socket,
            address: address(&name)?,
            told: None,
            watchdog: interval.map(|interval| (interval, launch::now().stamp)),
        }))
    }

    /// Sends a message; false if there is no room for it now.
    fn send(&self, message: &str) -> io::Result<bool> {
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.address);
        match sent {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells what is new, or once more what found no room.
    fn tell(&mut self, stage: Stage, status: String, keeper: i32, now: Stamp) -> io::Result<()> {
        if let Some((interval, _)) = self.watchdog.filter(|(_, due)| *due <= now) {
            self.watchdog = Some((interval, now.after(interval)));
            self.send("WATCHDOG=1\n")?;
        }
        let before = self.told.as_ref();
        let before = before.map(|(stage, status)| (*stage, status.as_str()));
        if let Some(message) = message(before, (stage, &status), keeper, now)
            && self.send(&message)?
        {
            self.told = Some((stage, status));
        }
        Ok(())
    }
}

/// The message for what has changed; `None` if nothing has.
fn message(
    before: Option<(Stage, &str)>,
    after: (Stage, &str),
    keeper: i32,
    now: Stamp,
) -> Option<String> {
    if before == Some(after) {
        return None;
    }
    let (stage, status) = after;
    let mut text = match (before, stage) {
        (Some((same, _)), stage) if same == stage => String::new(),
        (_, Stage::Serving) => format!("READY=1\nMAINPID={keeper}\n"),
        (_, Stage::StartingOver) => format!("RELOADING=1\nMONOTONIC_USEC={}\n", now.0 / 1_000),
        (_, Stage::Stopping) => "STOPPING=1\n".to_owned(),
    };
    text += &format!("STATUS={status}\n");
    Some(text)
}

/// `3 processes: 2 RUNNING, 1 FATAL`.
fn status(fleet: &Fleet) -> String {
    const ORDER: [State; 8] = [
        State::Running,
        State::Starting,
        State::Stopping,
        State::Backoff,
        State::Fatal,
        State::Unknown,
        State::Exited,
        State::Stopped,
    ];
    let mut counts = [0_usize; ORDER.len()];
    for process in fleet.processes() {
        let position = ORDER.iter().position(|state| *state == process.state());
        counts[position.unwrap_or(0)] += 1;
    }
    let all: usize = counts.iter().sum();
    let parts: Vec<String> = ORDER
        .iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    match parts.is_empty() {
        true => "no processes".to_owned(),
        false => format!("{all} processes: {}", parts.join(", ")),
    }
}

/// Where messages go: a path, or behind `@` a name in the abstract namespace.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

/// How often to say that we are well: twice in the time after which we would be given up. Nobody
/// asked if the time is meant for another process.
fn interval(microseconds: Option<&str>, pid: Option<&str>, keeper: i32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(keeper)) {
        return None;
    }
    match microseconds?.parse() {
        Ok(0) | Err(_) => None,
        Ok(time) => Some(Duration::from_micros(time) / 2),
    }
}

impl Brain {
    /// Tells systemd what this turn has changed, if it wants to know.
    pub(super) fn tell_systemd(&mut self) {
        let Some(systemd) = &mut self.systemd else {
            return;
        };
        let stage = match (self.fleet.is_leaving(), self.fleet.is_starting_over()) {
            (false, _) => Stage::Serving,
            (true, true) => Stage::StartingOver,
            (true, false) => Stage::Stopping,
        };
        let told = systemd.tell(stage, status(&self.fleet), self.keeper.pid, self.now.stamp);
        if let Err(error) = told {
            // Once is enough: a socket that is gone does not come back.
            say(sentences::warning(format!(
                "telling systemd how we are: {error}; it is not told any more"
            )));
            self.systemd = None;
        }
    }

    /// When systemd wants to hear from us again.
    pub(super) fn watchdog_due(&self) -> Option<Stamp> {
        let (_, due) = self.systemd.as_ref()?.watchdog?;
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_told() {
        use Stage::{Serving, StartingOver, Stopping};
        let now = Stamp(7_000_900);
        let table = [
            (None, (Serving, "a"), Some("READY=1\nMAINPID=9\nSTATUS=a\n")),
            (Some((Serving, "a")), (Serving, "a"), None),
            (Some((Serving, "a")), (Serving, "b"), Some("STATUS=b\n")),
            (
                Some((Serving, "a")),
                (StartingOver, "a"),
                Some("RELOADING=1\nMONOTONIC_USEC=7000\nSTATUS=a\n"),
            ),
            (
                Some((StartingOver, "a")),
                (Serving, "a"),
                Some("READY=1\nMAINPID=9\nSTATUS=a\n"),
            ),
            (
                Some((Serving, "a")),
                (Stopping, "a"),
                Some("STOPPING=1\nSTATUS=a\n"),
            ),
        ];
        for (before, after, expected) in table {
            assert_eq!(message(before, after, 9, now).as_deref(), expected);
        }
    }

    #[test]
    fn the_watchdog_is_fed_only_if_it_is_ours() {
        let second = Some(Duration::from_millis(500));
        let table = [
            (None, None, None),
            (Some("1000000"), None, second),
            (Some("1000000"), Some("9"), second),
            (Some("1000000"), Some("8"), None),
            (Some("0"), None, None),
            (Some("soon"), None, None),
        ];
        for (time, pid, expected) in table {
            assert_eq!(interval(time, pid, 9), expected, "{time:?} {pid:?}");
        }
    }

    #[test]
    fn addresses() {
        let abstracted = address(OsStr::new("@a/b")).unwrap();
        assert_eq!(abstracted.as_abstract_name(), Some(&b"a/b"[..]));
        let path = address(OsStr::new("/run/x")).unwrap();
        assert_eq!(path.as_pathname(), Some(std::path::Path::new("/run/x")));
        assert!(address(OsStr::new(&"/x".repeat(200))).is_err());
    }
}
