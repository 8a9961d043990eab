//! A cgroup (version 2) for each program, where one may be made: nothing that a program starts can
//! leave it by forking, and the kernel kills it as one (cgroups(7); `cgroup.kill` since 5.14).
//!
//! Never required. Cgroups are made below our own, and only where that is for us to divide: not
//! below a service of systemd without `Delegate=`.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::entrance::Entrance;

/// How the names of our places begin.
const PLACE: &str = "appctl-";

/// Longest name of a file; of a program whose name is longer there is no cgroup.
const NAME_MAX: usize = 255;

/// Where cgroups of programs are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    directory: PathBuf,
}

/// The cgroup of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    directory: PathBuf,
}

impl Cgroups {
    /// A place of this name below our own cgroup; `None` if there can be none. Places of daemons
    /// that were killed are removed, as far as nobody is in them.
    pub fn make(name: &str) -> Option<Cgroups> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own_directory(&mounts, &own)?;
        if Path::new("/run/systemd/system").exists() && !is_delegated(&own) {
            return None;
        }
        let directory = own.join(format!("{PLACE}{name}"));
        remove_empty(&own);
        made(&directory).ok()?;
        // Whoever may make it may not be allowed to move anybody into it.
        let allowed = [&own, &directory].into_iter().all(|one| {
            let file = one.join("cgroup.procs");
            rustix::fs::access(&file, rustix::fs::Access::WRITE_OK).is_ok()
        });
        if !allowed {
            let _ = fs::remove_dir(&directory);
            return None;
        }
        Some(Cgroups { directory })
    }

    /// The cgroup of a program, there or not.
    pub fn of(&self, program: &str) -> Option<Cgroup> {
        let name = escaped(program);
        (name.len() <= NAME_MAX).then(|| Cgroup {
            directory: self.directory.join(name),
        })
    }

    /// Removes the place, as far as nobody is in it.
    pub fn remove(&self) {
        remove_place(&self.directory);
    }
}

impl Cgroup {
    /// Makes it, and shows the way in for one of `row` that are started in one go.
    pub(super) fn entrance(&self, row: usize) -> io::Result<Entrance> {
        made(&self.directory)?;
        let name = |path: &Path| CString::new(path.as_os_str().as_bytes());
        Ok(Entrance {
            directory: name(&self.directory)?,
            file: name(&self.directory.join("cgroup.procs"))?,
            row,
        })
    }

    /// Everything in it, and in what was made in it.
    pub(super) fn processes(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        let mut directories = vec![self.directory.clone()];
        while let Some(directory) = directories.pop() {
            let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(listed.lines().filter_map(|line| line.parse::<i32>().ok()));
            let inner = fs::read_dir(&directory).into_iter().flatten().flatten();
            let inner = inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            directories.extend(inner.map(|entry| entry.path()));
        }
        // 0 is somebody of another pid namespace.
        pids.retain(|pid| *pid > 0);
        pids
    }

    /// Has the kernel kill everything in it. They end by and by: one that is in a system call
    /// carries it out first.
    pub(super) fn kill(&self) {
        // Where it cannot, processes are killed one by one.
        let _ = fs::write(self.directory.join("cgroup.kill"), "1");
    }

    /// Waits until nobody lives in it, nor in what was made in it, but not longer than until then;
    /// whether that is so. One that is not there is empty.
    pub(super) fn wait_empty(&self, until: Instant) -> bool {
        let Ok(mut events) = File::open(self.directory.join("cgroup.events")) else {
            return true;
        };
        loop {
            let mut text = String::new();
            let read = events
                .rewind()
                .and_then(|()| events.read_to_string(&mut text));
            // It can be removed only when it is empty.
            if read.is_err() || text.lines().any(|line| line == "populated 0") {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let timeout = Timespec::try_from(left).ok();
            // A change is told as an exceptional condition (cgroups(7), "cgroup.events").
            let mut sources = [PollFd::new(&events, PollFlags::PRI)];
            let _ = poll(&mut sources, timeout.as_ref());
        }
    }

    /// Removes it, if it is empty.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

/// With the place of all: another daemon may have taken it for one of a daemon that is gone.
fn made(directory: &Path) -> io::Result<()> {
    match fs::create_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

/// Removes the places of daemons that are gone.
fn remove_empty(own: &Path) {
    for place in directories(own) {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PLACE) {
            remove_place(&place);
        }
    }
}

/// The kernel removes a cgroup only if nobody is in it, and with somebody in it, it is to stay.
fn remove_place(place: &Path) {
    directories(place).for_each(|program| _ = fs::remove_dir(program));
    let _ = fs::remove_dir(place);
}

fn directories(of: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

/// Where our cgroup is in the file system, from the texts of `/proc/self/mountinfo` and
/// `/proc/self/cgroup`. Pure.
fn own_directory(mounts: &str, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (fields, kind) = line.split_once(" - ")?;
        let mut fields = fields.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        // A blank in a path is written as an escape; nobody mounts cgroups there.
        if !kind.starts_with("cgroup2 ") || point.contains('\\') {
            return None;
        }
        let inner = Path::new(path).strip_prefix(root).ok()?;
        Some(Path::new(point).join(inner))
    })
}

/// Whether systemd has left this cgroup to us (its `CGROUP_DELEGATION` documentation).
fn is_delegated(directory: &Path) -> bool {
    ["trusted.delegate", "user.delegate"]
        .into_iter()
        .any(|name| {
            let mut value = [0; 1];
            rustix::fs::getxattr(directory, name, &mut value).is_ok_and(|_| value == *b"1")
        })
}

/// A name that can be a file's, different for different programs.
fn escaped(program: &str) -> String {
    let mut name = String::with_capacity(program.len());
    for byte in program.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' => {
                name.push(char::from(byte));
            }
            // The kernel's own files have a dot in their names.
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "30 1 0:25 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";

    #[test]
    fn our_own_cgroup_is_found() {
        let table = [
            (HYBRID, "9:pids:/x\n0::/\n", Some("/sys/fs/cgroup/unified")),
            (
                HYBRID,
                "0::/a/b.service\n",
                Some("/sys/fs/cgroup/unified/a/b.service"),
            ),
            // A part of the tree is mounted, as in some containers.
            (
                "5 1 0:9 /docker/x /cg rw - cgroup2 c rw",
                "0::/docker/x/y\n",
                Some("/cg/y"),
            ),
            (
                "5 1 0:9 /docker/x /cg rw - cgroup2 c rw",
                "0::/other\n",
                None,
            ),
            ("5 1 0:9 / /cg rw - cgroup cgroup rw", "0::/\n", None),
            (HYBRID, "9:pids:/x\n", None),
            ("", "", None),
            ("5 1", "0::/", None),
        ];
        for (mounts, own, expected) in table {
            let found = own_directory(mounts, own);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{mounts} {own}");
        }
    }

    #[test]
    fn names_of_programs_become_names_of_files() {
        let table = [
            ("web:web_00", "web:web_00"),
            ("a/b", "a%2fb"),
            ("..", "%2e%2e"),
            ("a%2fb", "a%252fb"),
            ("ü", "%c3%bc"),
        ];
        for (program, name) in table {
            assert_eq!(escaped(program), name);
        }
    }
}
