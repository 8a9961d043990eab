//! The environment of a program. Pure.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::tree::TREE_VARIABLE;
use crate::config::LaunchConfig;
use crate::fleet::ProcessName;
use crate::ordered;

/// Tells a process of ours its role; no program ever sees it.
pub(crate) const ROLE_VARIABLE: &str = "APPCTL_ROLE";

/// What no program sees of our environment: what is between us and our own processes, and between
/// us and systemd, whose service a program would otherwise speak for.
const WITHHELD: [&str; 4] = [
    ROLE_VARIABLE,
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
];

/// What of our environment is for programs.
pub(super) fn for_programs(
    ours: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let withheld = |key: &OsString| WITHHELD.iter().any(|withheld| key == withheld);
    let ours = ours.into_iter();
    ours.filter(|(key, _)| !withheld(key)).collect()
}

/// What a program gets; later wins: the daemon's own environment, Supervisor's variables, the
/// configured ones, the mark of its tree. `HOME`, `USER` and `LOGNAME` stay as they are whatever `user=` says
/// (Supervisor's rule).
pub(super) fn of_program<'a>(
    ours: &'a [(OsString, OsString)],
    name: &'a ProcessName,
    config: &'a LaunchConfig,
    token: Option<&'a str>,
) -> BTreeMap<&'a OsStr, &'a OsStr> {
    let url = config.serverurl.as_ref().or(config.first_server.as_ref());
    let supervisors = [
        ("SUPERVISOR_ENABLED", Some("1")),
        ("SUPERVISOR_SERVER_URL", url.map(String::as_str)),
        ("SUPERVISOR_PROCESS_NAME", Some(name.process.as_str())),
        ("SUPERVISOR_GROUP_NAME", Some(name.group.as_str())),
    ];
    let supervisors = supervisors.map(|(key, value)| Some((key, value?)));
    let configured = config.environment.iter();
    let configured = configured.map(|(key, value)| (key.as_str(), value.as_str()));
    let token = token.map(|token| (TREE_VARIABLE, token));
    let added = supervisors.into_iter().flatten();
    let added = added.chain(configured).chain(token);
    let added = added.map(|(key, value)| (OsStr::new(key), OsStr::new(value)));
    let ours = ours.iter();
    let ours = ours.map(|(key, value)| (key.as_os_str(), value.as_os_str()));
    ordered::map(ours.chain(added))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::spawn::tests::launch_config;

    fn environment(
        ours: &[(&str, &str)],
        configured: &[(&str, &str)],
        url: Option<&str>,
    ) -> String {
        let own = |(key, value): &(&str, &str)| (OsString::from(*key), OsString::from(*value));
        let mut config = launch_config("true");
        config.serverurl = url.map(str::to_owned);
        config.environment = configured
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let name = ProcessName {
            group: "web".to_owned(),
            process: "web_01".to_owned(),
        };
        let ours = for_programs(ours.iter().map(own));
        let lines: Vec<String> = of_program(&ours, &name, &config, None)
            .iter()
            .map(|(key, value)| format!("{}={}", key.display(), value.display()))
            .collect();
        lines.join(" ")
    }

    #[test]
    fn later_wins() {
        assert_eq!(
            environment(
                &[("A", "ours"), ("B", "ours")],
                &[("B", "conf")],
                Some("unix:///s")
            ),
            "A=ours B=conf SUPERVISOR_ENABLED=1 SUPERVISOR_GROUP_NAME=web \
             SUPERVISOR_PROCESS_NAME=web_01 SUPERVISOR_SERVER_URL=unix:///s"
        );
        // The configuration may override Supervisor's variables too.
        assert_eq!(
            environment(
                &[("SUPERVISOR_ENABLED", "0")],
                &[("SUPERVISOR_GROUP_NAME", "x")],
                None
            ),
            "SUPERVISOR_ENABLED=1 SUPERVISOR_GROUP_NAME=x SUPERVISOR_PROCESS_NAME=web_01"
        );
    }

    #[test]
    fn our_role_is_not_inherited() {
        let text = environment(&[("APPCTL_ROLE", "brain:3"), ("APPCTL_X", "1")], &[], None);
        assert!(text.starts_with("APPCTL_X=1 SUPERVISOR_"), "{text}");
    }
}
