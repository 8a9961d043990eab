//! Where the configuration file and the socket are looked for. Supervisor's places, in its order.

use std::path::{Path, PathBuf};

use super::host::Host;

/// Places of the configuration file, for a program called by this name.
pub fn candidates(argv0: &str) -> Vec<PathBuf> {
    let beside = Path::new(argv0)
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new(""));
    vec![
        beside.join("etc/supervisord.conf"),
        beside.join("supervisord.conf"),
        PathBuf::from("supervisord.conf"),
        PathBuf::from("etc/supervisord.conf"),
        PathBuf::from("/etc/supervisord.conf"),
        PathBuf::from("/etc/supervisor/supervisord.conf"),
    ]
}

/// The socket of a daemon whose configuration names none; client and daemon compute it alike.
pub fn default_socket(host: &dyn Host) -> PathBuf {
    if host.uid() == 0 {
        return PathBuf::from("/run/appctl.sock");
    }
    match host
        .environment()
        .get("XDG_RUNTIME_DIR")
        .filter(|path| path.starts_with('/'))
    {
        Some(directory) => Path::new(directory).join("appctl.sock"),
        None => host
            .temp_dir()
            .join(format!("appctl-{}", host.uid()))
            .join("appctl.sock"),
    }
}
