//! Writes XML-RPC (the format of Python's `xmlrpc.client`), element by element as Supervisor does.
//!
//! Must never: produce XML that a parser refuses, whatever bytes a log holds.

use std::borrow::Cow;

use quick_xml::escape::escape;

use super::fault::Fault;
use super::value::Value;

/// Writes a `methodResponse`.
pub fn write_response(result: &Result<Value, Fault>) -> String {
    let mut xml = String::from("<?xml version='1.0'?>\n<methodResponse>\n");
    match result {
        Ok(value) => {
            xml.push_str("<params>\n<param>\n");
            write_value(&mut xml, value);
            xml.push_str("</param>\n</params>\n");
        }
        Err(fault) => {
            xml.push_str("<fault>\n");
            write_value(&mut xml, &fault.as_value());
            xml.push_str("</fault>\n");
        }
    }
    xml.push_str("</methodResponse>\n");
    xml
}

/// Writes a `<value>`.
pub(super) fn write_value(xml: &mut String, value: &Value) {
    xml.push_str("<value>");
    match value {
        Value::Text(text) => write_scalar(xml, "string", &escape(writable(text))),
        // The type has 32 bits; Supervisor caps times as well.
        Value::Int(number) => {
            let number = (*number).clamp(i32::MIN.into(), i32::MAX.into());
            write_scalar(xml, "int", &number.to_string());
        }
        Value::Bool(value) => write_scalar(xml, "boolean", if *value { "1" } else { "0" }),
        Value::Double(value) => write_scalar(xml, "double", &value.to_string()),
        Value::Array(items) => {
            xml.push_str("<array><data>\n");
            items.iter().for_each(|item| write_value(xml, item));
            xml.push_str("</data></array>");
        }
        Value::Struct(members) => {
            xml.push_str("<struct>\n");
            for (name, value) in members {
                xml.push_str("<member>\n<name>");
                xml.push_str(&escape(writable(name)));
                xml.push_str("</name>\n");
                write_value(xml, value);
                xml.push_str("</member>\n");
            }
            xml.push_str("</struct>");
        }
    }
    xml.push_str("</value>\n");
}

fn write_scalar(xml: &mut String, tag: &str, text: &str) {
    xml.push('<');
    xml.push_str(tag);
    xml.push('>');
    xml.push_str(text);
    xml.push_str("</");
    xml.push_str(tag);
    xml.push('>');
}

/// The text without the characters that XML 1.0 cannot hold (Supervisor sends them, and its
/// clients fail on the answer). A carriage return is kept by the writer as a reference.
fn writable(text: &str) -> Cow<'_, str> {
    let fits = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..);
    match text.chars().all(fits) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.chars().filter(|c| fits(*c)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_reads_as_one() {
        let value = Value::Array(vec![
            Value::from("a<b\u{1b}[0m\0"),
            Value::Bool(false),
            Value::Int(i64::MAX),
        ]);
        assert_eq!(
            write_response(&Ok(value)),
            "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n\
             <value><string>a&lt;b[0m</string></value>\n<value><boolean>0</boolean></value>\n\
             <value><int>2147483647</int></value>\n</data></array></value>\n</param>\n</params>\n\
             </methodResponse>\n"
        );
    }
}
