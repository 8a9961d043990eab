//! The arguments of a call of XML-RPC, each read as the type that is asked for.
//!
//! Must never: fail other than by a fault; what clients send is anything.

use super::fault::{self, Fault};
use super::value::Value;
use crate::config::Signal;

/// The arguments of a call, taken one after the other.
pub struct Arguments(std::vec::IntoIter<Value>);

impl Arguments {
    /// Those of a call.
    pub fn of(values: Vec<Value>) -> Arguments {
        Arguments(values.into_iter())
    }

    /// A string.
    pub fn text(&mut self) -> Result<String, Fault> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(Fault::bare(fault::INCORRECT_PARAMETERS)),
        }
    }

    /// Supervisor takes digits in a string for a number as well.
    pub fn number(&mut self) -> Result<i64, Fault> {
        let number = match self.0.next() {
            Some(Value::Int(number)) => Some(number),
            Some(Value::Text(text)) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| Fault::bare(fault::INCORRECT_PARAMETERS))
    }

    /// A truth value, or what holds without one.
    pub fn flag_or(&mut self, otherwise: bool) -> Result<bool, Fault> {
        match self.0.next() {
            None => Ok(otherwise),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::Int(number)) => Ok(number != 0),
            Some(Value::Text(text)) => Ok(!text.is_empty()),
            Some(_) => Err(Fault::bare(fault::INCORRECT_PARAMETERS)),
        }
    }

    /// An array.
    pub fn list(&mut self) -> Result<Vec<Value>, Fault> {
        match self.0.next() {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Fault::bare(fault::INCORRECT_PARAMETERS)),
        }
    }

    /// A signal, by name or number.
    pub fn signal(&mut self) -> Result<Signal, Fault> {
        let text = match self.0.next() {
            Some(Value::Text(text)) => text,
            Some(Value::Int(number)) => number.to_string(),
            _ => return Err(Fault::bare(fault::INCORRECT_PARAMETERS)),
        };
        Signal::parse(&text).map_err(|_| Fault::new(fault::BAD_SIGNAL, text))
    }
}
