//! Starting, watching, restarting and stopping programs, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use lab::{Lab, Subject, is_root, kill, procfs};

/// A program that stays.
const STAYS: &str = "command=/bin/sleep 1000\nstopwaitsecs=5\n";

/// A program that ignores SIGTERM and says so once it does.
const STUBBORN: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

#[test]
fn autostart_brings_programs_up_and_leaves_manual_ones_down() {
    // Without this: nothing runs after boot, or things run that nobody wanted.
    let lab = Lab::with(&format!(
        "[program:wanted]\n{STAYS}\n[program:manual]\n{STAYS}autostart=false\n"
    ));
    lab.wait_state("wanted", "RUNNING");
    let said = lab.ctl("status");
    assert_eq!(said.code, 3, "status tells that something is down");
    assert!(
        said.out
            .contains("manual                           STOPPED   Not started\n")
    );
    lab.expect("start manual", 0, "manual: started\n");
    assert_eq!(lab.ctl("status").code, 0);
    assert_eq!(
        procfs::command_line(lab.pid("wanted")),
        "/bin/sleep 1000",
        "status shows the program's own pid"
    );
}

#[test]
fn a_killed_program_is_back_under_a_new_pid() {
    // Without this: one SIGKILL (the OOM killer's) and the service is gone for good.
    let lab = Lab::with(&format!("[program:a]\n{STAYS}"));
    lab.wait_state("a", "RUNNING");
    let mut pid = lab.pid("a");
    for _ in 0..3 {
        kill(pid);
        pid = lab.wait_new_pid("a", pid);
        assert!(procfs::alive(pid));
    }
    lab.wait_main_log("exited: a (terminated by SIGKILL; not expected)");
    assert!(
        lab.main_log()
            .contains(&format!("spawned: 'a' with pid {pid}"))
    );
}

#[test]
fn autorestart_and_exitcodes_decide_who_comes_back() {
    // Without this: finished jobs run again for ever, or crashed services stay down.
    let mut lab = Lab::new();
    let mut programs = String::new();
    let mut returns = Vec::new();
    let mut stays_down = Vec::new();
    for policy in ["true", "false", "unexpected"] {
        for code in [0, 3] {
            for expected in ["0", "3", ""] {
                let name = format!("{policy}{code}of{expected}");
                lab.script(
                    &name,
                    &format!("echo run >> @D@/{name}.runs; [ $(wc -l < @D@/{name}.runs) -gt 1 ] && exec sleep 1000; exit {code}"),
                );
                programs.push_str(&format!(
                    "[program:{name}]\ncommand=@D@/{name}\nstartsecs=0\nautorestart={policy}\n\
                     exitcodes={expected}\n"
                ));
                let unexpected = expected != code.to_string();
                match policy {
                    "true" => returns.push(name),
                    "unexpected" if unexpected => returns.push(name),
                    _ => stays_down.push(name),
                }
            }
        }
    }
    lab.configure(&programs);
    lab.start();
    lab.until("everything has settled", |lab| {
        let lines = lab.statuses();
        let state = |name: &String| lines.iter().find(|line| &line.name == name).unwrap();
        returns.iter().all(|name| {
            state(name).state == "RUNNING" && lab.read(&format!("{name}.runs")) == "run\nrun\n"
        }) && stays_down.iter().all(|name| state(name).state == "EXITED")
    });
    for name in &stays_down {
        assert_eq!(
            lab.read(&format!("{name}.runs")),
            "run\n",
            "{name} ran once"
        );
    }
    let log = lab.main_log();
    assert!(log.contains("INFO exited: false3of3 (exit status 3; expected)"));
    assert!(log.contains("WARN exited: false3of0 (exit status 3; not expected)"));
}

#[test]
fn quick_failures_back_off_and_end_in_fatal() {
    // Without this: a broken program burns the machine in a restart loop nobody is told of.
    let lab = Lab::new();
    lab.script("crash", "date +%s%N >> @D@/$1; exit 7");
    let lab = lab.started(
        "[program:two]\ncommand=@D@/crash two\nstartretries=2\nstartsecs=60\n\
         [program:none]\ncommand=@D@/crash none\nstartretries=0\nstartsecs=60\n",
    );
    lab.wait_state("none", "FATAL");
    lab.wait_state("two", "FATAL");
    assert_eq!(
        lab.status("two").unwrap().description,
        "Exited too quickly (process log may have details)"
    );
    assert_eq!(lab.read("none").lines().count(), 1, "no retry was allowed");
    let runs: Vec<u64> = lab
        .read("two")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(runs.len(), 3, "startretries=2 means three attempts");
    let gap = |index: usize| Duration::from_nanos(runs[index + 1] - runs[index]);
    assert!(
        gap(0) >= Duration::from_millis(900),
        "waits 1 s: {:?}",
        gap(0)
    );
    assert!(
        gap(1) >= Duration::from_millis(1900),
        "then 2 s: {:?}",
        gap(1)
    );
    let log = lab.main_log();
    assert!(log.contains("WARN exited: two (exit status 7; not expected)"));
    assert!(
        log.contains("INFO gave up: two entered FATAL state, too many start retries too quickly")
    );
}

#[test]
fn a_fatal_program_can_be_started_again_by_hand() {
    // Without this: after the cause is repaired only a restart of the daemon helps.
    let lab = Lab::new();
    lab.script(
        "sometimes",
        "[ -e @D@/repaired ] && exec sleep 1000; exit 1",
    );
    let lab = lab.started("[program:a]\ncommand=@D@/sometimes\nstartretries=0\nstartsecs=1\n");
    lab.wait_state("a", "FATAL");
    lab.expect("start a", 7, "a: ERROR (spawn error)\n");
    lab.write("repaired", "");
    lab.expect("start a", 0, "a: started\n");
    lab.wait_state("a", "RUNNING");
}

#[test]
fn start_answers_only_after_startsecs() {
    // Without this: scripts go on while the program they need has already crashed.
    let lab = Lab::with(
        "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=2\nautostart=false\n\
         [program:quick]\ncommand=/bin/true\nstartretries=0\nstartsecs=60\nautostart=false\n",
    );
    let begin = Instant::now();
    lab.expect("start a", 0, "a: started\n");
    assert!(
        begin.elapsed() >= Duration::from_millis(1900),
        "{:?}",
        begin.elapsed()
    );
    lab.expect("start a", 0, "a: ERROR (already started)\n");
    // Even exit code 0 is a failure before startsecs.
    lab.expect("start quick", 7, "quick: ERROR (spawn error)\n");
}

#[test]
fn stop_asks_first_and_kills_later() {
    // Without this: a program that ignores SIGTERM can never be stopped, or nobody gets the
    // chance to finish.
    let lab = Lab::new();
    lab.script("stubborn", STUBBORN);
    lab.script(
        "polite",
        "trap 'echo asked >> @D@/asked; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
    );
    let lab = lab.started(
        "[program:stubborn]\ncommand=@D@/stubborn\nstopwaitsecs=1\nstdout_logfile=@D@/stubborn.log\n\
         [program:polite]\ncommand=@D@/polite\nstdout_logfile=@D@/polite.log\n",
    );
    for name in ["stubborn", "polite"] {
        lab.wait_text(&format!("{name}.log"), "ready");
        lab.wait_state(name, "RUNNING");
    }
    let pid = lab.pid("stubborn");
    let begin = Instant::now();
    lab.expect("stop stubborn", 0, "stubborn: stopped\n");
    assert!(
        begin.elapsed() >= Duration::from_millis(900),
        "{:?}",
        begin.elapsed()
    );
    assert!(!procfs::alive(pid));
    lab.expect("stop polite", 0, "polite: stopped\n");
    assert_eq!(lab.read("asked"), "asked\n");
    lab.expect("stop polite", 0, "polite: ERROR (not running)\n");
    let log = lab.main_log();
    assert!(log.contains(&format!("WARN killing 'stubborn' ({pid}) with SIGKILL")));
    assert!(log.contains("stopped: stubborn (terminated by SIGKILL)"));
    assert!(log.contains("INFO stopped: polite (exit status 0)"));
    assert!(
        lab.ctl("status")
            .out
            .lines()
            .all(|line| line.contains("STOPPED"))
    );
}

#[test]
fn stop_during_start_and_backoff_is_obeyed() {
    // Without this: a program that cannot come up cannot be got rid of either.
    let lab = Lab::with(
        "[program:slow]\ncommand=/bin/sleep 1000\nstartsecs=60\n\
         [program:crash]\ncommand=/bin/false\nstartretries=100\n",
    );
    lab.wait_state("slow", "STARTING");
    lab.wait_state("crash", "BACKOFF");
    let pid = spawned_pid(&lab, "slow");
    lab.expect("start crash", 0, "crash: ERROR (already started)\n");
    lab.expect("stop slow crash", 0, "slow: stopped\ncrash: stopped\n");
    assert!(!procfs::alive(pid));
    let attempts = || lab.main_log().matches("spawned: 'crash'").count();
    let before = attempts();
    assert_eq!(lab.state("slow"), "STOPPED");
    assert_eq!(lab.state("crash"), "STOPPED");
    assert_eq!(attempts(), before);
}

#[test]
fn start_while_stopping_is_refused_and_the_stop_completes() {
    // Without this: two copies of one program, or a stop that never ends.
    let lab = Lab::new();
    lab.script("slowly", "trap 'while [ ! -e @D@/go ]; do sleep 0.05; done; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    let lab =
        lab.started("[program:a]\ncommand=@D@/slowly\nstopwaitsecs=60\nstdout_logfile=@D@/a.log\n");
    lab.wait_text("a.log", "ready");
    lab.wait_state("a", "RUNNING");
    let stop = {
        let mut command = lab.ctl_command("stop a");
        thread::spawn(move || command.output().unwrap())
    };
    lab.wait_state("a", "STOPPING");
    lab.expect("start a", 7, "a: ERROR (abnormal termination)\n");
    lab.write("go", "");
    assert_eq!(lab::Said::from(stop.join().unwrap()).out, "a: stopped\n");
    assert_eq!(lab.state("a"), "STOPPED");
    assert_eq!(lab.main_log().matches("spawned: 'a'").count(), 1);
}

#[test]
fn a_start_and_stop_in_quick_succession_needs_no_sigkill() {
    // Without this: now and then a stop takes stopwaitsecs, for the signal got lost before exec.
    ours_only!();
    let lab = Lab::with(
        "[program:a]\ncommand=/bin/sleep 1000\nautostart=false\nstartsecs=0\nstopwaitsecs=60\n",
    );
    for _ in 0..20 {
        lab.expect("start a", 0, "a: started\n");
        lab.expect("stop a", 0, "a: stopped\n");
    }
    assert!(!lab.main_log().contains("SIGKILL"));
}

#[test]
fn the_whole_process_group_is_reached_if_asked_for() {
    // Without this: workers of a stopped master stay behind and hold its port.
    let lab = Lab::new();
    // Parent and child; the second argument says whether both ignore SIGTERM.
    lab.script("tree", "[ \"$2\" = deaf ] && trap '' TERM; sleep 1000 & echo $! > @D@/$1.child; wait; while :; do sleep 0.05; done");
    let lab = lab.started(
        "[program:alone]\ncommand=@D@/tree alone\nstop_tree=false\n\
         [program:stopgroup]\ncommand=@D@/tree stopgroup\nstopasgroup=true\n\
         [program:killgroup]\ncommand=@D@/tree killgroup deaf\nkillasgroup=true\nstopwaitsecs=1\n",
    );
    let child = |name: &str| -> i32 {
        lab.wait_some("the child wrote its pid", |lab| {
            lab.read(&format!("{name}.child")).trim().parse().ok()
        })
    };
    let children = ["alone", "stopgroup", "killgroup"].map(child);
    for name in ["alone", "stopgroup", "killgroup"] {
        lab.wait_state(name, "RUNNING");
    }
    assert_eq!(lab.ctl("stop all").code, 0);
    lab.wait_gone(children[1]);
    lab.wait_gone(children[2]);
    assert!(
        procfs::alive(children[0]),
        "without stopasgroup only the program itself is asked"
    );
    kill(children[0]);
}

#[test]
fn numprocs_and_groups_are_named_and_addressed() {
    // Without this: pools of workers cannot be told apart or handled as one.
    let lab = Lab::with(&format!(
        "[program:worker]\n{STAYS}numprocs=3\nnumprocs_start=5\n\
         process_name=%(program_name)s_%(process_num)02d\n\
         [program:a]\n{STAYS}[program:b]\n{STAYS}[group:pair]\nprograms=a,b\n"
    ));
    lab.until("all are up", |lab| {
        lab.ctl("status").out.matches("RUNNING").count() == 5
    });
    let names: Vec<String> = lab.statuses().into_iter().map(|line| line.name).collect();
    assert_eq!(
        names,
        [
            "pair:a",
            "pair:b",
            "worker:worker_05",
            "worker:worker_06",
            "worker:worker_07"
        ]
    );
    let pid = lab.pid("worker:worker_06");
    let said = lab.ctl("restart pair:* worker:worker_05");
    assert_eq!(said.code, 0);
    assert_eq!(said.out.matches(": stopped\n").count(), 3);
    assert_eq!(said.out.matches(": started\n").count(), 3);
    assert_eq!(lab.pid("worker:worker_06"), pid, "others are left alone");
    lab.expect("stop worker", 1, "worker: ERROR (no such process)\n");
    assert_eq!(
        lab.ctl("stop worker:*").out.matches(": stopped\n").count(),
        3
    );
}

#[test]
fn priorities_order_boot_and_shutdown() {
    // Without this: the application comes up before its database and outlives it.
    let lab = Lab::new();
    lab.script("ordered", "trap 'sleep 0.1; echo $1 >> @D@/stops; exit 0' TERM; echo ready; while :; do sleep 0.02; done");
    let mut programs = String::new();
    for (name, priority) in [("web", 30), ("db", 10), ("cache", 20)] {
        programs.push_str(&format!(
            "[program:{name}]\ncommand=@D@/ordered {name}\npriority={priority}\nstdout_logfile=@D@/{name}.log\n"
        ));
    }
    let mut lab = lab.started(&programs);
    for name in ["web", "db", "cache"] {
        lab.wait_text(&format!("{name}.log"), "ready");
        lab.wait_state(name, "RUNNING");
    }
    let spawned: Vec<String> = lab
        .main_log()
        .lines()
        .filter_map(|line| {
            Some(
                line.split_once("spawned: '")?
                    .1
                    .split('\'')
                    .next()?
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(spawned, ["db", "cache", "web"]);
    lab.shut_down();
    assert_eq!(
        lab.read("stops"),
        "web\ncache\ndb\n",
        "last in, first out, one after another"
    );
}

#[test]
fn a_program_finds_exactly_what_was_configured() {
    // Without this: programs run in the wrong directory, with the wrong rights or variables.
    let lab = Lab::new();
    lab.script(
        "tell",
        "for word; do echo \"arg=$word\"; done; pwd; umask; echo A=$A B=$B G=$G; env | grep ^SUPERVISOR_ | sort; exec sleep 1000",
    );
    fs::create_dir(lab.path("work")).unwrap();
    let lab = lab.started(
        "environment=G=\"global\",A=\"global\"\n\
         [program:x]\ncommand=@D@/tell \"two words\" 'a\"b' %(program_name)s %%d %(ENV_B)s\n\
         directory=@D@/work\numask=027\nenvironment=A=\"1,2\",B='x y'\nstdout_logfile=@D@/x.log\n\
         [group:g]\nprograms=x\n",
    );
    let directory = lab.directory();
    lab.wait_text(
        "x.log",
        &format!(
            "arg=two words\narg=a\"b\narg=x\narg=%d\narg=x\narg=y\n{directory}/work\n0027\nA=1,2 B=x y G=global\n\
             SUPERVISOR_ENABLED=1\nSUPERVISOR_GROUP_NAME=g\nSUPERVISOR_PROCESS_NAME=x\n\
             SUPERVISOR_SERVER_URL=unix://{directory}/sock\n"
        ),
    );
}

#[test]
fn a_program_inherits_no_descriptor_and_no_signal_disposition() {
    // Without this: leaked descriptors keep ports and files open; pipelines ignore SIGPIPE.
    ours_only!();
    let lab = Lab::with("[program:a]\ncommand=/bin/sleep 1000\n");
    lab.wait_state("a", "RUNNING");
    let pid = lab.pid("a");
    let mut descriptors: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    descriptors.sort();
    assert_eq!(descriptors, ["0", "1", "2"]);
    for mask in ["SigBlk", "SigIgn"] {
        assert_eq!(
            procfs::status_field(pid, mask).unwrap(),
            "0000000000000000",
            "{mask}"
        );
    }
    assert_eq!(
        procfs::stat(pid, 5).unwrap(),
        pid.to_string(),
        "leads its own process group"
    );
}

#[test]
fn a_program_runs_as_its_user_and_never_as_root_instead() {
    // Without this: a service that should be confined runs with all rights.
    if !is_root() {
        return;
    }
    let lab = Lab::new();
    lab.script(
        "who",
        "id -u; id -g; id -G; echo HOME=$HOME; exec sleep 1000",
    );
    let lab = lab.started("[program:a]\ncommand=@D@/who\nuser=nobody\nstdout_logfile=@D@/a.log\n");
    let ids = |flag: &str| {
        let output = std::process::Command::new("id")
            .args([flag, "nobody"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let home = std::env::var("HOME").unwrap_or_default();
    lab.wait_text(
        "a.log",
        &format!("{}{}{}HOME={home}\n", ids("-u"), ids("-g"), ids("-G")),
    );
}

#[test]
fn a_program_of_another_user_may_open_its_output_again() {
    // Without this: what logs to /dev/stdout works as root, and is silent as anybody else.
    ours_only!();
    if !is_root() {
        println!("not tried: only root starts programs as somebody else");
        return;
    }
    let lab = Lab::with(
        "[program:a]\ncommand=/bin/sh -c 'echo out > /dev/stdout; echo err > /dev/stderr; \
         exec sleep 1000'\nuser=nobody\nstdout_logfile=@D@/out\nstderr_logfile=@D@/err\n",
    );
    assert_eq!(lab.wait_text("out", "out"), "out\n");
    assert_eq!(lab.wait_text("err", "err"), "err\n");
}

#[test]
fn a_program_that_cannot_be_started_says_why() {
    // Without this: FATAL and no hint what to repair.
    let lab = Lab::new();
    lab.write("plain", "no program");
    lab.write("noheader", "this is no program");
    fs::set_permissions(lab.path("noheader"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(lab.path("directory")).unwrap();
    let cases = [
        (
            "missing",
            "command=@D@/nosuch",
            "can't find command '@D@/nosuch'",
        ),
        (
            "nopath",
            "command=nosuchcommand",
            "can't find command 'nosuchcommand'",
        ),
        (
            "isdir",
            "command=@D@/directory",
            "command at '@D@/directory' is a directory",
        ),
        (
            "plain",
            "command=@D@/plain",
            "command at '@D@/plain' is not executable",
        ),
        ("empty", "command=", "command is empty"),
        (
            "both",
            "command=@D@/nosuch\nstdout_logfile=@D@/directory",
            "can't find command '@D@/nosuch'",
        ),
        (
            "unmade",
            "command=@D@/nosuch\nstdout_logfile=@D@/unmade.log",
            "can't find command '@D@/nosuch'",
        ),
        (
            "logdir",
            "command=/bin/sleep 1000\nstdout_logfile=@D@/directory",
            "unknown error making dispatchers for 'logdir': EISDIR",
        ),
    ];
    let mut programs = String::new();
    for (name, options, _) in cases {
        programs.push_str(&format!("[program:{name}]\n{options}\nstartretries=0\n"));
    }
    // These fail in the child, after it has its own standard error.
    programs.push_str(
        "[program:cwd]\ncommand=/bin/sleep 1000\ndirectory=@D@/gone\nstartretries=0\nstderr_logfile=@D@/cwd.err\n\
         [program:noheader]\ncommand=@D@/noheader\nstartretries=0\nstderr_logfile=@D@/noheader.err\n",
    );
    let lab = lab.started(&programs);
    for (name, _, text) in cases {
        lab.wait_state(name, "FATAL");
        let text = text.replace("@D@", lab.directory());
        assert_eq!(lab.status(name).unwrap().description, text, "{name}");
        assert!(lab.main_log().contains(&format!("spawnerr: {text}")));
    }
    assert!(!lab.path("unmade.log").exists(), "no log of what never ran");
    // Supervisor names the symbol in the log; we give its words in the status.
    for (name, what, code, words) in [
        ("cwd", "gone", "ENOENT", "No such file or directory"),
        ("noheader", "noheader", "ENOEXEC", "Exec format error"),
    ] {
        lab.wait_state(name, "FATAL");
        let told = format!(
            "{}{}",
            lab.status(name).unwrap().description,
            lab.read(&format!("{name}.err"))
        );
        let reason = match Subject::chosen() {
            Subject::Appctl => words,
            Subject::Supervisor(_) => code,
        };
        assert!(
            told.contains(what) && told.contains(reason),
            "{name}: {told}"
        );
    }
    assert_eq!(
        lab.ctl("start missing").out,
        "missing: ERROR (no such file)\n"
    );
    assert_eq!(
        lab.ctl("start plain").out,
        "plain: ERROR (file is not executable)\n"
    );
}

#[test]
fn a_disk_that_hangs_ends_the_start_and_not_the_daemon() {
    // Without this: a program stays in STARTING for ever, and nobody is told why.
    ours_only!();
    let lab = Lab::with(
        "[program:a]\ncommand=/bin/sleep 1000\nautostart=false\nstartretries=0\nstdout_logfile=@D@/a.log\n",
    );
    let (_, brain) = lab.keeper_and_brain();
    let log_thread = fs::read_dir(format!("/proc/{brain}/task"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "appctl-logs\n")
        })
        .and_then(|task| task.file_name().to_str()?.parse().ok())
        .expect("a thread of the logs");
    let hanging = HangingThread::stop(log_thread);
    lab.ctl("start a");
    lab.wait_state("a", "FATAL");
    assert_eq!(
        lab.status("a").unwrap().description,
        "unknown error making dispatchers for 'a': opening its log files takes longer than 10 s; \
         does their disk hang?"
    );
    drop(hanging);
    lab.expect("start a", 0, "a: started\n");
    assert_eq!(lab.main_log().matches("spawned: 'a'").count(), 1);
}

/// A thread that stands still, as one in a system call on a disk that hangs; it goes on when this
/// is dropped.
struct HangingThread(i32);

impl HangingThread {
    #[allow(unsafe_code)]
    fn stop(thread: i32) -> HangingThread {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: these calls take numbers only.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, none, none), 0);
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none), 0);
            assert_eq!(libc::waitpid(thread, none.cast(), libc::__WALL), thread);
        }
        HangingThread(thread)
    }
}

impl Drop for HangingThread {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: it takes numbers only.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}

#[test]
fn signals_reach_the_program() {
    // Without this: no reload of a web server's workers by `signal HUP`.
    let lab = Lab::new();
    lab.script(
        "listens",
        "trap 'echo got >> @D@/got' USR1; echo ready; while :; do sleep 0.05; done",
    );
    let lab = lab.started("[program:a]\ncommand=@D@/listens\nstdout_logfile=@D@/a.log\n");
    lab.wait_text("a.log", "ready");
    lab.wait_state("a", "RUNNING");
    lab.expect("signal USR1 a", 0, "a: signalled\n");
    lab.wait_text("got", "got\n");
    lab.expect("signal NONSENSE a", 1, "a: ERROR (bad signal name)\n");
    lab.expect("stop a", 0, "a: stopped\n");
    lab.expect("signal USR1 a", 7, "a: ERROR (not running)\n");
}

/// The last pid the main log tells of a program that has none in its status yet.
fn spawned_pid(lab: &Lab, name: &str) -> i32 {
    let log = lab.main_log();
    let (_, rest) = log
        .rsplit_once(&format!("spawned: '{name}' with pid "))
        .unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}
