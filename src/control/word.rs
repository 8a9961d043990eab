//! Words of a line: how they are quoted, escaped and read back.
//!
//! Whatever is written here is one line and safe on a terminal: every character that could end
//! the line, steer the terminal or reorder its text is written as an escape.
//!
//! Must never: do I/O, panic on any input.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::str::Chars;

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

/// Longest part of a wrong word that an error repeats, in characters.
pub(super) const SHOWN_MAX: usize = 32;

/// The word as an error repeats it: quoted, and not all of it if it is long.
pub(super) fn shown(word: &str) -> String {
    match word.char_indices().nth(SHOWN_MAX) {
        None => quote_word(word).into_owned(),
        Some((at, _)) => quote_word(&format!("{}…", &word[..at])).into_owned(),
    }
}

/// Characters that may stand in a word without quotes.
fn is_bare(c: char) -> bool {
    !(c.is_whitespace() || is_hidden(c) || matches!(c, '"' | '\'' | '\\' | '='))
}

/// Characters that end a line, steer a terminal, or change the order in which text is shown.
pub(super) fn is_hidden(c: char) -> bool {
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
pub(super) fn escape_text(text: &str) -> Cow<'_, str> {
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
pub(super) struct Token {
    pub(super) text: String,
    pub(super) equals: Option<usize>,
}

/// Reads tokens off a line.
pub(super) struct Scanner<'a> {
    rest: Chars<'a>,
    column: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(line: &'a str) -> Scanner<'a> {
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
    pub(super) fn remainder(self) -> &'a str {
        self.rest.as_str()
    }

    pub(super) fn token(&mut self) -> Result<Option<Token>, WordError> {
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

pub(super) fn unescape_text(text: &str) -> Result<String, WordError> {
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

#[cfg(test)]
pub(super) mod tests {
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

    /// Any text, rich in the characters that matter here.
    pub(in crate::control) fn text() -> impl Strategy<Value = String> {
        let odd: Vec<char> =
            " \t\n\r\\\"'=u{}n\u{0}\u{1b}\u{7f}\u{85}\u{9b}\u{2028}\u{202e}\u{3000}é"
                .chars()
                .collect();
        let c = prop_oneof![any::<char>(), prop::sample::select(odd)];
        prop::collection::vec(c, 0..12).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn words_come_back_as_they_were(words in prop::collection::vec(text(), 0..6)) {
            let quoted: Vec<_> = words.iter().map(|word| quote_word(word)).collect();
            prop_assert_eq!(split_words(&quoted.join(" ")), Ok(words));
        }

        #[test]
        fn no_text_makes_the_scanner_panic(text in text(), odd in r#"[ \\"'u{}nf0-9]{0,30}"#) {
            let _ = split_words(&text);
            let _ = split_words(&odd);
            let _ = unescape_text(&odd);
        }
    }
}
