//! Lines typed on a terminal that knows no escape sequences: `TERM=dumb`, as `expect`, Emacs and many
//! test harnesses say. Characters are shown, and taken back, one by one; Tab completes and lists as
//! GNU readline does there.
//!
//! Must never: move the cursor but by printing, leave the terminal in another mode than it found.

use std::io;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

use super::input::{Input, Line};
use super::interrupt::Interrupts;
use super::output;

/// Columns in which candidates are listed.
const COLUMNS: usize = 80;

/// Whether the terminal says that it is one of these.
pub fn is_plain() -> bool {
    let term = std::env::var("TERM").unwrap_or_default();
    ["dumb", "cons25", "emacs"].contains(&term.to_ascii_lowercase().as_str())
}

/// What can become of the word at the end of a line: where it begins, and what it can be.
pub type Complete<'a> = dyn FnMut(&str) -> (usize, Vec<String>) + 'a;

/// Lines that were typed.
#[derive(Debug, Default)]
pub struct PlainTerminal {
    history: Vec<String>,
}

/// A line while it is typed.
#[derive(Debug, Default)]
struct Typed {
    text: String,
    /// Index of the line of history that is shown; the length of the history for a new one.
    shown: usize,
    /// The key before this one was a Tab that completed nothing.
    asked: bool,
}

impl PlainTerminal {
    /// A terminal with lines that were typed before.
    pub fn remembering(history: Vec<String>) -> PlainTerminal {
        PlainTerminal { history }
    }

    /// Lines to be remembered.
    pub fn history(&self) -> &[String] {
        &self.history
    }

    /// Shows the prompt and reads a line.
    pub fn line(
        &mut self,
        prompt: &str,
        input: &mut Input,
        interrupts: Option<&Interrupts>,
        complete: &mut Complete<'_>,
    ) -> Line {
        let _quiet = KeyByKey::begin();
        output::text(prompt);
        let mut typed = Typed {
            shown: self.history.len(),
            ..Typed::default()
        };
        loop {
            let Some(key) = input.byte(interrupts) else {
                return match input.take_end() {
                    true => Line::End,
                    false => Line::Interrupted,
                };
            };
            let asked = std::mem::take(&mut typed.asked);
            match key {
                b'\r' | b'\n' => {
                    output::line("");
                    self.remember(&typed.text);
                    return Line::Text(typed.text);
                }
                // Ctrl-C
                0x03 => return Line::Interrupted,
                // Ctrl-D
                0x04 if typed.text.is_empty() => return Line::End,
                b'\t' => {
                    typed.asked = !typed.complete(prompt, asked, complete);
                }
                // Backspace
                0x08 | 0x7f => typed.take_back(1),
                // Ctrl-U, Ctrl-W
                0x15 => typed.take_back(usize::MAX),
                0x17 => typed.take_back(typed.last_word()),
                // Ctrl-P, Ctrl-N
                0x10 => self.recall(&mut typed, -1),
                0x0e => self.recall(&mut typed, 1),
                0x1b => match (input.byte(interrupts), input.byte(interrupts)) {
                    (Some(b'[' | b'O'), Some(b'A')) => self.recall(&mut typed, -1),
                    (Some(b'[' | b'O'), Some(b'B')) => self.recall(&mut typed, 1),
                    _ => {}
                },
                0x20..=0x7e => typed.add(char::from(key)),
                0xc0..=0xff => {
                    let more = key.leading_ones().saturating_sub(1);
                    let rest = (0..more).map_while(|_| input.byte(interrupts));
                    let bytes: Vec<u8> = std::iter::once(key).chain(rest).collect();
                    String::from_utf8_lossy(&bytes)
                        .chars()
                        .for_each(|letter| typed.add(letter));
                }
                _ => {}
            }
        }
    }

    fn remember(&mut self, line: &str) {
        let again = self.history.last().is_some_and(|last| last == line);
        if !line.is_empty() && !again {
            self.history.push(line.to_owned());
        }
    }

    fn recall(&self, typed: &mut Typed, step: isize) {
        let Some(index) = typed.shown.checked_add_signed(step) else {
            return;
        };
        if index > self.history.len() {
            return;
        }
        typed.shown = index;
        typed.take_back(usize::MAX);
        let line = self.history.get(index).map_or("", String::as_str);
        line.chars().for_each(|letter| typed.add(letter));
    }
}

impl Typed {
    fn add(&mut self, letter: char) {
        self.text.push(letter);
        output::text(letter.encode_utf8(&mut [0; 4]));
    }

    fn take_back(&mut self, letters: usize) {
        for _ in 0..letters {
            if self.text.pop().is_none() {
                return;
            }
            output::text("\u{8} \u{8}");
        }
    }

    /// How many letters the last word has, with the blanks behind it.
    fn last_word(&self) -> usize {
        let words = self.text.trim_end();
        let begin = words.rfind(' ').map_or(0, |at| at + 1);
        self.text[begin..].chars().count()
    }

    /// Completes the last word as far as it is certain; asked twice in a row, lists what it can
    /// be. Whether there was anything to add.
    fn complete(&mut self, prompt: &str, asked: bool, complete: &mut Complete<'_>) -> bool {
        let (start, candidates) = complete(&self.text);
        let word = self.text.get(start..).unwrap_or_default();
        let rest = common_beginning(&candidates).strip_prefix(word);
        let rest = rest.unwrap_or_default().to_owned();
        if rest.is_empty() && asked && candidates.len() > 1 {
            output::line("");
            output::text(&in_columns(&candidates));
            output::text(&format!("{prompt}{}", self.text));
        } else if candidates.len() != 1 {
            output::text("\u{7}");
        }
        rest.chars().for_each(|letter| self.add(letter));
        !rest.is_empty()
    }
}

fn common_beginning(words: &[String]) -> &str {
    let Some((first, others)) = words.split_first() else {
        return "";
    };
    let mut end = first.len();
    for other in others {
        let same = first.char_indices().zip(other.chars());
        let same = same.take_while(|((_, a), b)| a == b).last();
        end = end.min(same.map_or(0, |((at, letter), _)| at + letter.len_utf8()));
    }
    &first[..end]
}

/// Words in order down the columns, each followed by two blanks at least.
fn in_columns(words: &[String]) -> String {
    let widest = words.iter().map(|word| word.chars().count()).max();
    let width = widest.unwrap_or_default() + 2;
    let fitting = ((COLUMNS - 1) / width).max(1);
    let rows = words.len().div_ceil(fitting);
    let mut text = String::new();
    for row in 0..rows {
        for word in words.iter().skip(row).step_by(rows.max(1)) {
            text.push_str(&format!("{word:<width$}"));
        }
        text.push('\n');
    }
    text
}

/// While this lives, keys come as they are typed, and are not shown by the terminal.
struct KeyByKey {
    before: Option<Termios>,
}

impl KeyByKey {
    fn begin() -> KeyByKey {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(mut quiet) = before.clone() {
            let cooked = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            quiet.local_modes.remove(cooked);
            quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
            quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
            // Without that the line is edited by the terminal, which works too.
            let _ = tcsetattr(&stdin, OptionalActions::Drain, &quiet);
        }
        KeyByKey { before }
    }
}

impl Drop for KeyByKey {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace()
            .map(|word| format!("{word} "))
            .collect()
    }

    #[test]
    fn candidates_agree_in_their_beginning() {
        let table = [
            ("", ""),
            ("stop", "stop "),
            ("start status stop", "st"),
            ("g:* g:g1 g:g2", "g:"),
            ("größe größer", "größe"),
            ("a b", ""),
        ];
        for (text, expected) in table {
            assert_eq!(common_beginning(&words(text)), expected, "{text}");
        }
    }

    #[test]
    fn candidates_are_listed_down_the_columns() {
        assert_eq!(
            in_columns(&words("start status stop")),
            "start    status   stop     \n"
        );
        let commands = "add avail clear exit fg help maintail open pid quit reload remove reread \
                        restart shutdown signal start status stop tail update version";
        let listed = in_columns(&words(commands));
        let first = "add        fg         pid        reread     start      update     \n";
        assert!(listed.starts_with(first), "{listed}");
        assert_eq!(listed.lines().count(), 4);
    }

    #[test]
    fn the_last_word_is_taken_with_the_blanks_behind_it() {
        for (text, expected) in [("", 0), ("a", 1), ("a bc", 2), ("a bc  ", 4), ("  ", 2)] {
            let typed = Typed {
                text: text.to_owned(),
                ..Typed::default()
            };
            assert_eq!(typed.last_word(), expected, "{text:?}");
        }
    }
}
