//! The methods that read and clear logs. Files are read away from the tasks that serve.
//!
//! Must never: read more than [`read::READ_MAX`] at once, fail on what a log holds: bytes that are
//! no UTF-8 are replaced (Supervisor answers with HTTP 500).

use std::io;
use std::path::PathBuf;

use super::arguments::Arguments;
use super::fault::{self, Fault};
use super::info::result_struct;
use super::interface::{Interface, Outcome, one_process};
use super::value::Value;
use crate::control::{Answer, Ask, Channel};
use crate::fleet::{Report, Selector};
use crate::logs::read::{self, ReadError};

impl Interface {
    /// The methods that read and clear logs.
    pub(super) async fn about_logs(&self, name: &str, mut arguments: Arguments) -> Outcome {
        match name {
            "readLog" | "readMainLog" => {
                let (offset, length) = (arguments.number()?, arguments.number()?);
                let path = self.log(Ask::MainLog, "").await?;
                read_piece(path, offset, length).await
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
                read_piece(path, offset, length).await
            }
            _ => {
                let asked = arguments.text()?;
                let (offset, length) = (arguments.number()?, arguments.number()?);
                match self.process_log(name, &asked).await {
                    Ok(path) => Ok(tail_piece(path, offset, length).await),
                    Err(fault) if fault.code == fault::NO_FILE => Ok(no_tail()),
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
}

/// The readLog methods.
async fn read_piece(path: PathBuf, offset: i64, length: i64) -> Result<Value, Fault> {
    let shown = path.display().to_string();
    let slice = move || read::read_slice(&path, offset, length);
    match blocking::unblock(slice).await {
        Ok(bytes) => Ok(text(bytes)),
        Err(ReadError::BadArguments) => Err(Fault::bare(fault::BAD_ARGUMENTS)),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(Fault::new(fault::NO_FILE, shown))
        }
        Err(ReadError::Io(error)) => Err(Fault::new(fault::FAILED, format!("{shown}: {error}"))),
    }
}

/// The tailLog methods: bytes, next offset, whether there was more.
async fn tail_piece(path: PathBuf, offset: i64, length: i64) -> Value {
    let slice = move || {
        path.exists()
            .then(|| read::tail_slice(&path, offset, length))
    };
    let Some(tail) = blocking::unblock(slice).await else {
        return no_tail();
    };
    Value::Array(vec![
        text(tail.bytes),
        Value::Int(tail.size),
        Value::Bool(tail.overflow),
    ])
}

/// The tail of a log that is not there.
fn no_tail() -> Value {
    Value::Array(vec!["".into(), Value::Int(0), Value::Bool(false)])
}

fn text(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Text(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}
