//! The codec of the line protocol: words, quoting, rows, raw blocks, final lines.
//!
//! Request: one line of UTF-8 of at most [`LINE_MAX`] bytes, words separated by blanks, quoted as
//! in a shell. Answer: data lines, `- word … key=value …`, raw blocks `= LENGTH NAME` followed by
//! LENGTH bytes and a newline, and one final line, `ok TEXT` or `err CODE TEXT`.
//!
//! Must never: do I/O, know a verb, panic on any input.

use std::fmt;
use std::str::FromStr;

use super::word::{Scanner, Token, escape_text, unescape_text};
pub use super::word::{WordError, quote_word, split_words};

/// Longest line either side accepts, in bytes without the newline.
pub const LINE_MAX: usize = 64 * 1024;

/// Longest raw block, in bytes without the newline after it.
pub const RAW_MAX: usize = 64 * 1024;

/// One data line: words first, then fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// Positional words.
    pub words: Vec<String>,
    /// `key=value` fields in order.
    pub fields: Vec<(String, String)>,
}

/// One line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerLine {
    /// `- …`
    Row(Row),
    /// `= LENGTH NAME`: that many raw bytes and a newline follow.
    Raw {
        /// Bytes that follow.
        length: usize,
        /// `stdout`, `stderr` or `main`.
        name: String,
    },
    /// `ok TEXT`
    Ok(String),
    /// `err CODE TEXT`
    Err {
        /// Stable code.
        code: String,
        /// For people.
        text: String,
    },
}

/// Why a line is no line of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineError {
    /// It cannot be split into words.
    Word(WordError),
    /// It begins with none of `-`, `=`, `ok`, `err`.
    UnknownMark,
    /// A word stands after a field.
    WordAfterField,
    /// `=` without a length of at most [`RAW_MAX`] and one name.
    BadRaw,
    /// `err` without a code.
    NoCode,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LineError::Word(error) => error.fmt(f),
            LineError::UnknownMark => {
                f.write_str("an answer line begins with `-`, `=`, `ok` or `err`")
            }
            LineError::WordAfterField => f.write_str("a word stands after a key=value field"),
            LineError::BadRaw => write!(
                f,
                "a raw block is announced by `= LENGTH NAME`, LENGTH being at most {RAW_MAX}"
            ),
            LineError::NoCode => f.write_str("`err` is not followed by a code"),
        }
    }
}

impl std::error::Error for LineError {}

impl From<WordError> for LineError {
    fn from(error: WordError) -> LineError {
        LineError::Word(error)
    }
}

impl Row {
    /// A row of these words.
    pub fn of<const N: usize>(words: [&str; N]) -> Row {
        Row {
            words: words.iter().map(|word| word.to_string()).collect(),
            fields: Vec::new(),
        }
    }

    /// The row with one more field.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Row {
        self.fields.push((key.to_owned(), value.to_string()));
        self
    }

    /// The row with one more field, or as it is if the value is empty.
    pub fn with_some(self, key: &str, value: &str) -> Row {
        if value.is_empty() {
            self
        } else {
            self.with(key, value)
        }
    }

    /// The value of a field.
    pub fn field(&self, key: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blank = "";
        for word in &self.words {
            write!(f, "{blank}{}", quote_word(word))?;
            blank = " ";
        }
        for (key, value) in &self.fields {
            write!(f, "{blank}{}={}", quote_word(key), quote_word(value))?;
            blank = " ";
        }
        Ok(())
    }
}

impl FromStr for Row {
    type Err = LineError;

    fn from_str(line: &str) -> Result<Row, LineError> {
        let mut scanner = Scanner::new(line);
        let mut row = Row::default();
        while let Some(Token { mut text, equals }) = scanner.token()? {
            match equals {
                Some(at) => {
                    let value = text.split_off(at + 1);
                    text.truncate(at);
                    row.fields.push((text, value));
                }
                None if row.fields.is_empty() => row.words.push(text),
                None => return Err(LineError::WordAfterField),
            }
        }
        Ok(row)
    }
}

impl fmt::Display for AnswerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerLine::Row(row) => write!(f, "- {row}"),
            AnswerLine::Raw { length, name } => write!(f, "= {length} {}", quote_word(name)),
            AnswerLine::Ok(text) if text.is_empty() => f.write_str("ok"),
            AnswerLine::Ok(text) => write!(f, "ok {}", escape_text(text)),
            AnswerLine::Err { code, text } if text.is_empty() => {
                write!(f, "err {}", quote_word(code))
            }
            AnswerLine::Err { code, text } => {
                write!(f, "err {} {}", quote_word(code), escape_text(text))
            }
        }
    }
}

impl FromStr for AnswerLine {
    type Err = LineError;

    fn from_str(line: &str) -> Result<AnswerLine, LineError> {
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "-" => rest.parse().map(AnswerLine::Row),
            "=" => parse_raw(rest),
            "ok" => Ok(AnswerLine::Ok(unescape_text(rest)?)),
            "err" => {
                let mut scanner = Scanner::new(rest);
                let code = scanner.token()?.ok_or(LineError::NoCode)?.text;
                let text = unescape_text(scanner.remainder())?;
                Ok(AnswerLine::Err { code, text })
            }
            _ => Err(LineError::UnknownMark),
        }
    }
}

fn parse_raw(rest: &str) -> Result<AnswerLine, LineError> {
    let mut words = split_words(rest)?.into_iter();
    let (Some(length), Some(name), None) = (words.next(), words.next(), words.next()) else {
        return Err(LineError::BadRaw);
    };
    match length.parse::<usize>() {
        Ok(length) if length <= RAW_MAX => Ok(AnswerLine::Raw { length, name }),
        _ => Err(LineError::BadRaw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::word::is_hidden;
    use crate::control::word::tests::text;
    use proptest::prelude::*;

    #[test]
    fn lines_are_written_as_documented() {
        let row = Row::of(["web:app 1", "RUNNING"])
            .with("pid", 12)
            .with("description", "pid 12, uptime 0:00:01")
            .with_some("spawn_error", "");
        let table = [
            (
                AnswerLine::Row(row),
                r#"- "web:app 1" RUNNING pid=12 description="pid 12, uptime 0:00:01""#,
            ),
            (AnswerLine::Row(Row::of(["a=b", ""])), r#"- "a=b" """#),
            (
                AnswerLine::Raw {
                    length: 5,
                    name: "stdout".into(),
                },
                "= 5 stdout",
            ),
            (AnswerLine::Ok(String::new()), "ok"),
            (AnswerLine::Ok("3 processes".into()), "ok 3 processes"),
            (
                AnswerLine::Err {
                    code: "no-such-process".into(),
                    text: "a\nb\u{1b}".into(),
                },
                r"err no-such-process a\nb\u{1b}",
            ),
        ];
        for (line, text) in table {
            assert_eq!(line.to_string(), text);
            assert_eq!(text.parse::<AnswerLine>(), Ok(line));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        let table = [
            ("", LineError::UnknownMark),
            ("okay", LineError::UnknownMark),
            ("- a b=c d", LineError::WordAfterField),
            ("= 5", LineError::BadRaw),
            ("= 5 a b", LineError::BadRaw),
            ("= -1 stdout", LineError::BadRaw),
            ("= 65537 stdout", LineError::BadRaw),
            ("err", LineError::NoCode),
        ];
        for (line, error) in table {
            assert_eq!(line.parse::<AnswerLine>(), Err(error), "{line}");
        }
    }

    fn answer_line() -> impl Strategy<Value = AnswerLine> {
        let fields = prop::collection::vec((text(), text()), 0..4);
        let words = prop::collection::vec(text(), 0..4);
        prop_oneof![
            (words, fields).prop_map(|(words, fields)| AnswerLine::Row(Row { words, fields })),
            (0..=RAW_MAX, text()).prop_map(|(length, name)| AnswerLine::Raw { length, name }),
            text().prop_map(AnswerLine::Ok),
            (text(), text()).prop_map(|(code, text)| AnswerLine::Err { code, text }),
        ]
    }

    proptest! {
        #[test]
        fn every_line_comes_back_as_it_was(line in answer_line()) {
            let text = line.to_string();
            prop_assert!(!text.chars().any(is_hidden), "not safe on a terminal: {text:?}");
            prop_assert_eq!(text.parse::<AnswerLine>(), Ok(line));
        }

        #[test]
        fn no_text_makes_the_codec_panic(text in text(), odd in r#"[-=okerr \\"'u{}nf]{0,30}"#) {
            for line in [text, odd] {
                let _ = split_words(&line);
                let _ = line.parse::<AnswerLine>();
            }
        }
    }
}
