//! The one table of options: what exists, its default, and a sentence of help. The reader warns of
//! keys that are not in it, and the [sample](super::sample()) is printed from it.

use super::destination;
use super::event_type::EventType;
use super::model::Signal;
use super::nearest::nearest;

/// One option of a kind of section.
#[derive(Debug, Clone, Copy)]
pub struct OptionInfo {
    /// Its name.
    pub name: &'static str,
    /// Its default as one would write it; empty for none.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

const fn option(name: &'static str, default: &'static str, help: &'static str) -> OptionInfo {
    OptionInfo {
        name,
        default,
        help,
    }
}

/// `[supervisord]`.
pub const SUPERVISORD: &[OptionInfo] = &[
    option(
        "logfile",
        "supervisord.log",
        "the daemon's own log; syslog or NONE",
    ),
    option(
        "logfile_maxbytes",
        "50MB",
        "rotate it at this size; 0 = never by size",
    ),
    option(
        "logfile_backups",
        "10",
        "rotated files to keep; no limit with maxage or maxtotal",
    ),
    option(
        "logfile_rotate",
        "",
        "rotate it by the clock as well: hourly, daily, weekly, monthly, HH:MM, 6h",
    ),
    option(
        "logfile_rotate_suffix",
        "number",
        "name of rotated files: number, timestamp",
    ),
    option(
        "logfile_maxage",
        "",
        "remove rotated files that are older: 12h, 14d, 8w",
    ),
    option(
        "logfile_maxtotal",
        "",
        "remove the oldest when all files have more: 1GB",
    ),
    option("logfile_compress", "", "compress rotated files: gzip, zstd"),
    option(
        "logfile_mode",
        "",
        "mode of new files, octal; default: 666 less the umask",
    ),
    option("logfile_owner", "", "owner of new files, user:group"),
    option(
        "log_budget",
        "",
        "bytes of all program logs together, rotated files included: 10GB",
    ),
    option(
        "log_min_free",
        "",
        "what logs leave free of their disks: 500MB, 5%",
    ),
    option(
        "loglevel",
        "info",
        "critical, error, warn, info, debug, trace, blather",
    ),
    option(
        "pidfile",
        "supervisord.pid",
        "where the daemon's pid is written",
    ),
    option("umask", "022", "file mode creation mask"),
    option("nodaemon", "false", "stay in the foreground"),
    option("silent", "false", "in the foreground, do not echo the log"),
    option(
        "minfds",
        "1024",
        "file descriptors that programs may open, at least",
    ),
    option("minprocs", "200", "processes that may run, at least"),
    option("nocleanup", "false", "keep AUTO logs of earlier runs"),
    option(
        "childlogdir",
        "",
        "where AUTO logs live; default: the temporary directory",
    ),
    option("user", "", "run as this user"),
    option("directory", "", "change to this directory at start"),
    option(
        "strip_ansi",
        "false",
        "remove escape sequences from program logs",
    ),
    option("environment", "", "KEY=\"value\",… for every program"),
    option("identifier", "supervisor", "name of this instance"),
    option(
        "statedir",
        "",
        "history and disabled programs; NONE; default: FILE.state beside the socket, as supervisord none (appctl)",
    ),
];

/// `[unix_http_server]`.
pub const UNIX_SERVER: &[OptionInfo] = &[
    option("file", "", "path of the socket"),
    option("chmod", "0700", "its mode"),
    option("chown", "", "its owner, user:group"),
    option("username", "", "name for basic authentication"),
    option("password", "", "password, clear or {SHA}"),
];

/// `[inet_http_server]`.
pub const INET_SERVER: &[OptionInfo] = &[
    option(
        "port",
        "",
        "host:port to listen on, [address]:port for IPv6",
    ),
    option("username", "", "name for basic authentication"),
    option("password", "", "password, clear or {SHA}"),
    option(
        "allow_unauthenticated",
        "false",
        "without a password, listen beyond this machine (appctl)",
    ),
];

/// `[supervisorctl]`.
pub const SUPERVISORCTL: &[OptionInfo] = &[
    option(
        "serverurl",
        "http://localhost:9001",
        "where the daemon listens",
    ),
    option("username", "", "name for it"),
    option("password", "", "password for it"),
    option("prompt", "supervisor", "prompt of the shell"),
    option("history_file", "", "history of the shell"),
];

/// `[program:x]`; the other program-like sections have these too.
pub const PROGRAM: &[OptionInfo] = &[
    option(
        "command",
        "",
        "what to run; split like a shell would, but no shell runs it",
    ),
    option("process_name", "%(program_name)s", "name of each process"),
    option("numprocs", "1", "how many"),
    option("numprocs_start", "0", "number of the first"),
    option("priority", "999", "lower starts first and stops last"),
    option("autostart", "true", "start with the daemon"),
    option("startsecs", "1", "seconds alive that count as started"),
    option("startretries", "3", "further attempts"),
    option("autorestart", "unexpected", "true, false, unexpected"),
    option("exitcodes", "0", "codes that are expected"),
    option("stopsignal", "TERM", "signal that asks it to stop"),
    option("stopwaitsecs", "10", "seconds from there to SIGKILL"),
    option("stopasgroup", "false", "send it to the process group"),
    option("killasgroup", "false", "SIGKILL the process group"),
    option(
        "stop_tree",
        "",
        "a stop ends all that it started; default: true, as supervisord false (appctl)",
    ),
    option(
        "essential",
        "false",
        "its final end ends the daemon, in order, with its exit code (appctl)",
    ),
    option("user", "", "run as this user"),
    option("directory", "", "working directory"),
    option("umask", "", "file mode creation mask"),
    option("environment", "", "KEY=\"value\",…"),
    option(
        "redirect_stderr",
        "false",
        "standard error goes where standard output goes",
    ),
    option("serverurl", "AUTO", "SUPERVISOR_SERVER_URL of the program"),
    option(
        "stdout_logfile",
        "AUTO",
        "file, AUTO or NONE; then, after a comma, /dev/stdout, journald, udp://host:port, …",
    ),
    option(
        "stdout_logfile_maxbytes",
        "50MB",
        "rotate at this size; 0 = never by size",
    ),
    option(
        "stdout_logfile_backups",
        "10",
        "rotated files to keep; no limit with maxage or maxtotal",
    ),
    option(
        "stdout_logfile_rotate",
        "",
        "by the clock as well: hourly, daily, weekly, monthly, HH:MM, 6h",
    ),
    option(
        "stdout_logfile_rotate_suffix",
        "number",
        "name of rotated files: number, timestamp",
    ),
    option(
        "stdout_logfile_maxage",
        "",
        "remove rotated files that are older: 12h, 14d, 8w",
    ),
    option(
        "stdout_logfile_maxtotal",
        "",
        "remove the oldest when all files have more: 1GB",
    ),
    option(
        "stdout_logfile_compress",
        "",
        "compress rotated files: gzip, zstd",
    ),
    option(
        "stdout_logfile_mode",
        "",
        "mode of new files, octal; default: 666 less the umask",
    ),
    option("stdout_logfile_owner", "", "owner of new files, user:group"),
    option(
        "stdout_on_full",
        "block",
        "while the log cannot be written: block the program, drop lines",
    ),
    option(
        "stdout_capture_maxbytes",
        "0",
        "bytes kept between capture tags",
    ),
    option("stdout_events_enabled", "false", "emit PROCESS_LOG events"),
    option("stdout_syslog", "false", "send each line to syslog"),
    option(
        "stdout_syslog_tag",
        "",
        "tag of its lines in a syslog or journald; default: the process",
    ),
    option(
        "stdout_syslog_facility",
        "user",
        "facility of its lines: user, daemon, local0 to local7, …",
    ),
    option(
        "stdout_syslog_format",
        "",
        "rfc3164 (default on this machine), rfc5424 (over a network)",
    ),
    option(
        "stdout_format",
        "raw",
        "form of its lines: raw, prefix (time, name, stream), json",
    ),
    option(
        "stdout_format_time",
        "utc",
        "time in prefix and json: utc, local",
    ),
    option(
        "stderr_logfile",
        "AUTO",
        "file, AUTO or NONE; then, after a comma, /dev/stdout, journald, udp://host:port, …",
    ),
    option(
        "stderr_logfile_maxbytes",
        "50MB",
        "rotate at this size; 0 = never by size",
    ),
    option(
        "stderr_logfile_backups",
        "10",
        "rotated files to keep; no limit with maxage or maxtotal",
    ),
    option(
        "stderr_logfile_rotate",
        "",
        "by the clock as well: hourly, daily, weekly, monthly, HH:MM, 6h",
    ),
    option(
        "stderr_logfile_rotate_suffix",
        "number",
        "name of rotated files: number, timestamp",
    ),
    option(
        "stderr_logfile_maxage",
        "",
        "remove rotated files that are older: 12h, 14d, 8w",
    ),
    option(
        "stderr_logfile_maxtotal",
        "",
        "remove the oldest when all files have more: 1GB",
    ),
    option(
        "stderr_logfile_compress",
        "",
        "compress rotated files: gzip, zstd",
    ),
    option(
        "stderr_logfile_mode",
        "",
        "mode of new files, octal; default: 666 less the umask",
    ),
    option("stderr_logfile_owner", "", "owner of new files, user:group"),
    option(
        "stderr_on_full",
        "block",
        "while the log cannot be written: block the program, drop lines",
    ),
    option(
        "stderr_capture_maxbytes",
        "0",
        "bytes kept between capture tags",
    ),
    option("stderr_events_enabled", "false", "emit PROCESS_LOG events"),
    option("stderr_syslog", "false", "send each line to syslog"),
    option(
        "stderr_syslog_tag",
        "",
        "tag of its lines in a syslog or journald; default: the process",
    ),
    option(
        "stderr_syslog_facility",
        "user",
        "facility of its lines: user, daemon, local0 to local7, …",
    ),
    option(
        "stderr_syslog_format",
        "",
        "rfc3164 (default on this machine), rfc5424 (over a network)",
    ),
    option(
        "stderr_format",
        "raw",
        "form of its lines: raw, prefix (time, name, stream), json",
    ),
    option(
        "stderr_format_time",
        "utc",
        "time in prefix and json: utc, local",
    ),
];

/// What `[fcgi-program:x]` has besides.
pub const FCGI: &[OptionInfo] = &[
    option("socket", "", "unix:///path or tcp://host:port"),
    option("socket_backlog", "", "accept queue"),
    option("socket_owner", "", "owner of a unix socket"),
    option("socket_mode", "0700", "mode of a unix socket"),
];

/// What `[eventlistener:x]` has besides.
pub const LISTENER: &[OptionInfo] = &[
    option("events", "", "events to deliver"),
    option("buffer_size", "10", "undelivered events to keep"),
    option(
        "result_handler",
        "supervisor.dispatchers:default_handler",
        "the built-in one",
    ),
];

/// `[group:x]`.
pub const GROUP: &[OptionInfo] = &[
    option("programs", "", "names of its programs"),
    option("priority", "999", "lower starts first and stops last"),
];

/// `[include]`.
pub const INCLUDE: &[OptionInfo] = &[option("files", "", "patterns of files to read as well")];

const KINDS: &[(&str, &[&[OptionInfo]])] = &[
    ("supervisord", &[SUPERVISORD]),
    ("unix_http_server", &[UNIX_SERVER]),
    ("inet_http_server", &[INET_SERVER]),
    ("supervisorctl", &[SUPERVISORCTL]),
    ("include", &[INCLUDE]),
    ("program", &[PROGRAM]),
    ("fcgi-program", &[PROGRAM, FCGI]),
    ("eventlistener", &[PROGRAM, LISTENER]),
    ("group", &[GROUP]),
];

/// Sections whose keys are not ours to know.
const FREE_KINDS: &[&str] = &["rpcinterface", "ctlplugin"];

/// The options of a section; `None` if it is not a section of ours.
pub fn of_section(section: &str) -> Option<Vec<OptionInfo>> {
    let kind = section.split(':').next().unwrap_or(section);
    let (_, tables) = KINDS.iter().find(|(name, _)| *name == kind)?;
    Some(
        tables
            .iter()
            .flat_map(|table| table.iter().copied())
            .collect(),
    )
}

/// Whether a section may hold anything.
pub fn is_free(section: &str) -> bool {
    FREE_KINDS.contains(&section.split(':').next().unwrap_or(section))
}

/// The section kind that was probably meant.
pub fn nearest_section(section: &str) -> Option<&'static str> {
    nearest(
        section.split(':').next().unwrap_or(section),
        KINDS.iter().map(|(name, _)| *name),
    )
}

/// The value that was probably meant, for options with a closed list of them.
pub fn nearest_value(option: &str, typed: &str) -> Option<&'static str> {
    const TRUTHS: &[&str] = &["true", "false"];
    let fixed = match option {
        "loglevel" => LEVELS,
        "autorestart" => &["true", "false", "unexpected"],
        "autostart" | "redirect_stderr" | "stopasgroup" | "killasgroup" | "essential"
        | "nodaemon" | "silent" | "nocleanup" | "strip_ansi" => TRUTHS,
        "events" => &EventType::NAMES,
        "stdout_logfile_rotate" | "stderr_logfile_rotate" | "logfile_rotate" => {
            &["hourly", "daily", "weekly", "monthly"]
        }
        "stdout_on_full" | "stderr_on_full" => &["block", "drop"],
        "stdout_format" | "stderr_format" => &["raw", "prefix", "json"],
        "stdout_syslog_format" | "stderr_syslog_format" => &["rfc3164", "rfc5424"],
        "stdout_syslog_facility" | "stderr_syslog_facility" => destination::FACILITIES,
        "stdout_format_time" | "stderr_format_time" => &["utc", "local"],
        "stdout_logfile_rotate_suffix"
        | "stderr_logfile_rotate_suffix"
        | "logfile_rotate_suffix" => &["number", "timestamp"],
        "stdout_logfile_compress" | "stderr_logfile_compress" | "logfile_compress" => {
            &["gzip", "zstd", "none"]
        }
        "stopsignal" => return nearest(typed.trim_start_matches("SIG"), Signal::names()),
        _ => return None,
    };
    let words = || fixed.iter().copied();
    typed
        .split(',')
        .map(str::trim)
        .filter(|word| !words().any(|known| known.eq_ignore_ascii_case(word)))
        .find_map(|word| nearest(word, words()))
}

const LEVELS: &[&str] = &[
    "critical", "error", "warn", "info", "debug", "trace", "blather",
];

/// The sections of docs/configuration.md that list every option, as Markdown tables.
pub fn reference() -> String {
    let sections: [(&str, &[OptionInfo]); 9] = [
        ("[supervisord]", SUPERVISORD),
        ("[unix_http_server]", UNIX_SERVER),
        ("[inet_http_server]", INET_SERVER),
        ("[supervisorctl]", SUPERVISORCTL),
        ("[include]", INCLUDE),
        ("[program:NAME]", PROGRAM),
        ("[fcgi-program:NAME], beside those of a program", FCGI),
        ("[eventlistener:NAME], beside those of a program", LISTENER),
        ("[group:NAME]", GROUP),
    ];
    let mut text = String::new();
    for (title, options) in sections {
        text.push_str(&format!(
            "\n## {title}\n\n| option | default | meaning |\n|---|---|---|\n"
        ));
        for OptionInfo {
            name,
            default,
            help,
        } in options
        {
            let default = match *default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            text.push_str(&format!("| `{name}` | {default} | {help} |\n"));
        }
    }
    text
}
