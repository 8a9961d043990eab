//! The codec of the line protocol: words, quoting, rows, raw blocks, final lines. Pure.
//!
//! Request: one line of UTF-8 of at most [`LINE_MAX`] bytes, words separated by blanks, quoted as
//! in a shell. Answer: data lines, `- word … key=value …`, raw blocks `= LENGTH NAME` followed by
//! LENGTH bytes and a newline, and one final line, `ok TEXT` or `err CODE TEXT`.

/// Longest line either side accepts, in bytes without the newline.
pub const LINE_MAX: usize = 64 * 1024;

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
