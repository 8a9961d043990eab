//! The whole of a configuration: files into a document, sections into a [`Config`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::environment::{environment, supervisor_refusal};
use super::glob::glob;
use super::host::Host;
use super::ini::{Document, Entry, Origin, Section, SourceFile};
use super::model::{
    Config, GroupConfig, GroupKind, LogLevel, MainLogTarget, ServerAddress, ServerConfig,
    SupervisorctlConfig, SupervisordConfig,
};
use super::nearest::nearest;
use super::options;
use super::paths;
use super::programs::{self, Inherited, Program};
use super::python::repr;
use super::reader::{Reader, Scope};
use super::scan::{LineProblemKind, Scanned, scan};
use super::value::{self, Refused};

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The root file, absolute; `None` for built-in defaults.
    pub file: Option<PathBuf>,
    /// Options of `[supervisord]` from the command line; they win over the file.
    pub overrides: Vec<Override>,
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
}

/// Reads a configuration. The error holds every problem, warnings included.
pub fn load(host: &dyn Host, source: &Source) -> Result<Loaded, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let parts = match &source.file {
        Some(file) => read_files(host, file, &mut diagnostics),
        None => vec![(
            SourceFile {
                name: "built-in defaults".into(),
                here: String::new(),
            },
            scan("[supervisord]\n"),
        )],
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
    match config {
        Some(config) if diagnostics.error_count() == 0 => Ok(Loaded {
            config,
            notices: diagnostics.into_vec(),
        }),
        _ => Err(diagnostics),
    }
}

/// Reads `[supervisorctl]` alone, as its program does: includes are ignored.
pub fn load_supervisorctl(
    host: &dyn Host,
    file: Option<&Path>,
) -> Result<SupervisorctlConfig, Diagnostics> {
    let defaults = SupervisorctlConfig {
        serverurl: "http://localhost:9001".into(),
        username: None,
        password: None,
        prompt: "supervisor".into(),
        history_file: None,
    };
    let Some(file) = file else {
        return Ok(defaults);
    };
    let mut diagnostics = Diagnostics::new();
    let part = read_file(host, file, &mut diagnostics)
        .map(|part| vec![part])
        .unwrap_or_default();
    let document = Document::merge(part);
    let mut reader = Reader {
        host,
        document: &document,
        environment: host.environment(),
        diagnostics,
    };
    let Some(section) = document.section("supervisorctl") else {
        if reader.diagnostics.error_count() == 0 {
            let words = ".ini file does not include supervisorctl section";
            reader
                .diagnostics
                .push(Diagnostic::error(words).as_supervisor(words));
        }
        return Err(reader.diagnostics);
    };
    let scope = Scope::of(section);
    let url = reader
        .text(&scope, "serverurl")
        .unwrap_or(defaults.serverurl);
    let config = SupervisorctlConfig {
        serverurl: match url.strip_prefix("unix://") {
            Some(path) => format!("unix://{}", paths::normal(host, path).display()),
            None => url,
        },
        username: reader.text(&scope, "username"),
        password: reader.text(&scope, "password"),
        prompt: reader.text(&scope, "prompt").unwrap_or(defaults.prompt),
        history_file: reader
            .text(&scope, "history_file")
            .filter(|path| !path.is_empty())
            .map(|path| paths::normal(host, &path)),
    };
    if reader.diagnostics.error_count() == 0 {
        Ok(config)
    } else {
        Err(reader.diagnostics)
    }
}

/// The root file and what its `[include]` names.
fn read_files(
    host: &dyn Host,
    file: &Path,
    diagnostics: &mut Diagnostics,
) -> Vec<(SourceFile, Scanned)> {
    let Some(root) = read_file(host, file, diagnostics) else {
        return Vec::new();
    };
    let mut parts = vec![root];
    let document = Document::merge(parts.clone());
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

fn read_file(
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
    let serverurl = server_url(&servers);
    let inherited = Inherited {
        environment: supervisord.environment.clone(),
        serverurl,
    };
    let groups = groups(reader, &inherited);
    for diagnostic in of_servers.into_vec() {
        reader.diagnostics.push(diagnostic);
    }
    Some(Config {
        file: source.file.clone(),
        supervisord,
        servers,
        rpc_interfaces,
        groups,
    })
}

/// `[supervisord]` as the file and the command line say together. What the file says has to be
/// right even where the command line says something else.
fn supervisord_with(
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
        logfile_maxbytes: reader.read(&scope, "logfile_maxbytes", 50 << 20, value::bytes),
        logfile_backups: reader.read(&scope, "logfile_backups", 10, programs::count),
        logfile_rotate: reader.read(&scope, "logfile_rotate", None, value::rotate_period),
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
            value::directory(host, text).map(PathBuf::from)
        }),
        user: reader.read(&scope, "user", None, |text| {
            value::user(host, text).map(Some)
        }),
        directory: reader.read(&scope, "directory", None, |text| {
            value::directory(host, text).map(|path| Some(PathBuf::from(path)))
        }),
        strip_ansi: reader.read(&scope, "strip_ansi", false, value::boolean),
        environment: reader.read(&scope, "environment", BTreeMap::new(), |text| {
            environment(text).map_err(|problem| Refused {
                words: supervisor_refusal(text).unwrap_or_else(|| problem.to_string()),
                expected: "KEY=\"value\" pairs separated by commas",
            })
        }),
        identifier: reader
            .text(&scope, "identifier")
            .unwrap_or_else(|| "supervisor".into()),
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
            let words = format!(
                "invalid value for {} {}: {why}",
                given.flag,
                repr(&given.value)
            );
            diagnostic = Diagnostic::error(words.clone()).as_supervisor(words);
        }
        blamed.push(diagnostic);
    }
    blamed
}

fn unsigned(text: &str) -> Result<u64, Refused> {
    value::integer(text).map(|number| u64::try_from(number).unwrap_or(0))
}

fn servers(reader: &mut Reader<'_>) -> Vec<ServerConfig> {
    let document = reader.document;
    let mut servers = Vec::new();
    for prefix in ["inet_http_server", "unix_http_server"] {
        for section in document
            .sections()
            .iter()
            .filter(|s| s.name.starts_with(prefix))
        {
            let scope = Scope::of(section);
            let address = match prefix {
                "inet_http_server" => inet_address(reader, &scope),
                _ => unix_address(reader, &scope),
            };
            let user = reader
                .text(&scope, "username")
                .filter(|text| !text.is_empty());
            let password = reader
                .text(&scope, "password")
                .filter(|text| !text.is_empty());
            let credentials = match (user, password) {
                (Some(user), Some(password)) => Some((user, password)),
                (None, None) => None,
                _ => {
                    let words = format!(
                        "Section [{}] contains incomplete authentication: If a username or a \
                         password is specified, both the username and password must be specified",
                        section.name
                    );
                    reader.refuse(&scope, "username", &words, "");
                    None
                }
            };
            if let Some(address) = address {
                servers.push(ServerConfig {
                    section: section.name.clone(),
                    address,
                    credentials,
                });
            }
        }
    }
    servers
}

fn inet_address<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> Option<ServerAddress> {
    if reader.entry(scope, "port").is_none() {
        let words = format!("section [{}] has no port value", scope.section.name);
        reader.refuse(scope, "port", &words, "");
        return None;
    }
    let read = |text: &str| value::inet_address(text).map(Some);
    let (host, port) = reader.read(scope, "port", None, read)?;
    let allow_unauthenticated = reader.read(scope, "allow_unauthenticated", false, value::boolean);
    Some(ServerAddress::Inet {
        host,
        port,
        allow_unauthenticated,
    })
}

fn unix_address<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> Option<ServerAddress> {
    let host = reader.host;
    if reader.entry(scope, "file").is_none() {
        let words = format!("section [{}] has no file value", scope.section.name);
        reader.refuse(scope, "file", &words, "");
        return None;
    }
    let path = reader.text(scope, "file")?;
    let mode = reader.read(scope, "chmod", 0o700, |text| {
        value::octal(text).map_err(|refused| Refused {
            words: format!("Invalid chmod value {text}"),
            ..refused
        })
    });
    let owner = reader.read(scope, "chown", (None, None), |text| {
        value::owner(host, text).map_err(|refused| Refused {
            words: format!("Invalid sockchown value {text}"),
            ..refused
        })
    });
    Some(ServerAddress::Unix {
        path: paths::normal(host, path.trim()),
        mode,
        owner,
    })
}

/// What programs are told of where to reach us: the first unix socket, else the first port.
fn server_url(servers: &[ServerConfig]) -> Option<String> {
    let unix = servers.iter().find_map(|server| match &server.address {
        ServerAddress::Unix { path, .. } => Some(format!("unix://{}", path.display())),
        ServerAddress::Inet { .. } => None,
    });
    unix.or_else(|| {
        servers.iter().find_map(|server| match &server.address {
            ServerAddress::Inet { host, port, .. } => {
                let host = if host.is_empty() { "localhost" } else { host };
                Some(format!("http://{host}:{port}"))
            }
            ServerAddress::Unix { .. } => None,
        })
    })
}

fn groups(reader: &mut Reader<'_>, inherited: &Inherited) -> Vec<GroupConfig> {
    let document = reader.document;
    let mut groups: Vec<GroupConfig> = Vec::new();
    let mut grouped: BTreeSet<String> = BTreeSet::new();
    for section in document.sections() {
        let Some(name) = section.name.strip_prefix("group:") else {
            continue;
        };
        let scope = Scope::of(section);
        let name = match value::name(name) {
            Ok(name) => name,
            Err(refused) => {
                reader.refuse(&scope, "", &refused.words, refused.expected);
                continue;
            }
        };
        let priority = reader.read(&scope, "priority", 999, value::integer);
        let mut group = GroupConfig {
            name: name.clone(),
            priority,
            kind: GroupKind::Program,
            processes: vec![],
        };
        let members = reader.text(&scope, "programs").unwrap_or_default();
        for member in members
            .split(',')
            .map(str::trim)
            .filter(|_| !members.trim().is_empty())
        {
            let sections: Vec<&Section> = ["program", "fcgi-program"]
                .iter()
                .filter_map(|kind| document.section(&format!("{kind}:{member}")))
                .collect();
            match sections.as_slice() {
                [section] => {
                    grouped.insert(section.name.clone());
                    if let Some(program) = programs::program(reader, section, &name, inherited) {
                        if program.kind != GroupKind::Program {
                            group.kind = program.kind;
                        }
                        group.processes.extend(program.processes);
                    }
                }
                [] => {
                    let words = format!(
                        "[{}] names unknown program or fcgi-program {member}",
                        scope.section.name
                    );
                    let known = document.sections().iter().filter_map(|section| {
                        let (kind, name) = section.name.split_once(':')?;
                        (kind == "program" || kind == "fcgi-program").then_some(name)
                    });
                    let expected = match nearest(member, known) {
                        Some(meant) => format!("names of programs; did you mean {meant}?"),
                        None => "names of programs".to_owned(),
                    };
                    reader.refuse(&scope, "programs", &words, &expected);
                }
                _ => {
                    let words = format!(
                        "[{}] name {member} is ambiguous (exists as program and fcgi-program)",
                        scope.section.name
                    );
                    reader.refuse(&scope, "programs", &words, "");
                }
            }
        }
        groups.push(group);
    }
    for section in document.sections() {
        let Some((kind, name)) = section.name.split_once(':') else {
            continue;
        };
        if !matches!(kind, "program" | "fcgi-program" | "eventlistener")
            || grouped.contains(&section.name)
        {
            continue;
        }
        if let Some(program) = programs::program(reader, section, name.trim(), inherited) {
            let Program {
                name,
                kind,
                priority,
                processes,
            } = program;
            groups.push(GroupConfig {
                name,
                priority,
                kind,
                processes,
            });
        }
    }
    groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    drop_twins(reader, &mut groups);
    groups
}

/// Of two groups with one name only the first is ever used, as Supervisor does it.
fn drop_twins(reader: &mut Reader<'_>, groups: &mut Vec<GroupConfig>) {
    let mut names = BTreeSet::new();
    let diagnostics = &mut reader.diagnostics;
    groups.retain(|group| {
        let is_first = names.insert(group.name.clone());
        if !is_first {
            let message = format!(
                "two groups are named '{0}': only the first one (priority, then [group:{0}]) is used",
                group.name
            );
            diagnostics.push(Diagnostic::warning(message));
        }
        is_first
    });
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
