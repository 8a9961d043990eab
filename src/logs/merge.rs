//! Several logs, read as one in order of time.
//!
//! What is held is a block for each log and a line for each; the more logs, the smaller the blocks.
//! A reader that is slow costs that and no more, for nothing is read ahead of it.
//!
//! Everything here waits for the disk. Must never: know how lines are shown.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lines::{Lines, Mark, Wish};
use super::moments::Timeline;

/// Bytes of one batch.
const BATCH_MAX: usize = 64 * 1024;

/// Bytes looked at for one batch, most of which may not be wanted.
const LOOK_MAX: usize = 8 * 1024 * 1024;

/// Memory for the blocks of all logs.
const BLOCKS_MAX: usize = 1024 * 1024;

/// Lines of one log that follow each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// Which log, by its place in the list.
    pub log: usize,
    /// The lines; the last one may lack its newline, or go on in the next run.
    pub lines: Vec<u8>,
}

/// The next lines.
#[derive(Debug, Default)]
pub struct Batch {
    /// In order of time.
    pub runs: Vec<Run>,
    /// Logs that could not be read on, and why.
    pub troubles: Vec<(usize, io::Error)>,
    /// The end is reached, for now.
    pub at_end: bool,
}

/// Logs that are read together.
pub struct Merge {
    logs: Vec<Option<Lines>>,
    wish: Wish,
    /// Logs that have a line ready, by its time.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    /// Logs that had no line when they were last looked at.
    quiet: BTreeSet<usize>,
    troubles: Vec<(usize, io::Error)>,
    /// Where each log was when that was told last.
    told: Vec<Option<Mark>>,
    cancelled: Arc<AtomicBool>,
}

/// A log to be read.
#[derive(Debug, Clone)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// When what of it was written.
    pub timeline: Timeline,
    /// Where a reader was before that goes on here.
    pub from: Option<Mark>,
}

impl Merge {
    /// Opens these logs at the places where what is wanted begins. One that cannot be opened is
    /// told with the first batch.
    pub fn open(logs: Vec<Source>, wish: Wish, cancelled: Arc<AtomicBool>) -> Merge {
        let block = (BLOCKS_MAX / logs.len().max(1)).clamp(4 * 1024, 64 * 1024);
        let mut merge = Merge {
            logs: Vec::new(),
            wish,
            next: BinaryHeap::new(),
            quiet: BTreeSet::new(),
            troubles: Vec::new(),
            told: logs.iter().map(|log| log.from).collect(),
            cancelled,
        };
        for (log, source) in logs.into_iter().enumerate() {
            let Source {
                path,
                timeline,
                from,
            } = source;
            let lines = Lines::open(path, timeline, &merge.wish, from, block, &merge.cancelled);
            merge.logs.push(match lines {
                Ok(lines) => Some(lines),
                Err(error) => {
                    merge.troubles.push((log, error));
                    None
                }
            });
        }
        for log in 0..merge.logs.len() {
            merge.look(log, false);
        }
        merge
    }

    /// The next lines. With `last`, also what stands without a newline at the end of a log.
    pub fn batch(&mut self, last: bool) -> Batch {
        if last {
            for log in std::mem::take(&mut self.quiet) {
                self.look(log, true);
            }
        }
        let mut batch = Batch::default();
        let (mut taken, mut looked) = (0, 0);
        while taken < BATCH_MAX && looked < LOOK_MAX && !self.cancelled.load(Ordering::Relaxed) {
            let Some(Reverse((_, log))) = self.next.pop() else {
                batch.at_end = true;
                break;
            };
            let Some(Some(lines)) = self.logs.get_mut(log) else {
                continue;
            };
            let before = taken;
            if let Some(line) = lines.take(&self.wish) {
                taken += line.len();
                match batch.runs.last_mut().filter(|run| run.log == log) {
                    Some(run) if run.lines.len() + line.len() <= BATCH_MAX => {
                        run.lines.extend(line);
                    }
                    _ => batch.runs.push(Run { log, lines: line }),
                }
            }
            looked += (taken - before).max(64);
            self.look(log, last);
        }
        batch.troubles = std::mem::take(&mut self.troubles);
        batch
    }

    /// Looks at the logs whose end was reached. A line that still lacks its newline since the
    /// look before is given as it is.
    pub fn refresh(&mut self) {
        for log in std::mem::take(&mut self.quiet) {
            let Some(Some(lines)) = self.logs.get_mut(log) else {
                continue;
            };
            match lines.refresh() {
                Ok(grown) => self.look(log, !grown),
                // Gone for a moment, as in the middle of a rotation.
                Err(_) => _ = self.quiet.insert(log),
            }
        }
    }

    /// Where logs are now that were somewhere else when this was asked last.
    pub fn marks(&mut self) -> Vec<(usize, Mark)> {
        let mut moved = Vec::new();
        for (log, (lines, told)) in self.logs.iter().zip(&mut self.told).enumerate() {
            let mark = lines.as_ref().and_then(Lines::mark);
            if let Some(mark) = mark.filter(|mark| *told != Some(*mark)) {
                *told = Some(mark);
                moved.push((log, mark));
            }
        }
        moved
    }

    /// Gets the next line of a log ready.
    fn look(&mut self, log: usize, unfinished: bool) {
        let Some(Some(lines)) = self.logs.get_mut(log) else {
            return;
        };
        match lines.peek(unfinished) {
            Ok(Some(time)) => self.next.push(Reverse((time, log))),
            Ok(None) => _ = self.quiet.insert(log),
            Err(error) => {
                self.troubles.push((log, error));
                self.logs[log] = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::{Moments, Note};
    use super::super::plane::StreamId;
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    struct Folder {
        folder: tempfile::TempDir,
        moments: Arc<Moments>,
    }

    impl Folder {
        fn new() -> Folder {
            Folder {
                folder: tempfile::tempdir().unwrap(),
                moments: Arc::default(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn append(&self, name: &str, text: &str) {
            let mut file = fs::File::options();
            let mut file = file
                .append(true)
                .create(true)
                .open(self.path(name))
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        /// Appends a text that is noted to be written at a time, in seconds.
        fn append_at(&self, stream: u64, name: &str, time: i64, text: &str) {
            self.append(name, "");
            let about = fs::metadata(self.path(name)).unwrap();
            let (inode, offset) = (about.ino(), about.len());
            let time = time * 1_000_000;
            self.moments.note(
                StreamId(stream),
                Note {
                    time,
                    inode,
                    offset,
                },
            );
            self.append(name, text);
        }

        fn merge(&self, names: &[&str], wish: Wish) -> Merge {
            let log = |(stream, name): (u64, &&str)| {
                let timeline = Timeline::new(self.moments.clone(), StreamId(stream));
                Source {
                    path: self.path(name),
                    timeline,
                    from: None,
                }
            };
            Merge::open((0..).zip(names).map(log).collect(), wish, Arc::default())
        }
    }

    fn rest(merge: &mut Merge, last: bool) -> String {
        let mut all = String::new();
        loop {
            let batch = merge.batch(last);
            assert!(batch.troubles.is_empty(), "{:?}", batch.troubles);
            for run in batch.runs {
                all += &String::from_utf8(run.lines).unwrap();
            }
            if batch.at_end {
                return all;
            }
        }
    }

    fn wish(last: Option<u64>, since: Option<i64>, pattern: &str) -> Wish {
        Wish {
            last,
            since: since.map(|since| since * 1_000_000),
            pattern: (!pattern.is_empty()).then(|| regex_lite::Regex::new(pattern).unwrap()),
            follow: false,
        }
    }

    #[test]
    fn lines_come_in_the_order_of_time() {
        let folder = Folder::new();
        folder.append_at(0, "a", 10, "a1\na2\n");
        folder.append_at(1, "b", 11, "b1\n");
        folder.append_at(0, "a", 12, "a3\n");
        folder.append_at(1, "b", 13, "b2\nb3\nb");
        folder.append_at(0, "a", 14, "a4\n");
        // Its own time says more than any note.
        folder.append(
            "c",
            "1970-01-01T00:00:11.500000+00:00 c\n{\"time\":\"1970-01-01T01:00:13.5+01:00\"}\n",
        );
        let names = ["a", "b", "c"];
        let read = |wish| rest(&mut folder.merge(&names, wish), true);
        assert_eq!(
            read(wish(None, None, "")),
            "a1\na2\nb1\n1970-01-01T00:00:11.500000+00:00 c\na3\nb2\nb3\n\
             b{\"time\":\"1970-01-01T01:00:13.5+01:00\"}\na4\n"
        );
        let names = ["a", "b"];
        let read = |wish| rest(&mut folder.merge(&names, wish), true);
        assert_eq!(read(wish(Some(2), None, "")), "a3\nb3\nba4\n");
        assert_eq!(read(wish(Some(0), None, "")), "");
        assert_eq!(read(wish(Some(1), None, "2")), "a2\nb2\n");
        assert_eq!(read(wish(None, Some(13), "")), "a3\nb2\nb3\nba4\n");
        assert_eq!(read(wish(None, None, "[ab]1")), "a1\nb1\n");
    }

    /// Writes lines of numbers into files as a rotation leaves them: two compressed, two plain.
    fn rotated(folder: &Folder) -> String {
        let text =
            |from: u32| -> String { (from..from + 1000).map(|n| format!("{n}\n")).collect() };
        let zip = |name: &str, text: &str| {
            let file = fs::File::create(folder.path(name)).unwrap();
            let mut zip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            zip.write_all(text.as_bytes()).unwrap();
            zip.finish().unwrap();
        };
        zip("log.3.gz", &text(1));
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let packed = ruzstd::encoding::compress_to_vec(text(1001).as_bytes(), level);
        fs::write(folder.path("log.2.zst"), packed).unwrap();
        // A line that a rotation cut in two.
        let (cut, rest) = (text(2001), text(3001));
        folder.append("log.1", &cut[..cut.len() - 3]);
        folder.append("log", &cut[cut.len() - 3..]);
        folder.append("log", &rest);
        [text(1), text(1001), cut, rest].concat()
    }

    #[test]
    fn all_files_of_a_log_are_read_as_one() {
        let folder = Folder::new();
        let all = rotated(&folder);
        let read = |wish| rest(&mut folder.merge(&["log"], wish), true);
        assert_eq!(read(Wish::default()), all);
        for last in [1, 999, 1000, 1002, 1999, 2000, 3500, 4000, 9000] {
            let lines: Vec<&str> = all.split_inclusive('\n').collect();
            let expected = lines[lines.len().saturating_sub(last)..].concat();
            let found = read(wish(Some(last as u64), None, ""));
            // The line that was cut in two may count as two.
            assert!(
                found.ends_with(&expected) || expected.ends_with(&found),
                "{last}"
            );
            assert!(found.len().abs_diff(expected.len()) <= 5, "{last}");
        }
        assert_eq!(read(wish(Some(2), None, "^..7$")), "987\n997\n");
    }

    /// Shifts `log` as a rotation does.
    fn rotate(at: &Path, text: &str) {
        for number in (1..9).rev() {
            let name = |number: u32| at.join(format!("log.{number}"));
            let _ = fs::rename(name(number), name(number + 1));
        }
        let _ = fs::rename(at.join("log"), at.join("log.1"));
        fs::write(at.join("log"), text).unwrap();
    }

    #[test]
    fn what_is_followed_goes_on_through_rotations_and_compression() {
        let folder = Folder::new();
        let at = folder.folder.path();
        folder.append("log.1", "old\n");
        folder.append("log", "one\n");
        let followed = Wish {
            follow: true,
            ..wish(Some(1), None, "")
        };
        let mut merge = folder.merge(&["log"], followed);
        let mut more = || {
            merge.refresh();
            rest(&mut merge, false)
        };
        assert_eq!(more(), "one\n");
        folder.append("log", "tw");
        assert_eq!(more(), "", "the rest of the line may come soon");
        folder.append("log", "o\n");
        assert_eq!(more(), "two\n");
        folder.append("log", "prompt: ");
        assert_eq!(more() + &more(), "prompt: ", "it does not come soon");
        folder.append("log", "answer\n");
        rotate(at, "three\n");
        rotate(at, "four\n");
        assert_eq!(more() + &more(), "answer\nthree\nfour\n");
        folder.append("log", "five\n");
        rotate(at, "six\n");
        // The file that is being read is compressed before its end was seen.
        let packed = fs::read(at.join("log.1")).unwrap();
        let zip = fs::File::create(at.join("log.1.gz")).unwrap();
        let mut zip = flate2::write::GzEncoder::new(zip, flate2::Compression::fast());
        zip.write_all(&packed).unwrap();
        let times = fs::metadata(at.join("log.1")).unwrap().modified().unwrap();
        zip.finish().unwrap().set_modified(times).unwrap();
        fs::remove_file(at.join("log.1")).unwrap();
        assert_eq!(more() + &more(), "five\nsix\n");
        fs::write(at.join("log"), "").unwrap();
        assert_eq!(more(), "");
        folder.append("log", "anew\n");
        assert_eq!(more(), "anew\n");
    }

    #[test]
    fn a_reader_goes_on_where_another_one_was() {
        let folder = Folder::new();
        let at = folder.folder.path();
        folder.append("log", "one\ntwo\nth");
        let follow = || Wish {
            follow: true,
            ..Wish::default()
        };
        let mut merge = folder.merge(&["log"], follow());
        assert_eq!(rest(&mut merge, false), "one\ntwo\n");
        let mark = merge.marks()[0].1;
        assert_eq!(mark.offset, 8);
        assert_eq!(merge.marks(), [], "it has not moved");
        folder.append("log", "ree\n");
        rotate(at, "four\n");
        let go_on = |from| {
            let source = Source {
                path: at.join("log"),
                timeline: Timeline::new(Arc::default(), StreamId(0)),
                from: Some(from),
            };
            rest(
                &mut Merge::open(vec![source], follow(), Arc::default()),
                false,
            )
        };
        assert_eq!(go_on(mark), "three\nfour\n");
        let (inode, offset) = (0, 9);
        assert_eq!(go_on(Mark { inode, offset }), "four\n", "its file is gone");
    }

    #[test]
    fn a_log_that_cannot_be_read_is_told_and_holds_up_no_other() {
        let folder = Folder::new();
        folder.append("a", "line\n");
        fs::create_dir(folder.path("b")).unwrap();
        fs::write(folder.path("c.1.gz"), "this is no gzip").unwrap();
        folder.append("c", "line\n");
        let mut merge = folder.merge(&["a", "b", "c", "none"], Wish::default());
        let batch = merge.batch(true);
        let troubled: Vec<usize> = batch.troubles.iter().map(|(log, _)| *log).collect();
        assert_eq!(troubled, [1, 3, 2]);
        assert_eq!(
            batch.runs,
            [Run {
                log: 0,
                lines: b"line\n".to_vec()
            }]
        );
    }

    #[test]
    fn a_line_without_end_comes_in_parts() {
        let folder = Folder::new();
        let long = "x".repeat(200_000);
        folder.append("a", &long);
        let mut merge = folder.merge(&["a"], Wish::default());
        let mut all = String::new();
        loop {
            let batch = merge.batch(true);
            assert!(batch.runs.iter().all(|run| run.lines.len() <= BATCH_MAX));
            all.extend(
                batch
                    .runs
                    .into_iter()
                    .map(|run| String::from_utf8(run.lines).unwrap()),
            );
            if batch.at_end {
                break;
            }
        }
        assert_eq!(all, long);
    }
}
