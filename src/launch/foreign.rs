//! How a program ended that is not our child: one that outlived the keeper it belonged to.
//!
//! Its parent (init, mostly) is told the status; we can only look. While it is a zombie, proc(5)
//! shows it in field 52 to whoever may trace it: root, or the user it ran as. Once it is reaped,
//! kernels since 6.15 tell it on a pidfd that was open before (`PIDFD_GET_INFO`). Otherwise it is
//! unknown, and said to be.

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;

use super::living::Living;
use super::stat;
use crate::fleet::ExitStatus;

/// `struct pidfd_info` of `<linux/pidfd.h>` in its first size.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    /// pid, tgid, ppid and the user and group ids.
    ids: [u32; 11],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`: `exit_code` is filled in.
const EXIT: u64 = 1 << 3;

/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)`.
const GET_INFO: libc::c_ulong =
    3 << 30 | (std::mem::size_of::<PidfdInfo>() as libc::c_ulong) << 16 | 0xff << 8 | 11;

/// How a program that is not our child ended. To be asked once its pidfd is readable.
pub fn foreign_exit(living: &Living) -> ExitStatus {
    zombie_status(living)
        .or_else(|| told_by(&living.pidfd))
        .map_or(ExitStatus::Unknown, from_wait_status)
}

fn zombie_status(living: &Living) -> Option<i32> {
    let status = stat::exit_code(living.pid, living.start_time)?;
    // Who may not trace it reads a 0, which is no status then.
    let owner = || std::fs::metadata(format!("/proc/{}", living.pid)).ok();
    let ours = || owner().is_some_and(|it| it.uid() == rustix::process::geteuid().as_raw());
    (status != 0 || ours()).then_some(status)
}

#[allow(unsafe_code)]
fn told_by(pidfd: impl AsFd) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the request says how long `info` is, and it is valid for writing for the whole call.
    let result = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), GET_INFO as _, &raw mut info) };
    (result == 0 && info.mask & EXIT != 0).then_some(info.exit_code)
}

/// The status as wait(2) gives it.
fn from_wait_status(status: i32) -> ExitStatus {
    let [code_or_core, number] = [status >> 8 & 0xff, status & 0x7f];
    match (u8::try_from(number), u8::try_from(code_or_core)) {
        (Ok(0), Ok(code)) => ExitStatus::Code(code),
        (Ok(number), _) => ExitStatus::Signal {
            number,
            core: status & 0x80 != 0,
        },
        _ => ExitStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::adopt;
    use std::process::Command;

    #[test]
    fn wait_statuses() {
        let signal = |number, core| ExitStatus::Signal { number, core };
        let table = [
            (0, ExitStatus::Code(0)),
            (0x2a00, ExitStatus::Code(42)),
            (0xff00, ExitStatus::Code(255)),
            (9, signal(9, false)),
            (0x8b, signal(11, true)),
        ];
        for (status, expected) in table {
            assert_eq!(from_wait_status(status), expected, "{status:#x}");
        }
    }

    #[test]
    fn a_zombie_shows_its_status_and_a_reaped_one_where_the_kernel_tells() {
        for (script, expected) in [
            ("exit 42", ExitStatus::Code(42)),
            ("exit 0", ExitStatus::Code(0)),
            (
                "kill -9 $$",
                ExitStatus::Signal {
                    number: 9,
                    core: false,
                },
            ),
        ] {
            let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
            let pid = child.id().cast_signed();
            let start_time = stat::ProcessStat::of(pid).unwrap().start_time;
            let living = adopt(pid, start_time).unwrap().unwrap();
            while stat::exit_code(pid, start_time).is_none() {
                std::thread::yield_now();
            }
            assert_eq!(foreign_exit(&living), expected);
            child.wait().unwrap();
            let told = foreign_exit(&living);
            assert!(told == expected || told == ExitStatus::Unknown, "{told:?}");
        }
    }
}
