//! HTTP behind the sockets: Supervisor's XML-RPC interface for every client that speaks it.
//!
//! `tcp` accepts connections (those of unix sockets come from `control`); `transport` joins hyper and the runtime; `site` answers requests and guards them with
//! `credentials`; `value` is the XML-RPC codec, `fault` the table of faults, `methods` the table of
//! methods, `interface` and `logs` what they do. Like the line protocol, all of it asks the
//! daemon's turn [`Question`](crate::control::Question)s and reads log files by itself.
//!
//! Must never: look a method up by reflection, hold more of a request than [`site::REQUEST_MAX`],
//! let one client wait for another. Imports `config`, `fleet`, `logs`, `control`.

mod credentials;
mod fault;
mod interface;
mod logs;
mod methods;
pub mod site;
mod tcp;
mod transport;
pub mod value;

pub use credentials::Credentials;
pub use site::Site;
pub use tcp::serve_tcp;
