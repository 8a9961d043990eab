//! Changing the configuration under running programs.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use lab::{Lab, procfs};

/// Three programs that stay: their text, to be edited by the tests.
const ONE: &str = "[program:one]\ncommand=/bin/sleep 1001\n";
const TWO: &str = "[program:two]\ncommand=/bin/sleep 1002\n";
const THREE: &str = "[program:three]\ncommand=/bin/sleep 1003\n";

/// A lab with these programs, all of them RUNNING.
fn running(programs: &[&str]) -> Lab {
    let lab = Lab::with(&programs.concat());
    wait_running(&lab, lab.statuses().len());
    lab
}

fn wait_running(lab: &Lab, count: usize) {
    lab.until("all are RUNNING", |lab| {
        lab.statuses()
            .iter()
            .filter(|line| line.state == "RUNNING")
            .count()
            == count
    });
}

#[test]
fn reread_tells_and_changes_nothing() {
    // Without this: looking at what an edit would do already does it.
    let lab = running(&[ONE, TWO]);
    let before = lab.statuses();
    lab.expect("reread", 0, "No config updates to processes\n");
    lab.configure(&format!("; a comment\n{ONE}stopwaitsecs=3\n{THREE}"));
    lab.expect(
        "reread",
        0,
        "one: changed\nthree: available\ntwo: disappeared\n",
    );
    let pids = |lines: &[lab::Status]| -> Vec<i32> { lines.iter().map(lab::Status::pid).collect() };
    assert_eq!(pids(&lab.statuses()), pids(&before));
}

#[test]
fn update_touches_only_what_changed() {
    // Without this: every deploy restarts every service.
    let lab = running(&[ONE, TWO, "[program:four]\ncommand=/bin/sleep 1004\n"]);
    let (one, two, four) = (lab.pid("one"), lab.pid("two"), lab.pid("four"));
    lab.configure(&format!("{ONE}\n\n{}{THREE}", TWO.replace("1002", "2002")));
    lab.expect(
        "update",
        0,
        "four: stopped\nfour: removed process group\ntwo: stopped\ntwo: updated process group\nthree: added process group\n",
    );
    wait_running(&lab, 3);
    assert_eq!(lab.pid("one"), one, "unchanged, so never touched");
    assert_ne!(lab.pid("two"), two);
    assert_eq!(procfs::command_line(lab.pid("two")), "/bin/sleep 2002");
    assert_eq!(procfs::command_line(lab.pid("three")), "/bin/sleep 1003");
    assert!(!procfs::alive(four) && lab.status("four").is_none());
    lab.expect("update", 0, "");
    assert_eq!(lab.pid("one"), one);
}

#[test]
fn update_of_one_group_leaves_the_others_for_later() {
    // Without this: an unfinished edit elsewhere in the file goes live with mine.
    let lab = running(&[ONE, TWO]);
    let two = lab.pid("two");
    lab.configure(&format!(
        "{}{}",
        ONE.replace("1001", "2001"),
        TWO.replace("1002", "2002")
    ));
    lab.expect(
        "update one",
        0,
        "one: stopped\none: updated process group\n",
    );
    wait_running(&lab, 2);
    assert_eq!(procfs::command_line(lab.pid("one")), "/bin/sleep 2001");
    assert_eq!(lab.pid("two"), two);
    lab.expect("update nosuch", 1, "ERROR: no such group: nosuch\n");
}

#[test]
fn groups_are_added_and_removed_by_hand() {
    // Without this: `reread` then `add`, the careful way to deploy, does not work.
    let lab = running(&[ONE]);
    lab.configure(&format!("{ONE}{TWO}"));
    lab.expect("reread", 0, "two: available\n");
    assert!(
        lab.ctl("avail")
            .out
            .lines()
            .any(|line| line.starts_with("two ") && line.contains(" avail "))
    );
    lab.expect("add two", 0, "two: added process group\n");
    lab.expect("add two", 0, "ERROR: process group already active\n");
    lab.expect("add nosuch", 1, "ERROR: no such process/group: nosuch\n");
    wait_running(&lab, 2);
    lab.expect("remove two", 1, "ERROR: process/group still running: two\n");
    lab.expect("stop two", 0, "two: stopped\n");
    lab.expect("remove two", 0, "two: removed process group\n");
    assert!(lab.status("two").is_none());
}

#[test]
fn included_files_are_part_of_the_configuration() {
    // Without this: dropping a file into conf.d and `update` does nothing.
    let mut lab = Lab::new();
    lab.configure(&format!("{ONE}[include]\nfiles=conf.d/*.conf\n"));
    lab.write("conf.d/two.conf", TWO);
    lab.start();
    wait_running(&lab, 2);
    let one = lab.pid("one");
    lab.write("conf.d/three.conf", THREE);
    lab.write("conf.d/two.conf", &TWO.replace("1002", "2002"));
    lab.expect("reread", 0, "three: available\ntwo: changed\n");
    lab.expect(
        "update",
        0,
        "two: stopped\ntwo: updated process group\nthree: added process group\n",
    );
    wait_running(&lab, 3);
    assert_eq!(lab.pid("one"), one);
}

#[test]
fn a_broken_file_changes_nothing() {
    // Without this: a typo in an edit takes running services down.
    let include = "[include]\nfiles=conf.d/*.conf\n";
    let lab = running(&[ONE, TWO, include]);
    let pids = (lab.pid("one"), lab.pid("two"));
    for broken in [
        "[program:three]\nautostart=true\n",
        "[program:three]\nno option\n",
        "[program:three]\ncommand=x\nstopsignal=NONSENSE\n",
        "[program:one]\ncommand=%(nosuch)s\n",
    ] {
        lab.write("conf.d/edited.conf", broken);
        let said = lab.ctl("reread");
        assert_eq!(said.code, 1, "{broken}");
        assert!(said.out.starts_with("ERROR: CANT_REREAD: "), "{said:?}");
        assert_eq!(lab.ctl("update").code, 1, "{broken}");
        assert_eq!((lab.pid("one"), lab.pid("two")), pids);
    }
    lab.write("conf.d/edited.conf", THREE);
    lab.expect("update", 0, "three: added process group\n");
    assert_eq!((lab.pid("one"), lab.pid("two")), pids);
}

#[test]
fn reload_starts_over_under_the_same_pid() {
    // Without this: settings of the daemon itself can only be changed by killing it.
    let lab = running(&[ONE, TWO]);
    let (one, two) = (lab.pid("one"), lab.pid("two"));
    lab.configure(&format!("{ONE}{THREE}"));
    lab.expect("reload", 0, "Restarted supervisord\n");
    lab.until("the new programs run", |lab| {
        lab.state("one") == "RUNNING" && lab.state("three") == "RUNNING"
    });
    assert_ne!(lab.pid("one"), one);
    assert!(!procfs::alive(two) && lab.status("two").is_none());
    lab.expect("pid", 0, &format!("{}\n", lab.daemon_pid()));
}

#[test]
fn reload_with_a_broken_file_keeps_everything_running() {
    // Without this: a typo and a reload leave the machine without services and without daemon.
    ours_only!();
    let lab = running(&[ONE, TWO]);
    let pids = (lab.pid("one"), lab.pid("two"));
    lab.configure("[program:three]\nautostart=true\n");
    let said = lab.ctl("reload");
    assert_ne!(said.code, 0, "the client is told: {}", said.out);
    lab.signal_daemon("HUP");
    lab.wait_main_log("received SIGHUP indicating restart request");
    assert_eq!((lab.pid("one"), lab.pid("two")), pids);
    lab.configure(&format!("{ONE}{TWO}"));
    lab.expect("update", 0, "");
    assert_eq!((lab.pid("one"), lab.pid("two")), pids);
}

/// `appctl` on the lab, whose output is expected to be exactly this.
#[track_caller]
fn expect_own(lab: &Lab, words: &str, code: i32, out: &str) {
    let said = lab.appctl(words);
    let out = out.replace("@D@", lab.directory());
    assert_eq!((said.code, said.out), (code, out), "{}", said.err);
}

#[test]
fn a_plan_tells_option_by_option_what_an_update_then_does() {
    // Without this: one learns what a deploy restarts by watching it.
    ours_only!();
    let web = "[program:web]\ncommand=/bin/sleep 100%(process_num)s\n\
               process_name=%(program_name)s_%(process_num)s\nnumprocs=3\n";
    let lab = running(&[web, TWO, THREE]);
    let before: Vec<i32> = (0..3).map(|n| lab.pid(&format!("web:web_{n}"))).collect();
    let (two, three) = (lab.pid("two"), lab.pid("three"));
    expect_own(
        &lab,
        "plan",
        0,
        "nothing to do: the configuration is in force\n",
    );

    // One process of three differs, one is new; a program gets more time; another goes.
    lab.configure(&format!(
        "{}{}environment=API_TOKEN=\"hush\"\n[group:g]\nprograms=four\n\
         [program:four]\ncommand=/bin/sleep 1004\n",
        web.replace("numprocs=3", "numprocs=4\nstopwaitsecs=4"),
        TWO
    ));
    let plan = "three: stop\n\
                two: restart\n    environment API_TOKEN: (none) -> \"…\" (@D@/supervisord.conf:19)\n\
                web:web_0: adjust\n    stopwaitsecs: 10 -> 4 (@D@/supervisord.conf:16)\n\
                web:web_1: adjust\n    stopwaitsecs: 10 -> 4 (@D@/supervisord.conf:16)\n\
                web:web_2: adjust\n    stopwaitsecs: 10 -> 4 (@D@/supervisord.conf:16)\n\
                web:web_3: start\n\
                g:four: start\n";
    expect_own(&lab, "plan", 0, plan);
    assert_eq!(lab.pid("two"), two, "a plan changes nothing");
    assert_eq!(lab.pid("three"), three);
    let said = lab.appctl("plan --json web");
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(json[0]["options"][0]["new"], "4");
    assert_eq!(json[3]["action"], "start");

    let said = lab.appctl("update");
    assert_eq!(said.code, 0, "{said:?}");
    for line in [
        "three: removed",
        "two: restarted",
        "web:web_0: adjusted",
        "web:web_3: added",
        "g: added",
    ] {
        assert!(
            said.out.lines().any(|one| one == line),
            "{line}: {}",
            said.out
        );
    }
    wait_running(&lab, 6);
    let after: Vec<i32> = (0..3).map(|n| lab.pid(&format!("web:web_{n}"))).collect();
    assert_eq!(after, before, "what can be adjusted goes on");
    assert_ne!(lab.pid("two"), two);
    assert!(procfs::environment(lab.pid("two")).contains(&"API_TOKEN=hush".to_owned()));
    assert!(!procfs::alive(three));
    expect_own(
        &lab,
        "plan",
        0,
        "nothing to do: the configuration is in force\n",
    );

    // Fewer processes stop only the surplus; the brain that follows knows all of it.
    lab.configure(&format!(
        "{web}{TWO}[group:g]\nprograms=four\n[program:four]\ncommand=/bin/sleep 1004\n"
    ));
    let (_, brain) = lab.keeper_and_brain();
    procfs::kill(brain);
    lab.until("a successor answers", |lab| lab.ctl("pid").code == 0);
    expect_own(
        &lab,
        "plan web",
        0,
        "web:web_3: stop\n\
         web:web_0: adjust\n    stopwaitsecs: 4 -> 10 (@D@/supervisord.conf:12)\n\
         web:web_1: adjust\n    stopwaitsecs: 4 -> 10 (@D@/supervisord.conf:12)\n\
         web:web_2: adjust\n    stopwaitsecs: 4 -> 10 (@D@/supervisord.conf:12)\n",
    );
    assert_eq!(lab.appctl("reload").code, 0);
    wait_running(&lab, 5);
    let last: Vec<i32> = (0..3).map(|n| lab.pid(&format!("web:web_{n}"))).collect();
    assert_eq!(last, before);
}

#[test]
fn one_process_of_a_group_is_restarted_and_a_stopped_one_stays_stopped() {
    // Without this: a change to one worker restarts all of them.
    ours_only!();
    let group = "[group:g]\nprograms=one,two,three\n";
    let lab = running(&[ONE, TWO, THREE, group]);
    let (one, two) = (lab.pid("g:one"), lab.pid("g:two"));
    lab.expect("stop g:three", 0, "g:three: stopped\n");
    lab.configure(&format!(
        "{ONE}{}{}{group}",
        TWO.replace("1002", "2002"),
        THREE.replace("1003", "2003")
    ));
    expect_own(
        &lab,
        "update",
        0,
        "g:two: restart\n    command: /bin/sleep 1002 -> /bin/sleep 2002 (@D@/supervisord.conf:15)\n\
         g:three: change\n    command: /bin/sleep 1003 -> /bin/sleep 2003 (@D@/supervisord.conf:17)\n\
         g:three: updated\n\
         g:two: restarted\n",
    );
    lab.wait_new_pid("g:two", two);
    assert_eq!(lab.pid("g:one"), one);
    assert_eq!(lab.state("g:three"), "STOPPED");
    lab.expect("start g:three", 0, "g:three: started\n");
    assert_eq!(procfs::command_line(lab.pid("g:three")), "/bin/sleep 2003");
}

#[test]
fn a_changed_log_file_begins_with_the_restart_and_a_new_size_at_once() {
    // Without this: an update is told to be in force and the log goes where it went before.
    ours_only!();
    let mut lab = Lab::new();
    lab.script(
        "talk",
        "echo \"started $1\"\nwhile read line; do echo \"$line\"; done",
    );
    let program = |argument: &str, file: &str, maxbytes: &str| {
        format!(
            "[program:talk]\ncommand=@D@/talk {argument}\nstdout_logfile=@D@/{file}\n\
             stdout_logfile_maxbytes={maxbytes}\nstdout_logfile_backups=3\n"
        )
    };
    lab.configure(&program("a", "first.log", "1MB"));
    lab.start();
    lab.wait_text("first.log", "started a");
    wait_running(&lab, 1);
    let pid = lab.pid("talk");
    lab.configure(&program("a", "first.log", "20"));
    assert_eq!(lab.appctl("update").code, 0);
    let mut session = lab.session();
    for _ in 0..4 {
        session.ask("stdin talk \"0123456789\\n\"");
    }
    lab.wait_file("first.log.1");
    assert_eq!(
        lab.pid("talk"),
        pid,
        "its size alone is no reason to restart it"
    );
    lab.configure(&program("b", "second.log", "1MB"));
    assert_eq!(lab.appctl("update").code, 0);
    lab.wait_text("second.log", "started b");
    assert!(!lab.read("first.log").contains("started b"));
}
