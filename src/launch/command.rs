//! From `command=` to a file to execute: words, search in PATH, and Supervisor's refusals.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::fleet::{SpawnFailure, SpawnFailureKind};

/// Where programs are looked for if neither the program nor the daemon has a PATH (Supervisor's
/// list).
const PATH_DEFAULT: &str = "/bin:/usr/bin:/usr/local/bin";

/// A command that can be executed, as far as can be told before trying.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The file. A relative one is relative to `directory`, for that is where it is executed.
    pub(super) file: PathBuf,
    /// All words, the first as typed.
    pub(super) words: Vec<String>,
}

/// Finds the file of a command. `search` is the PATH of the program's environment.
pub(super) fn resolve(
    command: &str,
    directory: Option<&Path>,
    search: Option<&OsStr>,
) -> Result<Resolved, SpawnFailure> {
    let words = split(command).map_err(|reason| SpawnFailure {
        kind: SpawnFailureKind::NotExecutable,
        text: format!("can't parse command '{command}': {reason}"),
    })?;
    let Some(program) = words.first() else {
        return Err(SpawnFailure {
            kind: SpawnFailureKind::NotExecutable,
            text: "command is empty".to_owned(),
        });
    };
    let file = if program.contains('/') {
        PathBuf::from(program)
    } else {
        found_in(
            search.unwrap_or(OsStr::new(PATH_DEFAULT)),
            program,
            directory,
        )
        .unwrap_or_else(|| PathBuf::from(program))
    };
    check(&file, directory)?;
    Ok(Resolved { file, words })
}

/// The first directory that has the name wins, executable or not (Supervisor's rule).
fn found_in(search: &OsStr, program: &str, directory: Option<&Path>) -> Option<PathBuf> {
    let places = search.as_bytes().split(|byte| *byte == b':');
    places
        .map(|place| Path::new(OsStr::from_bytes(place)).join(program))
        .find(|file| fs::metadata(seen_from_here(file, directory)).is_ok())
}

/// A relative file is executed after the change of directory, so it is tested there as well.
fn seen_from_here(file: &Path, directory: Option<&Path>) -> PathBuf {
    directory.map_or_else(|| file.to_owned(), |directory| directory.join(file))
}

fn check(file: &Path, directory: Option<&Path>) -> Result<(), SpawnFailure> {
    use SpawnFailureKind::{NoFile, NotExecutable};
    let shown = file.display();
    let here = seen_from_here(file, directory);
    let refused = |kind, text| Err(SpawnFailure { kind, text });
    let Ok(metadata) = fs::metadata(&here) else {
        // Where the directory is missing, the child's change of directory says so.
        let no_directory = directory.is_some_and(|directory| fs::metadata(directory).is_err());
        if file.is_relative() && file.components().count() > 1 && no_directory {
            return Ok(());
        }
        return refused(NoFile, format!("can't find command '{shown}'"));
    };
    if metadata.is_dir() {
        refused(
            NotExecutable,
            format!("command at '{shown}' is a directory"),
        )
    } else if metadata.permissions().mode() & 0o111 == 0 {
        refused(
            NotExecutable,
            format!("command at '{shown}' is not executable"),
        )
    } else if access(&here, Access::EXEC_OK).is_err() {
        refused(
            NotExecutable,
            format!("no permission to run command '{shown}'"),
        )
    } else {
        Ok(())
    }
}

/// Splits a command as a POSIX shell would, without expanding anything (Python's `shlex`).
fn split(command: &str) -> Result<Vec<String>, &'static str> {
    const NO_QUOTE: &str = "No closing quotation";
    const NO_CHARACTER: &str = "No escaped character";
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = command.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => word
                .get_or_insert_default()
                .push(rest.next().ok_or(NO_CHARACTER)?),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or(NO_QUOTE)? {
                        end if end == character => break,
                        '\\' if character == '"' => match rest.next().ok_or(NO_CHARACTER)? {
                            escaped @ ('"' | '\\') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        inner => word.push(inner),
                    }
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let table: [(&str, Result<&[&str], &str>); 12] = [
            ("", Ok(&[])),
            (" \t ", Ok(&[])),
            ("a  b\tc", Ok(&["a", "b", "c"])),
            ("a 'b c' \"d e\"", Ok(&["a", "b c", "d e"])),
            ("a''b \"\" c", Ok(&["ab", "", "c"])),
            (r"a\ b", Ok(&["a b"])),
            (r#""a\"b\\c\d""#, Ok(&[r#"a"b\c\d"#])),
            (r"'a\b'", Ok(&[r"a\b"])),
            ("é#x", Ok(&["é#x"])),
            ("a 'b", Err("No closing quotation")),
            ("a \"b", Err("No closing quotation")),
            ("a\\", Err("No escaped character")),
        ];
        for (command, expected) in table {
            let expected = expected.map(|words| words.iter().map(|w| (*w).to_owned()).collect());
            assert_eq!(split(command), expected, "{command:?}");
        }
    }

    fn text(command: &str, directory: Option<&Path>, search: &Path) -> String {
        match resolve(command, directory, Some(search.as_os_str())) {
            Ok(resolved) => resolved.file.display().to_string(),
            Err(failure) => format!("{:?} {}", failure.kind, failure.text),
        }
    }

    #[test]
    fn refusals_and_searches() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let place = |name: &str, mode: u32| {
            fs::write(at(name), "#!/bin/sh\n").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        fs::create_dir_all(at("first")).unwrap();
        fs::create_dir_all(at("second")).unwrap();
        place("first/plain", 0o644);
        place("second/plain", 0o755);
        place("second/tool", 0o755);
        let search = PathBuf::from(format!(
            "{}:{}",
            at("first").display(),
            at("second").display()
        ));
        let show = |path: PathBuf| path.display().to_string();
        let dir = Some(home.path());

        assert_eq!(text("tool -x", None, &search), show(at("second/tool")));
        // The first that exists wins although the second could be executed.
        let plain = at("first/plain");
        let refused = format!(
            "NotExecutable command at '{}' is not executable",
            plain.display()
        );
        assert_eq!(text("plain", None, &search), refused);
        assert_eq!(
            text("nowhere", None, &search),
            "NoFile can't find command 'nowhere'"
        );
        assert_eq!(
            text("./x/y", None, &search),
            "NoFile can't find command './x/y'"
        );
        assert_eq!(text("", None, &search), "NotExecutable command is empty");
        assert_eq!(
            text("a 'b", None, &search),
            "NotExecutable can't parse command 'a 'b': No closing quotation"
        );
        let first = at("first");
        let refused = format!(
            "NotExecutable command at '{}' is a directory",
            first.display()
        );
        assert_eq!(text(&show(first), None, &search), refused);
        // Relative to the directory it will be executed in, not to ours.
        assert_eq!(text("second/tool", dir, &search), "second/tool");
        assert_eq!(
            text("second/tool", None, &search),
            "NoFile can't find command 'second/tool'"
        );
        assert_eq!(text("tool", dir, Path::new("nope:second")), "second/tool");
        // A missing directory is the child's to tell.
        assert_eq!(text("bin/x", Some(&at("missing")), &search), "bin/x");
    }
}
