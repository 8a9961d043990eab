//! The forms in which a line goes to a syslog or to journald. Pure.
//!
//! Formats: RFC 3164, RFC 5424 (framed by RFC 6587 over TCP), and journald's native protocol, fields
//! `NAME=value` ended by newlines.
//!
//! Must never: send, look at a clock.

use chrono::{DateTime, Local, SecondsFormat, Utc};

use super::format::boundary;
use crate::config::{SyslogForm, SyslogStyle};

/// Severity of every line: informational, as Supervisor sends it.
const SEVERITY: u8 = 6;

/// Longest text in one message; a longer line is sent in parts.
pub(super) const TEXT_MAX: usize = 8 * 1024;

/// Longest tag: what RFC 5424 allows.
const TAG_MAX: usize = 48;

/// Whose lines they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The process, as it is shown.
    pub name: String,
    /// The same without its group, as Supervisor writes it.
    pub process: String,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The daemon, as the pid of what Supervisor sends.
    pub pid: u32,
}

/// The lines of a text, long ones in parts, without their newlines.
pub(super) fn texts(plain: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = plain.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    lines.flat_map(|mut line| {
        let mut parts = Vec::new();
        while line.len() > TEXT_MAX {
            let (part, rest) = line.split_at(boundary(&line[..TEXT_MAX]));
            parts.push(part);
            line = rest;
        }
        parts.push(line);
        parts
    })
}

/// How a message is told from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// By its datagram.
    None,
    /// On a connection.
    Stream,
}

/// A message for a syslog. `far`: it is not on this machine, so host and time are told.
pub(super) fn syslog(
    style: &SyslogStyle,
    origin: &Origin,
    text: &[u8],
    micros: i64,
    host: Option<&str>,
    framing: Framing,
) -> Vec<u8> {
    let priority = style.facility * 8 + SEVERITY;
    let moment = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
    let form = style.form.unwrap_or(match host {
        Some(_) => SyslogForm::Rfc5424,
        None => SyslogForm::Rfc3164,
    });
    let mut head = match (form, host) {
        (SyslogForm::Rfc5424, host) => {
            let time = moment.to_rfc3339_opts(SecondsFormat::Micros, true);
            let tag = word(style.tag.as_deref().unwrap_or(&origin.name), TAG_MAX);
            let host = word(host.unwrap_or("-"), 255);
            format!("<{priority}>1 {time} {host} {tag} - {} - ", origin.stream)
        }
        (SyslogForm::Rfc3164, host) => {
            let tag = match &style.tag {
                Some(tag) => format!("{}: ", word(tag, TAG_MAX)),
                // What Supervisor sends: its own name, then that of the process before the text.
                None => format!("supervisord[{}]: {} ", origin.pid, origin.process),
            };
            let local = moment.with_timezone(&Local).format("%b %e %H:%M:%S");
            match host {
                Some(host) => format!("<{priority}>{local} {} {tag}", word(host, 255)),
                None => format!("<{priority}>{local} {tag}"),
            }
        }
    }
    .into_bytes();
    head.extend_from_slice(text);
    match (framing, form) {
        (Framing::None, _) => head,
        (Framing::Stream, SyslogForm::Rfc5424) => {
            let mut framed = format!("{} ", head.len()).into_bytes();
            framed.extend(head);
            framed
        }
        (Framing::Stream, SyslogForm::Rfc3164) => {
            head.push(b'\n');
            head
        }
    }
}

/// A message for journald.
pub(super) fn journal(style: &SyslogStyle, origin: &Origin, text: &[u8]) -> Vec<u8> {
    let tag = style.tag.as_deref().unwrap_or(&origin.name);
    let mut message = format!(
        "PRIORITY={SEVERITY}\nSYSLOG_FACILITY={}\nSYSLOG_IDENTIFIER={}\nAPPCTL_NAME={}\n\
         APPCTL_STREAM={}\nMESSAGE=",
        style.facility,
        one_line(tag),
        one_line(&origin.name),
        origin.stream
    )
    .into_bytes();
    message.extend_from_slice(text);
    message.push(b'\n');
    message
}

/// A word as headers want it: printable, without blanks.
fn word(text: &str, most: usize) -> String {
    let letters = text.chars().take(most);
    let word: String = letters
        .map(|letter| {
            if letter.is_ascii_graphic() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    if word.is_empty() {
        "-".to_owned()
    } else {
        word
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MICROS: i64 = 1_764_062_958_123_456;

    fn origin() -> Origin {
        Origin {
            name: "g:web".into(),
            process: "web".into(),
            stream: "stderr",
            pid: 7,
        }
    }

    fn message(style: &SyslogStyle, host: Option<&str>, framing: Framing) -> String {
        String::from_utf8(syslog(
            style,
            &origin(),
            b"hi \xc3\xa9",
            MICROS,
            host,
            framing,
        ))
        .unwrap()
    }

    #[test]
    fn messages_of_syslog() {
        let style = SyslogStyle::default();
        let tagged = SyslogStyle {
            tag: Some("my app".into()),
            facility: 16,
            form: Some(SyslogForm::Rfc3164),
        };
        let local = message(&style, None, Framing::None);
        assert!(local.starts_with("<14>Nov 2"), "{local}");
        assert!(local.ends_with(" supervisord[7]: web hi é"), "{local}");
        assert_eq!(
            message(&style, Some("box"), Framing::None),
            "<14>1 2025-11-25T09:29:18.123456Z box g:web - stderr - hi é"
        );
        let framed = message(&style, Some("box"), Framing::Stream);
        let (length, rest) = framed.split_once(' ').unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), rest.len());
        let old = message(&tagged, Some("box"), Framing::Stream);
        assert!(
            old.starts_with("<134>Nov 2") && old.ends_with(" box my_app: hi é\n"),
            "{old}"
        );
    }

    #[test]
    fn messages_of_journald() {
        let sent = journal(&SyslogStyle::default(), &origin(), b"hi");
        let sent = String::from_utf8(sent).unwrap();
        assert_eq!(
            sent,
            "PRIORITY=6\nSYSLOG_FACILITY=1\nSYSLOG_IDENTIFIER=g:web\nAPPCTL_NAME=g:web\n\
             APPCTL_STREAM=stderr\nMESSAGE=hi\n"
        );
    }

    #[test]
    fn long_lines_are_sent_in_parts() {
        let line = "é".repeat(TEXT_MAX);
        let plain = format!("{line}\n\nx");
        let parts: Vec<&[u8]> = texts(plain.as_bytes()).collect();
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[..2].concat(), line.as_bytes());
        assert_eq!(parts[2..], [&b""[..], b"x"]);
        assert!(parts.iter().all(|part| std::str::from_utf8(part).is_ok()));
    }
}
