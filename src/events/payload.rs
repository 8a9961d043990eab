//! What a listener is sent of an event: Supervisor's text, to the letter.
//!
//! Bytes that are not UTF-8 become `Undecodable: b'…'`, as Python writes bytes.

use super::event::{Event, Output, StateChange};
use crate::config::bytes_repr;
use crate::fleet::State;

impl Event {
    /// The payload.
    pub fn payload(&self) -> String {
        match self {
            Event::State(change) => of_change(change),
            Event::Communication(output) => {
                format!("{}\n{}", writer(output), text(&output.data))
            }
            Event::Log(output) => format!(
                "{} channel:{}\n{}",
                writer(output),
                output.channel.word(),
                text(&output.data)
            ),
            Event::Remote { kind, data } => format!("type:{kind}\n{data}"),
            Event::SupervisorRunning | Event::SupervisorStopping => String::new(),
            Event::Tick { when, .. } => format!("when:{when}"),
            Event::GroupAdded { group } | Event::GroupRemoved { group } => {
                format!("groupname:{group}\n")
            }
        }
    }
}

fn of_change(change: &StateChange) -> String {
    let StateChange {
        name,
        from,
        to,
        pid,
        tries,
        expected,
        ..
    } = change;
    let facts = match to {
        State::Starting | State::Backoff => format!(" tries:{tries}"),
        State::Running | State::Stopping | State::Stopped => format!(" pid:{pid}"),
        State::Exited => format!(" expected:{} pid:{pid}", u8::from(*expected)),
        State::Fatal | State::Unknown => String::new(),
    };
    let (process, group) = (&name.process, &name.group);
    format!("processname:{process} groupname:{group} from_state:{from}{facts}")
}

fn writer(output: &Output) -> String {
    let (process, group) = (&output.name.process, &output.name.group);
    format!("processname:{process} groupname:{group} pid:{}", output.pid)
}

/// Text of a program; bytes that are none as Python shows them.
pub(super) fn text(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("Undecodable: {}", bytes_repr(data)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::TickPeriod;
    use super::*;
    use crate::config::Channel;
    use crate::fleet::ProcessName;

    fn name() -> ProcessName {
        ProcessName {
            group: "g".into(),
            process: "p".into(),
        }
    }

    fn change(from: State, to: State) -> Event {
        Event::State(StateChange {
            name: name(),
            from,
            to,
            pid: 7,
            tries: 2,
            expected: true,
            why: "because".into(),
        })
    }

    fn output(data: &[u8]) -> Output {
        Output {
            name: name(),
            pid: 7,
            channel: Channel::Stderr,
            data: data.to_vec(),
        }
    }

    #[test]
    fn payloads_are_supervisors() {
        use State::*;
        let table = [
            (change(Stopped, Starting), "STARTING", "STOPPED tries:2"),
            (change(Starting, Backoff), "BACKOFF", "STARTING tries:2"),
            (change(Starting, Running), "RUNNING", "STARTING pid:7"),
            (change(Running, Stopping), "STOPPING", "RUNNING pid:7"),
            (change(Stopping, Stopped), "STOPPED", "STOPPING pid:7"),
            (
                change(Running, Exited),
                "EXITED",
                "RUNNING expected:1 pid:7",
            ),
            (change(Backoff, Fatal), "FATAL", "BACKOFF"),
            (change(Stopping, Unknown), "UNKNOWN", "STOPPING"),
        ];
        for (event, kind, rest) in table {
            let payload = format!("processname:p groupname:g from_state:{rest}");
            assert_eq!(event.kind().name(), format!("PROCESS_STATE_{kind}"));
            assert_eq!(event.payload(), payload);
        }
        let (group, when) = ("g".to_owned(), 120);
        let table = [
            (
                Event::Communication(output("é\n".as_bytes())),
                "PROCESS_COMMUNICATION_STDERR",
                "processname:p groupname:g pid:7\né\n",
            ),
            (
                Event::Log(output(b"it's\xff\n\x01\\")),
                "PROCESS_LOG_STDERR",
                "processname:p groupname:g pid:7 channel:stderr\n\
                 Undecodable: b\"it's\\xff\\n\\x01\\\\\"",
            ),
            (
                Event::Remote {
                    kind: "t".into(),
                    data: "d\n".into(),
                },
                "REMOTE_COMMUNICATION",
                "type:t\nd\n",
            ),
            (
                Event::SupervisorRunning,
                "SUPERVISOR_STATE_CHANGE_RUNNING",
                "",
            ),
            (
                Event::SupervisorStopping,
                "SUPERVISOR_STATE_CHANGE_STOPPING",
                "",
            ),
            (
                Event::Tick {
                    period: TickPeriod::Minute,
                    when,
                },
                "TICK_60",
                "when:120",
            ),
            (
                Event::GroupAdded {
                    group: group.clone(),
                },
                "PROCESS_GROUP_ADDED",
                "groupname:g\n",
            ),
            (
                Event::GroupRemoved { group },
                "PROCESS_GROUP_REMOVED",
                "groupname:g\n",
            ),
        ];
        for (event, kind, payload) in table {
            assert_eq!(event.kind().name(), kind);
            assert_eq!(event.payload(), payload, "{kind}");
        }
    }
}
