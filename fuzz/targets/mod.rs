//! What must hold for whatever bytes come from outside, a target for each thing that reads them.
//!
//! A target panics if something does not hold. `fuzz/main.rs` has libFuzzer look for such bytes;
//! `tests/generated_input.rs` tries the corpora that came of it, with every run of the tests.

mod configuration;
mod http;
mod line_protocol;
mod listener;
mod log_format;
mod pieces;
mod xml_rpc;

/// Looks at some bytes; panics if they do harm.
pub type Target = fn(&[u8]);

/// All of them, by the names of their directories in `corpus/`.
pub const ALL: [(&str, Target); 6] = [
    ("configuration", configuration::check),
    ("http", http::check),
    ("line_protocol", line_protocol::check),
    ("listener", listener::check),
    ("log_format", log_format::check),
    ("xml_rpc", xml_rpc::check),
];
