//! A stop ends everything that a program has started, whatever it has done to get away, and nobody
//! else. With cgroups and without.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::path::{Path, PathBuf};

use lab::{Lab, is_root, kill, procfs};

/// Ignores SIGTERM, and says who it is in the file named by its argument.
const STUBBORN: &str = "trap '' TERM; echo $$ > $1.part; mv $1.part $1; \
     while :; do sleep 0.05; done";

/// A lab whose daemon has cgroups, if the machine lets it, and one whose daemon has none.
fn both() -> Vec<Lab> {
    let mut labs = vec![Lab::new()];
    if is_root() {
        labs.push(Lab::new().without_cgroups());
    } else {
        println!("not tried without cgroups: only root can hide them");
    }
    labs
}

/// The pid that a process wrote down.
fn pid_in(lab: &Lab, file: &str) -> i32 {
    let pid = lab.wait_text(file, "\n").trim().parse().unwrap();
    assert!(procfs::alive(pid), "{file}");
    pid
}

/// Whether this daemon's programs have cgroups.
fn has_cgroups(lab: &Lab, program: &str) -> bool {
    cgroup(lab.pid(program)).contains("/appctl-")
}

/// The cgroup of a process, from the root.
fn cgroup(pid: i32) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let own = text.lines().find_map(|line| line.strip_prefix("0::"));
    own.unwrap_or_default().to_owned()
}

/// The directory of the cgroup of a process.
fn cgroup_of(pid: i32) -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mut points = mounts.lines().map(|line| line.split(' '));
    let found = points.find_map(|mut fields| {
        let point = fields.nth(1)?;
        (fields.next() == Some("cgroup2")).then_some(point)
    });
    Path::new(found.unwrap()).join(cgroup(pid).trim_start_matches('/'))
}

#[test]
fn nothing_of_a_tree_outlives_its_stop() {
    ours_only!();
    for mut lab in both() {
        // Without this: workers hold ports and files of a program that is said to be stopped.
        lab.script("stubborn", STUBBORN);
        lab.script(
            "tree",
            // A child; one in a session of its own; one without parent and session; one without
            // our environment, but with our output; one that is stopped.
            "@D@/stubborn @D@/child &\n\
             setsid @D@/stubborn @D@/session &\n\
             (setsid sh -c '@D@/stubborn @D@/orphan & exit' &)\n\
             setsid env -i PATH=$PATH @D@/stubborn @D@/bare &\n\
             sh -c 'echo $$ > @D@/paused; kill -STOP $$; sleep 1000' &\n\
             exec sleep 1000",
        );
        lab.configure(
            "[program:tree]\ncommand=@D@/tree\nstopwaitsecs=1\n\
             [program:other]\ncommand=@D@/stubborn @D@/other\nstopwaitsecs=1\n",
        );
        lab.start();
        lab.wait_state("other", "RUNNING");
        lab.wait_state("tree", "RUNNING");
        let pids = ["child", "session", "orphan", "bare", "paused"].map(|it| pid_in(&lab, it));
        let main = lab.pid("tree");
        lab.expect("stop tree", 0, "tree: stopped\n");
        for pid in pids.into_iter().chain([main]) {
            assert!(!procfs::alive(pid), "{}", lab.main_log());
        }
        assert!(procfs::alive(pid_in(&lab, "other")), "an innocent was hit");
        let log = lab.main_log();
        assert!(log.contains("INFO ending what tree left behind: "), "{log}");
        assert!(
            log.contains("WARN killing what tree left behind with SIGKILL: "),
            "{log}"
        );
        assert!(!log.contains("could not be ended"), "{log}");
        lab.shut_down();
    }
}

#[test]
fn a_tree_may_end_by_itself_before_it_is_killed() {
    ours_only!();
    for lab in both() {
        // Without this: workers of a program that was killed lose what they were about to write.
        lab.script(
            "worker",
            "trap 'echo done > @D@/saved; exit' TERM; echo $$ > @D@/worker.pid; \
             while :; do sleep 0.02; done",
        );
        lab.script("main", "setsid @D@/worker & exec sleep 1000");
        let lab = lab.started("[program:main]\ncommand=@D@/main\n");
        lab.wait_state("main", "RUNNING");
        pid_in(&lab, "worker.pid");
        lab.expect("stop main", 0, "main: stopped\n");
        assert_eq!(lab.read("saved"), "done\n");
        assert!(!lab.main_log().contains("killing"), "{}", lab.main_log());
    }
}

#[test]
fn a_tree_that_grows_is_ended_all_the_same() {
    ours_only!();
    for lab in both() {
        // Without this: what forks faster than it is looked at is never ended.
        lab.script(
            "bomb",
            "trap '' TERM; echo $$ > @D@/bomb.pid\n\
             for n in $(seq 300); do sh -c 'trap \"\" TERM; sleep 1000' & sleep 0.01; done; wait",
        );
        lab.script("main", "setsid @D@/bomb & exec sleep 1000");
        let mut lab = lab.started("[program:main]\ncommand=@D@/main\nstopwaitsecs=0\n");
        lab.wait_state("main", "RUNNING");
        let bomb = pid_in(&lab, "bomb.pid");
        lab.expect("stop main", 0, "main: stopped\n");
        assert!(!procfs::alive(bomb));
        let ours = |command: &str| command.contains("sleep 1000") || command.contains("bomb");
        let left: Vec<_> = lab
            .processes()
            .into_iter()
            .filter(|(_, it)| ours(it))
            .collect();
        assert_eq!(left, [], "{}", lab.main_log());
        lab.shut_down();
    }
}

#[test]
fn a_cgroup_holds_even_what_cannot_be_seen() {
    ours_only!();
    let lab = Lab::new();
    // Each generation lives for a moment and has neither our environment nor our pipes.
    lab.script(
        "runner",
        "trap '' TERM; echo $$ > @D@/generation; exec > /dev/null 2>&1 < /dev/null; \
         setsid env -i PATH=$PATH @D@/runner & exit",
    );
    lab.script("main", "@D@/runner & exec sleep 1000");
    let mut lab = lab.started("[program:main]\ncommand=@D@/main\nstartsecs=0\nstopwaitsecs=1\n");
    lab.wait_state("main", "RUNNING");
    if !has_cgroups(&lab, "main") {
        println!("not tried: no cgroup can be made here");
        let dir = lab.path("runner");
        std::fs::remove_file(dir).unwrap();
        return;
    }
    let cgroup = cgroup_of(lab.pid("main"));
    lab.wait_file("generation");
    for _ in 0..20 {
        lab.expect("stop main", 0, "main: stopped\n");
        // Without this: the last generation ends a little after the stop, and writes meanwhile.
        // The kernel lets go of a cgroup only when nobody lives in it.
        assert!(!cgroup.exists(), "it runs on");
        let last = lab.read("generation");
        lab.expect("start main", 0, "main: started\n");
        lab.until("it runs anew", |lab| lab.read("generation") != last);
    }
    lab.shut_down();
}

#[test]
fn nobody_stays_of_how_programs_get_into_their_cgroups() {
    ours_only!();
    for mut lab in both() {
        // Without this: a child that ended in favour of another is never reaped.
        lab.script("no_interpreter", "exit");
        std::fs::write(lab.path("no_interpreter"), "#!/there/is/none\n").unwrap();
        lab.configure(
            "[program:good]\ncommand=sleep 1000\n\
             [program:bad]\ncommand=@D@/no_interpreter\nstartretries=0\n",
        );
        lab.start();
        lab.wait_state("good", "RUNNING");
        lab.wait_state("bad", "FATAL");
        lab.expect("restart good", 0, "good: stopped\ngood: started\n");
        let (_, brain) = lab.keeper_and_brain();
        let children: Vec<i32> = procfs::children(brain);
        assert_eq!(children, [lab.pid("good")], "{}", lab.main_log());
        lab.shut_down();
    }
}

#[test]
fn a_cgroup_that_was_killed_is_good_for_the_next_run() {
    ours_only!();
    let mut lab = Lab::new();
    lab.configure("[program:main]\ncommand=sleep 1000\nautorestart=true\n");
    lab.start();
    lab.wait_state("main", "RUNNING");
    if !has_cgroups(&lab, "main") {
        return println!("not tried: no cgroup can be made here");
    }
    // Without this: from Linux 6.14 on, whoever is born there is killed at once.
    for _ in 0..2 {
        let main = lab.pid("main");
        let file = cgroup_of(main).join("cgroup.kill");
        std::fs::write(file, "1").unwrap();
        let next = lab.wait_new_pid("main", main);
        lab.wait_state("main", "RUNNING");
        assert_eq!(lab.pid("main"), next, "{}", lab.main_log());
        assert!(has_cgroups(&lab, "main"));
    }
    lab.shut_down();
}

#[test]
fn what_is_left_of_a_crash_is_shown_and_ends_at_the_next_start() {
    ours_only!();
    for mut lab in both() {
        // Without this: a restarted server finds its port taken by a worker of the one before.
        lab.script("stubborn", STUBBORN);
        lab.script(
            "main",
            "setsid @D@/stubborn @D@/worker.$$ & echo $$ >> @D@/mains; exec sleep 1000",
        );
        lab.configure(
            "[program:again]\ncommand=@D@/main\nstopwaitsecs=1\nautorestart=true\n\
             [program:once]\ncommand=@D@/stubborn @D@/once\nautorestart=false\n",
        );
        lab.start();
        lab.wait_state("again", "RUNNING");
        let main = lab.pid("again");
        let worker = pid_in(&lab, &format!("worker.{main}"));
        kill(main);
        let next = lab.wait_new_pid("again", main);
        assert!(!procfs::alive(worker), "the first tree and the second");
        let worker = pid_in(&lab, &format!("worker.{next}"));

        // The daemon's end ends it as well.
        lab.expect("stop again", 0, "again: stopped\n");
        assert!(!procfs::alive(worker));
        lab.shut_down();
    }
}

#[test]
fn what_ends_by_itself_leaves_its_tree_alone_and_that_is_shown() {
    ours_only!();
    for mut lab in both() {
        lab.script("stubborn", STUBBORN);
        lab.script(
            "starter",
            "setsid @D@/stubborn @D@/daemon & sleep 0.1; exit 0",
        );
        lab.configure(
            "[program:starter]\ncommand=@D@/starter\nstartsecs=0\nautorestart=false\nstopwaitsecs=1\n",
        );
        lab.start();
        lab.wait_state("starter", "EXITED");
        let daemon = pid_in(&lab, "daemon");
        let expected = format!("\"left_behind\":\"pid {daemon} (stubborn)");
        lab.until("it is shown", |lab| {
            lab.appctl("status --json")
                .out
                .replace(' ', "")
                .contains(&expected.replace(' ', ""))
        });
        lab.wait_main_log("WARN starter ended and left behind: pid ");
        // A brain that follows shows it as well, and it goes when it ends.
        let (_, brain) = lab.keeper_and_brain();
        kill(brain);
        lab.until("it is shown again", |lab| {
            lab.appctl("status --json")
                .out
                .replace(' ', "")
                .contains(&expected.replace(' ', ""))
        });
        assert!(procfs::alive(daemon));
        lab.shut_down();
        assert!(!procfs::alive(daemon), "it outlived the daemon");
    }
}

#[test]
fn a_stop_ends_what_a_program_left_that_has_ended_by_itself() {
    ours_only!();
    for mut lab in both() {
        // Without this: the way to be rid of it is to find its pid and kill it by hand.
        lab.script("stubborn", STUBBORN);
        lab.script("starter", "setsid @D@/stubborn @D@/$1 & sleep 0.1; exit 0");
        let ends = "startsecs=0\nautorestart=false\nstopwaitsecs=1\n";
        lab.configure(&format!(
            "[program:a]\ncommand=@D@/starter of-a\n{ends}\
             [program:b]\ncommand=@D@/starter of-b\n{ends}\
             [program:c]\ncommand=/bin/true\n{ends}"
        ));
        lab.start();
        for (name, file) in [("a", "of-a"), ("b", "of-b")] {
            let left = pid_in(&lab, file);
            lab.wait_main_log(&format!("{name} ended and left behind: pid {left}"));
        }
        lab.wait_state("c", "EXITED");
        let (of_a, of_b) = (pid_in(&lab, "of-a"), pid_in(&lab, "of-b"));
        lab.expect("stop a c", 0, "a: stopped\nc: ERROR (not running)\n");
        assert!(!procfs::alive(of_a), "{}", lab.main_log());
        assert!(procfs::alive(of_b), "an innocent was hit");
        assert_eq!(lab.state("a"), "EXITED");
        // A group and `all` are not told, but wait as well.
        lab.expect("stop all", 0, "");
        assert!(!procfs::alive(of_b), "{}", lab.main_log());
        lab.expect("stop a", 0, "a: ERROR (not running)\n");
        assert!(!lab.appctl("status --json").out.contains("stubborn"));
        lab.shut_down();
    }
}

#[test]
fn who_wants_it_keeps_its_tree() {
    ours_only!();
    let mut lab = Lab::new();
    lab.script("stubborn", STUBBORN);
    lab.script("main", "setsid @D@/stubborn @D@/daemon & exec sleep 1000");
    lab.configure("[program:main]\ncommand=@D@/main\nstop_tree=false\n");
    lab.start();
    lab.wait_state("main", "RUNNING");
    let daemon = pid_in(&lab, "daemon");
    let marks = procfs::environment(daemon);
    assert!(
        !marks.iter().any(|it| it.starts_with("APPCTL_TREE=")),
        "{marks:?}"
    );
    lab.expect("stop main", 0, "main: stopped\n");
    lab.expect("start main", 0, "main: started\n");
    assert!(procfs::alive(daemon));
    lab.expect("stop main", 0, "main: stopped\n");
    lab.signal_daemon("TERM");
    assert_eq!(lab.wait_end(), 0);
    assert!(procfs::alive(daemon));
    lab.kill_all();
}

#[test]
fn a_brain_killed_in_the_middle_of_a_stop_is_followed_by_the_rest_of_it() {
    ours_only!();
    for mut lab in both() {
        lab.script("stubborn", STUBBORN);
        lab.script("main", "setsid @D@/stubborn @D@/worker & exec sleep 1000");
        lab.configure("[program:main]\ncommand=@D@/main\nstopwaitsecs=2\n");
        lab.start();
        lab.wait_state("main", "RUNNING");
        let (worker, main) = (pid_in(&lab, "worker"), lab.pid("main"));
        let (_, brain) = lab.keeper_and_brain();
        let mut asked = lab.ctl_command("stop main").spawn().unwrap();
        lab.wait_gone(main);
        lab.wait_main_log("ending what main left behind");
        kill(brain);
        asked.wait().unwrap();
        lab.wait_state("main", "STOPPED");
        assert!(!procfs::alive(worker));
        lab.shut_down();
    }
}
