//! The first commands of a new user, as README.md gives them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::process::Command;

use lab::{APPCTL, Lab, Said};

/// `make GOAL` with the binary under test, in the lab instead of in `target/`.
fn make(lab: &Lab, goal: &str) -> Said {
    let mut make = Command::new("make");
    make.args(["--no-print-directory", "--assume-old=build", goal])
        .arg(format!("BINARY={APPCTL}"))
        .arg(format!("DEMO={}", lab.directory()))
        .arg(format!("PREFIX={}/usr", lab.directory()));
    lab.prepare(&mut make);
    // `make test` may be what runs this.
    make.env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    make.output().unwrap().into()
}

#[test]
fn the_demo_shows_programs_that_run() {
    // Without this: the first command of the README ends with `make: *** [demo] Error 3`.
    ours_only!();
    let lab = Lab::new();
    for run in ["the first", "one while it runs"] {
        let said = make(&lab, "demo");
        assert_eq!(said.code, 0, "{run}: {said:?}");
        for row in [
            "clock                            RUNNING ",
            "once                             EXITED ",
            "workers:worker_0                 RUNNING ",
            "workers:worker_1                 RUNNING ",
            "The daemon runs. Try next:",
        ] {
            let found = said.out.lines().any(|line| line.starts_with(row));
            assert!(found, "{run}, {row}: {said:?}");
        }
    }
    lab.wait_text("clock.log", ":");
    let said = make(&lab, "demo-stop");
    assert_eq!(said.code, 0, "{said:?}");
    lab.until("the demo has ended", |lab| lab.processes().is_empty());
}

#[test]
fn it_is_installed_under_the_names_of_supervisors_programs() {
    ours_only!();
    let lab = Lab::new();
    let said = make(&lab, "install");
    assert_eq!(said.code, 0, "{said:?}");
    for (name, first) in [
        ("appctl", "appctl"),
        ("supervisord", "supervisord"),
        ("supervisorctl", "supervisorctl"),
        ("pidproxy", "pidproxy"),
        ("echo_supervisord_conf", "; Sample configuration."),
    ] {
        let mut command = Command::new(lab.path("usr/bin").join(name));
        if name != "echo_supervisord_conf" {
            command.arg("--help");
        }
        let said = Said::from(command.output().unwrap());
        assert!(said.out.contains(first), "{name}: {said:?}");
    }
}
