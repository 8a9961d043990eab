//! Transcripts: what was seen of each step when Supervisor played a scenario, and of steps that
//! are listed differences, what was seen when we did.
//!
//! ```text
//! $ ctl tail -f nope  ## `tail -f`
//! = 0
//! | ==> Press Ctrl-C to exit <==
//! ~ ours
//! = 1
//! | ==> Press Ctrl-C to exit <==
//! ```
//!
//! `$| ` begins further lines of a step, `| ` a line of output, `! ` one of standard error.

use super::scenario::{Listed, Step};

/// What a transcript says of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The step as written.
    pub text: String,
    pub theirs: String,
    /// What we show instead.
    pub ours: Option<String>,
}

impl Entry {
    /// The entry of a step that shows something.
    pub fn of(listed: &Listed, theirs: &str, ours: &str) -> Entry {
        Entry {
            text: listed.text.clone(),
            theirs: theirs.to_owned(),
            ours: listed.row.is_some().then(|| ours.to_owned()),
        }
    }
}

/// Whether what we show counts as what Supervisor shows. In the main log we may say more.
pub fn agree(step: &Step, theirs: &str, ours: &str) -> bool {
    match step {
        Step::MainLog(_) => theirs.lines().all(|line| ours.lines().any(|it| it == line)),
        _ => theirs == ours,
    }
}

/// Writes a transcript.
pub fn write(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        text.push_str(&format!(
            "$ {}\n{}",
            entry.text.replace('\n', "\n$| "),
            entry.theirs
        ));
        if let Some(ours) = &entry.ours {
            text.push_str(&format!("~ ours\n{ours}"));
        }
    }
    text
}

/// Reads a transcript.
pub fn read(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        if let Some(step) = line.strip_prefix("$ ") {
            entries.push(Entry {
                text: step.to_owned(),
                theirs: String::new(),
                ours: None,
            });
            continue;
        }
        let Some(entry) = entries.last_mut() else {
            panic!("a transcript begins with a step, not with {line:?}");
        };
        if let Some(more) = line.strip_prefix("$| ") {
            entry.text.push('\n');
            entry.text.push_str(more);
        } else if line == "~ ours" {
            entry.ours = Some(String::new());
        } else {
            let seen = entry.ours.as_mut().unwrap_or(&mut entry.theirs);
            seen.push_str(line);
            seen.push('\n');
        }
    }
    entries
}

#[test]
fn a_transcript_reads_as_it_was_written() {
    let entries = vec![
        Entry {
            text: "ctl status".into(),
            theirs: "= 0\n| a\n".into(),
            ours: None,
        },
        Entry {
            text: "[program:a]\ncommand=x".into(),
            theirs: "= 2\n".into(),
            ours: Some("= 1\n! $ x\n".into()),
        },
    ];
    assert_eq!(read(&write(&entries)), entries);
}
