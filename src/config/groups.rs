//! Which groups there are: `[group:x]` with its members, and a group of its own for every other
//! program-like section.

use std::collections::BTreeSet;

use super::diagnostic::Diagnostic;
use super::ini::Section;
use super::model::{GroupConfig, GroupKind};
use super::nearest::nearest;
use super::programs::{self, Inherited, Program};
use super::reader::{Reader, Scope};
use super::value;

/// Every group that is used, and those that are not, for an earlier one has their name.
pub(super) fn groups(
    reader: &mut Reader<'_>,
    inherited: &Inherited,
) -> (Vec<GroupConfig>, Vec<GroupConfig>) {
    let document = reader.document;
    let mut groups: Vec<GroupConfig> = Vec::new();
    let mut grouped: BTreeSet<String> = BTreeSet::new();
    for section in document.sections() {
        let Some(name) = section.name.strip_prefix("group:") else {
            continue;
        };
        let scope = Scope::of(section);
        let name = match value::name(name) {
            Ok(name) => name,
            Err(refused) => {
                reader.refuse(&scope, "", &refused.words, refused.expected);
                continue;
            }
        };
        let priority = reader.read(&scope, "priority", 999, value::integer);
        let mut group = GroupConfig {
            name: name.clone(),
            priority,
            kind: GroupKind::Program,
            processes: vec![],
        };
        let members = reader.text(&scope, "programs").unwrap_or_default();
        for member in members
            .split(',')
            .map(str::trim)
            .filter(|_| !members.trim().is_empty())
        {
            let sections: Vec<&Section> = ["program", "fcgi-program"]
                .iter()
                .filter_map(|kind| document.section(&format!("{kind}:{member}")))
                .collect();
            match sections.as_slice() {
                [section] => {
                    grouped.insert(section.name.clone());
                    if let Some(program) = programs::program(reader, section, &name, inherited) {
                        match (&mut group.kind, program.kind) {
                            (GroupKind::FastCgi(all), GroupKind::FastCgi(more)) => all.extend(more),
                            (_, GroupKind::Program) => {}
                            (kind, other) => *kind = other,
                        }
                        group.processes.extend(program.processes);
                    }
                }
                [] => {
                    let words = format!(
                        "[{}] names unknown program or fcgi-program {member}",
                        scope.section.name
                    );
                    let known = document.sections().iter().filter_map(|section| {
                        let (kind, name) = section.name.split_once(':')?;
                        (kind == "program" || kind == "fcgi-program").then_some(name)
                    });
                    let expected = match nearest(member, known) {
                        Some(meant) => format!("names of programs; did you mean {meant}?"),
                        None => "names of programs".to_owned(),
                    };
                    reader.refuse(&scope, "programs", &words, &expected);
                }
                _ => {
                    let words = format!(
                        "[{}] name {member} is ambiguous (exists as program and fcgi-program)",
                        scope.section.name
                    );
                    reader.refuse(&scope, "programs", &words, "");
                }
            }
        }
        groups.push(group);
    }
    for section in document.sections() {
        let Some((kind, name)) = section.name.split_once(':') else {
            continue;
        };
        if !matches!(kind, "program" | "fcgi-program" | "eventlistener")
            || grouped.contains(&section.name)
        {
            continue;
        }
        if let Some(program) = programs::program(reader, section, name.trim(), inherited) {
            let Program {
                name,
                kind,
                priority,
                processes,
            } = program;
            groups.push(GroupConfig {
                name,
                priority,
                kind,
                processes,
            });
        }
    }
    groups.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    let shadowed = take_twins(reader, &mut groups);
    (groups, shadowed)
}

/// Of two groups with one name only the first is ever used, as Supervisor does it: takes out the
/// others. A file that has them works today, so this is no error, but it is worth a warning.
fn take_twins(reader: &mut Reader<'_>, groups: &mut Vec<GroupConfig>) -> Vec<GroupConfig> {
    let mut names = BTreeSet::new();
    let (firsts, twins): (Vec<_>, Vec<_>) = std::mem::take(groups)
        .into_iter()
        .partition(|group| names.insert(group.name.clone()));
    *groups = firsts;
    for twin in &twins {
        let message = format!(
            "two groups are named '{0}': only the first one (priority, then [group:{0}]) is used",
            twin.name
        );
        reader.diagnostics.push(Diagnostic::warning(message));
    }
    twins
}
