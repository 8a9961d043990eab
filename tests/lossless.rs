//! The promise of the log plane, seen as a whole: programs number their lines, everything that can
//! happen to their logs happens to them, and what is in the files, and what readers are shown, is
//! exactly 1, 2, 3, … N.
//!
//! That the checker can fail is shown in tests/logging.rs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use lab::numbers::Tally;
use lab::{APPCTL, Lab, rotated, signal};

/// Prints lines up to `$1`, in bursts of several pipes' worth with a pause in between, then waits.
const BURSTS: &str = "i=1\nwhile [ $i -lt $1 ]; do seq $i $((i+19999)); i=$((i+20000)); sleep 0.05; done\n\
     exec sleep 1000";

/// Those whose rotated files are not plain ones called `.1`, `.2` … They are judged by `logs`.
const PACKED: &[&str] = &["packed", "stamped"];

/// How many lines each program prints.
const LINES: u64 = 200_000;

/// One program for each way that a stream can take.
const PROGRAMS: &[(&str, &str)] = &[
    ("raw", ""),
    ("prefix", "stdout_format=prefix\n"),
    ("json", "stdout_format=json\n"),
    (
        "both",
        "redirect_stderr=true\nstdout_format=prefix\nstdout_syslog=true\n",
    ),
];

fn started() -> Lab {
    let lab = Lab::new();
    lab.script("bursts", BURSTS);
    let program = |(name, options): &(&str, &str)| {
        format!(
            "[program:{name}]\ncommand=@D@/bursts {LINES}\nstdout_logfile=@D@/{name}.log\n\
             stdout_logfile_maxbytes=300KB\nstdout_logfile_backups=2000\nstopasgroup=true\n{options}"
        )
    };
    lab.started(&PROGRAMS.iter().map(program).collect::<String>())
}

/// What a program wrote, out of the lines of its log in any form. Parts of a line, whose end did
/// not come in time, are put together; what is no whole record stays as it is and counts as torn.
fn written(log: &str) -> String {
    let whole = &log[..log.rfind('\n').map_or(0, |at| at + 1)];
    let mut text = String::new();
    for record in whole.lines() {
        let (part, goes_on) = if let Some((_, part)) = record.split_once(" stdout + ") {
            (part, true)
        } else if let Some((_, part)) = record.split_once(" stdout | ") {
            (part, false)
        } else if let Some((_, rest)) = record.split_once("\"message\":\"") {
            rest.split_once("\",\"partial\":true}")
                .map(|(part, _)| (part, true))
                .or(rest.strip_suffix("\"}").map(|part| (part, false)))
                .unwrap_or((record, false))
        } else {
            (record, false)
        };
        text += part;
        if !goes_on {
            text.push('\n');
        }
    }
    text
}

fn log_of(lab: &Lab, name: &str) -> String {
    let files = rotated(&lab.path(&format!("{name}.log")));
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap_or_default())
        .collect()
}

/// Every program has printed all its lines, and they are in its files.
fn wait_for_all(lab: &Lab) {
    let last = LINES.to_string();
    for (name, _) in PROGRAMS {
        lab.until(&format!("{name} has printed all"), |lab| {
            lab.appctl(&format!("logs -n 1 --no-prefix {name}"))
                .out
                .contains(&last)
        });
    }
}

#[track_caller]
fn assert_all(what: &str, text: &str) {
    let tally = Tally::of(&written(text));
    eprintln!("{what}: {tally:?}");
    tally.assert_complete();
    assert_eq!(tally.last, LINES, "{what}");
}

#[test]
fn rotations_of_every_sort_under_load() {
    // Without this: lines vanish just when a log is busy enough to be rotated.
    ours_only!();
    let lab = started();
    let reader = reader(&lab, "raw");
    for round in 0..6 {
        for (name, _) in PROGRAMS {
            assert_eq!(lab.appctl(&format!("rotate {name}")).code, 0);
        }
        if round == 3 {
            lab.signal_daemon("USR2");
        }
    }
    wait_for_all(&lab);
    for (name, _) in PROGRAMS {
        if !PACKED.contains(name) {
            assert!(rotated(&lab.path(&format!("{name}.log"))).len() > 3);
            assert_all(name, &log_of(&lab, name));
        }
        assert_all(
            &format!("{name} by `logs`"),
            &lab.appctl(&format!("logs {name} --no-prefix")).out,
        );
    }
    assert_all("a reader that stood still for a while", &reader.rest(&lab));
}

#[test]
fn kills_of_the_brain_and_rotations_under_load() {
    // Without this: a crash at the wrong moment tears the log it happens in.
    ours_only!();
    let lab = started();
    for _ in 0..8 {
        lab.replace_brain();
        lab.until("logs are rotated", |lab| lab.appctl("rotate all").code == 0);
    }
    wait_for_all(&lab);
    for (name, _) in PROGRAMS {
        if !PACKED.contains(name) {
            assert_all(name, &log_of(&lab, name));
        }
        assert_all(
            &format!("{name} by `logs`"),
            &lab.appctl(&format!("logs {name} --no-prefix")).out,
        );
    }
}

#[test]
fn compressed_by_somebody_else_while_they_are_read() {
    // Without this: a cron job that compresses old logs makes readers miss what it touches.
    ours_only!();
    let lab = started();
    wait_for_all(&lab);
    let files = rotated(&lab.path("prefix.log"));
    let (old, young) = files.split_at(files.len() / 2);
    assert!(!old.is_empty() && young.len() > 1);
    for file in old {
        assert!(Command::new("gzip").arg(file).status().unwrap().success());
    }
    assert_all("prefix", &lab.appctl("logs prefix --no-prefix").out);
}

#[test]
fn five_hundred_programs_at_full_speed() {
    // Without this: under load some streams starve, or bytes get into a neighbour's file.
    ours_only!();
    const PROGRAMS: usize = 500;
    let lab = Lab::new();
    let gate = lab.path("gate");
    assert!(
        Command::new("mkfifo")
            .arg(&gate)
            .status()
            .unwrap()
            .success()
    );
    // Open for both, so that nobody waits for the other side.
    let mut gate = fs::File::options()
        .read(true)
        .write(true)
        .open(gate)
        .unwrap();
    lab.script("count", "read go <@D@/gate\nexec seq 1 20000");
    let lab = lab.started(&format!(
        "minfds=8192\n[program:a]\ncommand=@D@/count\nnumprocs={PROGRAMS}\n\
         process_name=%(process_num)03d\nautorestart=false\nstartsecs=0\n\
         stdout_logfile=@D@/%(process_num)03d.log\nstdout_logfile_maxbytes=40KB\n\
         stdout_logfile_backups=9\n"
    ));
    let count = |lab: &Lab, state| lab.ctl("status").out.matches(state).count();
    lab.until("all wait for the word", |lab| {
        count(lab, "RUNNING") == PROGRAMS
    });
    gate.write_all(&[b'\n'; PROGRAMS]).unwrap();
    lab.until("all have ended", |lab| count(lab, "EXITED") == PROGRAMS);
    for number in 0..PROGRAMS {
        let tally = Tally::of_files(&rotated(&lab.path(&format!("{number:03}.log"))));
        tally.assert_complete();
        assert_eq!(tally.last, 20_000, "program {number}");
    }
}

/// `logs -f` of a program from its beginning, which is stopped at once.
struct Reader(std::process::Child);

fn reader(lab: &Lab, name: &str) -> Reader {
    let mut command = Command::new(APPCTL);
    lab.prepare(&mut command);
    let child = command
        .arg("-c")
        .arg(lab.path("supervisord.conf"))
        .args(["logs", "-f", "-n", "all", "--no-prefix", name])
        .stdout(fs::File::create(lab.path("reader.out")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    lab.until("the reader has begun", |lab| {
        !lab.read("reader.out").is_empty()
    });
    signal(child.id() as i32, "STOP");
    Reader(child)
}

impl Reader {
    /// Goes on and reads to the last line.
    fn rest(mut self, lab: &Lab) -> String {
        let pid = self.0.id() as i32;
        signal(pid, "CONT");
        let seen = lab.wait_text("reader.out", &format!("\n{LINES}\n"));
        signal(pid, "INT");
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
        seen
    }
}
