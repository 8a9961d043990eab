//! The 27 names of events that a listener can subscribe to, and how they contain one another.

use serde::{Deserialize, Serialize};

/// A type of event. Some are abstract: they stand for all types below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)] // The names say it; docs/events.md has the payloads.
pub enum EventType {
    Event,
    ProcessState,
    ProcessStateStarting,
    ProcessStateRunning,
    ProcessStateBackoff,
    ProcessStateStopping,
    ProcessStateStopped,
    ProcessStateExited,
    ProcessStateFatal,
    ProcessStateUnknown,
    ProcessCommunication,
    ProcessCommunicationStdout,
    ProcessCommunicationStderr,
    ProcessLog,
    ProcessLogStdout,
    ProcessLogStderr,
    RemoteCommunication,
    SupervisorStateChange,
    SupervisorStateChangeRunning,
    SupervisorStateChangeStopping,
    Tick,
    Tick5,
    Tick60,
    Tick3600,
    ProcessGroup,
    ProcessGroupAdded,
    ProcessGroupRemoved,
}

use EventType::*;

/// Every type with its name, in the order of the enum. A concrete type's name begins with that of
/// its abstract one.
const TABLE: [(EventType, &str); 27] = [
    (Event, "EVENT"),
    (ProcessState, "PROCESS_STATE"),
    (ProcessStateStarting, "PROCESS_STATE_STARTING"),
    (ProcessStateRunning, "PROCESS_STATE_RUNNING"),
    (ProcessStateBackoff, "PROCESS_STATE_BACKOFF"),
    (ProcessStateStopping, "PROCESS_STATE_STOPPING"),
    (ProcessStateStopped, "PROCESS_STATE_STOPPED"),
    (ProcessStateExited, "PROCESS_STATE_EXITED"),
    (ProcessStateFatal, "PROCESS_STATE_FATAL"),
    (ProcessStateUnknown, "PROCESS_STATE_UNKNOWN"),
    (ProcessCommunication, "PROCESS_COMMUNICATION"),
    (ProcessCommunicationStdout, "PROCESS_COMMUNICATION_STDOUT"),
    (ProcessCommunicationStderr, "PROCESS_COMMUNICATION_STDERR"),
    (ProcessLog, "PROCESS_LOG"),
    (ProcessLogStdout, "PROCESS_LOG_STDOUT"),
    (ProcessLogStderr, "PROCESS_LOG_STDERR"),
    (RemoteCommunication, "REMOTE_COMMUNICATION"),
    (SupervisorStateChange, "SUPERVISOR_STATE_CHANGE"),
    (
        SupervisorStateChangeRunning,
        "SUPERVISOR_STATE_CHANGE_RUNNING",
    ),
    (
        SupervisorStateChangeStopping,
        "SUPERVISOR_STATE_CHANGE_STOPPING",
    ),
    (Tick, "TICK"),
    (Tick5, "TICK_5"),
    (Tick60, "TICK_60"),
    (Tick3600, "TICK_3600"),
    (ProcessGroup, "PROCESS_GROUP"),
    (ProcessGroupAdded, "PROCESS_GROUP_ADDED"),
    (ProcessGroupRemoved, "PROCESS_GROUP_REMOVED"),
];

impl EventType {
    /// Every name.
    pub const NAMES: [&'static str; 27] = {
        let mut names = [""; 27];
        let mut index = 0;
        while index < names.len() {
            names[index] = TABLE[index].1;
            index += 1;
        }
        names
    };

    /// Its name, as in `events=`.
    pub fn name(self) -> &'static str {
        TABLE
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// The type of that name, which is in capitals.
    pub fn named(name: &str) -> Option<EventType> {
        let found = TABLE.iter().find(|(_, known)| *known == name);
        found.map(|(kind, _)| *kind)
    }

    /// Whether who subscribed to this type gets events of the other.
    pub fn covers(self, other: EventType) -> bool {
        match self {
            Event => true,
            // No concrete name goes on with an underscore in another.
            abstract_or_own => {
                let own = abstract_or_own.name();
                let rest = other.name().strip_prefix(own);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_types() {
        for (kind, name) in TABLE {
            assert_eq!(EventType::named(name), Some(kind));
            assert_eq!(kind.name(), name);
        }
        assert_eq!(EventType::named("TICK_7"), None);
        assert_eq!(EventType::NAMES[26], "PROCESS_GROUP_REMOVED");
    }

    #[test]
    fn abstract_types_cover_what_is_below_them() {
        let covered = |kind: EventType| {
            let all = TABLE.iter().filter(|(other, _)| kind.covers(*other));
            all.count()
        };
        let table = [
            (Event, 27),
            (ProcessState, 9),
            (ProcessCommunication, 3),
            (ProcessLog, 3),
            (SupervisorStateChange, 3),
            (Tick, 4),
            (ProcessGroup, 3),
            (RemoteCommunication, 1),
        ];
        for (kind, count) in table {
            assert_eq!(covered(kind), count, "{}", kind.name());
        }
        let concrete = TABLE.iter().filter(|(kind, _)| covered(*kind) == 1);
        assert_eq!(concrete.count(), 20);
    }
}
