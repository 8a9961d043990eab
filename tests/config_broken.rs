//! Broken configurations and exactly what is said about each: `tests/config/broken.txt` holds the
//! text of a file, our diagnostics, and the line Supervisor 4.3.0 prints (`Error: …`).
//!
//! `APPCTL_BLESS=1 cargo test --test config_broken` writes down what is said now; read the
//! difference before it is committed. What Supervisor says was compared with the real one.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use appctl::config::{self, RealHost, Source};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/broken.txt");

/// One row: a name, the file, and what was said.
struct Case {
    name: String,
    text: String,
    said: String,
}

/// `=== name`, the file, `--- said`, the lines.
fn cases(table: &str) -> Vec<Case> {
    table
        .split("=== ")
        .skip(1)
        .map(|block| {
            let (name, rest) = block.split_once('\n').unwrap();
            let (text, said) = rest.split_once("--- said\n").unwrap_or((rest, ""));
            Case {
                name: name.to_owned(),
                text: text.to_owned(),
                said: said.to_owned(),
            }
        })
        .collect()
}

/// Everything that is said about this file, with the directory left out.
fn said_about(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.conf");
    fs::write(&file, text).unwrap();
    let source = Source {
        single: None,
        file: Some(file),
        overrides: Vec::new(),
    };
    let said = match config::load(&RealHost::default(), &source) {
        Ok(loaded) => {
            let warnings = loaded.notices.iter().map(|notice| format!("{notice}\n"));
            format!("accepted\n{}", warnings.collect::<String>())
        }
        Err(diagnostics) => {
            let theirs = diagnostics.supervisor_error().unwrap_or_default();
            format!("{diagnostics}supervisord: {theirs}\n")
        }
    };
    let shown = directory.path().display().to_string();
    let said = said.replace(&shown, "DIR");
    // The names that can be expanded depend on the environment of the test.
    said.lines().fold(String::new(), |mut all, line| {
        let line = match line.split_once("Available names: ") {
            Some((before, names)) => {
                let ours: Vec<&str> = names
                    .split(", ")
                    .filter(|name| !name.starts_with("ENV_"))
                    .collect();
                format!("{before}Available names: {}", ours.join(", "))
            }
            None => line.to_owned(),
        };
        writeln!(all, "{line}").unwrap();
        all
    })
}

#[test]
fn every_broken_configuration_is_told_exactly() {
    let table = fs::read_to_string(TABLE).unwrap();
    let cases = cases(&table);
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    if std::env::var_os("APPCTL_BLESS").is_some() {
        let mut blessed = String::new();
        for case in &cases {
            let said = said_about(&case.text);
            write!(blessed, "=== {}\n{}--- said\n{said}", case.name, case.text).unwrap();
        }
        return fs::write(Path::new(TABLE), blessed).unwrap();
    }
    let mut wrong = String::new();
    for case in &cases {
        let said = said_about(&case.text);
        if said != case.said {
            write!(
                wrong,
                "{}:\nexpected\n{}said\n{said}\n",
                case.name, case.said
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
