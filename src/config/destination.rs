//! Where the output of a program goes beside its log file: further values of `stdout_logfile`, and
//! `stdout_syslog`.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::host::Host;
use super::model::LogTarget;
use super::python::repr;
use super::value::{self, Refused, refused};

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Destination {
    /// A file, a pipe, or the daemon's own output.
    Path(PathBuf),
    /// The syslog of this machine; a path if it is not the usual one.
    Syslog(Option<PathBuf>),
    /// A syslog at `host:port`, by datagrams.
    Udp(String),
    /// A syslog at `host:port`, by a connection.
    Tcp(String),
    /// journald; a path if it is not the usual one.
    Journal(Option<PathBuf>),
}

/// How lines look in a syslog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyslogStyle {
    /// `stdout_syslog_format`; `None`: RFC 5424 over a network, RFC 3164 on this machine.
    pub form: Option<SyslogForm>,
    /// `stdout_syslog_tag`; `None`: the process's name, on this machine as Supervisor writes it.
    pub tag: Option<String>,
    /// `stdout_syslog_facility`, its number.
    pub facility: u8,
}

/// `stdout_syslog_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyslogForm {
    /// `rfc3164`.
    Rfc3164,
    /// `rfc5424`.
    Rfc5424,
}

impl SyslogForm {
    /// As it is written in a file.
    pub fn word(self) -> &'static str {
        match self {
            SyslogForm::Rfc3164 => "rfc3164",
            SyslogForm::Rfc5424 => "rfc5424",
        }
    }
}

impl SyslogStyle {
    /// The facility as it is written in a file.
    pub fn facility_word(&self) -> &'static str {
        FACILITIES
            .get(usize::from(self.facility))
            .unwrap_or(&"user")
    }
}

impl Default for SyslogStyle {
    fn default() -> SyslogStyle {
        SyslogStyle {
            form: None,
            tag: None,
            facility: 1,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Path(path) => path.display().fmt(f),
            Destination::Syslog(None) => f.write_str("syslog"),
            Destination::Syslog(Some(path)) => write!(f, "syslog://{}", path.display()),
            Destination::Udp(address) => write!(f, "udp://{address}"),
            Destination::Tcp(address) => write!(f, "tcp://{address}"),
            Destination::Journal(None) => f.write_str("journald"),
            Destination::Journal(Some(path)) => write!(f, "journald://{}", path.display()),
        }
    }
}

/// Names of facilities; their numbers are their places.
pub(super) const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// `stdout_syslog_facility`.
pub(super) fn facility(text: &str) -> Result<u8, Refused> {
    let found = FACILITIES
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    match found.and_then(|number| u8::try_from(number).ok()) {
        Some(number) => Ok(number),
        None => refused(
            format!("not a facility: {}", repr(text)),
            "user, daemon, local0 to local7 or another facility of syslog",
        ),
    }
}

/// `stdout_syslog_format`.
pub(super) fn form(text: &str) -> Result<Option<SyslogForm>, Refused> {
    match text.to_lowercase().as_str() {
        "rfc3164" => Ok(Some(SyslogForm::Rfc3164)),
        "rfc5424" => Ok(Some(SyslogForm::Rfc5424)),
        _ => refused(
            format!("not a format: {}", repr(text)),
            "rfc3164 or rfc5424",
        ),
    }
}

/// `stdout_logfile`: its file, and where else the output goes.
pub(super) fn targets(
    host: &dyn Host,
    text: &str,
) -> Result<(LogTarget, Vec<Destination>), Refused> {
    let mut parts = split(text).into_iter();
    let first = parts.next().unwrap_or_default();
    let mut also = Vec::new();
    let file = match place(first)? {
        Some(place) if text != "syslog" => {
            also.push(place);
            LogTarget::None
        }
        _ => value::log_target(host, first)?,
    };
    for part in parts {
        match place(part)? {
            Some(place) => also.push(place),
            None if part.eq_ignore_ascii_case("none") => {}
            None => match value::log_target(host, part)? {
                LogTarget::File(path) => also.push(Destination::Path(path)),
                LogTarget::Auto | LogTarget::None => {}
            },
        }
    }
    Ok((file, also))
}

/// Divides a list at its commas. A comma is part of a path, as it is in Supervisor, unless what
/// follows it and blanks can only be another value.
fn split(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut parts = Vec::new();
    while let Some((front, last)) = rest.rsplit_once(',') {
        let value = last.trim();
        let is_value = value.starts_with('/')
            || value.eq_ignore_ascii_case("none")
            || !matches!(place(value), Ok(None));
        if !last.starts_with([' ', '\t']) || !is_value {
            break;
        }
        parts.push(value);
        rest = front;
    }
    parts.push(rest.trim());
    parts.reverse();
    parts
}

/// A value that is no path.
fn place(text: &str) -> Result<Option<Destination>, Refused> {
    let path = |path: &str| Some(PathBuf::from(path));
    Ok(Some(match text.split_once("://") {
        None if text.eq_ignore_ascii_case("syslog") => Destination::Syslog(None),
        None if text.eq_ignore_ascii_case("journald") => Destination::Journal(None),
        Some(("syslog", rest)) if rest.starts_with('/') => Destination::Syslog(path(rest)),
        Some(("journald", rest)) if rest.starts_with('/') => Destination::Journal(path(rest)),
        Some(("udp", rest)) => Destination::Udp(address(rest)?),
        Some(("tcp", rest)) => Destination::Tcp(address(rest)?),
        _ => return Ok(None),
    }))
}

fn address(text: &str) -> Result<String, Refused> {
    match text.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(text.to_owned())
        }
        _ => refused(format!("not an address: {}", repr(text)), "host:port"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_divides_only_where_another_value_follows() {
        let table: &[(&str, &[&str])] = &[
            ("app.log", &["app.log"]),
            ("app.log, /dev/stdout", &["app.log", "/dev/stdout"]),
            ("/a,b.log", &["/a,b.log"]),
            ("/a,/b", &["/a,/b"]),
            ("/a, b", &["/a, b"]),
            ("/a, b, /c", &["/a, b", "/c"]),
            (
                "NONE, journald, udp://h:514",
                &["NONE", "journald", "udp://h:514"],
            ),
            (
                "AUTO,  tcp://[::1]:601 , none",
                &["AUTO", "tcp://[::1]:601", "none"],
            ),
            ("", &[""]),
        ];
        for (text, parts) in table {
            assert_eq!(split(text), *parts, "{text}");
        }
    }

    #[test]
    fn places() {
        let shown = |text: &str| place(text).map(|place| place.map(|place| place.to_string()));
        for text in [
            "syslog",
            "journald",
            "udp://host:514",
            "tcp://[::1]:601",
            "syslog:///dev/log",
        ] {
            assert_eq!(shown(text).ok().flatten().as_deref(), Some(text));
        }
        for text in ["app.log", "/dev/stdout", "./journald", "http://x:1"] {
            assert_eq!(shown(text).ok(), Some(None), "{text}");
        }
        for text in ["udp://host", "tcp://:514", "udp://host:0", "udp://host:x"] {
            assert!(shown(text).is_err(), "{text}");
        }
        assert_eq!(facility("LOCAL0").ok(), Some(16));
        assert!(facility("locale").is_err());
    }
}
