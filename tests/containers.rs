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

#[test]
fn run_as_pid_1_reaps_and_ends_with_its_command() {
    // Without this: a container needs another program just to be PID 1.
    ours_only!();
    let unshare = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        if !lab::is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command.args(arguments);
        command
    };
    if !unshare(&["true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("no pid namespaces here: nothing tested");
        return;
    }
    let lab = Lab::new();
    let script = "for n in 1 2 3 4 5; do sh -c 'sleep 0.01 & sleep 0.02 &'; done; touch @D@/made; \
                  while [ ! -e @D@/go ]; do sleep 0.05; done; exit 6";
    let script = script.replace("@D@", lab.directory());
    let mut command = unshare(&[APPCTL, "run", "--", "sh", "-c", &script]);
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
