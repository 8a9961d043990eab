//! The brain's table of processes: what belongs to each beside its state (which is `fleet`'s):
//! its configuration, its run, its descriptors, its slot in the ledger.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::history::Circumstances;
use crate::config::{
    Destination, LineFormat, LogFileConfig, LogLevel, LogTarget, ProcessConfig, StreamConfig,
    SupervisordConfig,
};
use crate::control::Channel;
use crate::fleet::{ExitStatus, ProcessId, ProcessName, Stamp};
use crate::keeper::ParkKey;
use crate::launch::Living;
use crate::logs::{Format, Origin, OutletConfig, SinkConfig, StreamId};
use crate::ordered;

/// The stream of the daemon's own log.
pub const MAIN_LOG: StreamId = StreamId(0);

/// One start of a process: the process id above, a counter below. It names the run's parked
/// descriptors, so a later brain knows whose they are from the number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub u64);

impl RunId {
    /// The `counter`th run of a process.
    pub fn new(process: ProcessId, counter: u32) -> RunId {
        RunId(u64::from(process.0) << 32 | u64::from(counter))
    }

    /// Whose run it is.
    pub fn process(self) -> ProcessId {
        ProcessId((self.0 >> 32) as u32)
    }

    /// Which run of that process.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// Names of its three descriptors in the keeper.
    pub fn keys(self) -> [ParkKey; 3] {
        [
            ParkKey::Stdin(self.0),
            ParkKey::Stdout(self.0),
            ParkKey::Stderr(self.0),
        ]
    }
}

/// The log stream of one output of a process.
pub fn stream_of(process: ProcessId, channel: Channel) -> StreamId {
    StreamId(2 + 2 * u64::from(process.0) + u64::from(channel == Channel::Stderr))
}

/// Whose output a log stream is; `None` for the daemon's own log.
pub fn owner_of(stream: StreamId) -> Option<(ProcessId, Channel)> {
    let number = stream.0.checked_sub(2)?;
    let channel = if number % 2 == 0 {
        Channel::Stdout
    } else {
        Channel::Stderr
    };
    Some((ProcessId(u32::try_from(number / 2).ok()?), channel))
}

/// A process as the brain holds it.
#[derive(Debug)]
pub struct Process {
    /// Its name.
    pub name: ProcessName,
    /// Its configuration.
    pub config: Arc<ProcessConfig>,
    /// Files of its two streams, AUTO names settled; `None` discards.
    pub files: [Option<PathBuf>; 2],
    /// Its slot in the ledger.
    pub slot: u32,
    /// Runs so far.
    pub runs: u32,
    /// A start under way: log files still to be opened.
    pub preparing: Option<Preparing>,
    /// The current run.
    pub run: Option<Run>,
    /// What its history is to say of the run that begins or ends.
    pub circumstances: Circumstances,
    /// What is wrong with its logs, by stream.
    pub log_trouble: [String; 2],
}

/// A start that waits for its log files, and for the address of its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparing {
    /// Answers still to come.
    pub outstanding: u8,
    /// The first file that could not be opened, and why.
    pub failure: Option<String>,
    /// The host of its socket is being looked up.
    pub looks_up: bool,
}

/// A program that runs, or has just ended.
#[derive(Debug)]
pub struct Run {
    /// Which start it is.
    pub id: RunId,
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot.
    pub start_time: u64,
    /// The program itself; `None` if it was gone when it was looked for.
    pub living: Option<Living>,
    /// Our end of its standard input.
    pub stdin: Option<OwnedFd>,
    /// Who is told by the kernel how it ended.
    pub parent: Parent,
    /// It ended; its output is being drained.
    pub ending: Option<Ending>,
    /// Inodes of its pipes, which what it starts has as well.
    pub pipes: Vec<u64>,
    /// It did not stop in time.
    pub overdue: bool,
    /// It ended, and what it started with it.
    pub tree_ended: bool,
}

/// Whose child a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// Ours: this brain started it.
    Brain,
    /// The keeper's: an earlier brain started it. The keeper tells its end.
    Keeper,
    /// Somebody else's (init, mostly): its keeper died.
    Other,
}

/// The time between the end of a program and the news of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub status: ExitStatus,
    /// Streams that are not drained yet.
    pub undrained: u8,
    /// The news is not held back for longer than this.
    pub deadline: Stamp,
}

/// What the ledger keeps of a run, so that a later brain finds the program again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordedRun {
    /// About to be started; the inode of its standard input finds it if it was.
    Intended {
        /// Which start.
        counter: u32,
        /// Inode of its standard input pipe, or of its output if a socket is its input.
        pipe_inode: u64,
    },
    /// Started.
    Living {
        /// Which start.
        counter: u32,
        /// Its pid.
        pid: i32,
        /// Its start time in clock ticks since boot.
        start_time: u64,
    },
    /// Ended like this; recorded before it was reaped.
    Ended {
        /// Which start.
        counter: u32,
        /// Its pid.
        pid: i32,
        /// How.
        status: ExitStatus,
    },
}

impl Process {
    /// The streams it writes: standard output, and standard error unless redirected.
    pub fn channels(&self) -> &'static [Channel] {
        if self.config.launch.redirect_stderr {
            &[Channel::Stdout]
        } else {
            &[Channel::Stdout, Channel::Stderr]
        }
    }

    /// The configuration of one stream.
    pub fn stream(&self, channel: Channel) -> &StreamConfig {
        match channel {
            Channel::Stdout => &self.config.stdout,
            Channel::Stderr => &self.config.stderr,
        }
    }

    /// The file of one stream, if it has one.
    pub fn file(&self, channel: Channel) -> Option<&PathBuf> {
        if channel == Channel::Stderr && self.config.launch.redirect_stderr {
            return None;
        }
        self.files[channel as usize].as_ref()
    }

    /// All files that one stream is written to.
    pub fn log_files(&self, channel: Channel) -> impl Iterator<Item = &PathBuf> {
        let others = self.stream(channel).also.iter();
        let others = others.filter_map(|destination| match destination {
            Destination::Path(path) => Some(path),
            _ => None,
        });
        self.file(channel).into_iter().chain(others)
    }

    /// What the log plane has to do with one stream.
    pub fn sink(&self, channel: Channel, supervisord: &SupervisordConfig) -> SinkConfig {
        let stream = self.stream(channel);
        let outlet = |destination: &Destination| OutletConfig {
            destination: destination.clone(),
            file: stream.logfile_config,
            style: stream.style.clone(),
            origin: Origin {
                name: self.name.to_string(),
                process: self.name.process.clone(),
                stream: channel.word(),
                // The keeper, whose pid people see.
                pid: std::os::unix::process::parent_id(),
            },
        };
        SinkConfig {
            path: self.file(channel).cloned(),
            mode: if stream.logfile == LogTarget::Auto {
                0o600
            } else {
                0o666
            },
            file: match stream.logfile {
                // Made before, private to the daemon.
                LogTarget::Auto => LogFileConfig {
                    mode: None,
                    owner: (None, None),
                    ..stream.logfile_config
                },
                _ => stream.logfile_config,
            },
            on_full: stream.on_full,
            strip_ansi: supervisord.strip_ansi,
            capture_maxbytes: stream.capture_maxbytes,
            tells_output: stream.events_enabled,
            repeated_as: (supervisord.loglevel <= LogLevel::Debug)
                .then(|| format!("'{}' {}", self.name.process, channel.word())),
            format: (stream.form.line != LineFormat::Raw).then(|| Format {
                form: stream.form,
                name: self.name.to_string(),
                stream: channel.word(),
            }),
            outlets: stream.also.iter().map(outlet).collect(),
        }
    }

    /// Both log troubles in one sentence, empty if there is none.
    pub fn trouble(&self) -> String {
        let [stdout, stderr] = &self.log_trouble;
        match (stdout.is_empty(), stderr.is_empty()) {
            (false, false) => format!("{stdout}; {stderr}"),
            (false, true) => stdout.clone(),
            (true, _) => stderr.clone(),
        }
    }
}

/// Hands out slots of the ledger, lowest free one first, so that the ledger stays as small as
/// the largest number of processes there ever was.
#[derive(Debug, Default)]
pub struct Slots {
    free: BTreeSet<u32>,
    next: u32,
}

impl Slots {
    /// The slots that are not among `taken`.
    pub fn except(taken: impl Iterator<Item = u32>) -> Slots {
        let taken = ordered::set(taken);
        let next = taken.last().map_or(0, |last| last + 1);
        Slots {
            free: ordered::set((0..next).filter(|slot| !taken.contains(slot))),
            next,
        }
    }

    /// Takes one.
    pub fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// Gives one back.
    pub fn give_back(&mut self, slot: u32) {
        self.free.insert(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_knows_its_owner() {
        assert_eq!(owner_of(MAIN_LOG), None);
        for process in [0, 1, 7, u32::MAX] {
            for channel in [Channel::Stdout, Channel::Stderr] {
                let stream = stream_of(ProcessId(process), channel);
                assert_eq!(owner_of(stream), Some((ProcessId(process), channel)));
            }
        }
    }

    #[test]
    fn slots_are_used_again() {
        let mut slots = Slots::except([0, 2].into_iter());
        assert_eq!([slots.take(), slots.take()], [1, 3]);
        slots.give_back(0);
        assert_eq!([slots.take(), slots.take()], [0, 4]);
    }

    #[test]
    fn a_run_knows_its_process() {
        let run = RunId::new(ProcessId(u32::MAX), 5);
        assert_eq!((run.process(), run.counter()), (ProcessId(u32::MAX), 5));
    }
}
