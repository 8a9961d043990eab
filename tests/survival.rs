//! The brain is killed; the programs, their output and what is known of them survive.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::time::Instant;

use lab::numbers::Tally;
use lab::{Lab, kill, procfs, rotated, signal};

/// Prints 1, 2, 3, … one line per write, as fast as a shell can.
const LINES: &str = "i=1; while :; do echo $i; i=$((i+1)); done";

/// Prints 1, 2, 3, … in bursts larger than a pipe.
const BURSTS: &str = "i=1; while :; do seq $i $((i+19999)); i=$((i+20000)); sleep 0.02; done";

#[test]
fn programs_outlive_the_brain_and_stay_supervised() {
    // Without this: a crash of the supervisor is a crash of everything, or nobody restarts
    // programs from then on.
    ours_only!();
    let lab =
        Lab::with("[program:a]\ncommand=/bin/sleep 1001\n[program:b]\ncommand=/bin/sleep 1002\n");
    lab.wait_state("a", "RUNNING");
    lab.wait_state("b", "RUNNING");
    let (keeper, _) = lab.keeper_and_brain();
    let (a, b) = (lab.pid("a"), lab.pid("b"));
    lab.replace_brain();
    // No waiting here: a client that comes at the worst moment is answered by the successor.
    lab.expect("pid", 0, &format!("{keeper}\n"));
    assert_eq!((lab.pid("a"), lab.pid("b")), (a, b));
    kill(a);
    let a = lab.wait_new_pid("a", a);
    lab.wait_main_log("exited: a (terminated by SIGKILL; not expected)");
    lab.expect("stop b", 0, "b: stopped\n");
    assert!(!procfs::alive(b));
    lab.replace_brain();
    assert_eq!(lab.pid("a"), a);
    assert_eq!(
        lab.state("b"),
        "STOPPED",
        "what was stopped by hand stays so"
    );
    lab.expect("start b", 0, "b: started\n");
}

#[test]
fn twenty_kills_under_load_lose_and_double_nothing() {
    // Without this: logs have holes and programs restarts, each time something goes wrong here.
    ours_only!();
    let lab = Lab::new();
    lab.script("lines", LINES);
    lab.script("bursts", BURSTS);
    let lab = lab.started(
        "[program:lines]\ncommand=@D@/lines\nstdout_logfile=@D@/lines.log\nstopasgroup=true\n\
         stdout_logfile_maxbytes=500KB\nstdout_logfile_backups=1000\n\
         [program:bursts]\ncommand=@D@/bursts\nstdout_logfile=@D@/bursts.log\nstopasgroup=true\n\
         stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=1000\n",
    );
    let names = ["lines", "bursts"];
    for name in names {
        lab.wait_state(name, "RUNNING");
    }
    let pids = names.map(|name| lab.pid(name));
    for _ in 0..20 {
        let last = || names.map(|name| lab.read(&format!("{name}.log")).len());
        let before = last();
        lab.replace_brain();
        let asked = Instant::now();
        assert_eq!(lab.ctl("status").code, 0);
        eprintln!(
            "answered {:?} after the next brain was born",
            asked.elapsed()
        );
        assert_eq!(
            names.map(|name| lab.pid(name)),
            pids,
            "no program was restarted"
        );
        lab.until("output flows again", |_| last() != before);
    }
    assert_eq!(lab.ctl("stop all").code, 0);
    for name in names {
        let files = rotated(&lab.path(&format!("{name}.log")));
        let tally = Tally::of_files(&files);
        eprintln!("{name}: {} lines in {} files", tally.lines, files.len());
        tally.assert_complete();
    }
    for name in names {
        assert_eq!(
            lab.main_log()
                .matches(&format!("spawned: '{name}'"))
                .count(),
            1
        );
    }
}

#[test]
fn exits_that_no_brain_could_see_are_reported_truly() {
    // Without this: a status is invented, or a program that ended counts as running for ever.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "until",
        "while [ ! -e @D@/go ]; do sleep 0.02; done; exit $1",
    );
    let mut programs = String::from("[program:stays]\ncommand=/bin/sleep 1000\n");
    for code in 10..20 {
        programs.push_str(&format!(
            "[program:p{code}]\ncommand=@D@/until {code}\nautorestart=false\nstartsecs=0\n"
        ));
    }
    programs.push_str("[program:again]\ncommand=@D@/until 0\nautorestart=true\nstartsecs=0\n");
    programs.push_str("[program:shot]\ncommand=/bin/sleep 999\nautorestart=false\n");
    let lab = lab.started(&programs);
    lab.until("all are up", |lab| {
        lab.statuses().iter().all(|line| line.state == "RUNNING")
    });
    let pids: Vec<i32> = (10..20).map(|code| lab.pid(&format!("p{code}"))).collect();
    let (again, shot) = (lab.pid("again"), lab.pid("shot"));
    // A stopped brain sees nothing; then it is killed and never will.
    let (_, brain) = lab.keeper_and_brain();
    signal(brain, "STOP");
    lab.write("go", "");
    kill(shot);
    for pid in pids.iter().chain([&again, &shot]) {
        lab.wait_gone(*pid);
    }
    kill(brain);
    for code in 10..20 {
        lab.wait_state(&format!("p{code}"), "EXITED");
        let line = format!("exited: p{code} (exit status {code}; not expected)");
        lab.wait_main_log(&line);
        assert_eq!(lab.main_log().matches(&line).count(), 1, "{line}");
    }
    lab.wait_state("shot", "EXITED");
    lab.wait_main_log("exited: shot (terminated by SIGKILL; not expected)");
    lab.until("what must be restarted is", |lab| {
        lab.main_log().matches("spawned: 'again'").count() > 1
    });
    assert_eq!(lab.state("stays"), "RUNNING");
}

#[test]
fn a_program_restarted_by_the_next_brain_is_not_taken_for_the_one_that_ended() {
    // Without this: a second after the brain was replaced, a second copy of what was restarted.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "twice",
        "[ -e @D@/second ] && exec sleep 1001\nwhile [ ! -e @D@/go ]; do sleep 0.02; done\n\
         touch @D@/second; exit 3",
    );
    let lab = lab.started("[program:a]\ncommand=@D@/twice\n");
    lab.wait_state("a", "RUNNING");
    let (first, (_, brain)) = (lab.pid("a"), lab.keeper_and_brain());
    signal(brain, "STOP");
    lab.write("go", "");
    lab.wait_gone(first);
    kill(brain);
    let second = lab.wait_new_pid("a", first);
    lab.until("the keeper's word is not waited for any more", |lab| {
        let uptime = lab.session().ask("status a").rows[0]
            .split_once(" uptime=")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
        uptime >= Some(3)
    });
    assert_eq!(lab.pid("a"), second);
    assert!(procfs::alive(second));
    assert!(!lab.main_log().contains("unknown"), "{}", lab.main_log());
}

#[test]
fn a_brain_killed_while_it_starts_programs_neither_doubles_nor_forgets_one() {
    // Without this: two copies of a program fight for one port, or one runs unmanaged.
    ours_only!();
    let mut programs = String::new();
    for number in 0..20 {
        programs.push_str(&format!(
            "[program:p{number}]\ncommand=/bin/sleep 10{number:02}\nautostart=false\nstartsecs=0\n"
        ));
    }
    let lab = Lab::with(&programs);
    for _ in 0..5 {
        let mut start = lab
            .ctl_command("start all")
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        lab.until("starting has begun", |lab| {
            lab.processes()
                .iter()
                .any(|(_, line)| line.starts_with("/bin/sleep"))
        });
        lab.replace_brain();
        start.wait().unwrap();
        lab.ctl("start all");
        lab.until("all run", |lab| {
            lab.statuses().iter().all(|line| line.state == "RUNNING")
        });
        for line in lab.statuses() {
            let command = format!("/bin/sleep 10{:0>2}", &line.name[1..]);
            let copies: Vec<i32> = lab
                .processes()
                .into_iter()
                .filter(|(_, it)| *it == command)
                .map(|(pid, _)| pid)
                .collect();
            assert_eq!(copies, [line.pid()], "exactly one copy of {}", line.name);
        }
        assert_eq!(lab.ctl("stop all").code, 0);
        assert!(
            !lab.processes()
                .iter()
                .any(|(_, line)| line.starts_with("/bin/sleep"))
        );
    }
}

#[test]
fn what_was_under_way_goes_on_under_the_next_brain() {
    // Without this: a program asked to stop is forgotten, a start never becomes RUNNING, a
    // program given up is tried again.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "stubborn",
        "trap '' TERM; echo ready; while :; do sleep 0.05; done",
    );
    let lab = lab.started(
        "[program:stubborn]\ncommand=@D@/stubborn\nstopwaitsecs=3\nstdout_logfile=@D@/stubborn.log\n\
         [program:slow]\ncommand=/bin/sleep 1000\nstartsecs=3\nautostart=false\n\
         [program:broken]\ncommand=/bin/false\nstartretries=0\n\
         [program:crash]\ncommand=/bin/false\nstartretries=100\n",
    );
    lab.wait_text("stubborn.log", "ready");
    lab.wait_state("stubborn", "RUNNING");
    lab.wait_state("broken", "FATAL");
    lab.wait_state("crash", "BACKOFF");
    let victim = lab.pid("stubborn");
    let mut stop = lab.ctl_command("stop stubborn").spawn().unwrap();
    let mut start = lab.ctl_command("start slow").spawn().unwrap();
    lab.wait_state("stubborn", "STOPPING");
    lab.wait_state("slow", "STARTING");
    lab.replace_brain();
    // Their daemon is gone in the middle of the answer: they must not hang.
    stop.wait().unwrap();
    start.wait().unwrap();
    lab.wait_state("stubborn", "STOPPED");
    assert!(!procfs::alive(victim));
    lab.wait_state("slow", "RUNNING");
    assert_eq!(lab.main_log().matches("spawned: 'slow'").count(), 1);
    assert_eq!(lab.state("broken"), "FATAL");
    assert_eq!(lab.main_log().matches("spawned: 'broken'").count(), 1);
    let attempts = || lab.main_log().matches("spawned: 'crash'").count();
    let before = attempts();
    lab.until("retries go on", |_| attempts() > before);
}

#[test]
fn the_next_brain_keeps_the_configuration_in_force() {
    // Without this: a crash at night deploys the half-finished edit of the evening.
    ours_only!();
    let lab = Lab::with("[program:a]\ncommand=/bin/sleep 1001\n");
    lab.wait_state("a", "RUNNING");
    let a = lab.pid("a");
    lab.configure("[program:a]\ncommand=/bin/sleep 2001\n[program:b]\ncommand=/bin/sleep 1002\n");
    lab.replace_brain();
    assert_eq!(lab.pid("a"), a);
    assert_eq!(lab.status("b"), None);
    lab.expect(
        "update",
        0,
        "a: stopped\na: updated process group\nb: added process group\n",
    );
    lab.wait_state("b", "RUNNING");
    let (b, a) = (lab.pid("b"), lab.wait_new_pid("a", a));
    // And this one keeps what was updated.
    lab.replace_brain();
    assert_eq!((lab.pid("a"), lab.pid("b")), (a, b));
    lab.expect("reread", 0, "No config updates to processes\n");
}

#[test]
fn a_brain_killed_in_a_shutdown_is_followed_by_the_rest_of_it() {
    // Without this: the daemon is told to end, crashes on the way, and all is running again.
    ours_only!();
    let lab = Lab::new();
    lab.script("slowly", "trap 'while [ ! -e @D@/go ]; do sleep 0.02; done; exit 0' TERM; echo ready; while :; do sleep 0.05; done");
    let mut lab =
        lab.started("[program:a]\ncommand=@D@/slowly\nstopwaitsecs=60\nstdout_logfile=@D@/a.log\n");
    lab.wait_text("a.log", "ready");
    lab.wait_state("a", "RUNNING");
    lab.signal_daemon("TERM");
    lab.wait_main_log("waiting for a to die");
    lab.replace_brain();
    lab.write("go", "");
    lab.expect_end();
}

/// Kills keeper and brain in the same moment and waits until both are gone.
fn kill_both(lab: &mut Lab) {
    let (keeper, brain) = lab.keeper_and_brain();
    // Stopped first, so that neither sees the other die.
    signal(keeper, "STOP");
    kill(brain);
    kill(keeper);
    lab.wait_end();
    lab.wait_gone(brain);
}

fn holder(lab: &Lab) -> i32 {
    lab.wait_some("a holder", |lab| {
        let processes = lab.processes();
        let holder = processes
            .iter()
            .find(|(_, line)| line.starts_with("holder"));
        holder.map(|(pid, _)| *pid)
    })
}

#[test]
fn programs_outlive_keeper_and_brain_and_the_next_daemon_adopts_them() {
    // Without this: kill -9 of the daemon kills what talks, forgets what does not, and the next
    // daemon starts second copies.
    ours_only!();
    let lab = Lab::new();
    lab.script("lines", LINES);
    lab.script(
        "waits",
        "while [ ! -e @D@/$1 ]; do sleep 0.02; done; echo last words; exit $2",
    );
    let mut lab = lab.started(
        "[program:lines]\ncommand=@D@/lines\nstdout_logfile=@D@/lines.log\n\
         stdout_logfile_maxbytes=500KB\nstdout_logfile_backups=1000\n\
         [program:cat]\ncommand=/bin/cat\n\
         [program:held]\ncommand=/bin/sleep 1003\nautostart=false\n\
         [program:early]\ncommand=@D@/waits early 7\nautorestart=false\n\
         stdout_logfile=@D@/early.log\n\
         [program:late]\ncommand=@D@/waits late 8\nautorestart=false\n",
    );
    let names = ["lines", "cat", "early", "late"];
    for name in names {
        lab.wait_state(name, "RUNNING");
    }
    let pids = names.map(|name| lab.pid(name));
    for _ in 0..3 {
        kill_both(&mut lab);
        assert_eq!(
            lab.ctl("status").code,
            4,
            "nobody answers, and nobody waits"
        );
        lab.start();
        assert_eq!(names.map(|name| lab.pid(name)), pids);
        let before = lab.read("lines.log").len();
        lab.until("output flows again", |lab| {
            lab.read("lines.log").len() != before
        });
    }
    assert_eq!(lab.state("held"), "STOPPED");
    // One ends under the next daemon, whose child it is not.
    lab.write("late", "");
    lab.wait_state("late", "EXITED");
    lab.wait_main_log("exited: late (exit status 8; not expected)");
    // One ends while nobody is there to see it, and is reaped by a stranger.
    kill_both(&mut lab);
    lab.write("early", "");
    lab.until("it is gone without a trace", |_| {
        procfs::stat(pids[2], 3).is_none()
    });
    lab.start();
    lab.wait_state("early", "EXITED");
    lab.wait_main_log("exited: early (exit status unknown, it ended unseen; not expected)");
    assert_eq!(lab.read("early.log"), "last words\n");
    assert_eq!((lab.pid("lines"), lab.pid("cat")), (pids[0], pids[1]));
    assert_eq!(lab.ctl("stop lines").code, 0);
    let files = rotated(&lab.path("lines.log"));
    Tally::of_files(&files).assert_complete();
    assert_eq!(lab.main_log().matches("spawned: 'lines'").count(), 1);
    lab.shut_down();
}

#[test]
fn the_next_daemon_changes_only_what_the_file_has_changed() {
    // Without this: an edit is ignored, or costs programs it does not concern.
    ours_only!();
    let mut lab = Lab::with(
        "[program:kept]\ncommand=/bin/sleep 1001\n[program:changed]\ncommand=/bin/sleep 1002\n\
         [program:dropped]\ncommand=/bin/sleep 1003\n",
    );
    let names = ["kept", "changed", "dropped"];
    for name in names {
        lab.wait_state(name, "RUNNING");
    }
    let [kept, changed, dropped] = names.map(|name| lab.pid(name));
    kill_both(&mut lab);
    lab.configure(
        "[program:kept]\ncommand=/bin/sleep 1001\n[program:changed]\ncommand=/bin/sleep 2002\n\
         [program:new]\ncommand=/bin/sleep 1004\n",
    );
    lab.start();
    lab.wait_new_pid("changed", changed);
    lab.wait_state("new", "RUNNING");
    lab.wait_gone(dropped);
    assert_eq!(lab.pid("kept"), kept);
    assert_eq!(lab.status("dropped"), None);
    // The file is broken: nothing is harmed.
    kill_both(&mut lab);
    lab.configure("[program:kept]\ncommmand=/bin/sleep 1001\n");
    lab.launch();
    assert_eq!(lab.wait_end(), 2);
    assert!(procfs::alive(kept));
    lab.configure("[program:kept]\ncommand=/bin/sleep 1001\n");
    lab.start();
    assert_eq!(lab.pid("kept"), kept);
}

#[test]
fn without_its_keeper_a_brain_goes_on_until_the_next_daemon_takes_over() {
    // Without this: programs end unseen, or two daemons serve.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "waits",
        "while [ ! -e @D@/$1 ]; do sleep 0.02; done; exit $2",
    );
    let mut lab = lab.started(
        "[program:a]\ncommand=@D@/waits a 4\nautorestart=false\n\
         [program:b]\ncommand=@D@/waits b 5\nautorestart=false\n\
         [program:c]\ncommand=/bin/sleep 1001\nautostart=false\n",
    );
    lab.wait_state("a", "RUNNING");
    lab.wait_state("b", "RUNNING");
    let (_, first) = lab.keeper_and_brain();
    lab.replace_brain();
    lab.until("the brain serves", |lab| lab.ctl("status").code == 3);
    let (keeper, brain) = lab.keeper_and_brain();
    assert_ne!(first, brain);
    kill(keeper);
    lab.wait_end();
    lab.wait_main_log("the keeper is gone");
    lab.expect("start c", 0, "c: started\n");
    lab.write("a", "");
    lab.wait_main_log("exited: a (exit status 4; not expected)");
    let told = lab.main_log().matches("the keeper is gone").count();
    assert_eq!(told, 1, "told again and again");
    let (b, c) = (lab.pid("b"), lab.pid("c"));
    lab.launch();
    lab.wait_gone(brain);
    lab.until("the next one serves", |lab| {
        lab.ctl("pid").out == format!("{}\n", lab.daemon_pid())
    });
    assert_eq!((lab.pid("b"), lab.pid("c")), (b, c));
    lab.write("b", "");
    lab.wait_main_log("exited: b (exit status 5; not expected)");
}

#[test]
fn a_holder_that_is_killed_is_replaced() {
    // Without this: one kill takes a promise away, and nobody notices before the next two.
    ours_only!();
    let mut lab = Lab::with("[program:a]\ncommand=/bin/sleep 1001\n");
    lab.wait_state("a", "RUNNING");
    let (a, first) = (lab.pid("a"), holder(&lab));
    kill(first);
    lab.wait_some("another holder", |lab| {
        Some(holder(lab)).filter(|pid| *pid != first)
    });
    lab.wait_main_log("brain 2 took over");
    kill_both(&mut lab);
    lab.start();
    assert_eq!(lab.pid("a"), a);
    lab.shut_down();
}

#[test]
fn a_holder_without_daemon_and_programs_ends() {
    // Without this: killing everything leaves a process for ever.
    ours_only!();
    let mut lab = Lab::with("");
    let pid = holder(&lab);
    kill_both(&mut lab);
    lab.wait_gone(pid);
}
