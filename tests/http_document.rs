//! docs/http.md is executed: every `$ curl …` of it is asked, and answered as it says. `…` stands for
//! anything.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use lab::Lab;
use lab::http::ask;

const PROGRAMS: &str = "[program:web]\ncommand=/bin/sh -c 'trap : HUP; echo hello; while :; do \
    sleep 1 & wait; done'\nstdout_logfile=@D@/web.log\nredirect_stderr=true\nkillasgroup=true\n\
    stopasgroup=true\n\
    [program:late]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=NONE\nstderr_logfile=NONE\n";

/// Whether a text is as the pattern says.
fn fits(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('…');
    let first = parts.next().unwrap();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What is asked, and the answer.
fn examples(document: &str) -> Vec<(String, String)> {
    let mut examples: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ curl ") {
                Some(command) => examples.push((command.to_owned(), String::new())),
                None => {
                    let answer = &mut examples.last_mut().expect("a command comes first").1;
                    answer.push_str(line);
                    answer.push('\n');
                }
            },
        }
    }
    examples
}

#[test]
fn every_example_is_answered_as_documented() {
    ours_only!();
    let document = include_str!("../docs/http.md");
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("web", "RUNNING");
    lab.wait_text("web.log", "hello");
    let examples = examples(document);
    assert!(examples.len() > 10);
    for (command, answer) in examples {
        let (method, url) = match command.strip_prefix("-X POST ") {
            Some(url) => ("POST", url),
            None => ("GET", command.as_str()),
        };
        let path = url.strip_prefix("http://localhost").expect("an address");
        let reply = ask(&lab, &format!("{method} {path}"), &[], "");
        let (text, answer) = (reply.text(), answer.trim_end());
        assert!(
            fits(text.trim_end(), answer),
            "{command}\n{text}\nfor\n{answer}"
        );
    }
    lab.shut_down();
}
