//! Splitting `command=` into words.

use std::fmt;

/// Why a command cannot be split. The text is what Supervisor shows as the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandProblem {
    /// A quotation is not closed.
    NoClosingQuotation,
    /// The last character is a backslash that escapes nothing.
    NoEscapedCharacter,
}

impl fmt::Display for CommandProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommandProblem::NoClosingQuotation => "No closing quotation",
            CommandProblem::NoEscapedCharacter => "No escaped character",
        })
    }
}

impl std::error::Error for CommandProblem {}

/// Splits a command by the quoting rules of the POSIX shell, and by nothing else of it: no
/// variables, patterns, pipes or comments. Line breaks are blanks. No words is no error here.
///
/// The rules are those of Python's `shlex.split`: inside double quotes a backslash escapes only
/// a double quote and a backslash.
pub fn split_command(command: &str) -> Result<Vec<String>, CommandProblem> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let escaped = chars.next().ok_or(CommandProblem::NoEscapedCharacter)?;
                word.get_or_insert_default().push(escaped);
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(CommandProblem::NoClosingQuotation)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => quoted(&mut chars, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Appends the rest of a double-quoted text.
fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), CommandProblem> {
    loop {
        match chars.next().ok_or(CommandProblem::NoClosingQuotation)? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or(CommandProblem::NoEscapedCharacter)? {
                c @ ('"' | '\\') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_like_a_shell() {
        // The expected words were taken from Python's shlex.split.
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("  \n ", &[]),
            ("/bin/echo a  b\tc\nd", &["/bin/echo", "a", "b", "c", "d"]),
            ("sh -c 'a \"b\" $c'", &["sh", "-c", "a \"b\" $c"]),
            (r#"a "b \" \\ \n c" d"#, &["a", r#"b " \ \n c"#, "d"]),
            (r"a\ b \'c", &["a b", "'c"]),
            ("'' \"\"", &["", ""]),
            ("a'b'\"c\"d", &["abcd"]),
            ("a #b ; c | d", &["a", "#b", ";", "c", "|", "d"]),
            ("größe\u{a0}x", &["größe\u{a0}x"]),
            ("'a\\'", &["a\\"]),
        ];
        for (command, expected) in table {
            assert_eq!(split_command(command).unwrap(), *expected, "{command}");
        }
    }

    #[test]
    fn refuses_what_is_not_closed() {
        let table = [
            ("echo 'a", CommandProblem::NoClosingQuotation),
            ("echo \"a", CommandProblem::NoClosingQuotation),
            ("echo \\", CommandProblem::NoEscapedCharacter),
        ];
        for (command, expected) in table {
            assert_eq!(split_command(command), Err(expected), "{command}");
        }
    }
}
