//! The arguments of a call of XML-RPC, each read as the type that is asked for.
//!
//! Must never: fail other than by a fault; what clients send is anything.

use super::fault::{self, Fault};
use super::value::Value;

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

    /// A number. Supervisor takes what Python's `int()` takes: digits in a string, a truth value,
    /// the whole part of a fraction.
    pub fn number(&mut self) -> Result<i64, Fault> {
        let number = match self.0.next() {
            Some(Value::Int(number)) => Some(number),
            Some(Value::Bool(flag)) => Some(flag.into()),
            Some(Value::Double(number)) if number.is_finite() => Some(number as i64),
            Some(Value::Text(text)) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| Fault::bare(fault::INCORRECT_PARAMETERS))
    }

    /// A truth value as Python sees it: anything but nothing. Or what holds without one.
    pub fn flag_or(&mut self, otherwise: bool) -> bool {
        match self.0.next() {
            None => otherwise,
            Some(Value::Bool(flag)) => flag,
            Some(Value::Int(number)) => number != 0,
            Some(Value::Double(number)) => number != 0.0,
            Some(Value::Text(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Struct(members)) => !members.is_empty(),
        }
    }

    /// An array.
    pub fn list(&mut self) -> Result<Vec<Value>, Fault> {
        match self.0.next() {
            Some(Value::Array(items)) => Ok(items),
            _ => Err(Fault::bare(fault::INCORRECT_PARAMETERS)),
        }
    }

    /// A word, or a number that is written as one: of a signal the name or the number.
    pub fn word(&mut self) -> Result<String, Fault> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Int(number)) => Ok(number.to_string()),
            _ => Err(Fault::bare(fault::INCORRECT_PARAMETERS)),
        }
    }
}
