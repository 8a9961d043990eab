//! Configuration files, which people and programs write.

use std::collections::BTreeMap;

use appctl::config::{Differences, FakeHost, Severity, Source, load, load_supervisorctl};

/// A file is read or refused with reasons that have a place in it; read twice it is the same.
pub fn check(data: &[u8]) {
    let host = FakeHost::new().with_file("/work/supervisord.conf", data);
    let source = Source {
        file: Some("/work/supervisord.conf".into()),
        overrides: Vec::new(),
        single: None,
    };
    match load(&host, &source) {
        Err(diagnostics) => {
            assert!(diagnostics.error_count() > 0, "refused without a reason");
            let all = diagnostics.into_vec();
            let worst = all.iter().filter(|one| one.severity == Severity::Error);
            for error in worst {
                assert!(!error.message.is_empty());
                assert!(!error.to_string().contains('\0') || data.contains(&0));
            }
        }
        Ok(loaded) => {
            let again = load(&host, &source).expect("what was read once can be read twice");
            assert_eq!(loaded.config, again.config);
            let groups = loaded.config.groups.iter();
            let in_force: BTreeMap<_, _> = groups
                .map(|group| (group.name.clone(), group.clone()))
                .collect();
            let none = Differences::between(&in_force, &again.config.groups);
            assert_eq!(none, Differences::default());
        }
    }
    let _ = load_supervisorctl(&host, source.file.as_deref());
}
