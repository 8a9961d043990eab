//! docs/protocol.md: what is said there is true. With `APPCTL_WRITE_DOCS=1` the parts that come
//! from tables are written anew.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod control_support;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use appctl::control::codes::Code;
use appctl::control::limits::Limits;
use appctl::control::line::{LINE_MAX, RAW_MAX};
use appctl::control::verbs::VERBS;
use control_support::Daemon;

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md")
}

fn text() -> String {
    fs::read_to_string(path()).unwrap()
}

fn verbs() -> String {
    let mut out = String::from("\n");
    for verb in VERBS {
        let streams = if verb.streams { ", streams" } else { "" };
        let rights = verb.rights.word();
        writeln!(
            out,
            "- `{}` ({rights}{streams}): {}",
            verb.usage(),
            verb.help
        )
        .unwrap();
    }
    out.push('\n');
    out
}

fn codes() -> String {
    let mut out = String::from("\n| code | fault | meaning |\n|---|---|---|\n");
    for code in Code::ALL {
        let (name, fault, meaning) = (code.name(), code.fault(), code.meaning());
        writeln!(out, "| {name} | {fault} | {meaning} |").unwrap();
    }
    out.push('\n');
    out
}

/// Compares a part of the text with what the table says, or writes it.
fn assert_part(begin: &str, end: &str, expected: &str) {
    let text = text();
    let start = text.find(begin).expect(begin);
    let start = start + text[start..].find('\n').unwrap() + 1;
    let stop = start + text[start..].find(end).expect(end);
    if std::env::var_os("APPCTL_WRITE_DOCS").is_some() {
        let new = format!("{}{expected}{}", &text[..start], &text[stop..]);
        fs::write(path(), new).unwrap();
        return;
    }
    assert!(
        text[start..stop] == *expected,
        "docs/protocol.md differs from the table; APPCTL_WRITE_DOCS=1 writes it anew"
    );
}

#[test]
fn tables_are_those_of_the_program() {
    assert_part("<!-- verbs:", "<!-- end of verbs", &verbs());
    assert_part("<!-- codes:", "<!-- end of codes", &codes());
}

#[test]
fn limits_are_those_of_the_program() {
    let limits = Limits::default();
    for said in [
        format!("connections | {};", limits.connections),
        format!("the daemon's | {} |", limits.share),
        format!("the daemon's user | {} |", limits.reserve),
        format!("two requests | {} s", limits.idle.as_secs()),
        format!("first byte | {} s", limits.request.as_secs()),
        format!("nothing of an answer | {} s;", limits.stall.as_secs()),
        format!("takes no request | {} s,", limits.accept.as_secs()),
        format!("UTF-8 of at most {LINE_MAX} bytes"),
        format!("LENGTH (at most {RAW_MAX})"),
    ] {
        assert!(
            text().contains(&said),
            "docs/protocol.md does not say: {said}"
        );
    }
}

#[test]
fn the_example_is_true() {
    let text = text();
    let (_, rest) = text.split_once("```session\n").unwrap();
    let (conversation, _) = rest.split_once("```").unwrap();
    let daemon = Daemon::start();
    let mut client = daemon.client();
    client.hold(conversation, |came, expected| came == expected);
    assert_eq!(client.rest(), b"");
}
