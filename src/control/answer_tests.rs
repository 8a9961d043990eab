//! Tests of `answer.rs`.

use super::*;
use crate::control::Failure;
use crate::control::word::tests::text;
use crate::fleet::{Refusal, Report, SpawnFailure, SpawnFailureKind};
use proptest::prelude::*;

fn name(group: &str, process: &str) -> ProcessName {
    ProcessName {
        group: group.into(),
        process: process.into(),
    }
}

fn view(name: ProcessName) -> ProcessView {
    ProcessView {
        name,
        state: State::Running,
        description: "pid 12, uptime 0:01:02".into(),
        pid: 12,
        start: 1_700_000_000,
        stop: 0,
        now: 1_700_000_062,
        uptime: 62,
        exit_status: 0,
        ended: String::new(),
        spawn_error: String::new(),
        stdout_logfile: "/var/log/web.log".into(),
        stderr_logfile: String::new(),
        log_trouble: String::new(),
        left_behind: String::new(),
        disabled: false,
    }
}

fn report(subject: &str, result: Result<Done, Refusal>) -> Answer {
    Answer::Report(Report {
        subject: subject.into(),
        result,
    })
}

#[test]
fn rows_are_written_as_documented() {
    let spawn = Refusal::SpawnFailed(SpawnFailure {
        kind: SpawnFailureKind::NoFile,
        text: "can't find command '/nowhere'".into(),
    });
    let table = [
        (
            Answer::Process(Box::new(view(name("web", "app 0")))),
            "- \"web:app 0\" RUNNING pid=12 uptime=62 description=\"pid 12, uptime 0:01:02\" \
             start=1700000000 now=1700000062 stdout_logfile=/var/log/web.log group=web",
        ),
        (report("web", Ok(Done::Started)), "- web started"),
        (report("web:*", Ok(Done::Removed)), "- web:* removed"),
        (
            report("web", Err(Refusal::NotRunning)),
            "- web error code=not-running text=\"it is not running\"",
        ),
        (
            report("web", Err(spawn)),
            "- web error code=no-file text=\"can't find command '/nowhere'\"",
        ),
        (
            Answer::LogReport {
                name: name("web", "web"),
                result: Ok(LogDone::Cleared),
            },
            "- web cleared",
        ),
        (
            Answer::LogReport {
                name: name("g", "p"),
                result: Err(Failure::Other("disk full".into())),
            },
            "- g:p error code=failed text=\"disk full\"",
        ),
        (
            Answer::Available(AvailView {
                name: name("web", "web"),
                in_use: true,
                autostart: false,
                group_priority: -1,
                process_priority: 999,
            }),
            "- web in-use manual group_priority=-1 process_priority=999 group=web",
        ),
        (
            Answer::Difference {
                group: "web".into(),
                kind: DifferenceKind::Changed,
            },
            "- web changed",
        ),
        (Answer::Value("4711".into()), "- 4711"),
        (
            Answer::Diagnostic("a.conf:3: no such option".into()),
            "- diagnostic=\"a.conf:3: no such option\"",
        ),
    ];
    for (answer, line) in table {
        assert_eq!(row_line(row(&answer).unwrap()), line);
    }
    assert_eq!(row(&Answer::Done), None);
}

#[test]
fn final_lines_tell_whether_all_was_done() {
    let ok = || report("a", Ok(Done::Started));
    let bad = || report("b", Err(Refusal::AlreadyStarted));
    let process = || Answer::Process(Box::new(view(name("a", "a"))));
    let table = [
        (vec![], "ok"),
        (vec![ok()], "ok"),
        (vec![process(), process()], "ok"),
        (vec![bad()], "err already-started b: it is started already"),
        (vec![ok(), bad()], "err partial 1 of 2 not done"),
        (vec![process(), bad()], "err partial 1 of 2 not done"),
        (vec![bad(), bad()], "err failed none of 2 could be done"),
        (vec![Answer::Value("1".into())], "ok"),
    ];
    for (answers, line) in table {
        let mut tally = Tally::default();
        answers.iter().for_each(|answer| tally.note(answer));
        assert_eq!(tally.line().to_string(), line, "{answers:?}");
    }
}

#[test]
fn odd_rows_are_refused() {
    let rows = [
        "web",
        "web RUNNING",
        "web FLYING group=web",
        "web RUNNING pid=x group=web",
        "web RUNNING group=other",
        "webber RUNNING group=web",
        "web RUNNING pid=99999999999999 group=web",
    ];
    for line in rows {
        let row: Row = line.parse().unwrap();
        assert!(ProcessView::try_from(&row).is_err(), "{line}");
    }
    let row: Row = "web STARTING".parse().unwrap();
    assert!(Facts::try_from(&row).is_err());
    assert!(AvailView::try_from(&row).is_err());
    assert!(difference(&row).is_err());
    assert!(Outcome::try_from(&Row::default()).is_err());
}

#[test]
fn outcomes_are_read_back() {
    let answers = [
        (report("web", Ok(Done::Started)), Ok("started".to_owned())),
        (
            report("web", Err(Refusal::NoSuchGroup)),
            Err(("no-such-group".into(), "no group has that name".into())),
        ),
    ];
    for (answer, result) in answers {
        let row = row(&answer).unwrap();
        let subject = "web".to_owned();
        assert_eq!(Outcome::try_from(&row), Ok(Outcome { subject, result }));
    }
    let row = Row::of(["web", "disappeared"]);
    let expected = ("web".to_owned(), DifferenceKind::Disappeared);
    assert_eq!(difference(&row), Ok(expected));
}

#[test]
fn no_row_is_longer_than_a_line() {
    let worst = "\u{1b}".repeat(100_000);
    let mut view = view(name(&worst, &worst));
    for text in [
        &mut view.description,
        &mut view.spawn_error,
        &mut view.stdout_logfile,
        &mut view.stderr_logfile,
        &mut view.log_trouble,
        &mut view.left_behind,
    ] {
        text.clone_from(&worst);
    }
    let line = row_line(row(&Answer::Process(Box::new(view))).unwrap());
    assert!(line.len() <= LINE_MAX, "{}", line.len());
    let row: AnswerLine = line.parse().unwrap();
    assert!(matches!(row, AnswerLine::Row(row) if row.words[1] == "RUNNING"));
    let err = trouble_line(&Trouble::new(Code::Failed, worst)).to_string();
    assert!(err.len() <= LINE_MAX);
}

fn state() -> impl Strategy<Value = State> {
    prop::sample::select(vec![State::Running, State::Fatal, State::Unknown])
}

/// A group's name has no colon; a process's may.
fn process_name() -> impl Strategy<Value = ProcessName> {
    ("[a-z=\" ]{1,8}", "[a-z:\\\\ ]{1,8}").prop_map(|(group, process)| name(&group, &process))
}

proptest! {
    #[test]
    fn views_come_back_as_they_were(
        name in process_name(),
        (from, to) in (state(), state()),
        texts in prop::collection::vec(text(), 6),
        (pid, exit_status, uptime) in any::<(i32, i32, u64)>(),
        (start, stop, now) in any::<(i64, i64, i64)>(),
        (in_use, autostart) in any::<(bool, bool)>(),
    ) {
        let read = |answer: &Answer| {
            let line = row_line(row(answer).unwrap());
            let AnswerLine::Row(row) = line.parse().unwrap() else { panic!("{line}") };
            row
        };
        let [description, spawn_error, stdout_logfile, stderr_logfile, log_trouble, left_behind] =
            texts.clone().try_into().unwrap();
        let view = ProcessView {
            name: name.clone(), state: to, description, pid, start, stop, now, uptime,
            exit_status, ended: spawn_error.clone(), spawn_error, stdout_logfile, stderr_logfile,
            log_trouble, left_behind, disabled: autostart,
        };
        let answer = Answer::Process(Box::new(view.clone()));
        prop_assert_eq!(ProcessView::try_from(&read(&answer)), Ok(view));
        let [why, data, kind, ..] = <[String; 6]>::try_from(texts.clone()).unwrap();
        let some = |text: String| (!text.is_empty()).then_some(text);
        let facts = Facts {
            sequence: uptime, time: now, event: "TICK_5".into(), name: Some(name.to_string()),
            group: Some(name.group.clone()), from: Some(from.to_string()), to: Some(to.to_string()),
            pid: Some(pid).filter(|pid| *pid != 0), tries: None, expected: Some(autostart),
            why: some(why), channel: None, kind: some(kind), when: Some(start).filter(|it| *it != 0),
            data: some(data),
        };
        let line = row_line(event_row(&facts));
        let AnswerLine::Row(row) = line.parse().unwrap() else { panic!("{line}") };
        prop_assert_eq!(Facts::try_from(&row), Ok(facts));
        let view = AvailView {
            name, in_use, autostart, group_priority: start, process_priority: stop,
        };
        let answer = Answer::Available(view.clone());
        prop_assert_eq!(AvailView::try_from(&read(&answer)), Ok(view));
    }
}

#[test]
fn a_plan_is_read_back() {
    let planned_row = row(&Answer::Planned {
        subject: "g:a".to_owned(),
        deed: Deed::Restart,
    });
    let planned_row = planned_row.unwrap();
    let expected = Some(("g:a".to_owned(), "restart".to_owned()));
    assert_eq!(planned(&planned_row), expected);
    assert!(Outcome::try_from(&planned_row).is_err());
    let view = OptionView {
        subject: "g:a".to_owned(),
        option: "environment A".to_owned(),
        old: "\"1 2\"".to_owned(),
        new: String::new(),
        place: "/etc/c.conf:7".to_owned(),
    };
    let option_row = row(&Answer::Different(view.clone())).unwrap();
    assert_eq!(OptionView::try_from(&option_row), Ok(view));
    assert_eq!(planned(&option_row), None);
}
