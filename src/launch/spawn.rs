//! Starting a program: the parent's side, up to and after the fork.
//!
//! async-process forks, puts the pipes in place and waits until the child is the program or has
//! failed; [`Child`] does everything in between. Nothing of async-process stays behind: exits are
//! watched through our own pidfd, so that they can be recorded before they are reaped.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Once};
use std::task::{Context, Waker};

use async_process::Command;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, waitpid};

use super::accounts::Identity;
use super::birth::{Cradle, Register};
use super::cgroup::Cgroup;
use super::child::{Child, StringTable};
use super::command::{Resolved, resolve};
use super::entrance::Entrance;
use super::environment;
use super::failure::{fork_failure, other, stage_failure};
use super::inherited::Inherited;
use super::limits::Limits;
use super::living::Living;
use super::mask::{SignalMask, SignalSet};
use super::stage::{Progress, Stage};
use super::stat::ProcessStat;
use crate::config::LaunchConfig;
use crate::fleet::{ProcessName, SpawnFailure};

/// Descriptors a start needs for a moment.
const SPARE_DESCRIPTORS: usize = 8;

/// Whether this thread's table has room for a start: async-process would leave a child running,
/// unknown, if there was none after the fork. Descriptors like this one are made and closed.
pub(super) fn table_has_room(like: &OwnedFd) -> io::Result<()> {
    let spare = (0..SPARE_DESCRIPTORS).map(|_| like.try_clone());
    spare.collect::<io::Result<Vec<OwnedFd>>>().map(drop)
}

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

/// What tells later that a process comes from this program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The mark in its environment.
    pub token: Option<String>,
    /// The cgroup that it is to enter, if it can.
    pub cgroup: Option<Cgroup>,
    /// How many are started in one go with it.
    pub row: usize,
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

/// Starts a program from this thread. On failure nothing runs.
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
    let (inherited, no_tree) = (Inherited::read(), Membership::default());
    let (prepared, command) = prepare(name, config, limits, &inherited, &no_tree)?;
    let progress = table_has_room(&ends.stdout).and_then(|()| Progress::new());
    let born = progress.map_err(|error| (Stage::Fork, error));
    let born = born.and_then(|progress| prepared.start(ends, &Arc::new(progress)));
    get_to_know(born, name, config, limits, &command)
}

/// Everything the child needs, so that it need not allocate.
pub(super) struct Prepared(Child);

/// The pid of a child that became the program, and dies again unless somebody gets to know it.
pub(super) struct Born(Option<i32>);

/// How far a start came, and why not further.
pub(super) type Failed = (Stage, io::Error);

/// Decides everything about a start that can be decided before there is a child.
pub(super) fn prepare(
    name: &ProcessName,
    config: &LaunchConfig,
    limits: &Limits,
    inherited: &Inherited,
    tree: &Membership,
) -> Result<(Prepared, Resolved), SpawnFailure> {
    let token = tree.token.as_deref();
    let environment = environment::of_program(&inherited.environment, name, config, token);
    let search = environment.get(OsStr::new("PATH")).copied();
    let command = resolve(&config.command, config.directory.as_deref(), search)?;
    let mut child = child(config, limits, inherited, &command, &environment)?;
    let entrance = tree.cgroup.as_ref().map(|it| it.entrance(tree.row));
    child.entrance = entrance.and_then(Result::ok);
    Ok((Prepared(child), command))
}

/// Takes a child over from whoever forked it, or says in a sentence what went wrong.
pub(super) fn get_to_know(
    born: Result<Born, Failed>,
    name: &ProcessName,
    config: &LaunchConfig,
    limits: &Limits,
    command: &Resolved,
) -> Result<Living, SpawnFailure> {
    born.and_then(Born::living)
        .map_err(|(stage, error)| match stage {
            Stage::Fork => fork_failure(name, &error),
            stage => stage_failure(stage, config, limits, command, &error),
        })
}

fn child(
    config: &LaunchConfig,
    limits: &Limits,
    inherited: &Inherited,
    command: &Resolved,
    environment: &BTreeMap<&OsStr, &OsStr>,
) -> Result<Child, SpawnFailure> {
    let user = config.user.as_ref();
    let identity = user.map(Identity::to_become).transpose().map_err(|error| {
        let uid = user.map_or(0, |user| user.uid);
        other(format!("couldn't setuid to {uid}: {error}"))
    })?;
    let mut words = Vec::new();
    for word in &command.words {
        append(&mut words, "command", &[word.as_bytes()])?;
    }
    let mut pairs = Vec::new();
    for (key, value) in environment {
        if key.is_empty() || key.as_bytes().contains(&b'=') {
            let key = key.display();
            return Err(other(format!(
                "environment: '{key}' cannot be the name of a variable"
            )));
        }
        let pair = [key.as_bytes(), b"=", value.as_bytes()];
        append(&mut pairs, "environment", &pair)?;
    }
    let directory = config.directory.as_deref();
    Ok(Child {
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        nofile: limits.nofile(),
        // Only ever raised: lowering needs a privilege, and a program never needs it.
        oom_score_adj: limits
            .oom_score_adj
            .filter(|wanted| inherited.oom_score_adj.is_some_and(|ours| ours < *wanted))
            .map(|wanted| wanted.to_string().into_bytes()),
        entrance: None,
        register: None,
        identity: identity.flatten(),
        directory: directory
            .map(|path| c_string("directory", path))
            .transpose()?,
        umask: config.umask,
        signals: inherited.signals.clone(),
        file: c_string("command", &command.file)?,
        arguments: StringTable::new(words),
        environment: StringTable::new(pairs),
    })
}

fn c_string(option: &str, text: impl AsRef<OsStr>) -> Result<CString, SpawnFailure> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| has_nul(option))
}

/// Adds a string to a block of strings that end with a zero byte.
fn append(block: &mut Vec<u8>, option: &str, parts: &[&[u8]]) -> Result<(), SpawnFailure> {
    for part in parts {
        if part.contains(&0) {
            return Err(has_nul(option));
        }
        block.extend_from_slice(part);
    }
    block.push(0);
    Ok(())
}

fn has_nul(option: &str) -> SpawnFailure {
    other(format!("{option}: contains a NUL character"))
}

impl Prepared {
    /// Has the child note who it is in this memory file.
    pub(super) fn registered(mut self, memory: &Arc<OwnedFd>, cradle: Cradle) -> Prepared {
        let memory = Arc::clone(memory);
        self.0.register = Some(Register { memory, cradle });
        self
    }

    /// Forks; returns when the child is the program. On failure nothing runs. `progress` is for this
    /// start alone until then.
    pub(super) fn start(self, ends: ChildEnds, progress: &Arc<Progress>) -> Result<Born, Failed> {
        let in_parent = |error| (Stage::Fork, error);
        let stderr = match ends.stderr {
            Some(stderr) => stderr,
            None => ends.stdout.try_clone().map_err(in_parent)?,
        };
        need_no_driver_thread();

        let Prepared(child) = self;
        let entrance = child.entrance.clone();
        progress.reset();
        let mut command = command(child, Arc::clone(progress));
        // async-process inherits whatever is not set on its own Command.
        command.stdin(Stdio::from(ends.stdin));
        command.stdout(Stdio::from(ends.stdout));
        command.stderr(Stdio::from(stderr));
        // A status must stay readable until it is recorded: no reaping by others.
        command.reap_on_drop(false).kill_on_drop(false);

        let all_blocked = SignalMask::replace(SignalSet::full());
        let mut started = command.spawn();
        if let (Ok(child), Some(stillborn)) = (&started, progress.stillborn()) {
            reap(child.id().cast_signed());
            reap(stillborn);
            entrance.iter().for_each(Entrance::renew);
            progress.try_again();
            started = command.spawn();
        }
        drop(all_blocked);
        // It keeps our copies of the program's ends open.
        drop(command);

        let child = started.map_err(|error| {
            // A child that lives failed nowhere; it is the parent that could not go on.
            if let Some(pid) = progress.running() {
                end(pid);
                return (Stage::Fork, error);
            }
            progress.reborn().into_iter().for_each(reap);
            (progress.stage(), error)
        })?;
        let mut pid = child.id().cast_signed();
        if let Some(reborn) = progress.reborn() {
            // The one that async-process knows has ended in favour of another.
            reap(std::mem::replace(&mut pid, reborn));
        }
        Ok(Born(Some(pid)))
    }
}

impl Born {
    fn living(mut self) -> Result<Living, Failed> {
        let in_parent = |error: io::Error| (Stage::Fork, error);
        let process = self.0.and_then(Pid::from_raw);
        let process = process.ok_or_else(|| in_parent(io::ErrorKind::NotFound.into()))?;
        let pidfd =
            pidfd_open(process, PidfdFlags::empty()).map_err(|error| in_parent(error.into()))?;
        self.0 = None;
        let pid = process.as_raw_nonzero().get();
        Ok(Living {
            pid,
            start_time: ProcessStat::of(pid).map_or(0, |stat| stat.start_time),
            pidfd,
        })
    }
}

/// Nobody got to know it, however the start was left.
impl Drop for Born {
    fn drop(&mut self) {
        self.0.into_iter().for_each(end);
    }
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

/// Kills and reaps a child. It is ours and nobody else reaps those, so the number is still its own.
fn end(pid: i32) {
    let process = Pid::from_raw(pid);
    if process.is_some_and(|process| kill_process(process, Signal::KILL).is_ok()) {
        reap(pid);
    }
}

/// Waits for a child of ours that ends or has ended.
fn reap(pid: i32) {
    let _ = Pid::from_raw(pid).map(|pid| waitpid(Some(pid), WaitOptions::empty()));
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

#[cfg(test)]
pub(super) mod tests {
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
        let environment = BTreeMap::new();
        let search = std::env::var_os("PATH");
        let command = resolve(&config.command, None, search.as_deref()).unwrap();
        for (gone, code) in [(true, 127), (false, 0)] {
            let inherited = Inherited::read();
            let mut child = child(&config, &limits, &inherited, &command, &environment).unwrap();
            if gone {
                child.parent = 1;
            }
            let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
            let ends = ChildEnds {
                stdin: null(),
                stdout: null(),
                stderr: None,
            };
            let progress = Arc::new(Progress::new().unwrap());
            let born = Prepared(child).start(ends, &progress).unwrap();
            let living = born.living().unwrap();
            let pid = Pid::from_raw(living.pid);
            let (_, status) = waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
            assert_eq!(status.exit_status(), Some(code));
            assert_eq!(witness.exists(), !gone);
        }
    }
}
