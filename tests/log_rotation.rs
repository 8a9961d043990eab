//! Rotation as a user sees it: where files end, what they are called, which are kept.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;

use lab::numbers::Tally;
use lab::{Lab, rotated};

/// Options of a program that runs once.
const ONCE: &str = "autorestart=false\nstartsecs=0\n";

#[test]
fn files_end_behind_the_line_that_fills_them() {
    // Without this: whoever reads one rotated file finds half a line at its beginning and end.
    ours_only!();
    let lab = Lab::with(&format!(
        "[program:a]\ncommand=/usr/bin/seq 1 200000\nstdout_logfile=@D@/a.log\n\
         stdout_logfile_maxbytes=30KB\nstdout_logfile_backups=100\n{ONCE}\
         [program:b]\ncommand=/usr/bin/seq 1 200000\nstdout_logfile=@D@/b.log\n\
         stdout_logfile_maxbytes=30KB\nstdout_logfile_backups=100\n{ONCE}"
    ));
    for name in ["a.log", "b.log"] {
        let files = || rotated(&lab.path(name));
        lab.until("the last line is there", |_| {
            Tally::of_files(&files()).last == 200_000
        });
        Tally::of_files(&files()).assert_complete();
        let (_, closed) = files()
            .split_last()
            .map(|(l, c)| (l.clone(), c.to_vec()))
            .unwrap();
        assert!(closed.len() > 30, "{} files", closed.len());
        for file in closed {
            let bytes = fs::read(&file).unwrap();
            assert!(bytes.ends_with(b"\n"), "{} ends in a line", file.display());
            // Full, and by no more than the line that filled it.
            let excess = bytes.len() - 30 * 1024;
            assert!(excess < "200000\n".len(), "{}: {excess}", file.display());
        }
    }
}

#[test]
fn what_has_no_lines_flows_and_is_rotated_within_the_tolerance() {
    // Without this: a progress bar is not seen until it ends, or its log grows without bound.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "bar",
        "printf 10%%; while [ ! -e @D@/go ]; do sleep 0.02; done; head -c 300000 /dev/zero | tr '\\0' '#'; echo",
    );
    let lab = lab.started(&format!(
        "[program:a]\ncommand=@D@/bar\nstdout_logfile=@D@/a.log\n\
         stdout_logfile_maxbytes=20KB\nstdout_logfile_backups=100\n{ONCE}"
    ));
    lab.until("the bar is seen while it grows", |lab| {
        lab.read("a.log") == "10%"
    });
    lab.write("go", "");
    lab.wait_state("a", "EXITED");
    let files = rotated(&lab.path("a.log"));
    let sizes: Vec<u64> = files
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .collect();
    assert_eq!(sizes.iter().sum::<u64>(), 3 + 300_000 + 1, "{sizes:?}");
    let closed = &sizes[..sizes.len() - 1];
    assert!(closed.iter().all(|size| *size == 40 * 1024), "{sizes:?}");
}

#[test]
fn rotation_on_demand_answers_when_it_is_done() {
    // Without this: a backup script copies the old file although it asked for a new one.
    ours_only!();
    let lab = Lab::new();
    lab.script("half", "printf 'one\\ntw'; while [ ! -e @D@/go ]; do sleep 0.02; done; printf 'o\\nthree\\n'; exec sleep 1000");
    let lab = lab.started(
        "[program:a]\ncommand=@D@/half\nstdout_logfile=@D@/a.log\nstdout_logfile_maxbytes=0\n\
         [group:g]\nprograms=b\n[program:b]\ncommand=/bin/sh -c \"echo b; exec sleep 1000\"\n\
         stdout_logfile=@D@/b.log\n",
    );
    lab.wait_text("a.log", "one\ntw");
    lab.wait_text("b.log", "b\n");
    // The line does not end, so it waits a moment, and then rotates all the same.
    let said = lab.appctl("rotate a g:*");
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "g:b: rotated\na: rotated\n"),
        "{}",
        said.err
    );
    assert_eq!(lab.read("a.log.1"), "one\ntw");
    assert_eq!(lab.read("b.log.1"), "b\n");
    lab.write("go", "");
    lab.wait_text("a.log", "o\nthree\n");
    assert_eq!(lab.appctl("rotate all").code, 0);
    assert_eq!(lab.read("a.log.1"), "o\nthree\n");
    assert_eq!(lab.read("a.log"), "");
    assert_eq!(lab.read("b.log.1"), "b\n", "an empty log is not rotated");

    assert_eq!(lab.appctl("rotate --main").code, 0);
    assert!(
        lab.read("main.log.1")
            .contains("supervisord started with pid")
    );

    for number in 1..=10 {
        let name = lab.path(&format!("a.log.{number}"));
        let _ = fs::remove_file(&name);
        fs::create_dir(name).unwrap();
    }
    fs::write(lab.path("a.log"), "kept\n").unwrap();
    let said = lab.appctl("rotate a");
    assert_ne!(said.code, 0, "{}", said.out);
    assert!(
        said.out.contains("no regular files") || said.err.contains("no regular files"),
        "{} {}",
        said.out,
        said.err
    );
    assert_eq!(lab.read("a.log"), "kept\n");
}
