//! The history of runs and the programs that are not started with the daemon, kept on a disk.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::time::{Duration, SystemTime};

use lab::{Lab, kill};

/// What `history --json` says of a program.
fn history(lab: &Lab, name: &str) -> Vec<serde_json::Value> {
    let said = lab.appctl(&format!("history {name} --json"));
    assert_eq!(said.code, 0, "{}", said.err);
    serde_json::from_str(&said.out).unwrap()
}

const PROGRAMS: &str = "[program:web]\ncommand=@D@/web\nautorestart=true\n\
     [program:other]\ncommand=/bin/sleep 1000\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.script(
        "web",
        "echo began; [ -e @D@/fail ] && exit 3; exec sleep 1000",
    );
    lab.configure(PROGRAMS);
    lab
}

#[test]
fn every_run_is_told_with_its_reason_and_its_end() {
    ours_only!();
    let mut lab = lab();
    // Without this: what happened at night, and who did it, is a matter of reading logs.
    lab.start();
    lab.wait_state("web", "RUNNING");
    let first = lab.pid("web");
    kill(first);
    let second = lab.wait_new_pid("web", first);
    assert_eq!(lab.appctl("restart web").code, 0);
    lab.wait_state("web", "RUNNING");
    let third = lab.pid("web");
    let runs = history(&lab, "web");
    assert_eq!(runs.len(), 3, "{runs:#?}");
    let uid = rustix::process::geteuid().as_raw();
    for (run, pid, why, by, how) in [
        (&runs[0], first, "autostart", None, "terminated by SIGKILL"),
        (
            &runs[1],
            second,
            "autorestart after terminated by SIGKILL",
            None,
            "terminated by SIGTERM",
        ),
        (&runs[2], third, "asked", Some(uid), ""),
    ] {
        assert_eq!(run["name"], "web");
        assert_eq!(run["pid"], pid);
        assert_eq!(run["why"], why);
        assert_eq!(run["by"], serde_json::json!(by));
        assert_eq!(run["how"], how);
        assert!(run["started"].as_i64().unwrap() > 1_700_000_000);
        assert!(run["stdout"]["inode"].as_u64().unwrap() > 0, "{run}");
        if !how.is_empty() {
            assert!(run["ended"].as_i64() >= run["started"].as_i64());
            assert!(run["peak_memory"].as_u64().unwrap() > 100_000, "{run}");
        }
    }
    assert_eq!(history(&lab, "").len(), 4);
    let shown = lab.appctl("history web").out;
    assert!(
        shown
            .lines()
            .nth(2)
            .unwrap()
            .ends_with(&format!("pid {third}, asked by uid {uid}")),
        "{shown}"
    );
    assert_eq!(lab.appctl("history nosuch").code, 1);
    lab.shut_down();
}

#[test]
fn history_outlives_brain_keeper_and_daemon() {
    ours_only!();
    let mut lab = lab();
    lab.start();
    lab.wait_state("web", "RUNNING");
    let web = lab.pid("web");
    assert_eq!(history(&lab, "web").len(), 1);
    lab.replace_brain();
    lab.wait_state("web", "RUNNING");
    assert_eq!(history(&lab, "web").len(), 1, "the same run");

    // Keeper and brain together: the next daemon adopts the run, and tells its end.
    let (keeper, brain) = lab.keeper_and_brain();
    kill(keeper);
    kill(brain);
    lab.wait_end();
    lab.wait_gone(brain);
    lab.start();
    lab.wait_state("web", "RUNNING");
    assert_eq!(lab.pid("web"), web);
    assert_eq!(history(&lab, "web").len(), 1, "the same run still");
    assert_eq!(lab.appctl("stop web").code, 0);
    lab.shut_down();

    // And a daemon that began anew.
    lab.start();
    lab.wait_state("web", "RUNNING");
    let runs = history(&lab, "web");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert_eq!(runs[0]["pid"], web);
    assert!(
        runs[0]["ended"].is_i64() && runs[1]["ended"].is_null(),
        "{runs:#?}"
    );
    lab.shut_down();
}

#[test]
fn what_is_disabled_stays_down_until_it_is_enabled() {
    ours_only!();
    let mut lab = lab();
    // Without this: what was taken down on purpose is back after the next reboot.
    lab.start();
    lab.wait_state("web", "RUNNING");
    let said = lab.appctl("disable web");
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "web: disabled\n"),
        "{}",
        said.err
    );
    assert_eq!(lab.state("web"), "RUNNING", "nothing is stopped");
    let avail = |lab: &Lab| lab.appctl("avail").out;
    let line = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("web "))
            .unwrap()
            .to_owned()
    };
    assert!(line(&avail(&lab)).contains("manual"), "{}", avail(&lab));
    let said = lab.appctl("status web --json").out;
    let facts: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(facts[0]["disabled"], true, "{said}");
    lab.shut_down();

    lab.start();
    lab.wait_state("other", "RUNNING");
    assert_eq!(lab.state("web"), "STOPPED");
    // By hand it can be started; and a brain that follows, or a reload, does not forget.
    assert_eq!(lab.appctl("start web").code, 0);
    assert_eq!(lab.appctl("stop web").code, 0);
    lab.replace_brain();
    assert_eq!(lab.appctl("reload --all").code, 0);
    lab.wait_state("other", "RUNNING");
    assert_eq!(lab.state("web"), "STOPPED");

    assert_eq!(lab.appctl("enable web").out, "web: enabled\n");
    assert_eq!(lab.state("web"), "STOPPED", "nothing is started");
    lab.shut_down();
    lab.start();
    lab.wait_state("web", "RUNNING");
    assert!(line(&avail(&lab)).contains("auto"));
    lab.shut_down();
}

#[test]
fn a_broken_file_is_moved_aside_and_told() {
    ours_only!();
    let mut lab = lab();
    lab.configure(&format!("statedir=@D@/state\n{PROGRAMS}"));
    lab.start();
    lab.wait_state("web", "RUNNING");
    assert_eq!(history(&lab, "web").len(), 1);
    lab.shut_down();
    for file in ["web.runs.json", "disabled.json"] {
        fs::write(lab.path(&format!("state/{file}")), "[\"web\", tru").unwrap();
    }
    lab.start();
    lab.wait_state("web", "RUNNING");
    assert_eq!(history(&lab, "web").len(), 1, "begun anew");
    let log = lab.main_log();
    for file in ["web.runs.bad", "disabled.bad"] {
        assert!(lab.path(&format!("state/{file}")).exists(), "{file}: {log}");
        assert!(
            log.contains(&format!("/state/{file}, and begun anew")),
            "{log}"
        );
    }
    lab.shut_down();
}

#[test]
fn what_is_kept_of_programs_that_are_gone_is_removed_in_the_end() {
    ours_only!();
    let mut lab = lab();
    lab.configure(&format!("statedir=@D@/state\n{PROGRAMS}"));
    fs::create_dir(lab.path("state")).unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(31 * 86_400);
    for name in ["gone", "other", "recent"] {
        let file = format!("state/{name}.runs.json");
        lab.write(&file, "[{\"pid\":1,\"ended\":1}]");
        if name != "recent" {
            let file = fs::File::options()
                .write(true)
                .open(lab.path(&file))
                .unwrap();
            file.set_modified(long_ago).unwrap();
        }
    }
    lab.start();
    // Without this: a host whose programs come and go gathers files for ever.
    lab.until("it is removed", |lab| {
        !lab.path("state/gone.runs.json").exists()
    });
    assert_eq!(
        history(&lab, "other").len(),
        2,
        "what is configured is kept"
    );
    assert!(lab.path("state/recent.runs.json").exists());
    lab.shut_down();
}

#[test]
fn without_a_place_the_daemon_runs_and_says_so_once() {
    ours_only!();
    let mut lab = lab();
    lab.write("file", "");
    lab.configure(&format!("statedir=@D@/file/state\n{PROGRAMS}"));
    lab.start();
    lab.wait_state("web", "RUNNING");
    assert_eq!(history(&lab, "web").len(), 1, "in memory");
    let said = "WARN no state is kept on a disk";
    assert_eq!(lab.main_log().matches(said).count(), 1);
    lab.shut_down();
    // Asked for, nothing is said, and nothing is made.
    lab.configure(&format!("statedir=NONE\n{PROGRAMS}"));
    lab.start();
    lab.wait_state("web", "RUNNING");
    assert_eq!(lab.main_log().matches(said).count(), 1);
    assert!(!lab.path("sock.state").exists());
    lab.shut_down();
}
