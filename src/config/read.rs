//! The whole of a configuration: files into a document, sections into a [`Config`].

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::files::read_files;
use super::groups::groups;
use super::host::Host;
use super::ini::{Document, SourceFile};
use super::model::Config;
use super::nearest::nearest;
use super::options;
use super::programs::Inherited;
use super::reader::{Reader, Scope};
use super::scan::scan;
use super::servers::{server_url, servers};
use super::supervisord::supervisord_with;

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The root file, absolute; `None` for built-in defaults.
    pub file: Option<PathBuf>,
    /// Options of `[supervisord]` from the command line; they win over the file.
    pub overrides: Vec<Override>,
    /// One program instead of a file (`appctl run`).
    pub single: Option<Single>,
}

/// A configuration of one program that no file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Single {
    /// The sections as they would be in a file.
    pub text: String,
    /// `command=` of the program, as it is: nothing in it is expanded or taken for a comment.
    pub command: String,
}

/// An option of `[supervisord]` given on the command line, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Name of the option as in the file, such as `loglevel`.
    pub option: String,
    /// The flag as Supervisor names it in errors: `-e`, or `--loglevel` in full.
    pub flag: String,
    /// The text given; `true` for a flag without value.
    pub value: String,
}

/// A good configuration, and what is worth a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings and information.
    pub notices: Vec<Diagnostic>,
    /// What was written, to say where.
    pub(super) document: Document,
}

impl Loaded {
    /// Where an option of a program stands, as `file:line`: its own line, for a variable that
    /// `[supervisord]` sets the line there, else the header of the section.
    pub fn place(&self, program: &str, option: &str) -> Option<String> {
        let document = &self.document;
        let kinds = ["program", "fcgi-program", "eventlistener", "group"];
        let section = kinds
            .iter()
            .find_map(|kind| document.section(&format!("{kind}:{program}")))?;
        let key = option.split(' ').next().unwrap_or(option);
        let daemon = document
            .section("supervisord")
            .filter(|_| key == "environment");
        let own = document.entry(section, key);
        let entry = own.or_else(|| document.entry(daemon?, key));
        let origin = entry.map_or(section.origin, |entry| entry.origin);
        Some(format!("{}:{}", document.file(origin).name, origin.line))
    }
}

/// Reads a configuration. The error holds every problem, warnings included.
pub fn load(host: &dyn Host, source: &Source) -> Result<Loaded, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let without_file = |text: &str| {
        let name = "built-in defaults".into();
        let here = String::new();
        vec![(SourceFile { name, here }, scan(text))]
    };
    let parts = match (&source.single, &source.file) {
        (Some(single), _) => without_file(&single.text),
        (None, Some(file)) => read_files(host, file, &mut diagnostics),
        (None, None) => without_file("[supervisord]\n"),
    };
    if diagnostics.error_count() > 0 {
        return Err(diagnostics);
    }
    let document = Document::merge(parts);
    let mut reader = Reader {
        host,
        document: &document,
        environment: host.environment(),
        diagnostics,
    };
    let config = configuration(&mut reader, source);
    warn_of_unknown(&mut reader);
    let diagnostics = reader.diagnostics;
    match config.map(|config| with_command(config, source)) {
        Some(config) if diagnostics.error_count() == 0 => Ok(Loaded {
            config,
            notices: diagnostics.into_vec(),
            document,
        }),
        _ => Err(diagnostics),
    }
}

fn with_command(mut config: Config, source: &Source) -> Config {
    if let Some(single) = &source.single {
        let processes = config
            .groups
            .iter_mut()
            .flat_map(|group| &mut group.processes);
        for process in processes {
            Arc::make_mut(process)
                .launch
                .command
                .clone_from(&single.command);
        }
    }
    config
}

fn configuration(reader: &mut Reader<'_>, source: &Source) -> Option<Config> {
    let document = reader.document;
    let Some(section) = document.section("supervisord") else {
        let words = ".ini file does not include supervisord section";
        reader
            .diagnostics
            .push(Diagnostic::error(words).as_supervisor(words));
        return None;
    };
    let supervisord = supervisord_with(reader, section, &source.overrides);
    reader.environment.extend(supervisord.environment.clone());
    let rpc_interfaces = rpc_interfaces(reader);
    // Groups need the first server's address, but Supervisor finds fault with groups first.
    let before = std::mem::take(&mut reader.diagnostics);
    let servers = servers(reader);
    let of_servers = std::mem::replace(&mut reader.diagnostics, before);
    let inherited = Inherited {
        environment: supervisord.environment.clone(),
        first_server: server_url(&servers),
    };
    let (groups, shadowed) = groups(reader, &inherited);
    for diagnostic in of_servers.into_vec() {
        reader.diagnostics.push(diagnostic);
    }
    Some(Config {
        file: source.file.clone(),
        supervisord,
        servers,
        rpc_interfaces,
        groups,
        shadowed,
    })
}

fn rpc_interfaces(reader: &mut Reader<'_>) -> Vec<String> {
    let document = reader.document;
    let mut interfaces = Vec::new();
    for section in document.sections() {
        let Some(name) = section.name.strip_prefix("rpcinterface:") else {
            continue;
        };
        let scope = Scope::of(section);
        match reader.text(&scope, "supervisor.rpcinterface_factory") {
            None => {
                let words = format!(
                    "section [{}] does not specify a supervisor.rpcinterface_factory",
                    section.name
                );
                reader.refuse(&scope, "supervisor.rpcinterface_factory", &words, "");
            }
            Some(factory) if factory == "supervisor.rpcinterface:make_main_rpcinterface" => {
                if section.entries.len() > 1 {
                    reader.refuse(&scope, "", "Could not make supervisor rpc interface", "");
                }
                interfaces.push(name.to_owned());
            }
            Some(factory) => {
                let words = format!("{factory} cannot be resolved within [{}]", section.name);
                reader.refuse(
                    &scope,
                    "supervisor.rpcinterface_factory",
                    &words,
                    "the standard one",
                );
            }
        }
    }
    interfaces
}

/// Sections and keys that nobody reads: a warning with what was probably meant.
fn warn_of_unknown(reader: &mut Reader<'_>) {
    let document = reader.document;
    for section in document.sections() {
        if options::is_free(&section.name) {
            continue;
        }
        let file = document.file(section.origin).name.clone();
        let Some(known) = options::of_section(&section.name) else {
            let meant = options::nearest_section(&section.name)
                .map_or_else(String::new, |meant| format!("; did you mean [{meant}]?"));
            let message = format!("unknown section, ignored{meant}");
            let warning = Diagnostic::warning(message)
                .at(&file, section.origin.line)
                .in_section(&section.name);
            reader.diagnostics.push(warning);
            continue;
        };
        let scope = Scope::of(section);
        for key in section.entries.keys() {
            if known.iter().any(|option| option.name == key) {
                continue;
            }
            let meant = nearest(key, known.iter().map(|option| option.name))
                .map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            reader.warn(&scope, key, format!("unknown option, ignored{meant}"));
        }
    }
}
