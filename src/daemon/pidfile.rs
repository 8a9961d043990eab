//! The pid file: written at the start, removed at the end if it is still ours.

use std::io;

use super::sentences::{self, say};
use crate::config::SupervisordConfig;

pub(super) fn write(supervisord: &SupervisordConfig, pid: i32) {
    let path = &supervisord.pidfile;
    if let Err(error) = std::fs::write(path, format!("{pid}\n")) {
        let path = path.display();
        say(sentences::critical(format!(
            "could not write pidfile {path}"
        )));
        say(sentences::information(format!("{path}: {error}")));
    }
}

/// Removes the pid file if it is still ours.
pub(super) fn remove(supervisord: &SupervisordConfig, pid: i32) {
    let path = &supervisord.pidfile;
    let ours = std::fs::read_to_string(path).is_ok_and(|text| text.trim() == pid.to_string());
    if ours
        && let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        say(sentences::warning(format!(
            "removing pidfile {}: {error}",
            path.display()
        )));
    }
}
