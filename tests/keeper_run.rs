//! Real keepers with brains that are told what to do, killed in every way.
//!
//! There is no test harness: the keeper and its brains are this very binary, started again by
//! exec, and its `main` hands over to the role as the real one does.
#![allow(clippy::unwrap_used, unsafe_code)]

#[path = "keeper/brain.rs"]
mod brain;
#[path = "keeper/daemon.rs"]
mod daemon;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use appctl::config::UserSpec;
use appctl::keeper::{Estate, ParkKey, become_keeper, blob, link_if_brain, run_if_keeper};
use daemon::{Daemon, alive, children_of, kill, until};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

const TESTS: &[(&str, fn())] = &[
    (
        "descriptors_and_what_they_hold_survive_brains",
        descriptors_and_what_they_hold_survive_brains,
    ),
    (
        "statuses_of_the_time_without_a_brain_are_kept",
        statuses_of_the_time_without_a_brain_are_kept,
    ),
    (
        "a_signal_without_a_brain_is_told_to_the_next",
        a_signal_without_a_brain_is_told_to_the_next,
    ),
    (
        "a_signal_told_before_ready_is_told_again",
        a_signal_told_before_ready_is_told_again,
    ),
    ("last_words_count", last_words_count),
    ("a_crash_loop_is_slowed_down", a_crash_loop_is_slowed_down),
    (
        "a_brain_that_hangs_is_replaced",
        a_brain_that_hangs_is_replaced,
    ),
    (
        "a_candidate_that_serves_stays",
        a_candidate_that_serves_stays,
    ),
    (
        "a_candidate_that_does_not_serve_is_given_up",
        a_candidate_that_does_not_serve_is_given_up,
    ),
    (
        "a_newer_binary_that_crashes_for_ever_is_given_up",
        a_newer_binary_that_crashes_for_ever_is_given_up,
    ),
    (
        "death_before_the_first_ready_ends_the_keeper",
        death_before_the_first_ready_ends_the_keeper,
    ),
    (
        "leaving_ends_the_keeper_with_the_code",
        leaving_ends_the_keeper_with_the_code,
    ),
    ("strays_are_reaped_and_told", strays_are_reaped_and_told),
    (
        "a_brain_that_hangs_up_is_replaced",
        a_brain_that_hangs_up_is_replaced,
    ),
    (
        "without_room_parking_is_refused_and_brains_still_start",
        without_room_parking_is_refused_and_brains_still_start,
    ),
    (
        "ready_is_told_and_the_lock_is_held",
        ready_is_told_and_the_lock_is_held,
    ),
    (
        "the_end_of_the_keeper_is_told",
        the_end_of_the_keeper_is_told,
    ),
    ("the_binary_may_be_gone", the_binary_may_be_gone),
    (
        "an_ignored_sigchld_is_no_harm",
        an_ignored_sigchld_is_no_harm,
    ),
    (
        "nothing_grows_with_the_number_of_brains",
        nothing_grows_with_the_number_of_brains,
    ),
    (
        "signals_to_the_brain_are_the_keepers_business",
        signals_to_the_brain_are_the_keepers_business,
    ),
    (
        "a_brain_killed_while_it_starts_programs_leaves_none_unknown",
        a_brain_killed_while_it_starts_programs_leaves_none_unknown,
    ),
    ("works_as_pid_1", works_as_pid_1),
    ("privileges_are_dropped", privileges_are_dropped),
    ("limits_are_raised", limits_are_raised),
    ("an_odd_role_is_refused", an_odd_role_is_refused),
];

fn main() -> ExitCode {
    if let Some(code) = run_if_keeper() {
        return code;
    }
    match link_if_brain() {
        Some(Ok((link, inheritance))) => return brain::run(link, inheritance),
        Some(Err(error)) => {
            eprintln!("{error}");
            return ExitCode::from(98);
        }
        None => {}
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("boot") => boot(arguments.get(1..).unwrap_or_default()),
        Some("drop-privileges") => drop_privileges(),
        Some("raise-limits") => raise_limits(&arguments[1]),
        _ => run_tests(&arguments),
    }
}

/// All tests whose name contains a word of the arguments, one after the other.
fn run_tests(arguments: &[String]) -> ExitCode {
    let words: Vec<&String> = arguments
        .iter()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(*word));
    if arguments.iter().any(|argument| argument == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // Whatever a daemon leaves behind comes to us and is killed.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mut failed = 0;
    for (name, test) in TESTS.iter().filter(|(name, _)| wanted(name)) {
        let result = std::panic::catch_unwind(test);
        println!(
            "test {name} ... {}",
            if result.is_ok() { "ok" } else { "FAILED" }
        );
        failed += u8::from(result.is_err());
    }
    ExitCode::from(failed)
}

/// The boot phase of a daemon: `nofile=N` limits descriptors, `lock=PATH` is locked.
fn boot(arguments: &[String]) -> ExitCode {
    let settings = blob::write("settings", b"the settings").unwrap();
    let mut estate = Estate {
        parked: vec![(ParkKey::Settings, settings)],
        lock: None,
        // The byte shows as an empty line.
        ready: Some(io::stdout().as_fd().try_clone_to_owned().unwrap()),
        detached: false,
    };
    for argument in arguments {
        match argument.split_once('=') {
            Some(("nofile", number)) => {
                let current = Some(number.parse().unwrap());
                let before = getrlimit(Resource::Nofile);
                setrlimit(Resource::Nofile, Rlimit { current, ..before }).unwrap();
            }
            Some(("lock", path)) => {
                let lock = File::create(path).unwrap();
                flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
                estate.lock = Some(lock.into());
            }
            other => panic!("{other:?}"),
        }
    }
    eprintln!("{}", become_keeper(estate));
    ExitCode::from(97)
}

fn descriptors_and_what_they_hold_survive_brains() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    daemon.ask("pipe 1 first");
    daemon.ask("pipe 1 second");
    daemon.ask("pipe 2 closed");
    // More than one packet of descriptors holds.
    daemon.ask("many 600");
    daemon.ask("unpark 2");
    daemon.kill_brain();
    assert_eq!(daemon.expect_brain(2), "parked 602 Settings");
    daemon.command("read 1");
    daemon.expect("content second");
    daemon.command("read 2");
    daemon.expect("content nothing");
    daemon.command("environment");
    daemon.expect("None");
}

/// Kills brains until the next one is some time away.
fn make_a_gap(daemon: &mut Daemon) -> u32 {
    for incarnation in 2..=5 {
        daemon.kill_brain();
        daemon.expect_brain(incarnation);
    }
    // The fifth death in a row is answered after 3.2 s, which is enough on a busy machine as well.
    daemon.kill_brain();
    6
}

fn statuses_of_the_time_without_a_brain_are_kept() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    let home = tempfile::tempdir().unwrap();
    let gate = home.path().join("gate");
    assert!(
        Command::new("mkfifo")
            .arg(&gate)
            .status()
            .unwrap()
            .success()
    );
    let by_code = daemon.start_program(&format!("read line < {}; exit 7", gate.display()));
    let by_signal = daemon.start_program("exec sleep 1000");
    let lives_on = daemon.start_program("exec sleep 1000");
    let next = make_a_gap(&mut daemon);
    kill(by_signal, Signal::TERM);
    fs::write(&gate, "go\n").unwrap();
    until("the keeper reaps them", || {
        !alive(by_code) && !alive(by_signal)
    });
    daemon.expect_brain(next);
    let mut told = vec![daemon.expect("inherited "), daemon.expect("inherited ")];
    let mut expected = vec![
        format!("inherited {by_code} code 7"),
        format!("inherited {by_signal} signal 15"),
    ];
    told.sort();
    expected.sort();
    assert_eq!(told, expected);
    // One is acknowledged; the other is told again.
    daemon.ask(&format!("acknowledge {by_code}"));
    daemon.kill_brain();
    daemon.expect_brain(next + 1);
    assert_eq!(
        daemon.expect("inherited "),
        format!("inherited {by_signal} signal 15")
    );
    assert!(alive(lives_on));
    kill(lives_on, Signal::KILL);
    daemon.expect(&format!("exited {lives_on} signal 9"));
}

fn a_signal_without_a_brain_is_told_to_the_next() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    let next = make_a_gap(&mut daemon);
    daemon.signal_keeper(Signal::HUP);
    daemon.signal_keeper(Signal::TERM);
    daemon.signal_keeper(Signal::TERM);
    let sender = format!(
        "from {} uid {}",
        std::process::id(),
        rustix::process::getuid().as_raw()
    );
    daemon.expect_brain(next);
    let mut told = vec![daemon.expect("signal "), daemon.expect("signal ")];
    told.sort();
    assert_eq!(
        told,
        [format!("signal 1 {sender}"), format!("signal 15 {sender}")]
    );
    // That brain was ready and died: only the wish to stop is told again.
    daemon.ask("ready");
    daemon.kill_brain();
    daemon.expect_brain(next + 1);
    assert_eq!(daemon.line().unwrap(), format!("signal 15 {sender}"));
    daemon.ask("ready");
}

fn a_signal_told_before_ready_is_told_again() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    daemon.kill_brain();
    daemon.expect_brain(2);
    daemon.signal_keeper(Signal::USR2);
    daemon.expect("signal 12 ");
    daemon.kill_brain();
    daemon.expect_brain(3);
    daemon.expect("signal 12 ");
    daemon.ask("ready");
    daemon.kill_brain();
    daemon.expect_brain(4);
    daemon.ask("ready");
    daemon.signal_keeper(Signal::USR1);
    assert!(daemon.line().unwrap().starts_with("signal 10 "));
}

fn last_words_count() {
    let mut daemon = Daemon::start(&[]);
    // The keeper finds a dead brain and all it said at once.
    daemon.signal_keeper(Signal::STOP);
    daemon.command("last-words");
    let stat = format!("/proc/{}/stat", daemon.brain);
    until("the brain is dead", || {
        fs::read_to_string(&stat).unwrap().contains(") Z ")
    });
    daemon.signal_keeper(Signal::CONT);
    assert_eq!(daemon.expect_brain(2), "parked 102 Settings");
    daemon.command("read 77");
    daemon.expect("content last words");
}

fn a_crash_loop_is_slowed_down() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    for (incarnation, delay) in [(2, 0), (3, 50), (4, 200), (5, 800), (6, 3200)] {
        let before = Instant::now();
        daemon.kill_brain();
        daemon.expect_brain(incarnation);
        let waited = before.elapsed();
        assert!(
            waited >= Duration::from_millis(delay),
            "{incarnation}: {waited:?}"
        );
    }
    daemon.expect("duty Duty { safe_mode: true, upgrade: None }");
}

fn a_brain_that_hangs_is_replaced() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    // Somebody stopped it.
    kill(daemon.brain, Signal::STOP);
    daemon.expect_brain(2);
    daemon.ask("ready");
    // Stopped for a moment only, and a turn that ends: no harm.
    kill(daemon.brain, Signal::STOP);
    kill(daemon.brain, Signal::CONT);
    daemon.ask("two-turns");
    // A turn without end.
    let brain = daemon.brain;
    daemon.ask("turn");
    assert!(alive(brain));
    daemon.expect_brain(3);
    // One that does not come to serve has longer; nobody waits for that here.
}

/// Our own binary under another name.
fn another_binary(home: &tempfile::TempDir) -> String {
    let copy = home.path().join("another");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    copy.display().to_string()
}

fn exe(pid: i32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    link.display().to_string()
}

fn a_candidate_that_serves_stays() {
    let home = tempfile::tempdir().unwrap();
    let another = another_binary(&home);
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    daemon.ask("pipe 1 kept");
    daemon.command(&format!("propose {another}"));
    daemon.expect_brain(2);
    assert_eq!(exe(daemon.brain), another);
    daemon.expect("duty Duty { safe_mode: false, upgrade: Some(Ok(())) }");
    daemon.command("read 1");
    daemon.expect("content kept");
    daemon.ask("ready");
    // It may have died before it could tell.
    daemon.kill_brain();
    daemon.expect_brain(3);
    assert_eq!(exe(daemon.brain), another);
    daemon.expect("duty Duty { safe_mode: false, upgrade: Some(Ok(())) }");
    daemon.ask("ready");
    daemon.ask("told");
    daemon.kill_brain();
    daemon.expect_brain(4);
    daemon.command("environment");
    assert_eq!(daemon.line().unwrap(), "None", "nothing to tell any more");
}

fn a_candidate_that_does_not_serve_is_given_up() {
    let home = tempfile::tempdir().unwrap();
    let another = another_binary(&home);
    let text = home.path().join("text");
    fs::write(&text, "no binary").unwrap();
    let own = std::env::current_exe().unwrap().display().to_string();
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    let mut incarnation = 1;
    // What is proposed, what its brain does if it gets so far, and what is said of it.
    let table = [
        (
            "/bin/false",
            None,
            "it ended with exit status 1 before it served",
        ),
        (text.to_str().unwrap(), None, "it cannot be executed: "),
        (
            &another,
            Some("exit 7"),
            "it ended with exit status 7 before it served",
        ),
        (&another, Some("environment"), "it did not serve in time"),
    ];
    for (binary, deed, reason) in table {
        daemon.command(&format!("propose {binary}"));
        if let Some(deed) = deed {
            daemon.expect_brain(incarnation + 1);
            assert_eq!(exe(daemon.brain), binary);
            daemon.command(deed);
        }
        let line = daemon.expect("duty Duty { safe_mode: false, upgrade: Some(Err(");
        assert!(line.contains(reason), "{line}");
        let keeper = daemon.keeper;
        daemon.brain = *children_of(keeper).last().unwrap();
        assert_eq!(exe(daemon.brain), own, "{binary}");
        daemon.ask("ready");
        daemon.ask("told");
        incarnation += match binary {
            // It never was a brain.
            binary if binary == text.to_str().unwrap() => 1,
            _ => 2,
        };
    }
}

fn a_newer_binary_that_crashes_for_ever_is_given_up() {
    let home = tempfile::tempdir().unwrap();
    let another = another_binary(&home);
    let own = std::env::current_exe().unwrap().display().to_string();
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    daemon.command(&format!("propose {another}"));
    daemon.expect_brain(2);
    daemon.ask("ready");
    daemon.ask("told");
    for incarnation in 3..=7 {
        assert_eq!(exe(daemon.brain), another);
        daemon.command("exit 3");
        daemon.expect_brain(incarnation);
    }
    assert_eq!(exe(daemon.brain), own);
    daemon.expect("duty Duty { safe_mode: true, upgrade: None }");
}

fn death_before_the_first_ready_ends_the_keeper() {
    for (last, code) in [("exit 3", 3), ("exit 0", 0), ("die", 137)] {
        let mut daemon = Daemon::start(&[]);
        daemon.command(last);
        assert_eq!(daemon.exit_code(), code, "{last}");
    }
}

fn leaving_ends_the_keeper_with_the_code() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    daemon.ask("leave 5");
    assert!(alive(daemon.brain) && daemon.child.try_wait().unwrap().is_none());
    daemon.command("exit 0");
    assert_eq!(daemon.exit_code(), 5);

    // It said so, and then was killed: still on purpose.
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    daemon.ask("leave 0");
    daemon.command("die");
    assert_eq!(daemon.exit_code(), 0);
}

fn strays_are_reaped_and_told() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    // It ends after its parent, or is left as a zombie: reaped either way.
    daemon.start_program("sh -c \"sleep 0.1; exit 6\" & exit 0");
    let keeper = daemon.keeper;
    let line = daemon.expect("exited ");
    assert!(line.ends_with("code 6"), "{line}");
    let brain = daemon.brain;
    until("only the brain is left", || children_of(keeper) == [brain]);
}

fn a_brain_that_hangs_up_is_replaced() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    let brain = daemon.brain;
    daemon.ask("hang-up");
    daemon.expect_brain(2);
    assert!(!alive(brain));
    daemon.ask("ready");
}

fn without_room_parking_is_refused_and_brains_still_start() {
    let mut daemon = Daemon::start(&["nofile=100"]);
    daemon.ask("ready");
    daemon.ask("many 200");
    let line = daemon.expect("not parked ");
    let refused: usize = line["not parked ".len()..].parse().unwrap();
    assert!((100..=130).contains(&refused), "{line}");
    daemon.kill_brain();
    assert_eq!(
        daemon.expect_brain(2),
        format!("parked {} Settings", 201 - refused)
    );
    daemon.ask("ready");
    daemon.ask("many 1");
}

fn ready_is_told_and_the_lock_is_held() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lock");
    let mut daemon = Daemon::start(&[&format!("lock={}", path.display())]);
    let try_lock = || {
        let file = File::open(&path).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    };
    assert!(!try_lock());
    daemon.command("ready");
    let mut lines = vec![daemon.line().unwrap(), daemon.line().unwrap()];
    lines.sort();
    assert_eq!(lines, ["", "done ready"]);
    daemon.kill_brain();
    assert!(!try_lock());
    daemon.expect_brain(2);
    // Only once.
    daemon.command("ready");
    assert_eq!(daemon.line().unwrap(), "done ready");
    assert!(!try_lock());
    daemon.ask("leave 0");
    daemon.command("exit 0");
    daemon.exit_code();
    assert!(try_lock());
}

fn the_end_of_the_keeper_is_told() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    let program = daemon.start_program("exec sleep 1000");
    kill(daemon.keeper, Signal::KILL);
    daemon.expect("gone");
    assert!(alive(program));
}

fn the_binary_may_be_gone() {
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("copy");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut command = Command::new(&copy);
    command.arg("boot");
    let mut daemon = Daemon::start_by(command);
    daemon.ask("ready");
    fs::remove_file(&copy).unwrap();
    fs::write(&copy, "garbage").unwrap();
    daemon.kill_brain();
    daemon.expect_brain(2);
    let comm = |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(comm(daemon.keeper), "appctl\n");
    assert_eq!(comm(daemon.brain), "appctl: brain\n");
    let arguments = fs::read(format!("/proc/{}/cmdline", daemon.brain)).unwrap();
    assert_eq!(arguments, b"appctl: brain\0boot\0");
}

fn an_ignored_sigchld_is_no_harm() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg("boot");
    let ignore = || {
        // SAFETY: installs no code.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        Ok(())
    };
    // SAFETY: signal is async-signal-safe.
    unsafe { command.pre_exec(ignore) };
    let mut daemon = Daemon::start_by(command);
    daemon.ask("ready");
    let program = daemon.start_program("exec sleep 1000");
    daemon.kill_brain();
    daemon.expect_brain(2);
    kill(program, Signal::TERM);
    daemon.expect(&format!("exited {program} signal 15"));
}

fn nothing_grows_with_the_number_of_brains() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    daemon.ask("many 10");
    let keeper = daemon.keeper;
    let open = || fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count();
    daemon.kill_brain();
    daemon.expect_brain(2);
    daemon.ask("ready");
    let before = open();
    for incarnation in 3..=5 {
        daemon.ask("many 10");
        daemon.kill_brain();
        daemon.expect_brain(incarnation);
        daemon.ask("ready");
    }
    assert_eq!(open(), before);
    assert_eq!(
        fs::read_dir(format!("/proc/{keeper}/task"))
            .unwrap()
            .count(),
        1
    );
}

fn signals_to_the_brain_are_the_keepers_business() {
    let mut daemon = Daemon::start(&[]);
    daemon.ask("ready");
    for signal in [
        Signal::TERM,
        Signal::INT,
        Signal::QUIT,
        Signal::HUP,
        Signal::USR1,
    ] {
        kill(daemon.brain, signal);
    }
    let brain = daemon.brain;
    daemon.ask("environment");
    assert!(alive(brain));
    // A program of it is not affected by what the brain blocks.
    let program = daemon.start_program("exec sleep 1000");
    kill(program, Signal::HUP);
    until("the program ends", || {
        let stat = fs::read_to_string(format!("/proc/{program}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
}

/// Whatever runs was recorded, or is found by the intent that was recorded before.
fn a_brain_killed_while_it_starts_programs_leaves_none_unknown() {
    let mut found = 0;
    for round in 0..40u64 {
        let mut daemon = Daemon::start(&[]);
        daemon.ask("ready");
        daemon.command("storm");
        let first = daemon.expect("intent ");
        // Another moment of a start each time.
        let until_then = Instant::now() + Duration::from_micros(round * 97);
        while Instant::now() < until_then {
            std::hint::spin_loop();
        }
        kill(daemon.brain, Signal::KILL);
        let (mut known, mut intent) = (Vec::new(), Some(first["intent ".len()..].to_owned()));
        let brain = loop {
            let line = daemon.line().unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["intent", inode] => intent = Some(inode.to_owned()),
                ["started", pid] => {
                    known.push(pid.parse::<i32>().unwrap());
                    intent = None;
                }
                ["brain", "2", "pid", pid, ..] => break pid.parse::<i32>().unwrap(),
                // The byte that tells of readiness.
                [""] => {}
                _ => panic!("{line}"),
            }
        };
        known.push(brain);
        if let Some(inode) = intent {
            daemon.command(&format!("find {inode}"));
            let line = daemon.expect("found ");
            if let Ok(pid) = line["found ".len()..].parse::<i32>() {
                known.push(pid);
                found += 1;
            }
        }
        let keeper = daemon.keeper;
        // One that ends itself because its brain is gone may take a moment to do so.
        until("all children of the keeper are known", || {
            children_of(keeper).iter().all(|pid| known.contains(pid))
        });
    }
    eprintln!("found by their intent: {found} of 40");
}

fn works_as_pid_1() {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
    let possible = Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "true"])
        .stderr(Stdio::null())
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: needs root and unshare");
        return;
    }
    command.arg(std::env::current_exe().unwrap()).arg("boot");
    let mut daemon = Daemon::start_by(command);
    assert_eq!(daemon.keeper, 1);
    daemon.ask("ready");
    // From inside, where a PID 1 without handlers is deaf.
    daemon.command("signal-keeper 15");
    daemon.expect("signal 15 ");
    daemon.command("start sh -c \"sleep 0.1; exit 6\" & exit 0");
    let line = daemon.expect("exited ");
    assert!(line.ends_with("code 6"), "{line}");
    daemon.command("die");
    daemon.expect_brain(2);
    daemon.ask("leave 4");
    daemon.command("exit 0");
    assert_eq!(daemon.exit_code(), 4);
}

fn output_of(arguments: &[&str]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn drop_privileges() -> ExitCode {
    let user = UserSpec {
        name: "nobody at all".into(),
        uid: 54321,
        gid: 54322,
    };
    println!("{:?}", appctl::launch::drop_privileges(&user));
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ids = status
        .lines()
        .filter(|line| line.starts_with("Uid") || line.starts_with("CapEff"));
    ids.for_each(|line| println!("{line}"));
    println!(
        "{:?}",
        appctl::launch::drop_privileges(&UserSpec {
            uid: 0,
            gid: 0,
            ..user
        })
    );
    ExitCode::SUCCESS
}

fn privileges_are_dropped() {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    assert_eq!(
        output_of(&["drop-privileges"]),
        "Ok(())\nUid:\t54321\t54321\t54321\t54321\nCapEff:\t0000000000000000\n\
         Err(\"Can't drop privilege as nonroot user\")\n"
    );
}

fn raise_limits(minfds: &str) -> ExitCode {
    let soft = Rlimit {
        current: Some(64),
        maximum: Some(256),
    };
    setrlimit(Resource::Nofile, soft).unwrap();
    match appctl::launch::raise_limits(minfds.parse().unwrap(), 1) {
        Ok((limits, lines)) => println!("{:?} {lines:?}", limits.nofile_soft),
        Err(text) => println!("{text}"),
    }
    println!("{:?}", getrlimit(Resource::Nofile).current);
    ExitCode::SUCCESS
}

fn limits_are_raised() {
    // Programs get what was asked, we take all there is.
    let text = "Some(128) [\"Increased RLIMIT_NOFILE limit to 128\"]\nSome(256)\n";
    assert_eq!(output_of(&["raise-limits", "128"]), text);
    assert_eq!(
        output_of(&["raise-limits", "64"]),
        "Some(64) []\nSome(256)\n"
    );
    // More than the hard limit: a question of privilege.
    let text = output_of(&["raise-limits", "512"]);
    let raised = "Some(512) [\"Increased RLIMIT_NOFILE limit to 512\"]\nSome(512)\n";
    assert!(
        text == raised || text.starts_with("minfds=512 asks for 512 file descriptors"),
        "{text}"
    );
}

fn an_odd_role_is_refused() {
    for role in [
        "keeper:",
        "keeper:x",
        "keeper:0",
        "keeper:999",
        "brain:2",
        "brain:-1",
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .env("APPCTL_ROLE", role)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            text.contains("APPCTL_ROLE leads to is refused"),
            "{role}: {text}"
        );
        assert!(!output.status.success(), "{role}");
    }
}
