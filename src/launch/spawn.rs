//! Starting a program: the parent's side.
//!
//! async-process forks, puts the pipes in place and waits until the child is the program or has
//! failed; [`Child`] does everything in between. Nothing of async-process stays behind: exits are
//! watched through our own pidfd, so that they can be recorded before they are reaped.

use std::ffi::{CString, OsStr, OsString};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Once};
use std::task::{Context, Waker};

use async_process::Command;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use super::accounts::Identity;
use super::child::{Child, StringTable};
use super::command::{Resolved, resolve};
use super::environment;
use super::limits::{Limits, oom_score_adj};
use super::living::Living;
use super::mask::{SignalMask, SignalSet};
use super::stage::{Progress, Stage};
use super::stat::ProcessStat;
use crate::config::LaunchConfig;
use crate::fleet::{ProcessName, SpawnFailure, SpawnFailureKind};

/// Descriptors a start needs for a moment: async-process would leave a child running, unknown,
/// if it ran out of them after the fork.
const SPARE_DESCRIPTORS: usize = 8;

/// The program's ends of its pipes.
#[derive(Debug)]
pub struct ChildEnds {
    /// Its standard input.
    pub stdin: OwnedFd,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error; `None`: the same as standard output.
    pub stderr: Option<OwnedFd>,
}

/// Whether the command can be executed, as far as can be told without trying: found, a file, and
/// executable for us. For who wants to refuse it before anything is made for its start.
pub fn check_command(config: &LaunchConfig) -> Result<(), SpawnFailure> {
    let inherited = || std::env::var_os("PATH");
    let configured = config.environment.get("PATH").map(OsString::from);
    let search = configured.or_else(inherited);
    let directory = config.directory.as_deref();
    resolve(&config.command, directory, search.as_deref()).map(drop)
}

/// Starts a program. On failure nothing runs.
///
/// It gets: its pipes as 0, 1, 2 and no other descriptor, a process group of its own in our
/// session, default signals and none blocked, `limits`, its user, directory, umask and
/// environment. A failure of any of these is a failure of the start.
pub fn spawn(
    name: &ProcessName,
    config: &LaunchConfig,
    ends: ChildEnds,
    limits: &Limits,
) -> Result<Living, SpawnFailure> {
    let environment = environment::of_program(std::env::vars_os(), name, config);
    let search = environment.get(OsStr::new("PATH")).map(OsString::as_os_str);
    let command = resolve(&config.command, config.directory.as_deref(), search)?;
    let child = prepare(config, limits, &command, &environment)?;
    let in_parent = |error: &io::Error| fork_failure(name, error);
    let progress = Progress::new().map_err(|error| in_parent(&error))?;
    start(child, ends, progress).map_err(|(stage, error)| match stage {
        Stage::Fork => in_parent(&error),
        stage => stage_failure(stage, config, limits, &command, &error),
    })
}

/// Everything the child needs, so that it need not allocate.
fn prepare(
    config: &LaunchConfig,
    limits: &Limits,
    command: &Resolved,
    environment: &std::collections::BTreeMap<OsString, OsString>,
) -> Result<Child, SpawnFailure> {
    let user = config.user.as_ref();
    let identity = user.map(Identity::to_become).transpose().map_err(|error| {
        let uid = user.map_or(0, |user| user.uid);
        other(format!("couldn't setuid to {uid}: {error}"))
    })?;
    let words = command.words.iter().map(|word| c_string("command", word));
    let pairs = environment.iter().map(|(key, value)| {
        if key.is_empty() || key.as_bytes().contains(&b'=') {
            let key = key.display();
            return Err(other(format!(
                "environment: '{key}' cannot be the name of a variable"
            )));
        }
        let pair = [key.as_bytes(), b"=", value.as_bytes()].concat();
        c_string("environment", OsString::from_vec(pair))
    });
    let directory = config.directory.as_deref();
    let inherited = oom_score_adj();
    Ok(Child {
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        nofile: limits.nofile(),
        // Only ever raised: lowering needs a privilege, and a program never needs it.
        oom_score_adj: limits
            .oom_score_adj
            .filter(|wanted| inherited.is_some_and(|ours| ours < *wanted))
            .map(|wanted| wanted.to_string().into_bytes()),
        identity: identity.flatten(),
        directory: directory
            .map(|path| c_string("directory", path))
            .transpose()?,
        umask: config.umask,
        file: c_string("command", &command.file)?,
        arguments: StringTable::new(words.collect::<Result<_, _>>()?),
        environment: StringTable::new(pairs.collect::<Result<_, _>>()?),
    })
}

fn c_string(option: &str, text: impl AsRef<OsStr>) -> Result<CString, SpawnFailure> {
    CString::new(text.as_ref().as_bytes())
        .map_err(|_| other(format!("{option}: contains a NUL character")))
}

/// Forks; returns when the child is the program. On failure: how far it came, and why.
fn start(child: Child, ends: ChildEnds, progress: Progress) -> Result<Living, (Stage, io::Error)> {
    let in_parent = |error| (Stage::Fork, error);
    let stderr = match ends.stderr {
        Some(stderr) => stderr,
        None => ends.stdout.try_clone().map_err(in_parent)?,
    };
    need_no_driver_thread();
    let spare: Vec<OwnedFd> = (0..SPARE_DESCRIPTORS)
        .map(|_| ends.stdout.try_clone())
        .collect::<io::Result<_>>()
        .map_err(in_parent)?;

    let progress = Arc::new(progress);
    let mut unknown = Unknown(Some(Arc::clone(&progress)));
    let mut command = command(child, Arc::clone(&progress));
    // async-process inherits whatever is not set on its own Command.
    command.stdin(Stdio::from(ends.stdin));
    command.stdout(Stdio::from(ends.stdout));
    command.stderr(Stdio::from(stderr));
    // A status must stay readable until it is recorded: no reaping by others.
    command.reap_on_drop(false).kill_on_drop(false);

    drop(spare);
    let all_blocked = SignalMask::replace(SignalSet::full());
    let started = command.spawn();
    drop(all_blocked);
    // It keeps our copies of the program's ends open.
    drop(command);

    let pid = started
        .map_err(|error| {
            // A child that lives failed nowhere; it is the parent that could not go on.
            let failed_in_child = progress.running().is_none();
            let stage = if failed_in_child {
                progress.stage()
            } else {
                Stage::Fork
            };
            (stage, error)
        })?
        .id()
        .cast_signed();
    let process = Pid::from_raw(pid).ok_or_else(|| in_parent(io::ErrorKind::NotFound.into()))?;
    let pidfd =
        pidfd_open(process, PidfdFlags::empty()).map_err(|error| in_parent(error.into()))?;
    unknown.known();
    Ok(Living {
        pid,
        start_time: ProcessStat::of(pid).map_or(0, |stat| stat.start_time),
        pidfd,
    })
}

/// A command whose child runs [`Child::become_program`] as its last step before exec.
#[allow(unsafe_code)]
fn command(child: Child, progress: Arc<Progress>) -> Command {
    let mut command =
        std::process::Command::new(Path::new(OsStr::from_bytes(child.file.as_bytes())));
    // SAFETY: become_program makes only async-signal-safe calls.
    unsafe { command.pre_exec(move || Err(child.become_program(&progress))) };
    Command::from(command)
}

/// Kills and reaps a child that nobody got to know, however [`start`] is left.
struct Unknown(Option<Arc<Progress>>);

impl Unknown {
    fn known(&mut self) {
        self.0 = None;
    }
}

impl Drop for Unknown {
    fn drop(&mut self) {
        // It is our child and nobody else reaps those, so the number is still its own.
        let running = self.0.as_ref().and_then(|progress| progress.running());
        let Some(pid) = running.and_then(Pid::from_raw) else {
            return;
        };
        if kill_process(pid, Signal::KILL).is_ok() {
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

/// async-process starts a thread of its own at the first spawn unless somebody polls its driver.
/// The driver reaps dropped children; we leave none to it, so one poll for ever is enough.
fn need_no_driver_thread() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mut driver = Box::pin(async_process::driver());
        let _ = driver
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        std::mem::forget(driver);
    });
}

fn other(text: String) -> SpawnFailure {
    SpawnFailure {
        kind: SpawnFailureKind::Other,
        text,
    }
}

/// Supervisor's texts for what fails before there is a child.
fn fork_failure(name: &ProcessName, error: &io::Error) -> SpawnFailure {
    let name = &name.process;
    other(match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => format!("too many open files to spawn '{name}'"),
        Some(libc::EAGAIN) => format!("Too many processes in process table to spawn '{name}'"),
        Some(libc::ENOMEM) => format!("unknown error during fork for '{name}': ENOMEM"),
        _ => format!("unknown error during fork for '{name}': {}", reason(error)),
    })
}

/// What the child was doing, on what, why it failed, and a hint where the reason misleads.
fn stage_failure(
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
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A configuration that asks for nothing but a command.
    pub(in crate::launch) fn launch_config(command: &str) -> LaunchConfig {
        LaunchConfig {
            command: command.to_owned(),
            directory: None,
            user: None,
            umask: None,
            environment: BTreeMap::new(),
            serverurl: None,
            first_server: None,
            redirect_stderr: false,
        }
    }

    /// Its brain died between fork and here: it must not become a program nobody knows.
    #[test]
    fn a_child_whose_parent_is_gone_never_runs() {
        let home = tempfile::tempdir().unwrap();
        let witness = home.path().join("ran");
        let config = launch_config(&format!("touch {}", witness.display()));
        let limits = Limits {
            nofile_soft: Some(64),
            nofile_hard: Some(64),
            oom_score_adj: None,
        };
        let environment = std::env::vars_os().collect();
        let search = std::env::var_os("PATH");
        let command = resolve(&config.command, None, search.as_deref()).unwrap();
        for (gone, code) in [(true, 127), (false, 0)] {
            let mut child = prepare(&config, &limits, &command, &environment).unwrap();
            if gone {
                child.parent = 1;
            }
            let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
            let ends = ChildEnds {
                stdin: null(),
                stdout: null(),
                stderr: None,
            };
            let living = start(child, ends, Progress::new().unwrap()).unwrap();
            let pid = Pid::from_raw(living.pid);
            let (_, status) = waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
            assert_eq!(status.exit_status(), Some(code));
            assert_eq!(witness.exists(), !gone);
        }
    }

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
