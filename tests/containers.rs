//! As the first process of a container, and as the supervisor of one command: what ends it, and
//! with which exit code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use lab::{APPCTL, Lab, Said, procfs};

/// `appctl` with these arguments in the lab.
fn appctl(lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = Command::new(APPCTL);
    lab.prepare(&mut command);
    command.args(arguments);
    command
}

fn run(lab: &Lab, arguments: &[&str]) -> Said {
    let mut command = appctl(lab, &["run"]);
    command.args(arguments).output().unwrap().into()
}

#[test]
fn an_essential_program_ends_the_daemon_with_its_code() {
    // Without this: a container whose only purpose has died runs on, and looks healthy.
    ours_only!();
    let mut lab = Lab::new();
    lab.script("main", "read line; exit $line");
    lab.script(
        "child",
        "trap 'echo left > @D@/left; exit 0' TERM\nwhile :; do sleep 0.1; done",
    );
    lab.configure(
        "[program:main]\ncommand=@D@/main\nautorestart=unexpected\nexitcodes=0,7\nessential=true\n\
         [program:child]\ncommand=@D@/child\n",
    );
    lab.start();
    lab.wait_state("main", "RUNNING");
    lab.wait_state("child", "RUNNING");
    lab.session().ask("stdin main \"7\\n\"");
    assert_eq!(lab.wait_end(), 7);
    assert_eq!(
        lab.read("left"),
        "left\n",
        "the others were stopped in order"
    );
    let log = lab.main_log();
    assert!(log.contains("main has ended for good"), "{log}");
    lab.until("nothing is left", |lab| lab.processes().is_empty());
}

#[test]
fn the_daemon_can_end_when_a_program_is_given_up_or_all_are_done() {
    ours_only!();
    for (when, programs, code) in [
        (
            "fatal",
            "[program:a]\ncommand=/bin/sleep 1000\n\
             [program:b]\ncommand=@D@/nothing\nstartretries=0\n",
            127,
        ),
        (
            "done",
            "[program:a]\ncommand=@D@/quick 0\nstartsecs=0\nautorestart=false\n\
             [program:b]\ncommand=@D@/quick 5\nstartsecs=0\nautorestart=false\n",
            5,
        ),
        (
            "done",
            "[program:a]\ncommand=@D@/quick 0\nstartsecs=0\nautorestart=false\n",
            0,
        ),
    ] {
        let lab = Lab::new();
        lab.script("quick", "exit $1");
        lab.configure(programs);
        let option = format!("--exit-when={when}");
        let said: Said = appctl(&lab, &["daemon", "-c", "supervisord.conf", &option])
            .output()
            .unwrap()
            .into();
        assert_eq!(said.code, code, "{when}: {}", said.out);
        lab.until("nothing is left", |lab| lab.processes().is_empty());
    }
    let lab = Lab::new();
    let said: Said = appctl(&lab, &["daemon", "--exit-when=never"])
        .output()
        .unwrap()
        .into();
    assert_eq!(said.code, 2);
    assert!(said.err.contains("fatal or done"), "{}", said.err);
}

#[test]
fn run_supervises_one_command() {
    // Without this: one program in a container takes a configuration file to be supervised.
    ours_only!();
    let lab = Lab::new();
    let shell = "echo \"out: $1 $(umask)\"; echo err >&2; exit 3";
    let said = run(&lab, &["--", "sh", "-c", shell, "x", "it's 100% ; fine"]);
    assert_eq!(said.code, 3);
    assert!(said.out.starts_with("out: it's 100% ; fine 0"), "{said:?}");
    assert_eq!(said.err, "err\n");
    assert_eq!(run(&lab, &["true"]).code, 0);
    let killed = run(&lab, &["--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(killed.code, 137);
    let missing = run(&lab, &["--", "/no/such/program"]);
    assert_eq!(missing.code, 127);
    assert!(
        missing
            .err
            .contains("can't find command '/no/such/program'"),
        "{}",
        missing.err
    );
    assert_eq!(run(&lab, &[]).code, 2);
    let kept = std::fs::read_dir(lab.path("")).unwrap().count();
    assert_eq!(kept, 0, "it leaves no file behind");
}

#[test]
fn run_starts_again_what_failed_and_passes_signals_on() {
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "twice",
        "if [ -e @D@/seen ]; then echo second; exit 0; fi\ntouch @D@/seen; echo first; exit 1",
    );
    let twice = lab.path("twice");
    let said = run(
        &lab,
        &["--restart=on-failure", "--", twice.to_str().unwrap()],
    );
    assert_eq!((said.code, said.out.as_str()), (0, "first\nsecond\n"));

    let script = "trap 'echo usr1' USR1; trap 'echo hup' HUP; trap 'echo int; exit 4' INT; \
                  echo ready; while :; do sleep 0.05; done";
    let mut child = appctl(
        &lab,
        &["run", "--stop-signal=INT", "--", "sh", "-c", script],
    )
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut expect = |line: &str| assert_eq!(lines.next().unwrap().unwrap(), line);
    expect("ready");
    for (signal, line) in [("USR1", "usr1"), ("HUP", "hup"), ("TERM", "int")] {
        lab::signal(pid, signal);
        expect(line);
    }
    assert_eq!(child.wait().unwrap().code(), Some(4));
    lab.until("nothing is left", |lab| lab.processes().is_empty());
}

/// A command whose arguments become PID 1 of a namespace; `None` where there can be none.
fn as_pid_1() -> Option<Command> {
    let unshare = || {
        let mut command = Command::new("unshare");
        if !lab::is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command
    };
    let tried = unshare().arg("true").status();
    if !tried.is_ok_and(|status| status.success()) {
        eprintln!("no pid namespaces here: nothing tested");
        return None;
    }
    Some(unshare())
}

#[test]
fn a_daemon_that_is_pid_1_ends_trees_and_outlives_its_brain() {
    ours_only!();
    let Some(mut command) = as_pid_1() else {
        return;
    };
    // Without this: in a container, where every orphan comes to PID 1, a stop leaves some of them.
    let lab = Lab::new();
    lab.script("stubborn", "trap '' TERM; while :; do sleep 0.05; done");
    lab.script(
        "tree",
        "(setsid @D@/stubborn session & exit)\n@D@/stubborn child & exec sleep 1000",
    );
    lab.configure(
        "[program:tree]\ncommand=@D@/tree\nstopwaitsecs=1\n\
         [program:other]\ncommand=@D@/stubborn other\nstopwaitsecs=1\n",
    );
    let daemon = lab.daemon_command();
    command.arg(daemon.get_program()).args(daemon.get_args());
    lab.prepare(&mut command);
    let mut container = command.stdout(Stdio::null()).spawn().unwrap();
    // From outside, where its pid namespace is and whose is not seen from in there.
    lab.until("the daemon answers", |lab| lab.ctl("pid").out == "1\n");
    lab.wait_state("tree", "RUNNING");
    lab.wait_state("other", "RUNNING");
    let stubborn = |lab: &Lab| {
        let all = lab.processes().into_iter();
        let mut names: Vec<_> = all
            .filter_map(|(_, command)| Some(command.split_once("/stubborn ")?.1.to_owned()))
            .collect();
        names.sort();
        names.join(" ")
    };
    lab.until("all are there", |lab| {
        stubborn(lab) == "child other session"
    });
    let pids = [lab.pid("tree"), lab.pid("other")];

    let keeper = procfs::children(i32::try_from(container.id()).unwrap())[0];
    let brain = lab.wait_some("a brain", |_| procfs::brain_of(keeper));
    lab::kill(brain);
    lab.until("another brain", |_| {
        procfs::brain_of(keeper).is_some_and(|other| other != brain)
    });
    assert_eq!([lab.pid("tree"), lab.pid("other")], pids);
    lab.expect("stop tree", 0, "tree: stopped\n");
    assert_eq!(stubborn(&lab), "other", "{}", lab.main_log());

    lab::signal(keeper, "TERM");
    assert_eq!(container.wait().unwrap().code(), Some(0));
    lab.until("nothing is left", |lab| lab.processes().is_empty());
}

#[test]
fn run_as_pid_1_reaps_and_ends_with_its_command() {
    // Without this: a container needs another program just to be PID 1.
    ours_only!();
    let Some(mut command) = as_pid_1() else {
        return;
    };
    let lab = Lab::new();
    let script = "for n in 1 2 3 4 5; do sh -c 'sleep 0.01 & sleep 0.02 &'; done; touch @D@/made; \
                  while [ ! -e @D@/go ]; do sleep 0.05; done; exit 6";
    let script = script.replace("@D@", lab.directory());
    command.args([APPCTL, "run", "--", "sh", "-c", &script]);
    lab.prepare(&mut command);
    let mut container = command.spawn().unwrap();
    lab.wait_file("made");
    let outside = i32::try_from(container.id()).unwrap();
    let keeper = procfs::children(outside)[0];
    lab.until("no zombie is left", |_| {
        procfs::children(keeper)
            .into_iter()
            .all(|child| procfs::stat(child, 3).as_deref() != Some("Z"))
    });
    lab.write("go", "");
    assert_eq!(container.wait().unwrap().code(), Some(6));
}
