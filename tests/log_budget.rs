//! Limits of all program logs together: what goes, in which order, and that what could not be kept is
//! counted.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use lab::Lab;
use lab::disk::SmallDisk;
use lab::http::get;
use lab::numbers::Tally;

/// The size of a rotated file that was there before.
const ARCHIVE: usize = 4_050_000;

/// A rotated file of so many bytes that was last written so many days ago.
fn put(lab: &Lab, name: &str, bytes: usize, days: u64) {
    lab.write(name, &"x".repeat(bytes));
    let file = File::options().write(true).open(lab.path(name)).unwrap();
    let age = Duration::from_secs(days * 24 * 3600);
    file.set_modified(SystemTime::now() - age).unwrap();
}

/// A value of `/metrics`.
fn metric(lab: &Lab, name: &str) -> u64 {
    let text = get(lab, "/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} in\n{text}"));
    value.trim().parse().unwrap()
}

/// Bytes that are free of the disk a directory is on.
fn free(directory: &Path) -> u64 {
    let about = rustix::fs::statvfs(directory).unwrap();
    about.f_bavail * about.f_frsize
}

/// What the directory's files have together.
fn size(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).unwrap().flatten();
    files
        .map(|it| it.metadata().map_or(0, |about| about.len()))
        .sum()
}

#[test]
fn the_oldest_rotated_files_go_first_whoever_they_are_of() {
    // Without this: every program keeps to its limits, and together they fill the disk.
    ours_only!();
    let lab = Lab::new();
    fs::create_dir(lab.path("logs")).unwrap();
    for (name, days) in [("off.log.1", 10), ("off.log.2.gz", 30), ("b.log.1", 20)] {
        put(&lab, &format!("logs/{name}"), ARCHIVE, days);
    }
    // To the line that each step ends with, in pieces.
    lab.script(
        "steps",
        "i=0; for end in 600000 1200000 1780000; do while [ ! -e @D@/go$end ]; do sleep 0.02; done\n\
         while [ $i -lt $end ]; do seq $((i+1)) $((i+20000)); i=$((i+20000)); sleep 0.01; done; done\n\
         exec sleep 1000",
    );
    let lab = lab.started(
        "log_budget=20MB\n\
         [program:a]\ncommand=@D@/steps\nstdout_logfile=@D@/logs/a.log\nstopasgroup=true\n\
         [program:off]\ncommand=/bin/true\nautostart=false\nstdout_logfile=@D@/logs/off.log\n\
         [program:b]\ncommand=/bin/true\nautostart=false\nstdout_logfile=@D@/logs/b.log\n",
    );
    let there = |lab: &Lab| {
        ["off.log.2.gz", "b.log.1", "off.log.1"]
            .map(|name| lab.path(&format!("logs/{name}")).exists())
    };
    lab.wait_state("a", "RUNNING");
    assert_eq!(there(&lab), [true; 3]);
    // Four megabytes each time: from the second on there is too much of them.
    for (end, expected) in [
        ("600000", [true; 3]),
        ("1200000", [false, true, true]),
        ("1780000", [false, false, true]),
    ] {
        lab.write(&format!("go{end}"), "");
        lab.until("it is written", |lab| {
            lab.appctl("logs -n 1 --no-prefix a").out == format!("{end}\n")
        });
        lab.until("what is too much is gone", |lab| there(lab) == expected);
        assert!(size(&lab.path("logs")) < 20 << 20);
    }
    lab.wait_main_log(
        "rotated log was removed (4050000 bytes, the oldest): the log_budget of 20MB is used up",
    );
    lab.until("metrics say so", |lab| {
        metric(lab, "appctl_logs_removed_files_total ") == 2
            && metric(lab, "appctl_logs_removed_bytes_total ") == 2 * ARCHIVE as u64
    });
    assert!(metric(&lab, "appctl_logs_held_bytes ") > 12 << 20);
    assert_eq!(lab.read("logs/off.log.1").len(), ARCHIVE);
    assert!(!lab.main_log().contains("its lines are dropped"));
}

#[test]
fn a_budget_is_kept_by_who_writes_most_and_no_line_of_the_others_is_lost() {
    // Without this: one program that goes mad takes the logs of all others with it.
    ours_only!();
    let lab = Lab::new();
    fs::create_dir(lab.path("logs")).unwrap();
    lab.script("quiet", "i=0; while [ ! -e @D@/enough ]; do i=$((i+1)); echo $i; sleep 0.005; done\necho $i >@D@/last; exec sleep 1000");
    let lab = lab.started(
        "log_budget=6MB\n[program:loud]\ncommand=/usr/bin/yes\nstdout_logfile=@D@/logs/loud.log\n\
         [program:quiet]\ncommand=@D@/quiet\nstdout_logfile=@D@/logs/quiet.log\n",
    );
    let mut largest = 0;
    for round in 0..4 {
        if round == 2 {
            lab.replace_brain();
        }
        let written = |lab: &Lab| {
            metric(
                lab,
                "appctl_process_log_bytes_total{group=\"loud\",process=\"loud\",stream=\"stdout\"} ",
            )
        };
        let before = written(&lab);
        lab.until("far more than that is written", |lab| {
            largest = largest.max(size(&lab.path("logs")));
            written(lab) > before + (30 << 20)
        });
    }
    assert!(largest < (6 << 20) + (128 << 10), "{largest} bytes");
    lab.write("enough", "");
    let last = lab.wait_text("last", "\n");
    let text = lab.wait_text("logs/quiet.log", &format!("\n{last}"));
    Tally::of(&text).assert_complete();
}

#[test]
fn a_disk_that_gets_full_thins_the_loudest_and_every_dropped_byte_is_counted() {
    // Without this: logs fill the disk that others need, or lines are missing and nobody knows.
    ours_only!();
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(&lab.path("small"), "6m") else {
        return;
    };
    lab.script(
        "loud",
        "seq 1 1000000; touch @D@/done; while [ ! -e @D@/more ]; do sleep 0.02; done; seq 1000001 1000100; exec sleep 1000",
    );
    lab.script("quiet", "i=0; while [ ! -e @D@/enough ]; do i=$((i+1)); echo $i; sleep 0.005; done\necho $i >@D@/last; exec sleep 1000");
    let program = |name: &str, options: &str| {
        format!(
            "[program:{name}]\nstdout_logfile=@D@/small/{name}.log\nstdout_logfile_maxbytes=0\n{options}"
        )
    };
    let lab = lab.started(
        &[
            "log_min_free=2MB\n".to_owned(),
            program("loud", "command=@D@/loud\n"),
            program("quiet", "command=@D@/quiet\n"),
            program(
                "brief",
                "command=/usr/bin/seq 1 200000\nautostart=false\nautorestart=false\nstartsecs=0\n",
            ),
        ]
        .concat(),
    );
    // It is not held up, …
    lab.wait_file("done");
    let left = free(&lab.path("small"));
    assert!(left > (2 << 20) - (128 << 10), "{left} bytes are free");
    // … and it is told what is missing, everywhere.
    lab.until("status says so", |lab| {
        let status = lab.appctl("status --json loud").out;
        status.contains("its disk has no more free than the log_min_free of 2MB")
            && status.contains(" bytes) dropped")
    });
    let quiet = lab.appctl("status --json quiet").out;
    assert!(quiet.contains("\"log_trouble\":\"\""), "{quiet}");
    lab.appctl("start brief");
    let told = lab.wait_main_log("log of brief is not complete: ");
    let told = told
        .lines()
        .find(|line| line.contains("log of brief is not complete"));
    assert!(told.unwrap().contains(" bytes) dropped"), "{told:?}");

    disk.grow();
    lab.until("it is written again", |lab| {
        lab.main_log()
            .contains("log of loud stdout is written again; ")
    });
    lab.write("more", "");
    let text = lab.wait_text("small/loud.log", "\n1000100\n");
    let (last, lines, bytes) = Tally::accounted(&text);
    assert_eq!(last, 1_000_100);
    assert!(lines > 100_000, "{lines}");
    let told =
        format!("log of loud stdout is written again; {lines} lines ({bytes} bytes) dropped");
    lab.wait_main_log(&told);
    let name = "appctl_process_log_dropped_bytes_total{group=\"loud\",process=\"loud\",stream=\"stdout\"} ";
    assert_eq!(metric(&lab, name), bytes);

    // Of what has ended as well.
    let (last, lines, _) = Tally::accounted(&lab.read("small/brief.log"));
    assert!((last, lines > 0) == (200_000, true), "{last} {lines}");

    lab.write("enough", "");
    let last = lab.wait_text("last", "\n");
    let text = lab.wait_text("small/quiet.log", &format!("\n{last}"));
    Tally::of(&text).assert_complete();
}

#[test]
fn what_is_missing_when_the_daemon_ends_stands_in_the_log() {
    // Without this: a restart in the middle of it leaves a log with a hole that nobody knows of.
    ours_only!();
    let mut lab = Lab::new();
    let Some(_disk) = SmallDisk::mount(&lab.path("small"), "6m") else {
        return;
    };
    lab.script("loud", "seq 1 1000000; touch @D@/done; exec sleep 1000");
    lab.configure(
        "log_min_free=2MB\n[program:loud]\ncommand=@D@/loud\n\
         stdout_logfile=@D@/small/loud.log\nstdout_logfile_maxbytes=0\n",
    );
    lab.start();
    lab.wait_file("done");
    lab.until("all has been looked at", |lab| {
        let status = lab.appctl("status --json loud").out;
        status.contains(" bytes) dropped")
    });
    lab.shut_down();
    let (last, lines, _) = Tally::accounted(&lab.read("small/loud.log"));
    assert!((last, lines > 0) == (1_000_000, true), "{last} {lines}");
}

#[test]
fn lines_dropped_by_brains_that_were_killed_are_counted() {
    // Without this: a brain that dies while a disk is full takes the count of what is missing with it.
    ours_only!();
    let lab = Lab::new();
    let Some(disk) = SmallDisk::mount(&lab.path("small"), "6m") else {
        return;
    };
    lab.script(
        "loud",
        "seq 1 2000000; touch @D@/done; while [ ! -e @D@/more ]; do sleep 0.02; done; seq 2000001 2000100; exec sleep 1000",
    );
    let lab = lab.started(
        "log_min_free=2MB\n[program:loud]\ncommand=@D@/loud\n\
         stdout_logfile=@D@/small/loud.log\nstdout_logfile_maxbytes=0\n",
    );
    for _ in 0..3 {
        lab.until("lines are dropped", |lab| {
            let status = lab.appctl("status --json loud").out;
            status.contains("its lines are dropped") || status.contains(" bytes) dropped")
        });
        lab.replace_brain();
        // Once all is written nothing more is dropped, and nothing is told of it.
        if lab.path("done").exists() {
            break;
        }
    }
    lab.wait_file("done");
    disk.grow();
    lab.until("it is written again", |lab| {
        let last = lab.main_log().lines().last().unwrap_or_default().to_owned();
        last.contains("is written again; ")
    });
    lab.write("more", "");
    let text = lab.wait_text("small/loud.log", "\n2000100\n");
    std::fs::write("/tmp/floor/loud.log", &text).unwrap();
    let (last, lines, _) = Tally::accounted(&text);
    assert!(
        (last, lines > 100_000) == (2_000_100, true),
        "{last} {lines}"
    );
}
