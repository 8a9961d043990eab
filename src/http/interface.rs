//! What the methods do: a call becomes a question to the daemon's turn, its answer a value.
//!
//! Must never: change anything itself, wait while it holds anything.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use super::arguments::Arguments;
use super::asking::Asking;
use super::fault::{self, Fault};
use super::info::{config_info_of, process_info, result_of, result_struct, state_of};
use super::logs;
use super::methods::{METHODS, Method};
use super::value::{Call, Value, fault_value};
use crate::config::Signal;
use crate::control::{
    Answer, Ask, Channel, ConfiguredView, DaemonState, DaemonView, DifferenceKind,
};
use crate::fleet::{ProcessName, Refusal, Report, Selector};

/// The version of the interface that Supervisor 4 has.
const API_VERSION: &str = "3.0";

/// The version of Supervisor that we answer as.
const SUPERVISOR_VERSION: &str = "4.3.0";

/// Calls in one `system.multicall`.
const CALLS_MAX: usize = 1_000;

/// What a client may call.
#[derive(Debug, Clone)]
pub struct Interface {
    asking: Asking,
    of_the_page: bool,
}

/// The result of a call.
pub type Outcome = Result<Value, Fault>;

/// A call that is carried out.
pub type Boxed<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

impl Interface {
    /// For the client of this way to the turn.
    pub fn new(asking: Asking) -> Interface {
        Interface {
            asking,
            of_the_page: false,
        }
    }

    /// For forms of the page, which need no `[rpcinterface:supervisor]`.
    pub fn of_the_page(asking: Asking) -> Interface {
        Interface {
            asking,
            of_the_page: true,
        }
    }

    /// Carries out a call.
    pub fn call(&self, call: Call) -> Boxed<'_> {
        // Boxed, for a call can hold calls.
        Box::pin(self.carry_out(call))
    }

    async fn carry_out(&self, call: Call) -> Outcome {
        let Some(method) = Method::named(&call.method) else {
            return Err(Fault::bare(fault::UNKNOWN_METHOD));
        };
        if !method.takes(call.arguments.len()) {
            return Err(Fault::bare(fault::INCORRECT_PARAMETERS));
        }
        let arguments = Arguments::of(call.arguments);
        log::trace!("XML-RPC method called: {}()", method.name);
        match method.name.split_once('.') {
            Some(("system", name)) => self.system(name, arguments).await,
            Some((_, name)) => self.supervisor(name, arguments).await,
            None => Err(Fault::bare(fault::UNKNOWN_METHOD)),
        }
    }

    async fn system(&self, name: &str, mut arguments: Arguments) -> Outcome {
        match name {
            "listMethods" => {
                let all = self.is_served(&self.daemon().await?);
                let names = METHODS.iter().map(|method| method.name);
                Ok(array(
                    names.filter(|name| all || name.starts_with("system.")),
                ))
            }
            "methodHelp" => Ok(described(&arguments.text()?)?.help.into()),
            "methodSignature" => {
                let method = described(&arguments.text()?)?;
                Ok(array(method.signature.iter().copied()))
            }
            _ => self.multicall(arguments.list()?).await,
        }
    }

    /// One call after the other. Results are bare values, as Supervisor gives them.
    async fn multicall(&self, calls: Vec<Value>) -> Outcome {
        if calls.len() > CALLS_MAX {
            let text = format!("at most {CALLS_MAX} calls at once");
            return Err(Fault::new(fault::INCORRECT_PARAMETERS, text));
        }
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            let result = match inner_call(&call) {
                Ok(call) => self.call(call).await,
                Err(fault) => Err(fault),
            };
            results.push(result.unwrap_or_else(|fault| fault_value(&fault)));
        }
        Ok(Value::Array(results))
    }

    async fn supervisor(&self, name: &str, mut arguments: Arguments) -> Outcome {
        let daemon = self.daemon().await?;
        if !self.is_served(&daemon) {
            return Err(Fault::bare(fault::UNKNOWN_METHOD));
        }
        let leaving = daemon.state != DaemonState::Running;
        if leaving && !matches!(name, "getState" | "sendRemoteCommEvent") {
            return Err(Fault::bare(fault::SHUTDOWN_STATE));
        }
        match name {
            "getAPIVersion" | "getVersion" => Ok(API_VERSION.into()),
            "getSupervisorVersion" => Ok(SUPERVISOR_VERSION.into()),
            "getIdentification" => Ok(daemon.identifier.into()),
            "getPID" => Ok(Value::Int(daemon.pid.into())),
            "getState" => Ok(state_of(daemon.state)),
            "shutdown" => self.leave(Ask::Shutdown).await,
            "restart" => self.leave(Ask::StartOver).await,
            "reloadConfig" => self.reload_config().await,
            "addProcessGroup" => self.of_group(Ask::Add, arguments.text()?).await,
            "removeProcessGroup" => self.of_group(Ask::Remove, arguments.text()?).await,
            "startProcess" | "stopProcess" => {
                let asked = arguments.text()?;
                let wait = arguments.flag_or(true)?;
                self.one_or_group(start_or_stop(name, wait), &asked).await
            }
            "startProcessGroup" | "stopProcessGroup" => {
                let group = arguments.text()?;
                let wait = arguments.flag_or(true)?;
                let ask = start_or_stop(name, wait);
                self.results(ask(vec![Selector::Group(group.clone())]), &group)
                    .await
            }
            "startAllProcesses" | "stopAllProcesses" => {
                let ask = start_or_stop(name, arguments.flag_or(true)?);
                self.results(ask(vec![Selector::All]), "").await
            }
            "signalProcess" => {
                let asked = arguments.text()?;
                let ask = signal_with(arguments.signal()?);
                self.one_or_group(ask, &asked).await
            }
            "signalProcessGroup" => {
                let group = arguments.text()?;
                let ask = signal_with(arguments.signal()?);
                self.results(ask(vec![Selector::Group(group.clone())]), &group)
                    .await
            }
            "signalAllProcesses" => {
                let ask = signal_with(arguments.signal()?);
                self.results(ask(vec![Selector::All]), "").await
            }
            "getProcessInfo" => {
                let asked = arguments.text()?;
                let process = one_process(&asked)?;
                let selector = vec![Selector::Process(process)];
                let views = self.asking.processes(selector).await;
                let views = views.map_err(|failure| Fault::failed(&failure, &asked))?;
                let view = views.first().ok_or_else(|| bad_name(&asked))?;
                Ok(process_info(view))
            }
            "getAllProcessInfo" => {
                let views = self.asking.processes(Vec::new()).await;
                let mut views = views.map_err(|failure| Fault::failed(&failure, ""))?;
                views.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(Value::Array(views.iter().map(process_info).collect()))
            }
            "getAllConfigInfo" => self.config_info().await,
            "sendProcessStdin" => {
                let asked = arguments.text()?;
                let bytes = arguments.text()?.into_bytes();
                let name = one_process(&asked)?;
                self.ask(Ask::Stdin { name, bytes }, &asked).await?;
                Ok(Value::Bool(true))
            }
            "sendRemoteCommEvent" => {
                let (kind, data) = (arguments.text()?, arguments.text()?);
                self.ask(Ask::Remote { kind, data }, "").await?;
                Ok(Value::Bool(true))
            }
            _ => self.about_logs(name, arguments).await,
        }
    }

    async fn about_logs(&self, name: &str, mut arguments: Arguments) -> Outcome {
        match name {
            "readLog" | "readMainLog" => {
                let (offset, length) = (arguments.number()?, arguments.number()?);
                let path = self.log(Ask::MainLog, "").await?;
                logs::read(path, offset, length).await
            }
            "clearLog" => {
                self.ask(Ask::ClearMain, "").await?;
                Ok(Value::Bool(true))
            }
            "clearProcessLog" | "clearProcessLogs" => {
                let asked = arguments.text()?;
                let process = one_process(&asked)?;
                let ask = Ask::Clear(vec![Selector::Process(process)]);
                self.cleared(ask, &asked).await?;
                Ok(Value::Bool(true))
            }
            "clearAllProcessLogs" => {
                let results = self.cleared(Ask::Clear(vec![Selector::All]), "").await?;
                Ok(Value::Array(results))
            }
            "readProcessLog" | "readProcessStdoutLog" | "readProcessStderrLog" => {
                let asked = arguments.text()?;
                let (offset, length) = (arguments.number()?, arguments.number()?);
                let path = self.process_log(name, &asked).await?;
                logs::read(path, offset, length).await
            }
            _ => {
                let asked = arguments.text()?;
                let (offset, length) = (arguments.number()?, arguments.number()?);
                match self.process_log(name, &asked).await {
                    Ok(path) => Ok(logs::tail(path, offset, length).await),
                    Err(fault) if fault.code == fault::NO_FILE => Ok(logs::no_tail()),
                    Err(fault) => Err(fault),
                }
            }
        }
    }

    /// Where a process's log is that a method is about.
    async fn process_log(&self, method: &str, asked: &str) -> Result<PathBuf, Fault> {
        let channel = match method.contains("Stderr") {
            true => Channel::Stderr,
            false => Channel::Stdout,
        };
        let name = one_process(asked)?;
        self.log(Ask::LogOf { name, channel }, asked).await
    }

    async fn log(&self, ask: Ask, asked: &str) -> Result<PathBuf, Fault> {
        let found = self.asking.log(ask).await;
        found.map_err(|failure| Fault::failed(&failure, asked))
    }

    /// Shutdown and restart: accepted is all that can be answered.
    async fn leave(&self, ask: Ask) -> Outcome {
        let answers = self.asking.put(ask).await;
        let answers = answers.map_err(|failure| Fault::failed(&failure, ""))?;
        loop {
            match answers.recv().await {
                Ok(Answer::Report(Report {
                    result: Err(refusal),
                    ..
                })) => {
                    return Err(Fault::refused(&refusal, ""));
                }
                Ok(Answer::Failed(failure)) => return Err(Fault::failed(&failure, "")),
                Ok(Answer::Diagnostic(_)) => {}
                Ok(_) | Err(_) => return Ok(Value::Bool(true)),
            }
        }
    }

    async fn reload_config(&self) -> Outcome {
        let answers = self.ask(Ask::Reread, "").await?;
        let of_kind = |wanted: DifferenceKind| {
            array(answers.iter().filter_map(|answer| match answer {
                Answer::Difference { group, kind } if *kind == wanted => Some(group.as_str()),
                _ => None,
            }))
        };
        // One level more than one would think: Supervisor's clients expect it.
        Ok(Value::Array(vec![Value::Array(vec![
            of_kind(DifferenceKind::Available),
            of_kind(DifferenceKind::Changed),
            of_kind(DifferenceKind::Disappeared),
        ])]))
    }

    async fn of_group(&self, ask: fn(Vec<String>) -> Ask, group: String) -> Outcome {
        let answers = self.ask(ask(vec![group.clone()]), &group).await?;
        match reports(answers).find_map(|report| report.result.err()) {
            Some(refusal) => Err(Fault::refused(&refusal, &group)),
            None => Ok(Value::Bool(true)),
        }
    }

    /// For one process its result, for `group:*` a list of results.
    async fn one_or_group(&self, ask: impl Fn(Vec<Selector>) -> Ask, asked: &str) -> Outcome {
        let name = match named(asked) {
            Selector::Process(name) => name,
            group => return self.results(ask(vec![group]), asked).await,
        };
        let answers = self.ask(ask(vec![Selector::Process(name)]), asked).await?;
        match reports(answers).find_map(|report| report.result.err()) {
            Some(refusal) => Err(Fault::refused(&refusal, asked)),
            None => Ok(Value::Bool(true)),
        }
    }

    /// A list of results. Processes to which nothing had to be done are not in it.
    async fn results(&self, ask: Ask, asked: &str) -> Outcome {
        let mut results = Vec::new();
        for report in reports(self.ask(ask, asked).await?) {
            match &report.result {
                Err(Refusal::NoSuchGroup) => return Err(bad_name(group_of(asked))),
                Err(Refusal::AlreadyStarted | Refusal::NotRunning) => {}
                result => results.push(result_of(&report.subject, result.as_ref().err())),
            }
        }
        Ok(Value::Array(results))
    }

    async fn cleared(&self, ask: Ask, asked: &str) -> Result<Vec<Value>, Fault> {
        let answers = self.ask(ask, asked).await?;
        let mut results = Vec::new();
        for answer in answers {
            match answer {
                Answer::Report(Report {
                    result: Err(refusal),
                    ..
                }) => {
                    return Err(Fault::refused(&refusal, asked));
                }
                Answer::LogReport { name, result } => {
                    if let (Err(_), false) = (&result, asked.is_empty()) {
                        return Err(Fault::new(fault::FAILED, asked));
                    }
                    let fault = result.err().map(|failure| Fault::failed(&failure, ""));
                    results.push(result_struct(&name.group, &name.process, fault));
                }
                _ => {}
            }
        }
        Ok(results)
    }

    async fn config_info(&self) -> Outcome {
        let answers = self.ask(Ask::Configuration, "").await?;
        let mut views: Vec<ConfiguredView> = answers
            .into_iter()
            .filter_map(|answer| match answer {
                Answer::Configured(view) => Some(*view),
                _ => None,
            })
            .collect();
        views.sort_by(|a, b| a.config.name.cmp(&b.config.name));
        Ok(Value::Array(views.iter().map(config_info_of).collect()))
    }

    async fn daemon(&self) -> Result<DaemonView, Fault> {
        let daemon = self.asking.daemon().await;
        daemon.map_err(|failure| Fault::failed(&failure, ""))
    }

    fn is_served(&self, daemon: &DaemonView) -> bool {
        self.of_the_page || daemon.serves_supervisor
    }

    async fn ask(&self, ask: Ask, asked: &str) -> Result<Vec<Answer>, Fault> {
        let answers = self.asking.ask(ask).await;
        answers.map_err(|failure| Fault::failed(&failure, asked))
    }
}

fn inner_call(call: &Value) -> Result<Call, Fault> {
    let bad = |text| Err(Fault::new(fault::INCORRECT_PARAMETERS, text));
    let Some(Value::Text(method)) = call.member("methodName") else {
        return bad("No methodName");
    };
    if method == "system.multicall" {
        return bad("Recursive system.multicall forbidden");
    }
    let arguments = match call.member("params") {
        None => Vec::new(),
        Some(Value::Array(arguments)) => arguments.clone(),
        Some(_) => return bad("params is no array"),
    };
    Ok(Call {
        method: method.clone(),
        arguments,
    })
}

fn described(name: &str) -> Result<&'static Method, Fault> {
    Method::named(name).ok_or_else(|| Fault::bare(fault::SIGNATURE_UNSUPPORTED))
}

fn array<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(texts.map(Value::from).collect())
}

fn reports(answers: Vec<Answer>) -> impl Iterator<Item = Report> {
    answers.into_iter().filter_map(|answer| match answer {
        Answer::Report(report) => Some(report),
        _ => None,
    })
}

fn start_or_stop(method: &str, wait: bool) -> impl Fn(Vec<Selector>) -> Ask {
    let starts = method.starts_with("start");
    move |selectors| match starts {
        true => Ask::Start { selectors, wait },
        false => Ask::Stop { selectors, wait },
    }
}

fn signal_with(signal: Signal) -> impl Fn(Vec<Selector>) -> Ask {
    move |selectors| Ask::Signal { signal, selectors }
}

/// `group:process`, `group:*`, or the bare name of a process in a group of that name.
fn named(asked: &str) -> Selector {
    match asked.split_once(':') {
        Some((group, "" | "*")) => Selector::Group(group.to_owned()),
        Some((group, process)) => Selector::Process(ProcessName {
            group: group.to_owned(),
            process: process.to_owned(),
        }),
        None => Selector::Process(ProcessName {
            group: asked.to_owned(),
            process: asked.to_owned(),
        }),
    }
}

fn one_process(asked: &str) -> Result<ProcessName, Fault> {
    match named(asked) {
        Selector::Process(name) => Ok(name),
        _ => Err(bad_name(asked)),
    }
}

fn bad_name(name: &str) -> Fault {
    Fault::new(fault::BAD_NAME, name)
}

fn group_of(asked: &str) -> &str {
    asked.split_once(':').map_or(asked, |(group, _)| group)
}
