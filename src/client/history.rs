//! `appctl history`: the last runs of programs, one line for each.

use chrono::{Local, TimeZone};

use super::commands::{Commands, Outcome, exit};
use super::dialogue::request;
use super::escape::printable;
use super::output;
use super::render::{json_list, moment};
use crate::control::{RunFacts, RunView, uptime};

impl Commands {
    pub(super) fn history(&mut self, names: &[&str], json: bool) -> Outcome {
        let rows = self.rows(&request(&["history"], names))?;
        let views: Vec<RunView> = rows.iter().filter_map(|row| row.try_into().ok()).collect();
        if json {
            let items: Vec<_> = views.iter().map(RunFacts::of).collect();
            output::text(&json_list(&items));
        } else {
            let lines = views.iter().map(|view| line(view, &Local) + "\n");
            output::text(&lines.collect::<String>());
        }
        Ok(exit::DONE)
    }
}

/// `web  2026-11-25 09:30:00  0:01:02  pid 12, asked by uid 0: exit status 0, 12 MiB`.
fn line<Zone: TimeZone>(view: &RunView, zone: &Zone) -> String
where
    Zone::Offset: std::fmt::Display,
{
    let run = &view.run;
    let lasted = run.ended.map_or_else(
        || "runs".to_owned(),
        |ended| uptime(u64::try_from(ended - run.started).unwrap_or(0)),
    );
    let pid = match run.pid {
        0 => "no pid".to_owned(),
        pid => format!("pid {pid}"),
    };
    let by = run
        .by
        .map_or_else(String::new, |uid| format!(" by uid {uid}"));
    let how = match run.how.as_str() {
        "" => String::new(),
        how => format!(": {}", printable(how)),
    };
    let peak = match run.peak_memory {
        0 => String::new(),
        bytes => format!(", at most {} KiB", bytes / 1024),
    };
    format!(
        "{:<33}{}  {lasted:>9}  {pid}, {}{by}{how}{peak}",
        printable(&view.name.to_string()),
        moment(run.started, zone),
        printable(&run.why),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ProcessName;
    use crate::state::Run;
    use chrono::Utc;

    #[test]
    fn a_run_is_a_line() {
        let ended = Run {
            started: 1_795_328_340,
            why: "asked".into(),
            by: Some(0),
            pid: 12,
            ended: Some(1_795_328_340 + 3723),
            how: "exit status 0".into(),
            peak_memory: 2048,
            ..Run::default()
        };
        let failed = Run {
            started: 1_795_328_340,
            why: "retry 1".into(),
            ended: Some(1_795_328_340),
            how: "can't find \u{1b}[2J".into(),
            ..Run::default()
        };
        let runs = Run {
            started: 1_795_328_340,
            why: "autostart".into(),
            pid: 7,
            ..Run::default()
        };
        let table = [
            (
                ended,
                "1:02:03  pid 12, asked by uid 0: exit status 0, at most 2 KiB",
            ),
            (failed, "0:00:00  no pid, retry 1: can't find \\x1b[2J"),
            (runs, "runs  pid 7, autostart"),
        ];
        for (run, end) in table {
            let name = ProcessName {
                group: "g".into(),
                process: "web".into(),
            };
            let line = line(&RunView { name, run }, &Utc);
            assert!(line.starts_with("g:web  ") && line.contains("2026-11-22 06:19:00  "));
            assert!(line.ends_with(end), "{line}");
        }
    }
}
