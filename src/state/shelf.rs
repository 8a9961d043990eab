//! The directory of the state: files that are replaced as a whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::run::Run;

use crate::ordered;

/// Longest file that is read. What is written is far shorter.
const BYTES_MAX: u64 = 1 << 20;

/// Longest name of a file, with room for what is appended to it.
const NAME_MAX: usize = 240;

/// How the names of files end that have runs of a program.
const RUNS: [&str; 2] = [".runs.json", ".runs.bad"];

/// What a program that has left the configuration leaves here is kept for this time: 30 days.
const GONE_TIME: Duration = Duration::from_secs(30 * 86_400);

/// The file of those that are not started with the daemon. No program has a dot in its file's name.
const DISABLED: &str = "disabled.json";

/// Where the state is: a directory, or the memory of this process.
#[derive(Debug)]
pub struct Shelf {
    directory: Option<PathBuf>,
    /// Without a directory.
    runs: BTreeMap<String, VecDeque<Run>>,
    disabled: BTreeSet<String>,
}

impl Shelf {
    /// In this directory, which is made (0700) if it is not there; `None`: in memory.
    pub fn open(directory: Option<&Path>) -> io::Result<Shelf> {
        if let Some(directory) = directory {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
            // Told now, and not when the first program has started.
            write(&directory.join(".probe"), b"")?;
            fs::remove_file(directory.join(".probe"))?;
        }
        Ok(Shelf {
            directory: directory.map(Path::to_owned),
            runs: BTreeMap::new(),
            disabled: BTreeSet::new(),
        })
    }

    /// The last runs of a program, oldest first.
    pub(super) fn runs(&self, program: &str) -> Result<VecDeque<Run>, String> {
        match &self.directory {
            Some(directory) => read(&directory.join(file_of(program))),
            None => Ok(self.runs.get(program).cloned().unwrap_or_default()),
        }
    }

    pub(super) fn keep_runs(&mut self, program: &str, runs: VecDeque<Run>) -> Result<(), String> {
        let Some(directory) = &self.directory else {
            self.runs.insert(program.to_owned(), runs);
            return Ok(());
        };
        replace(directory, &file_of(program), &runs)
    }

    /// Programs that are not started with the daemon. The error says what was wrong with the file,
    /// and what became of it.
    pub fn disabled(&self) -> Result<BTreeSet<String>, String> {
        match &self.directory {
            Some(directory) => read(&directory.join(DISABLED)),
            None => Ok(self.disabled.clone()),
        }
    }

    /// Removes what was kept of other programs than these, and not written for [`GONE_TIME`]: they
    /// have left the configuration, and not just for a while.
    pub(super) fn forget_others(
        &self,
        programs: &BTreeSet<String>,
        now: SystemTime,
    ) -> Result<(), String> {
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        let known: BTreeSet<String> = ordered::set(programs.iter().map(|it| file_of(it)));
        let forget = |file: &Path| {
            let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let of_program = file.with_extension("json");
            let of_program = of_program.file_name().and_then(OsStr::to_str);
            let of_program = of_program.unwrap_or_default().trim_start_matches('.');
            if !RUNS.iter().any(|end| name.ends_with(end)) || known.contains(of_program) {
                return Ok(());
            }
            let written = fs::metadata(file)?.modified()?;
            match now.duration_since(written) {
                Ok(age) if age > GONE_TIME => fs::remove_file(file),
                _ => Ok(()),
            }
        };
        let files = fs::read_dir(directory).map_err(|error| (directory.clone(), error));
        let mut files = files.map_err(|(file, error)| format!("{}: {error}", file.display()))?;
        files.try_for_each(|file| {
            let file = file
                .map_err(|error| format!("{}: {error}", directory.display()))?
                .path();
            forget(&file).map_err(|error| format!("removing {}: {error}", file.display()))
        })
    }

    pub(super) fn keep_disabled(&mut self, disabled: BTreeSet<String>) -> Result<(), String> {
        let Some(directory) = &self.directory else {
            self.disabled = disabled;
            return Ok(());
        };
        replace(directory, DISABLED, &disabled)
    }
}

/// What the file says; nothing, if it is not there. One that cannot be understood is moved aside.
fn read<T: DeserializeOwned + Default>(file: &Path) -> Result<T, String> {
    let text = match File::open(file) {
        Ok(open) => {
            let mut text = Vec::new();
            let all = open.take(BYTES_MAX).read_to_end(&mut text);
            all.map(|_| text)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => Err(error),
    };
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_slice(&text).map_err(|error| {
        let aside = file.with_extension("bad");
        let moved = match fs::rename(file, &aside) {
            Ok(()) => format!("moved to {}", aside.display()),
            Err(error) => format!("it cannot be moved aside: {error}"),
        };
        format!("{}: {error}; {moved}, and begun anew", file.display())
    })
}

/// Replaces a file as a whole: after a crash there is the old one or the new one.
fn replace(directory: &Path, name: &str, value: &impl Serialize) -> Result<(), String> {
    let (file, beside) = (directory.join(name), directory.join(format!(".{name}")));
    let replaced = serde_json::to_vec(value)
        .map_err(io::Error::other)
        .and_then(|bytes| write(&beside, &bytes))
        .and_then(|()| fs::rename(&beside, &file))
        .and_then(|()| File::open(directory)?.sync_all());
    replaced.map_err(|error| format!("writing {}: {error}", file.display()))
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut open = options.open(file)?;
    open.write_all(bytes)?;
    open.sync_all()
}

/// `group:name.json`, with what cannot be in a file's name written as `%2f`.
fn file_of(program: &str) -> String {
    let mut name = String::new();
    for byte in program.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' => {
                name.push(char::from(byte));
            }
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() > NAME_MAX {
        name.truncate(NAME_MAX - 8);
        name.push_str(&format!("{:08x}", crc32fast::hash(program.as_bytes())));
    }
    // Nobody's but a program's: a dot is escaped in those.
    format!("{name}.runs.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pid: i32) -> VecDeque<Run> {
        VecDeque::from([Run {
            pid,
            ..Run::default()
        }])
    }

    #[test]
    fn what_is_kept_is_found_by_the_next_one() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("a/b");
        for (name, pid) in [
            ("web", 1),
            ("g:a/b", 2),
            ("..", 3),
            ("disabled", 4),
            (&"ü".repeat(300), 5),
        ] {
            let mut shelf = Shelf::open(Some(&directory)).unwrap();
            assert_eq!(shelf.runs(name), Ok(VecDeque::new()));
            shelf.keep_runs(name, run(pid)).unwrap();
            let next = Shelf::open(Some(&directory)).unwrap();
            assert_eq!(next.runs(name), Ok(run(pid)), "{name}");
        }
        let mut shelf = Shelf::open(Some(&directory)).unwrap();
        let disabled = BTreeSet::from(["web".to_owned()]);
        shelf.keep_disabled(disabled.clone()).unwrap();
        assert_eq!(
            Shelf::open(Some(&directory)).unwrap().disabled(),
            Ok(disabled)
        );
    }

    #[test]
    fn what_cannot_be_read_is_moved_aside_told_and_begun_anew() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(Some(home.path())).unwrap();
        for broken in ["", "[{\"pid\":", "\u{0}\u{0}", "{}", "[1]"] {
            fs::write(home.path().join("web.runs.json"), broken).unwrap();
            let told = shelf.runs("web").unwrap_err();
            assert!(
                told.contains("web.runs.json: ") && told.ends_with("begun anew"),
                "{told}"
            );
            assert_eq!(shelf.runs("web"), Ok(VecDeque::new()));
            assert_eq!(
                fs::read_to_string(home.path().join("web.runs.bad")).unwrap(),
                broken
            );
        }
    }

    #[test]
    fn a_half_written_file_is_never_seen() {
        let home = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(Some(home.path())).unwrap();
        shelf.keep_runs("web", run(1)).unwrap();
        // Killed before the rename.
        fs::write(home.path().join(".web.runs.json"), "[{").unwrap();
        assert_eq!(shelf.runs("web"), Ok(run(1)));
        shelf.keep_runs("web", run(2)).unwrap();
        assert_eq!(shelf.runs("web"), Ok(run(2)));
    }

    #[test]
    fn programs_that_are_gone_are_forgotten_after_a_while() {
        let home = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::open(Some(home.path())).unwrap();
        for name in ["web", "g:x.y", "gone"] {
            shelf.keep_runs(name, run(1)).unwrap();
        }
        shelf
            .keep_disabled(BTreeSet::from(["gone".to_owned()]))
            .unwrap();
        for other in ["gone.runs.bad", "web.runs.bad", ".gone.runs.json", "mine"] {
            fs::write(home.path().join(other), "").unwrap();
        }
        let names = || {
            let files = fs::read_dir(home.path()).unwrap();
            let name = |file: io::Result<fs::DirEntry>| file.unwrap().file_name();
            files
                .map(name)
                .map(|it| it.into_string().unwrap())
                .collect::<BTreeSet<_>>()
        };
        let before = names();
        let known = ["web", "g:x.y"].map(str::to_owned).into();
        let later = |time| SystemTime::now() + time;
        shelf.forget_others(&known, later(GONE_TIME / 2)).unwrap();
        assert_eq!(names(), before);
        shelf.forget_others(&known, later(GONE_TIME * 2)).unwrap();
        let expected = [
            "disabled.json",
            "g:x%2ey.runs.json",
            "mine",
            "web.runs.bad",
            "web.runs.json",
        ];
        assert_eq!(names(), expected.map(str::to_owned).into());
    }

    #[test]
    fn without_a_directory_it_is_kept_in_memory() {
        let mut shelf = Shelf::open(None).unwrap();
        shelf.keep_runs("web", run(1)).unwrap();
        assert_eq!(shelf.runs("web"), Ok(run(1)));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Shelf::open(Some(&file.path().join("x"))).is_err());
    }
}
