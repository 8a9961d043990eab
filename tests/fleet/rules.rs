//! The rules one by one: Supervisor's, and where we mend them.

use appctl::config::{Autorestart, Policy, Signal};
use appctl::fleet::pace::{BURST, INTERVAL};
use appctl::fleet::steps::KILL_INTERVAL;
use appctl::fleet::*;

use crate::scene::{Scene, answers, effects, group, policy, program};

const SECOND: u64 = 1_000_000_000;
const KILLED: ExitStatus = ExitStatus::Signal {
    number: 9,
    core: false,
};

#[test]
fn running_means_alive_for_more_than_startsecs() {
    let mut scene = Scene::one(policy());
    assert_eq!(scene.ask("start a"), ["a STARTING: Asked", "start a"]);
    assert_eq!(scene.tick(5_000), [""; 0], "startsecs count from the spawn");
    assert_eq!(scene.spawned("a"), [""; 0]);
    assert_eq!(scene.tick(1_000), [""; 0]);
    scene.pass(1);
    assert_eq!(
        scene.tick(0),
        ["a RUNNING: StayedUp(1)", "#1 a: Started", "#1 answered"]
    );
    assert_eq!(scene.fleet.next_deadline(), None);
}

#[test]
fn startsecs_0_is_running_at_once() {
    for startsecs in [0, -1] {
        let mut scene = Scene::one(Policy {
            startsecs,
            ..policy()
        });
        scene.ask("start a");
        let stayed_up = format!("a RUNNING: StayedUp({startsecs})");
        assert_eq!(
            scene.spawned("a"),
            [stayed_up.as_str(), "#1 a: Started", "#1 answered"]
        );
    }
}

#[test]
fn n_retries_are_n_plus_1_attempts_with_growing_waits() {
    let mut scene = Scene::one(Policy {
        startretries: 2,
        ..policy()
    });
    scene.ask("start a");
    let quick = "ExitedTooQuickly(Code(0))";
    scene.spawned("a");
    let first = scene.died("a", 0);
    assert_eq!(
        first[0],
        format!("a BACKOFF: {quick}"),
        "an expected code does not help"
    );
    assert!(
        first[1].starts_with("#1 a: SpawnFailed"),
        "the first failure is the answer: {first:?}"
    );
    assert_eq!(
        scene.process("a").spawn_error(),
        Some("Exited too quickly (process log may have details)")
    );
    assert_eq!(scene.process("a").exit_status(), None);
    assert_eq!(
        scene.wait(),
        (1_000, vec!["a STARTING: Retry(1)".into(), "start a".into()])
    );
    let failed = scene.spawn_failed("a");
    assert!(
        failed[0].starts_with("a BACKOFF: SpawnFailed"),
        "{failed:?}"
    );
    assert_eq!(
        scene.wait(),
        (2_000, vec!["a STARTING: Retry(2)".into(), "start a".into()])
    );
    scene.spawned("a");
    assert_eq!(
        scene.died("a", 1),
        ["a BACKOFF: ExitedTooQuickly(Code(1))", "a FATAL: GaveUp"]
    );
    assert_eq!(scene.fleet.next_deadline(), None);
    scene.ask("start a");
    assert_eq!(scene.process("a").failures(), 0);
}

#[test]
fn being_running_forgives_failures() {
    let mut scene = Scene::one(Policy {
        startretries: 1,
        ..policy()
    });
    scene.ask("start a");
    for _ in 0..3 {
        scene.spawn_failed("a");
        assert_eq!(scene.state("a"), State::Backoff);
        scene.wait();
        scene.spawned("a");
        scene.tick(2_000);
        scene.died("a", 1);
        assert_eq!(scene.state("a"), State::Starting);
    }
}

#[test]
fn an_exit_that_was_noticed_late_is_judged_by_age() {
    let mut scene = Scene::in_state(State::Starting);
    scene.pass(SECOND);
    let exited = "a EXITED: Exited { status: Code(0), expected: true }";
    assert_eq!(scene.died("a", 0), ["a RUNNING: StayedUp(1)", exited]);
    let mut scene = Scene::in_state(State::Starting);
    scene.pass(SECOND - 1);
    assert_eq!(scene.died("a", 0), ["a BACKOFF: ExitedTooQuickly(Code(0))"]);
}

#[test]
fn autorestart() {
    use Autorestart::{Always, Never, Unexpected};
    let dumped = ExitStatus::Signal {
        number: 11,
        core: true,
    };
    for (autorestart, status, again, error) in [
        (Never, ExitStatus::Code(3), false, Some("Bad exit code 3")),
        (Unexpected, ExitStatus::Code(0), false, None),
        (
            Unexpected,
            ExitStatus::Code(3),
            true,
            Some("Bad exit code 3"),
        ),
        (Unexpected, dumped, true, Some("Bad exit code -1")),
        (
            Unexpected,
            ExitStatus::Unknown,
            true,
            Some("Ended unseen, exit status unknown"),
        ),
        (Always, ExitStatus::Code(0), true, None),
    ] {
        let mut scene = Scene::one(Policy {
            autorestart,
            ..policy()
        });
        scene.run("a");
        let actions = scene.exited("a", status);
        if again {
            assert_eq!(
                actions[1..],
                [
                    format!("a STARTING: Autorestart({status:?})"),
                    "start a".into()
                ]
            );
        } else {
            assert_eq!(scene.process("a").spawn_error(), error);
            assert_eq!(scene.process("a").exit_status(), Some(status));
            assert_eq!((actions.len(), scene.fleet.next_deadline()), (1, None));
        }
    }
}

/// A `startsecs=0` program whose last restart that need not wait has been used up.
fn storm() -> Scene {
    let mut scene = Scene::one(Policy {
        startsecs: 0,
        ..policy()
    });
    scene.ask("start a");
    for _ in 0..BURST {
        scene.spawned("a");
        scene.died("a", 1);
        assert_eq!(scene.state("a"), State::Starting, "at once");
    }
    scene.spawned("a");
    scene
}

#[test]
fn a_storm_is_slowed_and_a_single_death_is_not() {
    let mut scene = storm();
    scene.pass(SECOND / 4);
    scene.died("a", 1);
    assert_eq!(scene.state("a"), State::Exited);
    let (waited, actions) = scene.wait();
    assert_eq!(waited + 250, INTERVAL.as_millis() as u64);
    assert_eq!(actions, ["a STARTING: Autorestart(Code(1))", "start a"]);
    scene.spawned("a");
    scene.pass(SECOND);
    scene.died("a", 1);
    assert_eq!(scene.state("a"), State::Starting, "after a second at once");
}

#[test]
fn a_stop_ends_a_storm() {
    let storm = || {
        let mut scene = storm();
        scene.died("a", 1);
        assert_eq!(scene.state("a"), State::Exited);
        scene
    };
    assert_eq!(
        storm().ask("stop a"),
        ["a STOPPED: Asked", "#2 a: Stopped", "#2 answered"]
    );
    assert_eq!(
        storm().ask("stop all"),
        ["a STOPPED: Asked", "#2 a: Stopped", "#2 answered"]
    );
    assert_eq!(storm().ask("start a"), ["a STARTING: Asked", "start a"]);
    let mut scene = storm();
    assert_eq!(
        scene.ask("remove a"),
        ["a leaves", "#2 a: Removed", "#2 answered"]
    );
    assert_eq!(scene.fleet.next_deadline(), None);
    let mut scene = storm();
    scene.ask("shutdown");
    assert_eq!(scene.fleet.next_deadline(), None);
}

#[test]
fn stopping() {
    for (stopasgroup, killasgroup) in [(false, false), (false, true), (true, true)] {
        let stopsignal = Signal(2);
        let mut scene = Scene::one(Policy {
            stopsignal,
            stopasgroup,
            killasgroup,
            ..policy()
        });
        scene.run("a");
        let whom = |group| if group { "group of a" } else { "a" };
        let term = format!("Stop 2 to {}", whom(stopasgroup));
        assert_eq!(scene.ask("stop a"), ["a STOPPING: Asked", term.as_str()]);
        let kill = format!("Overdue 9 to {}", whom(killasgroup));
        assert_eq!(scene.tick(9_999), [""; 0]);
        assert_eq!(scene.wait(), (1, vec![kill.clone()]));
        assert_eq!(scene.wait(), (10_000, vec![kill]), "and again");
        let stopped = "a STOPPED: Stopped(Signal { number: 9, core: false })";
        assert_eq!(
            scene.exited("a", KILLED),
            [stopped, "#2 a: Stopped", "#2 answered"]
        );
        assert_eq!(scene.fleet.next_deadline(), None);
    }
}

#[test]
fn a_stopped_process_stays_stopped_whatever_its_code() {
    let mut scene = Scene::one(Policy {
        autorestart: Autorestart::Always,
        ..policy()
    });
    scene.run("a");
    scene.ask("stop a");
    assert_eq!(scene.died("a", 7)[0], "a STOPPED: Stopped(Code(7))");
    assert_eq!(scene.process("a").exit_status(), Some(ExitStatus::Code(7)));
}

#[test]
fn stopwaitsecs_0_kills_on_the_next_tick_and_does_not_spin() {
    let mut scene = Scene::one(Policy {
        stopwaitsecs: 0,
        ..policy()
    });
    scene.run("a");
    scene.ask("stop a");
    assert_eq!(scene.wait(), (0, vec!["Overdue 9 to a".to_owned()]));
    assert_eq!(scene.wait().0, KILL_INTERVAL.as_millis() as u64);
}

#[test]
fn a_stop_before_the_spawn_is_answered_is_remembered() {
    let mut scene = Scene::one(Policy {
        startsecs: 0,
        ..policy()
    });
    scene.ask("start a");
    let refused = [
        "a STOPPING: Asked",
        "#1 a: AbnormalTermination",
        "#1 answered",
    ];
    assert_eq!(scene.ask("stop a"), refused);
    assert_eq!(scene.process("a").pid(), None);
    assert_eq!(scene.tick(60_000), [""; 0], "nothing to kill yet");
    assert_eq!(scene.spawned("a"), ["Stop 15 to a"]);
    assert_eq!(scene.process("a").pid(), Some(100));
    assert_eq!(scene.wait().1, ["Overdue 9 to a"]);
    assert_eq!(
        answers(scene.exited("a", KILLED)),
        ["#2 a: Stopped", "#2 answered"]
    );

    scene.ask("start a");
    scene.ask("stop a");
    let actions = scene.spawn_failed("a");
    assert!(
        actions[0].starts_with("a STOPPED: SpawnFailed"),
        "{actions:?}"
    );
    assert_eq!(actions[1..], ["#4 a: Stopped", "#4 answered"]);
}

#[test]
fn a_shutdown_before_the_spawn_is_answered_is_remembered() {
    let mut scene = Scene::one(policy());
    scene.ask("launch a");
    let actions = scene.ask("shutdown");
    assert_eq!(
        actions,
        [
            "a STOPPING: Leaving",
            "#2 : Leaving",
            "#2 answered",
            "waiting for a"
        ]
    );
    assert_eq!(scene.spawned("a"), ["Stop 15 to a"]);
    let actions = scene.died("a", 0);
    assert_eq!(
        actions,
        ["a STOPPED: Stopped(Code(0))", "finished, start over: false"]
    );
}

#[test]
fn a_stop_while_failing_resets_the_count() {
    let mut scene = Scene::in_state(State::Backoff);
    assert_eq!(scene.process("a").failures(), 1);
    assert_eq!(
        scene.ask("stop a"),
        ["a STOPPED: Asked", "#1 a: Stopped", "#1 answered"]
    );
    scene.ask("start a");
    assert_eq!(scene.process("a").failures(), 0);
    scene.spawn_failed("a");
    assert_eq!(scene.wait().0, 1_000);
}

#[test]
fn stale_and_stray_events_are_ignored() {
    for state in [
        State::Starting,
        State::Running,
        State::Stopping,
        State::Unknown,
    ] {
        let mut scene = Scene::in_state(state);
        let before = scene.fleet.clone();
        let (process, status) = (scene.id("a"), ExitStatus::Code(0));
        assert_eq!(
            scene.handle(Event::Exited {
                process,
                pid: 4,
                status
            }),
            [""; 0]
        );
        assert_eq!(scene.spawn_failed("a"), [""; 0]);
        assert_eq!(scene.handle(Event::Spawned { process, pid: 4 }), [""; 0]);
        let process = ProcessId(77);
        assert_eq!(scene.handle(Event::Spawned { process, pid: 4 }), [""; 0]);
        assert_eq!(scene.fleet, before);
    }
}

#[test]
fn what_each_request_answers_in_each_state() {
    let asked = [
        "start a",
        "stop a",
        "signal a",
        "start all",
        "stop all",
        "signal all",
        "remove a",
    ];
    let (none, gone) = ("NotRunning", "StillRunning");
    let already = "AlreadyStarted";
    // An empty text: not a word about it. "…": the answer comes later.
    for (state, expected) in [
        (State::Stopped, ["…", none, none, "…", "", "", "Removed"]),
        (
            State::Starting,
            [already, "…", "Signalled", "", "…", "Signalled", gone],
        ),
        (
            State::Running,
            [already, "…", "Signalled", "", "…", "Signalled", gone],
        ),
        (
            State::Backoff,
            [already, "Stopped", none, "", "Stopped", "", gone],
        ),
        (
            State::Stopping,
            [
                "AbnormalTermination",
                none,
                "Signalled",
                "AbnormalTermination",
                "",
                "Signalled",
                gone,
            ],
        ),
        (State::Exited, ["…", none, none, "…", "", "", "Removed"]),
        (State::Fatal, ["…", none, none, "…", "", "", "Removed"]),
        (
            State::Unknown,
            [
                "UnknownState",
                none,
                none,
                "UnknownState",
                "",
                "",
                "Removed",
            ],
        ),
    ] {
        for (asked, expected) in asked.into_iter().zip(expected) {
            let mut scene = Scene::in_state(state);
            let answer = answers(scene.ask(asked));
            let expected: Vec<String> = match expected {
                "…" => vec![],
                "" => vec!["#1 answered".to_owned()],
                line => vec![format!("#1 a: {line}"), "#1 answered".to_owned()],
            };
            assert_eq!(answer, expected, "{asked} in {state}");
        }
    }
}

#[test]
fn a_signal_goes_to_the_process_alone() {
    let mut scene = Scene::one(Policy {
        stopasgroup: true,
        killasgroup: true,
        ..policy()
    });
    scene.run("a");
    assert_eq!(effects(scene.ask("signal a"))[0], "Asked 10 to a");
    scene.ask("halt a");
    assert_eq!(
        effects(scene.ask("signal a"))[0],
        "Asked 10 to a",
        "while STOPPING too"
    );
    let mut scene = Scene::one(policy());
    scene.ask("launch a");
    assert_eq!(
        answers(scene.ask("signal a"))[0],
        "#2 a: NotRunning",
        "no pid yet"
    );
}

#[test]
fn an_undeliverable_signal_ends_in_unknown() {
    let mut scene = Scene::in_state(State::Running);
    scene.ask("stop a");
    let refused = ["#1 a: SignalFailed(\"EPERM\")", "#1 answered"];
    assert_eq!(answers(scene.signal_failed("a")), refused);
    assert_eq!(
        (scene.state("a"), scene.process("a").pid()),
        (State::Unknown, Some(100))
    );
    assert_eq!(scene.fleet.next_deadline(), None);
    assert_eq!(scene.died("a", 1), ["a STOPPED: Stopped(Code(1))"]);
    let mut scene = Scene::in_state(State::Starting);
    scene.signal_failed("a");
    assert_eq!(
        scene.ask("shutdown").last().unwrap(),
        "finished, start over: false"
    );
}

#[test]
fn without_waiting_the_answer_comes_at_once() {
    let mut scene = Scene::one(policy());
    assert_eq!(
        answers(scene.ask("launch a")),
        ["#1 a: Started", "#1 answered"]
    );
    scene.spawned("a");
    assert_eq!(
        answers(scene.ask("halt a")),
        ["#2 a: Stopped", "#2 answered"]
    );
}

#[test]
fn unknown_names() {
    let mut scene = Scene::one(policy());
    for verb in ["start", "stop", "signal"] {
        let asked = format!("{verb} no no:x no:* no?");
        let answer = answers(scene.ask(&asked));
        let lines: Vec<&str> = answer.iter().map(|line| &line[3..]).collect();
        assert_eq!(
            lines,
            [
                "no: NoSuchProcess",
                "no:x: NoSuchProcess",
                "no: NoSuchGroup",
                "no?: NoSuchProcess",
                "answered"
            ]
        );
    }
    let answer = answers(scene.ask("restart no"));
    assert_eq!(
        answer,
        [
            "#4 no: NoSuchProcess",
            "#4 no: NoSuchProcess",
            "#4 answered"
        ]
    );
    assert_eq!(
        answers(scene.ask("remove no")),
        ["#5 no: NoSuchGroup", "#5 answered"]
    );
    assert_eq!(answers(scene.ask("stop all")), ["#6 answered"]);
}

/// Two groups; `late` starts last although it comes first by name.
fn two_groups() -> Scene {
    let mut late = group("early", 20, &["y", "x"], &policy());
    late.processes[1].1.priority = 1;
    Scene::with(vec![late, group("web", 10, &["b", "a"], &policy())])
}

#[test]
fn orders() {
    let mut scene = two_groups();
    let starts = effects(scene.ask("start all"));
    assert_eq!(
        starts,
        [
            "start web:b",
            "start web:a",
            "start early:x",
            "start early:y"
        ]
    );
    for name in ["web:a", "web:b", "early:x", "early:y"] {
        scene.spawned(name);
    }
    scene.tick(2_000);
    let stops = effects(scene.ask("stop all"));
    assert_eq!(
        stops,
        [
            "Stop 15 to early:y",
            "Stop 15 to early:x",
            "Stop 15 to web:a",
            "Stop 15 to web:b"
        ]
    );
    let mut scene = two_groups();
    let starts = effects(scene.ask("start early:y web:[ab]"));
    assert_eq!(
        starts,
        ["start early:y", "start web:b", "start web:a"],
        "arguments as typed"
    );
}

#[test]
fn a_group_is_answered_in_order_of_completion_and_arguments_in_theirs() {
    let mut scene = two_groups();
    scene.run("web:a web:b early:x");
    scene.ask("stop early:x web:*");
    assert_eq!(
        answers(scene.died("web:b", 0)),
        [""; 0],
        "early:x comes first"
    );
    assert_eq!(
        answers(scene.died("early:x", 0)),
        ["#4 early:x: Stopped", "#4 web:b: Stopped"]
    );
    assert_eq!(
        answers(scene.died("web:a", 0)),
        ["#4 web:a: Stopped", "#4 answered"]
    );
}

#[test]
fn the_same_name_twice() {
    let mut scene = Scene::one(policy());
    assert_eq!(answers(scene.ask("start a a")), [""; 0]);
    scene.spawned("a");
    let started = ["#1 a: Started", "#1 a: AlreadyStarted", "#1 answered"];
    assert_eq!(answers(scene.tick(2_000)), started);
    scene.ask("stop a a");
    let stopped = ["#2 a: Stopped", "#2 a: NotRunning", "#2 answered"];
    assert_eq!(answers(scene.died("a", 0)), stopped);
    scene.ask("restart a a");
    scene.spawned("a");
    let lines: Vec<String> = answers(scene.tick(2_000));
    assert_eq!(
        lines,
        ["#3 a: Started", "#3 a: AlreadyStarted", "#3 answered"]
    );
}

#[test]
fn two_operators_are_both_answered() {
    let mut scene = Scene::in_state(State::Running);
    scene.ask("stop a");
    scene.ask("restart a");
    assert_eq!(
        answers(scene.died("a", 0)),
        ["#1 a: Stopped", "#1 answered", "#2 a: Stopped"]
    );
    assert_eq!(scene.state("a"), State::Starting);
}

#[test]
fn a_restart_starts_when_all_have_stopped() {
    let mut scene = two_groups();
    scene.run("web:a early:x");
    let stops = effects(scene.ask("restart all"));
    assert_eq!(stops, ["Stop 15 to early:x", "Stop 15 to web:a"]);
    assert_eq!(scene.died("web:a", 0)[1..], ["#3 web:a: Stopped"]);
    assert_eq!(
        effects(scene.died("early:x", 0)),
        [
            "start web:b",
            "start web:a",
            "start early:x",
            "start early:y",
            "#3 early:x: Stopped"
        ],
        "in starting order, and the stopped ones too"
    );
    scene.spawned("web:a");
    scene.spawned("early:x");
    scene.tick(2_000);
    let failed = answers(scene.spawn_failed("web:b"));
    assert!(failed[0].starts_with("#3 web:b: SpawnFailed"), "{failed:?}");
}

#[test]
fn a_restart_of_what_does_not_run() {
    let mut scene = Scene::one(policy());
    let actions = scene.ask("restart a");
    assert_eq!(
        actions,
        ["a STARTING: Asked", "start a", "#1 a: NotRunning"]
    );
    scene.spawned("a");
    assert_eq!(answers(scene.tick(2_000)), ["#1 a: Started", "#1 answered"]);
    let mut scene = Scene::in_state(State::Unknown);
    let refused = ["#1 a: NotRunning", "#1 a: UnknownState", "#1 answered"];
    assert_eq!(scene.ask("restart a"), refused);
    let mut scene = Scene::in_state(State::Backoff);
    let actions = effects(scene.ask("restart a"));
    assert_eq!(actions, ["start a", "#1 a: Stopped"]);
}

#[test]
fn the_last_word_counts() {
    let mut scene = Scene::in_state(State::Running);
    scene.ask("restart a");
    assert_eq!(
        scene.ask("stop a"),
        [""; 0],
        "joins in waiting for the stop"
    );
    let actions = scene.died("a", 0);
    assert_eq!(
        actions[1..],
        [
            "#1 a: Stopped",
            "#1 a: AbnormalTermination",
            "#1 answered",
            "#2 a: Stopped",
            "#2 answered"
        ]
    );
    assert_eq!(scene.state("a"), State::Stopped);

    // One that has stopped already and waits for the others of its round.
    let mut scene = two_groups();
    scene.run("web:a web:b");
    scene.ask("restart web:*");
    scene.died("web:a", 0);
    assert_eq!(
        answers(scene.ask("stop web:a")),
        ["#4 web:a: Stopped", "#4 answered"]
    );
    assert_eq!(effects(scene.died("web:b", 0))[0], "start web:b");
    assert_eq!(scene.state("web:a"), State::Stopped);
}

#[test]
fn whoever_asks_for_a_restart_last_has_the_process() {
    let mut scene = two_groups();
    scene.run("web:a web:b");
    scene.ask("restart web:*");
    scene.died("web:a", 0);
    assert_eq!(
        effects(scene.ask("restart web:a"))[..1],
        ["start web:a"],
        "it need not wait"
    );
    scene.spawned("web:a");
    scene.tick(2_000);
    scene.died("web:b", 0);
    scene.spawned("web:b");
    let rest = answers(scene.tick(2_000));
    assert_eq!(rest, ["#3 web:b: Started", "#3 answered"]);
}

#[test]
fn an_abandoned_request_goes_on_without_a_word() {
    let mut scene = Scene::in_state(State::Running);
    scene.ask("restart a");
    assert_eq!(scene.abandon(1), [""; 0]);
    let actions = scene.died("a", 0);
    assert_eq!(actions[1..], ["a STARTING: Asked", "start a"]);
    assert_eq!(scene.abandon(1), [""; 0]);
}

#[test]
fn adding() {
    let auto = Policy {
        autostart: true,
        ..policy()
    };
    let mut scene = Scene::with(vec![]);
    let groups = vec![
        group("late", 20, &["z"], &auto),
        group("web", 10, &["b", "a"], &auto),
    ];
    let actions = scene.ask_for(Request::Add {
        groups: groups.clone(),
    });
    assert_eq!(
        effects(actions),
        [
            "late comes",
            "web comes",
            "start web:b",
            "start web:a",
            "start late:z",
            "#1 late: Added",
            "#1 web: Added",
            "#1 answered",
        ]
    );
    let again = scene.ask_for(Request::Add {
        groups: groups[..1].to_vec(),
    });
    assert_eq!(again, ["#2 late: AlreadyAdded", "#2 answered"]);
    let twice = group("twin", 1, &["t", "t"], &auto);
    let actions = scene.ask_for(Request::Add {
        groups: vec![twice],
    });
    assert_eq!(effects(actions)[..2], ["twin comes", "start twin:t"]);
}

#[test]
fn an_update() {
    let auto = Policy {
        autostart: true,
        ..policy()
    };
    let names = ["old", "idle", "ch", "keep"];
    let mut scene = Scene::with(names.iter().map(|name| program(name, policy())).collect());
    scene.run("old ch keep");
    let request = Request::Update(Changes {
        removed: vec!["old".into(), "idle".into(), "never".into()],
        changed: vec![program("ch", auto.clone()), program("gone", policy())],
        added: vec![
            program("new2", auto.clone()),
            program("new1", auto.clone()),
            program("keep", policy()),
        ],
        ..Changes::default()
    });
    assert_eq!(
        effects(scene.ask_for(request)),
        [
            "#4 never: NoSuchGroup",
            "#4 gone: NoSuchGroup",
            "Stop 15 to old",
            "#4 idle: Stopped",
            "idle leaves",
            "#4 idle: Removed",
        ]
    );
    assert_eq!(
        scene.state("ch"),
        State::Running,
        "what changed is stopped when the removed are gone"
    );
    let answer = answers(scene.ask("start old"));
    assert_eq!(
        answer,
        ["#5 old: AbnormalTermination", "#5 answered"],
        "it is STOPPING"
    );
    assert_eq!(
        effects(scene.died("old", 0)),
        [
            "#4 old: Stopped",
            "old leaves",
            "#4 old: Removed",
            "Stop 15 to ch"
        ]
    );
    assert_eq!(
        effects(scene.died("ch", 0)),
        [
            "#4 ch: Stopped",
            "ch leaves",
            "ch comes",
            "start ch",
            "#4 ch: Updated",
            "#4 keep: AlreadyAdded",
            "new1 comes",
            "#4 new1: Added",
            "new2 comes",
            "#4 new2: Added",
            "start new1",
            "start new2",
            "#4 answered",
        ]
    );
    assert_eq!(scene.state("keep"), State::Running);
}

#[test]
fn a_group_that_departs_is_left_to_its_update() {
    let mut scene = Scene::with(vec![group("g", 1, &["a", "b"], &policy())]);
    scene.run("g:a g:b");
    scene.ask("restart g:a");
    let update = |name: &str| {
        Request::Update(Changes {
            removed: vec![name.to_owned()],
            changed: vec![],
            added: vec![],
            ..Changes::default()
        })
    };
    let overtaken = answers(scene.ask_for(update("g")));
    assert_eq!(overtaken, [""; 0], "the line of the stop comes first");
    let refused = scene.ask_for(update("g"));
    assert_eq!(refused, ["#5 g: StillRunning", "#5 answered"]);
    assert_eq!(
        answers(scene.died("g:a", 0)),
        [
            "#3 g:a: Stopped",
            "#3 g:a: AbnormalTermination",
            "#3 answered"
        ]
    );
    for verb in ["start", "restart"] {
        let answer = answers(scene.ask(&format!("{verb} g:a")));
        assert!(
            answer
                .iter()
                .any(|line| line.ends_with("g:a: AbnormalTermination")),
            "{answer:?}"
        );
    }
    assert_eq!(
        effects(scene.died("g:b", 0))[..2],
        ["#4 g: Stopped", "g leaves"]
    );
}

#[test]
fn a_shutdown_ends_an_update_and_a_restart() {
    let mut scene = Scene::with(vec![program("a", policy()), program("b", policy())]);
    scene.run("a b");
    scene.ask("restart b");
    scene.ask_for(Request::Update(Changes {
        removed: vec!["a".into()],
        changed: vec![],
        added: vec![program("c", policy())],
        ..Changes::default()
    }));
    let actions = effects(scene.ask("shutdown"));
    assert_eq!(
        actions,
        [
            "#4 a: ShuttingDown",
            "#4 c: ShuttingDown",
            "#4 answered",
            "#5 : Leaving",
            "#5 answered",
            "waiting for a, b",
        ]
    );
    let last = answers(scene.died("b", 0));
    assert_eq!(last, ["#3 b: Stopped", "#3 b: ShuttingDown", "#3 answered"]);
    assert_eq!(scene.died("a", 0)[1..], ["finished, start over: false"]);
}

#[test]
fn a_shutdown_goes_down_the_priorities() {
    let groups = vec![
        group("one", 1, &["a"], &policy()),
        group("off", 5, &["o"], &policy()),
        group("two", 9, &["a", "b"], &policy()),
        group("also", 9, &["c"], &policy()),
        group("top", 10, &["o"], &policy()),
    ];
    let mut scene = Scene::with(groups);
    scene.run("one:a two:a two:b also:c");
    let actions = effects(scene.ask("shutdown"));
    assert_eq!(
        actions,
        [
            "Stop 15 to two:b",
            "Stop 15 to two:a",
            "Stop 15 to also:c",
            "#5 : Leaving",
            "#5 answered",
            "waiting for also:c, one:a, two:a, two:b",
        ]
    );
    assert_eq!(effects(scene.died("two:b", 0)), [""; 0]);
    assert_eq!(effects(scene.died("also:c", 0)), [""; 0]);
    assert_eq!(
        scene.wait(),
        (3_000, vec!["waiting for one:a, two:a".to_owned()])
    );
    assert_eq!(
        answers(scene.ask("start off:o")),
        ["#6 : ShuttingDown", "#6 answered"]
    );
    assert_eq!(
        answers(scene.ask("shutdown")),
        ["#7 : ShuttingDown", "#7 answered"]
    );
    assert_eq!(
        effects(scene.died("two:a", 0)),
        ["Stop 15 to one:a"],
        "nothing waits for the idle"
    );
    assert_eq!(
        effects(scene.died("one:a", 0)),
        ["finished, start over: false"]
    );
    assert_eq!(
        (scene.fleet.is_leaving(), scene.fleet.next_deadline()),
        (true, None)
    );
    assert_eq!(
        answers(scene.ask("shutdown")),
        ["#8 : ShuttingDown", "#8 answered"]
    );
}

#[test]
fn whatever_waits_for_a_start_gives_up_when_leaving() {
    let mut scene = Scene::with(vec![
        group("g", 1, &["a", "b", "c"], &policy()),
        group("h", 2, &["d"], &policy()),
    ]);
    scene.run("g:b h:d");
    scene.ask("launch g:a g:c");
    scene.spawn_failed("g:a");
    scene.spawned("g:c");
    scene.ask("reload");
    assert_eq!(scene.state("g:a"), State::Fatal);
    let actions = scene.died("g:c", 0);
    assert_eq!(
        actions,
        [
            "g:c BACKOFF: ExitedTooQuickly(Code(0))",
            "g:c FATAL: Leaving"
        ]
    );
    scene.died("g:b", 1);
    assert_eq!(scene.state("g:b"), State::Exited, "no autorestart");
    assert_eq!(
        answers(scene.ask("reload")),
        ["#5 : ShuttingDown", "#5 answered"]
    );
    assert_eq!(
        answers(scene.ask("shutdown")),
        ["#6 : Leaving", "#6 answered"],
        "to end overrules"
    );
    assert_eq!(
        effects(scene.died("h:d", 0)),
        ["finished, start over: false"]
    );
}

#[test]
fn an_empty_fleet_leaves_at_once() {
    let mut scene = Scene::with(vec![]);
    assert_eq!(
        scene.ask("reload"),
        ["#1 : Leaving", "#1 answered", "finished, start over: true"]
    );
}

#[test]
fn selecting_for_status() {
    let mut scene = two_groups();
    scene.run("web:a");
    let shown = |text: &str| -> Vec<String> {
        let mut lines = Vec::new();
        for one in scene.fleet.select(&crate::scene::selectors(text)) {
            match one.processes {
                Err(refusal) => lines.push(format!("{}: {refusal:?}", one.subject)),
                Ok(ids) => lines.extend(
                    ids.iter()
                        .map(|id| scene.fleet.get(*id).unwrap().name().to_string()),
                ),
            }
        }
        lines
    };
    assert_eq!(shown("all"), ["early:x", "early:y", "web:a", "web:b"]);
    assert_eq!(shown("web:b nope all"), shown("all"));
    assert_eq!(
        shown("web:b web:* no:* web:b"),
        ["web:b", "web:a", "web:b", "no: NoSuchGroup", "web:b"]
    );
    assert_eq!(
        shown("*:[ax] zzz*"),
        ["early:x", "web:a", "zzz*: NoSuchProcess"]
    );
    let all: Vec<String> = scene
        .fleet
        .processes()
        .map(|one| one.name().to_string())
        .collect();
    assert_eq!(all, shown("all"));
    let groups: Vec<&str> = scene.fleet.groups().map(|(name, _)| name).collect();
    assert_eq!(groups, ["early", "web"]);
}

#[test]
fn times_are_reported() {
    let mut scene = Scene::one(policy());
    assert_eq!(
        (scene.process("a").started(), scene.process("a").ended()),
        (None, None)
    );
    scene.run("a");
    let started = scene.process("a").started().unwrap();
    assert_eq!(scene.now.stamp.since(started.stamp).as_secs(), 60);
    scene.died("a", 0);
    assert_eq!(scene.process("a").ended(), Some(scene.now));
    scene.ask("start a");
    assert_eq!(scene.process("a").exit_status(), None);
    assert!(scene.process("a").ended().is_some(), "kept over restarts");
}
