//! `/RPC2`: Supervisor's interface over XML-RPC.
//!
//! `read` and `write` are the codec of [`Value`]s, `client_side` its other half. `methods` is the table of
//! what can be called, `fault` that of what can go wrong. [`Interface`] leads a call to what it does:
//! `deeds` to processes and groups, `logs` with logs, `info` tells of processes; `arguments` reads what
//! was given.

mod arguments;
pub mod client_side;
mod deeds;
pub mod fault;
mod info;
mod interface;
mod logs;
mod methods;
mod read;
mod value;
mod write;

pub use interface::{Interface, Outcome};
pub use read::read_call;
pub use value::{Call, Value};
pub use write::write_response;
