//! Removes ANSI escape sequences (ECMA-48) from a flow of bytes, over any cut of it into chunks.
//!
//! Removed are control sequences (`ESC [ … final`), strings (`ESC ]`, `ESC P`, `ESC X`, `ESC ^`,
//! `ESC _` up to BEL or `ESC \`) and the short escapes (`ESC` intermediates final). Everything
//! else passes unchanged, bytes that are not UTF-8 included; the 8-bit forms (0x80 to 0x9F) are
//! not looked at because UTF-8 text contains those bytes.
//!
//! Must never: hold text back. A sequence that is broken off by a control character or does not
//! end within its bound is given up, and text flows again.

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
const CAN: u8 = 0x18;
const SUB: u8 = 0x1a;

/// Longest control sequence, in bytes after `ESC [`.
const SEQUENCE_MAX: u16 = 256;
/// Longest string (a window title, a link), in bytes.
const STRING_MAX: u16 = 4096;

/// Where in a sequence the last chunk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// After `ESC` and any intermediates.
    Escape,
    /// After `ESC [`; how many bytes ago.
    Sequence(u16),
    /// After `ESC ]` and its like; how many bytes ago.
    String(u16),
    /// After an `ESC` within a string: a backslash ends it.
    StringEscape(u16),
}

/// The remover for one source of bytes.
#[derive(Debug, Default)]
pub struct Strip {
    state: State,
}

impl Strip {
    /// Removes what is to be removed, in place.
    pub fn strip(&mut self, bytes: &mut Vec<u8>) {
        if self.state == State::Text && !bytes.contains(&ESC) {
            return;
        }
        bytes.retain(|byte| self.keeps(*byte));
    }

    /// Takes one byte; whether it is text.
    fn keeps(&mut self, byte: u8) -> bool {
        let (state, keep) = match (self.state, byte) {
            (State::String(_), CAN | SUB | BEL | b'\n') => (State::Text, byte == b'\n'),
            (State::String(length), ESC) => (State::StringEscape(length), false),
            (State::String(STRING_MAX), _) => (State::Text, true),
            (State::String(length), _) => (State::String(length + 1), false),
            (State::StringEscape(_), b'\\') => (State::Text, false),
            // The escape did not end the string, so it begins something else.
            (State::StringEscape(_), _) => escape(byte),
            (_, ESC) => (State::Escape, false),
            (State::Text, _) => (State::Text, true),
            (State::Escape, _) => escape(byte),
            (State::Sequence(_), 0x40..=0x7e) => (State::Text, false),
            (State::Sequence(length), 0x20..=0x3f) if length < SEQUENCE_MAX => {
                (State::Sequence(length + 1), false)
            }
            (State::Sequence(_), _) => (State::Text, !matches!(byte, CAN | SUB)),
        };
        self.state = state;
        keep
    }
}

/// The byte after `ESC`.
fn escape(byte: u8) -> (State, bool) {
    match byte {
        ESC => (State::Escape, false),
        b'[' => (State::Sequence(0), false),
        b']' | b'P' | b'X' | b'^' | b'_' => (State::String(0), false),
        0x20..=0x2f => (State::Escape, false),
        0x30..=0x7e => (State::Text, false),
        _ => (State::Text, !matches!(byte, CAN | SUB)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(&[u8], &[u8])] = &[
        (b"plain\ntext\0\xff", b"plain\ntext\0\xff"),
        (b"\x1b[31mred\x1b[0m", b"red"),
        (b"\x1b[1;2Zkept", b"kept"),
        (b"\x1b[38;2;1;2;3mx\x1b[K", b"x"),
        (b"\x1b[?25lx\x1b[2 qy", b"xy"),
        (b"\x1b]0;title\x07x", b"x"),
        (b"\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\.", b"link."),
        (b"\x1bP1$r0m\x1b\\x", b"x"),
        (b"\x1b]0;never ended\nnext", b"\nnext"),
        (b"\x1b]0;never\x1b[31mred", b"red"),
        (b"\x1b(Bx\x1b7y\x1b=z", b"xyz"),
        (b"\x1b[31\nbroken", b"\nbroken"),
        (b"\x1b\x1b[1mx", b"x"),
        (b"\x1b\xc3\xa9", b"\xc3\xa9"),
        (b"caf\xc3\xa9 \xc2\x9b31m", b"caf\xc3\xa9 \xc2\x9b31m"),
        (b"end\x1b", b"end"),
    ];

    #[test]
    fn sequences_go_and_text_stays_however_it_is_cut() {
        for (input, output) in TABLE {
            for size in 1..=input.len() {
                let mut strip = Strip::default();
                let mut result = Vec::new();
                for chunk in input.chunks(size) {
                    let mut chunk = chunk.to_vec();
                    strip.strip(&mut chunk);
                    result.extend(chunk);
                }
                assert_eq!(&result, output, "{input:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn a_sequence_without_end_gives_up() {
        for start in [&b"\x1b["[..], b"\x1b]"] {
            let mut bytes = start.to_vec();
            bytes.extend(std::iter::repeat_n(b'1', usize::from(STRING_MAX) + 10));
            bytes.extend(b"text");
            Strip::default().strip(&mut bytes);
            assert!(bytes.ends_with(b"text"));
        }
    }
}
