//! What `[fcgi-program:x]` has besides: the socket that its processes share.

use std::path::Path;

use super::model::FastCgiConfig;
use super::reader::{Reader, Scope};
use super::value::{self, Refused};

/// Reads the options of the socket.
pub(super) fn read<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> FastCgiConfig {
    let host = reader.host;
    let name = &scope.section.name;
    let socket = socket(reader, scope);
    let backlog = reader.read(
        scope,
        "socket_backlog",
        None,
        |text| match value::integer(text)? {
            number @ 1..=65_535 => Ok(u32::try_from(number).ok()),
            number => Err(Refused {
                words: format!("Invalid socket_backlog value {number}"),
                expected: "1 to 65535",
            }),
        },
    );
    let owner = reader.read(scope, "socket_owner", None, |text| {
        let (uid, gid) = value::owner(host, text).map_err(|refused| Refused {
            words: format!("Invalid socket_owner value {text}"),
            ..refused
        })?;
        Ok(uid.map(|uid| (uid, gid)))
    });
    let of_file = ["socket_owner", "socket_mode"]
        .into_iter()
        .find(|option| reader.entry(scope, option).is_some());
    if let Some(option) = of_file.filter(|_| socket.starts_with("tcp://")) {
        let words = format!(
            "socket_owner and socket_mode params should only be used with a Unix domain socket in \
             [{name}] socket"
        );
        reader.refuse(scope, option, &words, "");
    }
    let mode = reader.read(scope, "socket_mode", 0o700, |text| {
        value::octal(text).map_err(|refused| Refused {
            words: format!("Invalid socket_mode value {text}"),
            ..refused
        })
    });
    FastCgiConfig {
        socket,
        backlog,
        owner,
        mode,
    }
}

/// Its address, as it stands.
fn socket<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> String {
    let host = reader.host;
    let name = &scope.section.name;
    if reader
        .entry(scope, "socket")
        .is_none_or(|entry| entry.value.is_empty())
    {
        let words = format!("[{name}] section requires a \"socket\" line");
        reader.refuse(scope, "socket", &words, "");
    }
    reader.read(scope, "socket", String::new(), |text| {
        if let Some(wrong) = wrong_address(text) {
            return Err(Refused {
                words: format!("{wrong} in [{name}] socket"),
                expected: "unix:///absolute/path or tcp://host:port",
            });
        }
        let path = text.strip_prefix("unix://").map(Path::new);
        let directory = path.and_then(Path::parent);
        match directory.is_none_or(|directory| host.is_dir(directory)) {
            true => Ok(text.to_owned()),
            // Supervisor finds out by making it.
            false => Err(Refused {
                words: format!(
                    "Could not create FastCGI socket {text}: [Errno 2] No such file or directory"
                ),
                expected: "a path in a directory that exists",
            }),
        }
    })
}

/// What is wrong with the address of a socket.
fn wrong_address(text: &str) -> Option<String> {
    if let Some(path) = text.strip_prefix("unix://") {
        let words = || format!("Unix socket path {path} is not an absolute path");
        return (!path.starts_with('/')).then(words);
    }
    let bad = || Some(format!("Bad socket format {text}"));
    let Some((host, port)) = text
        .strip_prefix("tcp://")
        .and_then(|address| address.rsplit_once(':'))
    else {
        return bad();
    };
    // A host without colons, or one in brackets.
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let named = !host.is_empty() && (bracketed || !host.contains([':', '/', ' ']));
    if !named || port.is_empty() || !port.bytes().all(|digit| digit.is_ascii_digit()) {
        return bad();
    }
    value::port_number(port).err().map(|refused| refused.words)
}
