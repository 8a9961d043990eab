//! Tables, colours and JSON. Pure: where the text goes is an argument.
//!
//! The columns are those of Supervisor's `status` for `appctl` too, because scripts split them at
//! blanks. A terminal gets colours (unless `NO_COLOR` is set) and lines no wider than it is.
//!
//! Must never: print, ask what stdout is, change columns for a pipe.

use std::fmt;

use chrono::{DateTime, TimeZone};
use serde::Serialize;

use super::escape::printable;
use crate::control::{AvailView, DifferenceKind, OptionView, ProcessView};
use crate::events::Facts;
use crate::fleet::State;

/// Where text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Target {
    /// A terminal of this many columns; `None`: a pipe or a file.
    pub columns: Option<usize>,
    /// Colours are welcome.
    pub colours: bool,
}

/// Supervisor's narrowest name column, before three blanks.
const NAME_COLUMN: usize = 30;

/// The lines of `status`, each with its newline.
pub fn status(processes: &[ProcessView], target: Target) -> String {
    let names: Vec<String> = processes.iter().map(|view| view.name.to_string()).collect();
    let longest = names.iter().map(|name| name.chars().count()).max();
    let width = longest.unwrap_or(0).max(NAME_COLUMN) + 3;
    let mut text = String::new();
    for (view, name) in processes.iter().zip(&names) {
        let mut description = view.description.clone();
        if target.columns.is_some() && !view.log_trouble.is_empty() {
            description = format!("{description} [log: {}]", view.log_trouble);
        }
        if target.columns.is_some() && !view.left_behind.is_empty() {
            description = format!("{description} [left behind: {}]", view.left_behind);
        }
        if target.columns.is_some() && view.disabled {
            description.push_str(" [disabled]");
        }
        text.push_str(&status_line(name, width, view.state, &description, target));
        text.push('\n');
    }
    text
}

fn status_line(
    name: &str,
    width: usize,
    state: State,
    description: &str,
    target: Target,
) -> String {
    let state_column = format!("{state:<10}");
    let Some(columns) = target.columns else {
        return format!("{name:<width$}{state_column}{description}");
    };
    let room = columns.saturating_sub(width + 10);
    let description = shorten(&printable(description), room);
    let name = printable(name);
    format!(
        "{name:<width$}{}{description}",
        coloured(&state_column, state, target)
    )
}

/// At most `room` characters, the last of which says that something is missing. A terminal too
/// narrow for the columns gets the whole text, for then lines wrap anyway.
fn shorten(text: &str, room: usize) -> String {
    if room < 12 || text.chars().count() <= room {
        return text.to_string();
    }
    let mut short: String = text.chars().take(room - 1).collect();
    short.push('…');
    short
}

fn coloured(text: &str, state: State, target: Target) -> String {
    if !target.colours {
        return text.to_string();
    }
    let code = match state {
        State::Running => "32",
        State::Starting | State::Stopping => "33",
        State::Backoff => "35",
        State::Fatal | State::Unknown => "1;31",
        State::Exited => "36",
        State::Stopped => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// The line of `avail`, with Supervisor's columns.
pub fn avail_line(view: &AvailView) -> String {
    let name = view.name.to_string();
    let in_use = if view.in_use { "in use" } else { "avail" };
    let start = if view.autostart { "auto" } else { "manual" };
    format!(
        "{name:<32} {in_use:<9} {start:<9} {}:{}",
        view.group_priority, view.process_priority
    )
}

/// The line of `events`, its time in this zone.
pub fn event_line<Zone: TimeZone>(facts: &Facts, target: Target, zone: &Zone) -> String
where
    Zone::Offset: fmt::Display,
{
    let time = moment(facts.time, zone);
    let mut line = format!("{} {time} {}", facts.sequence, facts.event);
    let mut add = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            line += &format!(" {key}{value}");
        }
    };
    // The name of a process says its group.
    let group = facts.group.clone().filter(|_| facts.name.is_none());
    add("", facts.name.clone().or(group));
    add("from ", facts.from.clone());
    add("pid ", facts.pid.map(|pid| pid.to_string()));
    add("tries ", facts.tries.map(|tries| tries.to_string()));
    add("", facts.channel.clone());
    add("type ", facts.kind.clone());
    add("when ", facts.when.map(|when| when.to_string()));
    let text = facts.why.as_ref().or(facts.data.as_ref());
    let text = text.map_or_else(String::new, |text| format!(": {}", text.trim_end()));
    // One line for each event, and nothing that could steer a terminal.
    let line = line + &text.replace('\n', "\\n");
    match target.columns {
        None => line,
        Some(_) => printable(&line),
    }
}

/// `2026-11-25 09:30:00`, of seconds since 1970.
pub fn moment<Zone: TimeZone>(seconds: i64, zone: &Zone) -> String
where
    Zone::Offset: fmt::Display,
{
    let at = DateTime::from_timestamp(seconds, 0).map(|at| at.with_timezone(zone));
    at.map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// What is shown where events are gone.
pub fn missed_line(events: u64) -> String {
    let (them, are) = match events {
        1 => ("event", "is"),
        _ => ("events", "are"),
    };
    format!("{events} {them} before this {are} not kept any more")
}

/// A JSON array with one item per line, which both `jq` and `grep` can use.
pub fn json_list<T: Serialize>(items: &[T]) -> String {
    if items.is_empty() {
        return "[]\n".to_string();
    }
    let lines: Vec<String> = items.iter().map(json_line).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// One item on one line, without newline.
pub fn json_line<T: Serialize>(item: &T) -> String {
    // Every type passed here is a plain structure of numbers and texts, which always serializes.
    serde_json::to_string(item).unwrap_or_else(|error| format!("\"{error}\""))
}

/// A process in `avail --json`.
#[derive(Debug, Serialize)]
pub struct AvailJson<'a> {
    name: String,
    group: &'a str,
    process: &'a str,
    in_use: bool,
    autostart: bool,
    group_priority: i64,
    process_priority: i64,
}

impl<'a> AvailJson<'a> {
    /// The JSON form of a configured process.
    pub fn of(view: &'a AvailView) -> AvailJson<'a> {
        AvailJson {
            name: view.name.to_string(),
            group: &view.name.group,
            process: &view.name.process,
            in_use: view.in_use,
            autostart: view.autostart,
            group_priority: view.group_priority,
            process_priority: view.process_priority,
        }
    }
}

/// A group that differs in `reread --json`.
#[derive(Debug, Serialize)]
pub struct DifferenceJson<'a> {
    group: &'a str,
    change: &'static str,
}

impl<'a> DifferenceJson<'a> {
    /// The JSON form of a difference.
    pub fn of((group, kind): &'a (String, DifferenceKind)) -> DifferenceJson<'a> {
        DifferenceJson {
            group,
            change: difference_word(*kind),
        }
    }
}

/// One step of a plan, as `plan --json` shows it.
#[derive(Debug, Serialize)]
pub struct PlanJson {
    name: String,
    action: String,
    options: Vec<OptionJson>,
}

/// An option that differs, in `plan --json`.
#[derive(Debug, Serialize)]
struct OptionJson {
    option: String,
    old: String,
    new: String,
    place: String,
}

impl PlanJson {
    /// A step without options.
    pub fn new(name: String, action: String) -> PlanJson {
        PlanJson {
            name,
            action,
            options: Vec::new(),
        }
    }

    /// Adds an option that differs.
    pub fn differs(&mut self, view: OptionView) {
        self.options.push(OptionJson {
            option: view.option,
            old: view.old,
            new: view.new,
            place: view.place,
        });
    }
}

/// The lines of a plan: each step, and under it the options that differ, old and new.
pub fn plan(steps: &[PlanJson], target: Target) -> String {
    let shown = |text: &str| match target.columns {
        Some(_) => printable(text).to_string(),
        None => text.to_owned(),
    };
    let value = |text: &str| match text {
        "" => "(none)".to_owned(),
        text => shown(text),
    };
    let mut text = String::new();
    for step in steps {
        text.push_str(&format!("{}: {}\n", shown(&step.name), step.action));
        for option in &step.options {
            let (old, new) = (value(&option.old), value(&option.new));
            text.push_str(&format!("    {}: {old} -> {new}", shown(&option.option)));
            if !option.place.is_empty() {
                text.push_str(&format!(" ({})", shown(&option.place)));
            }
            text.push('\n');
        }
    }
    text
}

/// How a group differs, in Supervisor's word.
pub fn difference_word(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Available => "available",
        DifferenceKind::Changed => "changed",
        DifferenceKind::Disappeared => "disappeared",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::facts::ProcessFacts;
    use crate::fleet::ProcessName;

    fn process(group: &str, name: &str, state: State, description: &str) -> ProcessView {
        ProcessView {
            name: ProcessName {
                group: group.into(),
                process: name.into(),
            },
            state,
            description: description.into(),
            pid: if state == State::Running { 12 } else { 0 },
            start: 1,
            stop: 2,
            now: 3,
            uptime: 62,
            exit_status: 0,
            ended: String::new(),
            spawn_error: String::new(),
            stdout_logfile: "/log/a".into(),
            stderr_logfile: String::new(),
            log_trouble: String::new(),
            left_behind: String::new(),
            disabled: false,
        }
    }

    const PIPE: Target = Target {
        columns: None,
        colours: false,
    };

    #[test]
    fn an_event_is_a_line_with_its_number_and_time() {
        let facts = Facts {
            sequence: 7,
            time: 1_795_328_340,
            event: "PROCESS_STATE_EXITED".into(),
            name: Some("web".into()),
            from: Some("RUNNING".into()),
            pid: Some(12),
            why: Some("exit status 1\nand \u{1b}[2J".into()),
            ..Facts::default()
        };
        let line = "7 2026-11-22 06:19:00 PROCESS_STATE_EXITED web from RUNNING pid 12: exit status 1\\nand ";
        let shown = event_line(&facts, PIPE, &chrono::Utc);
        assert_eq!(shown, format!("{line}\u{1b}[2J"));
        let terminal = Target {
            columns: Some(80),
            colours: false,
        };
        let shown = event_line(&facts, terminal, &chrono::Utc);
        assert_eq!(shown, format!("{line}\\x1b[2J"));
    }

    #[test]
    fn columns_are_supervisors() {
        let running = process("a", "a", State::Running, "pid 12, uptime 0:01:02");
        let starting = process("g", "b", State::Starting, "");
        assert_eq!(
            status(&[running.clone(), starting], PIPE),
            "a                                RUNNING   pid 12, uptime 0:01:02\n\
             g:b                              STARTING  \n"
        );
        let long = process(
            "groupname",
            "a-program-with-quite-a-long-name-indeed",
            State::Stopped,
            "Not started",
        );
        assert_eq!(
            status(&[running, long], PIPE)
                .lines()
                .map(|line| line.find("RUNNING").or(line.find("STOPPED")))
                .collect::<Vec<_>>(),
            [Some(52), Some(52)]
        );
        assert_eq!(status(&[], PIPE), "");
    }

    #[test]
    fn a_pipe_gets_text_as_it_is_and_a_terminal_gets_harmless_text_that_fits() {
        let evil = process(
            "a",
            "a",
            State::Fatal,
            "can't \x1b[2J find a very long command name",
        );
        assert!(status(std::slice::from_ref(&evil), PIPE).contains('\x1b'));
        let terminal = Target {
            columns: Some(60),
            colours: false,
        };
        let line = status(std::slice::from_ref(&evil), terminal);
        assert_eq!(
            line,
            "a                                FATAL     can't \\x1b[2J fi…\n"
        );
        let colours = Target {
            columns: Some(80),
            colours: true,
        };
        assert!(status(&[evil], colours).contains("\x1b[1;31mFATAL     \x1b[0mcan't \\x1b[2J"));
    }

    #[test]
    fn trouble_is_shown_on_a_terminal_only() {
        let mut full = process("a", "a", State::Running, "pid 12, uptime 0:01:02");
        full.log_trouble = "no space left".into();
        let terminal = Target {
            columns: Some(120),
            colours: false,
        };
        assert!(status(std::slice::from_ref(&full), terminal).ends_with("[log: no space left]\n"));
        full.left_behind = "pid 12 (sleep)".into();
        let text = status(std::slice::from_ref(&full), terminal);
        assert!(text.ends_with("[log: no space left] [left behind: pid 12 (sleep)]\n"));
        full.left_behind.clear();
        full.disabled = true;
        let text = status(std::slice::from_ref(&full), terminal);
        assert!(text.ends_with("[log: no space left] [disabled]\n"));
        let text = status(&[full], PIPE);
        assert!(!text.contains("space") && !text.contains("behind"));
    }

    #[test]
    fn avail_has_supervisors_columns() {
        let view = AvailView {
            name: ProcessName {
                group: "g".into(),
                process: "g1".into(),
            },
            in_use: true,
            autostart: false,
            group_priority: 3,
            process_priority: 7,
        };
        assert_eq!(
            avail_line(&view),
            "g:g1                             in use    manual    3:7"
        );
    }

    #[test]
    fn json_has_one_item_per_line_and_null_for_what_is_not_there() {
        let running = process("a", "a", State::Running, "pid 12");
        let stopped = process("b", "b", State::Stopped, "a \"quote\"\n");
        let items = [ProcessFacts::of(&running), ProcessFacts::of(&stopped)];
        let text = json_list(&items);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read[0]["pid"], 12);
        assert_eq!(read[1]["pid"], serde_json::Value::Null);
        assert_eq!(read[1]["description"], "a \"quote\"\n");
        assert_eq!(text.lines().count(), 4);
        assert_eq!(json_list::<ProcessFacts<'_>>(&[]), "[]\n");
    }
}
