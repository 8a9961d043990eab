//! The thread that forks, with a table of descriptors of its own.
//!
//! A child begins with a copy of the descriptors of the thread that forks it, and gives back at
//! exec what is not for the program. A brain holds half a dozen for each program: from a few
//! hundred programs on, copying and closing them is what a start costs. This thread holds a dozen
//! altogether. Programs' ends are sent to it over a socket, for their numbers mean nothing in its
//! table.
//!
//! Must never: own or use a descriptor of another thread by its number, nor let one of its own
//! out.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::cmsg_space;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use super::birth::Cradle;
use super::command::Resolved;
use super::descriptors::leave_shared_table;
use super::failure::fork_failure;
use super::inherited::Inherited;
use super::limits::Limits;
use super::living::Living;
use super::mask::{SignalMask, SignalSet};
use super::spawn::{self, Born, ChildEnds, Failed, Membership, Prepared};
use super::stage::{Progress, Stage};
use crate::config::LaunchConfig;
use crate::fleet::{ProcessName, SpawnFailure};

/// Room for the three descriptors of a start.
const CONTROL_MAX: usize = cmsg_space!(ScmRights(3));

/// The thread's handle. Starts are carried out one after the other, in the order they were begun.
#[derive(Debug)]
pub struct Launcher {
    thread: i32,
    inherited: Inherited,
    orders: Sender<(Prepared, Cradle)>,
    ends: OwnedFd,
    results: Receiver<Result<Born, Failed>>,
}

/// A start that was begun.
#[derive(Debug)]
#[must_use = "a program that nobody gets to know is killed"]
pub struct Begun(Resolved);

impl Launcher {
    /// Starts the thread; children note who they are in this memory file. The reactor must exist
    /// already, for async-process needs it there.
    pub fn new(births: OwnedFd) -> io::Result<Launcher> {
        let (ends, own_ends) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        // One for all starts, for they come one after the other.
        let progress = Arc::new(Progress::new()?);
        let births = Arc::new(births);
        let (orders, received) = channel();
        let (finished, results) = channel();
        let (ready, is_ready) = channel();
        std::thread::Builder::new()
            .name("appctl-starts".into())
            .spawn(move || {
                SignalMask::replace(SignalSet::full()).keep();
                // In a table of its own, what one start takes there is free again for the next.
                let has_room = keep_only_what_is_needed(&own_ends, &births)
                    && spawn::table_has_room(&own_ends).is_ok();
                let _ = ready.send(rustix::thread::gettid().as_raw_nonzero().get());
                carry_out(
                    &received, &own_ends, &births, &progress, &finished, has_room,
                );
            })?;
        // It fails only if the thread is gone, and then every start says so.
        let thread = is_ready.recv().unwrap_or_default();
        Ok(Launcher {
            thread,
            inherited: Inherited::read(),
            orders,
            ends,
            results,
        })
    }

    /// The id of the thread: the parent of all that it starts.
    pub fn thread(&self) -> i32 {
        self.thread
    }

    /// Begins to start a program, as [`spawn`](super::spawn()) would. To be followed by
    /// [`Launcher::finish`], in the same order.
    pub fn begin(
        &self,
        name: &ProcessName,
        config: &LaunchConfig,
        ends: ChildEnds,
        limits: &Limits,
        tree: &Membership,
        cradle: Cradle,
    ) -> Result<Begun, SpawnFailure> {
        let (prepared, command) = spawn::prepare(name, config, limits, &self.inherited, tree)?;
        let sent = send(&self.ends, &ends).and_then(|()| {
            let gone = |_| io::Error::other("the thread that starts programs has ended");
            self.orders.send((prepared, cradle)).map_err(gone)
        });
        match sent {
            Ok(()) => Ok(Begun(command)),
            Err(error) => Err(fork_failure(name, &error)),
        }
    }

    /// Waits until the program runs. On failure nothing runs.
    pub fn finish(
        &self,
        begun: Begun,
        name: &ProcessName,
        config: &LaunchConfig,
        limits: &Limits,
    ) -> Result<Living, SpawnFailure> {
        let gone = |_| {
            let text = "the thread that starts programs has ended";
            Err((Stage::Fork, io::Error::other(text)))
        };
        let born = self.results.recv().unwrap_or_else(gone);
        spawn::get_to_know(born, name, config, limits, &begun.0)
    }
}

/// The thread's life: until nobody can order any more.
fn carry_out(
    orders: &Receiver<(Prepared, Cradle)>,
    ends: &OwnedFd,
    births: &Arc<OwnedFd>,
    progress: &Arc<Progress>,
    finished: &Sender<Result<Born, Failed>>,
    has_room: bool,
) {
    while let Ok((prepared, cradle)) = orders.recv() {
        let with_room = |received| match has_room {
            true => Ok(received),
            false => spawn::table_has_room(ends).map(|()| received),
        };
        let born = receive(ends)
            .and_then(with_room)
            .map_err(|error| (Stage::Fork, error))
            .and_then(|ends| prepared.registered(births, cradle).start(ends, progress));
        if finished.send(born).is_err() {
            return;
        }
    }
}

/// Leaves the table that all threads share, with these two and the reactor alone. Where
/// the kernel cannot do that (before 5.9, or without `/proc`), this thread works in the shared
/// table, only slower; and the answer is false.
fn keep_only_what_is_needed(ends: &OwnedFd, births: &OwnedFd) -> bool {
    let Ok(listing) = fs::read_dir("/proc/self/fd") else {
        return false;
    };
    let mut kept = BTreeSet::new();
    kept.extend([ends.as_raw_fd(), births.as_raw_fd()]);
    for entry in listing.flatten() {
        let name = entry.file_name();
        let number: Option<RawFd> = name.to_str().and_then(|name| name.parse().ok());
        let target = fs::read_link(entry.path()).unwrap_or_default();
        // What the reactor consists of, and perhaps those of others, which do no harm.
        let of_reactor = [
            "anon_inode:[eventpoll]",
            "anon_inode:[eventfd]",
            "anon_inode:[timerfd]",
        ]
        .into_iter()
        .any(|kind| target.as_os_str() == kind);
        kept.extend(number.filter(|number| of_reactor && *number > 2));
    }
    let left = leave_shared_table(&kept);
    if left {
        // Whoever started us may wait until nobody has its terminal or pipe any more. The numbers
        // stay taken, for the first three are special to whatever makes descriptors.
        let _ = rustix::stdio::dup2_stdin(ends);
        let _ = rustix::stdio::dup2_stdout(ends);
        let _ = rustix::stdio::dup2_stderr(ends);
    }
    left
}

fn send(socket: &OwnedFd, ends: &ChildEnds) -> io::Result<()> {
    let mut descriptors: Vec<BorrowedFd<'_>> = vec![ends.stdin.as_fd(), ends.stdout.as_fd()];
    descriptors.extend(ends.stderr.as_ref().map(AsFd::as_fd));
    let mut space = [MaybeUninit::uninit(); CONTROL_MAX];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let packet = [IoSlice::new(b"e")];
    rustix::io::retry_on_intr(|| sendmsg(socket, &packet, &mut control, SendFlags::NOSIGNAL))?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> io::Result<ChildEnds> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); CONTROL_MAX];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut byte)];
        recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut descriptors = control.drain().flat_map(|part| match part {
        RecvAncillaryMessage::ScmRights(rights) => rights.collect(),
        _ => Vec::new(),
    });
    let missing = || io::Error::from_raw_os_error(libc::EMFILE);
    Ok(ChildEnds {
        stdin: descriptors.next().ok_or_else(missing)?,
        stdout: descriptors.next().ok_or_else(missing)?,
        stderr: descriptors.next(),
    })
}
