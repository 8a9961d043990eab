//! What links and forms of Supervisor's page do, and its `tail.html`: scripts use them.
//!
//! Must never: be reached by a link in a browser; see `guard`.

use chrono::Local;
use hyper::StatusCode;
use hyper::header::{HeaderValue, LOCATION};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;

use super::reply::{self, HTML, Reply};
use super::xml_rpc::{Call, Interface, Outcome, Value, fault};

/// Fields of a form: the first of each name counts.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads fields from a query and from a body of type `application/x-www-form-urlencoded`; those
    /// of the body count first.
    pub fn read(query: &str, body: &[u8]) -> Form {
        let pairs = form_urlencoded::parse(body).chain(form_urlencoded::parse(query.as_bytes()));
        Form(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// A field that is not empty.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }
}

/// Does what `action` asks for, and leads back to the page with a message.
pub async fn act(interface: &Interface, form: &Form) -> Reply {
    let action = form.field("action").unwrap_or_default();
    match message(interface, action, form.field("processname")).await {
        Some(message) => lead_back(&message),
        None => reply::because(StatusCode::BAD_REQUEST, "There is no such action."),
    }
}

async fn message(interface: &Interface, action: &str, name: Option<&str>) -> Option<String> {
    let now = || Local::now().format("%a %b %e %H:%M:%S %Y");
    let all = async |method: &str| {
        call(interface, method, None).await.err().map(|fault| {
            let (code, text) = (fault.code, fault.text());
            format!("unexpected rpc fault [{code}] {text}")
        })
    };
    match action {
        "refresh" => return Some(format!("Page refreshed at {}", now())),
        "stopall" => {
            let failed = all("stopAllProcesses").await;
            return Some(failed.unwrap_or_else(|| format!("All stopped at {}", now())));
        }
        "restartall" => {
            let mut failed = all("stopAllProcesses").await;
            if failed.is_none() {
                failed = all("startAllProcesses").await;
            }
            return Some(failed.unwrap_or_else(|| format!("All restarted at {}", now())));
        }
        "start" | "stop" | "restart" | "clearlog" => {}
        _ => return None,
    }
    let name = name?;
    if let Err(fault) = call(interface, "getProcessInfo", Some(name)).await
        && fault.code == fault::BAD_NAME
    {
        return Some(format!("No such process named {name}"));
    }
    Some(match action {
        "start" => match call(interface, "startProcess", Some(name)).await {
            Ok(_) => format!("Process {name} started"),
            Err(fault) => format!("ERROR: Process {name}: {}", why_not_started(&fault)),
        },
        "stop" => match call(interface, "stopProcess", Some(name)).await {
            Ok(_) => format!("Process {name} stopped"),
            Err(fault) => unexpected(&fault),
        },
        "restart" => {
            // One that does not run is not to be stopped first.
            let _ = call(interface, "stopProcess", Some(name)).await;
            match call(interface, "startProcess", Some(name)).await {
                Ok(_) => format!("Process {name} restarted"),
                Err(fault) => format!("ERROR: Process {name}: {}", why_not_started(&fault)),
            }
        }
        _ => match call(interface, "clearProcessLogs", Some(name)).await {
            Ok(_) => format!("Log for {name} cleared"),
            Err(fault) => unexpected(&fault),
        },
    })
}

async fn call(interface: &Interface, method: &str, name: Option<&str>) -> Outcome {
    let call = Call {
        method: format!("supervisor.{method}"),
        arguments: name.map(Value::from).into_iter().collect(),
    };
    interface.call(call).await
}

fn unexpected(fault: &fault::Fault) -> String {
    format!("unexpected rpc fault [{}] {}", fault.code, fault.text())
}

fn why_not_started(fault: &fault::Fault) -> String {
    match fault.code {
        fault::NO_FILE => "no such file".to_owned(),
        fault::NOT_EXECUTABLE => "file not executable".to_owned(),
        fault::ALREADY_STARTED => "already started".to_owned(),
        fault::SPAWN_ERROR => "spawn error".to_owned(),
        fault::ABNORMAL_TERMINATION => "abnormal termination".to_owned(),
        _ => unexpected(fault),
    }
}

/// Supervisor answers 301, which browsers remember for ever.
fn lead_back(message: &str) -> Reply {
    let message = utf8_percent_encode(message, NON_ALPHANUMERIC);
    let mut reply = reply::whole(StatusCode::SEE_OTHER, HTML, "");
    // Only letters, digits and % are in it.
    if let Ok(location) = HeaderValue::try_from(format!("/?message={message}")) {
        reply.headers_mut().insert(LOCATION, location);
    }
    reply
}

/// Fewest bytes of a log in `tail.html`.
const TAIL_MIN: i64 = 1024;

/// `tail.html`: the end of a process's standard output.
pub async fn tail(interface: &Interface, form: &Form) -> Reply {
    let Some(name) = form.field("processname") else {
        return tail_page("", "No process name found", "");
    };
    let limit = form.field("limit").and_then(|limit| limit.parse().ok());
    let limit = limit.unwrap_or(TAIL_MIN).max(TAIL_MIN);
    let call = Call {
        method: "supervisor.readProcessStdoutLog".to_owned(),
        arguments: vec![name.into(), Value::Int(-limit), Value::Int(0)],
    };
    let text = match interface.call(call).await {
        Ok(Value::Text(text)) => text,
        Ok(_) => String::new(),
        Err(fault) if fault.code == fault::NO_FILE => format!("No file for {name}"),
        Err(fault) => format!("ERROR: {}", unexpected(&fault)),
    };
    let again = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let again = format!("<a href=\"tail.html?processname={again}&amp;limit={limit}\">Refresh</a>");
    tail_page(name, &text, &again)
}

fn tail_page(name: &str, text: &str, again: &str) -> Reply {
    let (name, text) = (escape(name), escape(text));
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <title>Supervisor tail of process {name}</title>\n\
         <link rel=\"stylesheet\" href=\"appctl.css\">\n\
         <body class=\"tail\">\n<p><a href=\"./\">All processes</a> {again}</p>\n\
         <pre>\n{text}</pre>\n</body>\n</html>\n"
    );
    reply::whole(StatusCode::OK, HTML, page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_from_query_and_body() {
        let form = Form::read("processname=a%3Ab&action=&x=1&x=2", b"x=0&y=p+q");
        assert_eq!(form.field("processname"), Some("a:b"));
        assert_eq!(form.field("action"), None, "empty");
        assert_eq!(form.field("x"), Some("0"));
        assert_eq!(form.field("y"), Some("p q"));
    }

    #[test]
    fn a_message_cannot_leave_its_header() {
        let reply = lead_back("a\r\nSet-Cookie: b=c ü");
        let location = reply.headers().get(LOCATION).unwrap();
        assert_eq!(
            location,
            "/?message=a%0D%0ASet%2DCookie%3A%20b%3Dc%20%C3%BC"
        );
    }
}
