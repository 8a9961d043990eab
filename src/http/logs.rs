//! Pieces of log files as XML-RPC values, read away from the tasks that serve.
//!
//! Must never: read more than [`read::READ_MAX`] at once, fail on what a log holds: bytes that are
//! no UTF-8 are replaced (Supervisor answers with HTTP 500).

use std::io;
use std::path::PathBuf;

use super::fault::{self, Fault};
use super::value::Value;
use crate::logs::read::{self, ReadError};

/// The readLog methods.
pub async fn read(path: PathBuf, offset: i64, length: i64) -> Result<Value, Fault> {
    let shown = path.display().to_string();
    let slice = move || read::read_slice(&path, offset, length);
    match async_std::task::spawn_blocking(slice).await {
        Ok(bytes) => Ok(text(bytes)),
        Err(ReadError::BadArguments) => Err(Fault::bare(fault::BAD_ARGUMENTS)),
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(Fault::new(fault::NO_FILE, shown))
        }
        Err(ReadError::Io(error)) => Err(Fault::new(fault::FAILED, format!("{shown}: {error}"))),
    }
}

/// The tailLog methods: bytes, next offset, whether there was more.
pub async fn tail(path: PathBuf, offset: i64, length: i64) -> Value {
    let slice = move || {
        path.exists()
            .then(|| read::tail_slice(&path, offset, length))
    };
    let Some(tail) = async_std::task::spawn_blocking(slice).await else {
        return no_tail();
    };
    Value::Array(vec![
        text(tail.bytes),
        Value::Int(tail.size),
        Value::Bool(tail.overflow),
    ])
}

/// The tail of a log that is not there.
pub fn no_tail() -> Value {
    Value::Array(vec!["".into(), Value::Int(0), Value::Bool(false)])
}

fn text(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => Value::Text(text),
        Err(error) => Value::Text(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}
