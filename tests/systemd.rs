//! Under systemd, played by a datagram socket: what it is told, and what programs do not inherit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Stdio};

use lab::{Lab, procfs};

const PROGRAMS: &str = "[program:a]\ncommand=/bin/sleep 1000\n\
                        [program:b]\ncommand=/bin/sleep 1000\nautostart=false\n";

/// The daemon of the lab, started with these variables.
fn start(lab: &Lab, variables: &[(&str, &str)]) -> Child {
    let mut command = lab.daemon_command();
    command
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits for a message with this line; all its lines.
#[track_caller]
fn wait_line(socket: &UnixDatagram, line: &str) -> Vec<String> {
    let mut bytes = [0; 4096];
    loop {
        let length = socket
            .recv(&mut bytes)
            .unwrap_or_else(|error| panic!("waited in vain for {line}: {error}"));
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.iter().any(|one| one == line) {
            return lines;
        }
    }
}

#[test]
fn it_is_told_how_the_daemon_is() {
    // Without this: `systemctl start` returns before anything listens, and `status` says nothing.
    ours_only!();
    let lab = Lab::new();
    lab.configure(PROGRAMS);
    let socket = UnixDatagram::bind(lab.path("notify")).unwrap();
    socket.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    let path = lab.path("notify");
    let mut daemon = start(
        &lab,
        &[
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "100000"),
        ],
    );
    let keeper = i32::try_from(daemon.id()).unwrap();
    let ready = wait_line(&socket, "READY=1");
    assert!(ready.contains(&format!("MAINPID={keeper}")), "{ready:?}");
    assert_eq!(lab.ctl("pid").code, 0, "ready means that it answers");
    wait_line(&socket, "STATUS=2 processes: 1 RUNNING, 1 STOPPED");
    for _ in 0..3 {
        wait_line(&socket, "WATCHDOG=1");
    }
    let environment = procfs::environment(lab.pid("a"));
    let leaked = |variable: &String| {
        variable.starts_with("NOTIFY_SOCKET") || variable.starts_with("WATCHDOG")
    };
    assert!(!environment.iter().any(leaked), "{environment:?}");

    // The next brain goes on telling.
    lab::kill(procfs::brain_of(keeper).unwrap());
    wait_line(&socket, "READY=1");
    wait_line(&socket, "WATCHDOG=1");
    lab::signal(keeper, "HUP");
    let reloading = wait_line(&socket, "RELOADING=1");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    wait_line(&socket, "READY=1");
    lab::signal(keeper, "TERM");
    wait_line(&socket, "STOPPING=1");
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    lab.until("nothing is left", |lab| lab.processes().is_empty());
}

#[test]
fn an_abstract_socket_is_told_and_no_watchdog_is_fed_that_nobody_asked_for() {
    ours_only!();
    let lab = Lab::new();
    lab.configure(PROGRAMS);
    let name = format!("appctl-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    let mut daemon = start(
        &lab,
        &[
            ("NOTIFY_SOCKET", &format!("@{name}")),
            ("WATCHDOG_USEC", "1000"),
            ("WATCHDOG_PID", "1"),
        ],
    );
    wait_line(&socket, "READY=1");
    wait_line(&socket, "STATUS=2 processes: 1 RUNNING, 1 STOPPED");
    // With an interval of a millisecond there would have been many by now.
    socket.set_nonblocking(true).unwrap();
    let mut bytes = [0; 4096];
    while let Ok(length) = socket.recv(&mut bytes) {
        assert!(!bytes[..length].starts_with(b"WATCHDOG"));
    }
    lab::signal(i32::try_from(daemon.id()).unwrap(), "TERM");
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    lab.until("nothing is left", |lab| lab.processes().is_empty());
}

#[test]
fn a_socket_that_nobody_reads_harms_nothing() {
    ours_only!();
    let lab = Lab::new();
    lab.configure(PROGRAMS);
    let mut daemon = start(&lab, &[("NOTIFY_SOCKET", "/nonexistent/socket")]);
    lab.wait_state("a", "RUNNING");
    lab.wait_main_log("telling systemd how we are");
    lab::signal(i32::try_from(daemon.id()).unwrap(), "TERM");
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    // A full one neither: what does not fit is not waited for.
    let socket = UnixDatagram::bind(lab.path("full")).unwrap();
    let full = lab.path("full");
    let mut daemon = start(
        &lab,
        &[
            ("NOTIFY_SOCKET", full.to_str().unwrap()),
            ("WATCHDOG_USEC", "2000"),
        ],
    );
    lab.wait_state("a", "RUNNING");
    let mut session = lab.session();
    for _ in 0..50 {
        assert!(session.ask("signal CONT a").is_ok());
    }
    drop(socket);
    lab::signal(i32::try_from(daemon.id()).unwrap(), "TERM");
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    lab.until("nothing is left", |lab| lab.processes().is_empty());
}

#[test]
fn the_unit_keeps_the_promises() {
    // Without this: a crash of the daemon, or one program out of memory, ends all programs.
    let unit = include_str!("../conf/appctl.service");
    for line in [
        "Type=notify",
        "NotifyAccess=all",
        "KillMode=process",
        "OOMPolicy=continue",
        "Delegate=yes",
        "RuntimeDirectoryPreserve=yes",
        "Restart=on-failure",
    ] {
        assert!(unit.lines().any(|one| one == line), "{line}");
    }
}
