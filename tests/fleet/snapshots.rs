//! A brain that takes over goes on with everything its predecessor had begun.

use std::collections::BTreeMap;

use appctl::config::Policy;
use appctl::fleet::snapshot::SPAWN_ERROR_BYTES_MAX;
use appctl::fleet::*;

use crate::scene::{Scene, effects, group, policy, program};

/// Encoded and decoded, as a successor gets it.
pub fn carry_over<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(value).unwrap()).unwrap()
}

pub fn records(fleet: &Fleet) -> BTreeMap<ProcessId, Record> {
    let ids = fleet.processes().map(Process::id);
    ids.map(|id| (id, carry_over(&fleet.record(id).unwrap())))
        .collect()
}

/// The fleet as the next brain has it.
pub fn successor(fleet: &Fleet) -> Fleet {
    let restored = Fleet::restore(carry_over(&fleet.structure()), records(fleet)).unwrap();
    restored.check().unwrap();
    restored
}

fn succeed(scene: &mut Scene) -> Vec<String> {
    scene.fleet = successor(&scene.fleet);
    scene.tick(0)
}

#[test]
fn every_state_is_carried_over() {
    for state in [
        State::Stopped,
        State::Starting,
        State::Running,
        State::Backoff,
        State::Stopping,
        State::Exited,
        State::Fatal,
        State::Unknown,
    ] {
        let mut scene = Scene::in_state(state);
        let before = scene.process("a").clone();
        assert_eq!(succeed(&mut scene), [""; 0]);
        assert_eq!(scene.process("a"), &before);
        assert_eq!(scene.fleet.record(scene.id("a")).unwrap().state(), state);
        assert_eq!(
            scene.fleet.record(scene.id("a")).unwrap().pid(),
            before.pid()
        );
    }
}

#[test]
fn deadlines_are_carried_over() {
    let mut scene = Scene::in_state(State::Backoff);
    scene.tick(600);
    succeed(&mut scene);
    assert_eq!(
        scene.wait(),
        (400, vec!["a STARTING: Retry(1)".into(), "start a".into()])
    );
}

#[test]
fn an_unanswered_start_is_still_unanswered() {
    let mut scene = Scene::one(policy());
    scene.ask("launch a");
    assert_eq!(succeed(&mut scene), [""; 0]);
    assert!(scene.process("a").is_launching());
    scene.ask("stop a");
    succeed(&mut scene);
    assert_eq!(scene.spawned("a"), ["Stop 15 to a"]);
}

#[test]
fn a_restart_goes_on() {
    let names = ["a", "b", "off"];
    let mut scene = Scene::with(vec![group("g", 1, &names, &policy())]);
    scene.run("g:a g:b");
    scene.ask("restart g:*");
    scene.died("g:a", 0);
    assert_eq!(succeed(&mut scene), [""; 0]);
    let starts = effects(scene.died("g:b", 0));
    assert_eq!(
        starts,
        ["start g:a", "start g:b", "start g:off"],
        "and nobody to tell"
    );
}

#[test]
fn a_restart_whose_last_stop_was_the_last_thing_recorded_goes_on() {
    let mut scene = Scene::in_state(State::Running);
    scene.ask("restart a");
    let mut records = records(&scene.fleet);
    let mut stopped = Scene::in_state(State::Running);
    stopped.ask("stop a");
    stopped.died("a", 0);
    // STOPPED as after the exit, in a round as before it.
    let id = scene.id("a");
    let mut json = serde_json::to_value(&records[&id]).unwrap();
    let ended = stopped.fleet.record(id).unwrap();
    json["phase"] = serde_json::to_value(ended).unwrap()["phase"].clone();
    records.insert(id, serde_json::from_value(json).unwrap());
    scene.fleet = Fleet::restore(scene.fleet.structure(), records).unwrap();
    assert_eq!(scene.tick(0), ["a STARTING: Asked", "start a"]);
}

#[test]
fn an_update_goes_on() {
    let auto = Policy {
        autostart: true,
        ..policy()
    };
    let mut scene = Scene::with(vec![program("old", policy()), program("ch", policy())]);
    scene.run("old ch");
    scene.ask_for(Request::Update(Changes {
        removed: vec!["old".into()],
        changed: vec![program("ch", auto.clone())],
        added: vec![program("new", auto)],
        ..Changes::default()
    }));
    assert_eq!(succeed(&mut scene), [""; 0], "it was told to stop already");
    assert_eq!(
        effects(scene.died("old", 0)),
        ["old leaves", "Stop 15 to ch"]
    );
    assert_eq!(succeed(&mut scene), [""; 0]);
    let rest = effects(scene.died("ch", 0));
    assert_eq!(
        rest,
        [
            "ch leaves",
            "ch comes",
            "start ch",
            "new comes",
            "start new"
        ]
    );
    assert_eq!(scene.fleet.structure(), successor(&scene.fleet).structure());
}

#[test]
fn an_update_whose_stops_were_not_recorded_is_carried_out() {
    let mut scene = Scene::with(vec![program("old", policy())]);
    scene.run("old");
    let records = records(&scene.fleet);
    scene.ask_for(Request::Update(Changes {
        removed: vec!["old".into()],
        changed: vec![],
        added: vec![],
        ..Changes::default()
    }));
    scene.fleet = Fleet::restore(scene.fleet.structure(), records).unwrap();
    assert_eq!(effects(scene.tick(0)), ["Stop 15 to old"]);
}

#[test]
fn leaving_goes_on() {
    for (asked, start_over) in [("shutdown", false), ("reload", true)] {
        let groups = vec![
            group("low", 1, &["a", "b"], &policy()),
            group("top", 2, &["c"], &policy()),
        ];
        let mut scene = Scene::with(groups);
        scene.run("low:a top:c");
        scene.ask("launch low:b");
        scene.spawn_failed("low:b");
        let failing = records(&scene.fleet);
        scene.ask(asked);
        assert_eq!(succeed(&mut scene), ["waiting for low:a, top:c"]);
        assert_eq!(effects(scene.died("top:c", 0)), ["Stop 15 to low:a"]);
        let last = format!("finished, start over: {start_over}");
        assert_eq!(effects(scene.died("low:a", 0)), [last.as_str()]);
        assert_eq!(
            succeed(&mut scene),
            [last.as_str()],
            "said again: the listener died"
        );

        // Records from before: all is told to stop again, and nothing is tried again.
        scene.fleet = Fleet::restore(scene.fleet.structure(), failing).unwrap();
        let actions = scene.tick(10_000);
        assert_eq!(actions[0], "low:b FATAL: Leaving");
        assert_eq!(
            effects(actions),
            ["Stop 15 to top:c", "waiting for low:a, top:c"]
        );
    }
}

#[test]
fn a_process_without_a_record_is_about_to_be_autostarted() {
    let auto = Policy {
        autostart: true,
        ..policy()
    };
    let mut scene = Scene::with(vec![program("a", auto), program("b", policy())]);
    scene.fleet = Fleet::restore(scene.fleet.structure(), BTreeMap::new()).unwrap();
    assert_eq!(scene.tick(0), [""; 0]);
    assert!(scene.process("a").is_launching());
    assert_eq!(scene.state("b"), State::Stopped);
    scene.spawned("a");
    scene.tick(2_000);
    assert_eq!(scene.state("a"), State::Running);
}

#[test]
fn what_is_unsaved() {
    let mut scene = Scene::one(policy());
    let first = scene.fleet.take_unsaved();
    assert_eq!((first.processes.len(), first.structure), (1, true));
    let none = Unsaved::default();
    scene.tick(1_000);
    scene.ask("stop a");
    assert_eq!(scene.fleet.take_unsaved(), none);
    for step in ["launch a", "spawned", "restart a", "stop a", "exit"] {
        match step {
            "spawned" => drop(scene.spawned("a")),
            "exit" => drop(scene.died("a", 0)),
            asked => drop(scene.ask(asked)),
        }
        let unsaved = scene.fleet.take_unsaved();
        assert_eq!(
            (unsaved.processes.len(), unsaved.structure),
            (1, false),
            "{step}"
        );
    }
    scene.ask("remove a");
    let left = scene.fleet.take_unsaved();
    assert!(left.structure);
    assert_eq!(scene.fleet.record(*left.processes.first().unwrap()), None);
    scene.ask("shutdown");
    assert!(scene.fleet.take_unsaved().structure);
}

#[test]
fn a_record_is_small() {
    let mut scene = Scene::one(policy());
    scene.ask("launch a");
    let text = "ä".repeat(10_000);
    let failure = SpawnFailure {
        kind: SpawnFailureKind::Other,
        text,
    };
    let process = scene.id("a");
    scene.handle(Event::SpawnFailed { process, failure });
    let record = scene.fleet.record(process).unwrap();
    let bytes = postcard::to_stdvec(&record).unwrap().len();
    assert!(bytes <= SPAWN_ERROR_BYTES_MAX + 64, "{bytes}");
    let odd = "x".to_owned() + &"ä".repeat(10_000);
    scene.ask("stop a");
    scene.ask("launch a");
    let failure = SpawnFailure {
        kind: SpawnFailureKind::Other,
        text: odd,
    };
    scene.handle(Event::SpawnFailed { process, failure });
    successor(&scene.fleet);
}

#[test]
fn a_damaged_structure_is_refused() {
    let scene = Scene::with(vec![program("a", policy()), program("b", policy())]);
    let json = serde_json::to_value(scene.fleet.structure()).unwrap();
    let restore = |damage: &dyn Fn(&mut serde_json::Value)| {
        let mut json = json.clone();
        damage(&mut json);
        let structure: Structure = serde_json::from_value(json).unwrap();
        Fleet::restore(structure, BTreeMap::new()).map(drop)
    };
    assert_eq!(restore(&|_| ()), Ok(()));
    let name = ProcessName {
        group: "a".into(),
        process: "a".into(),
    };
    for (expected, text) in [
        (
            restore(&|json| json["next_id"] = 1.into()),
            RestoreError::IdNotGiven(ProcessId(1)),
        ),
        (
            restore(&|json| json["groups"][1][1][0] = 0.into()),
            RestoreError::IdTwice(ProcessId(0)),
        ),
        (
            restore(&|json| json["groups"][1] = json["groups"][0].clone()),
            RestoreError::GroupTwice("a".into()),
        ),
        (
            restore(&|json| json["groups"][0][1] = serde_json::json!([])),
            RestoreError::IdsMissing("a".into()),
        ),
        (
            restore(&|json| {
                let process = json["groups"][0][0]["processes"][0].clone();
                json["groups"][0][0]["processes"] = serde_json::json!([process, process]);
                json["groups"][0][1] = serde_json::json!([0, 2]);
                json["next_id"] = 3.into();
            }),
            RestoreError::NameTwice(name),
        ),
    ] {
        assert!(text.to_string().starts_with("cannot restore the fleet: "));
        assert_eq!(expected, Err(text));
    }
}
