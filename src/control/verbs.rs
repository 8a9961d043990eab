//! The verbs: one table with their arguments, rights and help.
//!
//! The parser of a request line, the `help` verb and the reference in docs/protocol.md all come
//! from [`VERBS`]; a verb is added there and nowhere else.

use super::arguments::Arguments;
use super::codes::{Code, Trouble};
use super::question::{Ask, Channel, Following};
use super::request::Request;
use super::selector;
use super::verb::{Rights, Verb, VerbOption};
use super::word::shown;
use crate::config::{Signal, nearest};
use crate::fleet::Selector;

/// The version of the protocol, as `hello` tells it. It grows when an old client could
/// misunderstand an answer, not when verbs or fields are added.
pub const PROTOCOL_VERSION: u32 = 1;

const NO_WAIT: VerbOption = VerbOption {
    name: "--no-wait",
    value: None,
};
pub(super) const FOLLOW: VerbOption = VerbOption {
    name: "-f",
    value: None,
};
pub(super) const BYTES: VerbOption = VerbOption {
    name: "-c",
    value: Some("BYTES"),
};
pub(super) const FROM: VerbOption = VerbOption {
    name: "--from",
    value: Some("OFFSET"),
};
const SINCE_NUMBER: VerbOption = VerbOption {
    name: "--since",
    value: Some("SEQUENCE"),
};
pub(super) const LINES: VerbOption = VerbOption {
    name: "-n",
    value: Some("LINES"),
};
pub(super) const SINCE: VerbOption = VerbOption {
    name: "--since",
    value: Some("TIME"),
};
pub(super) const GREP: VerbOption = VerbOption {
    name: "--grep",
    value: Some("PATTERN"),
};
const WHOLE_GROUPS: VerbOption = VerbOption {
    name: "--whole-groups",
    value: None,
};
pub(super) const AT: VerbOption = VerbOption {
    name: "--at",
    value: Some("PLACE"),
};
const ALL: VerbOption = VerbOption {
    name: "--all",
    value: None,
};

/// The table, in the order of `help`.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "hello",
        options: &[],
        arguments: "[VERSION]",
        rights: Rights::Observe,
        streams: false,
        help: "Tells the version of the protocol and of the daemon. Clients need not send it; \
               one that does gives the version it wants to speak.",
        read: |a| Ok(Request::Hello(a.optional_number("VERSION")?)),
    },
    Verb {
        name: "help",
        options: &[],
        arguments: "[VERB]",
        rights: Rights::Observe,
        streams: false,
        help: "Explains all verbs, or one.",
        read: |a| match a.next() {
            None => Ok(Request::Help(None)),
            Some(word) => Ok(Request::Help(Some(find(&word)?.name))),
        },
    },
    Verb {
        name: "status",
        options: &[],
        arguments: "[SELECTOR…]",
        rights: Rights::Observe,
        streams: false,
        help: "Shows processes as they are; without a selector, all.",
        read: |a| a.selectors().map(|s| Request::Ask(Ask::Status(s))),
    },
    Verb {
        name: "start",
        options: &[NO_WAIT],
        arguments: "SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Starts processes, and answers when each is RUNNING or has failed; with --no-wait, \
               at once.",
        read: |a| {
            let (selectors, wait) = (a.some_selectors()?, !a.has(&NO_WAIT));
            Ok(Request::Ask(Ask::Start { selectors, wait }))
        },
    },
    Verb {
        name: "stop",
        options: &[NO_WAIT],
        arguments: "SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Stops processes, and answers when each has stopped; with --no-wait, at once.",
        read: |a| {
            let (selectors, wait) = (a.some_selectors()?, !a.has(&NO_WAIT));
            Ok(Request::Ask(Ask::Stop { selectors, wait }))
        },
    },
    Verb {
        name: "restart",
        options: &[],
        arguments: "SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Stops those that run, then starts all that are selected.",
        read: |a| a.some_selectors().map(|s| Request::Ask(Ask::Restart(s))),
    },
    Verb {
        name: "signal",
        options: &[],
        arguments: "SIGNAL SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Sends a signal, given by name (HUP, SIGHUP) or number, to processes.",
        read: |a| {
            let word = a.required("SIGNAL")?;
            let signal = Signal::parse(&word).map_err(|_| {
                let text = format!("no signal is called {}", shown(&word));
                Trouble::new(Code::BadSignal, text)
            })?;
            let selectors = a.some_selectors()?;
            Ok(Request::Ask(Ask::Signal { signal, selectors }))
        },
    },
    Verb {
        name: "pid",
        options: &[],
        arguments: "[SELECTOR…]",
        rights: Rights::Observe,
        streams: false,
        help: "Tells the daemon's process id, or those of processes (0: none).",
        read: |a| {
            let selectors = a.selectors()?;
            Ok(match selectors.is_empty() {
                true => Request::Ask(Ask::Pid),
                false => Request::PidOf(selectors),
            })
        },
    },
    Verb {
        name: "avail",
        options: &[],
        arguments: "",
        rights: Rights::Observe,
        streams: false,
        help: "Shows every process of the configuration and whether it is in use.",
        read: |_| Ok(Request::Ask(Ask::Avail)),
    },
    Verb {
        name: "reread",
        options: &[],
        arguments: "",
        rights: Rights::Control,
        streams: false,
        help: "Reads the configuration again and tells which groups differ; changes nothing yet.",
        read: |_| Ok(Request::Ask(Ask::Reread)),
    },
    Verb {
        name: "plan",
        options: &[WHOLE_GROUPS],
        arguments: "[GROUP…]",
        rights: Rights::Control,
        streams: false,
        help: "Reads the configuration and tells what `update` would do to which process, and \
               which options differ; changes nothing.",
        read: |a| Ok(Request::Ask(Ask::Plan(following(a)?))),
    },
    Verb {
        name: "update",
        options: &[WHOLE_GROUPS],
        arguments: "[GROUP…]",
        rights: Rights::Control,
        streams: false,
        help: "Reads the configuration again and follows it, in these groups or in all, process \
               by process; with --whole-groups, a group of which anything differs restarts as a \
               whole.",
        read: |a| Ok(Request::Ask(Ask::Update(following(a)?))),
    },
    Verb {
        name: "add",
        options: &[],
        arguments: "GROUP…",
        rights: Rights::Control,
        streams: false,
        help: "Adds groups of the configuration last read, and starts what is to be autostarted.",
        read: |a| a.some_groups().map(|g| Request::Ask(Ask::Add(g))),
    },
    Verb {
        name: "remove",
        options: &[],
        arguments: "GROUP…",
        rights: Rights::Control,
        streams: false,
        help: "Removes groups whose processes have stopped.",
        read: |a| a.some_groups().map(|g| Request::Ask(Ask::Remove(g))),
    },
    Verb {
        name: "reload",
        options: &[ALL],
        arguments: "",
        rights: Rights::Control,
        streams: false,
        help: "Reads the configuration again and follows it, the daemon's own settings included; \
               what did not change keeps running. With --all: stops everything and starts over.",
        read: |a| {
            Ok(Request::Ask(match a.has(&ALL) {
                true => Ask::StartOver,
                false => Ask::Reload,
            }))
        },
    },
    Verb {
        name: "upgrade",
        options: &[],
        arguments: "[PATH]",
        rights: Rights::Control,
        streams: false,
        help: "Goes on under the binary at this absolute path (unless given: where the daemon's \
               own is), with the same programs and sockets; if that does not serve, under the one \
               it was.",
        read: |a| Ok(Request::Ask(Ask::Upgrade(a.next().map(Into::into)))),
    },
    Verb {
        name: "shutdown",
        options: &[],
        arguments: "",
        rights: Rights::Control,
        streams: false,
        help: "Stops everything and ends the daemon.",
        read: |_| Ok(Request::Ask(Ask::Shutdown)),
    },
    Verb {
        name: "version",
        options: &[],
        arguments: "",
        rights: Rights::Observe,
        streams: false,
        help: "Tells the version of the daemon.",
        read: |_| Ok(Request::Ask(Ask::Version)),
    },
    Verb {
        name: "clear",
        options: &[],
        arguments: "SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Deletes the current log files of processes and begins new ones.",
        read: |a| a.some_selectors().map(|s| Request::Ask(Ask::Clear(s))),
    },
    Verb {
        name: "clearmain",
        options: &[],
        arguments: "",
        rights: Rights::Control,
        streams: false,
        help: "Deletes the daemon's current log file and begins a new one.",
        read: |_| Ok(Request::Ask(Ask::ClearMain)),
    },
    Verb {
        name: "logs",
        options: &[FOLLOW, LINES, SINCE, GREP, AT],
        arguments: "[SELECTOR…]",
        rights: Rights::Observe,
        streams: true,
        help: "Sends the logs of programs, rotated and compressed files included, line by line in \
               order of time: all lines, or the last LINES of each log, those written since TIME \
               (10m, 2h30m, 2026-11-25, an RFC 3339 time), those in which PATTERN is found. With \
               -f it goes on with what is written from then on, begins with the last 10 lines \
               unless told otherwise, and tells where in each log it is; --at goes on at such a \
               PLACE of a log, and can be given for each.",
        read: |a| a.logs(),
    },
    Verb {
        name: "tail",
        options: &[FOLLOW, BYTES, FROM],
        arguments: "NAME [stdout|stderr]",
        rights: Rights::Observe,
        streams: true,
        help: "Sends the end of a program's log: its last BYTES (1600 unless told otherwise), or \
               what begins at OFFSET. With -f it goes on with what is written from then on.",
        read: |a| {
            let word = a.required("NAME")?;
            let name = selector::name(&word).map_err(|text| a.misuse(&text))?;
            let (channel, block) = match a.next() {
                None => (Channel::Stdout, "stdout"),
                Some(word) if word.eq_ignore_ascii_case("stdout") => (Channel::Stdout, "stdout"),
                Some(word) if word.eq_ignore_ascii_case("stderr") => (Channel::Stderr, "stderr"),
                Some(_) => return Err(a.misuse("the output is `stdout` or `stderr`")),
            };
            let ask = Ask::LogOf { name, channel };
            a.tail(ask, block)
        },
    },
    Verb {
        name: "maintail",
        options: &[FOLLOW, BYTES, FROM],
        arguments: "",
        rights: Rights::Observe,
        streams: true,
        help: "Sends the end of the daemon's log, as `tail` does of a program's.",
        read: |a| a.tail(Ask::MainLog, "main"),
    },
    Verb {
        name: "reopen",
        options: &[],
        arguments: "",
        rights: Rights::Control,
        streams: false,
        help: "Closes all log files and opens them again.",
        read: |_| Ok(Request::Ask(Ask::Reopen)),
    },
    Verb {
        name: "rotate",
        options: &[],
        arguments: "SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Rotates the log files of processes now, whatever their size.",
        read: |a| a.some_selectors().map(|s| Request::Ask(Ask::Rotate(s))),
    },
    Verb {
        name: "rotatemain",
        options: &[],
        arguments: "",
        rights: Rights::Control,
        streams: false,
        help: "Rotates the daemon's own log now, whatever its size.",
        read: |_| Ok(Request::Ask(Ask::RotateMain)),
    },
    Verb {
        name: "history",
        options: &[],
        arguments: "[SELECTOR…]",
        rights: Rights::Observe,
        streams: false,
        help: "Tells the last 20 runs of processes, oldest first: when and why each was started and \
               by whom, and how it ended; without a selector, of all.",
        read: |a| a.selectors().map(|s| Request::Ask(Ask::History(s))),
    },
    Verb {
        name: "enable",
        options: &[],
        arguments: "SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Has processes started with the daemon again, as their autostart says; starts none.",
        read: |a| a.some_selectors().map(|s| enable(true, s)),
    },
    Verb {
        name: "disable",
        options: &[],
        arguments: "SELECTOR…",
        rights: Rights::Control,
        streams: false,
        help: "Has processes not started with the daemon, until they are enabled; stops none.",
        read: |a| a.some_selectors().map(|s| enable(false, s)),
    },
    Verb {
        name: "stdin",
        options: &[],
        arguments: "NAME TEXT",
        rights: Rights::Control,
        streams: false,
        help: "Writes a text to a program's standard input, exactly as it is; \
               \"…\\n\" ends it with a newline.",
        read: |a| {
            let word = a.required("NAME")?;
            let name = selector::name(&word).map_err(|text| a.misuse(&text))?;
            let bytes = a.required("TEXT")?.into_bytes();
            Ok(Request::Ask(Ask::Stdin { name, bytes }))
        },
    },
    Verb {
        name: "events",
        options: &[FOLLOW, SINCE_NUMBER],
        arguments: "",
        rights: Rights::Observe,
        streams: true,
        help: "Sends the events that are kept, or of these the ones after number SEQUENCE. With -f \
               it goes on with what happens from then on; with -f alone it begins there.",
        read: |a| {
            Ok(Request::Events {
                follow: a.has(&FOLLOW),
                since: a.number_of(&SINCE_NUMBER)?,
            })
        },
    },
    Verb {
        name: "quit",
        options: &[],
        arguments: "",
        rights: Rights::Observe,
        streams: false,
        help: "Closes the connection.",
        read: |_| Ok(Request::Quit),
    },
];

fn enable(enabled: bool, selectors: Vec<Selector>) -> Request {
    Request::Ask(Ask::Enable { enabled, selectors })
}

fn following(arguments: &mut Arguments) -> Result<Following, Trouble> {
    let mut groups = arguments.groups();
    if groups.iter().any(|group| group == "all") {
        groups.clear();
    }
    Ok(Following {
        groups,
        whole_groups: arguments.has(&WHOLE_GROUPS),
    })
}

/// The verb of that name, or which one may have been meant.
pub fn find(name: &str) -> Result<&'static Verb, Trouble> {
    if let Some(verb) = VERBS.iter().find(|verb| verb.name == name) {
        return Ok(verb);
    }
    let shown = shown(name);
    let names = || VERBS.iter().map(|verb| verb.name);
    let begun = names().find(|verb| name.len() > 1 && verb.starts_with(name));
    let text = match begun.or_else(|| nearest(name, names())) {
        Some(verb) => format!("no verb is called {shown}; did you mean {verb}?"),
        None => format!("no verb is called {shown}; help lists them"),
    };
    Err(Trouble::new(Code::UnknownVerb, text))
}
