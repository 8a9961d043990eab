//! `appctl logs`: several logs read as one, through rotated and compressed files, by readers of
//! any speed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use lab::numbers::Tally;
use lab::{APPCTL, Lab, procfs, rotated};

/// `appctl logs` with these words.
fn logs(lab: &Lab, words: &str) -> Command {
    let mut command = Command::new(APPCTL);
    lab.prepare(&mut command);
    command
        .arg("-c")
        .arg(lab.path("supervisord.conf"))
        .arg("logs")
        .args(words.split_whitespace());
    command
}

/// A follower whose lines go to a file.
fn follow(lab: &Lab, words: &str, file: &str) -> Child {
    logs(lab, &format!("-f {words}"))
        .stdout(File::create(lab.path(file)).unwrap())
        .spawn()
        .unwrap()
}

fn interrupt(mut child: Child) {
    lab::signal(child.id() as i32, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// What stands behind the names.
fn texts(shown: &str) -> String {
    let text = |line: &str| {
        line.split_once(" | ")
            .map_or("", |(_, text)| text)
            .to_owned()
            + "\n"
    };
    shown.lines().map(text).collect()
}

/// A program that prints a line whenever a file appears, and says so by another file.
const ON_DEMAND: &str = "for n in 1 2 3 4 5 6 7 8 9; do\n\
     while [ ! -e @D@/$1.go$n ]; do sleep 0.01; done\n\
     cat @D@/$1.go$n; touch @D@/$1.done$n\ndone; exec sleep 1000";

/// Lets a program print a line, and waits until it is in its log.
fn print(lab: &Lab, name: &str, number: u32, text: &str) {
    lab.write(&format!("{name}.tmp"), text);
    let go = lab.path(&format!("{name}.go{number}"));
    fs::rename(lab.path(&format!("{name}.tmp")), go).unwrap();
    lab.wait_file(&format!("{name}.done{number}"));
    lab.wait_text(&format!("{name}.log"), text);
    // Notes of the log plane lie at least 20 ms apart.
    let written = fs::metadata(lab.path(&format!("{name}.log")))
        .unwrap()
        .modified()
        .unwrap();
    lab.until("some time has passed", |_| {
        written
            .elapsed()
            .is_ok_and(|passed| passed.as_millis() > 25)
    });
}

#[test]
fn lines_of_several_programs_come_in_the_order_of_time() {
    // Without this: one has to compare the clocks of many files by eye to see what led to what.
    ours_only!();
    let lab = Lab::new();
    lab.script("say", ON_DEMAND);
    let lab = lab.started(
        "[program:a]\ncommand=@D@/say a\nstdout_logfile=@D@/a.log\nstderr_logfile=@D@/a.err\nstopasgroup=true\n\
         [program:long]\ncommand=@D@/say long\nstdout_logfile=@D@/long.log\nstopasgroup=true\n\
         [program:none]\ncommand=/bin/sleep 1000\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    print(&lab, "a", 1, "one\n");
    print(&lab, "long", 1, "two\n");
    print(&lab, "a", 2, "three\nfour\n");
    print(&lab, "long", 2, "five\n");
    let said = |words: &str| lab.appctl(&format!("logs {words}"));
    assert_eq!(
        said("").out,
        "a    | one\nlong | two\na    | three\na    | four\nlong | five\n"
    );
    assert_eq!(said("--no-prefix -n 1").out, "four\nfive\n");
    assert_eq!(said("-2 a").out, "a | three\na | four\n");
    assert_eq!(said("--grep ^t l*").out, "long | two\n");
    assert_eq!(
        said("--since 1h --grep one|five").out,
        "a    | one\nlong | five\n"
    );
    assert_eq!(said("--since 1970-01-02 a --no-prefix -n1").out, "four\n");
    assert_eq!(said("--since 2100-01-01").out, "");
    let unknown = said("a nosuch -n 1");
    assert_eq!((unknown.code, unknown.out.as_str()), (1, "a | four\n"));
    assert!(
        unknown.err.contains("nosuch: no process has that name"),
        "{}",
        unknown.err
    );
    assert_eq!(said("--grep (").code, 1);

    // The same for those who speak the protocol by hand.
    let mut session = lab.session();
    let answer = session.ask("logs -n 1 a");
    assert_eq!(answer.blocks, [("a/stdout".to_owned(), b"four\n".to_vec())]);
    assert!(answer.is_ok() && answer.rows.len() == 2, "{answer:?}");
}

#[test]
fn a_follower_of_many_logs_misses_no_line_across_rotations() {
    // Without this: what happens around a rotation is missing from what one watches.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "paced",
        "while [ ! -e @D@/go ]; do sleep 0.01; done\n\
         i=1; while [ $i -le 3000 ]; do echo $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.02; done\n\
         exec sleep 1000",
    );
    let options = "stdout_logfile_maxbytes=2KB\nstdout_logfile_backups=30\nstopasgroup=true\n";
    let lab = lab.started(&format!(
        "[program:a]\ncommand=@D@/paced\nstdout_logfile=@D@/a.log\n{options}\
         [program:b]\ncommand=@D@/paced\nstdout_logfile=@D@/b.log\n{options}"
    ));
    lab.wait_state("a", "RUNNING");
    let followers = [
        follow(&lab, "-n all a", "seen.a"),
        follow(&lab, "-n all", "seen.all"),
    ];
    lab.write("go", "");
    lab.wait_text("seen.a", "| 3000\n");
    lab.until("both logs are seen to their ends", |lab| {
        lab.read("seen.all").matches("| 3000\n").count() == 2
    });
    followers.into_iter().for_each(interrupt);
    Tally::of(&texts(&lab.read("seen.a"))).assert_complete();
    let all = lab.read("seen.all");
    for name in ["a |", "b |"] {
        let own = all.lines().filter(|line| line.starts_with(name));
        let own: String = own.map(|line| format!("{line}\n")).collect();
        Tally::of(&texts(&own)).assert_complete();
    }
    assert!(
        rotated(&lab.path("a.log")).len() > 4,
        "there were rotations"
    );
}

#[test]
fn a_follower_goes_on_when_the_brain_is_replaced() {
    // Without this: who watches logs during a crash of the supervisor misses what led to it.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "paced",
        "i=1; while [ $i -le 4000 ]; do echo $i; i=$((i+1)); [ $((i % 20)) = 0 ] && sleep 0.01; done\n\
         exec sleep 1000",
    );
    let lab = lab.started(
        "[program:a]\ncommand=@D@/paced\nstdout_logfile=@D@/a.log\nstopasgroup=true\n\
         stdout_logfile_maxbytes=2KB\nstdout_logfile_backups=50\n",
    );
    let follower = follow(&lab, "-n all", "seen");
    for round in 1..5 {
        lab.wait_text("seen", &format!("| {}\n", 500 * round));
        lab.replace_brain();
    }
    lab.wait_text("seen", "| 4000\n");
    interrupt(follower);
    let tally = Tally::of(&texts(&lab.read("seen")));
    // What was on its way to the follower may come twice.
    assert_eq!(
        (tally.first, tally.lost, tally.torn),
        (1, 0, 0),
        "{tally:?}"
    );
}

#[test]
fn compressed_files_are_read_as_well() {
    // Without this: what happened yesterday has to be looked for by other means.
    ours_only!();
    let lab = Lab::with(
        "[program:a]\ncommand=/usr/bin/seq 1 60000\nstdout_logfile=@D@/a.log\nautorestart=false\n\
         startsecs=0\nstdout_logfile_maxbytes=40KB\nstdout_logfile_backups=50\n",
    );
    lab.wait_state("a", "EXITED");
    let files = rotated(&lab.path("a.log"));
    assert!(files.len() > 2);
    for file in &files[..files.len() - 2] {
        let packed = Command::new("gzip").arg(file).status().unwrap();
        assert!(packed.success());
    }
    Tally::of(&lab.appctl("logs a --no-prefix").out).assert_complete();
    assert_eq!(lab.appctl("logs a --no-prefix --grep ^1$").out, "1\n");
}

#[test]
fn a_reader_that_does_not_read_costs_no_memory_and_misses_nothing() {
    // Without this: a forgotten `logs -f` in a stopped terminal eats the machine's memory.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "much",
        "while [ ! -e @D@/go ]; do sleep 0.01; done; seq 1 2000000; exec sleep 1000",
    );
    let lab = lab.started(
        "[program:a]\ncommand=@D@/much\nstdout_logfile=@D@/a.log\nstopasgroup=true\n\
         stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=50\n",
    );
    lab.wait_state("a", "RUNNING");
    let mut reader = logs(&lab, "-f -n all a --no-prefix")
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let pid = i32::try_from(reader.id()).unwrap();
    let (_, brain) = lab.keeper_and_brain();
    let before = procfs::pss_kib(brain);
    lab.write("go", "");
    // It may have filled its file.
    lab.until("the last line is there", |lab| {
        lab.appctl("logs --no-prefix -n 1 a").out == "2000000\n"
    });
    let grown = procfs::pss_kib(brain).saturating_sub(before);
    assert!(grown < 4096, "the brain has grown by {grown} KiB");
    assert!(
        procfs::pss_kib(pid) < 16 * 1024,
        "the client has {} KiB",
        procfs::pss_kib(pid)
    );
    let mut seen = String::new();
    let mut out = reader.stdout.take().unwrap();
    let mut piece = vec![0; 65536];
    while !seen.ends_with("\n2000000\n") {
        let count = out.read(&mut piece).unwrap();
        assert!(count > 0);
        seen.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    interrupt(reader);
    Tally::of(&seen).assert_complete();
}
