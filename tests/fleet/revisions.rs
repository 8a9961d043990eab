//! Updates that revise a group process by process: what is foreseen is what happens, and nothing
//! else is touched.

use std::collections::{BTreeMap, BTreeSet};

use appctl::config::Policy;
use appctl::fleet::*;
use proptest::prelude::*;

use crate::scene::{Scene, answers, effects, group, policy, process_name, program};
use crate::snapshots::{records, successor};

fn auto() -> Policy {
    Policy {
        autostart: true,
        ..policy()
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn revised(group: GroupPolicy, replaced: &[&str], adjusted: &[&str]) -> Changes {
    Changes {
        revised: vec![Revision {
            group,
            replaced: set(replaced),
            adjusted: set(adjusted),
        }],
        ..Changes::default()
    }
}

#[test]
fn only_what_differs_is_touched() {
    let mut scene = Scene::with(vec![group("g", 1, &["a", "b", "c", "d"], &policy())]);
    scene.run("g:a g:b g:c g:d");
    let next = GroupPolicy {
        name: "g".into(),
        priority: 5,
        processes: vec![
            ("a".into(), policy()),
            ("b".into(), auto()),
            (
                "c".into(),
                Policy {
                    stopwaitsecs: 1,
                    ..policy()
                },
            ),
            ("e".into(), auto()),
            ("f".into(), policy()),
        ],
    };
    let changes = revised(next, &["b"], &["c"]);
    let foreseen: Vec<String> = scene
        .fleet
        .foresee(&changes)
        .into_iter()
        .map(|(name, deed)| format!("{name} {deed:?}"))
        .collect();
    assert_eq!(
        foreseen,
        [
            "g:d Stop",
            "g:b Restart",
            "g:c Adjust",
            "g:e Start",
            "g:f Add"
        ]
    );
    assert_eq!(
        effects(scene.ask_for(Request::Update(changes))),
        ["g:c revised", "#5 g:c: Adjusted", "Stop 15 to g:d"]
    );
    assert_eq!(scene.process("g:c").policy().stopwaitsecs, 1);
    assert_eq!(
        effects(scene.died("g:d", 0)),
        ["g:d leaves", "#5 g:d: Removed", "Stop 15 to g:b"]
    );
    assert_eq!(
        effects(scene.died("g:b", 0)),
        [
            "g:b revised",
            "#5 g:b: Restarted",
            "#5 g:e: Added",
            "#5 g:f: Added",
            "g grows",
            "g revised",
            "start g:e",
            "#5 answered",
            "start g:b",
        ]
    );
    assert_eq!(scene.state("g:a"), State::Running, "never touched");
}

#[test]
fn what_was_stopped_by_hand_stays_stopped_and_what_failed_tries_again() {
    let mut scene = Scene::with(vec![group("g", 1, &["stopped", "ended", "new"], &policy())]);
    scene.run("g:stopped g:ended");
    scene.ask("stop g:stopped");
    scene.died("g:stopped", 0);
    scene.died("g:ended", 0);
    let next = group("g", 1, &["stopped", "ended", "new"], &auto());
    let told = scene.ask_for(Request::Update(revised(
        next,
        &["stopped", "ended", "new"],
        &[],
    )));
    assert_eq!(
        answers(told),
        [
            "#4 g:new: Restarted",
            "#4 g:ended: Restarted",
            "#4 g:stopped: Updated",
            "#4 answered",
        ]
    );
    assert_eq!(scene.state("g:stopped"), State::Stopped);
    assert_eq!(scene.state("g:ended"), State::Starting);
    assert_eq!(scene.state("g:new"), State::Starting);
}

#[test]
fn a_stop_by_hand_overtakes_the_restart() {
    let mut scene = Scene::with(vec![program("a", auto())]);
    scene.run("a");
    scene.ask_for(Request::Update(revised(program("a", auto()), &["a"], &[])));
    scene.ask("stop a");
    assert_eq!(
        answers(scene.died("a", 0)),
        [
            "#1 a: Updated",
            "#1 answered",
            "#2 a: Stopped",
            "#2 answered"
        ]
    );
    assert_eq!(scene.state("a"), State::Stopped);
}

#[test]
fn a_restart_for_an_update_is_carried_out_by_a_successor_whatever_was_saved() {
    let mut scene = Scene::with(vec![program("a", auto())]);
    scene.run("a");
    let next = Policy {
        stopwaitsecs: 3,
        ..auto()
    };
    scene.ask_for(Request::Update(revised(program("a", next), &["a"], &[])));
    // The successor finds the structure of the end and the record of the beginning.
    let before = records(&scene.fleet);
    scene.fleet = successor(&scene.fleet);
    scene.tick(0);
    scene.died("a", 0);
    scene.fleet = Fleet::restore(scene.fleet.structure(), before).unwrap();
    scene.tick(0);
    assert_eq!(scene.state("a"), State::Stopping);
    assert_eq!(effects(scene.died("a", 0)), ["start a"]);
    assert_eq!(scene.process("a").policy().stopwaitsecs, 3);
}

#[test]
fn a_priority_changes_the_order_of_leaving() {
    let groups = ["a", "b"].map(|name| group(name, 1, &[name], &policy()));
    let mut scene = Scene::with(groups.to_vec());
    scene.run("a b");
    scene.ask_for(Request::Update(revised(
        group("a", 9, &["a"], &policy()),
        &[],
        &[],
    )));
    assert_eq!(effects(scene.ask("shutdown"))[0], "Stop 15 to a");
}

/// Where a process of the group is before the update.
#[derive(Debug, Clone, Copy)]
enum Before {
    Absent,
    NeverStarted,
    Running,
    StoppedByHand,
    Ended,
    Failing,
}

/// What the new configuration says of it.
#[derive(Debug, Clone, Copy)]
enum After {
    Absent,
    Same,
    Adjusted,
    Replaced,
}

fn fates() -> impl Strategy<Value = Vec<(Before, After, bool)>> {
    let before = prop_oneof![
        Just(Before::Absent),
        Just(Before::NeverStarted),
        Just(Before::Running),
        Just(Before::StoppedByHand),
        Just(Before::Ended),
        Just(Before::Failing),
    ];
    let after = prop_oneof![
        Just(After::Absent),
        Just(After::Same),
        Just(After::Adjusted),
        Just(After::Replaced),
    ];
    proptest::collection::vec((before, after, any::<bool>()), 1..7)
}

fn name(number: usize) -> String {
    format!("p{number}")
}

fn bring_to(scene: &mut Scene, process: &str, before: Before) {
    match before {
        Before::Absent | Before::NeverStarted => {}
        Before::Running => scene.run(process),
        Before::StoppedByHand => {
            scene.run(process);
            scene.ask(&format!("stop {process}"));
            scene.died(process, 0);
        }
        Before::Ended => {
            scene.run(process);
            scene.died(process, 0);
        }
        Before::Failing => {
            scene.ask(&format!("launch {process}"));
            scene.spawn_failed(process);
        }
    }
}

proptest! {
    #[test]
    fn what_is_foreseen_is_what_happens(fates in fates()) {
        let present = fates.iter().enumerate().filter(|(_, fate)| !matches!(fate.0, Before::Absent));
        let mut first = group("g", 1, &[], &policy());
        first.processes = present.map(|(number, _)| (name(number), policy())).collect();
        let mut scene = Scene::with(vec![first]);
        // What waits for time to pass comes last.
        for failing in [false, true] {
            for (number, (before, ..)) in fates.iter().enumerate() {
                if matches!(before, Before::Failing) == failing {
                    bring_to(&mut scene, &format!("g:p{number}"), *before);
                }
            }
        }
        let mut next = group("g", 1, &[], &policy());
        let (mut replaced, mut adjusted) = (BTreeSet::new(), BTreeSet::new());
        for (number, (_, after, autostart)) in fates.iter().enumerate() {
            let differs = matches!(after, After::Adjusted | After::Replaced);
            let policy = Policy { autostart: *autostart && differs, ..policy() };
            match after {
                After::Absent => continue,
                After::Same => {}
                After::Adjusted => drop(adjusted.insert(name(number))),
                After::Replaced => drop(replaced.insert(name(number))),
            }
            next.processes.push((name(number), policy));
        }
        let changes = Changes {
            revised: vec![Revision { group: next, replaced, adjusted }],
            ..Changes::default()
        };

        let foreseen: BTreeMap<String, Deed> = scene
            .fleet
            .foresee(&changes)
            .into_iter()
            .map(|(name, deed)| (name.to_string(), deed))
            .collect();
        let mut did = scene.ask_for(Request::Update(changes));
        while let Some(line) = did.iter().find(|line| line.starts_with("Stop ")) {
            let stopped = line.rsplit(' ').next().unwrap().to_owned();
            let position = did.iter().position(|one| one == line).unwrap();
            did[position] = format!("told {stopped} to stop");
            did.extend(scene.died(&stopped, 0));
        }

        for (number, fate) in fates.iter().enumerate() {
            let process = format!("g:p{number}");
            let stopped = did.contains(&format!("told {process} to stop"))
                || did.iter().any(|line| line.starts_with(&format!("{process} STOPPED")));
            let started = did.contains(&format!("start {process}"));
            let there = scene.fleet.find(&process_name(&process)).is_some();
            let (stops, starts, stays) = match foreseen.get(&process) {
                None => (false, false, !matches!(fate.0, Before::Absent)),
                Some(Deed::Stop) => (true, false, false),
                Some(Deed::Remove) => (false, false, false),
                Some(Deed::Restart) => (true, true, true),
                Some(Deed::Start) => (false, true, true),
                Some(Deed::Adjust | Deed::Change | Deed::Add) => (false, false, true),
            };
            prop_assert_eq!((stopped, started, there), (stops, starts, stays),
                "{} {:?}: {:?}\n{:#?}", process, fate, foreseen.get(&process), did);
        }
        prop_assert!(did.iter().any(|line| line.ends_with(" answered")));
    }
}
