//! What programs print: every byte of it, where it was asked to go, whatever happens to the files.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use lab::disk::SmallDisk;
use lab::numbers::Tally;
use lab::{Lab, procfs, rotated};

/// Options of a program that runs once.
const ONCE: &str = "autorestart=false\nstartsecs=0\n";

#[test]
fn the_checker_of_numbered_lines_can_fail() {
    // Without this: every test that counts lines proves nothing.
    let tally = |text: &str| Tally::of(text);
    tally("1\n2\n3\n4").assert_complete();
    assert_eq!(tally("1\n4\n").lost, 2);
    assert_eq!(tally("1\n2\n2\n3\n").doubled, 1);
    assert_eq!(tally("1\n2\n1\n2\n3\n").doubled, 2);
    assert_eq!(tally("1\n2x\n3\n").torn, 1);
    assert_eq!(tally("2\n3\n").first, 2);
}

#[test]
fn every_byte_arrives_unchanged() {
    // Without this: logs of binary or non-UTF-8 output are damaged or cut.
    let mut lab = Lab::new();
    let mut state: u32 = 1;
    let noise: Vec<u8> = (0..1_000_003)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    fs::write(lab.path("noise"), &noise).unwrap();
    lab.configure(&format!(
        "[program:out]\ncommand=/bin/cat @D@/noise\nstdout_logfile=@D@/out.log\n{ONCE}\
         [program:err]\ncommand=/bin/sh -c \"cat @D@/noise >&2\"\nstderr_logfile=@D@/err.log\nstdout_logfile=@D@/none.log\n{ONCE}\
         [program:short]\ncommand=/usr/bin/printf hi\nstdout_logfile=@D@/short.log\n{ONCE}"
    ));
    lab.start();
    for name in ["out", "err", "short"] {
        lab.wait_state(name, "EXITED");
    }
    lab.until("the last byte is there", |lab| {
        fs::metadata(lab.path("err.log")).is_ok_and(|file| file.len() == noise.len() as u64)
    });
    assert!(
        fs::read(lab.path("out.log")).unwrap() == noise,
        "standard output differs"
    );
    assert!(
        fs::read(lab.path("err.log")).unwrap() == noise,
        "standard error differs"
    );
    assert_eq!(lab.read("none.log"), "");
    assert_eq!(lab.read("short.log"), "hi", "a last line without newline");
}

#[test]
fn rotation_loses_no_line() {
    // Without this: a hole in the log wherever a file was rotated.
    let lab = Lab::with(&format!(
        "[program:a]\ncommand=/usr/bin/seq 1 300000\nstdout_logfile=@D@/a.log\n\
         stdout_logfile_maxbytes=100KB\nstdout_logfile_backups=50\n{ONCE}"
    ));
    let files = || rotated(&lab.path("a.log"));
    lab.until("the last line is there", |_| {
        Tally::of_files(&files()).last == 300_000
    });
    Tally::of_files(&files()).assert_complete();
    assert!(
        files().len() >= 8,
        "2 MB make at least 8 files: {}",
        files().len()
    );
    for file in files() {
        let bytes = fs::metadata(&file).unwrap().len();
        // A file may exceed its limit by the chunk that filled it.
        assert!(bytes <= (100 + 128) * 1024, "{}: {bytes}", file.display());
    }
}

#[test]
fn only_as_many_backups_are_kept_as_asked_for() {
    // Without this: logs fill the disk although they were limited.
    let lab = Lab::with(&format!(
        "[program:a]\ncommand=/usr/bin/seq 1 300000\nstdout_logfile=@D@/a.log\nstdout_logfile_maxbytes=20KB\nstdout_logfile_backups=2\n{ONCE}\
         [program:none]\ncommand=/usr/bin/seq 1 300000\nstdout_logfile=@D@/none.log\nstdout_logfile_maxbytes=20KB\nstdout_logfile_backups=0\n{ONCE}\
         [program:never]\ncommand=/usr/bin/seq 1 300000\nstdout_logfile=@D@/never.log\nstdout_logfile_maxbytes=0\n{ONCE}"
    ));
    for name in ["a", "none", "never"] {
        lab.wait_state(name, "EXITED");
    }
    lab.wait_text("never.log", "\n300000\n");
    assert_eq!(rotated(&lab.path("a.log")).len(), 3);
    assert_eq!(rotated(&lab.path("none.log")).len(), 1);
    assert_eq!(rotated(&lab.path("never.log")).len(), 1);
    Tally::of(&lab.read("never.log")).assert_complete();
    let kept: String = rotated(&lab.path("a.log"))
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    // The oldest file may begin in the middle of a line.
    let (_, whole_lines) = kept.split_once('\n').unwrap();
    let tally = Tally::of(whole_lines);
    assert_eq!(
        (tally.last, tally.lost, tally.doubled),
        (300_000, 0, 0),
        "what is kept has no hole: {tally:?}"
    );
}

#[test]
fn both_streams_in_one_file_keep_their_order() {
    // Without this: an error message stands beside the wrong request.
    let lab = Lab::new();
    lab.script(
        "both",
        "i=1; while [ $i -le 400 ]; do echo $i; i=$((i+1)); echo $i >&2; i=$((i+1)); done",
    );
    let lab = lab.started(&format!(
        "[program:a]\ncommand=@D@/both\nredirect_stderr=true\nstdout_logfile=@D@/a.log\n{ONCE}"
    ));
    lab.wait_text("a.log", "\n400\n");
    Tally::of(&lab.read("a.log")).assert_complete();
    lab.expect("tail a stderr", 1, "a: ERROR (no log file)\n");
}

#[test]
fn output_that_nobody_wants_does_not_block_the_program() {
    // Without this: a program with stdout_logfile=NONE hangs after 64 KiB of output.
    let lab = Lab::new();
    lab.script(
        "chatty",
        "seq 1 200000; echo done > @D@/done; exec sleep 1000",
    );
    let lab =
        lab.started("[program:a]\ncommand=@D@/chatty\nstdout_logfile=NONE\nstderr_logfile=NONE\n");
    lab.wait_file("done");
    lab.expect("tail a", 1, "a: ERROR (no log file)\n");
}

#[test]
fn automatic_logs_are_private_and_cleaned_up() {
    // Without this: secrets in /tmp for everyone to read, and one more file with every start.
    let mut lab = Lab::new();
    lab.write("other-stdout---stranger-abcdefgh.log", "not ours");
    lab.write("old-stdout---supervisor-abcdefgh.log", "ours of last time");
    lab.configure("[program:a]\ncommand=/bin/sh -c \"echo hello; exec sleep 1000\"\n");
    lab.start();
    let file = lab.wait_some("the log has its line", |lab| {
        fs::read_dir(lab.path("")).unwrap().find_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let ours = name.starts_with("a-stdout---supervisor-") && name.ends_with(".log");
            (ours && lab.read(&name) == "hello\n").then_some(name)
        })
    });
    let mode = fs::metadata(lab.path(&file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(lab.path("other-stdout---stranger-abcdefgh.log").exists());
    assert!(!lab.path("old-stdout---supervisor-abcdefgh.log").exists());
    lab.shut_down();
    assert!(lab.path(&file).exists(), "the log outlives the daemon");
    lab.start();
    assert!(!lab.path(&file).exists(), "the next start removes it");
}

#[test]
fn a_program_may_log_to_the_daemons_own_output() {
    // Without this: `docker logs` shows nothing of the programs in a container.
    let lab = Lab::with(&format!(
        "silent=true\n\
         [program:a]\ncommand=/usr/bin/seq 1 20000\nstdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n{ONCE}\
         [program:b]\ncommand=/bin/sh -c \"echo wrong >&2\"\nautostart=false\nstderr_logfile=/dev/stderr\nstderr_logfile_maxbytes=0\n{ONCE}"
    ));
    lab.wait_text("daemon.out", "\n20000\n");
    // Not earlier: both go to one place, and a write of one may fall between two of the other.
    assert_eq!(lab.ctl("start b").code, 0);
    lab.wait_text("daemon.out", "wrong\n");
    let numbers: String = lab
        .read("daemon.out")
        .lines()
        .filter(|line| line.parse::<u64>().is_ok())
        .map(|line| format!("{line}\n"))
        .collect();
    Tally::of(&numbers).assert_complete();
}

#[test]
fn logs_are_reopened_for_logrotate() {
    // Without this: after logrotate has moved a file, output goes to the moved one for ever.
    let lab = Lab::new();
    lab.script("count", COUNT);
    let lab = lab.started("[program:a]\ncommand=@D@/count\nstdout_logfile=@D@/a.log\n");
    lab.wait_text("a.log", "\n10\n");
    fs::rename(lab.path("a.log"), lab.path("a.moved")).unwrap();
    fs::rename(lab.path("main.log"), lab.path("main.moved")).unwrap();
    lab.signal_daemon("USR2");
    lab.wait_some("the new file has lines", |lab| {
        (Tally::of(&lab.read("a.log")).lines > 10).then_some(())
    });
    lab.expect("stop a", 0, "a: stopped\n");
    lab.wait_main_log("stopped: a");
    // A file that was moved is made again by itself, so it may stand in either.
    lab.until("the request is told", |lab| {
        let both = lab.read("main.moved") + &lab.main_log();
        both.contains("received SIGUSR2 indicating log reopen request")
    });
    Tally::of_files(&[lab.path("a.moved"), lab.path("a.log")]).assert_complete();
}

#[test]
fn a_reopening_that_was_asked_for_is_done_when_it_is_answered() {
    // Without this: what logrotate compresses then is still being written to.
    ours_only!();
    let lab = Lab::new();
    lab.script("count", "i=1; while :; do echo $i; i=$((i+1)); done");
    let lab = lab.started("[program:a]\ncommand=@D@/count\nstdout_logfile=@D@/a.log\n");
    let mut files = Vec::new();
    for round in 0..20 {
        lab.wait_text("a.log", "\n");
        let moved = lab.path(&format!("moved.{round}"));
        fs::rename(lab.path("a.log"), &moved).unwrap();
        assert_eq!(lab.appctl("reopen").code, 0);
        let length = fs::metadata(&moved).unwrap().len();
        files.push((moved, length));
    }
    lab.expect("stop a", 0, "a: stopped\n");
    for (moved, length) in &files {
        let now = fs::metadata(moved).unwrap().len();
        assert_eq!(now, *length, "{}", moved.display());
    }
    let moved = files.into_iter().map(|(moved, _)| moved);
    let files: Vec<_> = moved.chain([lab.path("a.log")]).collect();
    Tally::of_files(&files).assert_complete();
}

#[test]
fn clear_empties_the_log_of_a_running_program() {
    // Without this: no way to get rid of a huge log without a restart.
    let lab = Lab::new();
    lab.script("count", COUNT);
    let lab = lab.started("[program:a]\ncommand=@D@/count\nstdout_logfile=@D@/a.log\n");
    lab.wait_text("a.log", "\n10\n");
    lab.expect("clear a", 0, "a: cleared\n");
    let after = lab.wait_some("new lines come", |lab| {
        Some(Tally::of(&lab.read("a.log"))).filter(|tally| tally.lines > 10)
    });
    assert!(
        after.first > 1 && after.lost == 0 && after.torn == 0,
        "{after:?}"
    );
}

#[test]
fn tail_shows_the_end_of_a_log() {
    // Without this: one must know where the file is to see why a program failed.
    let lab = Lab::with(&format!(
        "[program:a]\ncommand=/usr/bin/seq 1 5000\nstdout_logfile=@D@/a.log\n{ONCE}"
    ));
    lab.wait_text("a.log", "\n5000\n");
    lab.expect("tail -10 a", 0, "4999\n5000\n\n");
    let said = lab.ctl("tail a");
    assert_eq!(said.out.len(), 1601, "1600 bytes and a newline");
    lab.expect("tail a nonsense", 1, "Error: bad channel 'nonsense'\n");
    assert!(lab.ctl("maintail").out.contains("spawned: 'a'"));
}

#[test]
fn a_follower_sees_every_line_across_rotations() {
    // Without this: `tail -f` misses what happens around a rotation, or falls silent after it.
    ours_only!();
    let lab = Lab::new();
    lab.script("paced", "i=1; while [ $i -le 3000 ]; do echo $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.02; done; exec sleep 1000");
    let lab = lab.started(
        "[program:a]\ncommand=@D@/paced\nautostart=false\nstdout_logfile=@D@/a.log\n\
         stdout_logfile_maxbytes=2KB\nstdout_logfile_backups=20\n",
    );
    lab.write("a.log", "");
    let mut follower = lab
        .ctl_command("tail -f a")
        .stdout(File::create(lab.path("seen")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    lab.wait_text("seen", "==> Press Ctrl-C to exit <==");
    lab.expect("start a", 0, "a: started\n");
    let seen = lab.wait_text("seen", "\n3000\n");
    lab::signal(follower.id() as i32, "INT");
    assert_eq!(follower.wait().unwrap().code(), Some(0));
    let lines: String = seen
        .lines()
        .skip(1)
        .map(|line| format!("{line}\n"))
        .collect();
    Tally::of(&lines).assert_complete();
    assert!(
        rotated(&lab.path("a.log")).len() > 5,
        "there were rotations to survive"
    );
}

#[test]
fn output_of_the_last_moment_is_kept() {
    // Without this: the very lines that say why a program ended are missing.
    let lab = Lab::new();
    lab.script(
        "farewell",
        "trap 'seq 1 2000; exit 0' TERM; echo ready >&2; while :; do sleep 0.05; done",
    );
    let lab = lab.started(
        "[program:a]\ncommand=@D@/farewell\nstdout_logfile=@D@/a.log\nstderr_logfile=@D@/a.err\n",
    );
    lab.wait_text("a.err", "ready");
    lab.wait_state("a", "RUNNING");
    lab.expect("stop a", 0, "a: stopped\n");
    let tally = Tally::of(&lab.read("a.log"));
    tally.assert_complete();
    assert_eq!(tally.last, 2000, "all of it, by the time `stop` answers");
}

#[test]
fn descendants_that_outlive_the_program_go_on_logging() {
    // Without this: output of a detached worker is lost, or SIGPIPE kills it.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "parent",
        "(while [ ! -e @D@/go ]; do sleep 0.02; done; echo late) & exit 0",
    );
    let lab = lab.started(&format!(
        "[program:a]\ncommand=@D@/parent\nstdout_logfile=@D@/a.log\n{ONCE}"
    ));
    lab.wait_state("a", "EXITED");
    lab.write("go", "");
    lab.wait_text("a.log", "late\n");
}

#[test]
fn a_log_directory_that_vanishes_harms_neither_daemon_nor_program() {
    // Without this: an overeager clean-up job takes the services down.
    ours_only!();
    let lab = Lab::new();
    lab.script("count", COUNT);
    fs::create_dir(lab.path("logs")).unwrap();
    let lab = lab.started( "[program:a]\ncommand=@D@/count\nstdout_logfile=@D@/logs/a.log\nstdout_logfile_maxbytes=1KB\nstdout_logfile_backups=2\n");
    lab.wait_text("logs/a.log", "\n10\n");
    lab.wait_state("a", "RUNNING");
    let pid = lab.pid("a");
    fs::remove_dir_all(lab.path("logs")).unwrap();
    lab.signal_daemon("USR2");
    lab.wait_main_log("received SIGUSR2");
    lab.until("the daemon answers", |lab| lab.ctl("pid").code == 0);
    fs::create_dir_all(lab.path("logs")).unwrap();
    lab.until("lines arrive again", |lab| {
        Tally::of(&lab.read("logs/a.log")).lines > 10
    });
    assert_eq!(lab.pid("a"), pid, "the program was left alone");
}

#[test]
fn a_full_disk_stops_nobody_and_loses_nothing() {
    // Without this: a full disk kills the daemon or punches holes into the log.
    ours_only!();
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(&lab.path("small"), "64k") else {
        return;
    };
    lab.script(
        "burst",
        "seq 1 100000; echo done > @D@/done; exec sleep 1000",
    );
    lab.script("count", COUNT);
    let lab = lab.started(
        "[program:full]\ncommand=@D@/burst\nstdout_logfile=@D@/small/full.log\n\
         [program:other]\ncommand=@D@/count\nstdout_logfile=@D@/other.log\n",
    );
    let bytes = |lab: &Lab| fs::metadata(lab.path("small/full.log")).map_or(0, |file| file.len());
    lab.until("the disk is full", |lab| bytes(lab) >= 60 * 1024);
    lab.wait_text("other.log", "\n20\n");
    lab.until("both run", |lab| {
        lab.ctl("status").out.matches("RUNNING").count() == 2
    });
    let pid = lab.pid("full");
    assert!(!lab.path("done").exists(), "the program waits for the disk");
    disk.grow();
    lab.wait_file("done");
    lab.wait_text("small/full.log", "\n100000\n");
    Tally::of(&lab.read("small/full.log")).assert_complete();
    assert_eq!(lab.pid("full"), pid);
}

#[test]
fn a_program_with_a_stalled_log_can_still_be_stopped() {
    // Without this: a dead log target makes its program unstoppable.
    ours_only!();
    let mut lab = Lab::new();
    symlink("/dev/full", lab.path("full.log")).unwrap();
    lab.configure("[program:a]\ncommand=/usr/bin/seq 1 100000000\nstopwaitsecs=5\nstdout_logfile=@D@/full.log\nstdout_logfile_maxbytes=0\n\
         [program:b]\ncommand=/bin/sleep 1000\n");
    lab.start();
    lab.wait_state("a", "RUNNING");
    lab.wait_state("b", "RUNNING");
    let pid = lab.pid("a");
    lab.expect("stop a", 0, "a: stopped\n");
    assert!(!procfs::alive(pid));
    assert_eq!(lab.state("b"), "RUNNING");
}

#[test]
fn the_main_log_looks_like_supervisors() {
    // Without this: every script that greps supervisord.log must be rewritten.
    let lab = Lab::with("[program:a]\ncommand=/bin/sleep 1000\n");
    lab.wait_state("a", "RUNNING");
    let log = lab.wait_main_log("entered RUNNING state");
    let pid = lab.pid("a");
    for text in [
        format!("INFO supervisord started with pid {}", lab.daemon_pid()),
        format!("INFO spawned: 'a' with pid {pid}"),
        "INFO success: a entered RUNNING state, process has stayed up for > than 1 seconds (startsecs)".to_owned(),
    ] {
        assert!(log.contains(&text), "{text}\n{log}");
    }
    for line in log.lines() {
        let shape: String = line
            .chars()
            .take(24)
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00 00:00:00,000 ", "{line}");
        let level = &line[24..28];
        assert!(
            ["CRIT", "ERRO", "WARN", "INFO", "DEBG"].contains(&level),
            "{line}"
        );
    }
}

/// Prints 1, 2, 3, … without end, about a hundred lines a second.
const COUNT: &str = "i=1; while :; do echo $i; i=$((i+1)); sleep 0.01; done";

#[test]
fn all_logs_are_cleared_in_the_order_of_starts() {
    // Without this: who pairs answers with programs by their place gets the wrong ones.
    let mut programs = String::new();
    for (name, priority) in [("a", 30), ("b", 10), ("c", 20)] {
        programs.push_str(&format!(
            "[program:{name}]\ncommand=/bin/sleep 1000\nstdout_logfile=@D@/{name}.log\n\
             priority={priority}\n"
        ));
    }
    let lab = Lab::with(&programs);
    for name in ["a", "b", "c"] {
        lab.wait_state(name, "RUNNING");
    }
    lab.expect("clear all", 0, "b: cleared\nc: cleared\na: cleared\n");
    lab.expect("clear c a", 0, "c: cleared\na: cleared\n");
}
