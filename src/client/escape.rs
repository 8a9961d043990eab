//! Makes log bytes harmless for a terminal. Pure.
//!
//! A program's output may hold escape sequences that rename windows, move the cursor over what
//! was printed before, or make a terminal type by itself. TAB, LF, CR, printable text and colours
//! (SGR sequences) pass; everything else is shown as `\x1b`. Bytes come in pieces, so an unfinished
//! sequence or character waits for the next piece.

/// Longest colour sequence that passes, from ESC to `m`.
const SGR_MAX: usize = 32;

/// The state between two pieces of one stream.
#[derive(Debug, Default)]
pub struct Escaper {
    pending: Vec<u8>,
}

/// How the beginning of a piece of text reads.
enum Token {
    /// This many bytes pass as they are.
    Plain(usize),
    /// This many bytes are shown in escaped form.
    Harmful(usize),
    /// More bytes are needed to tell.
    Unfinished,
}

impl Escaper {
    /// Appends the harmless form of `bytes` to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        while !rest.is_empty() {
            match classify(rest) {
                Token::Plain(length) => {
                    out.extend_from_slice(&rest[..length]);
                    rest = &rest[length..];
                }
                Token::Harmful(length) => {
                    escape(&rest[..length], out);
                    rest = &rest[length..];
                }
                Token::Unfinished => break,
            }
        }
        self.pending = rest.to_vec();
    }

    /// Appends what was still waiting: the stream has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        escape(&std::mem::take(&mut self.pending), out);
    }
}

/// The harmless form of one line of text, such as a description: no colours either.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, letter| {
        if letter.is_control() {
            shown.push_str(&format!("\\x{:02x}", u32::from(letter)));
        } else {
            shown.push(letter);
        }
        shown
    })
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
    }
}

fn classify(bytes: &[u8]) -> Token {
    match bytes[0] {
        0x1b => classify_escape(bytes),
        b'\t' | b'\n' | b'\r' | 0x20..=0x7e => Token::Plain(1),
        0x00..=0x7f => Token::Harmful(1),
        _ => classify_unicode(bytes),
    }
}

fn classify_escape(bytes: &[u8]) -> Token {
    match bytes.get(1) {
        None => return Token::Unfinished,
        Some(b'[') => {}
        Some(_) => return Token::Harmful(1),
    }
    for (index, byte) in bytes.iter().enumerate().skip(2) {
        match byte {
            b'm' => return Token::Plain(index + 1),
            b'0'..=b'9' | b';' | b':' if index < SGR_MAX => {}
            _ => return Token::Harmful(1),
        }
    }
    Token::Unfinished
}

fn classify_unicode(bytes: &[u8]) -> Token {
    let piece = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(piece) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&piece[..error.valid_up_to()]).unwrap_or("")
        }
        Err(error) => {
            return match error.error_len() {
                Some(length) => Token::Harmful(length),
                None => Token::Unfinished,
            };
        }
    };
    match valid.chars().next() {
        Some(letter) if letter.is_control() => Token::Harmful(letter.len_utf8()),
        Some(letter) => Token::Plain(letter.len_utf8()),
        None => Token::Harmful(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[&[u8]]) -> String {
        let mut escaper = Escaper::default();
        let mut out = Vec::new();
        for piece in pieces {
            escaper.push(piece, &mut out);
        }
        escaper.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text_and_colours_pass_and_the_rest_is_shown() {
        let table: &[(&[u8], &str)] = &[
            (b"plain\tline\r\n", "plain\tline\r\n"),
            ("größe ✓ 🎉".as_bytes(), "größe ✓ 🎉"),
            (b"\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
            (b"\x1b[38:2:1:2:3mx", "\x1b[38:2:1:2:3mx"),
            (b"\x1b[2Jgone", "\\x1b[2Jgone"),
            (b"\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            (b"\x1bc", "\\x1bc"),
            (b"a\x08b\x00\x7f", "a\\x08b\\x00\\x7f"),
            (b"\xff\xfe!", "\\xff\\xfe!"),
            (b"\xc2\x9b2J", "\\xc2\\x9b2J"),
            (b"cut \xe2\x9c", "cut \\xe2\\x9c"),
            (b"cut \x1b[3", "cut \\x1b\\x5b\\x33"),
            (b"\x1b[\x1b[2J", "\\x1b[\\x1b[2J"),
        ];
        for (bytes, expected) in table {
            assert_eq!(&shown(&[bytes]), expected, "{bytes:?}");
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        let whole = "größe \x1b[31mred\x1b[0m \x1b[2J ✓".as_bytes();
        let expected = shown(&[whole]);
        for cut in 0..whole.len() {
            assert_eq!(
                shown(&[&whole[..cut], &whole[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_sequence_without_end_does_not_wait_for_ever() {
        let mut endless = b"\x1b[".to_vec();
        endless.extend(std::iter::repeat_n(b'1', 1000));
        let mut escaper = Escaper::default();
        let mut out = Vec::new();
        escaper.push(&endless, &mut out);
        assert!(escaper.pending.len() <= SGR_MAX && !out.is_empty());
    }

    #[test]
    fn one_line_texts_hold_no_control_characters() {
        assert_eq!(printable("a\x1b[31mb\u{9b}\n"), "a\\x1b[31mb\\x9b\\x0a");
    }
}
