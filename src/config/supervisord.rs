//! The section `[supervisord]`, with what the command line puts over it.

use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::environment;
use super::ini::{Entry, Origin, Section};
use super::model::{LogLevel, MainLogTarget, StateDirectory, SupervisordConfig};
use super::paths;
use super::python::repr;
use super::read::Override;
use super::reader::{Reader, Scope};
use super::value::{self, Refused};
use super::{log_limits, logfile};

/// `[supervisord]` as the file and the command line say together. What the file says has to be
/// right even where the command line says something else.
pub(super) fn supervisord_with(
    reader: &mut Reader<'_>,
    section: &Section,
    overrides: &[Override],
) -> SupervisordConfig {
    let of_file = supervisord(reader, section, &[]);
    if overrides.is_empty() {
        return of_file;
    }
    let before = std::mem::take(&mut reader.diagnostics);
    let together = supervisord(reader, &with_overrides(section, overrides), overrides);
    let found = std::mem::replace(&mut reader.diagnostics, before);
    // The rest was found in the file already.
    for diagnostic in found.into_vec() {
        if diagnostic.option.is_none() {
            reader.diagnostics.push(diagnostic);
        }
    }
    together
}

/// `[supervisord]` with what the command line says put over it.
fn with_overrides(section: &Section, overrides: &[Override]) -> Section {
    let mut section = section.clone();
    for given in overrides {
        let origin: Origin = section.origin;
        // A command line is not a format string.
        let value = given.value.replace('%', "%%");
        section
            .entries
            .insert(given.option.clone(), Entry { value, origin });
    }
    section
}

fn supervisord(
    outer: &mut Reader<'_>,
    section: &Section,
    overrides: &[Override],
) -> SupervisordConfig {
    let host = outer.host;
    let mut reader = Reader {
        host,
        document: outer.document,
        environment: outer.environment.clone(),
        diagnostics: std::mem::take(&mut outer.diagnostics),
    };
    let before = reader.diagnostics.error_count();
    let scope = Scope::of(section);
    let in_cwd = |name: &str| host.current_dir().join(name);
    let path = |text: &str| value::path_in_directory(host, text);
    let config = SupervisordConfig {
        logfile: reader.read(
            &scope,
            "logfile",
            MainLogTarget::File(in_cwd("supervisord.log")),
            |text| match text.to_lowercase().as_str() {
                "none" | "off" | "" => Ok(MainLogTarget::None),
                "syslog" => Ok(MainLogTarget::Syslog),
                _ => path(text)
                    .map(|path| MainLogTarget::File(paths::absolute(host, Path::new(&path)))),
            },
        ),
        logfile_config: logfile::read(&mut reader, &scope, "logfile"),
        log_budget: log_limits::read(&mut reader, &scope),
        loglevel: reader.read(&scope, "loglevel", LogLevel::Info, value::log_level),
        pidfile: reader.read(&scope, "pidfile", in_cwd("supervisord.pid"), |text| {
            path(text).map(|path| paths::absolute(host, Path::new(&path)))
        }),
        umask: reader.read(&scope, "umask", 0o22, value::octal),
        nodaemon: reader.read(&scope, "nodaemon", false, value::boolean),
        silent: reader.read(&scope, "silent", false, value::boolean),
        minfds: reader.read(&scope, "minfds", 1024, unsigned),
        minprocs: reader.read(&scope, "minprocs", 200, unsigned),
        nocleanup: reader.read(&scope, "nocleanup", false, value::boolean),
        childlogdir: reader.read(&scope, "childlogdir", host.temp_dir(), |text| {
            value::directory(host, text).map(|path| paths::absolute(host, Path::new(&path)))
        }),
        user: reader.read(&scope, "user", None, |text| {
            value::user(host, text).map(Some)
        }),
        directory: reader.read(&scope, "directory", None, |text| {
            value::directory(host, text).map(|path| Some(PathBuf::from(path)))
        }),
        strip_ansi: reader.read(&scope, "strip_ansi", false, value::boolean),
        environment: environment::read(&mut reader, &scope),
        identifier: reader
            .text(&scope, "identifier")
            .unwrap_or_else(|| "supervisor".into()),
        statedir: reader.read(&scope, "statedir", StateDirectory::Default, |text| {
            Ok(match text {
                "NONE" | "none" => StateDirectory::None,
                path => StateDirectory::At(paths::absolute(host, Path::new(path))),
            })
        }),
    };
    outer.diagnostics = blame_flags(reader.diagnostics, before, overrides);
    config
}

/// An error about an option that the command line gave is an error of the command line.
fn blame_flags(diagnostics: Diagnostics, skip: usize, overrides: &[Override]) -> Diagnostics {
    let mut blamed = Diagnostics::new();
    let mut errors = 0;
    for mut diagnostic in diagnostics.into_vec() {
        errors += usize::from(diagnostic.severity == Severity::Error);
        let given = overrides.iter().find(|given| {
            diagnostic.section.as_deref() == Some("supervisord")
                && diagnostic.option.as_deref() == Some(given.option.as_str())
        });
        if let Some(given) = given.filter(|_| errors > skip) {
            let why = diagnostic.for_supervisor();
            let words = match given.option.as_str() {
                // Supervisor looks for the user later, and has forgotten the flag by then.
                "user" => why,
                _ => format!(
                    "invalid value for {} {}: {why}",
                    given.flag,
                    repr(&given.value)
                ),
            };
            diagnostic = Diagnostic::error(words.clone()).as_supervisor(words);
        }
        blamed.push(diagnostic);
    }
    blamed
}

fn unsigned(text: &str) -> Result<u64, Refused> {
    value::integer(text).map(|number| u64::try_from(number).unwrap_or(0))
}
