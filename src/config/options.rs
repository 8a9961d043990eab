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
    /// Words it takes, to tell which one a mistyped one was meant to be; empty where that is no
    /// closed list, or where no word comes near another.
    words: &'static [&'static str],
}

const fn option(name: &'static str, default: &'static str, help: &'static str) -> OptionInfo {
    one_of(&[], name, default, help)
}

/// An option that is true or false.
const fn truth(name: &'static str, default: &'static str, help: &'static str) -> OptionInfo {
    one_of(&["true", "false"], name, default, help)
}

/// An option that takes one of these words, or some of them.
const fn one_of(
    words: &'static [&'static str],
    name: &'static str,
    default: &'static str,
    help: &'static str,
) -> OptionInfo {
    OptionInfo {
        name,
        default,
        help,
        words,
    }
}

const LEVELS: &[&str] = &[
    "critical", "error", "warn", "info", "debug", "trace", "blather",
];

/// Tables one after the other, which have so many options together.
const fn joined<const N: usize>(tables: &[&[OptionInfo]]) -> [OptionInfo; N] {
    let mut all = [option("", "", ""); N];
    let (mut table, mut at, mut count) = (0, 0, 0);
    while table < tables.len() {
        if at == tables[table].len() {
            (table, at) = (table + 1, 0);
            continue;
        }
        all[count] = tables[table][at];
        (at, count) = (at + 1, count + 1);
    }
    all
}

/// A log file, and how it is rotated and kept: the same for the daemon's own log and for both outputs
/// of a program.
macro_rules! log_file {
    ($log:literal, $default:literal, $help:literal) => {
        &[
            option($log, $default, $help),
            option(
                concat!($log, "_maxbytes"),
                "50MB",
                "rotate it at this size; 0 = never by size",
            ),
            option(
                concat!($log, "_backups"),
                "10",
                "rotated files to keep; no limit with maxage or maxtotal",
            ),
            one_of(
                &["hourly", "daily", "weekly", "monthly"],
                concat!($log, "_rotate"),
                "",
                "rotate it by the clock as well: hourly, daily, weekly, monthly, HH:MM, 6h",
            ),
            one_of(
                &["number", "timestamp"],
                concat!($log, "_rotate_suffix"),
                "number",
                "name of rotated files: number, timestamp",
            ),
            option(
                concat!($log, "_maxage"),
                "",
                "remove rotated files that are older: 12h, 14d, 8w",
            ),
            option(
                concat!($log, "_maxtotal"),
                "",
                "remove the oldest when all files have more: 1GB",
            ),
            one_of(
                &["gzip", "zstd", "none"],
                concat!($log, "_compress"),
                "",
                "compress rotated files: gzip, zstd",
            ),
            option(
                concat!($log, "_mode"),
                "",
                "mode of new files, octal; default: 666 less the umask",
            ),
            option(
                concat!($log, "_owner"),
                "",
                "owner of new files, user:group",
            ),
        ]
    };
}

/// What becomes of the lines of an output, beside its file.
macro_rules! output {
    ($output:literal) => {
        &[
            one_of(
                &["block", "drop"],
                concat!($output, "_on_full"),
                "block",
                "while the log cannot be written: block the program, drop lines",
            ),
            option(
                concat!($output, "_capture_maxbytes"),
                "0",
                "bytes kept between capture tags",
            ),
            truth(
                concat!($output, "_events_enabled"),
                "false",
                "emit PROCESS_LOG events",
            ),
            truth(
                concat!($output, "_syslog"),
                "false",
                "send each line to syslog",
            ),
            option(
                concat!($output, "_syslog_tag"),
                "",
                "tag of its lines in a syslog or journald; default: the process",
            ),
            one_of(
                destination::FACILITIES,
                concat!($output, "_syslog_facility"),
                "user",
                "facility of its lines: user, daemon, local0 to local7, …",
            ),
            one_of(
                &["rfc3164", "rfc5424"],
                concat!($output, "_syslog_format"),
                "",
                "rfc3164 (default on this machine), rfc5424 (over a network)",
            ),
            one_of(
                &["raw", "prefix", "json"],
                concat!($output, "_format"),
                "raw",
                "form of its lines: raw, prefix (time, name, stream), json",
            ),
            one_of(
                &["utc", "local"],
                concat!($output, "_format_time"),
                "utc",
                "time in prefix and json: utc, local",
            ),
        ]
    };
}

const DAEMON_LOG: &[OptionInfo] = log_file!(
    "logfile",
    "supervisord.log",
    "the daemon's own log; syslog or NONE"
);

const DAEMON: &[OptionInfo] = &[
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
    one_of(
        LEVELS,
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
    truth("nodaemon", "false", "stay in the foreground"),
    truth("silent", "false", "in the foreground, do not echo the log"),
    option(
        "minfds",
        "1024",
        "file descriptors that programs may open, at least",
    ),
    option("minprocs", "200", "processes that may run, at least"),
    truth("nocleanup", "false", "keep AUTO logs of earlier runs"),
    option(
        "childlogdir",
        "",
        "where AUTO logs live; default: the temporary directory",
    ),
    option("user", "", "run as this user"),
    option("directory", "", "change to this directory at start"),
    truth(
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

/// `[supervisord]`.
pub const SUPERVISORD: &[OptionInfo] =
    &joined::<{ DAEMON_LOG.len() + DAEMON.len() }>(&[DAEMON_LOG, DAEMON]);

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
    truth(
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

const PROCESS: &[OptionInfo] = &[
    option(
        "command",
        "",
        "what to run; split like a shell would, but no shell runs it",
    ),
    option("process_name", "%(program_name)s", "name of each process"),
    option("numprocs", "1", "how many"),
    option("numprocs_start", "0", "number of the first"),
    option("priority", "999", "lower starts first and stops last"),
    truth("autostart", "true", "start with the daemon"),
    option("startsecs", "1", "seconds alive that count as started"),
    option("startretries", "3", "further attempts"),
    one_of(
        &["true", "false", "unexpected"],
        "autorestart",
        "unexpected",
        "true, false, unexpected",
    ),
    option("exitcodes", "0", "codes that are expected"),
    option("stopsignal", "TERM", "signal that asks it to stop"),
    option("stopwaitsecs", "10", "seconds from there to SIGKILL"),
    truth("stopasgroup", "false", "send it to the process group"),
    truth("killasgroup", "false", "SIGKILL the process group"),
    truth(
        "stop_tree",
        "",
        "a stop ends all that it started; default: true, as supervisord false (appctl)",
    ),
    truth(
        "essential",
        "false",
        "its final end ends the daemon, in order, with its exit code (appctl)",
    ),
    option("user", "", "run as this user"),
    option("directory", "", "working directory"),
    option("umask", "", "file mode creation mask"),
    option("environment", "", "KEY=\"value\",…"),
    truth(
        "redirect_stderr",
        "false",
        "standard error goes where standard output goes",
    ),
    option("serverurl", "AUTO", "SUPERVISOR_SERVER_URL of the program"),
];

const STDOUT_LOG: &[OptionInfo] = log_file!(
    "stdout_logfile",
    "AUTO",
    "file, AUTO or NONE; then, after a comma, /dev/stdout, journald, udp://host:port, …"
);
const STDOUT: &[OptionInfo] = output!("stdout");
const STDERR_LOG: &[OptionInfo] = log_file!(
    "stderr_logfile",
    "AUTO",
    "file, AUTO or NONE; then, after a comma, /dev/stdout, journald, udp://host:port, …"
);
const STDERR: &[OptionInfo] = output!("stderr");

/// `[program:x]`; the other program-like sections have these too.
pub const PROGRAM: &[OptionInfo] = &joined::<
    { PROCESS.len() + 2 * (STDOUT_LOG.len() + STDOUT.len()) },
>(&[PROCESS, STDOUT_LOG, STDOUT, STDERR_LOG, STDERR]);

/// What `[fcgi-program:x]` has besides.
pub const FCGI: &[OptionInfo] = &[
    option("socket", "", "unix:///path or tcp://host:port"),
    option("socket_backlog", "", "accept queue"),
    option("socket_owner", "", "owner of a unix socket"),
    option("socket_mode", "0700", "mode of a unix socket"),
];

/// What `[eventlistener:x]` has besides.
pub const LISTENER: &[OptionInfo] = &[
    one_of(&EventType::NAMES, "events", "", "events to deliver"),
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

/// The value that was probably meant, for options with a closed list of words.
pub fn nearest_value(option: &str, typed: &str) -> Option<&'static str> {
    if option == "stopsignal" {
        return nearest(typed.trim_start_matches("SIG"), Signal::names());
    }
    // Options of one name take the same words wherever they are.
    let words = KINDS
        .iter()
        .flat_map(|(_, tables)| tables.iter().copied().flatten())
        .find(|info| info.name == option)?
        .words;
    typed
        .split(',')
        .map(str::trim)
        .filter(|typed| !words.iter().any(|word| word.eq_ignore_ascii_case(typed)))
        .find_map(|typed| nearest(typed, words.iter().copied()))
}

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
            ..
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
