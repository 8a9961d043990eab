//! The daemon's own life: start, background, being second, signals, end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use lab::{APPCTL, Lab, Said, Subject, procfs};

const STAYS: &str = "[program:a]\ncommand=/bin/sleep 1000\n";

/// The daemon, to be put into the background: Supervisor goes there unless told otherwise.
fn to_the_background(lab: &Lab) -> Command {
    let mut command = Subject::chosen().daemon();
    if Subject::chosen() == Subject::Appctl {
        command.arg("--detach");
    }
    lab.prepare(&mut command);
    command
}

/// Switches the lab's configuration to the background.
fn background(lab: &Lab, text: &str) {
    lab.configure(text);
    let config = lab
        .read("supervisord.conf")
        .replace("nodaemon=true", "nodaemon=false");
    lab.write("supervisord.conf", &config);
}

#[test]
fn the_daemon_goes_to_the_background() {
    // Without this: it dies with the terminal or the ssh session that started it.
    let lab = Lab::new();
    background(&lab, STAYS);
    // The end of its output is waited for: a daemon that holds it open hangs here.
    let said: Said = to_the_background(&lab)
        .arg("-c")
        .arg(lab.path("supervisord.conf"))
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, 0, "{said:?}");
    if Subject::chosen() == Subject::Appctl {
        // It answers by the time the launcher has ended: scripts need not wait.
        assert_eq!(lab.ctl("pid").code, 0);
        assert!(lab.path("daemon.pid").exists());
    }
    lab.wait_file("daemon.pid");
    let pid = lab.daemon_pid();
    lab.expect("pid", 0, &format!("{pid}\n"));
    assert_eq!(lab.read("daemon.pid"), format!("{pid}\n"));
    assert_eq!(procfs::session_id(pid), Some(pid), "its own session");
    assert_eq!(procfs::stat(pid, 7).unwrap(), "0", "no terminal");
    for descriptor in 0..3 {
        let target = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap();
        assert_eq!(target.to_str().unwrap(), "/dev/null");
    }
    lab.wait_state("a", "RUNNING");
    lab.expect("shutdown", 0, "Shut down\n");
    lab.until("all is gone", |lab| {
        lab.processes().is_empty() && !lab.socket().exists() && !lab.path("daemon.pid").exists()
    });
}

#[test]
fn nothing_of_its_start_reaches_daemon_or_programs() {
    // Without this: who captures the starter's output waits for ever, and programs see our
    // private variables.
    ours_only!();
    for (detach, arguments) in [(true, "--detach"), (false, "")] {
        let lab = Lab::new();
        background(&lab, STAYS);
        let mut starter = Command::new("sh");
        lab.prepare(&mut starter);
        let line = format!("exec 9>held; exec {APPCTL} daemon {arguments} -c supervisord.conf");
        let mut starter = starter.arg("-c").arg(line).spawn().unwrap();
        lab.wait_state("a", "RUNNING");
        let (keeper, brain) = lab.keeper_and_brain();
        for pid in [keeper, brain, lab.pid("a")] {
            let held = fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
                .any(|target| target == lab.path("held"));
            assert!(!held, "{} holds it", procfs::command_line(pid));
        }
        let environment = fs::read(format!("/proc/{}/environ", lab.pid("a"))).unwrap();
        let meant = ["APPCTL_LAB=", "APPCTL_TREE="];
        let ours: Vec<_> = String::from_utf8_lossy(&environment)
            .split('\0')
            .filter(|pair| pair.starts_with("APPCTL_"))
            .filter(|pair| !meant.iter().any(|name| pair.starts_with(name)))
            .map(str::to_owned)
            .collect();
        assert_eq!(ours, [""; 0], "detach: {detach}");
        lab.expect("shutdown", 0, "Shut down\n");
        assert!(starter.wait().unwrap().success());
        lab.wait_gone(keeper);
    }
}

#[test]
fn a_second_daemon_is_refused_and_harms_nothing() {
    // Without this: a mistyped start doubles every program or takes the socket away.
    let lab = Lab::with(STAYS);
    lab.wait_state("a", "RUNNING");
    let before = (lab.pid("a"), lab.daemon_pid(), lab.read("daemon.pid"));
    let second: Said = lab.daemon_command().output().unwrap().into();
    assert_eq!(second.code, 2, "{second:?}");
    assert!(second.err.contains("already"), "{second:?}");
    lab.expect("pid", 0, &format!("{}\n", before.1));
    assert_eq!(
        (lab.pid("a"), lab.daemon_pid(), lab.read("daemon.pid")),
        before
    );
    assert_eq!(lab.main_log().matches("spawned: 'a'").count(), 1);
}

#[test]
fn a_start_waits_for_the_end_of_a_daemon_that_serves_no_more() {
    // Without this: `shutdown`, and at once the next start, is refused now and then.
    ours_only!();
    let mut lab = Lab::new();
    lab.configure(STAYS);
    // The lock of one that has removed its socket and lives a little longer.
    let path = lab.write("sock.lock", "1\n");
    let lock = fs::File::open(&path).unwrap();
    lock.lock().unwrap();
    lab.launch();
    lab.wait_text("daemon.out", "already running, pid 1, but serves nobody");
    drop(lock);
    lab.wait_state("a", "RUNNING");
    lab.shut_down();
}

#[test]
fn leftovers_of_a_killed_daemon_do_not_prevent_the_next() {
    // Without this: after a power cut somebody must delete socket and pid file by hand.
    let mut lab = Lab::with(STAYS);
    lab.wait_state("a", "RUNNING");
    lab.kill_all();
    assert!(lab.socket().exists() && lab.path("daemon.pid").exists());
    lab.start();
    lab.wait_state("a", "RUNNING");
    lab.expect("pid", 0, &format!("{}\n", lab.daemon_pid()));
    lab.shut_down();
}

#[test]
fn a_file_that_is_no_socket_is_not_deleted() {
    // Without this: a wrong `file=` in the configuration deletes somebody's data.
    ours_only!();
    let lab = Lab::new();
    lab.configure(STAYS);
    lab.write("sock", "precious");
    let said: Said = lab.daemon_command().output().unwrap().into();
    assert_eq!(said.code, 2, "{said:?}");
    assert_eq!(lab.read("sock"), "precious");
    assert!(said.err.contains("sock"), "names the file: {said:?}");
}

#[test]
fn each_ending_signal_ends_it_in_order() {
    // Without this: `kill`, Ctrl-C or the init system leave orphans behind.
    for name in ["TERM", "INT", "QUIT"] {
        let mut lab = Lab::with(STAYS);
        lab.wait_state("a", "RUNNING");
        lab.signal_daemon(name);
        lab.wait_main_log(&format!("WARN received SIG{name} indicating exit request"));
        lab.expect_end();
        assert!(
            lab.main_log()
                .contains("stopped: a (terminated by SIGTERM)")
        );
    }
}

#[test]
fn shutdown_by_a_client_leaves_nothing() {
    // Without this: ports stay taken after the supervisor is gone.
    let mut lab = Lab::with(STAYS);
    lab.wait_state("a", "RUNNING");
    lab.expect("shutdown", 0, "Shut down\n");
    lab.expect_end();
    let url = format!("unix://{}/sock", lab.directory());
    lab.expect("status", 4, &format!("{url} no such file\n"));
    lab.expect("start a", 7, &format!("{url} no such file\n"));
}

#[test]
fn hangup_starts_over_with_the_new_configuration() {
    // Without this: `kill -HUP`, which every script uses, does not reload.
    let lab = Lab::with(STAYS);
    lab.wait_state("a", "RUNNING");
    let a = lab.pid("a");
    lab.configure(&format!("{STAYS}[program:b]\ncommand=/bin/sleep 1002\n"));
    lab.signal_daemon("HUP");
    lab.wait_main_log("WARN received SIGHUP indicating restart request");
    lab.wait_state("b", "RUNNING");
    lab.wait_new_pid("a", a);
    lab.expect("pid", 0, &format!("{}\n", lab.daemon_pid()));
}

#[test]
fn a_reload_follows_changed_servers() {
    // Without this: after a reload the clients of the new configuration find nobody.
    ours_only!();
    let lab = Lab::with(STAYS);
    let version = |port: u16| {
        let asked = lab::http::request("GET /", &[], b"");
        let reply = lab::http::Http::send(lab::http::tcp("127.0.0.1", port), &asked).whole();
        reply.status
    };
    let served_on = |port: u16| format!("{STAYS}[inet_http_server]\nport=127.0.0.1:{port}\n");
    let (first, second) = (lab::http::free_port(), lab::http::free_port());
    for port in [first, second] {
        lab.wait_state("a", "RUNNING");
        let a = lab.pid("a");
        lab.configure(&served_on(port));
        lab.expect("reload", 0, "Restarted supervisord\n");
        lab.wait_new_pid("a", a);
        assert_eq!(version(port), 200);
    }
    let refused = std::net::TcpStream::connect(("127.0.0.1", first)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    // A later brain serves the same.
    let keeper = lab.daemon_pid();
    let brain = procfs::brain_of(keeper).unwrap();
    procfs::signal(brain, "KILL");
    lab.until("another brain", |_| {
        procfs::brain_of(keeper).is_some_and(|other| other != brain)
    });
    assert_eq!(version(second), 200);
    lab.expect("pid", 0, &format!("{keeper}\n"));
    // The socket under which the daemon is found stays, beside the one that is named now.
    let a = lab.pid("a");
    let text = lab.read("supervisord.conf");
    lab.write("supervisord.conf", &text.replacen("/sock\n", "/moved\n", 1));
    lab.expect("reload", 0, "Restarted supervisord\n");
    lab.wait_new_pid("a", a);
    std::os::unix::net::UnixStream::connect(lab.path("moved")).unwrap();
    lab.expect("pid", 0, &format!("{keeper}\n"));
}

#[test]
fn a_stray_user_signal_does_not_end_it() {
    // Without this: the signal meant for a program (`kill -USR1`) orphans all of them.
    ours_only!();
    let lab = Lab::with(STAYS);
    lab.wait_state("a", "RUNNING");
    let a = lab.pid("a");
    lab.signal_daemon("USR1");
    lab.expect("signal CONT a", 0, "a: signalled\n");
    assert_eq!(lab.pid("a"), a);
}

#[test]
fn a_relative_configuration_path_survives_a_change_of_directory() {
    // Without this: the first reload of a daemon with `directory=` does not find its file.
    ours_only!();
    let lab = Lab::new();
    background(&lab, &format!("directory=/\n{STAYS}"));
    let said: Said = to_the_background(&lab)
        .args(["-c", "supervisord.conf"])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, 0, "{said:?}");
    lab.wait_state("a", "RUNNING");
    let a = lab.pid("a");
    lab.expect("reload", 0, "Restarted supervisord\n");
    lab.wait_new_pid("a", a);
}

#[test]
fn errors_of_the_configuration_are_told_before_anything_is_done() {
    // Without this: a daemon that ends without a word, or half started.
    for (broken, told) in [
        (
            "[program:a]\nautostart=true\n",
            "does not specify a command",
        ),
        ("loglevel=warning\n", "bad logging level name 'warning'"),
        (
            "[program:a]\ncommand=x\nstopsignal=NONSENSE\n",
            "'NONSENSE' is not a valid signal name",
        ),
        ("[group:g]\nprograms=nosuch\n", "nosuch"),
    ] {
        let lab = Lab::new();
        lab.configure(broken);
        let said: Said = lab.daemon_command().output().unwrap().into();
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains(told), "{told}: {said:?}");
        assert!(!lab.socket().exists() && !lab.path("daemon.pid").exists());
    }
}

#[test]
fn whoever_starts_it_as_root_is_warned_of_the_search_for_its_file() {
    ours_only!();
    let lab = Lab::new();
    lab.write("supervisord.conf", "[supervisord]\nloglevel=nope\n");
    let mut command = Command::new(APPCTL);
    lab.prepare(&mut command);
    let said: Said = command.arg0("supervisord").output().unwrap().into();
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(said.code, 2, "{said:?}");
    // One line, without Python's code, before the two of the error.
    let warnings = usize::from(lab::is_root());
    assert_eq!(lines.len(), warnings + 2, "{said:?}");
    assert_eq!(lines[0].starts_with("UserWarning: "), warnings == 1);
}

#[test]
fn it_answers_to_supervisors_names_and_flags() {
    // Without this: init scripts that call `supervisord -n -c FILE` must be rewritten.
    ours_only!();
    let lab = Lab::new();
    background(&lab, STAYS);
    let mut command = Command::new(APPCTL);
    lab.prepare(&mut command);
    let mut daemon = command
        .arg0("supervisord")
        .args(["-n", "-e", "debug", "-c"])
        .arg(lab.path("supervisord.conf"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    lab.until("it answers", |lab| lab.ctl("pid").code == 0);
    lab.expect("pid", 0, &format!("{}\n", daemon.id()));
    lab.wait_state("a", "RUNNING");
    assert_eq!(lab.ctl("signal CONT a").code, 0);
    lab.wait_main_log("DEBG sending a (pid ");
    assert_eq!(lab.ctl("shutdown").code, 0);
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
    let version = |name: &str| {
        let output = Command::new(APPCTL).arg0(name).arg("-v").output().unwrap();
        Said::from(output)
    };
    assert_eq!(version("supervisord").code, 0);
}

#[test]
fn as_pid_1_it_reaps_adopts_and_obeys() {
    // Without this: in a container zombies pile up, `docker stop` waits for its SIGKILL, and a
    // crash of the brain is the end of everything.
    ours_only!();
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        if !lab::is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command.args(arguments);
        command
    };
    if !unshare(&["true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("no pid namespaces here: nothing tested");
        return;
    }
    let lab = Lab::new();
    lab.script(
        "orphans",
        "while :; do sh -c 'sleep 0.02 & sleep 0.02 &'; sleep 0.1; done",
    );
    lab.configure(&format!("{STAYS}[program:orphans]\ncommand=@D@/orphans\n"));
    let mut container = unshare(&[APPCTL, "daemon", "-c", "supervisord.conf"]);
    lab.prepare(&mut container);
    let mut container = container.stdout(Stdio::null()).spawn().unwrap();
    lab.wait_state("a", "RUNNING");
    lab.expect("pid", 0, "1\n");
    let outside = i32::try_from(container.id()).unwrap();
    let keeper = procfs::children(outside)[0];

    let a = lab.pid("a");
    let brain = procfs::brain_of(keeper).unwrap();
    lab::kill(brain);
    lab.wait_some("another brain", |_| {
        procfs::brain_of(keeper).filter(|pid| *pid != brain)
    });
    assert_eq!((lab.pid("a"), lab.state("a").as_str()), (a, "RUNNING"));

    let reaped = |lab: &Lab| lab.main_log().matches("reaped unknown pid").count();
    let before = reaped(&lab);
    lab.until("orphans are reaped", |lab| reaped(lab) > before + 5);
    lab.until("no zombie is left", |_| {
        procfs::children(keeper)
            .into_iter()
            .all(|child| procfs::stat(child, 3).as_deref() != Some("Z"))
    });

    lab::signal(keeper, "TERM");
    assert_eq!(container.wait().unwrap().code(), Some(0));
    assert!(
        lab.main_log()
            .contains("stopped: a (terminated by SIGTERM)")
    );
    assert!(!lab.socket().exists() && !lab.path("daemon.pid").exists());
}
