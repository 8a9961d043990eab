//! Calls over XML-RPC, written by hand: arguments as JSON, the answer as text that shows every type.
//!
//! | shown | is |
//! |---|---|
//! | `1`, `1.5`, `true`, `"x"`, `[…]`, `{…}` | int, double, boolean, string, array, struct |
//! | `PID`, `TIME` | an int that changes from run to run, but 0 |
//! | `fault 10 BAD_NAME: x` | a fault |
//! | `HTTP 400` | no answer of XML-RPC |
//!
//! Members of a struct are shown by name. Results of many processes are sorted: they come in the order
//! in which processes were ready.

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use serde_json::{Map, Value};

use super::lab::Lab;
use super::lab::http::{Reply, ask};
use super::plain::without_time_of_death;

/// Calls a method with these arguments: JSON values with blanks between.
pub fn call(lab: &Lab, method: &str, arguments: &str) -> String {
    let mut xml = format!("<methodCall><methodName>{method}</methodName><params>");
    for value in serde_json::Deserializer::from_str(arguments).into_iter() {
        let value = value.unwrap_or_else(|error| panic!("{method} {arguments}: {error}"));
        xml.push_str("<param>");
        write(&mut xml, &value);
        xml.push_str("</param>");
    }
    xml.push_str("</params></methodCall>");
    post(lab, &xml)
}

/// Posts a body as it is.
pub fn post(lab: &Lab, body: &str) -> String {
    shown(&ask(lab, "POST /RPC2", &["Content-Type: text/xml"], body))
}

fn write(xml: &mut String, value: &Value) {
    xml.push_str("<value>");
    match value {
        Value::Null => xml.push_str("<nil/>"),
        Value::Bool(value) => {
            xml.push_str(&format!("<boolean>{}</boolean>", u8::from(*value)));
        }
        Value::Number(number) if number.is_f64() => {
            xml.push_str(&format!("<double>{number}</double>"));
        }
        Value::Number(number) => xml.push_str(&format!("<int>{number}</int>")),
        Value::String(text) => xml.push_str(&format!("<string>{}</string>", escape(text))),
        Value::Array(items) => {
            xml.push_str("<array><data>");
            items.iter().for_each(|item| write(xml, item));
            xml.push_str("</data></array>");
        }
        Value::Object(members) => {
            xml.push_str("<struct>");
            for (name, value) in members {
                xml.push_str(&format!("<member><name>{}</name>", escape(name)));
                write(xml, value);
                xml.push_str("</member>");
            }
            xml.push_str("</struct>");
        }
    }
    xml.push_str("</value>");
}

fn shown(reply: &Reply) -> String {
    if reply.status != 200 {
        return format!("HTTP {}\n", reply.status);
    }
    assert_eq!(reply.header("content-type"), Some("text/xml"));
    assert!(reply.header("content-length").is_some(), "{}", reply.head);
    let text = reply.text();
    let value = answer(&text).unwrap_or_else(|| panic!("no answer of XML-RPC: {text}"));
    if text.contains("<fault>") {
        let text = value["faultString"].as_str().expect("a string");
        return format!("fault {} {text}\n", value["faultCode"]);
    }
    let text = format!("{value:#}\n");
    text.replace("\"PID\"", "PID").replace("\"TIME\"", "TIME")
}

/// The one value of a response, or the struct of its fault.
fn answer(xml: &str) -> Option<Value> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    // What is open: names of members, and what they and arrays have so far.
    let mut found = vec![Vec::new()];
    let mut names = Vec::new();
    let mut text = String::new();
    let mut scalar = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                text.clear();
                if matches!(tag.name().as_ref(), "array" | "struct") {
                    found.push(Vec::new());
                    names.push(Vec::new());
                }
            }
            Event::Text(more) => text.push_str(&more),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(character) => text.push(character),
                None => text.push_str(quick_xml::escape::resolve_predefined_entity(&reference)?),
            },
            Event::End(tag) => match tag.name().as_ref() {
                "int" => scalar = Some(Value::from(text.parse::<i64>().ok()?)),
                "boolean" => scalar = Some(Value::from(text == "1")),
                "double" => scalar = Some(Value::from(text.parse::<f64>().ok()?)),
                "string" => scalar = Some(Value::from(text.as_str())),
                "name" => names.last_mut()?.push(text.clone()),
                "array" => {
                    names.pop()?;
                    scalar = Some(array(found.pop()?));
                }
                "struct" => {
                    let pairs = names.pop()?.into_iter().zip(found.pop()?);
                    scalar = Some(members(pairs.collect()));
                }
                "value" => found.last_mut()?.push(scalar.take()?),
                _ => {}
            },
            Event::Eof => return found.pop()?.pop(),
            _ => {}
        }
    }
}

fn array(mut items: Vec<Value>) -> Value {
    if items.iter().all(|item| item.get("status").is_some()) {
        items.sort_by_key(|item| format!("{}:{}", item["group"], item["name"]));
    }
    Value::Array(items)
}

fn members(mut members: Map<String, Value>) -> Value {
    for (name, value) in &mut members {
        let stands_for = match name.as_str() {
            "pid" => "PID",
            "start" | "stop" | "now" => "TIME",
            "description" => {
                let text = value.as_str().expect("a string");
                *value = Value::from(without_time_of_death(text));
                continue;
            }
            _ => continue,
        };
        if value.as_i64().is_some_and(|number| number != 0) {
            *value = Value::from(stands_for);
        }
    }
    Value::Object(members)
}
