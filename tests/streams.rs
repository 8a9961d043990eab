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

/// What the program wrote, out of `prefix` or `json` records. A record that was torn counts as a
/// line that is no number.
fn written(records: &str) -> String {
    let text = |record: &str| {
        let head = record.starts_with("20") || record.starts_with("{\"time\":\"20");
        let (_, text) = record
            .split_once(" stdout | ")
            .or_else(|| record.split_once("\"message\":\""))
            .filter(|_| head)?;
        Some(text.trim_end_matches("\"}").to_owned())
    };
    let lines = records
        .split_inclusive('\n')
        .filter(|record| record.ends_with('\n'));
    let line = |record: &str| text(record.trim_end()).unwrap_or("torn".into()) + "\n";
    lines.map(line).collect()
}

#[test]
fn lines_with_time_and_name_lose_and_double_nothing_when_the_brain_is_killed() {
    // Without this: whoever wants times in his logs gives up the promise that nothing is lost.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "bursts",
        "i=1; while :; do seq $i $((i+4999)); i=$((i+5000)); sleep 0.02; done",
    );
    let options = "stopasgroup=true\nstdout_logfile_maxbytes=500KB\nstdout_logfile_backups=1000\n";
    let lab = lab.started(&format!(
        "[program:prefix]\ncommand=@D@/bursts\nstdout_logfile=@D@/prefix.log\nstdout_format=prefix\n{options}\
         [program:json]\ncommand=@D@/bursts\nstdout_logfile=@D@/json.log\nstdout_format=json\n\
         stdout_format_time=local\n{options}"
    ));
    lab.wait_text("json.log", "\"message\":\"1000\"");
    kill_brain_under_load(&lab, "prefix.log");
    assert_eq!(lab.ctl("stop all").code, 0);
    for name in ["prefix", "json"] {
        let files = rotated(&lab.path(&format!("{name}.log")));
        let records: String = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        let tally = Tally::of(&written(&records));
        eprintln!("{name}: {} lines in {} files", tally.lines, files.len());
        tally.assert_complete();
        assert!(files.len() > 2, "there were rotations");
    }
}

#[test]
fn the_beginning_of_a_line_is_written_soon_and_its_end_at_the_end_of_the_program() {
    // Without this: a prompt without newline is never seen, or the last words of a program are not.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "prompt",
        "printf 'password: '; while [ ! -e @D@/go ]; do sleep 0.01; done; echo ok; printf bye",
    );
    let lab = lab.started(
        "[program:a]\ncommand=@D@/prompt\nstdout_logfile=@D@/a.log\nstdout_format=prefix\n\
         redirect_stderr=true\nautorestart=false\nstartsecs=0\n",
    );
    lab.wait_text("a.log", " a stdout + password: \n");
    lab.write("go", "");
    lab.wait_state("a", "EXITED");
    let text = lab.read("a.log");
    let records: Vec<&str> = text
        .lines()
        .map(|record| record.split_once('Z').unwrap().1)
        .collect();
    assert_eq!(
        records,
        [
            " a stdout + password: ",
            " a stdout | ok",
            " a stdout | bye"
        ]
    );
    // And `logs` knows when it was written.
    assert_eq!(
        lab.appctl("logs --since 1h -n 1 --no-prefix")
            .out
            .split(" a ")
            .nth(1),
        Some("stdout | bye\n")
    );
    assert_eq!(lab.appctl("logs --since 2100-01-01").out, "");
}
