//! Reads XML-RPC (the format of Python's `xmlrpc.client`).
//!
//! Must never: read a document type (entities that expand without end), nest without a bound.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use super::value::{Call, Value};

/// Deepest nesting of values.
const DEPTH_MAX: usize = 32;

/// Why a text is no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotACall(pub String);

fn not(what: impl Into<String>) -> NotACall {
    NotACall(what.into())
}

/// Reads a `methodCall`.
pub fn read_call(xml: &[u8]) -> Result<Call, NotACall> {
    let mut reading = Reading::of(xml)?;
    reading.open("methodCall")?;
    reading.open("methodName")?;
    let method = reading.text().trim().to_owned();
    reading.close("methodName")?;
    if method.is_empty() {
        return Err(not("no method name"));
    }
    let mut arguments = Vec::new();
    if reading.opens("params") {
        while reading.opens("param") {
            arguments.push(reading.value(0)?);
            reading.close("param")?;
        }
        reading.close("params")?;
    }
    reading.close("methodCall")?;
    Ok(Call { method, arguments })
}

#[derive(Debug, PartialEq)]
enum Token {
    Open(String),
    Close(String),
    Text(String),
}

/// The whole text as tags and text; texts that touch are one.
fn tokens(xml: &[u8]) -> Result<Vec<Token>, NotACall> {
    let xml = std::str::from_utf8(xml).map_err(|_| not("it is not UTF-8"))?;
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut tokens = Vec::new();
    let add = |tokens: &mut Vec<Token>, more: &str| match tokens.last_mut() {
        Some(Token::Text(text)) => text.push_str(more),
        _ => tokens.push(Token::Text(more.to_owned())),
    };
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => tokens.push(Token::Open(tag.name().as_ref().to_owned())),
            Ok(Event::End(tag)) => tokens.push(Token::Close(tag.name().as_ref().to_owned())),
            Ok(Event::Text(text)) => add(&mut tokens, &text),
            Ok(Event::CData(data)) => add(&mut tokens, &data),
            Ok(Event::GeneralRef(reference)) => {
                let character = reference
                    .resolve_char_ref()
                    .map_err(|error| not(error.to_string()))?;
                let text = match character {
                    Some(character) => character.to_string(),
                    None => resolve_predefined_entity(&reference)
                        .ok_or_else(|| not("an unknown entity"))?
                        .to_owned(),
                };
                add(&mut tokens, &text);
            }
            Ok(Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Empty(_)) => {}
            Ok(Event::DocType(_)) => return Err(not("a document type is not accepted")),
            Ok(Event::Eof) => return Ok(tokens),
            Err(error) => return Err(not(error.to_string())),
        }
    }
}

/// A document being read from its beginning to its end.
pub(super) struct Reading {
    tokens: Vec<Token>,
    at: usize,
}

impl Reading {
    /// The beginning of this text.
    pub fn of(xml: &[u8]) -> Result<Reading, NotACall> {
        let tokens = tokens(xml)?;
        Ok(Reading { tokens, at: 0 })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn skip_blank(&mut self) {
        if let Some(Token::Text(text)) = self.peek()
            && text.trim().is_empty()
        {
            self.at += 1;
        }
    }

    /// Passes an opening tag, if that is what comes next.
    pub fn opens(&mut self, wanted: &str) -> bool {
        self.skip_blank();
        let found = matches!(self.peek(), Some(Token::Open(name)) if name == wanted);
        self.at += usize::from(found);
        found
    }

    /// Passes an opening tag.
    pub fn open(&mut self, wanted: &str) -> Result<(), NotACall> {
        match self.opens(wanted) {
            true => Ok(()),
            false => Err(not(format!("<{wanted}> is missing"))),
        }
    }

    /// Passes a closing tag.
    pub fn close(&mut self, wanted: &str) -> Result<(), NotACall> {
        self.skip_blank();
        match self.peek() {
            Some(Token::Close(name)) if name == wanted => {
                self.at += 1;
                Ok(())
            }
            _ => Err(not(format!("</{wanted}> is missing"))),
        }
    }

    fn text(&mut self) -> String {
        match self.tokens.get_mut(self.at) {
            Some(Token::Text(text)) => {
                self.at += 1;
                std::mem::take(text)
            }
            _ => String::new(),
        }
    }

    /// Reads a `<value>` that is nested so deep.
    pub fn value(&mut self, depth: usize) -> Result<Value, NotACall> {
        if depth > DEPTH_MAX {
            return Err(not("values are nested too deeply"));
        }
        self.open("value")?;
        let untyped = self.text();
        let tag = match self.peek() {
            Some(Token::Open(tag)) => tag.clone(),
            _ => {
                self.close("value")?;
                return Ok(Value::Text(untyped));
            }
        };
        self.at += 1;
        let value = match tag.as_str() {
            "array" => self.array(depth)?,
            "struct" => self.members(depth)?,
            scalar => scalar_value(scalar, self.text())?,
        };
        self.close(&tag)?;
        self.close("value")?;
        Ok(value)
    }

    fn array(&mut self, depth: usize) -> Result<Value, NotACall> {
        self.open("data")?;
        let mut items = Vec::new();
        loop {
            self.skip_blank();
            match self.peek() {
                Some(Token::Open(_)) => items.push(self.value(depth + 1)?),
                _ => break,
            }
        }
        self.close("data")?;
        Ok(Value::Array(items))
    }

    fn members(&mut self, depth: usize) -> Result<Value, NotACall> {
        let mut members = Vec::new();
        while self.opens("member") {
            self.open("name")?;
            let name = self.text();
            self.close("name")?;
            members.push((name, self.value(depth + 1)?));
            self.close("member")?;
        }
        Ok(Value::Struct(members))
    }
}

fn scalar_value(tag: &str, text: String) -> Result<Value, NotACall> {
    let trimmed = text.trim();
    let bad = || not(format!("{trimmed:?} is no <{tag}>"));
    Ok(match tag {
        "string" | "dateTime.iso8601" => Value::Text(text),
        "int" | "i4" | "i8" => Value::Int(trimmed.parse().map_err(|_| bad())?),
        // Supervisor takes everything but 1 for false.
        "boolean" => Value::Bool(trimmed == "1"),
        // Read as JSON, which has the same numbers.
        "double" => Value::Double(serde_json::from_str(trimmed).map_err(|_| bad())?),
        "base64" => {
            use base64::Engine;
            let packed: String = trimmed.split_whitespace().collect();
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(packed)
                .map_err(|_| bad())?;
            Value::Text(String::from_utf8(bytes).map_err(|_| bad())?)
        }
        _ => return Err(not(format!("<{tag}> is no type of a value"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quick_xml::escape::escape;

    fn call(body: &str) -> Result<Call, NotACall> {
        read_call(
            format!("<?xml version='1.0'?>\n<methodCall>\n<methodName>a.b</methodName>{body}\n</methodCall>")
                .as_bytes(),
        )
    }

    fn argument(value: &str) -> Value {
        let body = format!("<params><param>{value}</param></params>");
        call(&body).unwrap().arguments.remove(0)
    }

    #[test]
    fn values_of_every_type() {
        let table = [
            ("<value>x &lt; y&#33;</value>", Value::from("x < y!")),
            ("<value/>", Value::from("")),
            ("<value><string> a </string></value>", Value::from(" a ")),
            (
                "<value><string><![CDATA[<&]]></string></value>",
                Value::from("<&"),
            ),
            ("<value><i4> -7 </i4></value>", Value::Int(-7)),
            ("<value><boolean>1</boolean></value>", Value::Bool(true)),
            ("<value><boolean>true</boolean></value>", Value::Bool(false)),
            ("<value><double>1.5</double></value>", Value::Double(1.5)),
            ("<value><base64>aGk=</base64></value>", Value::from("hi")),
            (
                "<value><array><data/></array></value>",
                Value::Array(vec![]),
            ),
            (
                "<value> <array> <data> <value>a</value>\n<value><int>1</int></value> </data> </array> </value>",
                Value::Array(vec![Value::from("a"), Value::Int(1)]),
            ),
            (
                "<value><struct><member><name>k</name><value>v</value></member></struct></value>",
                Value::Struct(vec![("k".to_owned(), Value::from("v"))]),
            ),
        ];
        for (xml, value) in table {
            assert_eq!(argument(xml), value, "{xml}");
        }
    }

    #[test]
    fn calls_without_arguments() {
        for body in ["", "<params/>", "<params></params>"] {
            assert_eq!(call(body).unwrap().arguments, []);
        }
    }

    #[test]
    fn what_is_no_call() {
        let deep = format!(
            "<params><param>{}{}</param></params>",
            "<value><array><data>".repeat(50),
            "</data></array></value>".repeat(50)
        );
        assert!(call(&deep).is_err());
        for text in [
            "",
            "garbage",
            "<methodCall/>",
            "<methodCall><methodName> </methodName></methodCall>",
            "<methodCall><methodName>a</methodName>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><methodCall><methodName>&b;</methodName></methodCall>",
            "<methodCall><methodName>&b;</methodName></methodCall>",
        ] {
            assert!(read_call(text.as_bytes()).is_err(), "{text}");
        }
        assert!(call("<params><param><value><int>x</int></value></param></params>").is_err());
    }

    proptest! {
        #[test]
        fn no_text_brings_it_down(text in "(<|>|/|&|;|value|int|array|data|methodCall|methodName|[a-z0-9 ]){0,60}") {
            let _ = read_call(text.as_bytes());
        }

        #[test]
        fn any_string_survives(text in "\\PC*") {
            let xml = format!("<value><string>{}</string></value>", escape(text.as_str()));
            prop_assert_eq!(argument(&xml), Value::Text(text));
        }
    }
}
