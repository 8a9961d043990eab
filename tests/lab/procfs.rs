//! Processes as /proc shows them, and signals to them.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};

/// Sends a signal by its name without `SIG`. A process that is gone is no error.
pub fn signal(pid: i32, name: &str) {
    let signal = match name {
        "TERM" => Signal::TERM,
        "KILL" => Signal::KILL,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "ABRT" => Signal::ABORT,
        other => panic!("no signal {other} here"),
    };
    assert!(pid > 1, "refusing to signal pid {pid}");
    let pid = Pid::from_raw(pid).expect("positive");
    let _ = kill_process(pid, signal);
}

/// SIGKILL.
pub fn kill(pid: i32) {
    signal(pid, "KILL");
}

fn proc(pid: i32, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{file}"))
}

/// Every pid there is.
pub fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The words of the command line, joined by blanks.
pub fn command_line(pid: i32) -> String {
    let bytes = fs::read(proc(pid, "cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim()
        .to_owned()
}

/// The environment of a process, `KEY=VALUE`.
pub fn environment(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variables = bytes.split(|byte| *byte == 0);
    let variables = variables.filter(|variable| !variable.is_empty());
    variables
        .map(|variable| String::from_utf8_lossy(variable).into_owned())
        .collect()
}

/// Living processes that have `NAME=value` in their first environment.
pub fn marked(assignment: &str) -> Vec<(i32, String)> {
    let wanted = assignment.as_bytes();
    pids()
        .into_iter()
        .filter(|&pid| {
            fs::read(proc(pid, "environ"))
                .is_ok_and(|environ| environ.split(|&byte| byte == 0).any(|it| it == wanted))
        })
        .filter(|&pid| alive(pid))
        .map(|pid| (pid, command_line(pid)))
        .collect()
}

/// A field of `/proc/PID/stat`, numbered as in proc(5) from 3 (the state).
pub fn stat(pid: i32, field: usize) -> Option<String> {
    let text = fs::read_to_string(proc(pid, "stat")).ok()?;
    // The command, field 2, is in parentheses and may contain anything.
    let rest = text.rsplit_once(')')?.1;
    rest.split_whitespace().nth(field - 3).map(str::to_owned)
}

fn number(pid: i32, field: usize) -> Option<u64> {
    stat(pid, field)?.parse().ok()
}

/// The process exists and is not a zombie.
pub fn alive(pid: i32) -> bool {
    stat(pid, 3).is_some_and(|state| state != "Z" && state != "X")
}

/// Pid of the parent.
pub fn parent(pid: i32) -> Option<i32> {
    stat(pid, 4)?.parse().ok()
}

/// Session id.
pub fn session_id(pid: i32) -> Option<i32> {
    stat(pid, 6)?.parse().ok()
}

/// Pids of the children.
pub fn children(pid: i32) -> Vec<i32> {
    pids()
        .into_iter()
        .filter(|&child| parent(child) == Some(pid))
        .collect()
}

/// The brain of a keeper: its living child that calls itself so.
pub fn brain_of(keeper: i32) -> Option<i32> {
    children(keeper)
        .into_iter()
        .find(|&child| alive(child) && command_line(child).starts_with("appctl: brain"))
}

/// A field of `/proc/PID/status`.
pub fn status_field(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(proc(pid, "status")).ok()?;
    field(&text, name)
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// CPU time of all threads so far, user and system, in seconds.
pub fn cpu_seconds(pid: i32) -> f64 {
    let ticks = number(pid, 14).unwrap_or(0) + number(pid, 15).unwrap_or(0);
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

/// How often the threads of a process left the CPU, willingly or not: each wake-up ends so.
pub fn context_switches(pid: i32) -> u64 {
    let Ok(threads) = fs::read_dir(proc(pid, "task")) else {
        return 0;
    };
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
        .flat_map(|text| {
            ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"].map(|name| {
                field(&text, name)
                    .and_then(|value| value.parse().ok())
                    .unwrap_or(0)
            })
        })
        .sum()
}

/// Proportional share of memory, in KiB.
pub fn pss_kib(pid: i32) -> u64 {
    fs::read_to_string(proc(pid, "smaps_rollup"))
        .ok()
        .and_then(|text| field(&text, "Pss"))
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
