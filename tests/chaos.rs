//! Chaos: the daemon is killed, starved and upgraded in loops while programs write numbered lines
//! as fast as they can; afterwards a checker counts what was lost, doubled, torn or restarted.
//!
//! `make test` runs each loop for a few rounds; `make chaos` (`APPCTL_CHAOS=long`) runs them for as
//! long as docs/chaos.md says and prints the rows of its table. Moments are random, from a seed
//! that is printed: `APPCTL_CHAOS_SEED` repeats it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "chaos/checker.rs"]
mod checker;
mod lab;
#[path = "chaos/load.rs"]
mod load;
#[path = "chaos/machine.rs"]
mod machine;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use checker::exits_of;
use lab::numbers::Tally;
use lab::{APPCTL, Lab, kill, procfs, tools};
use load::{Load, Random, Times, answered};
use machine::{Mount, left_out};

/// Rounds in the short form and in the long one.
fn rounds(short: usize, long: usize) -> usize {
    match std::env::var("APPCTL_CHAOS").as_deref() {
        Ok("long") => long,
        _ => short,
    }
}

#[test]
fn brain_kills() {
    let mut load = Load::start("");
    let (mut random, mut times) = (Random::seeded(1), Times::default());
    let count = rounds(20, 400);
    for round in 0..count {
        let (_, brain) = load.lab.keeper_and_brain();
        sleep(random.up_to_millis(60));
        kill(brain);
        // One in four is killed as soon as it is there, served or not.
        if random.below(4) > 0 {
            times.add(answered(&load.lab));
        } else {
            load.lab.wait_some("another brain", |lab| {
                procfs::brain_of(lab.daemon_pid()).filter(|pid| *pid != brain)
            });
        }
        if round % 10 == 0 {
            load.check_copies();
        }
    }
    let found = load.finish();
    eprintln!("| {count} kills of the brain | {found} | answers again after {times} |");
    found.assert_nothing_wrong(0);
}

#[test]
fn kills_of_keeper_and_brain() {
    let mut load = Load::start("");
    let mut random = Random::seeded(2);
    let count = rounds(5, 40);
    for _ in 0..count {
        let (keeper, brain) = load.lab.keeper_and_brain();
        sleep(random.up_to_millis(100));
        let (first, second) = match random.below(2) {
            0 => (keeper, brain),
            _ => (brain, keeper),
        };
        kill(first);
        sleep(random.up_to_millis(5));
        kill(second);
        load.lab.wait_end();
        sleep(random.up_to_millis(100));
        load.lab.start();
        load.check_copies();
    }
    let found = load.finish();
    eprintln!("| {count} kills of keeper and brain | {found} | |");
    // A run that ended while nobody lived is unknown, and at most one did in each round.
    found.assert_nothing_wrong(count);
}

#[test]
fn kills_at_system_calls() {
    if !tools::has("strace", "kills at system calls") {
        return;
    }
    const CALLS: [&str; 18] = [
        "splice",
        "sendmsg",
        "pwrite64",
        "write",
        "openat",
        "waitid",
        "recvmsg",
        "epoll_ctl",
        "epoll_wait",
        "read",
        "close",
        "pipe2",
        "?clone,?clone3,?vfork,?fork",
        "pidfd_open",
        "?rename,?renameat,?renameat2",
        "timerfd_settime",
        "fcntl",
        "?mmap",
    ];
    let mut load = Load::start("");
    let mut random = Random::seeded(3);
    let (count, mut hit) = (rounds(6, CALLS.len() * 6), 0);
    for round in 0..count {
        let call = CALLS[round % CALLS.len()];
        let (_, brain) = load.lab.keeper_and_brain();
        hit += usize::from(machine::kill_at(brain, call, 1 + random.below(6)));
        answered(&load.lab);
    }
    let found = load.finish();
    eprintln!(
        "| {count} kills at {} system calls, {hit} hit | {found} | |",
        CALLS.len()
    );
    assert!(hit > 0, "not a single call was hit");
    found.assert_nothing_wrong(0);
}

#[test]
fn a_program_that_ended_before_its_brain_could_record_it_is_known() {
    if !tools::has("strace", "brains that die between a start and its record") {
        return;
    }
    let mut load = Load::start("");
    let (count, mut hit) = (rounds(4, 40), 0);
    for _ in 0..count {
        let (_, brain) = load.lab.keeper_and_brain();
        // The first thing that is done with a program that runs.
        hit += usize::from(machine::kill_at(brain, "pidfd_open", 1));
        answered(&load.lab);
    }
    let found = load.finish();
    eprintln!("| {hit} kills between a start and its record | {found} | |");
    assert!(hit > 0, "not a single call was hit");
    assert_eq!(found.runs.by_pid, 0, "{found}");
    found.assert_nothing_wrong(0);
}

#[test]
fn upgrades_under_load() {
    let mut load = Load::start("");
    let lab = &load.lab;
    let own = fs::read(APPCTL).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = lab.path(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let broken = [
        write("truncated", &own[..own.len() / 8]),
        lab.path("missing").display().to_string(),
        "/bin/false".to_owned(),
        write("text", b"no binary"),
        "/usr/bin/yes".to_owned(),
    ];
    let (count, mut failed, mut longest) = (rounds(4, 20), 0, Duration::ZERO);
    let over = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let (mut refused, mut gap, mut last) = (0, Duration::ZERO, Instant::now());
            while !over.load(Ordering::Relaxed) {
                match load::ask_pid(lab) {
                    load::Heard::Answer => {
                        gap = gap.max(last.elapsed());
                        last = Instant::now();
                    }
                    load::Heard::CutOff => {}
                    load::Heard::Refused => refused += 1,
                }
            }
            (refused, gap)
        });
        for round in 0..count {
            let bad = (round % 4 == 3).then(|| broken[round / 4 % broken.len()].clone());
            let path = bad.clone().unwrap_or_else(|| APPCTL.to_owned());
            let said = lab.appctl(&format!("upgrade {path}"));
            assert_eq!(
                said.code == 0,
                bad.is_none(),
                "{path}: {}{}",
                said.out,
                said.err
            );
            failed += usize::from(said.code != 0);
        }
        over.store(true, Ordering::Relaxed);
        let (refused, gap) = clients.join().unwrap();
        longest = longest.max(gap);
        refused
    });
    load.check_copies();
    let found = load.finish();
    eprintln!(
        "| {count} upgrades, {failed} of them to broken binaries | {found} | {refused} clients \
         refused, the longest time without an answer {} ms |",
        longest.as_millis()
    );
    assert_eq!(refused, 0, "clients were refused");
    found.assert_nothing_wrong(0);
}

#[test]
fn a_full_disk() {
    let lab = Lab::of(lab::Subject::Appctl);
    let small = lab.path("small");
    let mount = Mount::tmpfs(&small, "1m");
    if left_out(mount.is_some(), "a full disk", "no tmpfs can be mounted") {
        return;
    }
    lab.script("lines", load::LINES);
    let lab = lab.started(
        "[program:lines]\ncommand=@D@/lines\nstdout_logfile=@D@/small/lines.log\n\
         stdout_logfile_maxbytes=0\n",
    );
    // Unmounted before the lab ends, whatever happens.
    let mount = mount.unwrap();
    lab.wait_state("lines", "RUNNING");
    let pid = lab.pid("lines");
    lab.wait_main_log("No space left on device");
    let count = rounds(2, 10);
    for _ in 0..count {
        let (_, brain) = lab.keeper_and_brain();
        kill(brain);
        answered(&lab);
        assert_eq!(lab.pid("lines"), pid);
    }
    mount.resize("300m");
    let full = lab.read("small/lines.log").len();
    lab.until("it goes on", |lab| lab.read("small/lines.log").len() > full);
    assert_eq!(lab.ctl("stop lines").code, 0);
    let tally = Tally::of_files(&[lab.path("small/lines.log")]);
    eprintln!(
        "| a full disk, {count} kills meanwhile | {} | |",
        checker::shown(&tally)
    );
    tally.assert_complete();
}

#[test]
fn a_frozen_disk() {
    let lab = Lab::of(lab::Subject::Appctl);
    let disk = lab.path("disk");
    let mount = Mount::ext4(&lab.path("image"), &disk);
    if left_out(
        mount.is_some(),
        "a frozen disk",
        "no loop device can be mounted",
    ) {
        return;
    }
    lab.script(
        "slowly",
        "i=1; while :; do echo $i; i=$((i+1)); sleep 0.002; done",
    );
    let lab = lab.started(
        "[program:slowly]\ncommand=@D@/slowly\nstdout_logfile=@D@/disk/slowly.log\n\
         [program:quiet]\ncommand=/bin/sleep 1001\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    );
    // Thawed and unmounted before the lab ends, whatever happens.
    let mount = mount.unwrap();
    lab.wait_state("slowly", "RUNNING");
    lab.wait_state("quiet", "RUNNING");
    let (slowly, quiet) = (lab.pid("slowly"), lab.pid("quiet"));
    mount.freeze();
    let before = Instant::now();
    let mut answers = 0;
    while before.elapsed() < Duration::from_secs(1) {
        assert_eq!((lab.pid("slowly"), lab.pid("quiet")), (slowly, quiet));
        answers += 1;
    }
    lab.until("its writer sleeps where it can be killed", |_| {
        procfs::stat(slowly, 3).is_some_and(|state| state != "D")
    });
    mount.thaw();
    assert_eq!(lab.ctl("stop slowly").code, 0);
    let tally = Tally::of_files(&[lab.path("disk/slowly.log")]);
    eprintln!(
        "| a disk frozen for a second | {} | {answers} answers of `status` meanwhile |",
        checker::shown(&tally)
    );
    tally.assert_complete();
}

#[test]
fn no_descriptors_left() {
    if !tools::has("prlimit", "no descriptors left") {
        return;
    }
    let lab = Lab::of(lab::Subject::Appctl).started(
        "[program:stays]\ncommand=/bin/sleep 1001\n\
         [program:many]\ncommand=/bin/sleep 1002\nprocess_name=m%(process_num)02d\nnumprocs=20\n\
         autostart=false\nstartretries=1000\nstartsecs=0\n",
    );
    lab.wait_state("stays", "RUNNING");
    let stays = lab.pid("stays");
    let (keeper, brain) = lab.keeper_and_brain();
    let open = fs::read_dir(format!("/proc/{brain}/fd")).unwrap().count();
    let limit = |number: usize| {
        let nofile = format!("--nofile={number}:");
        let status = Command::new("prlimit")
            .args(["--pid", &brain.to_string(), &nofile])
            .status();
        assert!(status.unwrap().success());
    };
    limit(open + 30);
    assert_ne!(lab.ctl("start many:*").code, 0, "there is no room for all");
    lab.wait_main_log("too many open files to spawn");
    assert_eq!(
        (lab.pid("stays"), lab.keeper_and_brain()),
        (stays, (keeper, brain))
    );
    limit(1024);
    lab.ctl("start many:*");
    lab.until("all run", |lab| {
        lab.statuses().iter().all(|it| it.state == "RUNNING")
    });
    eprintln!(
        "| no descriptors left for programs | nobody else is harmed, all run once there are | |"
    );
}

#[test]
fn no_processes_left() {
    let lab = Lab::of(lab::Subject::Appctl).started(
        "[program:stays]\ncommand=/bin/sleep 1001\n\
         [program:more]\ncommand=/bin/sleep 1002\nautostart=false\nstartretries=1000\n",
    );
    lab.wait_state("stays", "RUNNING");
    let (keeper, brain) = lab.keeper_and_brain();
    let group = machine::Group::new("pids", &lab, &[brain]);
    if left_out(
        group.is_some(),
        "no processes left",
        "no pids cgroup can be made",
    ) {
        return;
    }
    let group = group.unwrap();
    group.set("pids.max", &group.get("pids.current"));
    assert_ne!(lab.ctl("start more").code, 0);
    lab.wait_main_log("Too many processes in process table to spawn 'more'");
    assert_eq!(lab.keeper_and_brain(), (keeper, brain));
    group.set("pids.max", "max");
    lab.wait_state("more", "RUNNING");
    eprintln!("| no processes left (cgroup) | nobody else is harmed, it runs once there are | |");
}

#[test]
fn an_oom_kill_in_the_cgroup_of_the_daemon() {
    let lab = Lab::of(lab::Subject::Appctl).started(
        "[program:stays]\ncommand=/bin/sleep 1001\n\
         [program:hog]\ncommand=/usr/bin/tail /dev/zero\nautostart=false\nautorestart=false\n\
         startsecs=0\n",
    );
    lab.wait_state("stays", "RUNNING");
    let (keeper, brain) = lab.keeper_and_brain();
    let stays = lab.pid("stays");
    let group = machine::Group::new("memory", &lab, &[keeper, brain]);
    if left_out(
        group.is_some(),
        "an OOM kill",
        "no memory cgroup can be made",
    ) {
        return;
    }
    group
        .as_ref()
        .unwrap()
        .set("memory.limit_in_bytes", "67108864");
    lab.ctl("start hog");
    lab.wait_main_log("exited: hog (terminated by SIGKILL");
    lab.wait_main_log("WARN hog: memory ran out, and the kernel killed it");
    let status = lab.appctl("status hog --json").out;
    assert!(
        status.contains("terminated by SIGKILL, memory ran out"),
        "{status}"
    );
    assert_eq!(
        (lab.pid("stays"), lab.keeper_and_brain().0),
        (stays, keeper)
    );
    eprintln!("| an OOM kill in the daemon's cgroup | only the program that took the memory | |");
}

#[test]
fn many_runs_leave_nothing_in_the_keeper() {
    let programs = rounds(10, 100);
    let lab = Lab::of(lab::Subject::Appctl).started(&format!(
        "[program:brief]\ncommand=/bin/true\nprocess_name=b%(process_num)d\nnumprocs={programs}\n\
         startsecs=0\nautorestart=true\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
    ));
    let (keeper, _) = lab.keeper_and_brain();
    let runs = || lab.main_log().matches("spawned: ").count();
    lab.until("it has begun", |_| runs() > programs);
    let before = machine::private_kib(keeper);
    let wanted = rounds(150, 10_000);
    let deadline = Instant::now() + Duration::from_secs(600);
    while runs() < wanted && Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
    let (after, count) = (machine::private_kib(keeper), runs());
    assert!(count >= wanted, "{count} runs only");
    let descriptors = fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().count();
    eprintln!(
        "| {count} runs of {programs} programs | the keeper has {after} KiB of private memory, {before} \
         KiB at the beginning | {descriptors} descriptors |"
    );
    assert!(
        after <= before + 64,
        "the keeper grew from {before} to {after} KiB"
    );
    // One for each that lives at the moment.
    let most = 60 + programs;
    assert!(
        descriptors < most,
        "{descriptors} descriptors in the keeper"
    );
}

#[test]
fn many_programs_are_adopted() {
    let count = rounds(50, 1000);
    let lab = Lab::of(lab::Subject::Appctl).started(&format!(
        "minfds=20000\n[program:many]\ncommand=/bin/sleep 1001\n\
         process_name=m%(process_num)04d\nnumprocs={count}\nstartsecs=0\n\
         stdout_logfile=NONE\nstderr_logfile=NONE\n"
    ));
    lab.until("all run", |lab| {
        let statuses = lab.statuses();
        statuses.len() == count && statuses.iter().all(|it| it.state == "RUNNING")
    });
    let before: Vec<i32> = lab.statuses().iter().map(|it| it.pid()).collect();
    let (_, brain) = lab.keeper_and_brain();
    let begin = Instant::now();
    kill(brain);
    answered(&lab);
    let adopted = begin.elapsed();
    let after: Vec<i32> = lab.statuses().iter().map(|it| it.pid()).collect();
    assert_eq!(before, after);
    eprintln!(
        "| adoption of {count} programs | none restarted | {} ms |",
        adopted.as_millis()
    );
}

/// A checker that cannot fail proves nothing: real output, damaged in each way.
#[test]
fn the_checker_sees_what_is_wrong() {
    let load = Load::start("");
    load.lab.until("there is something", |lab| {
        lab.read("lines.log").len() > 10_000 && lab.main_log().contains("(exit status 4;")
    });
    let (lab, files) = load.stop();
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    Tally::of(&text).assert_complete();
    let damaged = |from: &str, to: &str| {
        let tally = Tally::of(&text.replacen(from, to, 1));
        (tally.lost, tally.doubled, tally.torn)
    };
    assert_eq!(damaged("\n500\n", "\n"), (1, 0, 0), "a lost line");
    assert_eq!(
        damaged("\n500\n", "\n500\n500\n"),
        (0, 1, 0),
        "a doubled line"
    );
    assert_eq!(damaged("\n500\n", "\n50\n0\n").1, 2, "a line torn in two");
    assert_eq!(
        damaged("\n500\n", "\n5\u{0}00\n").2,
        1,
        "a line that is no number"
    );
    let log = lab.main_log();
    let runs = exits_of(&log);
    assert_eq!((runs.missing, runs.wrong), (0, 0));
    let without: Vec<&str> = log
        .lines()
        .filter(|line| !line.contains("(exit status 2;"))
        .collect();
    assert!(
        exits_of(&without.join("\n")).missing > 0,
        "an exit that nobody reported"
    );
    let wrong = log.replacen(
        "exited: brief (exit status 2;",
        "exited: brief (exit status 9;",
        1,
    );
    assert_ne!(exits_of(&wrong), runs, "an invented status");
}
