//! Any supervisord, asked by XML-RPC as Supervisor's own client asks it.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use super::connect::Address;
use super::dialogue::{Refused, Report};
use super::fg::Ending;
use super::http::{Failure, Http};
use super::input::Input;
use super::interrupt::Interrupts;
use super::output::LogOutput;
use super::rpc_fg;
use super::server::{Asked, Following, Log, Login, Order, Part, Server, Target, Trouble};
use super::session::Lost;
use super::words::{Deed, Unreached};
use crate::control::answer::state_named;
use crate::control::codes::Code;
use crate::control::{AvailView, DifferenceKind, ProcessView};
use crate::fleet::ProcessName;
use crate::http::xml_rpc::Value;
use crate::http::xml_rpc::client_side::{RemoteFault, read_response, write_call};

/// The version of the interface that we speak.
const API_VERSION: &str = "3.0";

/// The fault of a method that does not exist.
const UNKNOWN_METHOD: i64 = 1;

/// The status of a success in a list of results.
const SUCCESS: i64 = 80;

/// A supervisord behind HTTP.
#[derive(Debug)]
pub struct RpcServer {
    http: Http,
    url: String,
    interrupts: Option<Rc<Interrupts>>,
    /// It is known to serve us.
    checked: Cell<bool>,
}

impl RpcServer {
    /// The supervisord at this address. Nothing is connected yet.
    pub fn new(address: Address, login: &Login, interrupts: Option<Rc<Interrupts>>) -> RpcServer {
        RpcServer {
            url: address.url(),
            http: Http::new(address, login, interrupts.clone()),
            interrupts,
            checked: Cell::new(false),
        }
    }

    /// Calls a method of the namespace `supervisor`.
    pub(super) fn call(
        &mut self,
        method: &str,
        arguments: &[Value],
    ) -> Result<Result<Value, RemoteFault>, Trouble> {
        let document = write_call(&format!("supervisor.{method}"), arguments);
        let response = self.http.post("/RPC2", &document).map_err(trouble)?;
        match response.status {
            200 => {}
            401 => return Err(Trouble::LoginNeeded),
            status => {
                let text = format!("{} answered {status} {}", self.url, response.reason);
                return Err(Trouble::Unreached(Unreached::Other(text)));
            }
        }
        let result = read_response(&response.body).map_err(|why| {
            let text = format!("{} answered no XML-RPC: {}", self.url, why.0);
            Trouble::Unreached(Unreached::Other(text))
        })?;
        match result {
            Err(fault) if fault.code == UNKNOWN_METHOD => Err(Trouble::NoInterface),
            result => Ok(result),
        }
    }

    /// A call of which only the success counts.
    fn order(&mut self, method: &str, arguments: &[Value], nobody: Code) -> Asked<()> {
        let result = self.call(method, arguments)?;
        Ok(result.map(drop).map_err(|fault| refused(&fault, nobody)))
    }

    /// A call with a list of results about processes.
    fn results(
        &mut self,
        deed: Deed,
        method: &str,
        arguments: &[Value],
        on: &mut dyn FnMut(&Report),
    ) -> Asked<()> {
        let results = match self.call(method, arguments)? {
            Ok(Value::Array(results)) => results,
            Ok(_) => Vec::new(),
            Err(fault) => return Ok(Err(refused(&fault, Code::NoSuchGroup))),
        };
        for result in &results {
            let fault = RemoteFault {
                code: number(result, "status"),
                text: text(result, "description"),
            };
            on(&Report {
                subject: name_of(result).to_string(),
                result: match fault.code {
                    SUCCESS => Ok(deed.verb().to_string()),
                    _ => Err(refused(&fault, Code::NoSuchProcess)),
                },
            });
        }
        Ok(Ok(()))
    }

    /// There is no call that clears the logs of a group: each of its processes is asked for.
    fn clear_group(&mut self, group: &str, on: &mut dyn FnMut(&Report)) -> Asked<()> {
        let all = match self.processes()? {
            Ok(all) => all,
            Err(refused) => return Ok(Err(refused)),
        };
        let members: Vec<_> = all.iter().filter(|view| view.name.group == group).collect();
        if members.is_empty() {
            let code = Code::NoSuchGroup;
            return Ok(Err(Refused::new(code.name(), code.meaning())));
        }
        for view in members {
            let full = format!("{}:{}", view.name.group, view.name.process);
            let result = self.order("clearProcessLogs", &[full.into()], Code::NoSuchProcess)?;
            on(&Report {
                subject: view.name.to_string(),
                result: result.map(|()| "cleared".to_string()),
            });
        }
        Ok(Ok(()))
    }
}

impl Server for RpcServer {
    fn check(&mut self) -> Result<(), Trouble> {
        if self.checked.get() {
            return Ok(());
        }
        match self.call("getVersion", &[])? {
            Ok(Value::Text(version)) if version == API_VERSION => {
                self.checked.set(true);
                Ok(())
            }
            Ok(Value::Text(version)) => Err(Trouble::OtherVersion(version)),
            Ok(other) => Err(Trouble::OtherVersion(format!("{other:?}"))),
            Err(fault) => Err(Trouble::Refused(refused(&fault, Code::Failed))),
        }
    }

    fn processes(&mut self) -> Asked<Vec<ProcessView>> {
        let result = self.call("getAllProcessInfo", &[])?;
        Ok(match result {
            Ok(Value::Array(infos)) => Ok(infos.iter().filter_map(process).collect()),
            Ok(_) => Ok(Vec::new()),
            Err(fault) => Err(refused(&fault, Code::Failed)),
        })
    }

    fn pid(&mut self) -> Asked<String> {
        let result = self.call("getPID", &[])?;
        Ok(match result {
            Ok(Value::Int(pid)) => Ok(pid.to_string()),
            Ok(_) => Ok(String::new()),
            Err(fault) => Err(refused(&fault, Code::Failed)),
        })
    }

    fn version(&mut self) -> Asked<String> {
        let result = self.call("getSupervisorVersion", &[])?;
        Ok(match result {
            Ok(Value::Text(version)) => Ok(version),
            Ok(_) => Ok(String::new()),
            Err(fault) => Err(refused(&fault, Code::Failed)),
        })
    }

    fn carry_out(
        &mut self,
        order: Order<'_>,
        target: Target<'_>,
        on: &mut dyn FnMut(&Report),
    ) -> Asked<()> {
        let (all, group, one) = match order.deed {
            Deed::Start => ("startAllProcesses", "startProcessGroup", "startProcess"),
            Deed::Stop => ("stopAllProcesses", "stopProcessGroup", "stopProcess"),
            Deed::Signal => ("signalAllProcesses", "signalProcessGroup", "signalProcess"),
            Deed::Clear => ("clearAllProcessLogs", "", "clearProcessLogs"),
        };
        let mut arguments: Vec<Value> = match target {
            Target::All => Vec::new(),
            Target::Group(name) | Target::Process(name) => vec![name.into()],
        };
        if order.deed == Deed::Signal {
            arguments.push(order.signal.into());
        }
        match target {
            Target::All => self.results(order.deed, all, &arguments, on),
            Target::Group(name) if order.deed == Deed::Clear => self.clear_group(name, on),
            Target::Group(_) => self.results(order.deed, group, &arguments, on),
            Target::Process(name) => {
                let result = self.order(one, &arguments, Code::NoSuchProcess)?;
                on(&Report {
                    subject: name.to_string(),
                    result: result.map(|()| order.deed.verb().to_string()),
                });
                Ok(Ok(()))
            }
        }
    }

    fn available(&mut self) -> Asked<Vec<AvailView>> {
        let result = self.call("getAllConfigInfo", &[])?;
        Ok(match result {
            Ok(Value::Array(infos)) => Ok(infos.iter().map(configured).collect()),
            Ok(_) => Ok(Vec::new()),
            Err(fault) => Err(refused(&fault, Code::Failed)),
        })
    }

    fn reread(&mut self) -> Asked<Vec<(String, DifferenceKind)>> {
        let value = match self.call("reloadConfig", &[])? {
            Ok(value) => value,
            Err(fault) => return Ok(Err(refused(&fault, Code::Failed))),
        };
        let kinds = [
            DifferenceKind::Available,
            DifferenceKind::Changed,
            DifferenceKind::Disappeared,
        ];
        let mut found = Vec::new();
        // One level more than one would think.
        for (names, kind) in items(&value).iter().flat_map(items).zip(kinds) {
            for name in items(names) {
                if let Value::Text(group) = name {
                    found.push((group.clone(), kind));
                }
            }
        }
        Ok(Ok(found))
    }

    fn add(&mut self, group: &str) -> Asked<()> {
        self.order("addProcessGroup", &[group.into()], Code::NoSuchGroup)
    }

    fn remove(&mut self, group: &str) -> Asked<()> {
        self.order("removeProcessGroup", &[group.into()], Code::NoSuchGroup)
    }

    fn restart(&mut self) -> Asked<()> {
        self.order("restart", &[], Code::Failed)
    }

    fn shut_down(&mut self) -> Asked<()> {
        self.order("shutdown", &[], Code::Failed)
    }

    fn read_log(&mut self, log: Log<'_>, part: Part, on: &mut dyn FnMut(&[u8])) -> Asked<()> {
        let offset = match part {
            Part::Last(bytes) => i64::try_from(bytes).map_or(i64::MIN, |bytes| -bytes),
            Part::From(offset) => i64::try_from(offset).unwrap_or(i64::MAX),
        };
        let mut arguments = vec![Value::Int(offset), Value::Int(0)];
        let method = match log {
            Log::Main => "readLog",
            Log::Of { name, channel } => {
                arguments.insert(0, name.into());
                match channel {
                    "stderr" => "readProcessStderrLog",
                    _ => "readProcessStdoutLog",
                }
            }
        };
        let result = self.call(method, &arguments)?;
        Ok(match result {
            Ok(Value::Text(text)) => {
                on(text.as_bytes());
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(fault) => Err(match refused(&fault, Code::NoSuchProcess) {
                Refused {
                    code: Code::NoFile,
                    text,
                } => Refused {
                    code: Code::NoLogFile,
                    text,
                },
                other => other,
            }),
        })
    }

    fn follow(&mut self, log: Log<'_>) -> Result<Following, Trouble> {
        let mut stream = self.http.get(&log.path()).map_err(trouble)?;
        if stream.status != 200 {
            return Ok(Following::Refused(stream.status));
        }
        let mut output = LogOutput::new();
        let followed = loop {
            match stream.next() {
                Ok(Some(piece)) => output.write(&piece),
                Ok(None) | Err(Lost::Closed) => break Following::Ended,
                Err(Lost::Interrupted) => break Following::Interrupted,
                Err(lost) => return Err(lost.into()),
            }
        };
        output.finish();
        Ok(followed)
    }

    fn foreground(&mut self, name: &ProcessName, input: &mut Input) -> Result<Ending, Trouble> {
        let full = format!("{}:{}", name.group, name.process);
        let mut outputs = Vec::new();
        for channel in ["stdout", "stderr"] {
            let path = format!("/logtail/{full}/{channel}");
            let stream = self.http.get(&path).map_err(trouble)?;
            if stream.status == 200 {
                outputs.push((stream, LogOutput::new()));
            }
        }
        let interrupts = self.interrupts.clone();
        rpc_fg::run(self, &full, outputs, input, interrupts.as_deref())
    }
}

pub(super) fn trouble(failure: Failure) -> Trouble {
    match failure {
        Failure::Lost(lost) => lost.into(),
        Failure::Connect(error) => Trouble::Unreached(match error.kind() {
            io::ErrorKind::NotFound => Unreached::NoSuchFile,
            io::ErrorKind::ConnectionRefused => Unreached::Refused,
            _ => Unreached::Other(format!("cannot connect: {error}")),
        }),
    }
}

/// A fault in the terms of the line protocol. `nobody` is what it means that a name is unknown.
pub(super) fn refused(fault: &RemoteFault, nobody: Code) -> Refused {
    let code = match fault.code {
        6 => Code::ShuttingDown,
        10 => nobody,
        11 => Code::BadSignal,
        20 => Code::NoFile,
        21 => Code::NotExecutable,
        40 => Code::AbnormalTermination,
        50 => Code::SpawnError,
        60 => Code::AlreadyStarted,
        70 => Code::NotRunning,
        90 => Code::AlreadyAdded,
        91 => Code::StillRunning,
        92 => Code::CannotReread,
        _ => Code::Failed,
    };
    // The name of the fault is said where it has to be.
    let text = match code {
        Code::CannotReread => fault.text.split_once(": ").map(|(_, text)| text),
        _ => None,
    };
    Refused {
        code,
        text: text.unwrap_or(&fault.text).to_string(),
    }
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

fn text(info: &Value, key: &str) -> String {
    match info.member(key) {
        Some(Value::Text(text)) => text.clone(),
        _ => String::new(),
    }
}

fn number(info: &Value, key: &str) -> i64 {
    match info.member(key) {
        Some(Value::Int(number)) => *number,
        Some(Value::Bool(flag)) => i64::from(*flag),
        _ => 0,
    }
}

fn name_of(info: &Value) -> ProcessName {
    ProcessName {
        group: text(info, "group"),
        process: text(info, "name"),
    }
}

/// What `getProcessInfo` tells.
fn process(info: &Value) -> Option<ProcessView> {
    let small = |key| i32::try_from(number(info, key)).unwrap_or(0);
    let (start, now) = (number(info, "start"), number(info, "now"));
    let pid = small("pid");
    Some(ProcessView {
        name: name_of(info),
        state: state_named(&text(info, "statename")).ok()?,
        description: text(info, "description"),
        pid,
        start,
        stop: number(info, "stop"),
        now,
        uptime: match pid {
            0 => 0,
            _ => u64::try_from(now - start).unwrap_or(0),
        },
        exit_status: small("exitstatus"),
        ended: String::new(),
        spawn_error: text(info, "spawnerr"),
        stdout_logfile: text(info, "stdout_logfile"),
        stderr_logfile: text(info, "stderr_logfile"),
        log_trouble: String::new(),
        left_behind: String::new(),
        disabled: false,
    })
}

/// What `getAllConfigInfo` tells.
fn configured(info: &Value) -> AvailView {
    AvailView {
        name: name_of(info),
        in_use: number(info, "inuse") != 0,
        autostart: number(info, "autostart") != 0,
        group_priority: number(info, "group_prio"),
        process_priority: number(info, "process_prio"),
    }
}
