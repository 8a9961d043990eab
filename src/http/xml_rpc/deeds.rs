//! What is done to processes, to groups and to the daemon.
//!
//! Must never: decide what a name or a state allows; the turn does.

use super::arguments::Arguments;
use super::fault::{self, Fault};
use super::info::{result_of, result_struct};
use super::interface::{Interface, Outcome, array, named, one_process};
use super::value::Value;
use crate::config::Signal;
use crate::control::{Answer, Ask, DifferenceKind};
use crate::fleet::{Refusal, Report, Selector};

/// What starts or stops the selected, by the name of the method.
fn start_or_stop(method: &str, on: Selector, wait: bool) -> Ask {
    let selectors = vec![on];
    match method.starts_with("start") {
        true => Ask::Start { selectors, wait },
        false => Ask::Stop { selectors, wait },
    }
}

impl Interface {
    /// Shutdown and restart: accepted is all that can be answered.
    pub(super) async fn leave(&self, ask: Ask) -> Outcome {
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

    /// Which groups are new, changed and gone.
    pub(super) async fn reload_config(&self) -> Outcome {
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

    /// Takes a group into use, or out of it.
    pub(super) async fn of_group(&self, ask: fn(Vec<String>) -> Ask, group: String) -> Outcome {
        let answers = self.ask(ask(vec![group.clone()]), &group).await?;
        match reports(answers).find_map(|report| report.result.err()) {
            Some(refusal) => Err(Fault::refused(&refusal, &group)),
            None => Ok(Value::Bool(true)),
        }
    }

    /// The methods that start, stop and signal processes and write to them. The others are about logs.
    pub(super) async fn do_to_processes(&self, name: &str, mut arguments: Arguments) -> Outcome {
        match name {
            "startProcess" | "stopProcess" => {
                let asked = arguments.text()?;
                let ask = start_or_stop(name, named(&asked), arguments.flag_or(true));
                self.carry_out_on(ask, &asked).await
            }
            "startProcessGroup" | "stopProcessGroup" => {
                let group = arguments.text()?;
                let on = Selector::Group(group.clone());
                let ask = start_or_stop(name, on, arguments.flag_or(true));
                self.carry_out_on(ask, &group).await
            }
            "startAllProcesses" | "stopAllProcesses" => {
                let ask = start_or_stop(name, Selector::All, arguments.flag_or(true));
                self.carry_out_on(ask, "").await
            }
            "signalProcess" => {
                let asked = arguments.text()?;
                let signal = arguments.word()?;
                self.signal(named(&asked), &signal, &asked).await
            }
            "signalProcessGroup" => {
                let group = arguments.text()?;
                let signal = arguments.word()?;
                self.signal(Selector::Group(group.clone()), &signal, &group)
                    .await
            }
            "signalAllProcesses" => self.signal(Selector::All, &arguments.word()?, "").await,
            "sendProcessStdin" => {
                let asked = arguments.text()?;
                let bytes = arguments.text()?.into_bytes();
                let name = one_process(&asked)?;
                self.ask(Ask::Stdin { name, bytes }, &asked).await?;
                Ok(Value::Bool(true))
            }
            _ => self.about_logs(name, arguments).await,
        }
    }

    /// Starts, stops or signals: for one process its result, for several a list of results, without
    /// those to which nothing had to be done.
    async fn carry_out_on(&self, ask: Ask, asked: &str) -> Outcome {
        let one = is_about_one(&ask);
        let mut results = Vec::new();
        for answer in self.ask(ask, asked).await? {
            let Answer::Report(Report { subject, result }) = answer else {
                continue;
            };
            match result {
                Err(refusal) if one => return Err(Fault::refused(&refusal, asked)),
                Err(refusal @ Refusal::NoSuchGroup) => return Err(Fault::refused(&refusal, asked)),
                Err(Refusal::AlreadyStarted | Refusal::NotRunning) => {}
                result => results.push(result_of(&subject, result.err().as_ref())),
            }
        }
        Ok(match one {
            true => Value::Bool(true),
            false => Value::Array(results),
        })
    }

    /// Sends a signal, by name or number. A word that names none is looked at last: it fails for
    /// every process that it would have been sent to.
    async fn signal(&self, on: Selector, word: &str, asked: &str) -> Outcome {
        if let Ok(signal) = Signal::parse(word) {
            let selectors = vec![on];
            return self
                .carry_out_on(Ask::Signal { signal, selectors }, asked)
                .await;
        }
        let one = matches!(on, Selector::Process(_));
        let views = self.asking.processes(vec![on]).await;
        let views = views.map_err(|failure| Fault::failed(&failure, asked))?;
        let bad = || Fault::new(fault::BAD_SIGNAL, word);
        if one {
            return Err(bad());
        }
        let signalled = views.iter().filter(|view| view.state.is_signallable());
        Ok(Value::Array(
            signalled
                .map(|view| result_struct(&view.name.group, &view.name.process, Some(bad())))
                .collect(),
        ))
    }
}

fn is_about_one(ask: &Ask) -> bool {
    match ask {
        Ask::Start { selectors, .. }
        | Ask::Stop { selectors, .. }
        | Ask::Signal { selectors, .. } => {
            matches!(selectors[..], [Selector::Process(_)])
        }
        _ => false,
    }
}

fn reports(answers: Vec<Answer>) -> impl Iterator<Item = Report> {
    answers.into_iter().filter_map(|answer| match answer {
        Answer::Report(report) => Some(report),
        _ => None,
    })
}
