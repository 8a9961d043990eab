//! A process as JSON has it: `appctl status --json` and `/api/v1/processes` (docs/commands.md lists
//! the fields).

use serde::Serialize;

use super::question::ProcessView;

/// A process as it is.
#[derive(Debug, Serialize)]
pub struct ProcessFacts<'a> {
    name: String,
    group: &'a str,
    process: &'a str,
    state: &'static str,
    pid: Option<i32>,
    uptime: Option<u64>,
    description: &'a str,
    start: i64,
    stop: i64,
    now: i64,
    exit_status: i32,
    ended: &'a str,
    spawn_error: &'a str,
    stdout_logfile: &'a str,
    stderr_logfile: &'a str,
    log_trouble: &'a str,
    left_behind: &'a str,
    disabled: bool,
}

impl<'a> ProcessFacts<'a> {
    /// Those of a process.
    pub fn of(view: &'a ProcessView) -> ProcessFacts<'a> {
        ProcessFacts {
            name: view.name.to_string(),
            group: &view.name.group,
            process: &view.name.process,
            state: view.state.word(),
            pid: (view.pid != 0).then_some(view.pid),
            uptime: (view.pid != 0).then_some(view.uptime),
            description: &view.description,
            start: view.start,
            stop: view.stop,
            now: view.now,
            exit_status: view.exit_status,
            ended: &view.ended,
            spawn_error: &view.spawn_error,
            stdout_logfile: &view.stdout_logfile,
            stderr_logfile: &view.stderr_logfile,
            log_trouble: &view.log_trouble,
            left_behind: &view.left_behind,
            disabled: view.disabled,
        }
    }
}
