//! A host made of data: what tests read configurations on.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::host::{Host, User};

/// A host of which everything is said. [`FakeHost::new`] is a small machine to start from.
#[derive(Debug, Clone)]
pub struct FakeHost {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Node name.
    pub host_name: String,
    /// The user of the process.
    pub uid: u32,
    /// The user database.
    pub users: Vec<User>,
    /// The group database: name and id.
    pub groups: Vec<(String, u32)>,
    /// Directories besides those of the files.
    pub directories: BTreeSet<PathBuf>,
    /// Files and their contents.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// Files that are there but cannot be read.
    pub unreadable: BTreeSet<PathBuf>,
    /// The working directory.
    pub current_dir: PathBuf,
}

impl FakeHost {
    /// Runs as root on `box`, in `/work`, with `root` (0), `www` (33), and the directories
    /// `/`, `/etc`, `/run`, `/tmp`, `/var/log` and `/work`.
    pub fn new() -> FakeHost {
        let user = |name: &str, uid, home: &str| User {
            name: name.to_string(),
            uid,
            gid: uid,
            home: PathBuf::from(home),
        };
        FakeHost {
            environment: BTreeMap::from([("HOME".to_string(), "/root".to_string())]),
            host_name: "box".to_string(),
            uid: 0,
            users: vec![user("root", 0, "/root"), user("www", 33, "/srv/www")],
            groups: vec![("root".to_string(), 0), ("www".to_string(), 33)],
            directories: ["/", "/etc", "/run", "/tmp", "/var/log", "/work"]
                .iter()
                .map(PathBuf::from)
                .collect(),
            files: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            current_dir: PathBuf::from("/work"),
        }
    }

    /// Adds a file; its directories are there then, too.
    pub fn with_file(mut self, path: &str, content: impl AsRef<[u8]>) -> FakeHost {
        self.files
            .insert(PathBuf::from(path), content.as_ref().to_vec());
        self
    }

    /// Adds an environment variable.
    pub fn with_variable(mut self, name: &str, value: &str) -> FakeHost {
        self.environment.insert(name.to_string(), value.to_string());
        self
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        self.current_dir.join(path)
    }

    /// Every path that is there.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files
            .keys()
            .chain(&self.unreadable)
            .chain(&self.directories)
            .flat_map(|path| path.ancestors())
    }
}

impl Default for FakeHost {
    fn default() -> FakeHost {
        FakeHost::new()
    }
}

impl Host for FakeHost {
    fn environment(&self) -> BTreeMap<String, String> {
        self.environment.clone()
    }

    fn host_name(&self) -> String {
        self.host_name.clone()
    }

    fn uid(&self) -> u32 {
        self.uid
    }

    fn user_by_name(&self, name: &str) -> Option<User> {
        self.users.iter().find(|user| user.name == name).cloned()
    }

    fn user_by_id(&self, uid: u32) -> Option<User> {
        self.users.iter().find(|user| user.uid == uid).cloned()
    }

    fn group_by_name(&self, name: &str) -> Option<u32> {
        let group = self.groups.iter().find(|(known, _)| known == name)?;
        Some(group.1)
    }

    fn has_group(&self, gid: u32) -> bool {
        self.groups.iter().any(|(_, known)| *known == gid)
    }

    fn is_dir(&self, path: &Path) -> bool {
        let path = self.absolute(path);
        self.exists(&path) && !self.files.contains_key(&path) && !self.unreadable.contains(&path)
    }

    fn exists(&self, path: &Path) -> bool {
        let path = self.absolute(path);
        self.paths().any(|known| known == path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let path = self.absolute(path);
        match self.files.get(&path) {
            Some(content) => Ok(content.clone()),
            None if self.exists(&path) => Err(io::ErrorKind::PermissionDenied.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, directory: &Path) -> Vec<String> {
        let directory = self.absolute(directory);
        let names: BTreeSet<String> = self
            .paths()
            .filter(|path| path.parent() == Some(&directory))
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.into_iter().collect()
    }

    fn current_dir(&self) -> PathBuf {
        self.current_dir.clone()
    }
}
