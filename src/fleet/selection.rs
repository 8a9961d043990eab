//! What a selector selects, and shell patterns.
//!
//! Must never: judge whether the selected processes are in a state to do something with.

use super::event::Refusal;
use super::name::{ProcessId, Selector};
use super::roster::Roster;

/// What one selector selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// What was asked for, as shown in an error: the process as typed, the group without `:*`.
    pub subject: String,
    /// One process by its own name, rather than whatever is in a group or matches a pattern.
    pub named: bool,
    /// The processes by (group, name), or why there are none.
    pub processes: Result<Vec<ProcessId>, Refusal>,
}

impl Roster {
    /// What these select, one answer per selector; `all` anywhere among them stands for everything.
    pub(super) fn select(&self, selectors: &[Selector]) -> Vec<Selected> {
        if selectors.contains(&Selector::All) {
            return vec![self.select_one(&Selector::All)];
        }
        selectors
            .iter()
            .map(|selector| self.select_one(selector))
            .collect()
    }

    fn select_one(&self, selector: &Selector) -> Selected {
        let (subject, named, processes) = match selector {
            Selector::All => {
                let all = self.by_name().map(|process| process.id()).collect();
                (selector.to_string(), false, Ok(all))
            }
            Selector::Group(group) => {
                let found = self
                    .group(group)
                    .map(|group| self.name_order(&group.processes));
                (group.clone(), false, found.ok_or(Refusal::NoSuchGroup))
            }
            Selector::Process(name) => {
                let found = self.find(name).map(|id| vec![id]);
                (
                    selector.to_string(),
                    true,
                    found.ok_or(Refusal::NoSuchProcess),
                )
            }
            Selector::Glob(pattern) => {
                let found: Vec<ProcessId> = self
                    .by_name()
                    .filter(|process| {
                        let name = process.name();
                        matches(pattern, &name.to_string())
                            || matches(pattern, &format!("{}:{}", name.group, name.process))
                    })
                    .map(|process| process.id())
                    .collect();
                let found = if found.is_empty() {
                    Err(Refusal::NoSuchProcess)
                } else {
                    Ok(found)
                };
                (selector.to_string(), false, found)
            }
        };
        Selected {
            subject,
            named,
            processes,
        }
    }
}

/// Whether `text` matches a shell pattern with `*`, `?`, `[abc]`, `[a-z]` and `[!a]`. A `[` that
/// is never closed stands for itself. Takes no more than pattern length times text length steps.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to resume if what follows the last star does not match: the star may take one more.
    let mut resume: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            p += 1;
            resume = Some((p, t));
        } else if let Some(next) = match_one(&pattern, p, text[t]) {
            p = next;
            t += 1;
        } else if let Some((after_star, taken)) = resume {
            p = after_star;
            t = taken + 1;
            resume = Some((after_star, t));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Matches one character against the pattern at `p`; the position after it if that worked.
fn match_one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match *pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => match class_end(pattern, p) {
            Some(end) => in_class(&pattern[p + 1..end], c).then_some(end + 1),
            None => (c == '[').then_some(p + 1),
        },
        literal => (literal == c).then_some(p + 1),
    }
}

/// Where the class that opens at `open` closes; a `]` right at its start is a member.
fn class_end(pattern: &[char], open: usize) -> Option<usize> {
    let negated = pattern.get(open + 1) == Some(&'!');
    let first = open + 1 + usize::from(negated);
    (first + 1..pattern.len()).find(|&i| pattern[i] == ']')
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut rest) = match class {
        ['!', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let [low, tail @ ..] = rest {
        rest = match tail {
            ['-', high, tail @ ..] => {
                found |= (*low..=*high).contains(&c);
                tail
            }
            _ => {
                found |= *low == c;
                tail
            }
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("web*", "web:1", true),
            ("*:1", "web:1", true),
            ("*:1", "web:11", false),
            ("w*b*1", "web:b1", true),
            ("w*b*1", "web:b2", false),
            ("we?", "web", true),
            ("we?", "we", false),
            ("web:[0-3]", "web:2", true),
            ("web:[0-3]", "web:4", false),
            ("web:[!0-3]", "web:4", true),
            ("web:[!0-3]", "web:0", false),
            ("[]a]", "]", true),
            ("[!]a]", "]", false),
            ("[a-]", "-", true),
            ("[abc", "[abc", true),
            ("[abc", "a", false),
            ("**é", "né", true),
            (
                "a*a*a*a*a*a*a*a*b",
                "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                false,
            ),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
