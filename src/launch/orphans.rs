//! Whether programs can have left anybody behind, told without a look at every process.
//!
//! What a program started and left has a new parent the moment that the program ends: the nearest
//! subreaper above it, which is the keeper (prctl(2), `PR_SET_CHILD_SUBREAPER`); or it has had
//! the parent of the program for its own all along (clone(2), `CLONE_PARENT`). So if the two have
//! no children but those that are known, nothing is left of any program that was started there.

use std::collections::BTreeSet;
use std::fs;
use std::io;

/// Whether each child of these threads, named by process and thread, is one of `known`. False where
/// it cannot be told (`/proc` not mounted, a kernel without `CONFIG_PROC_CHILDREN`), and for one
/// that has ended and was not reaped yet.
pub fn has_no_orphans(parents: [(i32, i32); 2], known: &BTreeSet<i32>) -> bool {
    parents.into_iter().all(|(process, thread)| {
        let children = children(process, thread);
        children.is_ok_and(|children| children.iter().all(|child| known.contains(child)))
    })
}

fn children(process: i32, thread: i32) -> io::Result<Vec<i32>> {
    let listed = fs::read_to_string(format!("/proc/{process}/task/{thread}/children"))?;
    let children = listed.split_whitespace().map(str::parse::<i32>);
    children.collect::<Result<_, _>>().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_that_nobody_knows_is_seen() {
        let mut parent = Command::new("sh")
            .args(["-c", "sleep 1000 & sleep 1000 & echo; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        parent
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut line)
            .unwrap();
        let of = (parent.id().cast_signed(), parent.id().cast_signed());
        let sleepers = children(of.0, of.1).unwrap();
        assert_eq!(sleepers.len(), 2);
        let all: BTreeSet<i32> = sleepers.iter().copied().collect();
        assert!(has_no_orphans([of, of], &all));
        let one: BTreeSet<i32> = all.iter().copied().take(1).collect();
        assert!(!has_no_orphans([of, of], &one));
        let nobody = (i32::MAX, i32::MAX);
        assert!(!has_no_orphans([of, nobody], &all), "nobody could look");
        for sleeper in sleepers {
            let pid = rustix::process::Pid::from_raw(sleeper).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        parent.wait().unwrap();
    }
}
