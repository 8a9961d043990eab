//! Real programs started, adopted, signalled and reaped. One test at a time: they look at the
//! descriptors, children and limits of this process.
#![allow(unsafe_code, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use appctl::config::{LaunchConfig, Signal, UserSpec};
use appctl::fleet::{ExitStatus, ProcessName, SpawnFailure, SpawnFailureKind};
use appctl::launch::{
    BIRTH_NOTE_LENGTH, BirthNote, ChildEnds, Cradle, Deaths, Launcher, Limits, Living, Membership,
    adopt, find_started, kill, peek_exit, pipe_inode, reap, spawn,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Resource, Rlimit, WaitOptions, getpid, getrlimit, kill_process, set_child_subreaper,
    setrlimit, waitpid,
};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program with our ends of its pipes; killed with its group, and reaped, when dropped.
struct Started {
    living: Living,
    stdin: Option<OwnedFd>,
    stdout: File,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = kill(&self.living, Signal(9), true);
        self.wait();
        let _ = reap(&self.living);
        // Nobody of the group writes any more.
        let _ = self.stdout.read_to_end(&mut Vec::new());
    }
}

impl Started {
    fn wait(&self) -> Option<ExitStatus> {
        let mut pidfd = [PollFd::new(&self.living.pidfd, PollFlags::IN)];
        let most = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut pidfd, Some(&most)).unwrap(), 1, "it does not end");
        peek_exit(&self.living).unwrap()
    }

    fn output(&mut self) -> String {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        text
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }
}

fn config(command: &str) -> LaunchConfig {
    LaunchConfig {
        command: command.to_owned(),
        directory: None,
        user: None,
        umask: None,
        environment: BTreeMap::new(),
        serverurl: None,
        first_server: None,
        redirect_stderr: false,
    }
}

fn limits() -> Limits {
    let nofile = getrlimit(Resource::Nofile);
    Limits {
        nofile_soft: nofile.current,
        nofile_hard: nofile.maximum,
        oom_score_adj: None,
    }
}

fn start_with(config: &LaunchConfig, limits: &Limits) -> Result<Started, SpawnFailure> {
    let (program_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let (stdout, program_stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let name = ProcessName {
        group: "web".into(),
        process: "web_01".into(),
    };
    let ends = ChildEnds {
        stdin: program_stdin,
        stdout: program_stdout,
        stderr: None,
    };
    let living = spawn(&name, config, ends, limits)?;
    Ok(Started {
        living,
        stdin: Some(stdin),
        stdout: stdout.into(),
    })
}

fn start(config: &LaunchConfig) -> Started {
    start_with(config, &limits()).unwrap()
}

fn output(config: &LaunchConfig) -> String {
    start(config).output()
}

fn failure(config: &LaunchConfig) -> String {
    match start_with(config, &limits()) {
        Ok(_) => panic!("{} was started", config.command),
        Err(failure) => failure.text,
    }
}

fn is_root() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}

fn user(uid: u32) -> UserSpec {
    UserSpec {
        name: "no such name".into(),
        uid,
        gid: uid + 1,
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

fn has_children() -> bool {
    // SAFETY: WNOWAIT leaves everything as it is.
    let result = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_ALL, 0, &mut info, flags)
    };
    result == 0
}

#[test]
fn a_program_gets_three_descriptors_whatever_we_hold_open() {
    let _alone = alone();
    let null = File::open("/dev/null").unwrap();
    // SAFETY: plain numbers. This one is not closed by exec, as if inherited from a careless shell.
    let leaked = unsafe { libc::fcntl(null.as_raw_fd(), libc::F_DUPFD, 70) };
    assert!(leaked >= 70);
    assert_eq!(output(&config("sh -c 'ls /proc/$$/fd; :'")), "0\n1\n2\n");
    // SAFETY: it is ours.
    unsafe { libc::close(leaked) };
}

#[test]
fn standard_error_is_standard_output_unless_it_has_a_pipe() {
    let _alone = alone();
    assert_eq!(output(&config("sh -c 'echo a; echo b >&2'")), "a\nb\n");
}

#[test]
fn a_program_gets_default_signals_and_none_blocked() {
    let _alone = alone();
    // SAFETY: plain system calls on valid memory; undone below.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::signal(libc::SIGRTMIN() + 3, libc::SIG_IGN);
    }
    let text = output(&config("cat /proc/self/status"));
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(
            text.contains(&format!("{set}:\t0000000000000000\n")),
            "{text}"
        );
    }
    // Ours are as they were: nothing but SIGUSR1 blocked.
    let own = fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(own.contains("SigBlk:\t0000000000000200"), "{own}");
    // SAFETY: as above.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
        libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
        libc::signal(libc::SIGRTMIN() + 3, libc::SIG_DFL);
    }
}

extern "C" fn swallow(_: libc::c_int) {}

/// From the first moment of the child, while it is still a copy of us with our handlers.
#[test]
fn a_signal_between_fork_and_exec_is_never_swallowed() {
    let _alone = alone();
    let handler = swallow as extern "C" fn(libc::c_int);
    // SAFETY: the handler does nothing; undone below.
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
    let own = std::process::id();
    for _ in 0..40 {
        let thread = rustix::thread::gettid().as_raw_nonzero();
        let children = format!("/proc/{own}/task/{thread}/children");
        let killer = std::thread::spawn(move || {
            loop {
                let text = fs::read_to_string(&children).unwrap();
                if let Some(pid) = text.split_whitespace().next() {
                    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
                    return kill_process(pid, rustix::process::Signal::TERM).unwrap();
                }
            }
        });
        let program = start(&config("sleep 3"));
        let status = ExitStatus::Signal {
            number: 15,
            core: false,
        };
        assert_eq!(program.wait(), Some(status));
        killer.join().unwrap();
    }
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
}

#[test]
fn umask_limits_directory_group_and_environment_are_as_asked() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let mut config = config(
        "sh -c 'umask; pwd; ulimit -Sn; ulimit -Hn; cut -d\" \" -f1,5,6 /proc/$$/stat; env'",
    );
    config.umask = Some(0o027);
    config.directory = Some(home.path().canonicalize().unwrap());
    config.environment = BTreeMap::from([("GREETING".to_owned(), "hello world".to_owned())]);
    config.serverurl = Some("unix:///s".to_owned());
    let hard = getrlimit(Resource::Nofile).maximum;
    let limits = Limits {
        nofile_soft: Some(99),
        nofile_hard: hard,
        oom_score_adj: None,
    };
    let mut program = start_with(&config, &limits).unwrap();
    let text = program.output();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("0027"));
    assert_eq!(lines.next(), config.directory.as_ref().unwrap().to_str());
    assert_eq!(lines.next(), Some("99"));
    assert_eq!(
        lines.next(),
        Some(
            hard.map_or("unlimited".to_owned(), |n| n.to_string())
                .as_str()
        )
    );
    let pid = program.living.pid;
    let own = fs::read_to_string("/proc/self/stat").unwrap();
    // Not getsid: a session led from outside our pid namespace has the number 0.
    let session = own.rsplit(") ").next().unwrap().split(" ").nth(3).unwrap();
    assert_eq!(
        lines.next(),
        Some(format!("{pid} {pid} {session}").as_str())
    );
    let environment: Vec<&str> = lines.collect();
    for pair in [
        "GREETING=hello world",
        "SUPERVISOR_ENABLED=1",
        "SUPERVISOR_SERVER_URL=unix:///s",
        "SUPERVISOR_PROCESS_NAME=web_01",
        "SUPERVISOR_GROUP_NAME=web",
    ] {
        assert!(environment.contains(&pair), "{pair}: {environment:?}");
    }
    let own_path = format!("PATH={}", std::env::var("PATH").unwrap());
    assert!(environment.contains(&own_path.as_str()));
}

#[test]
fn the_oom_score_is_given_back() {
    let _alone = alone();
    let text = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let own: i32 = text.trim().parse().unwrap();
    let limits = Limits {
        oom_score_adj: Some(own + 7),
        ..limits()
    };
    let mut program = start_with(&config("cat /proc/self/oom_score_adj"), &limits).unwrap();
    assert_eq!(program.output(), format!("{}\n", own + 7));
    // Lower than ours would need a privilege: it stays.
    let limits = Limits {
        oom_score_adj: Some(own - 7),
        ..limits
    };
    let mut program = start_with(&config("cat /proc/self/oom_score_adj"), &limits).unwrap();
    assert_eq!(program.output(), format!("{own}\n"));
}

#[test]
fn a_user_is_assumed_entirely() {
    let _alone = alone();
    if !is_root() {
        return;
    }
    let mut config = config("grep -E ^(Uid|Gid|Groups|CapEff): /proc/self/status");
    config.user = Some(user(54321));
    assert_eq!(
        output(&config),
        "Uid:\t54321\t54321\t54321\t54321\nGid:\t54322\t54322\t54322\t54322\n\
         Groups:\t54322 \nCapEff:\t0000000000000000\n"
    );
    // The same user: nothing at all is changed.
    config.user = Some(UserSpec {
        name: "root".into(),
        uid: 0,
        gid: 4242,
    });
    assert!(output(&config).starts_with("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"));
}

#[test]
fn every_failure_says_what_failed_on_what_and_why() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str, content: &str| {
        let path = home.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let mut lost = config("true");
    lost.directory = Some("/no/such/place".into());
    let text = "changing directory to /no/such/place: No such file or directory";
    assert_eq!(failure(&lost), text);
    lost.command = "bin/true".into();
    assert_eq!(failure(&lost), text);

    // A shell must not be guessed: this file would print.
    let plain = place("plain", "echo run by a shell\n");
    let why = "Exec format error (neither a program nor a script with a #! line)";
    assert_eq!(
        failure(&config(&plain)),
        format!("executing {plain}: {why}")
    );
    let script = place("script", "#!/no/such/interpreter\n");
    let why = "No such file or directory (the interpreter it names is missing)";
    assert_eq!(
        failure(&config(&script)),
        format!("executing {script}: {why}")
    );

    let hard = getrlimit(Resource::Nofile).maximum;
    if let Some(hard) = hard {
        let limits = Limits {
            nofile_soft: Some(hard + 1),
            nofile_hard: Some(hard),
            oom_score_adj: None,
        };
        let failure = start_with(&config("true"), &limits).err().unwrap();
        assert_eq!(
            failure.text,
            format!("setting RLIMIT_NOFILE to {}: Invalid argument", hard + 1)
        );
        assert_eq!(failure.kind, SpawnFailureKind::Other);
    }
    let mut odd = config("true");
    odd.environment = BTreeMap::from([("A=B".to_owned(), String::new())]);
    assert_eq!(
        failure(&odd),
        "environment: 'A=B' cannot be the name of a variable"
    );
    odd.environment = BTreeMap::from([("A".to_owned(), "\0".to_owned())]);
    assert_eq!(failure(&odd), "environment: contains a NUL character");

    if is_root() {
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let mut stranger = config("true");
        stranger.user = Some(user(54321));
        stranger.directory = Some(home.path().to_owned());
        let text = format!(
            "changing directory to {}: Permission denied",
            home.path().display()
        );
        assert_eq!(failure(&stranger), text);
        stranger.directory = None;
        stranger.command = plain.clone();
        assert_eq!(
            failure(&stranger),
            format!("executing {plain}: Permission denied")
        );
        stranger.user = Some(user(u32::MAX - 1));
        let text = "couldn't setuid to 4294967294: 4294967295 is not a user or group id";
        assert_eq!(failure(&stranger), text);
        stranger.user = Some(UserSpec {
            name: "many".into(),
            uid: u32::MAX,
            gid: 1,
        });
        assert!(failure(&stranger).contains("is not a user or group id"));
    }
    assert!(!has_children());
}

#[test]
fn a_relative_command_is_relative_to_its_directory() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("bin")).unwrap();
    let tool = home.path().join("bin/tool");
    fs::write(&tool, "#!/bin/sh\necho $0\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = config("bin/tool");
    config.directory = Some(home.path().to_owned());
    assert_eq!(output(&config), "bin/tool\n");
}

/// Wherever the descriptors run out, there is a program that works or nothing at all.
#[test]
fn without_descriptors_nothing_is_left_running() {
    let _alone = alone();
    // The reactor and its descriptors exist from here on.
    drop(start(&config("true")));
    let home = tempfile::tempdir().unwrap();
    let before = getrlimit(Resource::Nofile);
    let (mut failed, mut worked) = (0, 0);
    for free in 0..40 {
        let witness = home.path().join(free.to_string());
        let config = config(&format!("touch {}", witness.display()));
        let limits = limits();
        let (program_stdin, _stdin) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (stdout, program_stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let ends = ChildEnds {
            stdin: program_stdin,
            stdout: program_stdout,
            stderr: None,
        };
        let name = ProcessName {
            group: "web".into(),
            process: "web_01".into(),
        };
        // What is open now, all of it below this number, and `free` more.
        let probe = File::open("/dev/null").unwrap();
        let most = u64::try_from(probe.as_raw_fd()).unwrap() + free;
        drop(probe);
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(most),
                ..before
            },
        )
        .unwrap();
        let result = spawn(&name, &config, ends, &limits);
        setrlimit(Resource::Nofile, before).unwrap();
        match result {
            Ok(living) => {
                worked += 1;
                let program = Started {
                    living,
                    stdin: None,
                    stdout: stdout.into(),
                };
                assert_eq!(program.wait(), Some(ExitStatus::Code(0)));
                assert!(witness.exists());
            }
            Err(failure) => {
                failed += 1;
                assert_eq!(failure.text, "too many open files to spawn 'web_01'");
                assert!(
                    !has_children(),
                    "a child is left with {free} free descriptors"
                );
                assert!(!witness.exists(), "it ran with {free} free descriptors");
            }
        }
    }
    assert!(failed > 3 && worked > 3, "{failed} {worked}");
}

#[test]
fn starting_leaves_no_thread_and_no_descriptor_behind() {
    let _alone = alone();
    drop(start(&config("true")));
    let before = descriptors();
    for _ in 0..20 {
        drop(start(&config("true")));
        let _ = start_with(&config("/"), &limits());
        let mut lost = config("true");
        lost.directory = Some("/no/such/place".into());
        let _ = start_with(&lost, &limits());
    }
    assert_eq!(descriptors(), before);
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let comm = fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default();
        assert_ne!(comm.trim(), "async-process");
    }
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(
        maps.matches("/dev/zero").count() <= 1,
        "shared pages are left: {maps}"
    );
}

#[test]
fn a_group_is_signalled_also_after_its_leader_was_reaped() {
    let _alone = alone();
    // Orphans come to us, so that nobody but us decides when their group is empty.
    set_child_subreaper(Some(getpid())).unwrap();
    let reap_orphan = |line: &str| {
        let pid = Pid::from_raw(line.parse().unwrap());
        waitpid(pid, WaitOptions::empty()).unwrap();
    };
    let mut program = start(&config("sh -c 'sleep 1000 & echo $!; exec sleep 1000'"));
    let orphan = program.line();
    assert!(kill(&program.living, Signal(15), true).unwrap());
    // End of output: nobody of the group lives.
    assert_eq!(program.output(), "");
    program.wait();
    reap(&program.living).unwrap();
    reap_orphan(&orphan);
    assert!(!kill(&program.living, Signal(15), false).unwrap());
    assert!(!kill(&program.living, Signal(15), true).unwrap());

    let mut program = start(&config("sh -c 'sleep 1000 & echo $!'"));
    let orphan = program.line();
    assert_eq!(program.wait(), Some(ExitStatus::Code(0)));
    reap(&program.living).unwrap();
    assert!(kill(&program.living, Signal(15), true).unwrap());
    assert_eq!(program.output(), "");
    reap_orphan(&orphan);
    set_child_subreaper(None).unwrap();
}

#[test]
fn a_status_stays_until_it_is_reaped() {
    let _alone = alone();
    let program = start(&config("sh -c 'exit 9'"));
    for _ in 0..3 {
        assert_eq!(program.wait(), Some(ExitStatus::Code(9)));
    }
    reap(&program.living).unwrap();
    assert_eq!(peek_exit(&program.living).unwrap(), None);
    reap(&program.living).unwrap();
}

#[test]
fn only_the_same_process_is_adopted() {
    let _alone = alone();
    let mut program = start(&config("cat"));
    let Living {
        pid, start_time, ..
    } = program.living;
    assert!(start_time > 0);
    let found = adopt(pid, start_time).unwrap().unwrap();
    assert_eq!((found.pid, found.start_time), (pid, start_time));
    // Another process has its pid by now.
    assert!(adopt(pid, start_time - 1).unwrap().is_none());
    assert!(adopt(pid, 0).unwrap().is_none());
    for impossible in [0, -1, i32::MIN, i32::MAX] {
        assert!(adopt(impossible, start_time).unwrap().is_none());
    }
    program.stdin = None;
    assert_eq!(program.wait(), Some(ExitStatus::Code(0)));
    reap(&program.living).unwrap();
    assert!(adopt(pid, start_time).unwrap().is_none());
}

#[test]
fn deaths_are_told_until_they_are_forgotten() {
    let _alone = alone();
    let deaths = Deaths::new().unwrap();
    let mut programs: Vec<Started> = (0..3).map(|_| start(&config("cat"))).collect();
    for (token, program) in (10..).zip(&programs) {
        deaths.watch(token, &program.living).unwrap();
    }
    let mut tokens = Vec::new();
    deaths.take(10, &mut tokens).unwrap();
    assert_eq!(tokens, [0; 0]);
    programs[0].stdin = None;
    programs[2].stdin = None;
    programs[0].wait();
    programs[2].wait();
    async_io::block_on(deaths.ready()).unwrap();
    deaths.take(1, &mut tokens).unwrap();
    assert_eq!(tokens.len(), 1);
    tokens.clear();
    deaths.take(10, &mut tokens).unwrap();
    tokens.sort_unstable();
    assert_eq!(tokens, [10, 12]);
    deaths.forget(&programs[0].living);
    deaths.forget(&programs[0].living);
    tokens.clear();
    deaths.take(10, &mut tokens).unwrap();
    assert_eq!(tokens, [12]);
}

#[test]
fn an_unrecorded_program_is_found_by_its_pipe() {
    let _alone = alone();
    let own = std::process::id().cast_signed();
    let other = start(&config("cat"));
    // It has a child with the same pipe, which is not it.
    let mut program = start(&config("sh -c 'exec 3<&0; sleep 1000 <&3 & echo $!; wait'"));
    program.line();
    let inode = pipe_inode(program.stdin.as_ref().unwrap()).unwrap();
    assert_ne!(inode, pipe_inode(other.stdin.as_ref().unwrap()).unwrap());
    let found = find_started(Some(own), inode).unwrap().unwrap();
    assert_eq!(found.pid, program.living.pid);
    assert_eq!(found.start_time, program.living.start_time);
    assert!(find_started(Some(1), inode).unwrap().is_none());
    assert!(find_started(Some(own), 1).unwrap().is_none());

    // The program is gone; what it left behind is not it.
    set_child_subreaper(Some(getpid())).unwrap();
    let mut program = start(&config("sh -c 'exec 3<&0; sleep 1000 <&3 & echo $!'"));
    let stray = Pid::from_raw(program.line().parse().unwrap());
    program.wait();
    reap(&program.living).unwrap();
    let inode = pipe_inode(program.stdin.as_ref().unwrap()).unwrap();
    assert!(find_started(Some(own), inode).unwrap().is_none());
    kill(&program.living, Signal(9), true).unwrap();
    waitpid(stray, WaitOptions::empty()).unwrap();
    set_child_subreaper(None).unwrap();
}

#[test]
fn the_launcher_starts_in_order_from_a_table_of_its_own() {
    let _alone = alone();
    // The reactor and its descriptors exist from here on.
    drop(start(&config("true")));
    let many: Vec<File> = (0..300).map(|_| File::open("/dev/null").unwrap()).collect();
    let births = memfd_create("births", MemfdFlags::CLOEXEC).unwrap();
    let launcher = Launcher::new(births.try_clone().unwrap()).unwrap();
    let name = ProcessName {
        group: "web".into(),
        process: "web_01".into(),
    };
    let commands = [
        "ls /proc/self/fd",
        "/",
        "sh -c 'kill -PIPE $$; echo survived'",
        "cat",
    ];
    let configs = commands.map(config);
    let pipes = || {
        let (program_stdin, stdin) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (stdout, program_stdout) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let ends = ChildEnds {
            stdin: program_stdin,
            stdout: program_stdout,
            stderr: None,
        };
        (stdin, stdout, ends)
    };
    let cradle = |run: u64| Cradle {
        run,
        offset: 16 * run,
    };
    let begun: Vec<_> = (0..)
        .zip(&configs)
        .map(|(run, config)| {
            let (stdin, stdout, ends) = pipes();
            let no_tree = Membership::default();
            let begun = launcher.begin(&name, config, ends, &limits(), &no_tree, cradle(run));
            (config, stdin, stdout, begun)
        })
        .collect();
    let mut outputs = Vec::new();
    for (run, (config, stdin, stdout, begun)) in (0..).zip(begun) {
        let living = begun.and_then(|begun| launcher.finish(begun, &name, config, &limits()));
        let mut note = [0; BIRTH_NOTE_LENGTH];
        rustix::io::pread(&births, &mut note, cradle(run).offset).unwrap();
        if let Ok(living) = &living {
            let pid = living.pid;
            assert_eq!(BirthNote::read(note), BirthNote { run, pid });
        }
        outputs.push(living.map(|living| {
            let mut program = Started {
                living,
                stdin: Some(stdin),
                stdout: stdout.into(),
            };
            // Nobody else holds our end: `cat` ends.
            drop(program.stdin.take());
            program.output()
        }));
    }
    let output = |number: usize| outputs[number].as_deref().map_err(|failure| &*failure.text);
    // 3 is the listing itself.
    assert_eq!(output(0), Ok("0\n1\n2\n3\n"));
    assert_eq!(output(1), Err("command at '/' is a directory"));
    assert_eq!(output(2), Ok(""));
    assert_eq!(output(3), Ok(""));
    let thread = fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|thread| thread.unwrap().path())
        .find(|thread| {
            fs::read_to_string(thread.join("comm")).is_ok_and(|name| name == "appctl-starts\n")
        });
    let own = fs::read_dir(thread.unwrap().join("fd")).unwrap().count();
    assert!(own < 40, "{own} descriptors");
    drop(many);
}
