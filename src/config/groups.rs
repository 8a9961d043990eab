//! Which groups there are: `[group:x]` with its members, and a group of its own for every other
//! program-like section.

use std::collections::BTreeSet;

use super::diagnostic::Diagnostic;
use super::ini::{Origin, Section};
use super::model::{GroupConfig, GroupKind};
use super::nearest::nearest;
use super::programs::{self, Inherited, Place, Program};
use super::reader::{Reader, Scope};
use super::value;
use crate::ordered;

/// Every group that is used, and those that are not, for an earlier one has their name.
pub(super) fn groups(
    reader: &mut Reader<'_>,
    inherited: &Inherited,
) -> (Vec<GroupConfig>, Vec<GroupConfig>) {
    let document = reader.document;
    let mut groups: Vec<(Origin, GroupConfig)> = Vec::new();
    let mut grouped: BTreeSet<&str> = BTreeSet::new();
    for section in document.sections() {
        let group = named_group(reader, section, inherited, &mut grouped);
        groups.extend(group.map(|group| (section.origin, group)));
    }
    // The order in which Supervisor reads them: of two with one name the first is used.
    for kind in ["program:", "eventlistener:", "fcgi-program:"] {
        let of_kind = document.sections().iter();
        for section in of_kind.filter(|section| section.name.starts_with(kind)) {
            if !grouped.contains(section.name.as_str()) {
                let group = group_of_its_own(reader, section, inherited);
                groups.extend(group.map(|group| (section.origin, group)));
            }
        }
    }
    ordered::sort_by(&mut groups, |(_, a), (_, b)| {
        (a.priority, &a.name).cmp(&(b.priority, &b.name))
    });
    for (origin, group) in &mut groups {
        drop_twins(reader, *origin, group);
    }
    without_twins(reader, groups)
}

/// The group of a `[group:x]`; the sections that are its members are added to `grouped`.
fn named_group<'a>(
    reader: &mut Reader<'a>,
    section: &'a Section,
    inherited: &Inherited,
    grouped: &mut BTreeSet<&'a str>,
) -> Option<GroupConfig> {
    let name = section.name.strip_prefix("group:")?;
    let scope = Scope::of(section);
    let name = match value::name(name) {
        Ok(name) => name,
        Err(refused) => {
            reader.refuse(&scope, "", &refused.words, refused.expected);
            return None;
        }
    };
    let mut group = GroupConfig {
        priority: reader.read(&scope, "priority", 999, value::integer),
        kind: GroupKind::Program,
        processes: vec![],
        name,
    };
    let members = reader.text(&scope, "programs").unwrap_or_default();
    for name in members
        .split(',')
        .map(str::trim)
        .filter(|_| !members.trim().is_empty())
    {
        let Some(section) = member(reader, &scope, name) else {
            continue;
        };
        grouped.insert(&section.name);
        let Some(program) = programs::program(reader, section, Place::In(&group.name), inherited)
        else {
            continue;
        };
        match (&mut group.kind, program.kind) {
            (GroupKind::FastCgi(all), GroupKind::FastCgi(more)) => all.extend(more),
            (_, GroupKind::Program) => {}
            (kind, other) => *kind = other,
        }
        group.processes.extend(program.processes);
    }
    Some(group)
}

/// The section of this member of the group that is read; refused unless there is exactly one.
fn member<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>, name: &str) -> Option<&'a Section> {
    const KINDS: [&str; 2] = ["program", "fcgi-program"];
    let document = reader.document;
    let group = &scope.section.name;
    let [program, fast_cgi] = KINDS.map(|kind| document.section(&format!("{kind}:{name}")));
    if program.is_some() && fast_cgi.is_some() {
        let words =
            format!("[{group}] name {name} is ambiguous (exists as program and fcgi-program)");
        reader.refuse(scope, "programs", &words, "");
        return None;
    }
    let section = program.or(fast_cgi);
    if section.is_none() {
        let words = format!("[{group}] names unknown program or fcgi-program {name}");
        let known = document.sections().iter().filter_map(|section| {
            let (kind, name) = section.name.split_once(':')?;
            KINDS.contains(&kind).then_some(name)
        });
        let expected = match nearest(name, known) {
            Some(meant) => format!("names of programs; did you mean {meant}?"),
            None => "names of programs".to_owned(),
        };
        reader.refuse(scope, "programs", &words, &expected);
    }
    section
}

/// The group that a program-like section is by itself.
fn group_of_its_own<'a>(
    reader: &mut Reader<'a>,
    section: &'a Section,
    inherited: &Inherited,
) -> Option<GroupConfig> {
    let Program {
        name,
        kind,
        priority,
        processes,
    } = programs::program(reader, section, Place::Alone, inherited)?;
    Some(GroupConfig {
        name,
        priority,
        kind,
        processes,
    })
}

/// Of two processes with one name in a group only the last is ever used, as Supervisor does it.
fn drop_twins(reader: &mut Reader<'_>, origin: Origin, group: &mut GroupConfig) {
    let mut names = BTreeSet::new();
    let mut lasts = Vec::new();
    for process in group.processes.drain(..).rev() {
        if names.insert(process.name.clone()) {
            lasts.push(process);
            continue;
        }
        let message = format!(
            "two processes of group '{}' are named '{}': only the last one is used",
            group.name, process.name
        );
        let file = &reader.document.file(origin).name;
        let warning = Diagnostic::warning(message).at(file, origin.line);
        reader.diagnostics.push(warning);
    }
    lasts.reverse();
    group.processes = lasts;
}

/// Of two groups with one name only the first is ever used, as Supervisor does it: those, and the
/// others. A file that has them works today, so this is no error, but it is worth a warning.
fn without_twins(
    reader: &mut Reader<'_>,
    groups: Vec<(Origin, GroupConfig)>,
) -> (Vec<GroupConfig>, Vec<GroupConfig>) {
    let mut names = BTreeSet::new();
    let mut firsts = Vec::new();
    let mut twins = Vec::new();
    for (origin, group) in groups {
        if names.insert(group.name.clone()) {
            firsts.push(group);
            continue;
        }
        let message = format!(
            "two groups are named '{0}': only the first one (priority, then [group:{0}]) is used",
            group.name
        );
        let file = &reader.document.file(origin).name;
        let warning = Diagnostic::warning(message).at(file, origin.line);
        reader.diagnostics.push(warning);
        twins.push(group);
    }
    (firsts, twins)
}
