//! The web page: its files, and the same table for those who do without its script.
//!
//! Must never: put a name, a message or a log into the page without escaping it, load anything
//! from elsewhere.

use hyper::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;

use super::asking::Asking;
use super::reply::{self, HTML, Reply};
use crate::control::ProcessView;
use crate::fleet::State;
use crate::ordered;

const INDEX: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/appctl.css");
const SCRIPT: &str = include_str!("page/appctl.js");
const ICON: &str = include_str!("page/appctl.svg");

/// Where the rows go in [`INDEX`].
const ROWS: &str = "<!-- rows -->";
/// Where a message goes.
const MESSAGE: &str = "<!-- message -->";

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
pub fn file(path: &str) -> Option<Reply> {
    let (kind, text) = match path {
        "/appctl.css" | "/stylesheets/supervisor.css" => (CSS, STYLE),
        "/appctl.js" => (JS, SCRIPT),
        "/appctl.svg" | "/favicon.ico" => (SVG, ICON),
        _ => return None,
    };
    Some(reply::whole(StatusCode::OK, kind, text))
}

/// The page itself.
pub async fn index(asking: &Asking, message: &str) -> Reply {
    let rows = match asking.processes(Vec::new()).await {
        Ok(mut views) => {
            ordered::sort_by(&mut views, |a, b| a.name.cmp(&b.name));
            rows(&views)
        }
        Err(_) => "<p>The daemon does not answer.</p>".to_owned(),
    };
    let page = INDEX
        .replacen(MESSAGE, &escape(message), 1)
        .replacen(ROWS, &rows, 1);
    reply::whole(StatusCode::OK, HTML, page)
}

fn rows(views: &[ProcessView]) -> String {
    if views.is_empty() {
        return "<p>No programs to manage</p>".to_owned();
    }
    let mut html = String::from(
        "<table>\n<tr><th>State</th><th>Description</th><th>Name</th><th>Logs</th></tr>\n",
    );
    for view in views {
        let name = view.name.to_string();
        let link = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        html.push_str(&format!(
            "<tr><td><span class=\"{}\">{}</span></td><td>{}</td>\
             <td><a href=\"tail.html?processname={link}\">{}</a></td>\
             <td><a href=\"logtail/{link}\">stdout</a> \
             <a href=\"logtail/{link}/stderr\">stderr</a></td></tr>\n",
            class(view.state),
            view.state.word().to_lowercase(),
            escape(&view.description),
            escape(&name),
        ));
    }
    html.push_str("</table>");
    html
}

/// Supervisor's names, for whoever reads its page by a program.
fn class(state: State) -> &'static str {
    match state {
        State::Running => "statusrunning",
        State::Fatal | State::Backoff => "statuserror",
        _ => "statusnominal",
    }
}
