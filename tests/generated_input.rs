//! Generated input for everything that reads what comes from outside. Nothing panics, nothing hangs, and
//! what `fuzz/targets` says holds: for what fuzzing has found so far, for that with bytes changed, and
//! for the pieces of each language in any order.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};

use lab::Lab;
use lab::http::{get, unix};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRng, TestRunner};
use targets::Target;

/// How often each input of a corpus is changed, and how many inputs are made of pieces.
const CHANGES: usize = 10;
const INPUTS: u32 = 1000;

fn fuzz(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(directory)
}

/// The entries of a dictionary: a text in quotes on each line, with `\xNN` for what cannot be seen.
fn pieces(name: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz("dictionaries").join(format!("{name}.dict"))).unwrap();
    let entries = text.lines().filter(|line| line.starts_with('"'));
    let pieces = entries.map(|line| {
        let mut rest = line[1..line.len() - 1].bytes();
        let mut piece = Vec::new();
        while let Some(byte) = rest.next() {
            piece.push(match byte {
                b'\\' => match rest.next().unwrap() {
                    b'x' => {
                        let digits = [rest.next().unwrap(), rest.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    other => other,
                },
                _ => byte,
            });
        }
        piece
    });
    pieces.collect()
}

/// Pieces of a language, and whatever else, in any order.
fn text_of(name: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let known = prop::sample::select(pieces(name));
    let other = prop::collection::vec(any::<u8>(), 0..6);
    prop::collection::vec(prop_oneof![9 => known, 1 => other], 0..60).prop_map(|it| it.concat())
}

/// What fuzzing found worth keeping.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(fuzz("corpus").join(name)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no corpus");
    let inputs = files
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()));
    inputs.collect()
}

/// An input with some of its bytes changed, taken out or put in.
fn changed(input: &[u8], changes: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut input = input.to_vec();
    for (at, how, byte) in changes {
        let at = at.index(input.len() + 1);
        match (how % 3, at < input.len()) {
            (0, true) => input[at] = *byte,
            (1, true) => input.truncate(input.len() - at % 8),
            _ => input.insert(at, *byte),
        }
    }
    input
}

fn try_all(name: &str, target: Target) {
    let mut runner = TestRunner::deterministic();
    let changes = (any::<prop::sample::Index>(), any::<u8>(), any::<u8>());
    let changes = prop::collection::vec(changes, 1..4);
    for (path, input) in corpus(name) {
        eprintln!("{}", path.display());
        target(&input);
        for _ in 0..CHANGES {
            let input = changed(&input, &changes.new_tree(&mut runner).unwrap().current());
            eprintln!("{:?}", input.escape_ascii().to_string());
            target(&input);
        }
    }
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = ProptestConfig {
        cases: INPUTS,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let tried = TestRunner::new_with_rng(config, random).run(&text_of(name), |input| {
        target(&input);
        Ok::<(), TestCaseError>(())
    });
    tried.unwrap();
}

macro_rules! targets {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let name = stringify!($name);
            let (_, target) = targets::ALL.into_iter().find(|(known, _)| *known == name).unwrap();
            try_all(name, target);
        }
    )*

    #[test]
    fn every_target_is_tried() {
        let tried = [$(stringify!($name)),*];
        assert_eq!(targets::ALL.map(|(name, _)| name), tried);
    }};
}

targets! { configuration http line_protocol listener log_format xml_rpc }

#[test]
fn whole_connections() {
    ours_only!();
    let mut lab = Lab::with("[program:a]\ncommand=/bin/sleep 1000\nstdout_logfile=@D@/a.log\n");
    lab.wait_state("a", "RUNNING");
    let brain = lab.keeper_and_brain().1;
    let mut runner = TestRunner::deterministic();
    let (http, lines) = (text_of("http"), text_of("line_protocol"));
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
