//! Which file each log stream gets: the configured one, or an AUTO file made for it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::brain::Brain;
use super::processes::stream_of;
use super::sentences::{self, say};
use crate::config::{LogTarget, ProcessConfig, StreamConfig, SupervisordConfig};
use crate::logs::auto;

/// The two files of a process, AUTO names settled (and made).
pub fn settle(
    name: &str,
    config: &ProcessConfig,
    supervisord: &SupervisordConfig,
) -> [Option<PathBuf>; 2] {
    let settle = |stream: &StreamConfig, channel: &str| match &stream.logfile {
        LogTarget::None => None,
        LogTarget::File(path) => Some(absolute(path)),
        LogTarget::Auto => {
            let (directory, identifier) = (&supervisord.childlogdir, &supervisord.identifier);
            match auto::create(directory, name, channel, identifier) {
                Ok(path) => Some(path),
                Err(error) => {
                    say(sentences::critical(format!(
                        "no AUTO log for {name} in {}: {error}; its output is discarded",
                        directory.display()
                    )));
                    None
                }
            }
        }
    };
    let stderr = if config.launch.redirect_stderr {
        None
    } else {
        settle(&config.stderr, "stderr")
    };
    [settle(&config.stdout, "stdout"), stderr]
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

impl Brain {
    /// Tells the log plane which logs there are, and what they may have together.
    pub(super) fn limit_logs(&self) {
        let budget = self.configuration.supervisord.log_budget;
        let mut logs = Vec::new();
        for (id, process) in self.processes.iter().filter(|_| !budget.is_none()) {
            for channel in process.channels() {
                let files = process.log_files(*channel);
                logs.extend(files.map(|file| (stream_of(*id, *channel), file.clone())));
            }
        }
        self.plane.limit(budget, logs);
    }

    /// Removes the AUTO logs of earlier runs.
    pub(super) fn clean_auto_logs(&self) {
        if self.configuration.supervisord.nocleanup {
            return;
        }
        let (directory, identifier) = (
            &self.configuration.supervisord.childlogdir,
            &self.configuration.supervisord.identifier,
        );
        let failures: Vec<(PathBuf, io::Error)> =
            match auto::clean_up(directory, identifier, &BTreeSet::new()) {
                Ok(failures) => failures,
                Err(error) => vec![(directory.clone(), error)],
            };
        for (path, error) in failures {
            say(sentences::warning(format!(
                "Failed to clean up '{}': {error}",
                path.display()
            )));
        }
    }
}
