//! Reads the files of a configuration: the root file and those that its `[include]` names.
//!
//! Must never: look at any section but `[include]`.

use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::glob::glob;
use super::host::Host;
use super::ini::{DEFAULT_SECTION, Document, SourceFile};
use super::paths;
use super::python::repr;
use super::reader::{Reader, Scope};
use super::scan::{LineProblemKind, Scanned, scan};

/// The root file and what its `[include]` names.
pub(super) fn read_files(
    host: &dyn Host,
    file: &Path,
    diagnostics: &mut Diagnostics,
) -> Vec<(SourceFile, Scanned)> {
    let Some(root) = read_file(host, file, diagnostics) else {
        return Vec::new();
    };
    let include = with_sections(&root, |name| name == "include");
    let mut parts = vec![root];
    let document = Document::merge(vec![include]);
    let Some(section) = document.section("include") else {
        return parts;
    };
    let diagnosed = std::mem::take(diagnostics);
    let mut reader = Reader {
        host,
        document: &document,
        environment: host.environment(),
        diagnostics: diagnosed,
    };
    let scope = Scope::of(section);
    if reader.entry(&scope, "files").is_none() {
        let words = ".ini file has [include] section, but no files setting";
        reader.refuse(&scope, "files", words, "");
    }
    let here = document
        .files
        .first()
        .map(|file| file.here.clone())
        .unwrap_or_default();
    for pattern in reader
        .text(&scope, "files")
        .unwrap_or_default()
        .split_whitespace()
    {
        let pattern = Path::new(&here).join(pattern).display().to_string();
        let found = glob(host, &pattern);
        if found.is_empty() {
            let words = format!("No file matches via include \"{pattern}\"");
            reader
                .diagnostics
                .push(Diagnostic::warning(words.clone()).as_supervisor(words));
        }
        for path in found.iter().filter(|path| !host.is_dir(Path::new(path))) {
            let words = format!("Included extra file \"{path}\" during parsing");
            let notice = Diagnostic::new(Severity::Info, words.clone()).as_supervisor(words);
            reader.diagnostics.push(notice);
            parts.extend(read_file(host, Path::new(path), &mut reader.diagnostics));
        }
    }
    *diagnostics = reader.diagnostics;
    parts
}

/// The part of a configuration that says where daemon and client meet: all but programs and groups,
/// which are most of it.
pub(super) fn without_programs(part: &(SourceFile, Scanned)) -> (SourceFile, Scanned) {
    with_sections(part, |name| {
        !name.contains("program:") && !name.starts_with("group:")
    })
}

/// A file with these of its sections alone, and what all inherit.
fn with_sections(
    (file, scanned): &(SourceFile, Scanned),
    wanted: impl Fn(&str) -> bool,
) -> (SourceFile, Scanned) {
    let sections = scanned.sections.iter();
    let kept = sections.filter(|section| section.name == DEFAULT_SECTION || wanted(&section.name));
    let scanned = Scanned {
        sections: kept.cloned().collect(),
        ..Scanned::default()
    };
    (file.clone(), scanned)
}

pub(super) fn read_file(
    host: &dyn Host,
    path: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<(SourceFile, Scanned)> {
    let name = path.display().to_string();
    let bytes = match host.read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let failed = match error.kind() {
                std::io::ErrorKind::NotFound => "find",
                _ => "read",
            };
            let words = format!("could not {failed} config file {name}");
            let diagnostic = Diagnostic::error(format!("{words}: {error}")).as_supervisor(words);
            diagnostics.push(diagnostic);
            return None;
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let line = bytes.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
            let byte = bytes.get(at).copied().unwrap_or_default();
            let words = format!(
                "'utf-8' codec can't decode byte 0x{byte:02x} in position {at}: invalid \
                 continuation byte"
            );
            let message = format!("byte 0x{byte:02x} is not UTF-8");
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            diagnostics.push(
                Diagnostic::error(message)
                    .at(&name, line)
                    .as_supervisor(words),
            );
            return None;
        }
    };
    let scanned = scan(&text);
    report_lines(&name, &scanned, diagnostics);
    let absolute = paths::absolute(host, path);
    let here = absolute
        .parent()
        .unwrap_or(Path::new("/"))
        .display()
        .to_string();
    Some((SourceFile { name, here }, scanned))
}

/// Lines that are not of the grammar. Supervisor tells all of them in one message.
fn report_lines(name: &str, scanned: &Scanned, diagnostics: &mut Diagnostics) {
    let mut all = format!("Source contains parsing errors: '{name}'");
    for problem in &scanned.problems {
        all.push_str(&format!(
            "\n\t[line {:2}]: {}",
            problem.line,
            repr(&problem.raw)
        ));
    }
    for problem in &scanned.problems {
        let (message, words) = match problem.kind {
            LineProblemKind::BeforeSections => (
                "a line before the first [section]",
                format!(
                    "File contains no section headers.\nfile: '{name}', line: {}\n{}",
                    problem.line,
                    repr(&problem.raw)
                ),
            ),
            LineProblemKind::NoDelimiter => ("neither a [section] nor key=value", all.clone()),
            LineProblemKind::NoKey => ("a value without a key", all.clone()),
        };
        let message = format!("{message}: {}", problem.raw.trim());
        diagnostics.push(
            Diagnostic::error(message)
                .at(name, problem.line)
                .as_supervisor(words),
        );
    }
}
