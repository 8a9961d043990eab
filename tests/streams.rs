//! Streams that do not go to their file as they are: every line of them arrives once, whatever
//! happens to the brain.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use lab::numbers::Tally;
use lab::{Lab, kill, procfs, rotated};

/// Kills the brain and waits until another one is there.
fn replace_brain(lab: &Lab) {
    let (_, brain) = lab.keeper_and_brain();
    kill(brain);
    lab.until("another brain is there", |lab| {
        procfs::brain_of(lab.daemon_pid()).is_some_and(|pid| pid != brain)
    });
}

/// Kills the brain ten times while a log grows.
fn kill_brain_under_load(lab: &Lab, log: &str) {
    for _ in 0..10 {
        let bytes = |lab: &Lab| std::fs::metadata(lab.path(log)).map_or(0, |file| file.len());
        let before = bytes(lab);
        replace_brain(lab);
        lab.until("output flows again", |lab| bytes(lab) != before);
    }
}

#[test]
fn stripped_streams_lose_and_double_no_line_when_the_brain_is_killed() {
    // Without this: whoever strips colours from a log gives up the promise that nothing is lost.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "coloured",
        "e=$(printf '\\033'); i=1\n\
         while :; do seq -f \"$e[1m%.0f$e[0m\" $i $((i+9999)); i=$((i+10000)); sleep 0.02; done",
    );
    let lab = lab.started(
        "strip_ansi=true\n\
         [program:a]\ncommand=@D@/coloured\nstdout_logfile=@D@/a.log\nstopasgroup=true\n\
         stdout_logfile_maxbytes=500KB\nstdout_logfile_backups=1000\n",
    );
    lab.wait_text("a.log", "\n1000\n");
    kill_brain_under_load(&lab, "a.log");
    assert_eq!(lab.ctl("stop a").code, 0);
    let files = rotated(&lab.path("a.log"));
    let tally = Tally::of_files(&files);
    eprintln!("{} lines in {} files", tally.lines, files.len());
    tally.assert_complete();
}
