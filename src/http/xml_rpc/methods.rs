//! The table of methods: every name that can be called, its signature and its help.
//!
//! The names and signatures are Supervisor's (its `rpcinterface.py` and `xmlrpc.py`); aliases it
//! keeps for old clients are kept as well. What is not in this table cannot be called.

/// A method.
#[derive(Debug)]
pub struct Method {
    /// `namespace.method`.
    pub name: &'static str,
    /// The type of the result, then those of the arguments.
    pub signature: &'static [&'static str],
    /// How many arguments of the signature may be left out.
    pub optional: usize,
    /// What it does.
    pub help: &'static str,
}

impl Method {
    /// The method of that name.
    pub fn named(name: &str) -> Option<&'static Method> {
        METHODS.iter().find(|method| method.name == name)
    }

    /// Whether it takes that many arguments.
    pub fn takes(&self, count: usize) -> bool {
        let most = self.signature.len() - 1;
        (most - self.optional..=most).contains(&count)
    }
}

const fn method(
    name: &'static str,
    signature: &'static [&'static str],
    optional: usize,
    help: &'static str,
) -> Method {
    Method {
        name,
        signature,
        optional,
        help,
    }
}

const VERSION: &str = "The version of this interface.";
const READ_MAIN: &str = "Reads a piece of the main log. A negative offset and length 0 give the \
    last bytes; an offset and length 0 give all from there.";
const READ: &str = "Reads a piece of a process's log. A negative offset and length 0 give the \
    last bytes; an offset and length 0 give all from there.";
const TAIL: &str = "Reads on in a process's log from an offset: the bytes, the next offset, and \
    whether there was more than length.";
const CLEAR: &str = "Empties the current log files of a process.";

/// Every method, in the order of their names.
pub const METHODS: &[Method] = &[
    method(
        "supervisor.addProcessGroup",
        &["boolean", "string"],
        0,
        "Takes a group of the configuration last read into use.",
    ),
    method(
        "supervisor.clearAllProcessLogs",
        &["array"],
        0,
        "Empties the current log files of every process.",
    ),
    method(
        "supervisor.clearLog",
        &["boolean"],
        0,
        "Empties the main log.",
    ),
    method(
        "supervisor.clearProcessLog",
        &["boolean", "string"],
        0,
        CLEAR,
    ),
    method(
        "supervisor.clearProcessLogs",
        &["boolean", "string"],
        0,
        CLEAR,
    ),
    method("supervisor.getAPIVersion", &["string"], 0, VERSION),
    method(
        "supervisor.getAllConfigInfo",
        &["array"],
        0,
        "The configuration last read, process by process.",
    ),
    method(
        "supervisor.getAllProcessInfo",
        &["array"],
        0,
        "Every process as it is.",
    ),
    method(
        "supervisor.getIdentification",
        &["string"],
        0,
        "The identifier of this daemon.",
    ),
    method("supervisor.getPID", &["int"], 0, "The daemon's process id."),
    method(
        "supervisor.getProcessInfo",
        &["struct", "string"],
        0,
        "One process as it is.",
    ),
    method(
        "supervisor.getState",
        &["struct"],
        0,
        "The daemon's state: its code and its name.",
    ),
    method(
        "supervisor.getSupervisorVersion",
        &["string"],
        0,
        "The version of Supervisor that this daemon answers as.",
    ),
    method("supervisor.getVersion", &["string"], 0, VERSION),
    method(
        "supervisor.readLog",
        &["string", "int", "int"],
        0,
        READ_MAIN,
    ),
    method(
        "supervisor.readMainLog",
        &["string", "int", "int"],
        0,
        READ_MAIN,
    ),
    method(
        "supervisor.readProcessLog",
        &["string", "string", "int", "int"],
        0,
        READ,
    ),
    method(
        "supervisor.readProcessStderrLog",
        &["string", "string", "int", "int"],
        0,
        READ,
    ),
    method(
        "supervisor.readProcessStdoutLog",
        &["string", "string", "int", "int"],
        0,
        READ,
    ),
    method(
        "supervisor.reloadConfig",
        &["array"],
        0,
        "Reads the configuration again and tells which groups are new, changed and gone.",
    ),
    method(
        "supervisor.removeProcessGroup",
        &["boolean", "string"],
        0,
        "Takes a stopped group out of use.",
    ),
    method(
        "supervisor.restart",
        &["boolean"],
        0,
        "Stops everything and starts over with the configuration as it is then.",
    ),
    method(
        "supervisor.sendProcessStdin",
        &["boolean", "string", "string"],
        0,
        "Writes to a process's standard input.",
    ),
    method(
        "supervisor.sendRemoteCommEvent",
        &["boolean", "string", "string"],
        0,
        "Sends an event to the event listeners that subscribed to it.",
    ),
    method(
        "supervisor.shutdown",
        &["boolean"],
        0,
        "Stops everything and ends the daemon.",
    ),
    method(
        "supervisor.signalAllProcesses",
        &["array", "string"],
        0,
        "Signals every process.",
    ),
    method(
        "supervisor.signalProcess",
        &["boolean", "string", "string"],
        0,
        "Signals a process, or with group:* every process of a group.",
    ),
    method(
        "supervisor.signalProcessGroup",
        &["array", "string", "string"],
        0,
        "Signals every process of a group.",
    ),
    method(
        "supervisor.startAllProcesses",
        &["array", "boolean"],
        1,
        "Starts every process.",
    ),
    method(
        "supervisor.startProcess",
        &["boolean", "string", "boolean"],
        1,
        "Starts a process, or with group:* every process of a group.",
    ),
    method(
        "supervisor.startProcessGroup",
        &["array", "string", "boolean"],
        1,
        "Starts every process of a group.",
    ),
    method(
        "supervisor.stopAllProcesses",
        &["array", "boolean"],
        1,
        "Stops every process.",
    ),
    method(
        "supervisor.stopProcess",
        &["boolean", "string", "boolean"],
        1,
        "Stops a process, or with group:* every process of a group.",
    ),
    method(
        "supervisor.stopProcessGroup",
        &["array", "string", "boolean"],
        1,
        "Stops every process of a group.",
    ),
    method(
        "supervisor.tailProcessLog",
        &["array", "string", "int", "int"],
        0,
        TAIL,
    ),
    method(
        "supervisor.tailProcessStderrLog",
        &["array", "string", "int", "int"],
        0,
        TAIL,
    ),
    method(
        "supervisor.tailProcessStdoutLog",
        &["array", "string", "int", "int"],
        0,
        TAIL,
    ),
    method(
        "system.listMethods",
        &["array"],
        0,
        "The names of all methods.",
    ),
    method(
        "system.methodHelp",
        &["string", "string"],
        0,
        "What a method does.",
    ),
    method(
        "system.methodSignature",
        &["array", "string"],
        0,
        "The type of a method's result, then those of its arguments.",
    ),
    method(
        "system.multicall",
        &["array", "array"],
        0,
        "Makes several calls, structs of methodName and params, one after the other.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_complete() {
        assert!(METHODS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(METHODS.len(), 41);
        for method in METHODS {
            assert!(method.optional < method.signature.len(), "{}", method.name);
        }
    }

    #[test]
    fn arguments_are_counted() {
        let start = Method::named("supervisor.startProcess").unwrap();
        assert_eq!(
            [0, 1, 2, 3].map(|count| start.takes(count)),
            [false, true, true, false]
        );
        assert!(Method::named("supervisor._update").is_none());
    }
}
