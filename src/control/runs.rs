//! A run in the answer of `history`: as a row, and as JSON (docs/commands.md lists the fields).

use serde::Serialize;

use super::answer::OddRow;
use super::line::Row;
use crate::fleet::ProcessName;
use crate::state::{Place, Run};

/// A run of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView {
    /// Whose.
    pub name: ProcessName,
    /// The run.
    pub run: Run,
}

/// A run as JSON has it.
#[derive(Debug, Serialize)]
pub struct RunFacts<'a> {
    name: String,
    #[serde(flatten)]
    run: &'a Run,
}

impl<'a> RunFacts<'a> {
    /// Those of a run.
    pub fn of(view: &'a RunView) -> RunFacts<'a> {
        RunFacts {
            name: view.name.to_string(),
            run: &view.run,
        }
    }
}

/// The row of a run.
pub fn run_row(view: &RunView) -> Row {
    let run = &view.run;
    let place = |place: Option<Place>| {
        place.map_or_else(String::new, |it| format!("{}:{}", it.inode, it.offset))
    };
    Row::of([&view.name.to_string(), "run"])
        .with_number("started", run.started)
        .with_number("ended", run.ended.unwrap_or(0))
        .with_some("why", &run.why)
        // 0 is root, and not nobody.
        .with_some("by", &run.by.map_or_else(String::new, |by| by.to_string()))
        .with_number("pid", run.pid)
        .with_some("how", &run.how)
        .with_number("peak_memory", run.peak_memory)
        .with_some("stdout", &place(run.stdout))
        .with_some("stderr", &place(run.stderr))
        .with("group", &view.name.group)
}

impl TryFrom<&Row> for RunView {
    type Error = OddRow;

    fn try_from(row: &Row) -> Result<RunView, OddRow> {
        if row.words.len() != 2 || row.words[1] != "run" {
            return Err(OddRow("run"));
        }
        let place = |key| {
            let (inode, offset) = row.field(key)?.split_once(':')?;
            Some(Place {
                inode: inode.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        };
        let ended: i64 = row.number("ended")?;
        Ok(RunView {
            name: row.name()?,
            run: Run {
                started: row.number("started")?,
                why: row.text("why"),
                by: row.field("by").and_then(|by| by.parse().ok()),
                pid: row.number("pid")?,
                ended: (ended != 0).then_some(ended),
                how: row.text("how"),
                peak_memory: row.number("peak_memory")?,
                stdout: place("stdout"),
                stderr: place("stderr"),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_comes_back_as_it_was() {
        let name = ProcessName {
            group: "g".into(),
            process: "a b".into(),
        };
        let whole = Run {
            started: 10,
            why: "asked".into(),
            by: Some(0),
            pid: 7,
            ended: Some(20),
            how: "exit status 0".into(),
            peak_memory: 4096,
            stdout: Some(Place {
                inode: 1,
                offset: 0,
            }),
            stderr: None,
        };
        for run in [whole, Run::default()] {
            let view = RunView {
                name: name.clone(),
                run,
            };
            assert_eq!(RunView::try_from(&run_row(&view)), Ok(view));
        }
    }
}
