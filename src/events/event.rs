//! An event: one of Supervisor's twenty concrete types with the facts that belong to it.

use serde::{Deserialize, Serialize};

use crate::config::{Channel, EventType};
use crate::fleet::{ProcessName, State};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A process changed state: `PROCESS_STATE_…`.
    State(StateChange),
    /// A program wrote something between the capture tags: `PROCESS_COMMUNICATION_…`.
    Communication(Output),
    /// A program wrote something: `PROCESS_LOG_…`.
    Log(Output),
    /// Somebody sent an event by XML-RPC: `REMOTE_COMMUNICATION`.
    Remote {
        /// Its type, chosen by the sender.
        kind: String,
        /// Its text.
        data: String,
    },
    /// The daemon supervises: `SUPERVISOR_STATE_CHANGE_RUNNING`.
    SupervisorRunning,
    /// The daemon stops everything, to end or to start over: `SUPERVISOR_STATE_CHANGE_STOPPING`.
    SupervisorStopping,
    /// Time has passed: `TICK_…`.
    Tick {
        /// How often it comes.
        period: TickPeriod,
        /// Seconds since 1970, a multiple of the period.
        when: i64,
    },
    /// `PROCESS_GROUP_ADDED`.
    GroupAdded {
        /// Its name.
        group: String,
    },
    /// `PROCESS_GROUP_REMOVED`.
    GroupRemoved {
        /// Its name.
        group: String,
    },
}

/// A process changed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// Which process.
    pub name: ProcessName,
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Its pid before the change, 0 if it had none.
    pub pid: i32,
    /// Attempts to start it that have failed; 0 but for STARTING and BACKOFF.
    pub tries: u32,
    /// EXITED with a code that `exitcodes` lists.
    pub expected: bool,
    /// Why, in words.
    pub why: String,
}

/// Something a program wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Which process.
    pub name: ProcessName,
    /// Its pid.
    pub pid: i32,
    /// Where it wrote.
    pub channel: Channel,
    /// What.
    pub data: Vec<u8>,
}

/// How often a tick comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TickPeriod {
    /// `TICK_5`.
    Seconds5,
    /// `TICK_60`.
    Minute,
    /// `TICK_3600`.
    Hour,
}

impl TickPeriod {
    /// All of them.
    pub const ALL: [TickPeriod; 3] = [TickPeriod::Seconds5, TickPeriod::Minute, TickPeriod::Hour];

    /// In seconds.
    pub fn seconds(self) -> i64 {
        match self {
            TickPeriod::Seconds5 => 5,
            TickPeriod::Minute => 60,
            TickPeriod::Hour => 3600,
        }
    }

    /// Its event.
    pub fn kind(self) -> EventType {
        match self {
            TickPeriod::Seconds5 => EventType::Tick5,
            TickPeriod::Minute => EventType::Tick60,
            TickPeriod::Hour => EventType::Tick3600,
        }
    }
}

impl Event {
    /// Its type, which is never an abstract one.
    pub fn kind(&self) -> EventType {
        match self {
            Event::State(change) => match change.to {
                State::Starting => EventType::ProcessStateStarting,
                State::Running => EventType::ProcessStateRunning,
                State::Backoff => EventType::ProcessStateBackoff,
                State::Stopping => EventType::ProcessStateStopping,
                State::Stopped => EventType::ProcessStateStopped,
                State::Exited => EventType::ProcessStateExited,
                State::Fatal => EventType::ProcessStateFatal,
                State::Unknown => EventType::ProcessStateUnknown,
            },
            Event::Communication(output) => match output.channel {
                Channel::Stdout => EventType::ProcessCommunicationStdout,
                Channel::Stderr => EventType::ProcessCommunicationStderr,
            },
            Event::Log(output) => match output.channel {
                Channel::Stdout => EventType::ProcessLogStdout,
                Channel::Stderr => EventType::ProcessLogStderr,
            },
            Event::Remote { .. } => EventType::RemoteCommunication,
            Event::SupervisorRunning => EventType::SupervisorStateChangeRunning,
            Event::SupervisorStopping => EventType::SupervisorStateChangeStopping,
            Event::Tick { period, .. } => period.kind(),
            Event::GroupAdded { .. } => EventType::ProcessGroupAdded,
            Event::GroupRemoved { .. } => EventType::ProcessGroupRemoved,
        }
    }
}
