//! As `supervisord` and `supervisorctl` we say and do what Supervisor's programs do: scenarios are
//! played on our binary and compared with transcripts of the real ones.
//!
//! A difference is allowed where docs/differences.md lists it: the step names its row, the row
//! names the scenario, the transcript holds both sides. It fails as well when the two sides have
//! become equal, or the row is gone. Rows that no transcript can show name another test;
//! tests/architecture.rs looks whether it is there.
//!
//! `tests/parity/record` makes the transcripts anew. It installs Supervisor from PyPI; nothing of
//! it is in this repository.

#[path = "../lab/mod.rs"]
mod lab;

mod plain;
mod player;
mod rpc;
mod scenario;
mod transcript;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lab::APPCTL;
use player::{Bin, play};
use scenario::Scenario;
use transcript::{Entry, agree};

/// Names the directory with Supervisor's programs, to record transcripts of them.
const RECORD: &str = "APPCTL_PARITY_RECORD";

/// Scenarios that are played at the same time: most of their time they wait.
const PLAYERS: usize = 6;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity")
}

fn all_scenarios() -> Vec<Scenario> {
    let files = fs::read_dir(here().join("scenarios")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| Scenario::read(file)).collect()
}

fn scenarios() -> Vec<Scenario> {
    let only = std::env::var("APPCTL_PARITY_ONLY").unwrap_or_default();
    let scenarios = all_scenarios().into_iter();
    scenarios.filter(|it| it.name.contains(&only)).collect()
}

fn transcript_of(scenario: &Scenario) -> PathBuf {
    here()
        .join("transcripts")
        .join(format!("{}.txt", scenario.name))
}

/// Our binary under Supervisor's names.
fn our_bin() -> (tempfile::TempDir, Bin) {
    let directory = tempfile::tempdir().unwrap();
    // Not in the directory itself: a configuration is looked for beside `bin` first.
    let bin = directory.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in [
        "supervisord",
        "supervisorctl",
        "pidproxy",
        "echo_supervisord_conf",
    ] {
        symlink(APPCTL, bin.join(name)).unwrap();
    }
    (directory, bin)
}

/// A row of docs/differences.md.
struct Row {
    /// Its first cell.
    what: String,
    /// The scenarios that its last cell names.
    scenarios: Vec<String>,
    /// Whether the last cell names anything.
    is_shown: bool,
}

fn listed_rows() -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/differences.md");
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter(|row| !row.starts_with("what |"))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let shown = cells.get(4).copied().unwrap_or_default();
            let words = shown.split('`');
            let scenarios = words.filter_map(|word| word.strip_prefix("parity/"));
            Row {
                what: cells[0].to_owned(),
                scenarios: scenarios.map(str::to_owned).collect(),
                is_shown: shown.contains('`'),
            }
        })
        .collect()
}

/// What is wrong between the rows and the steps that show them.
fn complaints_about_rows(rows: &[Row], scenarios: &[Scenario]) -> Vec<String> {
    let mut complaints = Vec::new();
    for row in rows.iter().filter(|row| !row.is_shown) {
        complaints.push(format!("{}: no test is named", row.what));
    }
    let mut shown = BTreeSet::new();
    for scenario in scenarios {
        for prefix in scenario.steps.iter().filter_map(|step| step.row.as_ref()) {
            let mut meant = rows.iter().filter(|row| row.what.starts_with(prefix));
            let (Some(row), None) = (meant.next(), meant.next()) else {
                let name = &scenario.name;
                complaints.push(format!("{name}: not one row begins with {prefix:?}"));
                continue;
            };
            shown.insert((row.what.as_str(), scenario.name.as_str()));
        }
    }
    let named = rows.iter().flat_map(|row| {
        let scenarios = row.scenarios.iter();
        scenarios.map(|scenario| (row.what.as_str(), scenario.as_str()))
    });
    let named: BTreeSet<_> = named.collect();
    for (row, scenario) in shown.difference(&named) {
        complaints.push(format!(
            "{row}: parity/{scenario} shows it, and is not named"
        ));
    }
    for (row, scenario) in named.difference(&shown) {
        complaints.push(format!("{row}: parity/{scenario} does not show it"));
    }
    complaints
}

#[test]
fn every_listed_difference_is_shown() {
    let complaints = complaints_about_rows(&listed_rows(), &all_scenarios());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What is wrong with how a scenario was played.
fn complaints(scenario: &Scenario, seen: &[Option<String>]) -> Vec<String> {
    let Ok(text) = fs::read_to_string(transcript_of(scenario)) else {
        return vec!["it has no transcript: run tests/parity/record".to_owned()];
    };
    let mut entries = transcript::read(&text).into_iter();
    let mut complaints = Vec::new();
    for (listed, seen) in scenario.steps.iter().zip(seen) {
        let Some(seen) = seen else { continue };
        let Some(entry) = entries.next().filter(|entry| entry.text == listed.text) else {
            complaints.push(format!("the transcript is older than `{}`", listed.text));
            break;
        };
        let equal = agree(&listed.step, &entry.theirs, seen);
        let text = &listed.text;
        match (&listed.row, &entry.ours) {
            (None, _) if equal => {}
            (None, _) => complaints.push(format!(
                "`{text}` differs, and is not listed\n--- Supervisor\n{}--- ours\n{seen}",
                entry.theirs
            )),
            (Some(row), _) if equal => {
                complaints.push(format!("`{text}` does not differ any more: {row}"));
            }
            (Some(_), Some(ours)) if ours == seen => {}
            (Some(row), ours) => complaints.push(format!(
                "`{text}` differs otherwise than recorded ({row})\n--- recorded\n{}--- ours\n{seen}",
                ours.as_deref().unwrap_or_default()
            )),
        }
    }
    complaints
}

/// Does something with every scenario, several at a time; the complaints of all.
fn with_each(act: impl Fn(&Scenario) -> Vec<String> + Sync) -> Vec<String> {
    let scenarios = scenarios();
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PLAYERS {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let complaints = act(scenario);
                    let named = complaints
                        .iter()
                        .map(|it| format!("{}: {it}", scenario.name));
                    all.lock().unwrap().extend(named);
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    all.sort();
    all
}

#[test]
fn we_do_as_supervisor_does() {
    if std::env::var_os(RECORD).is_some() {
        return;
    }
    let (_directory, ours) = our_bin();
    let complaints = with_each(|scenario| complaints(scenario, &play(scenario, &ours)));
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

/// Not a test of anything: makes the transcripts, if asked to.
#[test]
fn record() {
    let Some(theirs) = std::env::var_os(RECORD).map(PathBuf::from) else {
        return;
    };
    let (_directory, ours) = our_bin();
    with_each(|scenario| {
        let (theirs, ours) = (play(scenario, &theirs), play(scenario, &ours));
        let both = scenario.steps.iter().zip(theirs.iter().zip(&ours));
        let entries: Vec<Entry> = both
            .filter_map(|(listed, (theirs, ours))| {
                Some(Entry::of(listed, theirs.as_deref()?, ours.as_deref()?))
            })
            .collect();
        fs::write(transcript_of(scenario), transcript::write(&entries)).unwrap();
        Vec::new()
    });
}
