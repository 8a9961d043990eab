//! HTTP behind the sockets: Supervisor's XML-RPC interface, its log streams and page, and ours.
//!
//! `tcp` accepts connections (those of unix sockets come from `control`). `transport` joins hyper
//! and the runtime and ends connections that are too slow for their `pace`; `hang_up` notices clients
//! that are gone. `site` answers: it checks `credentials`, asks the `guard` whether a browser was
//! talked into the request, and leads to a door:
//!
//! * `/RPC2`: [`xml_rpc`].
//! * `/logtail`, `/mainlogtail`: `tails`; `stream` turns log files into bodies.
//! * `/api/v1/…`: `api`, in JSON; `events` sends what happens.
//! * `/live`: what open pages watch; `live` follows the events and `usage` reads CPU and memory, once for all.
//! * `/metrics`: `metrics`, as OpenMetrics.
//! * the page and its files: `page`, and for what scripts do with Supervisor's page, `forms`.
//!
//! Like the line protocol, all of it puts [`Question`](crate::control::Question)s to the daemon's
//! turn, by way of `asking`, and reads log files by itself.
//!
//! Must never: look a method up by reflection, take a path of a file from a client, hold more of a
//! request than [`site::REQUEST_MAX`], let one client wait for another.

mod api;
mod asking;
mod credentials;
mod events;
mod forms;
mod guard;
mod hang_up;
mod live;
mod metrics;
mod pace;
mod page;
mod reply;
pub mod site;
mod stream;
mod tails;
mod tcp;
mod transport;
mod usage;
pub mod xml_rpc;

pub use credentials::Credentials;
pub use guard::Guard;
pub use hang_up::Wire;
pub use live::Live;
pub use site::Site;
pub use tcp::serve_tcp;
