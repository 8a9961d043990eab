//! Events as anyone sees them: numbered, kept, followed.

mod lab;

use lab::Lab;
use serde_json::Value;

const PROGRAMS: &str = "[program:a]\ncommand=sleep 1000\nstartsecs=0\n\
    [program:b]\ncommand=sh -c 'exit 3'\nautostart=false\nstartsecs=0\nautorestart=false\n\
    [program:c]\ncommand=sh -c 'exit 1'\nautostart=false\nstartsecs=10\nstartretries=1\n";

/// `EVENT name from tries why`, as far as the event has them.
fn facts(event: &Value) -> String {
    let text = |key: &str| match &event[key] {
        Value::Null => String::new(),
        Value::String(text) => format!(" {text}"),
        other => format!(" {key}={other}"),
    };
    let keys = ["group", "name", "from", "tries", "expected"];
    let rest: String = keys.into_iter().map(text).collect();
    format!("{}{rest}", event["event"].as_str().unwrap())
}

fn events(lab: &Lab, words: &str) -> Vec<Value> {
    let said = lab.appctl(words);
    assert_eq!(said.code, 0, "{said:?}");
    let lines = said.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn what_happened_is_told_in_order_and_numbered_without_gaps() {
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    lab.expect("start b", 0, "b: started\n");
    lab.wait_state("b", "EXITED");
    lab.expect("start c", 7, "c: ERROR (spawn error)\n");
    lab.wait_state("c", "FATAL");
    lab.expect("remove b", 0, "b: removed process group\n");

    let all = events(&lab, "events --json");
    let told: Vec<String> = all.iter().map(facts).collect();
    let expected = [
        "PROCESS_GROUP_ADDED a",
        "PROCESS_GROUP_ADDED b",
        "PROCESS_GROUP_ADDED c",
        "SUPERVISOR_STATE_CHANGE_RUNNING",
        "PROCESS_STATE_STARTING a a STOPPED",
        "PROCESS_STATE_RUNNING a a STARTING",
        "PROCESS_STATE_STARTING b b STOPPED",
        "PROCESS_STATE_RUNNING b b STARTING",
        "PROCESS_STATE_EXITED b b RUNNING expected=false",
        "PROCESS_STATE_STARTING c c STOPPED",
        "PROCESS_STATE_BACKOFF c c STARTING tries=1",
        "PROCESS_STATE_STARTING c c BACKOFF tries=1",
        "PROCESS_STATE_BACKOFF c c STARTING tries=2",
        "PROCESS_STATE_FATAL c c BACKOFF",
        "PROCESS_GROUP_REMOVED b",
    ];
    assert_eq!(told, expected);
    let numbers: Vec<_> = all.iter().map(|it| it["sequence"].as_u64()).collect();
    let expected: Vec<_> = (1..=told.len() as u64).map(Some).collect();
    assert_eq!(numbers, expected);

    // From a number on, and as a person sees it.
    let rest = events(&lab, "events --json --since 13");
    assert_eq!(rest, all[13..]);
    let said = lab.appctl("events --since 14");
    let line = said.out.split(' ').collect::<Vec<_>>();
    assert_eq!(line[0], "15", "{said:?}");
    let day = chrono::Local::now().format("%Y-").to_string();
    assert!(line[1].starts_with(&day[..3]), "a date: {said:?}");
    assert_eq!(line[3..], ["PROCESS_GROUP_REMOVED", "b\n"]);
    lab.shut_down();
}

#[test]
fn followers_see_what_comes_and_slow_ones_what_they_missed() {
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    let mut follower = lab.session();
    follower.send(b"events -f\n");
    let mut latecomer = lab.session();
    latecomer.send(b"events --since 1000000\n");
    let first = latecomer.line().unwrap();
    // Numbers of another daemon stand for the beginning.
    assert!(
        first.starts_with("- PROCESS_GROUP_ADDED sequence=1 "),
        "{first}"
    );
    while latecomer.line().unwrap() != "ok" {}
    lab.expect("stop a", 0, "a: stopped\n");
    let line = follower.line().unwrap();
    assert!(line.starts_with("- PROCESS_STATE_STOPPING "), "{line}");
    assert!(line.contains(" name=a "), "{line}");
    // More than are kept.
    for _ in 0..260 {
        lab.expect("start a", 0, "a: started\n");
        lab.expect("stop a", 0, "a: stopped\n");
    }
    latecomer.send(b"events --since 3\n");
    let line = latecomer.line().unwrap();
    let missed = line
        .strip_prefix("- missed events=")
        .expect("a gap is told");
    let missed: u64 = missed.parse().unwrap();
    let oldest = latecomer.line().unwrap();
    assert!(
        oldest.contains(&format!(" sequence={} ", missed + 4)),
        "{oldest}"
    );
    lab.shut_down();
}
