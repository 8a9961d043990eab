//! The sections `[inet_http_server]` and `[unix_http_server]`, and the address told to programs.

use std::path::{Path, PathBuf};

use super::diagnostic::Diagnostics;
use super::environment::environment;
use super::files::{read_files, without_programs};
use super::host::Host;
use super::ini::Document;
use super::model::{ServerAddress, ServerConfig};
use super::paths;
use super::reader::{Reader, Scope};
use super::value::{self, Refused};

pub(super) fn servers(reader: &mut Reader<'_>) -> Vec<ServerConfig> {
    let document = reader.document;
    let mut servers = Vec::new();
    for prefix in ["inet_http_server", "unix_http_server"] {
        for section in document
            .sections()
            .iter()
            .filter(|s| s.name.starts_with(prefix))
        {
            let scope = Scope::of(section);
            let credentials = credentials(reader, &scope);
            let address = match prefix {
                "inet_http_server" => inet_address(reader, &scope),
                _ => unix_address(reader, &scope),
            };
            if let Some(address) = address {
                servers.push(ServerConfig {
                    section: section.name.clone(),
                    address,
                    credentials,
                });
            }
        }
    }
    servers
}

/// Who may speak to the server; `None` is everybody.
fn credentials<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> Option<(String, String)> {
    let user = reader.text(scope, "username");
    let password = reader.text(scope, "password");
    match (user, password) {
        (None, None) => None,
        (Some(user), Some(password)) if user.is_empty() => {
            // Both empty is how some files say that there is to be none.
            if !password.is_empty() {
                let message = "without a name nobody is asked for the password; give one";
                reader.warn(scope, "username", message.to_owned());
            }
            None
        }
        (Some(user), Some(password)) => Some((user, password)),
        _ => {
            let words = format!(
                "Section [{}] contains incomplete authentication: If a username or a password is \
                 specified, both the username and password must be specified",
                scope.section.name
            );
            reader.refuse(scope, "username", &words, "");
            None
        }
    }
}

fn inet_address<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> Option<ServerAddress> {
    if reader.entry(scope, "port").is_none() {
        let words = format!("section [{}] has no port value", scope.section.name);
        reader.refuse(scope, "port", &words, "");
        return None;
    }
    let read = |text: &str| value::inet_address(text).map(Some);
    let (host, port) = reader.read(scope, "port", None, read)?;
    let allow_unauthenticated = reader.read(scope, "allow_unauthenticated", false, value::boolean);
    Some(ServerAddress::Inet {
        host,
        port,
        allow_unauthenticated,
    })
}

fn unix_address<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> Option<ServerAddress> {
    let host = reader.host;
    if reader.entry(scope, "file").is_none() {
        let words = format!("section [{}] has no file value", scope.section.name);
        reader.refuse(scope, "file", &words, "");
        return None;
    }
    let path = reader.text(scope, "file")?;
    let mode = reader.read(scope, "chmod", 0o700, |text| {
        value::octal(text).map_err(|refused| Refused {
            words: format!("Invalid chmod value {text}"),
            ..refused
        })
    });
    let owner = reader.read(scope, "chown", (None, None), |text| {
        value::owner(host, text).map_err(|refused| Refused {
            words: format!("Invalid sockchown value {text}"),
            ..refused
        })
    });
    Some(ServerAddress::Unix {
        path: paths::normal(host, path.trim()),
        mode,
        owner,
    })
}

/// The first unix socket that a file names; `None` if it names none. For a client in search of the
/// daemon: what is wrong with the rest of the file, which somebody may be working on, is no reason
/// not to find it. The error is for a file that cannot be read, or whose socket cannot.
pub fn first_socket(host: &dyn Host, file: &Path) -> Result<Option<PathBuf>, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let parts = read_files(host, file, &mut diagnostics);
    let document = Document::merge(parts.iter().map(without_programs).collect());
    let mut reader = Reader {
        host,
        document: &document,
        environment: host.environment(),
        diagnostics,
    };
    if let Some(section) = document.section("supervisord") {
        let variables = reader.text(&Scope::of(section), "environment");
        let variables = variables.and_then(|text| environment(&text).ok());
        reader.environment.extend(variables.unwrap_or_default());
    }
    let found = servers(&mut reader)
        .into_iter()
        .find_map(|server| match server.address {
            ServerAddress::Unix { path, .. } => Some(path),
            ServerAddress::Inet { .. } => None,
        });
    match found {
        None if reader.diagnostics.error_count() > 0 => Err(reader.diagnostics),
        found => Ok(found),
    }
}

/// What programs are told of where to reach us: the first unix socket, else the last port, as
/// Supervisor has it.
pub(super) fn server_url(servers: &[ServerConfig]) -> Option<String> {
    let unix = servers.iter().find_map(|server| match &server.address {
        ServerAddress::Unix { path, .. } => Some(format!("unix://{}", path.display())),
        ServerAddress::Inet { .. } => None,
    });
    unix.or_else(|| {
        let mut last_first = servers.iter().rev();
        last_first.find_map(|server| match &server.address {
            ServerAddress::Inet { host, port, .. } => {
                let host = if host.is_empty() { "localhost" } else { host };
                Some(match host.contains(':') {
                    true => format!("http://[{host}]:{port}"),
                    false => format!("http://{host}:{port}"),
                })
            }
            ServerAddress::Unix { .. } => None,
        })
    })
}
