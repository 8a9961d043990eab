//! The fleet that leaves by itself, and the exit code it leaves with.

use appctl::config::{Autorestart, Policy};
use appctl::fleet::*;

use crate::scene::{Scene, effects, policy, program};
use crate::snapshots::successor;

fn essential() -> Policy {
    Policy {
        essential: true,
        autorestart: Autorestart::Never,
        ..policy()
    }
}

/// An essential program `a` and another one `b`, both RUNNING.
fn two(policy_of_a: Policy) -> Scene {
    let mut scene = Scene::with(vec![program("a", policy_of_a), program("b", policy())]);
    scene.run("a b");
    scene
}

#[test]
fn the_final_end_of_an_essential_program_is_the_end() {
    let killed = ExitStatus::Signal {
        number: 9,
        core: false,
    };
    for (status, code) in [
        (ExitStatus::Code(0), 0),
        (ExitStatus::Code(7), 7),
        (killed, 137),
        (ExitStatus::Unknown, 1),
    ] {
        let mut scene = two(essential());
        let told = effects(scene.exited("a", status));
        assert_eq!(
            told,
            [
                &format!("ending with {code}"),
                "Stop 15 to b",
                "waiting for b"
            ]
        );
        // A brain that dies meanwhile changes nothing.
        scene.fleet = successor(&scene.fleet);
        let last = effects(scene.died("b", 3)).pop().unwrap();
        match code {
            0 => assert_eq!(last, "finished, start over: false"),
            code => assert_eq!(last, format!("finished with {code}")),
        }
    }
}

#[test]
fn an_end_that_is_not_final_or_was_asked_for_is_none() {
    let mut scene = two(Policy {
        autorestart: Autorestart::Always,
        ..essential()
    });
    scene.died("a", 7);
    assert!(!scene.fleet.is_leaving(), "it is restarted");
    let mut scene = two(essential());
    scene.ask("stop a");
    scene.died("a", 7);
    assert!(!scene.fleet.is_leaving(), "somebody stopped it");
    let mut scene = two(essential());
    scene.died("b", 7);
    assert!(!scene.fleet.is_leaving(), "the other one is not essential");
}

#[test]
fn one_that_cannot_be_started_ends_it_once_it_is_given_up() {
    let mut scene = Scene::with(vec![program(
        "a",
        Policy {
            startretries: 1,
            ..essential()
        },
    )]);
    scene.ask("launch a");
    scene.spawn_failed("a");
    assert!(!scene.fleet.is_leaving());
    scene.wait();
    let told = effects(scene.spawn_failed("a"));
    assert!(told.contains(&"ending with 127".to_owned()), "{told:?}");
    let mut scene = Scene::with(vec![program(
        "a",
        Policy {
            startretries: 0,
            ..essential()
        },
    )]);
    scene.ask("launch a");
    scene.spawned("a");
    let told = effects(scene.died("a", 9));
    assert!(told.contains(&"ending with 9".to_owned()), "{told:?}");
}

#[test]
fn it_can_end_when_anything_is_fatal() {
    let mut scene = two(policy());
    scene.fleet.end_when(Some(EndWhen::Fatal));
    scene.died("a", 0);
    assert!(!scene.fleet.is_leaving());
    scene.ask("launch a");
    for _ in 0..4 {
        assert!(!scene.fleet.is_leaving());
        scene.spawn_failed("a");
        if !scene.fleet.is_leaving() {
            scene.wait();
        }
    }
    assert!(scene.fleet.is_leaving());
}

#[test]
fn it_can_end_when_everything_has() {
    let mut scene = two(Policy {
        autorestart: Autorestart::Never,
        ..policy()
    });
    scene.fleet.end_when(Some(EndWhen::Done));
    scene.tick(0);
    scene.died("a", 4);
    assert!(!scene.fleet.is_leaving());
    scene.ask("restart b");
    scene.died("b", 0);
    assert_eq!(scene.state("b"), State::Starting, "it was to be restarted");
    scene.spawned("b");
    scene.tick(60_000);
    let told = effects(scene.died("b", 0));
    assert_eq!(told, ["ending with 4", "finished with 4"]);
    // Before anything was started there is no end.
    let mut scene = Scene::with(vec![program("a", policy())]);
    scene.fleet.end_when(Some(EndWhen::Done));
    scene.tick(0);
    assert!(!scene.fleet.is_leaving());
}

#[test]
fn a_single_program_decides_whoever_ended_it() {
    let mut scene = Scene::with(vec![program("a", policy())]);
    scene.fleet.end_when(Some(EndWhen::Single));
    scene.run("a");
    scene.ask("shutdown");
    let ended = ExitStatus::Signal {
        number: 15,
        core: false,
    };
    assert_eq!(effects(scene.exited("a", ended)), ["finished with 143"]);
}
