//! The section `[supervisorctl]`, which the client reads by itself: includes are ignored.

use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::files::{read_file, without_programs};
use super::host::Host;
use super::ini::Document;
use super::model::SupervisorctlConfig;
use super::paths;
use super::reader::{Reader, Scope};

/// Reads `[supervisorctl]` alone, as its program does: includes are ignored.
pub fn load_supervisorctl(
    host: &dyn Host,
    file: Option<&Path>,
) -> Result<SupervisorctlConfig, Diagnostics> {
    let defaults = SupervisorctlConfig {
        serverurl: "http://localhost:9001".into(),
        username: None,
        password: None,
        prompt: "supervisor".into(),
        history_file: None,
    };
    let Some(file) = file else {
        return Ok(defaults);
    };
    let mut diagnostics = Diagnostics::new();
    let part = read_file(host, file, &mut diagnostics)
        .map(|part| vec![without_programs(&part)])
        .unwrap_or_default();
    let document = Document::merge(part);
    let mut reader = Reader {
        host,
        document: &document,
        environment: host.environment(),
        diagnostics,
    };
    let Some(section) = document.section("supervisorctl") else {
        if reader.diagnostics.error_count() == 0 {
            let words = ".ini file does not include supervisorctl section";
            reader
                .diagnostics
                .push(Diagnostic::error(words).as_supervisor(words));
        }
        return Err(reader.diagnostics);
    };
    check_plugins(&mut reader);
    let scope = Scope::of(section);
    let url = reader
        .text(&scope, "serverurl")
        .unwrap_or(defaults.serverurl);
    let config = SupervisorctlConfig {
        serverurl: match url.strip_prefix("unix://") {
            Some(path) => format!("unix://{}", paths::normal(host, path).display()),
            None => url,
        },
        username: reader.text(&scope, "username"),
        password: reader.text(&scope, "password"),
        prompt: reader.text(&scope, "prompt").unwrap_or(defaults.prompt),
        history_file: reader
            .text(&scope, "history_file")
            .filter(|path| !path.is_empty())
            .map(|path| paths::normal(host, &path)),
    };
    if reader.diagnostics.error_count() == 0 {
        Ok(config)
    } else {
        Err(reader.diagnostics)
    }
}

/// `[ctlplugin:x]` names Python code, which cannot be loaded here: what there is besides the
/// plugins works, so a good section is passed over.
fn check_plugins(reader: &mut Reader<'_>) {
    const FACTORY: &str = "supervisor.ctl_factory";
    let document = reader.document;
    for section in document.sections() {
        let scope = Scope::of(section);
        if section.name.starts_with("ctlplugin:") && reader.entry(&scope, FACTORY).is_none() {
            let words = format!("section [{}] does not specify a {FACTORY}", section.name);
            reader.refuse(&scope, FACTORY, &words, "");
        }
    }
}
