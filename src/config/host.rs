//! Facts about the machine that a configuration depends on, behind one trait.
//!
//! [`Host`] is all that the reading of a configuration sees of the machine, so a test describes a
//! machine as data ([`FakeHost`](super::FakeHost)). Must never change anything.

use crate::ordered;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Most bytes read of one configuration file, or of a user or group database.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// An account of the user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
}

/// What a configuration may ask about the machine.
pub trait Host {
    /// The environment of this process.
    fn environment(&self) -> BTreeMap<String, String>;
    /// The node name, as `uname -n` prints it.
    fn host_name(&self) -> String;
    /// The effective user of this process.
    fn uid(&self) -> u32;
    /// The account of a login name.
    fn user_by_name(&self, name: &str) -> Option<User>;
    /// The account of a user id.
    fn user_by_id(&self, uid: u32) -> Option<User>;
    /// The id of a group name.
    fn group_by_name(&self, name: &str) -> Option<u32>;
    /// Whether a group id is in the group database.
    fn has_group(&self, gid: u32) -> bool;
    /// Whether a directory is there.
    fn is_dir(&self, path: &Path) -> bool;
    /// Whether anything is there.
    fn exists(&self, path: &Path) -> bool;
    /// The content of a file, at most [`FILE_BYTES_MAX`] bytes; a longer one is an error.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names in a directory, in any order; none if it cannot be read.
    fn list(&self, directory: &Path) -> Vec<String>;
    /// The working directory, absolute.
    fn current_dir(&self) -> PathBuf;

    /// Where temporary files go: the first of `$TMPDIR`, `$TEMP`, `$TMP`, `/tmp`, `/var/tmp` and
    /// `/usr/tmp` that is a directory, else the working directory (the rule of Python's tempfile).
    fn temp_dir(&self) -> PathBuf {
        let environment = self.environment();
        ["TMPDIR", "TEMP", "TMP"]
            .iter()
            .filter_map(|name| environment.get(*name).map(String::as_str))
            .filter(|path| !path.is_empty())
            .chain(["/tmp", "/var/tmp", "/usr/tmp"])
            .map(|path| self.current_dir().join(path))
            .find(|path| self.is_dir(path))
            .unwrap_or_else(|| self.current_dir())
    }
}

/// The machine this process runs on.
///
/// Users and groups are read from `/etc/passwd` and `/etc/group` directly: a static binary has no
/// name service switch, so accounts that only a directory service knows must be given by id in
/// a file, or are refused.
#[derive(Debug, Clone, Default)]
pub struct RealHost {
    directory: Option<PathBuf>,
}

impl RealHost {
    /// The machine as seen from this directory, wherever the process has gone since.
    pub fn seen_from(directory: PathBuf) -> RealHost {
        RealHost {
            directory: Some(directory),
        }
    }

    fn place(&self, path: &Path) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(path),
            None => path.to_owned(),
        }
    }
}

impl Host for RealHost {
    fn environment(&self) -> BTreeMap<String, String> {
        let of_text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        ordered::map(std::env::vars_os().filter_map(of_text))
    }

    fn host_name(&self) -> String {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    }

    fn uid(&self) -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn user_by_name(&self, name: &str) -> Option<User> {
        find_user(&database("/etc/passwd"), |user| user.name == name)
    }

    fn user_by_id(&self, uid: u32) -> Option<User> {
        find_user(&database("/etc/passwd"), |user| user.uid == uid)
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        groups(&database("/etc/group"))
            .find(|(known, _)| *known == name)
            .map(|(_, gid)| gid)
    }

    fn has_group(&self, gid: u32) -> bool {
        groups(&database("/etc/group")).any(|(_, known)| known == gid)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.place(path).is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        self.place(path).exists()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        File::open(self.place(path))?
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut content)?;
        if content.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "larger than {FILE_BYTES_MAX} bytes"
            )));
        }
        Ok(content)
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.place(directory)) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()
    }

    fn current_dir(&self) -> PathBuf {
        let directory = self.directory.clone();
        let here = || std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        directory.unwrap_or_else(here)
    }
}

/// The text of a database file; empty if there is none, as in a container from scratch.
fn database(path: &str) -> String {
    let content = RealHost::default()
        .read(Path::new(path))
        .unwrap_or_default();
    String::from_utf8_lossy(&content).into_owned()
}

/// First matching line of a `passwd(5)` file: `name:password:uid:gid:comment:home:shell`.
fn find_user(passwd: &str, wanted: impl Fn(&User) -> bool) -> Option<User> {
    passwd
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_string();
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            let home = PathBuf::from(fields.nth(1)?);
            Some(User {
                name,
                uid,
                gid,
                home,
            })
        })
        .find(wanted)
}

/// Names and ids of a `group(5)` file: `name:password:gid:members`.
fn groups(group: &str) -> impl Iterator<Item = (&str, u32)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_databases() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken line\n+::::::\nx:y:notanumber:1::/:\n\
                      web:x:33:44:Web, Server:/srv/web:/usr/sbin/nologin\n";
        let web = find_user(passwd, |user| user.name == "web").unwrap();
        assert_eq!((web.uid, web.gid), (33, 44));
        assert_eq!(web.home, Path::new("/srv/web"));
        assert_eq!(
            find_user(passwd, |user| user.uid == 0).unwrap().name,
            "root"
        );
        assert_eq!(find_user(passwd, |user| user.name == "x"), None);
        let group = "root:x:0:\nbad\nweb:x:44:a,b\n";
        assert_eq!(
            groups(group).collect::<Vec<_>>(),
            [("root", 0), ("web", 44)]
        );
    }

    #[test]
    fn the_real_host_answers() {
        let host = RealHost::default();
        assert!(host.is_dir(Path::new("/")));
        assert!(!host.host_name().is_empty());
        assert!(host.current_dir().is_absolute());
        assert!(host.is_dir(&host.temp_dir()));
        assert!(host.list(Path::new("/")).iter().any(|name| name == "proc"));
        assert!(host.read(Path::new("/dev/zero")).is_err());
        let host = RealHost::seen_from(PathBuf::from("/proc"));
        assert!(host.is_dir(Path::new("self")) && host.exists(Path::new("self/fd")));
        assert!(!host.read(Path::new("self/stat")).unwrap().is_empty());
        assert_eq!(host.current_dir(), Path::new("/proc"));
    }
}
