//! The codec of the line protocol: words, quoting, rows, raw blocks, final lines.
//!
//! Request: one line of UTF-8 of at most [`LINE_MAX`] bytes, words separated by blanks, quoted as
//! in a shell. Answer: data lines, `- word … key=value …`, raw blocks `= LENGTH NAME` followed by
//! LENGTH bytes and a newline, and one final line, `ok TEXT` or `err CODE TEXT`.
//!
//! Whatever is written here is one line and safe on a terminal: every character that could end
//! the line, steer the terminal or reorder its text is written as an escape.
//!
//! Must never: do I/O, know a verb, panic on any input.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::str::{Chars, FromStr};

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

/// Why a line cannot be split into words. Columns count characters from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordError {
    /// A quote is opened and never closed.
    OpenQuote {
        /// Where it was opened.
        column: usize,
    },
    /// A backslash is followed by nothing that is known, or by nothing at all.
    BadEscape {
        /// Where the backslash is.
        column: usize,
    },
    /// A control character stands for itself; it has to be written as an escape.
    ControlCharacter {
        /// Where it is.
        column: usize,
    },
}

impl fmt::Display for WordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WordError::OpenQuote { column } => {
                write!(f, "the quote at column {column} is never closed")
            }
            WordError::BadEscape { column } => write!(
                f,
                "the backslash at column {column} begins no known escape; \
                 write \\\\ for a backslash"
            ),
            WordError::ControlCharacter { column } => write!(
                f,
                "a control character at column {column}; write it as an escape \
                 in double quotes, such as \"\\n\" or \"\\u{{1b}}\""
            ),
        }
    }
}

impl std::error::Error for WordError {}

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

/// Splits a line into words. Blanks (space, tab) separate; `'…'` is literal; `"…"` knows `\\`,
/// `\"`, `\n`, `\r`, `\t` and `\u{HEX}`; elsewhere a backslash makes the next character literal.
pub fn split_words(line: &str) -> Result<Vec<String>, WordError> {
    let mut scanner = Scanner::new(line);
    let mut words = Vec::new();
    while let Some(token) = scanner.token()? {
        words.push(token.text);
    }
    Ok(words)
}

/// The word as [`split_words`] reads it back: bare where that is possible, else in double quotes.
pub fn quote_word(word: &str) -> Cow<'_, str> {
    if !word.is_empty() && word.chars().all(is_bare) {
        return Cow::Borrowed(word);
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for c in word.chars() {
        if c == '"' {
            quoted.push_str("\\\"");
        } else {
            escape_char(c, &mut quoted);
        }
    }
    quoted.push('"');
    Cow::Owned(quoted)
}

/// Characters that may stand in a word without quotes.
fn is_bare(c: char) -> bool {
    !(c.is_whitespace() || is_hidden(c) || matches!(c, '"' | '\'' | '\\' | '='))
}

/// Characters that end a line, steer a terminal, or change the order in which text is shown.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}' // line and paragraph separators
            | '\u{061c}' | '\u{200e}' | '\u{200f}' // directional marks
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') // embeddings, isolates
}

fn escape_char(c: char, out: &mut String) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        hidden if is_hidden(hidden) => {
            let code = u32::from(hidden);
            out.push_str("\\u{");
            // Writing to a String cannot fail.
            let _ = write!(out, "{code:x}");
            out.push('}');
        }
        plain => out.push(plain),
    }
}

/// Text for people at the end of a line: no quotes, blanks as they are, the rest escaped.
fn escape_text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c == '\\' || is_hidden(c)) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        escape_char(c, &mut escaped);
    }
    Cow::Owned(escaped)
}

/// A word, and where its first `=` outside of quotes is, in bytes.
struct Token {
    text: String,
    equals: Option<usize>,
}

/// Reads tokens off a line.
struct Scanner<'a> {
    rest: Chars<'a>,
    column: usize,
}

impl<'a> Scanner<'a> {
    fn new(line: &'a str) -> Scanner<'a> {
        Scanner {
            rest: line.chars(),
            column: 0,
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.column += 1;
        Some(c)
    }

    /// What was not read yet, without the one blank that ended the last token.
    fn remainder(self) -> &'a str {
        self.rest.as_str()
    }

    fn token(&mut self) -> Result<Option<Token>, WordError> {
        let mut token = Token {
            text: String::new(),
            equals: None,
        };
        let mut begun = false;
        while let Some(c) = self.next() {
            match c {
                ' ' | '\t' if begun => return Ok(Some(token)),
                ' ' | '\t' => continue,
                '\'' => self.single_quoted(&mut token.text)?,
                '"' => self.double_quoted(&mut token.text)?,
                '\\' => token.text.push(self.literal()?),
                '=' => {
                    token.equals = token.equals.or(Some(token.text.len()));
                    token.text.push('=');
                }
                plain => token.text.push(self.visible(plain)?),
            }
            begun = true;
        }
        Ok(begun.then_some(token))
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), WordError> {
        let opened = self.column;
        loop {
            match self.next() {
                None => return Err(WordError::OpenQuote { column: opened }),
                Some('\'') => return Ok(()),
                Some(c) => out.push(self.visible(c)?),
            }
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), WordError> {
        let opened = self.column;
        loop {
            match self.next() {
                None => return Err(WordError::OpenQuote { column: opened }),
                Some('"') => return Ok(()),
                Some('\\') => out.push(self.escape()?),
                Some(c) => out.push(self.visible(c)?),
            }
        }
    }

    /// The character after a backslash outside of quotes.
    fn literal(&mut self) -> Result<char, WordError> {
        let column = self.column;
        match self.next() {
            None => Err(WordError::BadEscape { column }),
            Some(c) => self.visible(c),
        }
    }

    /// What a backslash in double quotes, or in the text of a final line, stands for.
    fn escape(&mut self) -> Result<char, WordError> {
        let bad = WordError::BadEscape {
            column: self.column,
        };
        match self.next() {
            Some(c @ ('\\' | '"')) => Ok(c),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') if self.next() == Some('{') => {
                let mut code = 0u32;
                loop {
                    let digit = match self.next() {
                        Some('}') => return char::from_u32(code).ok_or(bad),
                        Some(c) => c.to_digit(16).ok_or(bad)?,
                        None => return Err(bad),
                    };
                    code = code.checked_mul(16).ok_or(bad)? | digit;
                }
            }
            _ => Err(bad),
        }
    }

    /// Blanks and what can be seen pass; tabs pass because they are blanks.
    fn visible(&self, c: char) -> Result<char, WordError> {
        if c.is_control() && c != '\t' {
            return Err(WordError::ControlCharacter {
                column: self.column,
            });
        }
        Ok(c)
    }
}

fn unescape_text(text: &str) -> Result<String, WordError> {
    let mut scanner = Scanner::new(text);
    let mut out = String::with_capacity(text.len());
    while let Some(c) = scanner.next() {
        out.push(match c {
            '\\' => scanner.escape()?,
            plain => scanner.visible(plain)?,
        });
    }
    Ok(out)
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
    use proptest::prelude::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \t ", &[]),
            ("status", &["status"]),
            (" stop\tweb  db ", &["stop", "web", "db"]),
            ("start 'my prog:a b'", &["start", "my prog:a b"]),
            (r#"a "" '' b"#, &["a", "", "", "b"]),
            (r#"x"y z"'$w'\ v"#, &["xy z$w v"]),
            (
                r#""\\ \" \n\r\t \u{1b}\u{1F600}""#,
                &["\\ \" \n\r\t \u{1b}😀"],
            ),
            (r"'\n' \\ \'", &["\\n", "\\", "'"]),
            ("a=b", &["a=b"]),
            ("grün 木", &["grün", "木"]),
        ];
        for (line, words) in table {
            assert_eq!(&split_words(line).unwrap(), words, "{line}");
        }
    }

    #[test]
    fn errors_of_words_name_the_column() {
        let table = [
            ("a 'b", WordError::OpenQuote { column: 3 }),
            ("a \"b\\\"", WordError::OpenQuote { column: 3 }),
            ("ab\\", WordError::BadEscape { column: 3 }),
            (r#""\d""#, WordError::BadEscape { column: 2 }),
            (r#""\u{d800}""#, WordError::BadEscape { column: 2 }),
            (r#""\u{fffffffff}""#, WordError::BadEscape { column: 2 }),
            (r#""\u41""#, WordError::BadEscape { column: 2 }),
            ("é\u{1b}[2J", WordError::ControlCharacter { column: 2 }),
            ("'\u{0}'", WordError::ControlCharacter { column: 2 }),
        ];
        for (line, error) in table {
            assert_eq!(split_words(line), Err(error), "{line:?}");
        }
    }

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

    /// Any text, rich in the characters that matter here.
    fn text() -> impl Strategy<Value = String> {
        let odd: Vec<char> =
            " \t\n\r\\\"'=u{}n\u{0}\u{1b}\u{7f}\u{85}\u{9b}\u{2028}\u{202e}\u{3000}é"
                .chars()
                .collect();
        let c = prop_oneof![any::<char>(), prop::sample::select(odd)];
        prop::collection::vec(c, 0..12).prop_map(String::from_iter)
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
        fn words_come_back_as_they_were(words in prop::collection::vec(text(), 0..6)) {
            let quoted: Vec<_> = words.iter().map(|word| quote_word(word)).collect();
            prop_assert_eq!(split_words(&quoted.join(" ")), Ok(words));
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
