//! Disks of the size a test needs, which fill quickly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::is_root;

/// A small disk, unmounted when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None if this is not allowed here.
    pub fn mount(directory: &Path, size: &str) -> Option<SmallDisk> {
        fs::create_dir(directory).unwrap();
        let mounted = is_root()
            && Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={size}"), "lab"])
                .arg(directory)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        if !mounted {
            eprintln!("left out: mounting a tmpfs needs rights that are missing here");
        }
        mounted.then(|| SmallDisk(directory.to_owned()))
    }

    /// Gives it ten megabytes.
    pub fn grow(&self) {
        self.remount("size=10m");
    }

    /// Mounts it again with these options.
    pub fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
