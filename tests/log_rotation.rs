//! Rotation as a user sees it: where files end, what they are called, which are kept.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use lab::numbers::Tally;
use lab::{Lab, rotated, tools};

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
        assert!(closed.len() >= 10, "{} files", closed.len());
        for file in closed {
            let bytes = fs::read(&file).unwrap();
            assert!(bytes.ends_with(b"\n"), "{} ends in a line", file.display());
            // Full, and by no more than what came at once.
            assert!(bytes.len() >= 30 * 1024, "{}", file.display());
            assert!(bytes.len() < (30 + 64) * 1024, "{}", file.display());
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
    // The last of them ends with the line.
    let full = (20 + 64) * 1024;
    let rest = 3 + 300_000 + 1 - 3 * full;
    assert_eq!(sizes, [full, full, full, rest, 0]);
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

#[test]
fn compressed_files_hold_every_line_and_are_made_in_the_background() {
    // Without this: compression loses a file that is rotated meanwhile, or leaves its debris.
    ours_only!();
    for (how, ending, suffix) in [
        ("gzip", "gz", "number"),
        ("zstd", "zst", "number"),
        ("gzip", "gz", "timestamp"),
    ] {
        if !tools::has(how, "what it unpacks") {
            continue;
        }
        let mut lab = Lab::new();
        // What kills have left: an unfinished file, and one whose plain form was not removed yet.
        lab.write("a.log.packing", "half");
        lab.configure(&format!(
            "[program:a]\ncommand=/usr/bin/seq 1 400000\nstdout_logfile=@D@/a.log\n\
             stdout_logfile_maxbytes=60KB\nstdout_logfile_backups=1000\n\
             stdout_logfile_compress={how}\nstdout_logfile_rotate_suffix={suffix}\n{ONCE}"
        ));
        lab.start();
        lab.wait_state("a", "EXITED");
        wait_compressed(&lab, "a.log", ending);
        let names = archives(&lab, "a.log");
        assert!(names.len() > 15, "{names:?}");
        let mut text = String::new();
        for name in names.iter().rev() {
            text += &unpacked(&lab, name);
        }
        text += &lab.read("a.log");
        Tally::of(&text).assert_complete();
        assert_eq!(Tally::of(&text).last, 400_000);
        lab.until("the thread is gone with its work", |lab| {
            let (_, brain) = lab.keeper_and_brain();
            !threads(brain).contains(&"appctl-tidy".to_owned())
        });
    }
}

#[test]
fn a_second_file_is_rotated_and_kept_like_the_first() {
    // Without this: whoever wants a copy of a log gets a file that grows for ever.
    ours_only!();
    if !tools::has("gzip", "what it unpacks") {
        return;
    }
    let lab = Lab::with(&format!(
        "[program:a]\ncommand=/usr/bin/seq 1 200000\nstdout_logfile=@D@/a.log, @D@/b.log\n\
         stdout_logfile_maxbytes=60KB\nstdout_logfile_backups=1000\n\
         stdout_logfile_compress=gzip\nstdout_logfile_mode=0640\n{ONCE}"
    ));
    lab.wait_state("a", "EXITED");
    assert_eq!(lab.appctl("rotate a").code, 0);
    for log in ["a.log", "b.log"] {
        lab.until("all of it is rotated", |lab| lab.read(log).is_empty());
        wait_compressed(&lab, log, "gz");
        let names = archives(&lab, log);
        assert!(names.len() > 10, "{names:?}");
        let text: String = names
            .iter()
            .rev()
            .map(|name| unpacked(&lab, name))
            .collect();
        Tally::of(&text).assert_complete();
        assert_eq!(Tally::of(&text).last, 200_000, "{log}");
        let mode = fs::metadata(lab.path(log)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o640, "{log}");
    }
}

#[test]
fn a_kill_while_compressing_loses_nothing() {
    // Without this: a crash at the wrong moment leaves half a file, or the same lines twice.
    ours_only!();
    let lab = Lab::new();
    lab.script("burst", "seq 1 600000; exec sleep 1000");
    let lab = lab.started(
        "[program:a]\ncommand=@D@/burst\nstdout_logfile=@D@/a.log\nstdout_logfile_maxbytes=200KB\n\
         stdout_logfile_backups=1000\nstdout_logfile_compress=gzip\n",
    );
    for _ in 0..8 {
        lab.replace_brain();
        assert_eq!(lab.ctl("pid").code, 0, "it serves");
    }
    // It may have filled its file.
    lab.until("the last line is there", |lab| {
        lab.appctl("logs --no-prefix -n 1 a").out == "600000\n"
    });
    assert_eq!(lab.appctl("rotate a").code, 0);
    wait_compressed(&lab, "a.log", "gz");
    let names = archives(&lab, "a.log");
    let text: String = names
        .iter()
        .rev()
        .map(|name| unpacked(&lab, name))
        .collect();
    Tally::of(&text).assert_complete();
    assert_eq!(Tally::of(&text).last, 600_000);
}

#[test]
fn old_files_go_by_age_and_by_total_size() {
    // Without this: logs fill the disk although they were limited.
    ours_only!();
    let mut lab = Lab::new();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86_400);
    for number in 1..=3 {
        let path = lab.write(&format!("aged.log.{number}"), "x\n");
        if number > 1 {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(old).unwrap();
        }
    }
    // What another tool may have left stays.
    lab.write("aged.log.20200101", "logrotate's\n");
    lab.configure(&format!(
        "[program:aged]\ncommand=/bin/echo hello\nstdout_logfile=@D@/aged.log\nstdout_logfile_maxage=2d\n{ONCE}\
         [program:total]\ncommand=/usr/bin/seq 1 200000\nstdout_logfile=@D@/total.log\n\
         stdout_logfile_maxbytes=50KB\nstdout_logfile_maxtotal=300KB\n{ONCE}\
         [program:named]\ncommand=/usr/bin/seq 1 200000\nstdout_logfile=@D@/named.log\n\
         stdout_logfile_maxbytes=50KB\nstdout_logfile_backups=3\nstdout_logfile_rotate_suffix=timestamp\n{ONCE}"
    ));
    lab.start();
    lab.until("the old ones are gone", |lab| {
        archives(lab, "aged.log") == ["aged.log.1"]
    });
    assert!(lab.path("aged.log.20200101").exists());
    for name in ["total", "named"] {
        lab.wait_state(name, "EXITED");
    }
    lab.until("as many are left as may be", |lab| {
        let (total, named) = (archives(lab, "total.log"), archives(lab, "named.log"));
        let size = |name: &String| fs::metadata(lab.path(name)).map_or(0, |about| about.len());
        let together = total.iter().map(size).sum::<u64>();
        !total.is_empty() && together <= 300 * 1024 && named.len() == 3
    });
    for log in ["total.log", "named.log"] {
        let names = archives(&lab, log);
        let mut text: String = names.iter().rev().map(|name| lab.read(name)).collect();
        text += &lab.read(log);
        let tally = Tally::of(&text);
        assert_eq!(
            (tally.last, tally.lost, tally.doubled, tally.torn),
            (200_000, 0, 0, 0),
            "{log}"
        );
    }
}

#[test]
fn new_files_have_the_mode_and_owner_that_were_asked_for() {
    // Without this: the log shipper cannot read them, or everybody can.
    ours_only!();
    let owner = if lab::is_root() {
        "stdout_logfile_owner=nobody:nogroup\n"
    } else {
        ""
    };
    let lab = Lab::with(&format!(
        "logfile_mode=0604\n\
         [program:a]\ncommand=/usr/bin/seq 1 3000\nstdout_logfile=@D@/a.log\nstdout_logfile_maxbytes=10KB\n\
         stdout_logfile_mode=0662\n{owner}{ONCE}\
         [program:b]\ncommand=/bin/echo b\nstdout_logfile=@D@/b.log\n{ONCE}"
    ));
    lab.wait_state("a", "EXITED");
    lab.wait_state("b", "EXITED");
    let about = |name: &str| {
        let about = fs::metadata(lab.path(name)).unwrap();
        (about.mode() & 0o7777, about.uid())
    };
    let user = if lab::is_root() {
        about_nobody()
    } else {
        about("b.log").1
    };
    for name in ["a.log", "a.log.1"] {
        assert_eq!(about(name), (0o662, user), "{name}");
    }
    assert_eq!(
        about("b.log").0,
        0o644,
        "the umask counts where nothing was said"
    );
    assert_eq!(about("main.log").0, 0o604);
}

fn about_nobody() -> u32 {
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let nobody = accounts.lines().find(|line| line.starts_with("nobody:"));
    nobody
        .and_then(|line| line.split(':').nth(2)?.parse().ok())
        .unwrap()
}

/// Waits until all rotated files of a log are compressed. What has the lowest priority may take its
/// time on a machine that has much to do; only each step has to come.
#[track_caller]
fn wait_compressed(lab: &Lab, log: &str, ending: &str) {
    let left = |lab: &Lab| {
        let names = archives(lab, log);
        let plain = names.iter().filter(|name| !name.ends_with(ending)).count();
        plain + usize::from(lab.path(&format!("{log}.packing")).exists())
    };
    loop {
        let before = left(lab);
        if before == 0 {
            return;
        }
        lab.until("another step is done", |lab| left(lab) != before);
    }
}

/// The names of a log's rotated files, youngest first.
fn archives(lab: &Lab, log: &str) -> Vec<String> {
    let found = appctl::logs::names::list(&lab.path(log)).unwrap();
    let name = |archive: &appctl::logs::names::Archive| {
        archive
            .path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    found.iter().map(name).collect()
}

/// The text of a compressed file, by the tool people would use.
fn unpacked(lab: &Lab, name: &str) -> String {
    let tool = if name.ends_with(".gz") {
        "gzip"
    } else {
        "zstd"
    };
    let output = Command::new(tool)
        .arg("-dc")
        .arg(lab.path(name))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{tool} {name}: {:?}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// The names of a process's threads.
fn threads(pid: i32) -> Vec<String> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

#[test]
fn a_symbolic_link_that_somebody_else_planted_is_not_followed() {
    // Without this: whoever may write to a log directory has the daemon, often root, write anywhere.
    ours_only!();
    let lab = Lab::new();
    if !lab::is_root() {
        eprintln!("left out: giving a link to somebody else needs root");
        return;
    }
    lab.write("precious", "mine\n");
    std::fs::create_dir(lab.path("logs")).unwrap();
    for name in ["planted.log", "own.log"] {
        std::os::unix::fs::symlink("../precious", lab.path("logs").join(name)).unwrap();
    }
    let planted = lab.path("logs/planted.log");
    std::os::unix::fs::lchown(&planted, Some(65_534), None).unwrap();
    lab.script(
        "late",
        "echo 1; while [ ! -e @D@/go ]; do sleep 0.02; done; echo 2; exec sleep 1000",
    );
    let lab = lab.started(&format!(
        "[program:planted]\ncommand=/usr/bin/seq 1 10\nstdout_logfile=@D@/logs/planted.log\n{ONCE}\
         [program:own]\ncommand=/usr/bin/seq 1 10\nstdout_logfile=@D@/logs/own.log\n{ONCE}\
         [program:late]\ncommand=@D@/late\nstdout_logfile=@D@/logs/late.log\n"
    ));
    lab.wait_text("precious", "mine\n1\n2\n");
    lab.wait_main_log("is a symbolic link of user 65534, which is not followed");
    lab.wait_state("own", "EXITED");
    assert_eq!(lab.read("precious").lines().count(), 11, "one has written");
    // One that comes later is no better: the log goes on where it was.
    lab.wait_text("logs/late.log", "1\n");
    std::fs::rename(lab.path("logs/late.log"), lab.path("logs/moved")).unwrap();
    std::fs::rename(&planted, lab.path("logs/late.log")).unwrap();
    assert_ne!(lab.appctl("rotate late").code, 0);
    lab.write("go", "");
    lab.wait_text("logs/moved", "1\n2\n");
    assert_eq!(lab.read("precious").lines().count(), 11);
}
