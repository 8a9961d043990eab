//! The `environment=` language: `KEY="value",KEY2=value2`.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use super::python;
use super::reader::{Reader, Scope};
use super::value::Refused;
use crate::ordered;

/// Reads the option of a section. A value that Supervisor takes and mangles is taken as it was
/// meant, with a warning: the program started before, and is to start here.
pub(super) fn read<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> BTreeMap<String, String> {
    let mut doubt = None;
    let pairs = reader.read(scope, "environment", BTreeMap::new(), |text| {
        environment(text).or_else(|problem| {
            let words = match supervisor_refusal(text) {
                Some(words) => words,
                None => match meant(text) {
                    Some(pairs) => {
                        doubt = Some(problem);
                        return Ok(pairs);
                    }
                    None => problem.to_string(),
                },
            };
            Err(Refused {
                words,
                expected: "KEY=\"value\" pairs separated by commas",
            })
        })
    });
    if let Some(problem) = doubt {
        let message = format!("{problem} (until then, a value goes on up to the next `,NAME=`)");
        reader.warn(scope, "environment", message);
    }
    pairs
}

/// Why an `environment=` value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentProblem {
    /// Not of the form `KEY=VALUE,…`; the text says where.
    Form(String),
    /// A quotation is not closed, or nothing follows a backslash.
    Quoting(&'static str),
}

impl fmt::Display for EnvironmentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvironmentProblem::Form(text) => f.write_str(text),
            EnvironmentProblem::Quoting(text) => f.write_str(text),
        }
    }
}

/// Reads `KEY=VALUE` pairs separated by `,` or `;`; the last one may be followed by a separator,
/// and a key that comes twice has its last value.
///
/// Quoting is that of the POSIX shell. Unquoted, only letters, digits and `_ / . + - ( ) :` may
/// stand in a value. Supervisor's own lexer takes any other character for the end of a value or
/// for a separator, so `A=http://x/?a=b` would set a variable `a`; such values are refused here,
/// and [`read`] decides what becomes of them.
pub fn environment(text: &str) -> Result<BTreeMap<String, String>, EnvironmentProblem> {
    let mut pairs = BTreeMap::new();
    let mut chars = text.chars().peekable();
    loop {
        skip_blanks(&mut chars);
        if chars.peek().is_none() {
            return Ok(pairs);
        }
        let key = word(&mut chars)?.ok_or_else(|| form(&mut chars, "expected a variable name"))?;
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err(EnvironmentProblem::Form(format!(
                "{} cannot be the name of a variable",
                python::repr(&key)
            )));
        }
        skip_blanks(&mut chars);
        if chars.next_if_eq(&'=').is_none() {
            return Err(form(&mut chars, &format!("expected '=' after {key}")));
        }
        skip_blanks(&mut chars);
        let value =
            word(&mut chars)?.ok_or_else(|| form(&mut chars, &format!("{key}= has no value")))?;
        pairs.insert(key.clone(), value);
        skip_blanks(&mut chars);
        match chars.next() {
            None => return Ok(pairs),
            Some(',' | ';') => {}
            Some(c) => {
                return Err(EnvironmentProblem::Form(format!(
                    "{} after the value of {key} is not a separator; put the value in quotes",
                    python::repr(&c.to_string())
                )));
            }
        }
    }
}

fn form(chars: &mut Peekable<Chars<'_>>, expected: &str) -> EnvironmentProblem {
    EnvironmentProblem::Form(match chars.peek() {
        None => format!("{expected}, found the end"),
        Some(c) => format!("{expected}, found {}", python::repr(&c.to_string())),
    })
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars
        .next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n'))
        .is_some()
    {}
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_/.+-():".contains(c)
}

/// The next word with its quotes resolved; `None` where none begins.
///
/// A word that begins with a quotation ends with it: `"x"y` is a mistake, not `xy`.
fn word(chars: &mut Peekable<Chars<'_>>) -> Result<Option<String>, EnvironmentProblem> {
    const OPEN: EnvironmentProblem = EnvironmentProblem::Quoting("No closing quotation");
    const ESCAPE: EnvironmentProblem = EnvironmentProblem::Quoting("No escaped character");
    let mut word: Option<String> = None;
    while let Some(c) = chars.next_if(|c| is_word(*c) || "\"'\\".contains(*c)) {
        let whole = word.is_none() && (c == '"' || c == '\'');
        let word = word.get_or_insert_default();
        match c {
            '"' | '\'' => loop {
                match chars.next().ok_or(OPEN)? {
                    end if end == c => break,
                    '\\' if c == '"' => match chars.next().ok_or(ESCAPE)? {
                        escaped @ ('"' | '\\') => word.push(escaped),
                        other => word.extend(['\\', other]),
                    },
                    other => word.push(other),
                }
            },
            '\\' => word.push(chars.next().ok_or(ESCAPE)?),
            c => word.push(c),
        }
        if whole {
            break;
        }
    }
    Ok(word)
}

/// What is meant by a value that [`environment`] refuses: a variable begins where a name and `=`
/// stand at the beginning or after a comma, and all up to the next one is its value. `None` if it
/// does not begin like that.
fn meant(text: &str) -> Option<BTreeMap<String, String>> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for piece in text.split(',') {
        let begun = piece
            .split_once('=')
            .filter(|(name, _)| is_name(name.trim()));
        match (begun, pairs.last_mut()) {
            (Some((name, value)), _) => pairs.push((name.trim(), value.to_owned())),
            (None, Some((_, value))) => value.extend([",", piece]),
            (None, None) => return None,
        }
    }
    let unquoted = |value: &str| {
        let value = value.trim();
        let inner = ['"', '\'']
            .into_iter()
            .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
        inner.unwrap_or(value).to_owned()
    };
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), unquoted(&value)));
    Some(ordered::map(pairs))
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit())
}

/// What Supervisor 4.3.0 says about a value, if it refuses it. It accepts some values that are
/// mangled by its lexer, so this is asked only about values that [`environment`] refused.
pub fn supervisor_refusal(text: &str) -> Option<String> {
    let Some(tokens) = supervisor_tokens(text) else {
        return Some("No closing quotation".to_string());
    };
    // Every fourth token is taken for a separator, whatever it is.
    let whole = |pair: &[String]| pair.len() >= 3 && pair[1] == "=";
    (!tokens.chunks(4).all(whole))
        .then(|| format!("Unexpected end of key/value pairs in value '{text}'"))
}

/// The tokens of Python's `shlex` without its POSIX mode; `None` if a quotation is not closed.
fn supervisor_tokens(text: &str) -> Option<Vec<String>> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_/.+-():".contains(c);
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let mut token = String::from(c);
        match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            '#' => {
                chars.by_ref().take_while(|c| *c != '\n').for_each(drop);
                continue;
            }
            '"' | '\'' => loop {
                let next = chars.next()?;
                token.push(next);
                if next == c {
                    break;
                }
            },
            c if is_word(c) => {
                while let Some(c) = chars.next_if(|c| is_word(*c) || *c == '"' || *c == '\'') {
                    token.push(c);
                }
            }
            _ => {}
        }
        tokens.push(token);
    }
    Some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pairs() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("", &[]),
            (" \n ", &[]),
            (
                "A=1,B=two,C=three/four",
                &[("A", "1"), ("B", "two"), ("C", "three/four")],
            ),
            ("A=\"x y\",B='a,b'", &[("A", "x y"), ("B", "a,b")]),
            (
                "A=\"it's\",B='say \"hi\"'",
                &[("A", "it's"), ("B", "say \"hi\"")],
            ),
            ("A=\"a=b\",B=\"==\"", &[("A", "a=b"), ("B", "==")]),
            ("A=1,B=2,", &[("A", "1"), ("B", "2")]),
            ("A = 1 ,\n  B = 2", &[("A", "1"), ("B", "2")]),
            ("A=1;B=2", &[("A", "1"), ("B", "2")]),
            ("A=/a/b.c+d-e:f(g)", &[("A", "/a/b.c+d-e:f(g)")]),
            ("A=\"\",B=''", &[("A", ""), ("B", "")]),
            ("A=1,A=2", &[("A", "2")]),
            (r#"A="a\"b""#, &[("A", "a\"b")]),
            (r#"A="a\\b",B="a\tb""#, &[("A", "a\\b"), ("B", "a\\tb")]),
            ("A=a\"b\"c", &[("A", "abc")]),
            ("A=hé", &[("A", "hé")]),
            ("A=http://h:1/x", &[("A", "http://h:1/x")]),
            ("A=\"a#b $HOME\"", &[("A", "a#b $HOME")]),
        ];
        for (text, expected) in table {
            let expected = expected
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect();
            assert_eq!(environment(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        // Whether Supervisor 4.3.0 refuses it too was seen by running it.
        let table = [
            ("FOO", true),
            ("A=", true),
            ("A=,B=2", true),
            ("A=1,B", true),
            ("A=1 B=2", true),
            ("A=1 2,B=3", true),
            ("A=a@b", true),
            (",A=1", true),
            ("A=1,,B=2", true),
            ("A=\"x\"y,B=2", true),
            ("A=\"x", true),
            ("A='x", true),
            ("A=\"x\"y", false),
            ("A=http://x/?a=b", false),
            ("A=a#b,B=2", false),
            ("A=$HOME", false),
            ("\"\"=1", false),
            ("A=1!B=2", false),
            ("A==", false),
        ];
        for (text, by_supervisor) in table {
            assert!(environment(text).is_err(), "{text}");
            assert_eq!(supervisor_refusal(text).is_some(), by_supervisor, "{text}");
        }
    }

    #[test]
    fn what_supervisor_mangles_is_taken_as_it_was_meant() {
        let table: [(&str, &[(&str, &str)]); 5] = [
            ("A=http://x/?a=b", &[("A", "http://x/?a=b")]),
            ("A=a#b,B=2", &[("A", "a#b"), ("B", "2")]),
            (
                " A = $HOME , B = 'x', y ",
                &[("A", "$HOME"), ("B", "'x', y")],
            ),
            ("P=\"a!\",Q=1!2,3", &[("P", "a!"), ("Q", "1!2,3")]),
            ("A==", &[("A", "=")]),
        ];
        for (text, expected) in table {
            let expected = expected.iter().map(|(k, v)| (k.to_string(), v.to_string()));
            assert_eq!(meant(text), Some(expected.collect()), "{text}");
        }
        assert_eq!(meant("\"\"=1"), None);
    }

    #[test]
    fn says_where() {
        let table = [
            ("FOO", "expected '=' after FOO, found the end"),
            ("A=,B=2", "A= has no value, found ','"),
            ("A=1,,", "expected a variable name, found ','"),
            (
                "A=a b",
                "'b' after the value of A is not a separator; put the value in quotes",
            ),
            ("A=\"x", "No closing quotation"),
        ];
        for (text, expected) in table {
            assert_eq!(
                environment(text).unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
    }
}
