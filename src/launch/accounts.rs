//! Becoming another user: for a program between fork and exec, and for the daemon at start.
//!
//! Order and checks: groups, group id, user id, then proof that there is no way back. Group
//! membership is read from `/etc/group` before the fork; name services that need loadable
//! modules (LDAP and the like) are not asked.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Gid, Uid, getgid, getuid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::config::UserSpec;

/// The group database (group(5)).
const GROUP_DATABASE: &str = "/etc/group";

/// The id that setuid(2) and setgid(2) read as "no change".
const NO_CHANGE: u32 = u32::MAX;

/// A user's ids and groups, ready for the system calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// The step of becoming another user that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdentityStep {
    Groups,
    Group,
    User,
    Verify,
}

impl Identity {
    /// Looks up the groups of a user; `None` if this process is that user already (Supervisor
    /// then changes nothing at all).
    pub(super) fn to_become(user: &UserSpec) -> io::Result<Option<Identity>> {
        if getuid().as_raw() == user.uid {
            return Ok(None);
        }
        if user.uid == NO_CHANGE || user.gid == NO_CHANGE {
            let text = format!("{NO_CHANGE} is not a user or group id");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let database = match fs::read(GROUP_DATABASE) {
            Ok(database) => database,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let text = format!("reading {GROUP_DATABASE}: {error}");
                return Err(io::Error::new(error.kind(), text));
            }
        };
        let groups = std::iter::once(user.gid).chain(memberships(&database, &user.name));
        Ok(Some(Identity {
            uid: Uid::from_raw(user.uid),
            gid: Gid::from_raw(user.gid),
            groups: groups.map(Gid::from_raw).collect(),
        }))
    }

    /// Becomes this user for good. Async-signal-safe. It changes the calling thread only, which
    /// is the whole process both after fork and in the boot phase.
    pub(super) fn assume(&self) -> Result<(), (IdentityStep, Errno)> {
        use IdentityStep::{Group, Groups, User, Verify};
        set_thread_groups(&self.groups).map_err(|error| (Groups, error))?;
        // All three of each: an identity saved somewhere would be a way back.
        set_thread_res_gid(self.gid, self.gid, self.gid).map_err(|error| (Group, error))?;
        set_thread_res_uid(self.uid, self.uid, self.uid).map_err(|error| (User, error))?;
        let root = Uid::ROOT;
        let back = self.uid != root && set_thread_res_uid(root, root, root).is_ok();
        let group_back =
            self.uid != root && self.gid != Gid::ROOT && set_thread_gid(Gid::ROOT).is_ok();
        if back || group_back || getuid() != self.uid || getgid() != self.gid {
            return Err((Verify, Errno::PERM));
        }
        Ok(())
    }
}

/// Becomes the user of `[supervisord] user=` for good. Only for the boot phase, while this
/// process has one thread. The error is Supervisor's text.
pub fn drop_privileges(user: &UserSpec) -> Result<(), String> {
    let Some(identity) = Identity::to_become(user).map_err(|error| error.to_string())? else {
        return Ok(());
    };
    if !getuid().is_root() {
        return Err("Can't drop privilege as nonroot user".to_owned());
    }
    if fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
        return Err("privileges cannot be dropped: other threads would keep them".to_owned());
    }
    identity.assume().map_err(|(step, error)| match step {
        IdentityStep::Groups => "Could not set groups of effective user".to_owned(),
        IdentityStep::Group => "Could not set group id of effective user".to_owned(),
        IdentityStep::User => format!("Could not set user id {}: {error}", user.uid),
        IdentityStep::Verify => {
            format!(
                "Could not set user id {}: privileges could be taken back",
                user.uid
            )
        }
    })
}

/// The groups that list this user as a member, in the order of the database.
fn memberships(database: &[u8], user: &str) -> Vec<u32> {
    let lines = database.split(|byte| *byte == b'\n');
    lines.filter_map(|line| membership(line, user)).collect()
}

/// The id of the group in a line `name:password:id:member,member`, if it lists this user.
fn membership(line: &[u8], user: &str) -> Option<u32> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next()?;
    let id: u32 = std::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()?;
    let mut members = fields.next()?.split(|byte| *byte == b',');
    let listed = members.any(|member| member.trim_ascii() == user.as_bytes());
    (listed && !name.starts_with(b"#") && id != NO_CHANGE).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_come_from_the_fourth_field() {
        let database = b"root:x:0:\nadm:x:4:syslog,app\n#old:x:5:app\nbroken\napp:x:1000:\n\
                         bad:x:minus:app\nhuge:x:4294967295:app\nover:x:4294967296:app\n\
                         \xff\xfe:x:6:app\nweb:x:33: app , other\nlike:x:34:apple,xapp\nshort:x:7";
        assert_eq!(memberships(database, "app"), [4, 6, 33]);
        assert_eq!(memberships(database, "nobody"), [0; 0]);
        assert_eq!(memberships(b"", "app"), [0; 0]);
    }

    fn user(uid: u32, gid: u32) -> UserSpec {
        UserSpec {
            name: "no such name".to_owned(),
            uid,
            gid,
        }
    }

    #[test]
    fn ids_that_mean_no_change_are_refused() {
        assert!(Identity::to_become(&user(NO_CHANGE, 1)).is_err());
        assert!(Identity::to_become(&user(12345, NO_CHANGE)).is_err());
    }

    #[test]
    fn the_same_user_changes_nothing() {
        let own = getuid().as_raw();
        assert_eq!(Identity::to_become(&user(own, 4242)).unwrap(), None);
    }

    #[test]
    fn the_daemon_with_threads_keeps_its_privileges() {
        // The test harness runs this in a thread of its own.
        if getuid().is_root() {
            let error = drop_privileges(&user(12345, 12345)).unwrap_err();
            assert!(error.contains("other threads"), "{error}");
        }
    }
}
