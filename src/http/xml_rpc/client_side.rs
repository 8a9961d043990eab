//! The client's half of the XML-RPC codec: calls out, responses in. What a value looks like is in
//! [`value`](super::value).

use quick_xml::escape::escape;

use super::read::{NotACall, Reading};
use super::value::Value;
use super::write::write_value;

/// A fault as a client gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFault {
    /// Supervisor's number.
    pub code: i64,
    /// `NAME`, or `NAME: more`.
    pub text: String,
}

/// Writes a `methodCall`.
pub fn write_call(method: &str, arguments: &[Value]) -> String {
    let mut xml = format!(
        "<?xml version='1.0'?>\n<methodCall>\n<methodName>{}</methodName>\n<params>\n",
        escape(method)
    );
    for argument in arguments {
        xml.push_str("<param>\n");
        write_value(&mut xml, argument);
        xml.push_str("</param>\n");
    }
    xml.push_str("</params>\n</methodCall>\n");
    xml
}

/// Reads a `methodResponse`: the value or the fault. The outer error: it is none.
pub fn read_response(xml: &[u8]) -> Result<Result<Value, RemoteFault>, NotACall> {
    let mut reading = Reading::of(xml)?;
    reading.open("methodResponse")?;
    let result = if reading.opens("fault") {
        let value = reading.value(0)?;
        reading.close("fault")?;
        let code = match value.member("faultCode") {
            Some(Value::Int(code)) => *code,
            _ => return Err(NotACall("a fault without a code".to_owned())),
        };
        let text = match value.member("faultString") {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        };
        Err(RemoteFault { code, text })
    } else {
        reading.open("params")?;
        reading.open("param")?;
        let value = reading.value(0)?;
        reading.close("param")?;
        reading.close("params")?;
        Ok(value)
    };
    reading.close("methodResponse")?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::xml_rpc::fault::{self, Fault};
    use crate::http::xml_rpc::{read_call, write_response};

    #[test]
    fn a_server_reads_what_a_client_writes_and_back() {
        let arguments = vec![Value::from("a<b"), Value::Int(-5), Value::Bool(true)];
        let call = read_call(write_call("a.b", &arguments).as_bytes()).unwrap();
        assert_eq!((call.method.as_str(), call.arguments), ("a.b", arguments));

        let value = Value::Array(vec![Value::Struct(vec![("k".to_owned(), "v".into())])]);
        let xml = write_response(&Ok(value.clone()));
        assert_eq!(read_response(xml.as_bytes()), Ok(Ok(value)));

        let xml = write_response(&Err(Fault::new(fault::BAD_NAME, "x")));
        let fault = RemoteFault {
            code: 10,
            text: "BAD_NAME: x".to_owned(),
        };
        assert_eq!(read_response(xml.as_bytes()), Ok(Err(fault)));
        for text in [
            "",
            "<methodResponse/>",
            "<methodResponse><fault/></methodResponse>",
        ] {
            assert!(read_response(text.as_bytes()).is_err(), "{text}");
        }
    }
}
