//! `/api/v1/…` and `/live`: what programs and the page are told, and what they can do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use lab::http::{Http, Reply, ask, get, request, unix};
use lab::{Lab, wait_for};
use serde_json::{Value, json};

const PROGRAMS: &str = "[program:a]\ncommand=/bin/cat\nstdout_logfile=@D@/a.log\n\
    [program:off]\ncommand=/bin/sh -c 'exit 3'\nautostart=false\nstartretries=0\nstartsecs=60\nstdout_logfile=NONE\n\
    [program:gone]\ncommand=@D@/no-such-file\nautostart=false\n\
    [program:w]\ncommand=/bin/sleep 1000\nnumprocs=2\n\
    process_name=%(program_name)s_%(process_num)d\n";

fn lab() -> Lab {
    let lab = Lab::with(PROGRAMS);
    for name in ["a", "w:w_0", "w:w_1"] {
        lab.wait_state(name, "RUNNING");
    }
    lab
}

fn post(lab: &Lab, path: &str) -> Reply {
    ask(lab, &format!("POST /api/v1/{path}"), &[], "")
}

fn json_of(reply: &Reply) -> Value {
    assert_eq!(reply.header("content-type"), Some("application/json"));
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

#[test]
fn processes_are_told_as_the_command_line_tells_them() {
    ours_only!();
    let mut lab = lab();
    let all = json_of(&get(&lab, "/api/v1/processes"));
    let names: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["name"])
        .collect();
    assert_eq!(names, ["a", "gone", "off", "w:w_0", "w:w_1"]);
    let one = json_of(&get(&lab, "/api/v1/processes/a"));
    assert_eq!(one["state"], "RUNNING");
    assert_eq!(one["pid"], lab.pid("a"));
    let printed = lab.appctl("status --json a").out;
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&one), keys(&printed[0]));
    let group = json_of(&get(&lab, "/api/v1/processes/w%3A*"));
    assert_eq!(group.as_array().unwrap().len(), 2);
    let none = get(&lab, "/api/v1/processes/nope");
    assert_eq!(none.status, 404);
    assert_eq!(json_of(&none)["error"], "no-such-process");
    let daemon = json_of(&get(&lab, "/api/v1/daemon"));
    assert_eq!(daemon["state"], "running");
    assert_eq!(daemon["pid"], lab.daemon_pid());
    let available = json_of(&get(&lab, "/api/v1/available"));
    assert_eq!(available[1]["autostart"], false, "{available}");
    for path in [
        "/api/v1/nonsense",
        "/api/v1/",
        "/api/v1/daemon/x",
        "/api/v2/processes",
    ] {
        assert_eq!(get(&lab, path).status, 404, "{path}");
    }
    lab.shut_down();
}

#[test]
fn a_plan_tells_what_an_update_would_do_and_does_nothing() {
    ours_only!();
    let mut lab = lab();
    assert_eq!(json_of(&post(&lab, "plan"))["plan"], json!([]));
    let pid = lab.pid("a");
    let text = lab.read("supervisord.conf");
    let changed = text.replacen("[program:a]\n", "[program:a]\nstartsecs=3\npriority=7\n", 1);
    let new = "[program:new]\ncommand=/bin/cat\n";
    lab.write("supervisord.conf", &format!("{changed}{new}"));
    let plan = json_of(&post(&lab, "plan"));
    let plan = plan["plan"].as_array().unwrap();
    let of = |name: &str| plan.iter().find(|one| one["name"] == name);
    let options = of("a").unwrap()["options"].as_array().unwrap();
    let named = |one: &&Value| one["option"] == "startsecs";
    let option = options
        .iter()
        .find(named)
        .unwrap_or_else(|| panic!("{plan:?}"));
    assert!(
        option["place"]
            .as_str()
            .unwrap()
            .contains("supervisord.conf:"),
        "{plan:?}"
    );
    assert_eq!(of("new").unwrap()["deed"], "start", "{plan:?}");
    assert_eq!(post(&lab, "plan/nope").status, 404);
    lab.write("supervisord.conf", "[program:a]\n");
    let broken = post(&lab, "plan");
    assert_eq!(broken.status, 422);
    assert_eq!(json_of(&broken)["error"], "cannot-reread");
    lab.write("supervisord.conf", &text);
    assert_eq!(lab.pid("a"), pid);
    lab.shut_down();
}

#[test]
fn verbs_do_what_they_say_and_tell_what_went_wrong() {
    ours_only!();
    let mut lab = lab();
    for (path, status, expected) in [
        ("stop/a", 200, json!([{"name": "a", "done": "stopped"}])),
        ("start/a", 200, json!([{"name": "a", "done": "started"}])),
        (
            "signal/a?signal=CONT",
            200,
            json!([{"name": "a", "done": "signalled"}]),
        ),
        ("clear/a", 200, json!([{"name": "a", "done": "cleared"}])),
        ("rotate/a", 200, json!([{"name": "a", "done": "rotated"}])),
        ("reopen", 200, json!([])),
        ("reread", 200, json!([])),
        ("stdin/a", 200, json!([])),
        (
            "stop/w:*",
            200,
            json!([{"name": "w:w_0", "done": "stopped"}, {"name": "w:w_1", "done": "stopped"}]),
        ),
    ] {
        let reply = post(&lab, path);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        let mut results = json_of(&reply)["results"].clone();
        let list = results.as_array_mut().unwrap();
        list.sort_by_key(|item| item["name"].to_string());
        assert_eq!(results, expected, "{path}");
    }
    for (path, status, code) in [
        ("start/a", 409, "already-started"),
        ("stop/off", 409, "not-running"),
        ("start/gone", 500, "no-file"),
        ("start/off", 500, "spawn-error"),
        ("start/nope", 404, "no-such-process"),
        ("stop/nope:*", 404, "no-such-group"),
        ("remove/a", 409, "still-running"),
    ] {
        let reply = post(&lab, path);
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert_eq!(json_of(&reply)["results"][0]["error"], code, "{path}");
    }
    for (path, code) in [
        ("signal/a?signal=NOPE", "bad-signal"),
        ("signal/a", "bad-signal"),
        ("start/a?wait=maybe", "bad-arguments"),
        ("start/", "bad-arguments"),
        ("shutdown/a", "bad-arguments"),
    ] {
        let reply = post(&lab, path);
        assert_eq!(
            (reply.status, json_of(&reply)["error"].as_str()),
            (400, Some(code)),
            "{path}"
        );
    }
    assert_eq!(post(&lab, "nonsense/a").status, 404);
    assert_eq!(ask(&lab, "PUT /api/v1/start/a", &[], "").status, 400);
    assert_eq!(
        get(&lab, "/api/v1/stop/a").status,
        404,
        "GET changes nothing"
    );
    assert_eq!(lab.state("a"), "RUNNING");
    let text = lab.read("supervisord.conf");
    lab.write(
        "supervisord.conf",
        &format!("{text}[program:new]\ncommand=/bin/cat\nautostart=x\n"),
    );
    let reply = post(&lab, "update");
    assert_eq!(reply.status, 422, "{}", reply.text());
    assert!(
        json_of(&reply)["diagnostics"][0]
            .as_str()
            .unwrap()
            .contains("autostart")
    );
    assert_eq!(post(&lab, "shutdown").status, 200);
    lab.expect_end();
}

#[test]
fn pieces_of_logs_are_bytes_as_they_are() {
    ours_only!();
    let mut lab = lab();
    let said = "0123456789\x1b[1m<\0>\n";
    let reply = ask(&lab, "POST /api/v1/stdin/a", &[], said);
    assert_eq!(reply.status, 200);
    lab.wait_text("a.log", "<\0>\n");
    for (query, piece, offset) in [
        ("", said, "0"),
        ("?offset=3&limit=4", "3456", "3"),
        ("?offset=-4", "<\0>\n", "14"),
        ("?limit=2", ">\n", "16"),
        ("?offset=99", "", "18"),
    ] {
        let reply = get(&lab, &format!("/api/v1/log/a{query}"));
        assert_eq!(reply.text(), piece, "{query}");
        assert_eq!(reply.header("x-log-offset"), Some(offset), "{query}");
        assert_eq!(reply.header("x-log-size"), Some("18"), "{query}");
    }
    let saved = get(&lab, "/api/v1/log/a/stdout?download=yes");
    let disposition = saved.header("content-disposition");
    assert_eq!(disposition, Some("attachment; filename=\"a.stdout.log\""));
    assert_eq!(saved.text(), said);
    let mut http = Http::send(
        unix(&lab),
        &request("GET /api/v1/log/a?follow=yes&offset=10", &[], b""),
    );
    http.until("<\0>\n");
    ask(&lab, "POST /api/v1/stdin/a", &[], "more\n");
    assert_eq!(http.until("more\n"), "more\n");
    for (path, status) in [
        ("log/off", 404),
        ("log/nope", 404),
        ("log/a/nope", 400),
        ("log/..%2F..%2Fetc%2Fpasswd", 400),
        ("log/a?offset=x", 400),
    ] {
        assert_eq!(
            get(&lab, &format!("/api/v1/{path}")).status,
            status,
            "{path}"
        );
    }
    assert!(get(&lab, "/api/v1/mainlog").text().contains("spawned: 'a'"));
    lab.shut_down();
}

#[test]
fn events_are_read_from_where_one_left() {
    ours_only!();
    let mut lab = lab();
    let kept = json_of(&get(&lab, "/api/v1/events?follow=no&since=0"));
    let last = kept["last"].as_u64().unwrap();
    assert_eq!(kept["missed"], 0);
    assert!(kept["events"].as_array().unwrap().len() >= 6);
    let line = format!("GET /api/v1/events?since={last}");
    let mut http = Http::send(unix(&lab), &request(&line, &[], b""));
    assert!(http.head.contains("text/event-stream"), "{}", http.head);
    assert_eq!(post(&lab, "stop/a").status, 200);
    let told = http.until("\"to\":\"STOPPED\"");
    assert!(told.contains(&format!("id: {}\n", last + 2)), "{told}");
    // A browser that comes back says what it has seen.
    let resumed = format!("Last-Event-ID: {}", last + 1);
    let mut again = Http::send(
        unix(&lab),
        &request("GET /api/v1/events?since=0", &[&resumed], b""),
    );
    let told = again.until("\"to\":\"STOPPED\"");
    assert!(!told.contains("\"to\":\"STOPPING\""), "{told}");
    lab.shut_down();
}

#[test]
fn the_page_is_told_everything_and_may_change_with_its_token() {
    ours_only!();
    let mut lab = lab();
    let mut live = Http::send(unix(&lab), &request("GET /live", &[], b""));
    let told = live.until("event: snapshot");
    let token = told.split('"').nth(1).unwrap().to_owned();
    assert_eq!(token.len(), 32, "{told}");
    live.until("event: usage");
    let origin = "Origin: http://localhost";
    let line = "POST /api/v1/stop/a";
    let wrong = "X-CSRF-Token: 00000000000000000000000000000000";
    assert_eq!(ask(&lab, line, &[origin], "").status, 403);
    assert_eq!(ask(&lab, line, &[origin, wrong], "").status, 403);
    let right = format!("X-CSRF-Token: {token}");
    assert_eq!(
        ask(&lab, line, &["Origin: http://evil.example", &right], "").status,
        403
    );
    assert_eq!(lab.state("a"), "RUNNING");
    assert_eq!(ask(&lab, line, &[origin, &right], "").status, 200);
    let told = live.until("\"state\":\"STOPPED\"");
    assert!(told.contains("event: change"), "{told}");
    let text = lab.read("supervisord.conf");
    lab.write(
        "supervisord.conf",
        &format!("{text}[program:new]\ncommand=/bin/cat\n"),
    );
    assert_eq!(post(&lab, "update").status, 200);
    let told = live.until("\"name\":\"new\"");
    assert!(told.contains("snapshot") || live.until("snapshot").contains("snapshot"));
    lab.shut_down();
}

#[test]
fn nothing_is_read_while_nobody_watches() {
    ours_only!();
    let mut lab = lab();
    let brain = lab.keeper_and_brain().1;
    let mut live = Http::send(unix(&lab), &request("GET /live", &[], b""));
    live.until("event: usage");
    live.until("event: usage");
    drop(live);
    // It notices with the next sample; from then on it sleeps: a whole interval of samples passes
    // without the daemon waking up.
    wait_for(
        "a silence that is longer than the time between samples",
        || {
            let begin = lab::procfs::context_switches(brain);
            let since = std::time::Instant::now();
            while lab::procfs::context_switches(brain) == begin {
                if since.elapsed() > std::time::Duration::from_secs(3) {
                    return Some(());
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            None
        },
    );
    lab.shut_down();
}
