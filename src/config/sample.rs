//! The sample configuration: every option of the table, with the values that Supervisor's own sample
//! has.

use super::options::{
    GROUP, INET_SERVER, LISTENER, OptionInfo, PROGRAM, SUPERVISORCTL, SUPERVISORD, UNIX_SERVER,
};

/// A line of the sample, where it is not a comment with the default.
struct Shown {
    section: &'static str,
    option: &'static str,
    value: &'static str,
    /// It counts.
    live: bool,
}

const fn live(section: &'static str, option: &'static str, value: &'static str) -> Shown {
    Shown {
        section,
        option,
        value,
        live: true,
    }
}

const fn comment(section: &'static str, option: &'static str, value: &'static str) -> Shown {
    Shown {
        section,
        option,
        value,
        live: false,
    }
}

const DAEMON: &str = "supervisord";
const UNIX: &str = "unix_http_server";
const INET: &str = "inet_http_server";
const CLIENT: &str = "supervisorctl";
const PROGRAM_SHOWN: &str = "program:theprogramname";
const LISTENER_SHOWN: &str = "eventlistener:theeventlistenername";
const GROUP_SHOWN: &str = "group:thegroupname";

/// What Supervisor's sample has in these places: many images and scripts make their file from it
/// with `sed`, so each line must be found.
const SHOWN: &[Shown] = &[
    live(DAEMON, "logfile", "/tmp/supervisord.log"),
    live(DAEMON, "logfile_maxbytes", "50MB"),
    live(DAEMON, "logfile_backups", "10"),
    live(DAEMON, "loglevel", "info"),
    live(DAEMON, "pidfile", "/tmp/supervisord.pid"),
    live(DAEMON, "nodaemon", "false"),
    live(DAEMON, "silent", "false"),
    live(DAEMON, "minfds", "1024"),
    live(DAEMON, "minprocs", "200"),
    comment(DAEMON, "nocleanup", "true"),
    comment(DAEMON, "childlogdir", "/tmp"),
    comment(DAEMON, "user", "supervisord"),
    comment(DAEMON, "directory", "/tmp"),
    comment(DAEMON, "environment", "KEY=\"value\""),
    live(UNIX, "file", "/tmp/supervisor.sock"),
    comment(UNIX, "chown", "nobody:nogroup"),
    comment(UNIX, "username", "user"),
    comment(UNIX, "password", "123"),
    comment(INET, "port", "127.0.0.1:9001"),
    comment(INET, "username", "user"),
    comment(INET, "password", "123"),
    live(CLIENT, "serverurl", "unix:///tmp/supervisor.sock"),
    comment(CLIENT, "serverurl", "http://127.0.0.1:9001"),
    comment(CLIENT, "username", "chris"),
    comment(CLIENT, "password", "123"),
    comment(CLIENT, "prompt", "mysupervisor"),
    comment(CLIENT, "history_file", "~/.sc_history"),
    comment(PROGRAM_SHOWN, "command", "/bin/cat"),
    comment(PROGRAM_SHOWN, "stopsignal", "QUIT"),
    comment(PROGRAM_SHOWN, "user", "chrism"),
    comment(PROGRAM_SHOWN, "directory", "/tmp"),
    comment(PROGRAM_SHOWN, "umask", "022"),
    comment(PROGRAM_SHOWN, "environment", "A=\"1\",B=\"2\""),
    comment(PROGRAM_SHOWN, "redirect_stderr", "true"),
    comment(PROGRAM_SHOWN, "stdout_logfile", "/a/path"),
    comment(PROGRAM_SHOWN, "stdout_logfile_maxbytes", "1MB"),
    comment(PROGRAM_SHOWN, "stdout_capture_maxbytes", "1MB"),
    comment(PROGRAM_SHOWN, "stderr_logfile", "/a/path"),
    comment(PROGRAM_SHOWN, "stderr_logfile_maxbytes", "1MB"),
    comment(PROGRAM_SHOWN, "stderr_capture_maxbytes", "1MB"),
    comment(LISTENER_SHOWN, "events", "EVENT"),
    comment(GROUP_SHOWN, "programs", "progname1,progname2"),
];

/// A commented configuration with every option.
pub fn sample() -> String {
    let sections: [(&str, &str, &[OptionInfo]); 7] = [
        (DAEMON, "the daemon", SUPERVISORD),
        (UNIX, "the socket clients talk to", UNIX_SERVER),
        (INET, "the same over TCP", INET_SERVER),
        (CLIENT, "the client", SUPERVISORCTL),
        (
            PROGRAM_SHOWN,
            "a program; every option but the command may be left out",
            PROGRAM,
        ),
        (
            LISTENER_SHOWN,
            "a listener to events; it has the options of a program too",
            LISTENER,
        ),
        (GROUP_SHOWN, "programs that are handled together", GROUP),
    ];
    let mut text =
        String::from("; Sample configuration. A line that begins with a semicolon is a comment.\n");
    for (name, about, options) in sections {
        let is_live = SHOWN.iter().any(|it| it.section == name && it.live);
        let mark = if is_live { "" } else { ";" };
        text.push_str(&format!("\n; {about}\n{mark}[{name}]\n"));
        for option in options {
            let of_it = |it: &&Shown| it.section == name && it.option == option.name;
            let default = comment(name, option.name, option.default);
            let mut shown: Vec<&Shown> = SHOWN.iter().filter(of_it).collect();
            if shown.is_empty() {
                shown.push(&default);
            }
            for Shown { value, live, .. } in shown {
                let mark = if *live { "" } else { ";" };
                let OptionInfo { name, help, .. } = option;
                text.push_str(&format!("{mark}{name}={value} ; {help}\n"));
            }
        }
    }
    text.push_str(
        "\n; more files\n\
         ;[include]\n\
         ;files = relative/directory/*.ini\n\
         \n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
    );
    text
}
