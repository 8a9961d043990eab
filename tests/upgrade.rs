//! `appctl upgrade`, and brains that hang or crash for ever, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use lab::numbers::Tally;
use lab::{APPCTL, Lab, kill, procfs, rotated, signal};

const LINES: &str = "i=1; while :; do echo $i; i=$((i+1)); done";

/// Writes an executable file.
fn executable(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_upgrade_under_load_costs_no_line_no_program_and_no_connection() {
    // Without this: an upgrade is a restart of production, at night, with an announcement.
    let lab = Lab::of(lab::Subject::Appctl);
    lab.script("lines", LINES);
    let lab = lab.started(
        "[program:lines]\ncommand=@D@/lines\nstdout_logfile=@D@/lines.log\n\
         stdout_logfile_maxbytes=500KB\nstdout_logfile_backups=1000\n\
         [program:quiet]\ncommand=/bin/sleep 1001\n",
    );
    lab.wait_state("lines", "RUNNING");
    lab.wait_state("quiet", "RUNNING");
    let pids = [lab.pid("lines"), lab.pid("quiet")];
    let (keeper, _) = lab.keeper_and_brain();
    let over = AtomicBool::new(false);
    let (asked, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                asked.fetch_add(1, Ordering::Relaxed);
                if UnixStream::connect(lab.socket()).is_err() {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for _ in 0..5 {
            let before = lab.keeper_and_brain().1;
            let said = lab.appctl(&format!("upgrade {APPCTL}"));
            assert_eq!((said.code, said.out.as_str()), (0, VERSION), "{}", said.err);
            assert_eq!([lab.pid("lines"), lab.pid("quiet")], pids);
            assert_ne!(lab.keeper_and_brain().1, before);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(asked.into_inner() > 0);
    assert_eq!(refused.into_inner(), 0);
    assert_eq!(lab.keeper_and_brain().0, keeper);
    // The run goes on, and with it its history.
    let history: serde_json::Value =
        serde_json::from_str(&lab.appctl("history quiet --json").out).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 1, "{history}");
    assert_eq!(history[0]["pid"], pids[1]);
    assert_eq!(history[0]["why"], "autostart");
    assert!(history[0]["ended"].is_null(), "{history}");
    // One that came so is replaced like any other.
    let (_, brain) = lab.keeper_and_brain();
    kill(brain);
    assert_eq!([lab.pid("lines"), lab.pid("quiet")], pids);
    assert_eq!(lab.ctl("stop lines").code, 0);
    Tally::of_files(&rotated(&lab.path("lines.log"))).assert_complete();
}

const VERSION: &str = concat!("upgraded to ", env!("CARGO_PKG_VERSION"), "\n");

#[test]
fn a_binary_that_will_not_do_changes_nothing_and_the_command_says_why() {
    // Without this: half a file in the place of the binary ends everything.
    let lab = Lab::of(lab::Subject::Appctl).started("[program:a]\ncommand=/bin/sleep 1001\n");
    lab.wait_state("a", "RUNNING");
    let (a, (_, brain)) = (lab.pid("a"), lab.keeper_and_brain());
    let own = fs::read(APPCTL).unwrap();
    let truncated = executable(&lab.path("truncated"), &own[..own.len() / 8]);
    let text = executable(&lab.path("text"), b"no binary at all");
    let plain = lab.write("plain", "x").display().to_string();
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let older = executable(&lab.path("older"), &replaced(&own, version, b"0.0.0"));
    for (path, reason) in [
        ("missing", "missing: No such file or directory"),
        (truncated.as_str(), "cannot say whether it can go on: "),
        (text.as_str(), "it can"),
        (plain.as_str(), "it is not executable"),
        (older.as_str(), "it is appctl 0.0.0, older than "),
        (
            "/bin/false",
            "cannot say whether it can go on: exit status: 1",
        ),
        (
            "/bin/echo",
            "cannot say whether it can go on: exit status: 0",
        ),
        ("/usr/bin/yes", "it does not answer within 10 s"),
        ("/", "it is not a file"),
    ] {
        let said = lab.appctl(&format!("upgrade {path}"));
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{path}");
        assert!(said.err.contains(reason), "{path}: {}", said.err);
        assert!(
            said.err.contains("nothing was changed"),
            "{path}: {}",
            said.err
        );
    }
    assert_eq!((lab.pid("a"), lab.keeper_and_brain().1), (a, brain));
    let said = lab.appctl("upgrade");
    assert_eq!((said.code, said.out.as_str()), (0, VERSION), "{}", said.err);
    assert_eq!(lab.pid("a"), a);
}

/// All occurrences replaced, by as many bytes.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter_map(|(place, window)| (window == from).then_some(place))
        .collect();
    for place in places {
        bytes[place..place + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn a_brain_that_hangs_in_a_turn_is_replaced() {
    // Without this: one call that never returns, and nothing is supervised any more.
    let lab = Lab::of(lab::Subject::Appctl).started("[program:a]\ncommand=/bin/sleep 1001\n");
    lab.wait_state("a", "RUNNING");
    let (a, (_, brain)) = (lab.pid("a"), lab.keeper_and_brain());
    // Opening a pipe that nobody writes to never ends.
    let file = lab.path("supervisord.conf");
    let text = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
    let mut session = lab.session();
    session.send(b"reread\n");
    lab.wait_gone(brain);
    fs::remove_file(&file).unwrap();
    fs::write(&file, text).unwrap();
    assert_eq!(lab.pid("a"), a);
    lab.expect("reread", 0, "No config updates to processes\n");
}

#[test]
fn brains_that_crash_in_a_row_end_in_a_safe_mode_that_an_upgrade_ends() {
    // Without this: a crash loop burns a CPU, and each round does the thing that crashes again.
    let lab = Lab::of(lab::Subject::Appctl).started(
        "[program:a]\ncommand=/bin/sleep 1001\n[program:b]\ncommand=/bin/cat\nautostart=false\n",
    );
    lab.wait_state("a", "RUNNING");
    let a = lab.pid("a");
    let mut killed = Vec::new();
    let serves = |lab: &Lab| lab.ctl("status").code == 3;
    loop {
        let next = || procfs::brain_of(lab.daemon_pid()).filter(|brain| !killed.contains(brain));
        lab.until("another brain is there", |_| next().is_some());
        let brain = next().unwrap();
        // One that came late, on a busy machine, may have served long enough to begin a new count:
        // then the ones after the fifth are let live until they show what they are.
        if killed.len() >= 5 {
            lab.until("it serves", serves);
            if lab.main_log().contains("safe mode") {
                break;
            }
        }
        signal(brain, "ABRT");
        killed.push(brain);
    }
    lab.until("it serves", |lab| lab.ctl("status").code == 3);
    assert_eq!(lab.pid("a"), a);
    let said = lab.appctl("start b");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("safe mode"), "{}", said.err);
    // What runs is looked after as ever.
    kill(a);
    lab.wait_new_pid("a", a);
    assert_eq!(lab.appctl("upgrade").code, 0);
    lab.expect("start b", 0, "b: started\n");
}
