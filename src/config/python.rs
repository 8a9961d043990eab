//! The few rules of Python's text types that Supervisor's configuration format inherits.
//!
//! Owns white space, integer literals and `repr()`. Knows nothing of options or sections.

/// White space as Python's `str.isspace` sees it: Unicode's, and the four ASCII separators.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Why a text is no integer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegerProblem {
    /// Not a literal of this base.
    NotALiteral,
    /// A literal outside 64 bits. Python has no such bound.
    TooLarge,
}

/// `int(text, base)` for base 8 and 10: blanks around it, a sign, leading zeros and single
/// underscores between digits are allowed; base 8 may begin with `0o`.
pub fn integer(text: &str, base: u32) -> Result<i64, IntegerProblem> {
    let text = strip(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let prefixed = (base == 8)
        .then(|| {
            digits
                .strip_prefix("0o")
                .or_else(|| digits.strip_prefix("0O"))
        })
        .flatten();
    // An underscore may stand between the prefix and the first digit, but not before a bare one.
    let digits = match prefixed {
        Some(rest) => rest.strip_prefix('_').unwrap_or(rest),
        None => digits,
    };
    let mut value: i64 = 0;
    let mut after_digit = false;
    for c in digits.chars() {
        match c.to_digit(base) {
            Some(digit) => {
                let signed = if negative {
                    -i64::from(digit)
                } else {
                    i64::from(digit)
                };
                value = value
                    .checked_mul(i64::from(base))
                    .and_then(|v| v.checked_add(signed))
                    .ok_or(IntegerProblem::TooLarge)?;
                after_digit = true;
            }
            None if c == '_' && after_digit => after_digit = false,
            None => return Err(IntegerProblem::NotALiteral),
        }
    }
    if after_digit {
        Ok(value)
    } else {
        Err(IntegerProblem::NotALiteral)
    }
}

/// `repr(text)`: the quoted form that Supervisor's messages show.
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                out.push_str(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
        }
    }
    out.push(quote);
    out
}

/// `repr()` of bytes.
pub fn bytes_repr(bytes: &[u8]) -> String {
    let has = |quote: &u8| bytes.contains(quote);
    let quote = if has(&b'\'') && !has(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut text = format!("b{quote}");
    for byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' if char::from(*byte) == quote => {
                text.push('\\');
                text.push(quote);
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push(quote);
    text
}

/// Whether Python prints a character as it is. The standard library only tells through its own
/// escaping, which leaves combining marks alone everywhere but at the start of a text.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let text: String = ['a', c].iter().collect();
    text.escape_debug().nth(1) != Some('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let table: &[(&str, u32, Result<i64, IntegerProblem>)] = &[
            ("5", 10, Ok(5)),
            (" +007 ", 10, Ok(7)),
            ("-1", 10, Ok(-1)),
            ("1_000", 10, Ok(1000)),
            ("1__0", 10, Err(IntegerProblem::NotALiteral)),
            ("_1", 10, Err(IntegerProblem::NotALiteral)),
            ("1_", 10, Err(IntegerProblem::NotALiteral)),
            ("", 10, Err(IntegerProblem::NotALiteral)),
            ("- 1", 10, Err(IntegerProblem::NotALiteral)),
            ("1.5", 10, Err(IntegerProblem::NotALiteral)),
            ("0x10", 10, Err(IntegerProblem::NotALiteral)),
            ("-9223372036854775808", 10, Ok(i64::MIN)),
            ("9223372036854775808", 10, Err(IntegerProblem::TooLarge)),
            ("022", 8, Ok(18)),
            ("0o22", 8, Ok(18)),
            ("0O_22", 8, Ok(18)),
            ("9", 8, Err(IntegerProblem::NotALiteral)),
            ("0o", 8, Err(IntegerProblem::NotALiteral)),
        ];
        for (text, base, expected) in table {
            assert_eq!(integer(text, *base), *expected, "{text:?} base {base}");
        }
    }

    #[test]
    fn representations() {
        let table = [
            ("a", "'a'"),
            ("it's", "\"it's\""),
            ("it's \"x\"", "'it\\'s \"x\"'"),
            ("a\\b\n\t\r", "'a\\\\b\\n\\t\\r'"),
            ("\x01\x7f\u{a0}", "'\\x01\\x7f\\xa0'"),
            ("größe e\u{301}", "'größe e\u{301}'"),
            ("\u{feff}[x]", "'\\ufeff[x]'"),
            ("\u{10ffff}", "'\\U0010ffff'"),
        ];
        for (text, expected) in table {
            assert_eq!(repr(text), expected);
        }
    }

    #[test]
    fn representations_of_bytes() {
        let table: &[(&[u8], &str)] = &[
            (b"a", "b'a'"),
            (b"'", "b\"'\""),
            (b"'\"", "b'\\'\"'"),
            (b"\"\t\r\n\\\x7f\xe9", "b'\"\\t\\r\\n\\\\\\x7f\\xe9'"),
        ];
        for (bytes, shown) in table {
            assert_eq!(bytes_repr(bytes), *shown);
        }
    }
}
