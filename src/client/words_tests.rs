//! The sentences and exit statuses, by table.

use super::*;

fn because(code: Code) -> Refused {
    Refused::new(code.name(), code.meaning())
}

#[test]
fn refusals_have_supervisors_words_and_exit_statuses() {
    let table = [
        (
            Deed::Start,
            "a",
            Code::NoSuchProcess,
            "a: ERROR (no such process)",
            1,
        ),
        (
            Deed::Start,
            "g:*",
            Code::NoSuchGroup,
            "g: ERROR (no such group)",
            2,
        ),
        (
            Deed::Stop,
            "g:",
            Code::NoSuchGroup,
            "g: ERROR (no such group)",
            1,
        ),
        (
            Deed::Start,
            "a:a",
            Code::NoFile,
            "a: ERROR (no such file)",
            1,
        ),
        (
            Deed::Start,
            "g:a",
            Code::NotExecutable,
            "g:a: ERROR (file is not executable)",
            1,
        ),
        (
            Deed::Start,
            "a",
            Code::AlreadyStarted,
            "a: ERROR (already started)",
            0,
        ),
        (
            Deed::Start,
            "a",
            Code::SpawnError,
            "a: ERROR (spawn error)",
            7,
        ),
        (
            Deed::Start,
            "a",
            Code::AbnormalTermination,
            "a: ERROR (abnormal termination)",
            7,
        ),
        (
            Deed::Stop,
            "a",
            Code::NotRunning,
            "a: ERROR (not running)",
            0,
        ),
        (
            Deed::Signal,
            "a",
            Code::NotRunning,
            "a: ERROR (not running)",
            7,
        ),
        (
            Deed::Signal,
            "a",
            Code::BadSignal,
            "a: ERROR (bad signal name)",
            1,
        ),
        (Deed::Clear, "a", Code::Failed, "a: ERROR (failed)", 1),
        (
            Deed::Stop,
            "a",
            Code::ShuttingDown,
            "error: SHUTDOWN_STATE: the daemon is leaving",
            1,
        ),
    ];
    for (deed, subject, code, text, status) in table {
        let said = refused(deed, subject, &because(code));
        assert_eq!(said, Said::badly(text, status), "{deed:?} {code:?}");
    }
}

#[test]
fn every_refusal_is_said_somehow() {
    for deed in [Deed::Start, Deed::Stop, Deed::Signal, Deed::Clear] {
        for code in Code::ALL {
            assert!(
                refused(deed, "a", &because(code)).text.contains(' '),
                "{deed:?} {code:?}"
            );
        }
    }
}

#[test]
fn a_daemon_out_of_reach_is_told_by_command() {
    let url = "unix:///s";
    let table = [
        ("status", Unreached::NoSuchFile, "unix:///s no such file", 4),
        ("start", Unreached::NoSuchFile, "unix:///s no such file", 7),
        (
            "status",
            Unreached::Refused,
            "unix:///s refused connection",
            4,
        ),
        (
            "reread",
            Unreached::Refused,
            "unix:///s refused connection",
            1,
        ),
        (
            "shutdown",
            Unreached::Refused,
            "ERROR: unix:///s refused connection (already shut down?)",
            1,
        ),
        ("pid", Unreached::Other("why".into()), "error: why", 1),
    ];
    for (command, why, text, status) in table {
        assert_eq!(
            unreached(command, url, &why),
            Said::badly(text, status),
            "{command}"
        );
    }
}

#[test]
fn names_are_shown_as_supervisor_shows_them() {
    assert_eq!(["a:a", "g:a", "a"].map(shown_name), ["a", "g:a", "a"]);
    assert_eq!(
        ["g:*", "g:", "g:a", "g"].map(names_group),
        [true, true, false, false]
    );
}
