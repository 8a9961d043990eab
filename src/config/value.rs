//! Value types of the format: text in, a typed value or a refusal in Supervisor's words out. Pure.

use std::path::Path;

use super::host::{Host, User};
use super::model::{
    Autorestart, FormatTime, LineFormat, LogLevel, LogTarget, OnFull, Signal, UserSpec,
};
use super::paths::{directory_part, expand_home};
use super::python::{self, IntegerProblem, repr, strip};
use super::signal::SignalProblem;

/// Why a value is refused: Supervisor's words, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Supervisor's words.
    pub words: String,
    /// What was expected, for our own message.
    pub expected: &'static str,
}

/// A refusal.
pub fn refused<T>(words: impl Into<String>, expected: &'static str) -> Result<T, Refused> {
    Err(Refused {
        words: words.into(),
        expected,
    })
}

/// An integer as Python's `int()` takes it; what is beyond 64 bits is as good as their bound.
pub fn integer(text: &str) -> Result<i64, Refused> {
    python::integer(text, 10).or_else(|problem| match problem {
        IntegerProblem::NotALiteral => refused(
            format!("invalid literal for int() with base 10: {}", repr(text)),
            "a whole number",
        ),
        IntegerProblem::TooLarge if strip(text).starts_with('-') => Ok(i64::MIN),
        IntegerProblem::TooLarge => Ok(i64::MAX),
    })
}

/// `true yes on 1`, `false no off 0`.
pub fn boolean(text: &str) -> Result<bool, Refused> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => refused(
            format!("not a valid boolean value: {}", repr(text)),
            "true or false",
        ),
    }
}

/// Bytes, with `KB`, `MB` or `GB`; nothing below zero has a meaning, so that is 0.
pub fn bytes(text: &str) -> Result<u64, Refused> {
    signed_bytes(text).map(|number| u64::try_from(number).unwrap_or(0))
}

/// Bytes as they were written, for options that clients read back: what is below zero means 0.
pub fn signed_bytes(text: &str) -> Result<i64, Refused> {
    let lower = strip(text).to_lowercase();
    let (digits, unit) = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((lower.strip_suffix(suffix)?, unit)))
        .unwrap_or((&lower, 1_i64));
    let number = integer(digits).map_err(|refused| Refused {
        expected: "bytes, such as 512, 64KB, 50MB or 1GB",
        ..refused
    })?;
    Ok(number.saturating_mul(unit))
}

/// An octal mode; of a negative one the system sees the lowest bits.
pub fn octal(text: &str) -> Result<u32, Refused> {
    let bits = |mode: i64| if mode < 0 { mode & 0o7777 } else { mode };
    match python::integer(text, 8)
        .ok()
        .and_then(|mode| u32::try_from(bits(mode)).ok())
    {
        Some(mode) => Ok(mode),
        None => refused(
            format!("{text} can not be converted to an octal type"),
            "an octal number, such as 022",
        ),
    }
}

/// A signal name or number.
pub fn signal(text: &str) -> Result<Signal, Refused> {
    Signal::parse(text).or_else(|problem| {
        let what = match problem {
            SignalProblem::Name(_) => "name",
            SignalProblem::Number => "number",
        };
        refused(
            format!("value {} is not a valid signal {what}", repr(text)),
            "a signal, such as TERM, HUP or 15",
        )
    })
}

/// A comma list of exit codes.
pub fn exit_codes(text: &str) -> Result<Vec<u8>, Refused> {
    if strip(text).is_empty() {
        return Ok(Vec::new());
    }
    let codes: Option<Vec<u8>> = text
        .split(',')
        .map(|code| integer(code).ok().and_then(|code| u8::try_from(code).ok()))
        .collect();
    match codes {
        Some(codes) => Ok(codes),
        None => refused(
            format!("not a valid list of exit codes: {}", repr(text)),
            "numbers from 0 to 255 separated by commas",
        ),
    }
}

/// `autorestart=`.
pub fn autorestart(text: &str) -> Result<Autorestart, Refused> {
    if text.eq_ignore_ascii_case("unexpected") {
        return Ok(Autorestart::Unexpected);
    }
    match boolean(text) {
        Ok(true) => Ok(Autorestart::Always),
        Ok(false) => Ok(Autorestart::Never),
        Err(_) => refused(
            format!("invalid 'autorestart' value {}", repr(text)),
            "true, false or unexpected",
        ),
    }
}

/// A log level.
pub fn log_level(text: &str) -> Result<LogLevel, Refused> {
    match text.to_lowercase().as_str() {
        "critical" => Ok(LogLevel::Critical),
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        "trace" => Ok(LogLevel::Trace),
        "blather" => Ok(LogLevel::Blather),
        _ => refused(
            format!("bad logging level name {}", repr(text)),
            "critical, error, warn, info, debug, trace or blather",
        ),
    }
}

/// A login name or a numeric user id that exists.
pub fn user(host: &dyn Host, text: &str) -> Result<UserSpec, Refused> {
    let expected = "a user of this machine";
    let found = match python::integer(text, 10) {
        Ok(number) => match u32::try_from(number)
            .ok()
            .and_then(|uid| host.user_by_id(uid))
        {
            Some(user) => user,
            None => return refused(format!("Invalid user id {text}"), expected),
        },
        Err(_) => match host.user_by_name(text) {
            Some(user) => user,
            None => return refused(format!("Invalid user name {text}"), expected),
        },
    };
    let User { name, uid, gid, .. } = found;
    Ok(UserSpec { name, uid, gid })
}

/// `user` or `user:group`, names or ids.
pub fn owner(host: &dyn Host, text: &str) -> Result<(Option<u32>, Option<u32>), Refused> {
    let (name, group) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (text, None),
    };
    let uid = user(host, name)?.uid;
    let gid = match group {
        None => None,
        Some(group) => {
            let number = python::integer(group, 10)
                .ok()
                .and_then(|gid| u32::try_from(gid).ok());
            let gid = match number {
                Some(gid) if host.has_group(gid) => Some(gid),
                Some(_) => None,
                None => host.group_by_name(group),
            };
            match gid {
                Some(gid) => Some(gid),
                None => {
                    return refused(
                        format!("Invalid group name {group}"),
                        "a group of this machine",
                    );
                }
            }
        }
    };
    Ok((Some(uid), gid))
}

/// A directory that exists.
pub fn directory(host: &dyn Host, text: &str) -> Result<String, Refused> {
    let path = expand_home(host, text);
    match !path.is_empty() && host.is_dir(Path::new(&path)) {
        true => Ok(path),
        false => refused(
            format!("{text} is not an existing directory"),
            "a directory that exists",
        ),
    }
}

/// A path whose directory exists.
pub fn path_in_directory(host: &dyn Host, text: &str) -> Result<String, Refused> {
    let path = expand_home(host, text);
    let directory = directory_part(&path);
    if directory.is_empty() || host.is_dir(Path::new(directory)) {
        return Ok(path);
    }
    refused(
        format!("The directory named as part of the path {text} does not exist"),
        "a file in a directory that exists",
    )
}

/// `stdout_logfile=` and its kin; an empty value is no file.
pub fn log_target(host: &dyn Host, text: &str) -> Result<LogTarget, Refused> {
    match text.to_lowercase().as_str() {
        "" | "none" | "off" | "syslog" => Ok(LogTarget::None),
        "auto" => Ok(LogTarget::Auto),
        _ => path_in_directory(host, text).map(|path| LogTarget::File(path.into())),
    }
}

/// `stdout_format`.
pub fn line_format(text: &str) -> Result<LineFormat, Refused> {
    match text.to_lowercase().as_str() {
        "raw" => Ok(LineFormat::Raw),
        "prefix" => Ok(LineFormat::Prefix),
        "json" => Ok(LineFormat::Json),
        _ => refused(format!("not a format: {}", repr(text)), FORMATS),
    }
}

/// What `stdout_format` may be.
const FORMATS: &str = "raw, prefix or json";

/// `stdout_on_full`.
pub fn on_full(text: &str) -> Result<OnFull, Refused> {
    match text.to_lowercase().as_str() {
        "block" => Ok(OnFull::Block),
        "drop" => Ok(OnFull::Drop),
        _ => refused(
            format!("not a thing to do when the log is full: {}", repr(text)),
            "block or drop",
        ),
    }
}

/// `stdout_format_time`.
pub fn format_time(text: &str) -> Result<FormatTime, Refused> {
    match text.to_lowercase().as_str() {
        "utc" => Ok(FormatTime::Utc),
        "local" => Ok(FormatTime::Local),
        _ => refused(format!("not a time: {}", repr(text)), "utc or local"),
    }
}

/// A program, group or process name, before anything in it is expanded.
pub fn name(text: &str) -> Result<String, Refused> {
    let name = strip(text);
    match name.chars().find(|c| *c == ' ' || *c == ':' || *c == '/') {
        None => Ok(name.to_owned()),
        Some(c) => refused(
            format!(
                "Invalid name: {} because of character: {}",
                repr(text),
                repr(&c.to_string())
            ),
            "a name without blanks, colons and slashes",
        ),
    }
}

/// The number of a port.
pub fn port_number(text: &str) -> Result<u16, Refused> {
    let expected = "a port from 1 to 65535";
    match integer(text)? {
        n if n < 1 => refused(format!("{n} is below lower bound (1)"), expected),
        n => match u16::try_from(n) {
            Ok(port) => Ok(port),
            Err(_) => refused(format!("{n} is above upper bound (65535)"), expected),
        },
    }
}

/// `port`, `:port`, `*:port`, `host:port` or `[address]:port`.
pub fn inet_address(text: &str) -> Result<(String, u16), Refused> {
    let expected = "port, *:port or host:port";
    match text.rsplit_once(':') {
        Some((_, "")) => refused("no port number specified in ''", expected),
        Some((host, port)) => {
            let port = port_number(port)?;
            // An address of IPv6 stands in brackets, which are no part of it.
            let bare = host
                .strip_prefix('[')
                .and_then(|host| host.strip_suffix(']'));
            let host = match bare.unwrap_or(host) {
                "*" => String::new(),
                host => host.to_lowercase(),
            };
            Ok((host, port))
        }
        None => match port_number(text) {
            Ok(port) => Ok((String::new(), port)),
            Err(_) => refused(
                format!("not a valid port number: {} ", repr(text)),
                expected,
            ),
        },
    }
}
