//! docs/configuration.md and conf/supervisord.conf say what the table of options says.
//!
//! `APPCTL_BLESS=1 cargo test --test config_documents` writes them anew.

use std::fs;
use std::path::{Path, PathBuf};

use appctl::config::{self, RealHost, Source, options};

/// Everything behind this line is generated.
const MARK: &str =
    "<!-- The rest is written by tests/config_documents.rs from the table of options. -->\n";

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn is_blessed() -> bool {
    std::env::var_os("APPCTL_BLESS").is_some()
}

#[test]
fn the_reference_lists_every_option() {
    let path = in_repository("docs/configuration.md");
    let text = fs::read_to_string(&path).unwrap();
    let (prose, generated) = text.split_once(MARK).unwrap();
    if is_blessed() {
        return fs::write(&path, format!("{prose}{MARK}{}", options::reference())).unwrap();
    }
    assert_eq!(generated, options::reference());
}

#[test]
fn the_sample_is_the_table_and_can_be_read() {
    let path = in_repository("conf/supervisord.conf");
    if is_blessed() {
        fs::write(&path, config::sample()).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), config::sample());
    let source = Source {
        single: None,
        file: Some(path),
        overrides: Vec::new(),
    };
    let loaded = config::load(&RealHost::default(), &source).unwrap();
    let notices: Vec<String> = loaded.notices.iter().map(ToString::to_string).collect();
    assert_eq!(notices, Vec::<String>::new());
}

#[test]
fn with_every_comment_removed_the_sample_still_names_only_options() {
    let text: String = config::sample()
        .lines()
        .filter(|line| !line.starts_with("; "))
        .map(|line| format!("{}\n", line.trim_start_matches(';')))
        .filter(|line| !line.contains("= ;"))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.conf");
    fs::write(&file, text).unwrap();
    let source = Source {
        single: None,
        file: Some(file),
        overrides: Vec::new(),
    };
    let said = match config::load(&RealHost::default(), &source) {
        Ok(loaded) => loaded.notices.iter().map(|n| format!("{n}\n")).collect(),
        Err(diagnostics) => diagnostics.to_string(),
    };
    assert!(!said.contains("unknown option"), "{said}");
}
