//! `supervisorctl` against a scripted daemon: Supervisor 4.3.0's words and exit statuses.
#![allow(clippy::unwrap_used)]

mod client_fake;

use client_fake::{Fake, STREAM};

const STATUS: &str = "\
- p:p_00 STARTING group=p\n\
- a RUNNING pid=12 uptime=62 description=\"pid 12, uptime 0:01:02\" group=a\n\
- g:g1 RUNNING pid=13 description=\"pid 13, uptime 0:00:02\" group=g\n\
- b STOPPED description=\"Not started\" group=b\n\
- g:g2 STOPPED description=\"Nov 22 06:19 AM\" group=g\n\
ok\n";

/// (what the daemon answers, [(command line, exit status, standard output)])
type Case<'a> = (&'a [(&'a str, &'a str)], &'a [(&'a str, i32, &'a str)]);

fn check(cases: &[Case<'_>]) {
    for (script, lines) in cases {
        let fake = Fake::answering(script);
        for (line, code, out) in *lines {
            assert_eq!(fake.supervisorctl(line).said(), (*code, *out), "{line}");
        }
    }
}

#[test]
fn status() {
    let a = "a                                RUNNING   pid 12, uptime 0:01:02\n";
    let b = "b                                STOPPED   Not started\n";
    let g1 = "g:g1                             RUNNING   pid 13, uptime 0:00:02\n";
    let g2 = "g:g2                             STOPPED   Nov 22 06:19 AM\n";
    let p = "p:p_00                           STARTING  \n";
    let all = format!("{a}{b}{g1}{g2}{p}");
    check(&[(
        &[("status", STATUS)],
        &[
            ("status", 3, &all),
            ("status b all", 3, &all),
            ("status a", 0, a),
            ("status p:p_00", 0, p),
            ("status a a", 0, &format!("{a}{a}")),
            ("status g:*", 3, &format!("{g1}{g2}")),
            ("status g:", 3, &format!("{g1}{g2}")),
            (
                "status nope a",
                4,
                &format!("nope: ERROR (no such process)\n{a}"),
            ),
            (
                "status nope b",
                3,
                &format!("nope: ERROR (no such process)\n{b}"),
            ),
            ("status g", 4, "g: ERROR (no such process)\n"),
            ("status nope:*", 4, "nope: ERROR (no such group)\n"),
        ],
    )]);
}

#[test]
fn start_and_stop_one_after_the_other() {
    let fake = Fake::answering(&[
        ("start a", "- a started\nok\n"),
        (
            "start b",
            "- b error code=already-started text=\"x\"\nerr already-started \"b: x\"\n",
        ),
        (
            "start nope",
            "- nope error code=no-such-process\nerr no-such-process x\n",
        ),
    ]);
    assert_eq!(
        fake.supervisorctl("start a b nope a").said(),
        (
            1,
            "a: started\nb: ERROR (already started)\nnope: ERROR (no such process)\na: started\n"
        )
    );
    assert_eq!(
        fake.requests(),
        ["start a", "start b", "start nope", "start a"]
    );
}

#[test]
fn start() {
    let refused = |name: &str, code: &str| {
        format!("- {name} error code={code} text=\"for people\"\nerr {code} \"for people\"\n")
    };
    let codes = [
        ("no-such-process", 1, "no such process"),
        ("no-file", 1, "no such file"),
        ("not-executable", 1, "file is not executable"),
        ("already-started", 0, "already started"),
        ("spawn-error", 7, "spawn error"),
        ("abnormal-termination", 7, "abnormal termination"),
    ];
    for (code, status, why) in codes {
        let fake = Fake::answering(&[("start a", &refused("a", code))]);
        let said = format!("a: ERROR ({why})\n");
        assert_eq!(
            fake.supervisorctl("start a").said(),
            (status, said.as_str()),
            "{code}"
        );
    }
    let usage = "Error: start requires a process name\n\
                 start <name>\t\tStart a process\n\
                 start <gname>:*\t\tStart all processes in a group\n\
                 start <name> <name>\tStart multiple processes or groups\n\
                 start all\t\tStart all processes\n";
    check(&[(
        &[
            ("start nope:*", &refused("nope:*", "no-such-group")),
            (
                "start all",
                "- g:x error code=no-file\n- a started\nerr partial \"1 of 2 not done\"\n",
            ),
            ("start g:*", "ok\n"),
        ],
        &[
            ("start nope:*", 2, "nope: ERROR (no such group)\n"),
            (
                "start all nope",
                1,
                "g:x: ERROR (no such file)\na: started\n",
            ),
            ("start g:*", 0, ""),
            ("start", 2, usage),
        ],
    )]);
}

#[test]
fn restart_stops_everything_and_then_starts_everything() {
    let fake = Fake::answering(&[
        ("stop a", "- a stopped\nok\n"),
        ("stop b", "- b error code=not-running\nerr not-running x\n"),
        ("start a", "- a started\nok\n"),
        ("start b", "- b started\nok\n"),
    ]);
    assert_eq!(
        fake.supervisorctl("restart a b").said(),
        (
            0,
            "a: stopped\nb: ERROR (not running)\na: started\nb: started\n"
        )
    );
}

#[test]
fn signal() {
    let bad = "err bad-signal \"no signal is called NOPE\"\n";
    check(&[(
        &[
            ("status", STATUS),
            ("signal HUP a", "- a signalled\nok\n"),
            (
                "signal HUP b",
                "- b error code=not-running\nerr not-running x\n",
            ),
            ("signal NOPE a", bad),
            ("signal NOPE b", bad),
            ("signal NOPE g:*", bad),
            ("signal NOPE all", bad),
            ("signal a HUP", bad),
            ("signal NOPE none:*", bad),
        ],
        &[
            ("signal HUP a", 0, "a: signalled\n"),
            ("signal HUP b", 7, "b: ERROR (not running)\n"),
            ("signal NOPE a", 1, "a: ERROR (bad signal name)\n"),
            ("signal NOPE b", 1, "b: ERROR (bad signal name)\n"),
            ("signal NOPE g:*", 1, "g:g1: ERROR (bad signal name)\n"),
            (
                "signal NOPE all",
                1,
                "a: ERROR (bad signal name)\ng:g1: ERROR (bad signal name)\n\
                 p:p_00: ERROR (bad signal name)\n",
            ),
            ("signal a HUP", 1, "HUP: ERROR (no such process)\n"),
            ("signal NOPE none:*", 1, "none: ERROR (no such group)\n"),
        ],
    )]);
}

#[test]
fn pid_version_and_avail() {
    check(&[(
        &[
            ("status", STATUS),
            ("pid", "- 77\nok\n"),
            (
                "avail",
                "- g:g1 in-use auto group_priority=3 process_priority=7 group=g\n\
                 - b in-use manual group_priority=999 process_priority=999 group=b\n\
                 - new avail auto group_priority=-1 process_priority=999 group=new\nok\n",
            ),
        ],
        &[
            ("pid", 0, "77\n"),
            ("pid a", 0, "12\n"),
            ("pid b", 7, "0\n"),
            ("pid a nope b", 7, "12\nNo such process nope\n0\n"),
            ("pid g:*", 1, "No such process g:*\n"),
            ("pid all", 0, "12\n0\n13\n0\n0\n"),
            ("version", 0, "4.3.0\n"),
            (
                "avail",
                0,
                "b                                in use    manual    999:999\n\
                 g:g1                             in use    auto      3:7\n\
                 new                              avail     auto      -1:999\n",
            ),
            (
                "avail x",
                1,
                "Error: avail accepts no arguments\navail\t\t\tDisplay all configured processes\n",
            ),
        ],
    )]);
}

#[test]
fn reread_and_update() {
    check(&[
        (
            &[
                (
                    "reread",
                    "- z changed\n- y available\n- a available\n- m disappeared\nok\n",
                ),
                ("status", STATUS),
                ("stop m:*", "- m stopped\nok\n"),
                ("remove m", "- m removed\nok\n"),
                ("stop z:*", "ok\n"),
                ("remove z", "- z removed\nok\n"),
                ("add z", "- z added\nok\n"),
                ("add a", "- a added\nok\n"),
                ("add y", "- y added\nok\n"),
            ],
            &[
                (
                    "reread",
                    0,
                    "a: available\nm: disappeared\ny: available\nz: changed\n",
                ),
                (
                    "update",
                    0,
                    "m: stopped\nm: removed process group\n\
                     z: stopped\nz: updated process group\n\
                     y: added process group\na: added process group\n",
                ),
                (
                    "update nope a b",
                    1,
                    "ERROR: no such group: nope\na: added process group\n",
                ),
            ],
        ),
        (
            &[
                ("reread", "- m disappeared\n- n disappeared\nok\n"),
                (
                    "stop m:*",
                    "- m:x error code=signal-failed text=no\nerr signal-failed no\n",
                ),
                ("stop n:*", "- n stopped\nok\n"),
                ("remove n", "- n removed\nok\n"),
            ],
            &[(
                "update",
                1,
                "m: stopped\nm: has problems; not removing\n\
                 n: stopped\nn: removed process group\n",
            )],
        ),
        (
            &[(
                "reread",
                "- diagnostic=\"c.conf:3: odd\"\nerr cannot-reread it is odd\n",
            )],
            &[
                ("reread", 1, "ERROR: CANT_REREAD: it is odd\n"),
                ("update", 1, "error: CANT_REREAD: it is odd\n"),
                ("update all", 1, "error: CANT_REREAD: it is odd\n"),
            ],
        ),
        (
            &[("reread", "ok\n")],
            &[
                ("reread", 0, "No config updates to processes\n"),
                ("update", 0, ""),
            ],
        ),
    ]);
}

#[test]
fn add_and_remove() {
    check(&[(
        &[
            ("add b", "- b added\nok\n"),
            (
                "add a",
                "- a error code=already-added\nerr already-added x\n",
            ),
            (
                "add nope",
                "- nope error code=no-such-group\nerr no-such-group x\n",
            ),
            ("remove b", "- b removed\nok\n"),
            (
                "remove a",
                "- a error code=still-running\nerr still-running x\n",
            ),
            (
                "remove nope",
                "- nope error code=no-such-group\nerr no-such-group x\n",
            ),
        ],
        &[
            (
                "add b a nope",
                1,
                "b: added process group\nERROR: process group already active\n\
                 ERROR: no such process/group: nope\n",
            ),
            ("add a", 0, "ERROR: process group already active\n"),
            (
                "remove nope a b",
                1,
                "ERROR: no such process/group: nope\nERROR: process/group still running: a\n\
                 b: removed process group\n",
            ),
            ("add", 0, ""),
            ("remove", 0, ""),
        ],
    )]);
}

#[test]
fn shutting_down() {
    let leaving = "err shutting-down the daemon is leaving\n";
    let verbs = [
        "shutdown",
        "reload --all",
        "reread",
        "avail",
        "add a",
        "stop a",
    ];
    let script: Vec<(&str, &str)> = verbs.iter().map(|verb| (*verb, leaving)).collect();
    check(&[
        (
            &[("shutdown", "ok\n"), ("reload --all", "ok\n")],
            &[
                ("shutdown", 0, "Shut down\n"),
                ("reload", 0, "Restarted supervisord\n"),
                (
                    "shutdown now",
                    1,
                    "Error: shutdown accepts no arguments\n\
                 shutdown \tShut the remote supervisord down.\n",
                ),
            ],
        ),
        (
            &script,
            &[
                ("shutdown", 0, "ERROR: already shutting down\n"),
                ("reload", 1, "ERROR: already shutting down\n"),
                ("reread", 1, "ERROR: supervisor shutting down\n"),
                ("avail", 1, "ERROR: supervisor shutting down\n"),
                ("update", 1, "ERROR: already shutting down\n"),
                ("add a", 1, "ERROR: shutting down\n"),
                (
                    "stop a",
                    1,
                    "error: SHUTDOWN_STATE: the daemon is leaving\n",
                ),
            ],
        ),
    ]);
}

#[test]
fn logs() {
    check(&[(
        &[
            ("tail -c 1600 a stdout", "= 6 stdout\nhello\n\nok\n"),
            (
                "tail -c 5 a stderr",
                "= 2 stderr\nxy\n= 3 stderr\nz\x1b\n\nok\n",
            ),
            ("tail --from 0 a stdout", "ok\n"),
            ("tail -c 1600 none stdout", "err no-log-file x\n"),
            ("tail -c 1600 nope stdout", "err no-such-process x\n"),
            ("tail -c 1600 g:* stdout", "err bad-arguments x\n"),
            ("maintail -c 7", "= 3 main\nlog\nok\n"),
            ("maintail -c 1600", "err no-log-file x\n"),
            ("clear a", "- a cleared\nok\n"),
            ("clear g:*", "- g:c cleared\nok\n"),
            ("clear b", "- b error code=failed\nerr failed x\n"),
        ],
        &[
            ("tail a", 0, "hello\n\n"),
            ("tail -5 a STDERR", 0, "xyz\x1b\n\n"),
            ("tail -0 a", 0, "\n"),
            ("tail none", 1, "none: ERROR (no log file)\n"),
            ("tail nope", 1, "nope: ERROR (no such process name)\n"),
            ("tail g:*", 1, "g:*: ERROR (no such process name)\n"),
            ("tail a nope", 1, "Error: bad channel 'nope'\n"),
            ("tail -5", 1, "Error: tail requires process name\n"),
            ("maintail -7", 0, "log\n"),
            ("maintail", 1, "supervisord: ERROR (no log file)\n"),
            ("maintail x", 1, "Error: bad argument x\n"),
            (
                "clear a b g:*",
                1,
                "a: cleared\nb: ERROR (failed)\ng:c: cleared\n",
            ),
        ],
    )]);
}

#[test]
fn following() {
    let fake = Fake::answering(&[
        (
            "tail -f a stdout",
            "= 3 stdout\none\n= 4 stdout\n two\nok\n",
        ),
        ("tail -f nope stdout", "err no-such-process x\n"),
        ("maintail -f", "err no-log-file x\n"),
    ]);
    let press = "==> Press Ctrl-C to exit <==\n";
    let seen = fake.supervisorctl("tail -f a");
    assert_eq!(seen.said(), (0, format!("{press}one two").as_str()));
    let url = fake.url();
    for (line, path) in [
        ("tail -f nope", "/logtail/nope/stdout"),
        ("maintail -f", "/mainlogtail"),
    ] {
        let seen = fake.supervisorctl(line);
        assert_eq!((seen.code, seen.out.as_str()), (Some(1), press));
        assert_eq!(
            seen.err,
            format!("{url}{path} Cannot read, status code 404\n")
        );
    }
}

#[test]
fn foreground() {
    let fake = Fake::answering(&[
        ("status", STATUS),
        ("events -f", STREAM),
        (
            "tail -f -- a:a stdout",
            &format!("= 3 stdout\nout\n{STREAM}"),
        ),
        ("tail -f -- a:a stderr", "err no-log-file x\n"),
        ("stdin -- a:a \"hello \\\"you\\\"\\n\"", "ok\n"),
        ("stdin -- a:a rest", "ok\n"),
    ]);
    for (line, code, out) in [
        ("fg nope", 1, "ERROR: bad process name supplied\n"),
        ("fg b", 1, "ERROR: process not running\n"),
        ("fg a b", 1, "ERROR: too many process names supplied\n"),
    ] {
        assert_eq!(fake.supervisorctl(line).said(), (code, out));
    }
    let mut command = fake.program("supervisorctl");
    command.args(["-s", &fake.url(), "fg", "a"]);
    let seen = fake.fed(command, "hello \"you\"\nrest");
    let (code, out) = seen.said();
    assert_eq!(code, 0);
    assert!(out.starts_with("==> Press Ctrl-C to exit <==\n"), "{out}");
    assert!(out.ends_with("Exiting foreground\n"), "{out}");
    let typed: Vec<String> = fake
        .requests()
        .into_iter()
        .filter(|line| line.starts_with("stdin"))
        .collect();
    assert_eq!(
        typed,
        ["stdin -- a:a \"hello \\\"you\\\"\\n\"", "stdin -- a:a rest"]
    );
}

#[test]
fn foreground_ends_with_its_process() {
    let event = "- PROCESS_STATE_EXITED sequence=2 name=a group=a from=RUNNING to=EXITED\n";
    let fake = Fake::answering(&[
        ("status", STATUS),
        (
            "events -f",
            &format!("- PROCESS_STATE_EXITED sequence=1 name=b group=b to=EXITED\n{event}{STREAM}"),
        ),
        ("tail -f -- a:a stdout", STREAM),
        ("tail -f -- a:a stderr", STREAM),
    ]);
    let mut command = fake.program("supervisorctl");
    command.args(["-s", &fake.url(), "fg", "a"]);
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The end of what is typed would end it as well.
    let typed = child.stdin.take();
    let out = child.wait_with_output().unwrap();
    drop(typed);
    assert_eq!(
        String::from_utf8(out.stdout).unwrap(),
        "==> Press Ctrl-C to exit <==\nProcess got killed\nExiting foreground\n"
    );
}

#[test]
fn without_a_daemon() {
    let fake = Fake::absent();
    let url = fake.url();
    let missing = format!("{url} no such file\n");
    for (line, code) in [
        ("status", 4),
        ("start a", 7),
        ("start", 7),
        ("reread", 1),
        ("tail", 7),
        ("pid", 7),
    ] {
        assert_eq!(
            fake.supervisorctl(line).said(),
            (code, missing.as_str()),
            "{line}"
        );
    }
    assert_eq!(
        fake.supervisorctl("shutdown").said(),
        (
            1,
            format!("ERROR: {url} no such file (already shut down?)\n").as_str()
        )
    );
    drop(std::os::unix::net::UnixListener::bind(fake.socket()).unwrap());
    let refused = format!("{url} refused connection\n");
    for line in ["status", "stop a"] {
        assert_eq!(
            fake.supervisorctl(line).said(),
            (4, refused.as_str()),
            "{line}"
        );
    }
}

#[test]
fn help_and_unknown_commands_need_no_daemon() {
    let overview = "\n\
        default commands (type help <topic>):\n\
        =====================================\n\
        add    exit      open  reload  restart   start   tail   \n\
        avail  fg        pid   remove  shutdown  status  update \n\
        clear  maintail  quit  reread  signal    stop    version\n\n";
    let fake = Fake::absent();
    for (line, code, out) in [
        ("help", 0, overview),
        ("?", 0, overview),
        ("help nope", 0, "*** No help on nope\n"),
        ("help start stop", 0, "*** No help on start stop\n"),
        (
            "help help",
            0,
            "help\t\tPrint a list of available actions\nhelp <action>\tPrint help for <action>\n",
        ),
        (
            "? fg",
            0,
            "fg <process>\tConnect to a process in foreground mode\n\t\tCtrl-C to exit\n",
        ),
        ("frobnicate a b", 1, "*** Unknown syntax: frobnicate a b\n"),
        ("!ls", 1, "*** Unknown syntax: !ls\n"),
        ("STATUS", 1, "*** Unknown syntax: STATUS\n"),
        ("exit", 0, "\n"),
        ("EOF", 0, "\n"),
        (
            "open ftp://localhost",
            1,
            "ERROR: url must be http:// or unix://\n",
        ),
    ] {
        assert_eq!(fake.supervisorctl(line).said(), (code, out), "{line}");
    }
}

#[test]
fn the_shell_reads_lines() {
    let fake = Fake::answering(&[
        (
            "status",
            "- a RUNNING pid=1 description=\"pid 1, uptime 0:00:01\" group=a\nok\n",
        ),
        ("stop a", "- a stopped\nok\n"),
        ("shutdown", "ok\n"),
    ]);
    let mut command = fake.program("supervisorctl");
    command.args(["-s", &fake.url()]);
    let seen = fake.fed(command, "stop a\n\nnope\nshutdown\nno\nshutdown\nyes\n");
    let a = "a                                RUNNING   pid 1, uptime 0:00:01\n";
    let ask = "Really shut the remote supervisord process down y/N? ";
    assert_eq!(
        seen.said(),
        (
            0,
            format!(
                "{a}supervisor> a: stopped\nsupervisor> supervisor> *** Unknown syntax: nope\n\
                 supervisor> {ask}supervisor> {ask}Shut down\nsupervisor> \n"
            )
            .as_str()
        )
    );
    assert_eq!(fake.requests(), ["status", "stop a", "shutdown"]);
}
