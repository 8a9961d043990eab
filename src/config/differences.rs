//! What differs between the groups in force and the groups of a configuration just read. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::model::GroupConfig;
use super::revision::{self, OptionChange};
use crate::ordered;

/// Groups that differ, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Only in the configuration read.
    pub added: BTreeMap<String, GroupConfig>,
    /// In both and not the same: as in the configuration read.
    pub changed: BTreeMap<String, GroupConfig>,
    /// Only in force.
    pub removed: Vec<String>,
}

impl Differences {
    /// Compares every field that a person can set. Costs as much as there are groups.
    pub fn between(in_force: &BTreeMap<String, GroupConfig>, read: &[GroupConfig]) -> Differences {
        let mut differences = Differences::default();
        let mut wanted = BTreeSet::new();
        for group in read {
            wanted.insert(group.name.as_str());
            let kind = match in_force.get(&group.name) {
                None => &mut differences.added,
                Some(present) if present != group => &mut differences.changed,
                Some(_) => continue,
            };
            kind.insert(group.name.clone(), group.clone());
        }
        let gone = in_force
            .keys()
            .filter(|name| !wanted.contains(name.as_str()));
        differences.removed = gone.cloned().collect();
        differences
    }

    /// What is different in each process that is in both forms of a group, by name; `None` if the
    /// group can only be replaced as a whole, because its processes share what has changed.
    pub fn by_process(
        old: &GroupConfig,
        new: &GroupConfig,
    ) -> Option<BTreeMap<String, Vec<OptionChange>>> {
        if old.kind != new.kind {
            return None;
        }
        let before = ordered::map(old.processes.iter().map(|one| (&one.name, one)));
        let both = new.processes.iter().filter_map(|after| {
            let changes = revision::between(before.get(&after.name)?, after);
            (!changes.is_empty()).then(|| (after.name.clone(), changes))
        });
        Some(ordered::map(both))
    }

    /// Forgets all groups but these.
    pub fn keep_only(&mut self, names: &[String]) {
        self.added.retain(|name, _| names.contains(name));
        self.changed.retain(|name, _| names.contains(name));
        self.removed.retain(|name| names.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FakeHost, Source, load};

    fn groups(programs: &str) -> Vec<GroupConfig> {
        let text = format!("[supervisord]\n{programs}");
        let host = FakeHost::new().with_file("/etc/c.conf", text);
        let source = Source {
            single: None,
            file: Some("/etc/c.conf".into()),
            overrides: Default::default(),
        };
        load(&host, &source).unwrap().config.groups
    }

    /// `+added ~changed -removed`.
    fn shown(differences: &Differences) -> String {
        let Differences {
            added,
            changed,
            removed,
        } = differences;
        let added = added.keys().map(|name| format!("+{name}"));
        let changed = changed.keys().map(|name| format!("~{name}"));
        let removed = removed.iter().map(|name| format!("-{name}"));
        let all: Vec<String> = added.chain(changed).chain(removed).collect();
        all.join(" ")
    }

    fn between(before: &str, after: &str) -> Differences {
        let in_force = groups(before)
            .into_iter()
            .map(|group| (group.name.clone(), group))
            .collect();
        Differences::between(&in_force, &groups(after))
    }

    #[test]
    fn what_differs_is_told_by_group() {
        const A: &str = "[program:a]\ncommand=/bin/a\n";
        const B: &str = "[program:b]\ncommand=/bin/b\n";
        const GROUP: &str = "[group:g]\nprograms=a,b\n";
        let table = [
            ("", "", ""),
            (A, A, ""),
            ("", A, "+a"),
            (A, "", "-a"),
            (A, B, "+b -a"),
            (A, "[program:a]\ncommand=/bin/a -x\n", "~a"),
            // Written otherwise, the same.
            (
                A,
                "; a comment\n[program:a]\nautostart = true\ncommand=/bin/a\n",
                "",
            ),
            (A, "[program:a]\ncommand=/bin/a\nstopwaitsecs=11\n", "~a"),
            (
                A,
                "[program:a]\ncommand=/bin/a\nenvironment=X=\"1\"\n",
                "~a",
            ),
            (A, "[program:a]\ncommand=/bin/a\npriority=5\n", "~a"),
        ];
        for (before, after, expected) in table {
            assert_eq!(shown(&between(before, after)), expected, "{before}{after}");
        }
        let both = format!("{A}{B}");
        assert_eq!(
            shown(&between(&both, &format!("{both}{GROUP}"))),
            "+g -a -b"
        );
        assert_eq!(
            shown(&between(
                &format!("{both}{GROUP}"),
                &format!("{both}[group:g]\nprograms=a\n")
            )),
            "+b ~g"
        );
    }

    #[test]
    fn only_the_named_groups_are_kept() {
        let mut differences = between(
            "[program:a]\ncommand=/bin/a\n[program:b]\ncommand=/bin/b\n[program:x]\ncommand=/bin/x\n",
            "[program:a]\ncommand=/bin/c\n[program:c]\ncommand=/bin/c\n[program:d]\ncommand=/bin/d\n",
        );
        assert_eq!(shown(&differences), "+c +d ~a -b -x");
        differences.keep_only(&["a".to_owned(), "d".to_owned(), "x".to_owned()]);
        assert_eq!(shown(&differences), "+d ~a -x");
    }
}
