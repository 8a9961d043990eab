//! What the methods do: a call becomes a question to the daemon's turn, its answer a value.
//!
//! Must never: change anything itself, wait while it holds anything.

use std::future::Future;
use std::pin::Pin;

use super::arguments::Arguments;
use super::fault::{self, Fault};
use super::info::{config_info_of, process_info, state_of};
use super::methods::{METHODS, Method};
use super::value::{Call, Value};
use crate::control::{Answer, Ask, ConfiguredView, DaemonState, DaemonView};
use crate::fleet::{ProcessName, Selector};
use crate::http::asking::Asking;
use crate::ordered;

/// The version of the interface that Supervisor 4 has.
const API_VERSION: &str = "3.0";

/// The version of Supervisor that we answer as.
const SUPERVISOR_VERSION: &str = "4.3.0";

/// Calls in one `system.multicall`.
const CALLS_MAX: usize = 1_000;

/// What a client may call.
#[derive(Debug, Clone)]
pub struct Interface {
    pub(super) asking: Asking,
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
            "methodHelp" => Ok(described(&mut arguments)?.help.into()),
            "methodSignature" => {
                let method = described(&mut arguments)?;
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
            results.push(result.unwrap_or_else(|fault| fault.as_value()));
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
                ordered::sort_by(&mut views, |a, b| a.name.cmp(&b.name));
                Ok(Value::Array(views.iter().map(process_info).collect()))
            }
            "getAllConfigInfo" => self.config_info().await,
            "sendRemoteCommEvent" => {
                let (kind, data) = (arguments.word()?, arguments.word()?);
                self.ask(Ask::Remote { kind, data }, "").await?;
                Ok(Value::Bool(true))
            }
            _ => self.do_to_processes(name, arguments).await,
        }
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
        ordered::sort_by(&mut views, |a, b| a.config.name.cmp(&b.config.name));
        Ok(Value::Array(views.iter().map(config_info_of).collect()))
    }

    async fn daemon(&self) -> Result<DaemonView, Fault> {
        let daemon = self.asking.daemon().await;
        daemon.map_err(|failure| Fault::failed(&failure, ""))
    }

    fn is_served(&self, daemon: &DaemonView) -> bool {
        self.of_the_page || daemon.serves_supervisor
    }

    /// Asks the turn; a failure names what was asked for.
    pub(super) async fn ask(&self, ask: Ask, asked: &str) -> Result<Vec<Answer>, Fault> {
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

/// The method that is asked about. What is no name is the name of none.
fn described(arguments: &mut Arguments) -> Result<&'static Method, Fault> {
    let method = arguments.text().ok().and_then(|name| Method::named(&name));
    method.ok_or_else(|| Fault::bare(fault::SIGNATURE_UNSUPPORTED))
}

/// An array of strings.
pub(super) fn array<'a>(texts: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(texts.map(Value::from).collect())
}

/// `group:process`, `group:*`, or the bare name of a process in a group of that name.
pub(super) fn named(asked: &str) -> Selector {
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

/// One process; `group:*` is none.
pub(super) fn one_process(asked: &str) -> Result<ProcessName, Fault> {
    match named(asked) {
        Selector::Process(name) => Ok(name),
        _ => Err(bad_name(asked)),
    }
}

fn bad_name(name: &str) -> Fault {
    Fault::new(fault::BAD_NAME, name)
}
