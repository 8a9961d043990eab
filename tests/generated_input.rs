//! Generated input for everything that reads what a client sends: nothing panics, nothing hangs, and
//! what was read can be written and read again. The pieces are those of the languages themselves, so
//! that the generator gets past the first character.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::io::{Read, Write};
use std::net::Shutdown;

use appctl::control::line::AnswerLine;
use appctl::control::request;
use appctl::http::Credentials;
use appctl::http::value::read_call;
use lab::Lab;
use lab::http::{get, unix};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// Pieces of these, and whatever else, in any order.
fn text_of(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(pieces).prop_map(|piece| piece.as_bytes().to_vec());
    let other = prop::collection::vec(any::<u8>(), 0..6);
    prop::collection::vec(prop_oneof![9 => known, 1 => other], 0..60).prop_map(|it| it.concat())
}

const XML: &[&str] = &[
    "<?xml version='1.0'?>",
    "<methodCall>",
    "</methodCall>",
    "<methodName>",
    "</methodName>",
    "supervisor.getState",
    "<params>",
    "</params>",
    "<param>",
    "</param>",
    "<value>",
    "</value>",
    "<value/>",
    "<int>",
    "</int>",
    "<i4>",
    "</i4>",
    "<string>",
    "</string>",
    "<boolean>",
    "</boolean>",
    "<double>",
    "</double>",
    "<base64>",
    "</base64>",
    "<array>",
    "</array>",
    "<data>",
    "</data>",
    "<struct>",
    "</struct>",
    "<member>",
    "</member>",
    "<name>",
    "</name>",
    "1",
    "-9",
    "x",
    " ",
    "\n",
    "&lt;",
    "&#x0;",
    "&#33;",
    "&nope;",
    "&",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<!DOCTYPE a",
    "[<!ENTITY b 'c'>]",
    "<",
    ">",
    "'",
    "\"",
    "<nil/>",
    "99999999999999999999",
    "1e999",
    "aGk=",
];

const LINES: &[&str] = &[
    "status",
    "start",
    "stop",
    "signal",
    "tail",
    "stdin",
    "events",
    "update",
    "hello",
    "help",
    " ",
    "--",
    "-f",
    "-c",
    "--from",
    "--no-wait",
    "--since",
    "HUP",
    "a",
    "a:b",
    "a:*",
    "all",
    "*",
    "[",
    "'",
    "\"",
    "\\",
    "\\n",
    "\\u{41}",
    "\\u{110000}",
    "\\u{",
    "=",
    "-1",
    "18446744073709551616",
    "- ",
    "= ",
    "ok",
    "err",
    "no-such-process",
    "key=value",
    "65536",
    "65537",
];

const HTTP: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    "PUT ",
    "OPTIONS ",
    "/",
    "/RPC2",
    "/logtail/a",
    "/api/v1/",
    "processes",
    "start/a",
    "log/a",
    "events?follow=no",
    "daemon",
    "/tail.html?processname=a",
    "/?action=stop",
    "&",
    "?",
    "=",
    "%",
    "%00",
    "%2e",
    "..",
    " HTTP/1.1",
    " HTTP/1.0",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "Host: x",
    "Host: ",
    "Content-Length: ",
    "0",
    "5",
    "-1",
    "99999999999",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "Expect: 100-continue",
    "Upgrade: h2c",
    "Origin: null",
    "Origin: http://x",
    "Sec-Fetch-Site: cross-site",
    "Accept-Language: en",
    "Authorization: Basic ",
    "aGk=",
    "5\r\nhello\r\n",
    "<methodCall>",
    "offset=-1",
    ":",
    "\0",
    "\u{fc}",
];

const WORDS: &[&str] = &[
    "Basic", "basic", " ", "Bearer", "dTpw", "Og==", "=", "%", "\t", "\u{fc}",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn calls(xml in text_of(XML)) {
        let _ = read_call(&xml);
        let mut wrapped = b"<methodCall><methodName>a.b</methodName><params><param>".to_vec();
        wrapped.extend_from_slice(&xml);
        wrapped.extend_from_slice(b"</param></params></methodCall>");
        let _ = read_call(&wrapped);
    }

    #[test]
    fn requests_and_answers(line in text_of(LINES)) {
        let line = String::from_utf8_lossy(&line);
        let _ = request::read(&line);
        if let Ok(answer) = line.parse::<AnswerLine>() {
            let again = answer.to_string().parse::<AnswerLine>();
            prop_assert_eq!(again.map(|it| it.to_string()), Ok(answer.to_string()));
        }
    }

    #[test]
    fn credentials(header in text_of(WORDS)) {
        let guard = Credentials::new("u".to_owned(), "{SHA}".to_owned());
        let _ = guard.judge(Some(&header));
    }
}

#[test]
fn whole_connections() {
    ours_only!();
    let mut lab = Lab::with("[program:a]\ncommand=/bin/sleep 1000\nstdout_logfile=@D@/a.log\n");
    lab.wait_state("a", "RUNNING");
    let brain = lab.keeper_and_brain().1;
    let mut runner = TestRunner::deterministic();
    let (http, lines) = (text_of(HTTP), text_of(LINES));
    for number in 0..400 {
        let mut bytes = match number % 2 {
            0 => b"GET ".to_vec(),
            _ => Vec::new(),
        };
        let tree = match number % 4 {
            3 => lines.new_tree(&mut runner).unwrap().current(),
            _ => http.new_tree(&mut runner).unwrap().current(),
        };
        bytes.extend(tree);
        let mut stream = unix(&lab);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        // Some requests are followed without an end: a first answer is enough.
        let _ = stream.read(&mut [0; 4096]);
    }
    assert_eq!(get(&lab, "/ok.html").text(), "OK");
    assert!(lab.session().ask("version").is_ok());
    assert_eq!(
        lab.keeper_and_brain().1,
        brain,
        "no brain had to die for it"
    );
    lab.shut_down();
}
