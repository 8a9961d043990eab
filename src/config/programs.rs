//! `[program:x]`, `[fcgi-program:x]` and `[eventlistener:x]`: each section becomes processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::destination::{self, Destination, SyslogStyle};
use super::environment;
use super::event_type::EventType;
use super::fast_cgi;
use super::ini::Section;
use super::logfile;
use super::model::{
    Autorestart, FormatTime, GroupKind, LaunchConfig, LineFormat, ListenerConfig, LogTarget,
    OnFull, OutputForm, Policy, ProcessConfig, Signal, StreamConfig,
};
use super::python;
use super::reader::{Reader, Scope};
use super::value::{self, Refused};
use crate::ordered;

/// Most processes of one section.
const NUMPROCS_MAX: i64 = 10_000;

/// A program-like section, read.
pub(super) struct Program {
    pub name: String,
    pub kind: GroupKind,
    pub priority: i64,
    pub processes: Vec<Arc<ProcessConfig>>,
}

/// What all programs get from the rest of the file.
pub(super) struct Inherited {
    pub environment: BTreeMap<String, String>,
    /// The URL of the first server.
    pub first_server: Option<String>,
}

/// Where a section is read: by itself, or as a member of a `[group:x]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// A group of its own.
    Alone,
    /// A member of this group.
    In(&'a str),
}

/// Reads a section as a program, at this place.
pub(super) fn program<'a>(
    reader: &mut Reader<'a>,
    section: &'a Section,
    place: Place<'_>,
    inherited: &Inherited,
) -> Option<Program> {
    let (prefix, name) = section.name.split_once(':')?;
    let mut scope = Scope::of(section);
    let name = match value::name(name) {
        Ok(name) => name,
        Err(refused) => {
            // Supervisor reads the name of a pool as a part of its processes.
            scope.suffixed = prefix == "eventlistener";
            reader.refuse(&scope, "", &refused.words, refused.expected);
            return None;
        }
    };
    let group = match place {
        Place::Alone => &name,
        Place::In(group) => group,
    };
    // Supervisor reads it before it knows the program's names.
    let default = if prefix == "eventlistener" { -1 } else { 999 };
    let priority = reader.read(&Scope::of(section), "priority", default, value::integer);
    let of_processes = match reader.entry(&scope, "priority") {
        Some(_) => priority,
        None => 999,
    };
    if prefix == "fcgi-program" && place == Place::Alone {
        // Whose socket it is: read before the processes, and refused without their section.
        let host = reader.host;
        reader.read(&scope, "user", None, |text| {
            value::user(host, text).map(Some)
        });
    }
    if prefix == "eventlistener" {
        reader.read(&scope, "redirect_stderr", false, value::boolean);
    }
    scope.suffixed = true;
    scope.words.insert("program_name", name.clone());
    scope.words.insert("group_name", group.to_owned());
    let common = Common::read(reader, &scope, of_processes);
    let mut processes: Vec<Arc<ProcessConfig>> = Vec::new();
    for number in common.first..common.first.saturating_add(common.count) {
        scope.numbers.insert("process_num", number);
        scope.numbers.insert("numprocs", common.count);
        scope.own.clear();
        let process = process(reader, &mut scope, &name, &common, inherited);
        processes.push(Arc::new(process));
    }
    ordered::sort_by(&mut processes, |a, b| {
        (a.policy.priority, &a.name).cmp(&(b.policy.priority, &b.name))
    });
    if prefix == "eventlistener" {
        // Its standard output is its side of a dialogue and no output.
        for process in &mut processes {
            Arc::make_mut(process).stdout.capture_maxbytes = 0;
            Arc::make_mut(process).stdout.events_enabled = false;
        }
    }
    scope.numbers.clear();
    scope.suffixed = false;
    let kind = match prefix {
        "fcgi-program" if place != Place::Alone && reader.entry(&scope, "socket").is_none() => {
            let message = "a member of a group that names no socket runs as a plain program";
            reader.warn(&scope, "socket", message.to_owned());
            GroupKind::Program
        }
        "fcgi-program" => {
            let socket = fast_cgi::read(reader, &scope);
            GroupKind::FastCgi(BTreeMap::from([(name.clone(), socket)]))
        }
        "eventlistener" => GroupKind::EventListener(listener(reader, &scope)),
        _ => GroupKind::Program,
    };
    Some(Program {
        name,
        kind,
        priority,
        processes,
    })
}

/// Options that are the same for every process of a section.
struct Common {
    policy: Policy,
    first: i64,
    count: i64,
    user: Option<super::model::UserSpec>,
    umask: Option<u32>,
    redirect_stderr: bool,
    serverurl: Option<String>,
}

impl Common {
    fn read<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>, priority: i64) -> Common {
        let host = reader.host;
        let stopasgroup = reader.read(scope, "stopasgroup", false, value::boolean);
        let killasgroup = reader.read(scope, "killasgroup", stopasgroup, value::boolean);
        if stopasgroup && !killasgroup {
            let words = "Cannot set stopasgroup=true and killasgroup=false";
            reader.refuse(scope, "killasgroup", words, "");
        }
        let policy = Policy {
            priority,
            autostart: reader.read(scope, "autostart", true, value::boolean),
            autorestart: reader.read(
                scope,
                "autorestart",
                Autorestart::Unexpected,
                value::autorestart,
            ),
            startsecs: reader.read(scope, "startsecs", 1, value::integer),
            startretries: reader.read(scope, "startretries", 3, value::integer),
            exitcodes: reader.read(scope, "exitcodes", vec![0], value::exit_codes),
            stopsignal: stop_signal(reader, scope),
            stopwaitsecs: reader.read(scope, "stopwaitsecs", 10, value::integer),
            stopasgroup,
            killasgroup,
            stop_tree: reader.read(scope, "stop_tree", None, |text| {
                value::boolean(text).map(Some)
            }),
            essential: reader.read(scope, "essential", false, value::boolean),
        };
        let count = reader.read(scope, "numprocs", 1, |text| match value::integer(text)? {
            count if count > NUMPROCS_MAX => Err(Refused {
                words: format!("numprocs {count} is above {NUMPROCS_MAX}"),
                expected: "fewer processes",
            }),
            count => Ok(count),
        });
        let named = reader
            .entry(scope, "process_name")
            .map(|entry| entry.value.clone());
        if count > 1 && !named.is_some_and(|name| name.contains("%(process_num)")) {
            let words = "%(process_num) must be present within process_name when numprocs > 1";
            reader.refuse(scope, "process_name", words, "");
        }
        Common {
            policy,
            first: reader.read(scope, "numprocs_start", 0, value::integer),
            count,
            user: reader.read(scope, "user", None, |text| {
                value::user(host, text).map(Some)
            }),
            umask: reader.read(scope, "umask", None, |text| value::octal(text).map(Some)),
            redirect_stderr: reader.read(scope, "redirect_stderr", false, value::boolean),
            serverurl: reader
                .text(scope, "serverurl")
                .filter(|url| !url.eq_ignore_ascii_case("AUTO")),
        }
    }
}

fn stop_signal<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> Signal {
    let signal = reader.read(scope, "stopsignal", Signal(15), value::signal);
    if signal == Signal(0) {
        let message = "signal 0 is never delivered: a stop waits stopwaitsecs for SIGKILL";
        reader.warn(scope, "stopsignal", message.to_owned());
    }
    signal
}

/// The name of a process. Supervisor looks at what is written only: what comes of it may be any
/// text, however hard it is to name such a process.
fn process_name<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>, program: &str) -> String {
    let Some(entry) = reader.entry(scope, "process_name") else {
        return program.to_owned();
    };
    if let Err(refused) = value::name(&entry.value) {
        reader.refuse(scope, "process_name", &refused.words, refused.expected);
        return program.to_owned();
    }
    let Some(name) = reader.text(scope, "process_name") else {
        return program.to_owned();
    };
    if name.is_empty() || name.contains([' ', ':', '/']) {
        let message = format!(
            "a process is named {}: commands cannot name it, or only with its group",
            python::repr(&name)
        );
        reader.warn(scope, "process_name", message);
    }
    name
}

fn process<'a>(
    reader: &mut Reader<'a>,
    scope: &mut Scope<'a>,
    program: &str,
    common: &Common,
    inherited: &Inherited,
) -> ProcessConfig {
    let own = environment::read(reader, scope);
    scope.own = own.clone();
    let name = process_name(reader, scope, program);
    let mut environment = inherited.environment.clone();
    environment.extend(own);
    let directory = reader
        .text(scope, "directory")
        .filter(|text| !text.is_empty())
        .map(PathBuf::from);
    let stdout = stream(reader, scope, "stdout");
    let mut stderr = stream(reader, scope, "stderr");
    if common.redirect_stderr && matches!(stderr.logfile, LogTarget::File(_)) {
        let message = "redirect_stderr=true sends it where standard output goes: this file stays \
                       unused";
        let theirs = format!(
            "For [{}], redirect_stderr=true but stderr_logfile has also been set to a filename, the \
             filename has been ignored",
            scope.section.name
        );
        reader.warn_as(scope, "stderr_logfile", message.to_owned(), theirs);
        stderr.logfile = LogTarget::None;
    }
    let command = reader.text(scope, "command").unwrap_or_default();
    if reader.entry(scope, "command").is_none() {
        let words = format!(
            "program section {} does not specify a command",
            scope.section.name
        );
        reader.refuse(scope, "command", &words, "");
    }
    let launch = LaunchConfig {
        command,
        directory,
        user: common.user.clone(),
        umask: common.umask,
        environment,
        serverurl: common.serverurl.clone(),
        first_server: inherited.first_server.clone(),
        redirect_stderr: common.redirect_stderr,
    };
    let policy = common.policy.clone();
    ProcessConfig {
        name,
        program: program.to_owned(),
        policy,
        launch,
        stdout,
        stderr,
    }
}

fn stream<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>, channel: &str) -> StreamConfig {
    let host = reader.host;
    let key = |suffix: &str| format!("{channel}_{suffix}");
    let asked = reader
        .entry(scope, &key("logfile"))
        .map(|entry| entry.value.to_lowercase());
    let old_syslog = asked.as_deref() == Some("syslog");
    if old_syslog {
        let section = &scope.section.name;
        let option = key("logfile");
        let syslog = key("syslog");
        reader.warn_as(
            scope,
            &option,
            format!("the value syslog is deprecated; write {syslog}=true instead"),
            format!(
                "For [{section}], {option}=syslog but this is deprecated and will be removed.  Use \
                 {syslog}=true to enable syslog instead."
            ),
        );
    }
    let (logfile, mut also) = reader.read(
        scope,
        &key("logfile"),
        (LogTarget::Auto, Vec::new()),
        |text| {
            // Supervisor expands this option twice; the doubled form means the same here.
            destination::targets(host, &text.replace("%%", "%"))
        },
    );
    let syslog = reader.read(scope, &key("syslog"), old_syslog, value::boolean);
    if syslog && !also.contains(&Destination::Syslog(None)) {
        also.push(Destination::Syslog(None));
    }
    let stream = StreamConfig {
        logfile,
        logfile_config: logfile::read(reader, scope, &key("logfile")),
        on_full: reader.read(scope, &key("on_full"), OnFull::Block, value::on_full),
        capture_maxbytes: reader.read(scope, &key("capture_maxbytes"), 0, value::bytes),
        events_enabled: reader.read(scope, &key("events_enabled"), false, value::boolean),
        syslog,
        also,
        style: SyslogStyle {
            form: reader.read(scope, &key("syslog_format"), None, destination::form),
            tag: reader
                .text(scope, &key("syslog_tag"))
                .filter(|tag| !tag.is_empty()),
            facility: reader.read(scope, &key("syslog_facility"), 1, destination::facility),
        },
        form: OutputForm {
            line: reader.read(scope, &key("format"), LineFormat::Raw, value::line_format),
            time: reader.read(
                scope,
                &key("format_time"),
                FormatTime::Utc,
                value::format_time,
            ),
        },
    };
    if stream.logfile == LogTarget::Auto && stream.logfile_config.maxbytes == 0 {
        let option = key("logfile");
        let theirs = format!(
            "For [{}], AUTO logging used for {option} without rollover, set maxbytes > 0 to avoid \
             filling up filesystem unintentionally",
            scope.section.name
        );
        let message = format!("AUTO without {option}_maxbytes grows without bound");
        reader.warn_as(scope, &option, message, theirs);
    }
    stream
}

fn listener<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> ListenerConfig {
    let name = &scope.section.name;
    if reader
        .entry(scope, "events")
        .is_none_or(|entry| entry.value.is_empty())
    {
        let words = format!("[{name}] section requires an \"events\" line");
        reader.refuse(scope, "events", &words, "");
    }
    let events = reader.read(scope, "events", Vec::new(), |text| {
        let events = text.split(',').map(|event| {
            let event = event.trim().to_uppercase();
            EventType::named(&event).ok_or_else(|| Refused {
                words: format!("Unknown event type {event} in [{name}] events"),
                expected: "names of events separated by commas",
            })
        });
        events.collect()
    });
    let buffer_size = reader.read(scope, "buffer_size", 10, |text| {
        match value::integer(text)? {
            size if size < 1 => Err(Refused {
                words: format!("[{name}] section sets invalid buffer_size ({size})"),
                expected: "1 or more",
            }),
            size => Ok(u32::try_from(size).unwrap_or(u32::MAX)),
        }
    });
    if reader.read(scope, "redirect_stderr", false, value::boolean) {
        let words = format!(
            "[{name}] section sets redirect_stderr=true but this is not allowed because it will \
             interfere with the eventlistener protocol"
        );
        reader.refuse(scope, "redirect_stderr", &words, "");
    }
    if let Some(handler) = reader.text(scope, "result_handler")
        && handler != "supervisor.dispatchers:default_handler"
    {
        let words = format!("{handler} cannot be resolved within [{name}]");
        reader.refuse(scope, "result_handler", &words, "the built-in handler");
    }
    ListenerConfig {
        events,
        buffer_size,
    }
}
