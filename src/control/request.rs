//! A request line, read into what it asks for.
//!
//! Must never: do what is asked; the session and the daemon's turn do that.

use crate::fleet::Selector;

use super::arguments::Arguments;
use super::codes::{Code, Trouble};
use super::question::Ask;
use super::since::Since;
use super::verb::Verb;
use super::verbs::find;
use super::word::split_words;
use crate::logs::Mark;

/// Bytes from the end of a log that `tail` sends unless told otherwise (Supervisor's number).
pub const TAIL_BYTES: u64 = 1600;

/// Bytes from the end of a log that `tail -f` begins with (Supervisor's number).
pub const FOLLOW_BYTES: u64 = 1024;

/// Lines of each log that `logs -f` begins with.
pub const FOLLOW_LINES: u64 = 10;

/// Most last lines of a log that can be asked for, since their places are held in memory.
pub const LINES_MAX: u64 = 100_000;

/// A request line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The daemon's turn answers.
    Ask(Ask),
    /// `pid SELECTOR…`: the pids out of the status of these.
    PidOf(Vec<Selector>),
    /// `tail` and `maintail`: the session reads the file.
    Tail(Tail),
    /// `logs`: the session reads the files.
    Logs(Logs),
    /// `events`: the session reads them by number.
    Events {
        /// Go on with what happens from now on.
        follow: bool,
        /// Only what followed this number.
        since: Option<u64>,
    },
    /// Who are you? With the version the client wants to speak.
    Hello(Option<u32>),
    /// The table, or one row of it.
    Help(Option<&'static str>),
    /// Close the connection.
    Quit,
}

/// What to send of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// Asks the turn for the file.
    pub ask: Ask,
    /// Name of the raw blocks: `stdout`, `stderr` or `main`.
    pub block: &'static str,
    /// Go on with what is written from now on.
    pub follow: bool,
    /// Begin here instead of at a distance from the end.
    pub from: Option<u64>,
    /// At most this many bytes, counted from the end unless `from` is given.
    pub bytes: Option<u64>,
}

/// What to send of several logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// Whose; none: everybody's.
    pub selectors: Vec<Selector>,
    /// Go on with what is written from now on.
    pub follow: bool,
    /// Only so many of the last lines of each.
    pub last: Option<u64>,
    /// Only lines written since then.
    pub since: Option<Since>,
    /// Where to go on in some of them, by the names of their blocks.
    pub at: Vec<(String, Mark)>,
    /// Only lines in which this is found; a regular expression that was found to be one.
    pub pattern: Option<String>,
}

impl Tail {
    /// The part of a file of this size that is sent at once: from its first to before its last
    /// offset. What is followed begins at the last.
    pub fn window(&self, size: u64) -> (u64, u64) {
        let default = if self.follow {
            FOLLOW_BYTES
        } else {
            TAIL_BYTES
        };
        match self.from {
            None => (size.saturating_sub(self.bytes.unwrap_or(default)), size),
            Some(from) => {
                let from = from.min(size);
                let most = self.bytes.unwrap_or(u64::MAX);
                (from, from.saturating_add(most).min(size))
            }
        }
    }
}

/// Reads a request line. `Ok(None)` is a blank line. The verb is told as well, for its rights.
pub fn read(line: &str) -> Result<Option<(&'static Verb, Request)>, Trouble> {
    let words =
        split_words(line).map_err(|error| Trouble::new(Code::BadArguments, error.to_string()))?;
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        return Ok(None);
    };
    let verb = find(&name)?;
    let mut arguments = Arguments::new(verb, words)?;
    let request = (verb.read)(&mut arguments)?;
    if arguments.next().is_some() {
        return Err(arguments.misuse("too many arguments"));
    }
    Ok(Some((verb, request)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Signal;
    use crate::control::verb::Rights;
    use crate::control::verbs::VERBS;
    use crate::control::word::tests::text;
    use crate::control::{Channel, Following};
    use crate::fleet::ProcessName;
    use proptest::prelude::*;

    fn name(group: &str, process: &str) -> ProcessName {
        ProcessName {
            group: group.into(),
            process: process.into(),
        }
    }

    fn web() -> Vec<Selector> {
        vec![Selector::Process(name("web", "web"))]
    }

    fn tail(ask: Ask, block: &'static str) -> Tail {
        Tail {
            ask,
            block,
            follow: false,
            from: None,
            bytes: None,
        }
    }

    fn following(groups: &[&str], whole_groups: bool) -> Following {
        Following {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            whole_groups,
        }
    }

    #[test]
    fn every_verb_is_read() {
        let stdout = || Ask::LogOf {
            name: name("web", "web"),
            channel: Channel::Stdout,
        };
        let stderr = || Ask::LogOf {
            name: name("g", "p"),
            channel: Channel::Stderr,
        };
        let table = [
            ("hello", Request::Hello(None)),
            ("hello 1", Request::Hello(Some(1))),
            ("help", Request::Help(None)),
            ("help start", Request::Help(Some("start"))),
            ("status", Request::Ask(Ask::Status(vec![]))),
            ("status web", Request::Ask(Ask::Status(web()))),
            (
                "start web all",
                Request::Ask(Ask::Start {
                    selectors: vec![web().remove(0), Selector::All],
                    wait: true,
                }),
            ),
            (
                "start --no-wait web",
                Request::Ask(Ask::Start {
                    selectors: web(),
                    wait: false,
                }),
            ),
            (
                "stop --no-wait -- web",
                Request::Ask(Ask::Stop {
                    selectors: web(),
                    wait: false,
                }),
            ),
            (
                "stop -- -f",
                Request::Ask(Ask::Stop {
                    selectors: vec![Selector::Process(name("-f", "-f"))],
                    wait: true,
                }),
            ),
            ("restart web", Request::Ask(Ask::Restart(web()))),
            (
                "signal usr1 web",
                Request::Ask(Ask::Signal {
                    signal: Signal(10),
                    selectors: web(),
                }),
            ),
            ("pid", Request::Ask(Ask::Pid)),
            ("pid web", Request::PidOf(web())),
            ("avail", Request::Ask(Ask::Avail)),
            ("reread", Request::Ask(Ask::Reread)),
            ("update", Request::Ask(Ask::Update(following(&[], false)))),
            (
                "update all",
                Request::Ask(Ask::Update(following(&[], false))),
            ),
            (
                "update a b",
                Request::Ask(Ask::Update(following(&["a", "b"], false))),
            ),
            (
                "update --whole-groups a",
                Request::Ask(Ask::Update(following(&["a"], true))),
            ),
            ("plan", Request::Ask(Ask::Plan(following(&[], false)))),
            ("add 'a b'", Request::Ask(Ask::Add(vec!["a b".into()]))),
            ("remove a", Request::Ask(Ask::Remove(vec!["a".into()]))),
            ("reload", Request::Ask(Ask::Reload)),
            ("reload --all", Request::Ask(Ask::StartOver)),
            ("upgrade", Request::Ask(Ask::Upgrade(None))),
            ("upgrade /a", Request::Ask(Ask::Upgrade(Some("/a".into())))),
            ("shutdown", Request::Ask(Ask::Shutdown)),
            ("version", Request::Ask(Ask::Version)),
            ("clear web", Request::Ask(Ask::Clear(web()))),
            ("clearmain", Request::Ask(Ask::ClearMain)),
            ("rotatemain", Request::Ask(Ask::RotateMain)),
            (
                "logs",
                Request::Logs(Logs {
                    selectors: vec![],
                    follow: false,
                    last: None,
                    since: None,
                    at: vec![],
                    pattern: None,
                }),
            ),
            (
                "logs -f --since 10m --grep 'a b' --at web/stdout=7:99 web",
                Request::Logs(Logs {
                    selectors: web(),
                    follow: true,
                    last: None,
                    since: Some(Since::Ago(600_000_000)),
                    at: vec![(
                        "web/stdout".into(),
                        Mark {
                            inode: 7,
                            offset: 99,
                        },
                    )],
                    pattern: Some("a b".into()),
                }),
            ),
            ("tail web", Request::Tail(tail(stdout(), "stdout"))),
            (
                "tail -f -c 10 --from 7 g:p STDERR",
                Request::Tail(Tail {
                    follow: true,
                    bytes: Some(10),
                    from: Some(7),
                    ..tail(stderr(), "stderr")
                }),
            ),
            ("maintail", Request::Tail(tail(Ask::MainLog, "main"))),
            ("history", Request::Ask(Ask::History(vec![]))),
            ("history web", Request::Ask(Ask::History(web()))),
            (
                "enable web",
                Request::Ask(Ask::Enable {
                    enabled: true,
                    selectors: web(),
                }),
            ),
            (
                "disable web",
                Request::Ask(Ask::Enable {
                    enabled: false,
                    selectors: web(),
                }),
            ),
            ("reopen", Request::Ask(Ask::Reopen)),
            ("rotate web", Request::Ask(Ask::Rotate(web()))),
            (
                r#"stdin web "a b\n""#,
                Request::Ask(Ask::Stdin {
                    name: name("web", "web"),
                    bytes: b"a b\n".to_vec(),
                }),
            ),
            (
                "events",
                Request::Events {
                    follow: false,
                    since: None,
                },
            ),
            (
                "events -f --since 7",
                Request::Events {
                    follow: true,
                    since: Some(7),
                },
            ),
            ("quit", Request::Quit),
        ];
        for (line, expected) in &table {
            let (verb, request) = read(line).unwrap().unwrap();
            assert_eq!(&request, expected, "{line}");
            assert!(line.starts_with(verb.name), "{line}");
        }
        for verb in VERBS {
            let tested = table.iter().any(|(line, _)| line.starts_with(verb.name));
            assert!(tested, "{} is in the table but in no test", verb.name);
        }
        assert_eq!(read(" \t").unwrap().map(|(verb, _)| verb.name), None);
    }

    #[test]
    fn wrong_lines_say_what_is_wrong() {
        let table = [
            ("stat", "unknown-verb", "did you mean status?"),
            ("Start web", "unknown-verb", "did you mean start?"),
            ("strat web", "unknown-verb", "did you mean start?"),
            (
                "xyzzy",
                "unknown-verb",
                "no verb is called xyzzy; help lists them",
            ),
            (
                "'' a",
                "unknown-verb",
                "no verb is called \"\"; help lists them",
            ),
            ("help hlep", "unknown-verb", "did you mean help?"),
            (
                "start",
                "bad-arguments",
                "no process is named; usage: start [--no-wait] SELECTOR…",
            ),
            (
                "start --nowait web",
                "bad-arguments",
                "there is no option --nowait; usage: start",
            ),
            ("start ''", "bad-arguments", "\"\" names nothing"),
            (
                "start 'web",
                "bad-arguments",
                "the quote at column 7 is never closed",
            ),
            ("signal", "bad-arguments", "SIGNAL is missing"),
            ("signal NONE web", "bad-signal", "no signal is called NONE"),
            ("signal HUP", "bad-arguments", "no process is named"),
            (
                "version 2",
                "bad-arguments",
                "too many arguments; usage: version",
            ),
            ("hello one", "bad-arguments", "VERSION is not a number"),
            ("add", "bad-arguments", "no group is named"),
            ("logs -n x", "bad-arguments", "-n LINES is not a number"),
            ("logs -n 100001", "bad-arguments", "LINES is at most 100000"),
            ("logs --since soon", "bad-arguments", "soon is no time"),
            (
                "logs --grep '('",
                "bad-arguments",
                "PATTERN is no regular expression",
            ),
            ("logs --at web", "bad-arguments", "web is no PLACE"),
            ("tail", "bad-arguments", "NAME is missing"),
            (
                "tail g:*",
                "bad-arguments",
                "g:* names a group; name one process",
            ),
            (
                "tail web stdin",
                "bad-arguments",
                "the output is `stdout` or `stderr`",
            ),
            ("tail -c", "bad-arguments", "-c is not followed by BYTES"),
            (
                "tail -c -1 web",
                "bad-arguments",
                "-c BYTES is not a number",
            ),
            (
                "tail --from x web",
                "bad-arguments",
                "--from OFFSET is not a number",
            ),
            (
                "events --since x",
                "bad-arguments",
                "--since SEQUENCE is not a number; usage: events [-f] [--since SEQUENCE]",
            ),
            (
                "stdin web a b",
                "bad-arguments",
                "too many arguments; usage: stdin NAME TEXT",
            ),
            ("stdin web", "bad-arguments", "TEXT is missing"),
            (
                "\u{1b}[2J",
                "bad-arguments",
                "a control character at column 1",
            ),
        ];
        for (line, code, text) in table {
            let trouble = read(line).map(|_| ()).unwrap_err();
            assert_eq!(trouble.code.name(), code, "{line}");
            assert!(trouble.text.contains(text), "{line}: {}", trouble.text);
        }
        for line in ["x", "signal ", "start --", "help "] {
            let long = format!("{line}{}", "x".repeat(60_000));
            let text = read(&long).map(|_| ()).unwrap_err().text;
            assert!(text.len() < 200, "{text}");
        }
    }

    #[test]
    fn whatever_changes_something_needs_control() {
        let observing: Vec<_> = VERBS
            .iter()
            .filter(|verb| verb.rights == Rights::Observe)
            .map(|verb| verb.name)
            .collect();
        let expected = "hello help status pid avail version logs tail maintail history events quit";
        assert_eq!(observing.join(" "), expected);
    }

    #[test]
    fn windows_of_a_log() {
        // (follow, from, bytes, size) and the part that is sent.
        let table = [
            ((false, None, None, 10_000), (8_400, 10_000)),
            ((false, None, None, 100), (0, 100)),
            ((true, None, None, 10_000), (8_976, 10_000)),
            ((true, None, Some(0), 10_000), (10_000, 10_000)),
            ((false, Some(0), None, 10_000), (0, 10_000)),
            ((false, Some(7), Some(5), 10_000), (7, 12)),
            ((true, Some(9_000), None, 10_000), (9_000, 10_000)),
            ((false, Some(20_000), Some(5), 10_000), (10_000, 10_000)),
            ((false, Some(u64::MAX), Some(u64::MAX), 9), (9, 9)),
            ((false, None, Some(u64::MAX), 9), (0, 9)),
        ];
        for ((follow, from, bytes, size), window) in table {
            let tail = Tail {
                follow,
                from,
                bytes,
                ..tail(Ask::MainLog, "main")
            };
            assert_eq!(tail.window(size), window, "{tail:?} of {size}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_the_parser_panic(
            verb in prop::sample::select(VERBS.iter().map(|verb| verb.name).collect::<Vec<_>>()),
            words in "[-a-z0-9:*? '\"]{0,20}",
            any in text(),
        ) {
            let _ = read(&format!("{verb} {words}"));
            let _ = read(&format!("{verb} {any}"));
            let _ = read(&any);
        }
    }
}
