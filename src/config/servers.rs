//! The sections `[inet_http_server]` and `[unix_http_server]`, and the address told to programs.

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
            let address = match prefix {
                "inet_http_server" => inet_address(reader, &scope),
                _ => unix_address(reader, &scope),
            };
            let user = reader
                .text(&scope, "username")
                .filter(|text| !text.is_empty());
            let password = reader
                .text(&scope, "password")
                .filter(|text| !text.is_empty());
            let credentials = match (user, password) {
                (Some(user), Some(password)) => Some((user, password)),
                (None, None) => None,
                _ => {
                    let words = format!(
                        "Section [{}] contains incomplete authentication: If a username or a \
                         password is specified, both the username and password must be specified",
                        section.name
                    );
                    reader.refuse(&scope, "username", &words, "");
                    None
                }
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

/// What programs are told of where to reach us: the first unix socket, else the first port.
pub(super) fn server_url(servers: &[ServerConfig]) -> Option<String> {
    let unix = servers.iter().find_map(|server| match &server.address {
        ServerAddress::Unix { path, .. } => Some(format!("unix://{}", path.display())),
        ServerAddress::Inet { .. } => None,
    });
    unix.or_else(|| {
        servers.iter().find_map(|server| match &server.address {
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
