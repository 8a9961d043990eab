//! The formats `prefix` and `json`: lines with time, name and stream. Pure: bytes and a moment in,
//! bytes out.
//!
//! ```text
//! 2026-11-25T09:29:18.123456Z web stdout | GET / 200
//! {"time":"2026-11-25T09:29:18.123456Z","name":"web","stream":"stdout","message":"GET / 200"}
//! ```
//!
//! Every record is a line. A part of a line that goes on in the next record has `+` in place of
//! `|`, or `"partial":true`: lines longer than [`PART_MAX`] come in parts, and so does one whose end
//! was not written in time. A part ends at the end of a character.
//!
//! Must never: keep a byte, look at a clock.

use chrono::{DateTime, Local, SecondsFormat, Utc};

use crate::config::{FormatTime, LineFormat, OutputForm};

/// Longest part of a line in one record, in bytes of the program.
pub(super) const PART_MAX: usize = 16 * 1024;

/// How the lines of a stream are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Which of the formats, and which time.
    pub form: OutputForm,
    /// The process, as it is shown: `web`, `group:process`.
    pub name: String,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
}

impl Format {
    /// Appends the records for these bytes, which came at a moment in microseconds since 1970.
    /// Unless they end in a newline, `goes_on` says whether more of their last line may come.
    pub fn write(&self, bytes: &[u8], micros: i64, goes_on: bool, out: &mut Vec<u8>) {
        let time = self.time_text(micros);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (mut text, ended) = match line.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (line, !goes_on),
            };
            while text.len() > PART_MAX {
                let (part, rest) = text.split_at(boundary(&text[..PART_MAX]));
                self.record(&time, part, true, out);
                text = rest;
            }
            self.record(&time, text, !ended, out);
        }
    }

    fn record(&self, time: &str, text: &[u8], partial: bool, out: &mut Vec<u8>) {
        let Format { name, stream, .. } = self;
        match self.form.line {
            LineFormat::Raw => return out.extend_from_slice(text),
            LineFormat::Prefix => {
                let mark = if partial { '+' } else { '|' };
                out.extend_from_slice(format!("{time} {name} {stream} {mark} ").as_bytes());
                out.extend_from_slice(text);
            }
            LineFormat::Json => {
                let name = json_text(name);
                let message = json_text(&String::from_utf8_lossy(text));
                let partial = if partial { ",\"partial\":true" } else { "" };
                let record = format!(
                    "{{\"time\":\"{time}\",\"name\":{name},\"stream\":\"{stream}\",\"message\":{message}{partial}}}"
                );
                out.extend_from_slice(record.as_bytes());
            }
        }
        out.push(b'\n');
    }

    fn time_text(&self, micros: i64) -> String {
        let moment = DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default();
        match self.form.time {
            FormatTime::Utc => moment.to_rfc3339_opts(SecondsFormat::Micros, true),
            FormatTime::Local => moment
                .with_timezone(&Local)
                .to_rfc3339_opts(SecondsFormat::Micros, false),
        }
    }
}

/// How many of these bytes do not end in the middle of a character; all if it would be none.
pub(super) fn boundary(bytes: &[u8]) -> usize {
    let begins = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    let last = bytes.iter().rev().take(4).position(begins);
    let Some(back) = last.map(|back| back + 1) else {
        return bytes.len();
    };
    let whole = match bytes[bytes.len() - back] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    match bytes.len() - back {
        _ if back >= whole => bytes.len(),
        0 => bytes.len(),
        before => before,
    }
}

fn json_text(text: &str) -> String {
    // A text always serializes.
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::chain::cut;
    use super::*;
    use proptest::prelude::*;

    const MICROS: i64 = 1_764_062_958_123_456;

    fn format(line: LineFormat, time: FormatTime) -> Format {
        Format {
            form: OutputForm { line, time },
            name: "web".into(),
            stream: "stdout",
        }
    }

    fn write(line: LineFormat, bytes: &[u8], goes_on: bool) -> String {
        let mut out = Vec::new();
        format(line, FormatTime::Utc).write(bytes, MICROS, goes_on, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_get_time_name_and_stream() {
        let time = "2025-11-25T09:29:18.123456Z";
        let prefixed = write(LineFormat::Prefix, b"one\n\ntwo\r\nhalf", true);
        assert_eq!(
            prefixed,
            format!(
                "{time} web stdout | one\n{time} web stdout | \n{time} web stdout | two\r\n\
                 {time} web stdout + half\n"
            )
        );
        let json = write(LineFormat::Json, b"a \"b\" \x1b\xff\nend", false);
        let head =
            format!("{{\"time\":\"{time}\",\"name\":\"web\",\"stream\":\"stdout\",\"message\":");
        assert_eq!(
            json,
            format!("{head}\"a \\\"b\\\" \\u001b\u{fffd}\"}}\n{head}\"end\"}}\n")
        );
        assert!(write(LineFormat::Json, b"half", true).ends_with("\"half\",\"partial\":true}\n"));
        let local = format(LineFormat::Prefix, FormatTime::Local);
        let mut out = Vec::new();
        local.write(b"x\n", MICROS, false, &mut out);
        let out = String::from_utf8(out).unwrap();
        let moment = out.split(' ').next().unwrap();
        let moment = DateTime::parse_from_rfc3339(moment).unwrap();
        assert_eq!(moment.timestamp_micros(), MICROS);
    }

    #[test]
    fn no_character_is_parted() {
        for (bytes, whole) in [
            (&b"abc"[..], 3),
            ("é".as_bytes(), 2),
            (&"aé".as_bytes()[..2], 1),
            (&"a✓".as_bytes()[..2], 1),
            (&"a✓".as_bytes()[..3], 1),
            ("a✓".as_bytes(), 4),
            (&"a🎉".as_bytes()[..4], 1),
            ("a🎉".as_bytes(), 5),
            (&"é".as_bytes()[..1], 1),
            (b"\xff", 1),
            (b"a\x80\x80\x80\x80\x80", 6),
            (b"a\xff\x80", 3),
            (b"", 0),
        ] {
            assert_eq!(boundary(bytes), whole, "{bytes:?}");
        }
    }

    #[test]
    fn a_long_line_comes_in_marked_parts() {
        let line = "é✓".repeat(10_000);
        let out = write(LineFormat::Prefix, format!("{line}\n").as_bytes(), true);
        let records: Vec<&str> = out.lines().collect();
        assert_eq!(records.len(), line.len().div_ceil(PART_MAX));
        let texts: Vec<(&str, &str)> = records
            .iter()
            .map(|record| record.split_at(record.find("stdout ").unwrap() + 9))
            .collect();
        let joined: String = texts.iter().map(|(_, text)| *text).collect();
        assert_eq!(joined, line);
        for (index, (head, text)) in texts.iter().enumerate() {
            let last = index + 1 == texts.len();
            assert!(head.ends_with(if last { "| " } else { "+ " }), "{head}");
            assert!(text.len() <= PART_MAX);
        }
    }

    /// What comes out if these bytes come in pieces of the given sizes.
    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
        let prefix = format(LineFormat::Prefix, FormatTime::Utc);
        let (mut pipe, mut out) = (Vec::new(), Vec::new());
        let mut rest = bytes;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let size = cuts
                .next()
                .map_or(rest.len(), |cut| (*cut).clamp(1, rest.len()));
            let (piece, later) = rest.split_at(size);
            pipe.extend_from_slice(piece);
            rest = later;
            loop {
                let count = cut(&pipe, false);
                if count == 0 {
                    break;
                }
                let passed: Vec<u8> = pipe.drain(..count).collect();
                prefix.write(&passed, MICROS, true, &mut out);
            }
        }
        prefix.write(&pipe, MICROS, false, &mut out);
        out
    }

    #[test]
    fn it_does_not_matter_where_bytes_are_cut() {
        let check = |text: &str, sizes: &mut dyn Iterator<Item = usize>| {
            let whole = in_pieces(text.as_bytes(), &[text.len()]);
            for size in sizes {
                assert!(
                    in_pieces(text.as_bytes(), &[size]) == whole,
                    "pieces of {size}"
                );
                assert!(
                    in_pieces(text.as_bytes(), &[size, text.len()]) == whole,
                    "cut at {size}"
                );
            }
        };
        let short = "one\n\ntwö\r\n🎉\x1b[31m\0\nend";
        check(short, &mut (1..short.len()));
        let long = format!("{short}\n{}\nend", "✓".repeat(PART_MAX));
        check(
            &long,
            &mut [999, PART_MAX - 1, PART_MAX, PART_MAX + 1, 50_000].into_iter(),
        );
    }

    proptest! {
        #[test]
        fn any_bytes_cut_anywhere_come_out_the_same(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n')], 0..300),
            cuts in prop::collection::vec(1usize..40, 1..20),
        ) {
            prop_assert_eq!(in_pieces(&bytes, &cuts), in_pieces(&bytes, &[bytes.len().max(1)]));
        }
    }
}
