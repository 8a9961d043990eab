//! `logs`: several logs, sent as one in order of time.
//!
//! A slow client costs the blocks that are being read and the batch that is being sent. Reading
//! runs on the pool for blocking work, batch by batch, and ends when the client goes away.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_io::Timer;
use blocking::unblock;
use regex_lite::{Regex, RegexBuilder};

use super::answer::{self, Tally, row_line, trouble_row};
use super::codes::{Code, Trouble};
use super::line::{AnswerLine, Row};
use super::question::{Answer, Ask, LogView};
use super::request::Logs;
use super::session::Session;
use crate::logs::{Batch, Mark, Merge, Source, Wish};

/// Most logs that are read together: each is an open file.
const LOGS_MAX: usize = 512;

/// How often followed logs are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Most memory for a regular expression.
const PATTERN_MEMORY: usize = 256 * 1024;

/// The regular expression of `--grep`, or what is wrong with it.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(pattern)
        .size_limit(PATTERN_MEMORY)
        .build();
    built.map_err(|error| format!("PATTERN is no regular expression: {error}"))
}

/// A place in a log as it is told: `NAME/stdout=INODE:OFFSET`.
pub(super) fn place(word: &str) -> Option<(String, Mark)> {
    let (block, mark) = word.rsplit_once('=')?;
    let (inode, offset) = mark.split_once(':')?;
    let mark = Mark {
        inode: inode.parse().ok()?,
        offset: offset.parse().ok()?,
    };
    Some((block.to_owned(), mark))
}

/// Ends the reading when the session is done with it.
struct Reading(Arc<AtomicBool>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Session {
    /// Answers `logs`.
    pub(super) async fn logs(&mut self, logs: Logs) -> io::Result<()> {
        let mut tally = Tally::default();
        let found = match self.find_logs(&logs, &mut tally).await? {
            Ok(found) => found,
            Err(trouble) => {
                self.refuse(&trouble);
                return Ok(());
            }
        };
        for view in &found {
            let (name, channel) = (view.name.to_string(), view.channel.word());
            let row = Row::of([name.as_str(), channel]).with("file", view.path.display());
            self.connection.put_line(row_line(row));
        }
        self.send(true).await?;
        self.send_lines(&logs, &found).await?;
        self.connection.put_line(tally.line());
        Ok(())
    }

    /// Asks where the logs are, and tells what was named in vain. One file that several programs
    /// write is read once.
    async fn find_logs(
        &mut self,
        logs: &Logs,
        tally: &mut Tally,
    ) -> io::Result<Result<Vec<LogView>, Trouble>> {
        let answers = match self.ask(Ask::Logs(logs.selectors.clone())).await {
            Ok(answers) => answers,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let mut found: Vec<LogView> = Vec::new();
        loop {
            match self.next(&answers, false).await? {
                Answer::LogOf(view) if found.iter().any(|known| known.path == view.path) => {}
                Answer::LogOf(view) => found.push(*view),
                Answer::Done => break,
                Answer::Failed(failure) => return Ok(Err((&failure).into())),
                answer => {
                    tally.note(&answer);
                    if let Some(row) = answer::row(&answer) {
                        self.connection.put_line(row_line(row));
                    }
                }
            }
        }
        if found.len() > LOGS_MAX {
            let text = format!(
                "that is {} logs; at most {LOGS_MAX} are read together, so name some",
                found.len()
            );
            return Ok(Err(Trouble::new(Code::Failed, text)));
        }
        Ok(Ok(found))
    }

    async fn send_lines(&mut self, logs: &Logs, found: &[LogView]) -> io::Result<()> {
        let names: Vec<String> = found
            .iter()
            .map(|view| format!("{}/{}", view.name, view.channel.word()))
            .collect();
        let wish = Wish {
            last: logs.last,
            since: logs.since.map(|since| since.from(now())),
            pattern: logs.pattern.as_deref().and_then(|text| compile(text).ok()),
            follow: logs.follow,
        };
        let reading = Reading(Arc::default());
        let cancelled = reading.0.clone();
        let from = |name: &String| logs.at.iter().find(|(block, _)| block == name);
        let list = found.iter().zip(&names).map(|(view, name)| Source {
            path: view.path.clone(),
            timeline: view.timeline.clone(),
            from: from(name).map(|(_, mark)| *mark),
        });
        let list: Vec<Source> = list.collect();
        let opened = unblock(move || Merge::open(list, wish, cancelled));
        let mut merge = self.connection.unless_hung_up(opened).await?;
        let mut marks = Vec::new();
        loop {
            let last = !logs.follow;
            let work = unblock(move || {
                let batch = merge.batch(last);
                (merge, batch)
            });
            let batch;
            (merge, batch) = self.connection.unless_hung_up(work).await?;
            let at_end = batch.at_end;
            if logs.follow {
                for (log, Mark { inode, offset }) in merge.marks() {
                    let place = format!("{}={inode}:{offset}", names[log]);
                    marks.push(Row::default().with("at", place));
                }
            }
            self.send_batch(batch, &names, &mut marks).await?;
            if !at_end {
                continue;
            }
            if !logs.follow {
                return Ok(());
            }
            self.connection.unless_hung_up(Timer::after(LOOK)).await?;
            merge = unblock(move || {
                merge.refresh();
                merge
            })
            .await;
        }
    }

    /// Sends lines, and then where they end.
    async fn send_batch(
        &mut self,
        batch: Batch,
        names: &[String],
        marks: &mut Vec<Row>,
    ) -> io::Result<()> {
        for (log, error) in batch.troubles {
            let trouble = Trouble::new(Code::Failed, format!("reading the log: {error}"));
            let row = trouble_row(&names[log], trouble);
            self.connection.put_line(row_line(row));
        }
        for run in batch.runs {
            self.connection.put_line(AnswerLine::Raw {
                length: run.lines.len(),
                name: names[run.log].clone(),
            });
            self.connection.put_raw(&run.lines);
        }
        for mark in marks.drain(..) {
            self.connection.put_line(row_line(mark));
        }
        self.send(true).await
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
