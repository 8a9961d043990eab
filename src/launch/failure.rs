//! What went wrong with a start, in a sentence: what was being done, on what, why not, and a hint
//! where the reason misleads. Pure.

use std::io;
use std::path::Path;

use super::command::Resolved;
use super::limits::Limits;
use super::stage::Stage;
use crate::config::LaunchConfig;
use crate::fleet::{ProcessName, SpawnFailure, SpawnFailureKind};

pub(super) fn other(text: String) -> SpawnFailure {
    SpawnFailure {
        kind: SpawnFailureKind::Other,
        text,
    }
}

/// Supervisor's texts for what fails before there is a child.
pub(super) fn fork_failure(name: &ProcessName, error: &io::Error) -> SpawnFailure {
    let name = &name.process;
    other(match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => format!("too many open files to spawn '{name}'"),
        Some(libc::EAGAIN) => format!("Too many processes in process table to spawn '{name}'"),
        Some(libc::ENOMEM) => format!("unknown error during fork for '{name}': ENOMEM"),
        _ => format!("unknown error during fork for '{name}': {}", reason(error)),
    })
}

/// What the child was doing, on what, why it failed, and a hint where the reason misleads.
pub(super) fn stage_failure(
    stage: Stage,
    config: &LaunchConfig,
    limits: &Limits,
    command: &Resolved,
    error: &io::Error,
) -> SpawnFailure {
    let user = config.user.as_ref().map_or("", |user| user.name.as_str());
    let file = command.file.display();
    let directory = config
        .directory
        .as_deref()
        .unwrap_or(Path::new(""))
        .display();
    let doing = match stage {
        Stage::Fork => "starting".to_owned(),
        Stage::Descriptors => "marking the daemon's descriptors to be closed".to_owned(),
        Stage::ProcessGroup => "making a process group".to_owned(),
        Stage::FileLimit => match limits.nofile_soft {
            Some(soft) => format!("setting RLIMIT_NOFILE to {soft}"),
            None => "setting RLIMIT_NOFILE to unlimited".to_owned(),
        },
        Stage::OomScore => match limits.oom_score_adj {
            Some(value) => format!("setting oom_score_adj to {value}"),
            None => "setting oom_score_adj".to_owned(),
        },
        Stage::Groups => format!("setting the groups of user {user}"),
        Stage::Group => format!("setting the group id of user {user}"),
        Stage::User => format!("setting the user id of user {user}"),
        Stage::VerifyUser => format!("giving up privileges for user {user} for good"),
        Stage::Directory => format!("changing directory to {directory}"),
        Stage::Exec => format!("executing {file}"),
    };
    let hint = match (stage, error.raw_os_error()) {
        (Stage::Groups | Stage::Group | Stage::User, Some(libc::EPERM)) => {
            " (only root can start programs as another user)"
        }
        // The file was there a moment ago.
        (Stage::Exec, Some(libc::ENOENT)) => " (the interpreter it names is missing)",
        (Stage::Exec, Some(libc::ENOEXEC)) => " (neither a program nor a script with a #! line)",
        _ => "",
    };
    other(format!("{doing}: {}{hint}", reason(error)))
}

/// The reason without the number that the standard library appends.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::spawn::tests::launch_config;

    #[test]
    fn what_fails_before_there_is_a_child_reads_as_in_supervisor() {
        let name = ProcessName {
            group: "web".to_owned(),
            process: "web_01".to_owned(),
        };
        let table = [
            (libc::EMFILE, "too many open files to spawn 'web_01'"),
            (
                libc::EAGAIN,
                "Too many processes in process table to spawn 'web_01'",
            ),
            (
                libc::ENOMEM,
                "unknown error during fork for 'web_01': ENOMEM",
            ),
            (
                libc::EPERM,
                "unknown error during fork for 'web_01': Operation not permitted",
            ),
        ];
        for (number, text) in table {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(fork_failure(&name, &error).text, text);
        }
    }

    #[test]
    fn every_stage_has_its_sentence() {
        let mut config = launch_config("x");
        config.directory = Some("/d".into());
        config.user = Some(crate::config::UserSpec {
            name: "app".to_owned(),
            uid: 1,
            gid: 1,
        });
        let limits = Limits {
            nofile_soft: Some(64),
            nofile_hard: None,
            oom_score_adj: Some(5),
        };
        let command = Resolved {
            file: "/bin/x".into(),
            words: vec![],
        };
        let table = [
            (
                Stage::Descriptors,
                libc::EBADF,
                "marking the daemon's descriptors to be closed: Bad file descriptor",
            ),
            (
                Stage::ProcessGroup,
                libc::EPERM,
                "making a process group: Operation not permitted",
            ),
            (
                Stage::FileLimit,
                libc::EPERM,
                "setting RLIMIT_NOFILE to 64: Operation not permitted",
            ),
            (
                Stage::OomScore,
                libc::EACCES,
                "setting oom_score_adj to 5: Permission denied",
            ),
            (
                Stage::Groups,
                libc::EINVAL,
                "setting the groups of user app: Invalid argument",
            ),
            (
                Stage::Group,
                libc::EPERM,
                "setting the group id of user app: Operation not permitted (only root can start programs as another user)",
            ),
            (
                Stage::User,
                libc::EAGAIN,
                "setting the user id of user app: Resource temporarily unavailable",
            ),
            (
                Stage::VerifyUser,
                libc::EPERM,
                "giving up privileges for user app for good: Operation not permitted",
            ),
            (
                Stage::Directory,
                libc::ENOENT,
                "changing directory to /d: No such file or directory",
            ),
            (
                Stage::Exec,
                libc::EACCES,
                "executing /bin/x: Permission denied",
            ),
            (
                Stage::Exec,
                libc::ENOENT,
                "executing /bin/x: No such file or directory (the interpreter it names is missing)",
            ),
            (
                Stage::Exec,
                libc::ENOEXEC,
                "executing /bin/x: Exec format error (neither a program nor a script with a #! line)",
            ),
        ];
        for (stage, number, text) in table {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(
                stage_failure(stage, &config, &limits, &command, &error).text,
                text
            );
        }
    }
}
