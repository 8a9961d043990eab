//! Scanned files into one document: sections and keys merged, each with its origin.
//!
//! The storing and merging is done by the `configparser` crate. Its own line rules are not
//! Python's, so it is given a canonical text in which no character can be taken for anything
//! else: a section is `[<name>]`, an option `.key=|value|` with line feeds escaped.

use std::collections::{BTreeMap, HashMap};

use configparser::ini::{Ini, IniDefault};

use super::scan::{Scanned, ScannedEntry};
use crate::ordered;

/// The section whose options every other section inherits.
pub const DEFAULT_SECTION: &str = "DEFAULT";

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file as it was named: what messages show.
    pub name: String,
    /// Its directory, absolute: what `%(here)s` means in it.
    pub here: String,
}

/// Where a section or an option stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Index into [`Document::files`].
    pub file: usize,
    /// Line, from 1.
    pub line: u32,
}

/// The value of an option and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The text.
    pub value: String,
    /// The line of its key.
    pub origin: Origin,
}

/// A section, merged from all its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The text between the brackets.
    pub name: String,
    /// Its first header.
    pub origin: Origin,
    /// Its own options, without inherited ones.
    pub entries: BTreeMap<String, Entry>,
}

/// All sections of a root file and its includes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// The files, the root file first.
    pub files: Vec<SourceFile>,
    sections: Vec<Section>,
    by_name: HashMap<String, usize>,
    /// The options of `[DEFAULT]`.
    pub inherited: BTreeMap<String, Entry>,
}

impl Document {
    /// Merges files in their order: of a key that comes again the last value counts, a section
    /// that comes again stays where it was first. The cost grows with the text, not with the
    /// number of files.
    pub fn merge(parts: Vec<(SourceFile, Scanned)>) -> Document {
        let mut document = Document::default();
        let mut origins = Origins::default();
        let mut text = String::new();
        for (index, (file, scanned)) in parts.into_iter().enumerate() {
            document.files.push(file);
            for section in &scanned.sections {
                emit(&mut text, &section.name, &section.entries);
                origins.note(index, section.line, &section.name, &section.entries);
            }
        }
        let mut ini = parser();
        // The canonical text has a delimiter and a closing bracket on every line, so the crate
        // finds nothing to refuse; were it otherwise, the document would be empty, not wrong.
        let _ = ini.read(text);
        for (name, stored) in std::mem::take(ini.get_mut_map()) {
            let name = unwrapped(&name, '<', '>').to_string();
            let Some((origin, keys)) = origins.sections.remove(&name) else {
                continue;
            };
            let entries = stored.into_iter().filter_map(|(key, value)| {
                let key = key.strip_prefix('.')?;
                let value = unescape(unwrapped(&value?, '|', '|'));
                let origin = *keys.get(key)?;
                Some((key.to_string(), Entry { value, origin }))
            });
            let entries = ordered::map(entries);
            if name == DEFAULT_SECTION {
                document.inherited = entries;
                continue;
            }
            document
                .by_name
                .insert(name.clone(), document.sections.len());
            document.sections.push(Section {
                name,
                origin,
                entries,
            });
        }
        document
    }

    /// The sections in their order, without `[DEFAULT]`.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The section of a name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.by_name.get(name).map(|index| &self.sections[*index])
    }

    /// An option of a section, its own or inherited.
    pub fn entry<'a>(&'a self, section: &'a Section, key: &str) -> Option<&'a Entry> {
        section.entries.get(key).or_else(|| self.inherited.get(key))
    }

    /// The file of an origin.
    pub fn file(&self, origin: Origin) -> &SourceFile {
        &self.files[origin.file]
    }
}

/// Where every section first stands and every key last stands.
#[derive(Default)]
struct Origins {
    sections: HashMap<String, (Origin, HashMap<String, Origin>)>,
}

impl Origins {
    fn note(&mut self, file: usize, line: u32, section: &str, entries: &[ScannedEntry]) {
        let (_, keys) = self
            .sections
            .entry(section.to_string())
            .or_insert_with(|| (Origin { file, line }, HashMap::new()));
        for entry in entries {
            let line = entry.line;
            keys.insert(entry.key.clone(), Origin { file, line });
        }
    }
}

/// The crate with everything off that could take a character of ours for a sign of its own.
fn parser() -> Ini {
    let mut settings = IniDefault::default();
    settings.comment_symbols = Vec::new();
    settings.inline_comment_symbols = Some(Vec::new());
    settings.delimiters = vec!['='];
    settings.case_sensitive = true;
    settings.multiline = false;
    settings.enable_inline_comments = false;
    Ini::new_from_defaults(settings)
}

fn emit(text: &mut String, section: &str, entries: &[ScannedEntry]) {
    text.extend(["[<", section, ">]\n"]);
    for entry in entries {
        text.extend([".", &entry.key, "=|"]);
        for c in entry.value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push_str("|\n");
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                other => out.extend(other),
            },
            c => out.push(c),
        }
    }
    out
}

fn unwrapped(text: &str, open: char, close: char) -> &str {
    let text = text.strip_prefix(open).unwrap_or(text);
    text.strip_suffix(close).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    fn merged(texts: &[&str]) -> Document {
        let part = |(index, text): (usize, &&str)| {
            let file = SourceFile {
                name: format!("{index}.conf"),
                here: format!("/{index}"),
            };
            (file, scan(text))
        };
        Document::merge(texts.iter().enumerate().map(part).collect())
    }

    #[test]
    fn later_keys_win_and_keep_their_line() {
        let document = merged(&["[a]\nk=1\nl=1\n[b]\nx=1\n[a]\nk=2\n", "[c]\n[a]\nl=\n  3\n"]);
        let names: Vec<_> = document
            .sections()
            .iter()
            .map(|s| s.name.as_str())
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        let a = document.section("a").unwrap();
        assert_eq!(a.origin, Origin { file: 0, line: 1 });
        let k = document.entry(a, "k").unwrap();
        assert_eq!(
            (k.value.as_str(), k.origin),
            ("2", Origin { file: 0, line: 7 })
        );
        let l = document.entry(a, "l").unwrap();
        assert_eq!(
            (l.value.as_str(), l.origin),
            ("\n3", Origin { file: 1, line: 3 })
        );
        assert_eq!(document.file(l.origin).name, "1.conf");
    }

    #[test]
    fn default_is_inherited() {
        let document = merged(&["[DEFAULT]\nk=1\nl=1\n[a]\nk=2\n"]);
        let a = document.section("a").unwrap();
        assert_eq!(document.entry(a, "k").unwrap().value, "2");
        assert_eq!(document.entry(a, "l").unwrap().value, "1");
        assert!(document.section(DEFAULT_SECTION).is_none());
    }

    #[test]
    fn no_text_confuses_the_store() {
        let text = "[a]=]\n[k=[v]\n.x=|y|\\n\\\\\n;=\n\u{2028}e: \u{85}1\\\n  [b]\n[ default ]\nk;l#m= ; \n";
        let scanned = scan(text);
        let document = merged(&[text]);
        assert_eq!(document.sections().len(), scanned.sections.len());
        for (section, scanned) in document.sections().iter().zip(&scanned.sections) {
            assert_eq!(section.name, scanned.name);
            for entry in &scanned.entries {
                assert_eq!(
                    section.entries[&entry.key].value, entry.value,
                    "{}",
                    entry.key
                );
            }
        }
    }
}
