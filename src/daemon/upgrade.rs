//! `upgrade`: another binary in the place of this one, while programs run.
//!
//! What can be found out beforehand is found out here, in a thread of its own: the candidate is
//! copied to where nobody can change it any more, and asked whether it could go on from what it
//! would find. Then the keeper tries it, and the brain that follows tells whoever asked.
//!
//! Must never: change anything before the candidate has answered.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use async_std::channel::{Receiver, Sender, bounded};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use super::answers::{fail, send};
use super::brain::Brain;
use super::recover::read_legacy;
use super::sentences::{self, say};
use super::settings::Settings;
use crate::control::line::AnswerLine;
use crate::control::{Answer, Failure};
use crate::fleet::Refusal;
use crate::keeper::{self, Ledger, ParkKey, Proposal};

/// Longest binary, in bytes.
const BINARY_MAX: u64 = 1 << 30;

/// How long the keeper has to act.
const KEEPER_TIME: Duration = Duration::from_secs(20);

/// How a candidate introduces itself, before its version.
const NAME: &str = "appctl ";

/// Whether an upgrade is being tried, and where it is said that nothing came of it.
#[derive(Debug)]
pub struct Upgrades {
    pub(super) under_way: bool,
    over: Sender<()>,
    pub(super) overs: Receiver<()>,
}

impl Upgrades {
    /// None.
    pub fn new() -> Upgrades {
        let (over, overs) = bounded(1);
        Upgrades {
            under_way: false,
            over,
            overs,
        }
    }
}

/// What a candidate is asked about.
struct Present {
    parked: Vec<(ParkKey, OwnedFd)>,
    proposal: Proposal,
}

impl Brain {
    /// Has a binary tried; `None`: the file this daemon was started from, as it is now.
    pub(super) fn upgrade(
        &mut self,
        path: Option<PathBuf>,
        connection: Option<OwnedFd>,
        reply: Sender<Answer>,
    ) {
        if self.fleet.is_leaving() {
            let refusal = Failure::Refused(Refusal::ShuttingDown);
            return send(&reply, Answer::Failed(refusal));
        }
        if std::mem::replace(&mut self.upgrades.under_way, true) {
            return fail(&reply, "another upgrade is under way");
        }
        let (path, present) = match self.own_binary(path).and_then(|path| {
            let present = self.present().map_err(|error| error.to_string())?;
            Ok((path, present))
        }) {
            Ok(both) => both,
            Err(text) => {
                self.upgrades.under_way = false;
                return fail(&reply, text);
            }
        };
        say(sentences::information(format!(
            "upgrade: trying {}",
            path.display()
        )));
        let (answers, upgrading) = (reply.clone(), self.upgrades.over.clone());
        let trial = move || {
            let refused = try_out(&path, &present, connection);
            // Still here: nothing has come of it.
            say(sentences::trouble(format!("upgrade: {refused}")));
            fail(&reply, refused);
            let _ = upgrading.try_send(());
        };
        if let Err(error) = std::thread::Builder::new()
            .name("upgrade".to_owned())
            .spawn(trial)
        {
            self.upgrades.under_way = false;
            fail(&answers, format!("starting a thread: {error}"));
        }
    }

    fn own_binary(&self, given: Option<PathBuf>) -> Result<PathBuf, String> {
        if let Some(path) = given {
            return match path.is_absolute() {
                true => Ok(path),
                false => Err(format!("{}: the path must be absolute", path.display())),
            };
        }
        let link = format!("/proc/{}/exe", self.keeper.pid);
        let path = std::fs::read_link(&link).map_err(|error| format!("{link}: {error}"))?;
        // What the kernel shows of a file that was replaced.
        let text = path.to_string_lossy();
        Ok(match text.strip_suffix(" (deleted)") {
            Some(rest) => rest.into(),
            None => path,
        })
    }

    fn present(&self) -> io::Result<Present> {
        let mut parked = vec![
            (ParkKey::Settings, self.records.settings.try_clone()?),
            (
                ParkKey::Ledger,
                self.records.ledger.as_fd().try_clone_to_owned()?,
            ),
        ];
        if self.unreadable_past.is_none() {
            parked.push((ParkKey::Structure, self.structure_memory()?));
        }
        Ok(Present {
            parked,
            proposal: self.keeper.link.proposal()?,
        })
    }

    /// The brain that follows a trial tells how it came out.
    pub(super) fn tell_upgrade(&self, outcome: Result<(), String>, asker: Option<OwnedFd>) {
        let line = match outcome {
            Ok(()) => {
                let text = concat!("upgraded to ", env!("CARGO_PKG_VERSION"));
                say(sentences::information(text));
                AnswerLine::Ok(text.to_owned())
            }
            Err(reason) => {
                let text = format!("rolled back to {}: {reason}", env!("CARGO_PKG_VERSION"));
                say(sentences::critical(format!("upgrade: {text}")));
                AnswerLine::Err {
                    code: "failed".to_owned(),
                    text,
                }
            }
        };
        if let Some(asker) = asker {
            // Whoever asked may have hung up, or does not read.
            let _ = File::from(asker).write_all(format!("{line}\n").as_bytes());
        }
        if let Err(error) = self.keeper.link.unpark(&[ParkKey::Asker]) {
            say(sentences::trouble(format!(
                "closing a parked connection: {error}"
            )));
        }
    }
}

/// Tries a binary. Returns only if it does not get so far that this brain makes way for it.
fn try_out(path: &Path, present: &Present, asker: Option<OwnedFd>) -> String {
    let refused = |text: String| format!("{}: {text}; nothing was changed", path.display());
    let binary = match sealed_copy(path) {
        Ok(binary) => binary,
        Err(error) => return refused(error.to_string()),
    };
    let parked: Vec<_> = present
        .parked
        .iter()
        .map(|(key, fd)| (*key, fd.as_fd()))
        .collect();
    let verdict = Proposal::question(&binary, &parked)
        .and_then(|answer| not_older(&answer, env!("CARGO_PKG_VERSION")));
    if let Err(text) = verdict {
        return refused(text);
    }
    if let Err(error) = present.proposal.make(&binary, asker) {
        return refused(format!("telling the keeper: {error}"));
    }
    std::thread::sleep(KEEPER_TIME);
    refused("the keeper does not act".to_owned())
}

/// A copy that nobody can change, to be executed.
fn sealed_copy(path: &Path) -> io::Result<OwnedFd> {
    let mut file = File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::other("it is not executable"));
    }
    if about.len() > BINARY_MAX {
        return Err(io::Error::other("it is too large for a binary"));
    }
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and need not be asked.
    let copy = memfd_create("appctl", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("appctl", flags))?;
    let mut copy = File::from(copy);
    io::copy(&mut file, &mut copy)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&copy, seals)?;
    // Opened anew: what can be written cannot be executed.
    use std::os::fd::AsRawFd;
    let readable = File::open(format!("/proc/self/fd/{}", copy.as_raw_fd()))?;
    Ok(readable.into())
}

/// Refuses a candidate that is older than we are: it may not know all that we have recorded.
fn not_older(answer: &str, ours: &str) -> Result<(), String> {
    let theirs = answer
        .strip_prefix(NAME)
        .and_then(version)
        .ok_or("its answer is not understood")?;
    match Some(theirs) < version(ours) {
        true => Err(format!(
            "it is {answer}, older than {ours} that runs here; stop the daemon to go back"
        )),
        false => Ok(()),
    }
}

fn version(text: &str) -> Option<[u32; 3]> {
    let release = text.split(['-', '+']).next()?;
    let numbers: Option<Vec<u32>> = release.split('.').map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// If this process is a candidate: says whether it could go on from what it would find.
pub fn answer_if_candidate() -> Option<ExitCode> {
    let verdict = keeper::precedent_if_candidate()?
        .map_err(|error| error.to_string())
        .and_then(|precedent| could_go_on(precedent.parked));
    let (text, code) = match verdict {
        Ok(()) => (
            concat!("appctl ", env!("CARGO_PKG_VERSION")).to_owned(),
            ExitCode::SUCCESS,
        ),
        Err(text) => (text, ExitCode::FAILURE),
    };
    // Who cannot be told waits for nothing else.
    let _ = writeln!(io::stdout(), "{text}");
    Some(code)
}

fn could_go_on(parked: Vec<(ParkKey, OwnedFd)>) -> Result<(), String> {
    let mut structure = None;
    let mut contents = None;
    for (key, memory) in parked {
        match key {
            ParkKey::Settings => {
                Settings::read(&memory).map_err(|error| format!("the settings: {error}"))?;
            }
            ParkKey::Ledger => {
                let ledger =
                    Ledger::open(memory).map_err(|error| format!("the ledger: {error}"))?;
                contents = Some(ledger.1);
            }
            ParkKey::Structure => structure = Some(memory),
            _ => {}
        }
    }
    match (structure, contents) {
        (Some(structure), Some(contents)) => read_legacy(&structure, contents).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let table = [
            ("appctl 0.1.0", "0.1.0", true),
            ("appctl 0.10.0", "0.9.9", true),
            ("appctl 1.0.0-rc1", "0.9.9", true),
            ("appctl 0.9.9", "0.10.0", false),
            ("appctl 0.0.9", "0.1.0", false),
            ("supervisord 4.3.0", "0.1.0", false),
            ("appctl", "0.1.0", false),
            ("appctl x.y.z", "0.1.0", false),
        ];
        for (answer, ours, fine) in table {
            assert_eq!(not_older(answer, ours).is_ok(), fine, "{answer} on {ours}");
        }
    }

    #[test]
    fn a_copy_cannot_be_changed_and_what_is_no_binary_is_refused() {
        let copy = sealed_copy(Path::new("/proc/self/exe")).unwrap();
        assert!(rustix::io::pwrite(&copy, b"x", 0).is_err());
        let home = tempfile::tempdir().unwrap();
        let plain = home.path().join("plain");
        std::fs::write(&plain, "text").unwrap();
        for (path, reason) in [
            (home.path().to_owned(), "not a file"),
            (plain, "not executable"),
            (home.path().join("missing"), "No such file"),
        ] {
            let error = sealed_copy(&path).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
