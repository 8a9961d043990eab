//! Disks that are full or fail, files that others touch, programs that behave oddly: output is
//! complete afterwards, or what is missing is counted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lab::disk::SmallDisk;
use lab::numbers::Tally;
use lab::{Lab, rotated, tools};

/// Options of a program that runs once.
const ONCE: &str = "autorestart=false\nstartsecs=0\n";

#[test]
fn a_full_disk_drops_whole_lines_where_that_is_wanted_and_counts_them() {
    // Without this: a full disk stops the service, or lines are missing and nobody knows.
    ours_only!();
    for format in ["raw", "prefix"] {
        let lab = Lab::new();
        let Some(disk) = SmallDisk::mount(&lab.path("small"), "64k") else {
            return;
        };
        lab.script(
            "burst",
            "seq 1 100000; touch @D@/done; while [ ! -e @D@/more ]; do sleep 0.02; done; seq 100001 100100; exec sleep 1000",
        );
        let lab = lab.started(&format!(
            "[program:a]\ncommand=@D@/burst\nstdout_logfile=@D@/small/a.log\nstdout_on_full=drop\nstdout_format={format}\n"
        ));
        // It is not held up …
        lab.wait_file("done");
        // … and it is told what is missing.
        lab.until("status says so", |lab| {
            let status = lab.appctl("status --json a").out;
            status.contains("No space left on device") && status.contains("dropped")
        });
        lab.wait_main_log("No space left on device");
        disk.grow();
        lab.until("it is written again", |lab| {
            lab.main_log().contains("is written again; ")
        });
        lab.write("more", "");
        lab.wait_text("small/a.log", "100100\n");
        let text = lab.read("small/a.log");
        let (last, lines, bytes) = Tally::accounted(&text);
        assert_eq!(last, 100_100, "{format}");
        assert!(lines > 50_000, "{format}: {lines}");
        assert!(
            lab.main_log()
                .contains(&format!("{lines} lines ({bytes} bytes) dropped")),
            "{format}: {lines} {bytes}\n{}",
            lab.main_log()
        );
    }
}

#[test]
fn what_a_killed_brain_had_dropped_is_counted_to_the_byte() {
    // Without this: a brain that dies, or is upgraded, while a disk is full takes the count of what
    // is missing with it.
    ours_only!();
    for format in ["raw", "prefix"] {
        let lab = Lab::new();
        let Some(disk) = SmallDisk::mount(&lab.path("small"), "64k") else {
            return;
        };
        lab.script(
            "flood",
            "seq 1 100000; touch @D@/full; i=100000; while [ ! -e @D@/stop ]; do seq $((i+1)) $((i+5000)); i=$((i+5000)); done; \
             while [ ! -e @D@/more ]; do sleep 0.02; done; seq $((i+1)) $((i+10)); echo $((i+10)) >@D@/last; exec sleep 1000",
        );
        let lab = lab.started(&format!(
            "[program:a]\ncommand=@D@/flood\nstdout_logfile=@D@/small/a.log\nstdout_on_full=drop\nstdout_format={format}\n"
        ));
        lab.wait_file("full");
        let dropping = |lab: &Lab| {
            lab.appctl("status --json a")
                .out
                .contains(" bytes) dropped")
        };
        for _ in 0..5 {
            // In the middle of dropping, wherever that may be.
            lab.until("it drops", dropping);
            lab.replace_brain();
        }
        lab.until("it drops", dropping);
        lab.write("stop", "");
        disk.grow();
        lab.until("it is written again", |lab| {
            let last = lab.main_log().lines().last().unwrap_or_default().to_owned();
            last.contains("is written again; ")
        });
        lab.write("more", "");
        lab.wait_text("last", "\n");
        let last = lab.read("last").trim().to_owned();
        lab.wait_text("small/a.log", &format!("{last}\n"));
        let text = lab.read("small/a.log");
        Tally::assert_bytes_accounted(&text, last.parse().unwrap(), format == "raw");
        let tail = text.lines().last().unwrap().rsplit("| ").next();
        assert_eq!(tail, Some(last.as_str()), "{format}");
    }
}

#[test]
fn a_program_that_ends_while_its_log_is_full_leaves_word_of_it() {
    // Without this: the last words of a crashed program are missing without a trace.
    ours_only!();
    let lab = Lab::new();
    let Some(_disk) = SmallDisk::mount(&lab.path("small"), "64k") else {
        return;
    };
    let lab = lab.started(&format!(
        "[program:a]\ncommand=/usr/bin/seq 1 100000\nstdout_logfile=@D@/small/a.log\nstdout_on_full=drop\n{ONCE}"
    ));
    lab.wait_state("a", "EXITED");
    let log = lab.wait_main_log("log of a is not complete: ");
    let told = log.lines().find(|line| line.contains("is not complete"));
    assert!(told.unwrap().contains("dropped"), "{told:?}");
}

#[test]
fn errors_of_the_disk_lose_nothing() {
    // Without this: one bad answer of the file system makes a hole in a log.
    ours_only!();
    if !tools::has("strace", "errors of the disk") {
        return;
    }
    for (call, error) in [
        ("splice", "EIO"),
        ("splice", "EDQUOT"),
        ("splice", "EROFS"),
        ("splice", "ENOSPC"),
        ("rename", "EACCES"),
        ("rename", "EROFS"),
        ("openat", "EMFILE"),
        ("openat", "EACCES"),
    ] {
        let lab = Lab::new();
        lab.script(
            "count",
            "while [ ! -e @D@/go ]; do sleep 0.02; done; seq 1 200000; exec sleep 1000",
        );
        let lab = lab.started(
            "[program:a]\ncommand=@D@/count\nstdout_logfile=@D@/a.log\n\
             stdout_logfile_maxbytes=100KB\nstdout_logfile_backups=50\n",
        );
        lab.wait_state("a", "RUNNING");
        let (_, brain) = lab.keeper_and_brain();
        let Some(injection) =
            Injection::begin(&lab, brain, call, &format!("error={error}:when=3..8"))
        else {
            return;
        };
        lab.write("go", "");
        // A shift that was broken off leaves a hole in the numbers.
        let files = || {
            let mut files = vec![lab.path("a.log")];
            let rotated = appctl::logs::names::list(&files[0]).unwrap();
            files.extend(rotated.into_iter().map(|file| file.path));
            files.reverse();
            files
        };
        lab.until("all is written in spite of it", |_| {
            Tally::of_files(&files()).last == 200_000
        });
        assert!(
            injection.end().contains(error),
            "{call} {error} was not injected"
        );
        Tally::of_files(&files()).assert_complete();
        lab.wait_state("a", "RUNNING");
        // What was told is taken back.
        lab.until("no trouble is left", |lab| {
            lab.appctl("rotate a");
            !lab.appctl("status --json a").out.contains("cannot ")
        });
    }
}

#[test]
fn a_log_on_a_read_only_disk_fails_the_start_and_works_later() {
    // Without this: the daemon dies, or the program runs and nobody sees its output.
    ours_only!();
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(&lab.path("small"), "1m") else {
        return;
    };
    disk.remount("ro");
    let lab = lab.started(
        "[program:a]\ncommand=/bin/sh -c \"echo hello; exec sleep 1000\"\nstdout_logfile=@D@/small/a.log\n",
    );
    lab.wait_main_log("Read-only file system");
    disk.remount("rw");
    lab.until("it starts", |lab| {
        lab.ctl("start a");
        lab.state("a") == "RUNNING"
    });
    lab.wait_text("small/a.log", "hello\n");
}

#[test]
fn files_that_others_touch_are_written_where_they_should_be() {
    // Without this: output goes to a file without a name, or behind a hole of NULs.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "count",
        "i=1; while :; do echo $i; i=$((i+1)); sleep 0.005; done",
    );
    fs::create_dir(lab.path("logs")).unwrap();
    let lab = lab.started("[program:a]\ncommand=@D@/count\nstdout_logfile=@D@/logs/a.log\n");
    let log = lab.path("logs/a.log");
    let more = |lab: &Lab, what: &str| {
        lab.until(what, |lab| {
            Tally::of(&whole_lines(&lab.read("logs/a.log"))).lines > 20
        });
    };
    more(&lab, "it writes");

    fs::rename(&log, lab.path("logs/moved")).unwrap();
    more(&lab, "a file that was moved is made again");
    let both = [lab.path("logs/moved"), log.clone()];
    Tally::of_files(&both).assert_complete();

    fs::remove_file(&log).unwrap();
    more(&lab, "a file that was removed is made again");
    assert_without_hole(&lab);

    fs::File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(0)
        .unwrap();
    more(
        &lab,
        "a file that was truncated is written from its beginning",
    );
    assert_without_hole(&lab);

    fs::rename(lab.path("logs"), lab.path("other")).unwrap();
    fs::create_dir(lab.path("logs")).unwrap();
    more(&lab, "a directory that was replaced is found");
    let both = [lab.path("other/a.log"), log.clone()];
    let text: String = both
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let tally = Tally::of(&text);
    assert_eq!(
        (tally.lost, tally.doubled, tally.torn),
        (0, 0, 0),
        "{tally:?}"
    );

    fs::create_dir(lab.path("logs/a.log.1")).unwrap();
    assert_eq!(lab.appctl("rotate a").code, 0);
    assert!(
        lab.path("logs/a.log.2").is_file(),
        "a directory is stepped over"
    );
    more(&lab, "it goes on behind it");
}

#[test]
fn output_without_lines_and_text_is_kept_byte_by_byte() {
    // Without this: one binary dump damages the log, or fills the daemon's memory.
    ours_only!();
    let lab = Lab::new();
    let mut noise: Vec<u8> = Vec::new();
    for number in 0..2_500_000_u32 {
        let bytes = number.wrapping_mul(2_654_435_761).to_le_bytes();
        noise.extend(bytes.map(|byte| if byte == b'\n' { 0 } else { byte }));
    }
    fs::write(lab.path("noise"), &noise).unwrap();
    let lab = lab.started(&format!(
        "[program:a]\ncommand=/bin/cat @D@/noise\nstdout_logfile=@D@/a.log\n\
         stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=50\n{ONCE}"
    ));
    lab.wait_state("a", "EXITED");
    let written: Vec<u8> = rotated(&lab.path("a.log"))
        .iter()
        .flat_map(|file| fs::read(file).unwrap())
        .collect();
    assert!(
        written == noise,
        "{} bytes of {}",
        written.len(),
        noise.len()
    );
}

#[test]
fn a_program_that_closes_its_output_is_still_looked_after() {
    // Without this: a daemon that closes its standard output is taken for dead, or spins.
    ours_only!();
    let lab = Lab::with(
        "[program:a]\ncommand=/bin/sh -c \"echo bye; exec >&- 2>&-; exec sleep 1000\"\n\
         stdout_logfile=@D@/a.log\nstderr_logfile=@D@/a.err\n",
    );
    lab.wait_text("a.log", "bye\n");
    lab.wait_state("a", "RUNNING");
    let pid = lab.pid("a");
    lab.expect("stop a", 0, "a: stopped\n");
    assert!(!lab::procfs::alive(pid));
    lab.expect("start a", 0, "a: started\n");
    lab.until("the second run writes as well", |lab| {
        lab.read("a.log") == "bye\nbye\n"
    });
}

#[test]
fn a_reader_that_stands_still_holds_up_nobody() {
    // Without this: a terminal with Ctrl-S stops the service whose log it shows.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "burst",
        "seq 1 10; while [ ! -e @D@/go ]; do sleep 0.02; done; seq 11 500000; touch @D@/done; exec sleep 1000",
    );
    let lab = lab.started(
        "[program:a]\ncommand=@D@/burst\nstdout_logfile=@D@/a.log\nstdout_logfile_maxbytes=0\n",
    );
    lab.wait_text("a.log", "\n10\n");
    let mut tail = lab.ctl_command("tail -f a");
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let pid = i32::try_from(tail.id()).unwrap();
    let mut output = tail.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut read_to = |end: &[u8]| {
        let mut block = [0; 65536];
        while !seen.ends_with(end) {
            let count = output.read(&mut block).unwrap();
            assert!(count > 0, "the follower ended");
            seen.extend_from_slice(&block[..count]);
        }
    };
    read_to(b"\n10\n");
    lab::signal(pid, "STOP");
    lab.write("go", "");
    lab.wait_file("done");
    lab.wait_text("a.log", "\n500000\n");
    Tally::of(&lab.read("a.log")).assert_complete();
    assert_eq!(lab.ctl("pid").code, 0, "and the daemon answers");
    lab::signal(pid, "CONT");
    read_to(b"\n500000\n");
    let seen = String::from_utf8_lossy(&seen);
    let lines = seen.split_inclusive('\n');
    let lines: String = lines.filter(|line| !line.starts_with("==>")).collect();
    Tally::of(&lines).assert_complete();
    tail.kill().unwrap();
    tail.wait().unwrap();
}

fn whole_lines(text: &str) -> String {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect()
}

/// What is in the log now follows on itself, and nothing else is in it.
fn assert_without_hole(lab: &Lab) {
    let tally = Tally::of(&lab.read("logs/a.log"));
    assert_eq!(
        (tally.lost, tally.doubled, tally.torn),
        (0, 0, 0),
        "{tally:?}"
    );
}

/// Makes system calls of the log thread fail, by strace.
struct Injection {
    tracer: Child,
    record: PathBuf,
}

impl Injection {
    /// None if tracing is not allowed here.
    fn begin(lab: &Lab, brain: i32, call: &str, what: &str) -> Option<Injection> {
        let tasks = fs::read_dir(format!("/proc/{brain}/task")).unwrap();
        let thread = tasks.flatten().find(|task| {
            fs::read_to_string(task.path().join("comm"))
                .is_ok_and(|name| name.trim() == "appctl-logs")
        });
        let thread = thread.unwrap().file_name().into_string().unwrap();
        let record = lab.path("strace");
        let tracer = Command::new("strace")
            .arg("-o")
            .arg(&record)
            .args(["-p", &thread, "-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:{what}")])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut injection = Injection { tracer, record };
        let traced = |thread: &str| {
            let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
            status
                .lines()
                .any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        };
        let started = lab::wait_for("the thread is traced", || {
            if traced(&thread) {
                return Some(true);
            }
            injection.tracer.try_wait().unwrap().map(|_| false)
        });
        if !started {
            eprintln!("left out: tracing is not allowed here");
        }
        started.then_some(injection)
    }

    /// Ends it, and gives what was recorded.
    fn end(mut self) -> String {
        lab::signal(i32::try_from(self.tracer.id()).unwrap(), "INT");
        self.tracer.wait().unwrap();
        fs::read_to_string(&self.record).unwrap_or_default()
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        let _ = self.tracer.kill();
        let _ = self.tracer.wait();
    }
}
