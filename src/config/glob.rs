//! File name patterns of `[include] files`, by the rules of Python's `glob`.
//!
//! `*`, `?`, `[a-z]` and `[!a-z]` match within one name; a name that begins with a dot only
//! matches a pattern that does; there is no escape character, and `**` is a `*`.

use std::path::Path;

use super::host::Host;
use super::paths::directory_part;
use crate::ordered;

/// Most paths one pattern may yield while it is being matched, part by part.
pub const MATCHES_MAX: usize = 100_000;

/// The paths a pattern matches, sorted by their bytes, at most [`MATCHES_MAX`]. A pattern without
/// special characters matches a path that exists.
pub fn glob(host: &dyn Host, pattern: &str) -> Vec<String> {
    let mut found = matches(host, pattern);
    ordered::sort(&mut found);
    found
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn matches(host: &dyn Host, pattern: &str) -> Vec<String> {
    if !is_pattern(pattern) {
        let there = host.exists(Path::new(pattern));
        return if there {
            vec![pattern.to_string()]
        } else {
            Vec::new()
        };
    }
    let directory = directory_part(pattern);
    let name = pattern.rsplit('/').next().unwrap_or(pattern);
    let directories = if directory != pattern && is_pattern(directory) {
        matches(host, directory)
    } else {
        vec![directory.to_string()]
    };
    let mut found = Vec::new();
    for directory in directories {
        let prefix = match directory.as_str() {
            "" => String::new(),
            d if d.ends_with('/') => d.to_string(),
            d => format!("{d}/"),
        };
        if is_pattern(name) {
            let listed = if prefix.is_empty() { "." } else { &directory };
            let names = host.list(Path::new(listed)).into_iter();
            let shown = names.filter(|n| !n.starts_with('.') || name.starts_with('.'));
            found.extend(
                shown
                    .filter(|n| name_matches(name, n))
                    .map(|n| prefix.clone() + &n),
            );
        } else if host.exists(Path::new(&(prefix.clone() + name))) {
            found.push(prefix + name);
        }
        if found.len() > MATCHES_MAX {
            found.truncate(MATCHES_MAX);
            break;
        }
    }
    found
}

/// One part of a pattern.
enum Part {
    /// `*`
    Any,
    /// `?`
    One,
    /// Exactly this character.
    Exactly(char),
    /// `[…]`: ranges, and whether what is not in them matches.
    Set(Vec<(char, char)>, bool),
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Part::Any | Part::One => true,
            Part::Exactly(own) => *own == c,
            Part::Set(ranges, inverted) => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *inverted
            }
        }
    }
}

/// Splits a pattern into parts. A `[` that is never closed stands for itself.
fn parts(pattern: &str) -> Vec<Part> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        at += 1;
        match c {
            '*' => parts.push(Part::Any),
            '?' => parts.push(Part::One),
            '[' => {
                let inverted = chars.get(at) == Some(&'!');
                let start = at + usize::from(inverted);
                // A `]` directly after the opening is a member.
                let close = (start + 1..chars.len()).find(|&i| chars[i] == ']');
                match close {
                    Some(close) => {
                        parts.push(Part::Set(ranges(&chars[start..close]), inverted));
                        at = close + 1;
                    }
                    None => parts.push(Part::Exactly('[')),
                }
            }
            c => parts.push(Part::Exactly(c)),
        }
    }
    parts
}

fn ranges(members: &[char]) -> Vec<(char, char)> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(&from) = members.get(at) {
        match (members.get(at + 1), members.get(at + 2)) {
            (Some('-'), Some(&to)) => {
                ranges.push((from, to));
                at += 3;
            }
            _ => {
                ranges.push((from, from));
                at += 1;
            }
        }
    }
    ranges
}

/// Whether a whole name matches: greedy with one place to go back to, so the cost is at most the
/// product of both lengths.
fn name_matches(pattern: &str, name: &str) -> bool {
    let parts = parts(pattern);
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut part) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < name.len() {
        match parts.get(part) {
            Some(Part::Any) => {
                back = Some((part, at));
                part += 1;
            }
            Some(one) if one.takes(name[at]) => {
                at += 1;
                part += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    part = star + 1;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(|part| matches!(part, Part::Any))
}

#[cfg(test)]
mod tests {
    use super::super::fake::FakeHost;
    use super::*;

    #[test]
    fn matches_names() {
        let table = [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.config", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[!a-c]1", "d1", true),
            ("[]]x", "]x", true),
            ("[abc", "[abc", true),
            ("a[-z]", "a-", true),
            ("**x", "aax", true),
            ("*a*b", "aabab", true),
            ("*a*b", "aaba", false),
            ("c\\?", "c\\x", true),
            ("", "", true),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(name_matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn finds_files() {
        let mut host = FakeHost::new();
        for path in [
            "/e/b.conf",
            "/e/a.conf",
            "/e/.h.conf",
            "/e/d/x.conf",
            "/e/f/x.conf",
            "/work/r.ini",
        ] {
            host = host.with_file(path, "");
        }
        let table: &[(&str, &[&str])] = &[
            ("/e/*.conf", &["/e/a.conf", "/e/b.conf"]),
            ("/e/.*.conf", &["/e/.h.conf"]),
            ("/e/?/x.conf", &["/e/d/x.conf", "/e/f/x.conf"]),
            ("/*/a.conf", &["/e/a.conf"]),
            ("/e/a.conf", &["/e/a.conf"]),
            ("/e/none.conf", &[]),
            ("/none/*.conf", &[]),
            ("*.ini", &["r.ini"]),
        ];
        for (pattern, expected) in table {
            assert_eq!(glob(&host, pattern), *expected, "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = "*a".repeat(1000) + "b";
        assert!(!name_matches(&pattern, &"a".repeat(4000)));
    }
}
