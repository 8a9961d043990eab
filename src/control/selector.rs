//! What a person types to name processes, read into selectors and names.
//!
//! Must never: know which processes exist; that is the fleet's to say.

use crate::fleet::{ProcessName, Selector};

use super::word::shown;

/// Reads `all`, `group:*`, `group:`, `group:name`, `name`, or a pattern. Only an empty word is
/// refused: a `[program:]` makes a group whose name is empty. A name is divided at its first colon,
/// as Supervisor divides it.
pub fn selector(word: &str) -> Result<Selector, String> {
    if word.is_empty() {
        return Err(format!("{} names nothing", shown(word)));
    }
    if word == "all" {
        return Ok(Selector::All);
    }
    let group = match word.split_once(':') {
        Some((group, "" | "*")) if !is_pattern(group) => group,
        _ if is_pattern(word) => return Ok(Selector::Glob(word.to_owned())),
        _ => return name(word).map(Selector::Process),
    };
    Ok(Selector::Group(group.to_owned()))
}

/// Reads the name of one process, `name` or `group:name`.
pub fn name(word: &str) -> Result<ProcessName, String> {
    let (group, process) = word.split_once(':').unwrap_or((word, word));
    if word.is_empty() {
        return Err(format!("{} names nothing", shown(word)));
    }
    if matches!(process, "" | "*") {
        return Err(format!("{} names a group; name one process", shown(word)));
    }
    Ok(ProcessName {
        group: group.to_owned(),
        process: process.to_owned(),
    })
}

fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '['])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(group: &str, process: &str) -> Selector {
        Selector::Process(ProcessName {
            group: group.into(),
            process: process.into(),
        })
    }

    #[test]
    fn selectors() {
        let group = |name: &str| Selector::Group(name.into());
        let glob = |pattern: &str| Selector::Glob(pattern.into());
        let table = [
            ("all", Selector::All),
            ("web", process("web", "web")),
            ("web:web", process("web", "web")),
            ("web:app_00", process("web", "app_00")),
            ("a:b:c", process("a", "b:c")),
            (":", group("")),
            (":*", group("")),
            (":a", process("", "a")),
            ("web:*", group("web")),
            ("web:", group("web")),
            ("ALL", process("ALL", "ALL")),
            ("*", glob("*")),
            ("w?b", glob("w?b")),
            ("web:app_*", glob("web:app_*")),
            ("w*:*", glob("w*:*")),
            ("web[12]:", glob("web[12]:")),
        ];
        for (word, expected) in table {
            assert_eq!(selector(word), Ok(expected), "{word}");
        }
        assert!(selector("").is_err());
    }

    #[test]
    fn names_are_of_one_process() {
        assert_eq!(name("a:b").map(Selector::Process), Ok(process("a", "b")));
        assert_eq!(
            name("all").map(Selector::Process),
            Ok(process("all", "all"))
        );
        for word in ["", "a:", "a:*", ":"] {
            assert!(name(word).is_err(), "{word}");
        }
    }
}
