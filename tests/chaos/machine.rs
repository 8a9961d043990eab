//! What the machine has to lend for a test: strace, small and frozen disks, cgroups.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::lab::{Lab, procfs, tools, wait_for};

/// Whether a test has to be left out; says why.
pub fn left_out(can: bool, what: &str, why: &str) -> bool {
    if !can {
        eprintln!("left out: {what}: {why}");
    }
    !can
}

fn run(words: &[&str]) -> bool {
    Command::new(words[0])
        .args(&words[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Has a process killed at its nth call of these from now on. Whether it came so far.
pub fn kill_at(pid: i32, calls: &str, nth: u64) -> bool {
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "/dev/null", "-e"]);
    command.arg(format!("inject={calls}:signal=KILL:when={nth}"));
    // Its threads, but not its children, which are programs.
    for thread in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
    {
        let thread = thread.unwrap().file_name();
        command.arg("-p").arg(thread);
    }
    command.stderr(Stdio::null());
    let mut tracer = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(3);
    while procfs::alive(pid) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    let killed = !procfs::alive(pid);
    // It lets go of whoever lives when it is told to end, and of the dead when it is killed.
    super::lab::signal(i32::try_from(tracer.id()).unwrap(), "TERM");
    let patience = Instant::now() + Duration::from_millis(300);
    while tracer.try_wait().unwrap().is_none() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = tracer.kill();
    tracer.wait().unwrap();
    killed
}

/// Memory that a process has for itself. Pages of its file are not counted, for they are its own
/// or not as others who run the same file come and go.
pub fn private_kib(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with("Private_Dirty:"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

/// A file system made for a test.
pub struct Mount(PathBuf);

impl Mount {
    pub fn tmpfs(at: &Path, size: &str) -> Option<Mount> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let at = at.to_owned();
        run(&["mount", "-t", "tmpfs", "-o", &options, "lab", at.to_str()?]).then_some(Mount(at))
    }

    pub fn ext4(image: &Path, at: &Path) -> Option<Mount> {
        fs::create_dir_all(at).unwrap();
        fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
        let (image, at) = (image.to_str()?, at.to_owned());
        (tools::has("fsfreeze", "a disk frozen for a second")
            && run(&["mkfs.ext4", "-q", "-F", image])
            && run(&["mount", "-o", "loop", image, at.to_str()?]))
        .then_some(Mount(at))
    }

    pub fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(run(&["mount", "-o", &options, self.0.to_str().unwrap()]));
    }

    pub fn freeze(&self) {
        assert!(run(&["fsfreeze", "-f", self.0.to_str().unwrap()]));
    }

    pub fn thaw(&self) {
        assert!(run(&["fsfreeze", "-u", self.0.to_str().unwrap()]));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let path = self.0.to_str().unwrap();
        run(&["fsfreeze", "-u", path]);
        // Lazily, for the daemon may still have a log open there.
        run(&["umount", "-l", path]);
    }
}

/// A cgroup of version 1.
pub struct Group(PathBuf);

impl Group {
    /// One with these processes; `None` if none can be made.
    pub fn new(controller: &str, lab: &Lab, pids: &[i32]) -> Option<Group> {
        let name = Path::new(lab.directory()).file_name()?;
        let path = Path::new("/sys/fs/cgroup").join(controller).join(name);
        fs::create_dir(&path).ok()?;
        let group = Group(path);
        for pid in pids {
            fs::write(group.0.join("cgroup.procs"), pid.to_string()).ok()?;
        }
        Some(group)
    }

    pub fn set(&self, file: &str, value: &str) {
        fs::write(self.0.join(file), value).unwrap();
    }

    pub fn get(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file))
            .unwrap()
            .trim()
            .to_owned()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Whoever lives goes back to where it came from.
        let root = self.0.parent().unwrap().join("cgroup.procs");
        wait_for("an empty cgroup", || {
            for pid in fs::read_to_string(self.0.join("cgroup.procs"))
                .ok()?
                .lines()
            {
                let _ = fs::write(&root, pid);
            }
            fs::remove_dir(&self.0).ok()
        });
    }
}
