//! What differs between two configurations of one process, option by option, and whether a running
//! process can be given it. Pure.

use std::collections::BTreeMap;

use super::destination::SyslogForm;
use super::model::{Autorestart, LaunchConfig, LogTarget, Policy, ProcessConfig, StreamConfig};

/// An option that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionChange {
    /// Its name; of `environment`, each variable by itself: `environment PATH`.
    pub option: String,
    /// As it is in force, written as in a file; empty for none.
    pub old: String,
    /// As it is to be.
    pub new: String,
}

/// Options that a running process is given without a new start: what decides when it is started
/// and stopped. How much of its log is kept (`stdout_logfile_…`) belongs to them.
const ADJUSTABLE: &[&str] = &[
    "priority",
    "autostart",
    "autorestart",
    "startsecs",
    "startretries",
    "exitcodes",
    "stopsignal",
    "stopwaitsecs",
    "stopasgroup",
    "killasgroup",
    "stop_tree",
    "essential",
];

/// Parts of a variable's name that say that its value is nobody's business.
const SECRET_WORDS: &[&str] = &["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "AUTH"];

impl OptionChange {
    /// Whether a running process can be given it.
    pub fn is_adjustable(&self) -> bool {
        ADJUSTABLE.contains(&self.option.as_str()) || self.option.contains("_logfile_")
    }

    /// Whether its value is better not shown.
    pub fn is_secret(&self) -> bool {
        let variable = self.option.strip_prefix("environment ");
        variable.is_some_and(|variable| {
            let variable = variable.to_uppercase();
            SECRET_WORDS.iter().any(|word| variable.contains(word))
        })
    }
}

/// The options in which two configurations of a process differ, in the order of the table.
pub fn between(old: &ProcessConfig, new: &ProcessConfig) -> Vec<OptionChange> {
    if old == new {
        return Vec::new();
    }
    let (before, mut after) = (written(old), written(new));
    let mut changes = Vec::new();
    for (option, old) in before {
        let position = after.iter().position(|(name, _)| *name == option);
        let new = position.map(|at| after.remove(at).1).unwrap_or_default();
        if old != new {
            changes.push(OptionChange { option, old, new });
        }
    }
    changes.extend(after.into_iter().map(|(option, new)| OptionChange {
        option,
        old: String::new(),
        new,
    }));
    changes
}

/// Every option of a process as one would write it. A field that is added to the model has to be
/// added here, or this does not compile.
fn written(process: &ProcessConfig) -> Vec<(String, String)> {
    let ProcessConfig {
        name,
        program,
        policy,
        launch,
        stdout,
        stderr,
    } = process;
    let mut options = vec![
        ("process_name".to_owned(), name.clone()),
        ("program".to_owned(), program.clone()),
    ];
    of_launch(launch, &mut options);
    of_policy(policy, &mut options);
    of_stream("stdout", stdout, &mut options);
    of_stream("stderr", stderr, &mut options);
    options
}

fn of_launch(launch: &LaunchConfig, options: &mut Vec<(String, String)>) {
    let LaunchConfig {
        command,
        directory,
        user,
        umask,
        environment,
        serverurl,
        first_server,
        redirect_stderr,
    } = launch;
    let path = |path: &Option<std::path::PathBuf>| {
        path.as_ref()
            .map_or_else(String::new, |path| path.display().to_string())
    };
    let mut add = |option: &str, value: String| options.push((option.to_owned(), value));
    add("command", command.clone());
    add("directory", path(directory));
    let user = user.as_ref();
    add(
        "user",
        user.map_or_else(String::new, |user| {
            match user.name == user.uid.to_string() {
                true => user.name.clone(),
                false => format!("{} ({}:{})", user.name, user.uid, user.gid),
            }
        }),
    );
    add(
        "umask",
        umask.map_or_else(String::new, |umask| format!("{umask:03o}")),
    );
    add("redirect_stderr", redirect_stderr.to_string());
    let url = serverurl.as_ref().or(first_server.as_ref());
    add("serverurl", url.cloned().unwrap_or_default());
    let variables: &BTreeMap<String, String> = environment;
    for (variable, value) in variables {
        add(&format!("environment {variable}"), format!("\"{value}\""));
    }
}

fn of_policy(policy: &Policy, options: &mut Vec<(String, String)>) {
    let Policy {
        priority,
        autostart,
        autorestart,
        startsecs,
        startretries,
        exitcodes,
        stopsignal,
        stopwaitsecs,
        stopasgroup,
        killasgroup,
        stop_tree,
        essential,
    } = policy;
    let codes: Vec<String> = exitcodes.iter().map(ToString::to_string).collect();
    let mut add = |option: &str, value: String| options.push((option.to_owned(), value));
    add("priority", priority.to_string());
    add("autostart", autostart.to_string());
    let autorestart = match autorestart {
        Autorestart::Never => "false",
        Autorestart::Unexpected => "unexpected",
        Autorestart::Always => "true",
    };
    add("autorestart", autorestart.to_owned());
    add("startsecs", startsecs.to_string());
    add("startretries", startretries.to_string());
    add("exitcodes", codes.join(","));
    add(
        "stopsignal",
        stopsignal.name().trim_start_matches("SIG").to_owned(),
    );
    add("stopwaitsecs", stopwaitsecs.to_string());
    add("stopasgroup", stopasgroup.to_string());
    add("killasgroup", killasgroup.to_string());
    add(
        "stop_tree",
        stop_tree.map_or_else(String::new, |tree| tree.to_string()),
    );
    add("essential", essential.to_string());
}

fn of_stream(channel: &str, stream: &StreamConfig, options: &mut Vec<(String, String)>) {
    let StreamConfig {
        logfile,
        logfile_config,
        on_full,
        capture_maxbytes,
        events_enabled,
        syslog,
        form,
        also,
        style,
    } = stream;
    let mut add =
        |option: &str, value: String| options.push((format!("{channel}_{option}"), value));
    let logfile = match logfile {
        LogTarget::None => "NONE".to_owned(),
        LogTarget::Auto => "AUTO".to_owned(),
        LogTarget::File(path) => path.display().to_string(),
    };
    let also = also.iter().map(|place| format!(", {place}"));
    add("logfile", logfile + &also.collect::<String>());
    for (option, value) in logfile_config.written() {
        add(&format!("logfile_{option}"), value);
    }
    add("on_full", on_full.word().to_owned());
    add("capture_maxbytes", bytes(*capture_maxbytes));
    add("events_enabled", events_enabled.to_string());
    add("syslog", syslog.to_string());
    add("syslog_tag", style.tag.clone().unwrap_or_default());
    add("syslog_facility", style.facility_word().to_owned());
    add(
        "syslog_format",
        style.form.map_or("", SyslogForm::word).to_owned(),
    );
    add("format", form.line.word().to_owned());
    add("format_time", form.time.word().to_owned());
}

/// Writes a number of bytes in the largest unit that needs no fraction: `50MB`, `1234`.
pub fn readable_bytes(count: u64) -> String {
    bytes(count)
}

pub(super) fn bytes(count: u64) -> String {
    let units = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")];
    let whole = |(size, _): &(u64, &str)| count >= *size && count.is_multiple_of(*size);
    match units.into_iter().find(whole) {
        Some((size, unit)) => format!("{}{unit}", count / size),
        None => count.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FakeHost, Source, load, options};

    /// The one process of a program with these options.
    fn process(options: &str) -> ProcessConfig {
        let text = format!("[supervisord]\n[program:p]\n{options}");
        let host = FakeHost::new().with_file("/etc/c.conf", text);
        let source = Source {
            single: None,
            file: Some("/etc/c.conf".into()),
            overrides: Default::default(),
        };
        let config = load(&host, &source).unwrap().config;
        (*config.groups[0].processes[0]).clone()
    }

    #[test]
    fn every_difference_is_told_with_both_values() {
        let table = [
            ("", "", ""),
            ("stopwaitsecs=5", "", "stopwaitsecs 5 10 adjusted"),
            ("", "autostart=false", "autostart true false adjusted"),
            ("user=root", "", "user root (0:0)  restarted"),
            ("umask=022", "umask=27", "umask 022 027 restarted"),
            (
                "environment=A=\"1\",B=\"2\"",
                "environment=A=\"1\",B=\"3\",C=\"\"",
                "environment B \"2\" \"3\" restarted, environment C  \"\" restarted",
            ),
            ("environment=A=\"1\"", "", "environment A \"1\"  restarted"),
            (
                "stdout_logfile_maxbytes=1KB",
                "stdout_logfile_maxbytes=1025",
                "stdout_logfile_maxbytes 1KB 1025 adjusted",
            ),
            (
                "stdout_logfile=/a",
                "stdout_logfile=NONE",
                "stdout_logfile /a NONE restarted",
            ),
            (
                "stopsignal=INT\nexitcodes=0,2",
                "stopsignal=QUIT",
                "exitcodes 0,2 0 adjusted, stopsignal INT QUIT adjusted",
            ),
        ];
        for (old, new, expected) in table {
            let [old, new] =
                [old, new].map(|options| process(&format!("command=/bin/p\n{options}\n")));
            let changes = between(&old, &new);
            let shown: Vec<String> = changes
                .iter()
                .map(|change| {
                    let kind = match change.is_adjustable() {
                        true => "adjusted",
                        false => "restarted",
                    };
                    format!("{} {} {} {kind}", change.option, change.old, change.new)
                })
                .collect();
            assert_eq!(shown.join(", "), expected);
        }
    }

    #[test]
    fn every_option_of_a_program_is_compared_under_its_name() {
        let written: Vec<String> = written(&process("command=/bin/p\n"))
            .into_iter()
            .map(|(option, _)| option)
            .collect();
        // How many processes there are is told by the processes that come and go.
        let elsewhere = ["numprocs", "numprocs_start", "environment"];
        for option in options::PROGRAM {
            let told = written.iter().any(|name| name == option.name);
            assert!(told || elsewhere.contains(&option.name), "{}", option.name);
        }
        for option in ADJUSTABLE {
            assert!(written.iter().any(|name| name == option), "{option}");
        }
    }

    #[test]
    fn values_of_secrets_are_not_shown() {
        let changes = between(
            &process("command=/bin/p\nenvironment=DB_PASSWORD=\"x\",PLAIN=\"x\"\n"),
            &process("command=/bin/p\nenvironment=DB_PASSWORD=\"y\",PLAIN=\"y\"\n"),
        );
        let secret: Vec<bool> = changes.iter().map(OptionChange::is_secret).collect();
        assert_eq!(secret, [true, false]);
    }
}
