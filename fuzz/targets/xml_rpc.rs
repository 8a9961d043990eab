//! XML-RPC: calls that clients send, and the answers that a client of ours is sent.

use appctl::http::xml_rpc::client_side::{read_response, write_call};
use appctl::http::xml_rpc::{Value, read_call, write_response};

/// A call that was read can be written and read again and is the same then, and so can its
/// arguments as results.
pub fn check(data: &[u8]) {
    let _ = read_response(data);
    let Ok(call) = read_call(data) else {
        return;
    };
    // The first writing makes characters printable and numbers fit 32 bits; the second changes nothing.
    let written = write_call(&call.method, &call.arguments);
    let again = read_call(written.as_bytes()).expect("what was written is a call");
    assert_eq!(written, write_call(&again.method, &again.arguments));
    for value in again.arguments {
        let response = write_response(&Ok(value.clone()));
        let read = read_response(response.as_bytes()).expect("what was written is a response");
        let read = read.expect("it is no fault");
        assert!(same(&read, &value), "{read:?} {value:?}");
    }
}

/// Equal, also where a number is none.
fn same(one: &Value, other: &Value) -> bool {
    one == other || format!("{one:?}") == format!("{other:?}")
}
