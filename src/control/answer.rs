//! What the daemon's turn answers, as rows and final lines, and back again for the client.
//!
//! A field whose value is empty or 0 is left out; the order of fields is fixed.
//!
//! Must never: do I/O, or produce a line that is longer than [`LINE_MAX`].

use std::str::FromStr;

use crate::events::Facts;
use crate::fleet::{Deed, Done, ProcessName, State};

use super::codes::{Code, Trouble};
use super::line::{AnswerLine, LINE_MAX, Row};
use super::question::{
    Answer, AvailView, DaemonState, DaemonView, DifferenceKind, LogDone, OptionView, ProcessView,
};
use super::runs::run_row;
use super::word::shown;

/// Longest word or value in a row, in bytes; the rest is cut off. A path fits.
pub const VALUE_MAX: usize = 4096;

/// The row of an answer; `None` for the end and for log files, which the session reads.
pub fn row(answer: &Answer) -> Option<Row> {
    Some(match answer {
        Answer::Process(view) => process_row(view),
        Answer::Report(report) => match &report.result {
            Ok(done) => Row::of([&report.subject, done_word(*done)]),
            Err(refusal) => trouble_row(&report.subject, refusal.into()),
        },
        Answer::LogReport { name, result } => match result {
            Ok(done) => Row::of([&name.to_string(), log_done_word(*done)]),
            Err(failure) => trouble_row(&name.to_string(), failure.into()),
        },
        Answer::Run(view) => run_row(view),
        Answer::Enabled { name, enabled } => {
            let word = if *enabled { "enabled" } else { "disabled" };
            Row::of([&name.to_string(), word])
        }
        Answer::Available(view) => avail_row(view),
        Answer::Difference { group, kind } => Row::of([group, difference_word(*kind)]),
        Answer::Planned { subject, deed } => Row::of([subject, "plan", deed_word(*deed)]),
        Answer::Different(view) => option_row(view),
        Answer::Value(value) => Row::of([value]),
        Answer::Diagnostic(text) => Row::default().with("diagnostic", text),
        // What only other doors ask for, and what the session reads or ends with.
        Answer::Daemon(_) | Answer::Configured(_) | Answer::Measures(_) => return None,
        Answer::Log(_)
        | Answer::LogOf(_)
        | Answer::Events(_)
        | Answer::Done
        | Answer::Failed(_) => return None,
    })
}

/// What `hello` tells of a daemon that does not simply serve: that it is leaving, and that
/// Supervisor's clients are to be turned away.
pub fn greeting(row: Row, daemon: &DaemonView) -> Row {
    let state = match daemon.state {
        DaemonState::Running => "",
        DaemonState::Restarting => "restarting",
        DaemonState::Leaving => "leaving",
    };
    let interface = if daemon.serves_supervisor { "" } else { "none" };
    row.with_some("state", state)
        .with_some("rpcinterface", interface)
}

/// `NAME error code=… text=…`
pub fn trouble_row(subject: &str, trouble: Trouble) -> Row {
    Row::of([subject, "error"])
        .with("code", trouble.code.name())
        .with_some("text", &trouble.text)
}

/// `err CODE TEXT`
pub fn trouble_line(trouble: &Trouble) -> AnswerLine {
    AnswerLine::Err {
        code: trouble.code.name().to_owned(),
        text: clipped(&trouble.text).to_owned(),
    }
}

/// The text of a row, cut so that the line is not longer than [`LINE_MAX`]: values first, then
/// fields from the end.
pub fn row_line(mut row: Row) -> String {
    let values = row.fields.iter_mut().map(|(_, value)| value);
    for text in row.words.iter_mut().chain(values) {
        text.truncate(clipped(text).len());
    }
    loop {
        // As AnswerLine::Row is written, without a copy of the row.
        let line = format!("- {row}");
        if line.len() <= LINE_MAX || row.fields.pop().is_none() && row.words.pop().is_none() {
            return line;
        }
    }
}

fn clipped(text: &str) -> &str {
    let mut end = text.len().min(VALUE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Counts what an answer said, for its final line.
#[derive(Debug, Default)]
pub struct Tally {
    done: usize,
    failed: usize,
    first: Option<(String, Trouble)>,
}

impl Tally {
    /// Takes note of one item.
    pub fn note(&mut self, answer: &Answer) {
        let (subject, trouble) = match answer {
            Answer::Report(report) => match &report.result {
                Ok(_) => return self.done += 1,
                Err(refusal) => (report.subject.clone(), refusal.into()),
            },
            Answer::LogReport { name, result } => match result {
                Ok(_) => return self.done += 1,
                Err(failure) => (name.to_string(), failure.into()),
            },
            Answer::Process(_) => return self.done += 1,
            _ => return,
        };
        self.failed += 1;
        self.first.get_or_insert((subject, trouble));
    }

    /// The final line: `ok` if nothing failed, the trouble itself if it was the only thing that
    /// was to be done, else `partial`, or `failed` if nothing could be done.
    pub fn line(self) -> AnswerLine {
        let all = self.done + self.failed;
        let trouble = match self.first {
            None => return AnswerLine::Ok(String::new()),
            Some((subject, trouble)) if all == 1 => {
                let text = format!("{}: {}", shown(&subject), trouble.text);
                Trouble::new(trouble.code, text)
            }
            Some(_) if self.done == 0 => {
                Trouble::new(Code::Failed, format!("none of {all} could be done"))
            }
            Some(_) => Trouble::new(Code::Partial, format!("{} of {all} not done", self.failed)),
        };
        trouble_line(&trouble)
    }
}

/// What became of one process or group, read from a row by the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it is about.
    pub subject: String,
    /// `started`, `stopped` and so on, or the code and text of what was wrong. A code that this
    /// client does not know is kept as text.
    pub result: Result<String, (String, String)>,
}

/// Why a row is not what was expected: the part that is missing or odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddRow(pub &'static str);

impl std::fmt::Display for OddRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the daemon sent a row without a proper {}", self.0)
    }
}

impl std::error::Error for OddRow {}

impl TryFrom<&Row> for Outcome {
    type Error = OddRow;

    fn try_from(row: &Row) -> Result<Outcome, OddRow> {
        let [subject, word] = &row.words[..] else {
            return Err(OddRow("name and result"));
        };
        let text = |key| row.field(key).unwrap_or_default().to_owned();
        let result = match word.as_str() {
            "error" => Err((text("code"), text("text"))),
            done => Ok(done.to_owned()),
        };
        let subject = subject.clone();
        Ok(Outcome { subject, result })
    }
}

fn process_row(view: &ProcessView) -> Row {
    Row::of([&view.name.to_string(), view.state.word()])
        .with_number("pid", view.pid)
        .with_number("uptime", view.uptime)
        .with_some("description", &view.description)
        .with_number("start", view.start)
        .with_number("stop", view.stop)
        .with_number("now", view.now)
        .with_number("exit", view.exit_status)
        .with_some("ended", &view.ended)
        .with_some("spawn_error", &view.spawn_error)
        .with_some("stdout_logfile", &view.stdout_logfile)
        .with_some("stderr_logfile", &view.stderr_logfile)
        .with_some("log_trouble", &view.log_trouble)
        .with_some("left_behind", &view.left_behind)
        .with_some("disabled", if view.disabled { "yes" } else { "" })
        .with("group", &view.name.group)
}

impl TryFrom<&Row> for ProcessView {
    type Error = OddRow;

    fn try_from(row: &Row) -> Result<ProcessView, OddRow> {
        let [_, state] = &row.words[..] else {
            return Err(OddRow("name and state"));
        };
        Ok(ProcessView {
            name: row.name()?,
            state: state_named(state)?,
            description: row.text("description"),
            pid: row.number("pid")?,
            start: row.number("start")?,
            stop: row.number("stop")?,
            now: row.number("now")?,
            uptime: row.number("uptime")?,
            exit_status: row.number("exit")?,
            ended: row.text("ended"),
            spawn_error: row.text("spawn_error"),
            stdout_logfile: row.text("stdout_logfile"),
            stderr_logfile: row.text("stderr_logfile"),
            log_trouble: row.text("log_trouble"),
            left_behind: row.text("left_behind"),
            disabled: row.text("disabled") == "yes",
        })
    }
}

fn avail_row(view: &AvailView) -> Row {
    let in_use = if view.in_use { "in-use" } else { "avail" };
    let start = if view.autostart { "auto" } else { "manual" };
    Row::of([&view.name.to_string(), in_use, start])
        .with_number("group_priority", view.group_priority)
        .with_number("process_priority", view.process_priority)
        .with("group", &view.name.group)
}

impl TryFrom<&Row> for AvailView {
    type Error = OddRow;

    fn try_from(row: &Row) -> Result<AvailView, OddRow> {
        let [_, in_use, start] = &row.words[..] else {
            return Err(OddRow("name, use and start"));
        };
        Ok(AvailView {
            name: row.name()?,
            in_use: in_use == "in-use",
            autostart: start == "auto",
            group_priority: row.number("group_priority")?,
            process_priority: row.number("process_priority")?,
        })
    }
}

/// `EVENT` and its facts.
pub fn event_row(facts: &Facts) -> Row {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Row::of([&facts.event])
        .with("sequence", facts.sequence)
        .with_number("time", facts.time)
        .with_some("name", &text(&facts.name))
        .with_some("group", &text(&facts.group))
        .with_some("from", &text(&facts.from))
        .with_some("to", &text(&facts.to))
        .with_number("pid", facts.pid.unwrap_or_default())
        .with_number("tries", facts.tries.unwrap_or_default())
        .with_some("expected", &text(&facts.expected.map(|it| it.to_string())))
        .with_some("why", &text(&facts.why))
        .with_some("channel", &text(&facts.channel))
        .with_some("type", &text(&facts.kind))
        .with_number("when", facts.when.unwrap_or_default())
        .with_some("data", &text(&facts.data))
}

/// `missed`: events that the daemon does not keep any more.
pub fn missed_row(events: u64) -> Row {
    Row::of([MISSED]).with("events", events)
}

/// How many events were missed, if the row says so.
pub fn missed(row: &Row) -> Option<u64> {
    let is_it = row.words.first().is_some_and(|word| word == MISSED);
    row.field("events").filter(|_| is_it)?.parse().ok()
}

/// No event is named in small letters.
const MISSED: &str = "missed";

impl TryFrom<&Row> for Facts {
    type Error = OddRow;

    fn try_from(row: &Row) -> Result<Facts, OddRow> {
        let [event] = &row.words[..] else {
            return Err(OddRow("event"));
        };
        if row.field("sequence").is_none() {
            return Err(OddRow("sequence"));
        }
        let text = |key| row.field(key).map(str::to_owned);
        Ok(Facts {
            sequence: row.number("sequence")?,
            time: row.number("time")?,
            event: event.clone(),
            name: text("name"),
            group: text("group"),
            from: text("from"),
            to: text("to"),
            pid: row.some_number("pid")?,
            tries: row.some_number("tries")?,
            expected: row.some_number("expected")?,
            why: text("why"),
            channel: text("channel"),
            kind: text("type"),
            when: row.some_number("when")?,
            data: text("data"),
        })
    }
}

/// A group that differs, as the client reads it.
pub fn difference(row: &Row) -> Result<(String, DifferenceKind), OddRow> {
    let [group, word] = &row.words[..] else {
        return Err(OddRow("group and difference"));
    };
    let kinds = [
        DifferenceKind::Available,
        DifferenceKind::Changed,
        DifferenceKind::Disappeared,
    ];
    let kind = kinds
        .into_iter()
        .find(|kind| difference_word(*kind) == word);
    Ok((group.clone(), kind.ok_or(OddRow("difference"))?))
}

fn option_row(view: &OptionView) -> Row {
    Row::of([&view.subject, "option", &view.option])
        .with_some("old", &view.old)
        .with_some("new", &view.new)
        .with_some("place", &view.place)
}

impl TryFrom<&Row> for OptionView {
    type Error = OddRow;

    fn try_from(row: &Row) -> Result<OptionView, OddRow> {
        match &row.words[..] {
            [subject, kind, option] if kind == "option" => Ok(OptionView {
                subject: subject.clone(),
                option: option.clone(),
                old: row.text("old"),
                new: row.text("new"),
                place: row.text("place"),
            }),
            _ => Err(OddRow("option")),
        }
    }
}

/// What an update means for a process or group, as the client reads it.
pub fn planned(row: &Row) -> Option<(String, String)> {
    match &row.words[..] {
        [subject, kind, deed] if kind == "plan" => Some((subject.clone(), deed.clone())),
        _ => None,
    }
}

/// What an update does, in a word.
pub fn deed_word(deed: Deed) -> &'static str {
    match deed {
        Deed::Stop => "stop",
        Deed::Remove => "remove",
        Deed::Restart => "restart",
        Deed::Start => "start",
        Deed::Adjust => "adjust",
        Deed::Change => "change",
        Deed::Add => "add",
    }
}

fn difference_word(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Available => "available",
        DifferenceKind::Changed => "changed",
        DifferenceKind::Disappeared => "disappeared",
    }
}

/// What was done, in a word.
pub fn done_word(done: Done) -> &'static str {
    match done {
        Done::Started => "started",
        Done::Stopped => "stopped",
        Done::Signalled => "signalled",
        Done::Added => "added",
        Done::Removed => "removed",
        Done::Updated => "updated",
        Done::Restarted => "restarted",
        Done::Adjusted => "adjusted",
        Done::Leaving => "leaving",
    }
}

/// What was done to log files, in a word.
pub fn log_done_word(done: LogDone) -> &'static str {
    match done {
        LogDone::Cleared => "cleared",
        LogDone::Rotated => "rotated",
    }
}

/// The state of that name.
pub fn state_named(word: &str) -> Result<State, OddRow> {
    let states = [
        State::Stopped,
        State::Starting,
        State::Running,
        State::Backoff,
        State::Stopping,
        State::Exited,
        State::Fatal,
        State::Unknown,
    ];
    let found = states.into_iter().find(|state| state.word() == word);
    found.ok_or(OddRow("state"))
}

impl Row {
    /// The row with one more field, or as it is if the number is 0.
    pub(super) fn with_number(self, key: &str, number: impl Into<i128>) -> Row {
        let number = number.into();
        if number == 0 {
            self
        } else {
            self.with(key, number)
        }
    }

    pub(super) fn text(&self, key: &str) -> String {
        self.field(key).unwrap_or_default().to_owned()
    }

    pub(super) fn number<N: FromStr + Default>(&self, key: &'static str) -> Result<N, OddRow> {
        Ok(self.some_number(key)?.unwrap_or_default())
    }

    fn some_number<N: FromStr>(&self, key: &'static str) -> Result<Option<N>, OddRow> {
        let value = self.field(key).map(str::parse).transpose();
        value.map_err(|_| OddRow(key))
    }

    /// The process of the first word, divided by what the field `group` says.
    pub(super) fn name(&self) -> Result<ProcessName, OddRow> {
        let shown = self.words.first().ok_or(OddRow("name"))?;
        let group = self.field("group").ok_or(OddRow("group"))?;
        let process = match shown.strip_prefix(group) {
            Some("") => Some(group),
            Some(rest) => rest.strip_prefix(':'),
            None => None,
        };
        Ok(ProcessName {
            group: group.to_owned(),
            process: process.ok_or(OddRow("name"))?.to_owned(),
        })
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
