//! What the methods of XML-RPC tell about processes, with Supervisor's members in its order.
//!
//! Pure: views in, values out.

use super::fault::{self, Fault};
use super::value::Value;
use crate::config::{LogTarget, StreamConfig};
use crate::control::{ConfiguredView, DaemonState, ProcessView};
use crate::fleet::{Refusal, State};

/// One entry of a list of results: done, or refused.
pub fn result_of(subject: &str, refusal: Option<&Refusal>) -> Value {
    let (group, process) = subject.split_once(':').unwrap_or((subject, subject));
    let fault = refusal.map(|refusal| Fault::refused(refusal, subject));
    result_struct(group, process, fault)
}

/// One entry of a list of results: its status and description.
pub fn result_struct(group: &str, name: &str, fault: Option<Fault>) -> Value {
    let (status, description) = match fault {
        None => (fault::SUCCESS, "OK".to_owned()),
        Some(fault) => (fault.code, fault.text()),
    };
    members([
        ("name", name.into()),
        ("group", group.into()),
        ("status", i64::from(status).into()),
        ("description", description.into()),
    ])
}

/// A struct.
pub fn members<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    let owned = pairs.map(|(name, value)| (name.to_owned(), value));
    Value::Struct(owned.into())
}

/// `getState`.
pub fn state_of(state: DaemonState) -> Value {
    let (code, name) = match state {
        DaemonState::Running => (1, "RUNNING"),
        DaemonState::Restarting => (0, "RESTARTING"),
        DaemonState::Leaving => (-1, "SHUTDOWN"),
    };
    members([("statecode", Value::Int(code)), ("statename", name.into())])
}

/// `getProcessInfo`.
pub fn process_info(view: &ProcessView) -> Value {
    members([
        ("name", view.name.process.as_str().into()),
        ("group", view.name.group.as_str().into()),
        ("start", view.start.into()),
        ("stop", view.stop.into()),
        ("now", view.now.into()),
        ("state", state_code(view.state).into()),
        ("statename", view.state.word().into()),
        ("spawnerr", view.spawn_error.as_str().into()),
        ("exitstatus", i64::from(view.exit_status).into()),
        ("logfile", view.stdout_logfile.as_str().into()),
        ("stdout_logfile", view.stdout_logfile.as_str().into()),
        ("stderr_logfile", view.stderr_logfile.as_str().into()),
        ("pid", i64::from(view.pid).into()),
        ("description", view.description.as_str().into()),
    ])
}

fn state_code(state: State) -> i64 {
    state.code().into()
}

/// One entry of `getAllConfigInfo`.
pub fn config_info_of(view: &ConfiguredView) -> Value {
    let (policy, launch) = (&view.config.policy, &view.config.launch);
    let directory = launch
        .directory
        .as_ref()
        .map(|path| path.display().to_string());
    let exitcodes = policy
        .exitcodes
        .iter()
        .map(|code| Value::Int((*code).into()));
    let uid = launch.user.as_ref().map(|user| Value::Int(user.uid.into()));
    let mut info = members([
        ("autostart", policy.autostart.into()),
        ("directory", or_none(directory.map(Value::from))),
        ("uid", or_none(uid)),
        ("command", launch.command.as_str().into()),
        ("exitcodes", Value::Array(exitcodes.collect())),
        ("group", view.group.as_str().into()),
        ("group_prio", view.group_priority.into()),
        ("inuse", view.in_use.into()),
        ("killasgroup", policy.killasgroup.into()),
        ("name", view.config.name.as_str().into()),
        ("process_prio", policy.priority.into()),
        ("redirect_stderr", launch.redirect_stderr.into()),
        ("startretries", policy.startretries.into()),
        ("startsecs", policy.startsecs.into()),
        ("stopsignal", i64::from(policy.stopsignal.0).into()),
        ("stopwaitsecs", policy.stopwaitsecs.into()),
        (
            "serverurl",
            or_none(launch.serverurl.as_deref().map(Value::from)),
        ),
    ]);
    if let Value::Struct(members) = &mut info {
        members.extend(stream_info(
            "stdout",
            &view.config.stdout,
            &view.stdout_logfile,
        ));
        // It has no log of its own where it goes to standard output.
        let mut stderr = view.config.stderr.clone();
        if launch.redirect_stderr {
            stderr.logfile = LogTarget::None;
        }
        members.extend(stream_info("stderr", &stderr, &view.stderr_logfile));
    }
    info
}

/// The options of one output. `file` is where it really goes, if that is known: what AUTO means.
fn stream_info(channel: &str, stream: &StreamConfig, file: &str) -> Vec<(String, Value)> {
    let logfile = match &stream.logfile {
        LogTarget::File(path) => path.display().to_string(),
        LogTarget::Auto if file.is_empty() => "auto".to_owned(),
        LogTarget::Auto => file.to_owned(),
        LogTarget::None => "none".to_owned(),
    };
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    [
        ("capture_maxbytes", number(stream.capture_maxbytes)),
        ("events_enabled", stream.events_enabled.into()),
        ("logfile", logfile.into()),
        (
            "logfile_backups",
            number(stream.logfile_config.backups.into()),
        ),
        (
            "logfile_maxbytes",
            Value::Int(stream.logfile_config.maxbytes),
        ),
        ("syslog", stream.syslog.into()),
    ]
    .map(|(option, value)| (format!("{channel}_{option}"), value))
    .into()
}

fn or_none(value: Option<Value>) -> Value {
    value.unwrap_or_else(|| "none".into())
}
