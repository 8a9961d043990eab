//! The thread that keeps the state: it is told what happened, and asked what was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use super::run::{self, Place, Run};
use super::shelf::Shelf;

/// Most things that wait for the disk. What is more is not kept.
const WAITING_MAX: usize = 4096;

/// What happened is written when nothing more has happened for this time…
const QUIET_TIME: Duration = Duration::from_millis(100);

/// … or when this has passed: a daemon that starts a thousand programs has better things to do.
const GATHER_TIME: Duration = Duration::from_secs(2);

/// Nobody waits for this thread.
const NICENESS: i32 = 19;

/// Says that something of the state went wrong.
pub type Tell = fn(String);

type Then = Box<dyn FnOnce(Result<(), String>) + Send>;
type Show = Box<dyn FnOnce(Vec<(String, VecDeque<Run>)>) + Send>;

enum Note {
    Began(String, Run, [Option<PathBuf>; 2]),
    Adopted(String, Run),
    Ended(String, i32, i64, String, u64),
    Disabled(BTreeSet<String>, Then),
    Asked(Vec<String>, Show),
    Programs(BTreeSet<String>),
    Finish(SyncSender<()>),
}

/// The thread's handle. Nothing here waits for it, but [`Clerk::finish`].
#[derive(Debug)]
pub struct Clerk {
    notes: Sender<Note>,
    /// How many wait. A channel with a bound of its own has memory for all of them at once.
    waiting: Arc<AtomicUsize>,
    full: AtomicBool,
    tell: Tell,
}

impl Clerk {
    /// Starts the thread.
    pub fn start(shelf: Shelf, tell: Tell) -> std::io::Result<Clerk> {
        let (notes, received) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let inbox = Inbox {
            notes: received,
            waiting: Arc::clone(&waiting),
        };
        std::thread::Builder::new()
            .name("appctl-state".into())
            .spawn(move || {
                // Where it is not allowed, it works with the priority of all.
                let _ =
                    rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
                let open = BTreeMap::new();
                let well = true;
                Desk {
                    shelf,
                    tell,
                    open,
                    well,
                }
                .work(&inbox);
            })?;
        let full = AtomicBool::new(false);
        Ok(Clerk {
            notes,
            waiting,
            full,
            tell,
        })
    }

    /// A run began, or could not: then it has an end already. `logs` are looked at for the places.
    pub fn began(&self, program: String, run: Run, logs: [Option<PathBuf>; 2]) {
        self.note(Note::Began(program, run, logs));
    }

    /// A run goes on under this brain.
    pub fn adopted(&self, program: String, run: Run) {
        self.note(Note::Adopted(program, run));
    }

    /// A run ended.
    pub fn ended(&self, program: String, pid: i32, at: i64, how: String, peak_memory: u64) {
        self.note(Note::Ended(program, pid, at, how, peak_memory));
    }

    /// These are not started with the daemon from now on; `then` when that is on the disk.
    pub fn disable(&self, programs: BTreeSet<String>, then: Then) {
        self.note(Note::Disabled(programs, then));
    }

    /// Shows the last runs of these programs.
    pub fn show(&self, programs: Vec<String>, show: Show) {
        self.note(Note::Asked(programs, show));
    }

    /// These are all the programs there are: those that were gone for long are forgotten.
    pub fn programs(&self, programs: BTreeSet<String>) {
        self.note(Note::Programs(programs));
    }

    /// Waits until everything is written, but not for ever.
    pub fn finish(&self, most: Duration) {
        let (done, finished) = sync_channel(1);
        self.note(Note::Finish(done));
        let _ = finished.recv_timeout(most);
    }

    fn note(&self, note: Note) {
        // More than one at a time may come a little above it.
        let refused = self.waiting.load(Ordering::Relaxed) >= WAITING_MAX || {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            self.notes.send(note).is_err()
        };
        if refused && !self.full.swap(true, Ordering::Relaxed) {
            (self.tell)(
                "the state cannot be written as fast as things happen; does its disk hang? The \
                 history has gaps"
                    .to_owned(),
            );
        } else if !refused {
            self.full.store(false, Ordering::Relaxed);
        }
    }
}

/// Where the thread takes notes from.
struct Inbox {
    notes: Receiver<Note>,
    waiting: Arc<AtomicUsize>,
}

impl Inbox {
    /// The next note; `None` if there is none in time, or will be none.
    fn next(&self, within: Option<Duration>) -> Option<Note> {
        let note = match within {
            None => self.notes.recv().ok(),
            Some(time) => self.notes.recv_timeout(time).ok(),
        };
        if note.is_some() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        note
    }
}

/// What the thread has before it.
struct Desk {
    shelf: Shelf,
    tell: Tell,
    /// Runs of programs to which something was added.
    open: BTreeMap<String, VecDeque<Run>>,
    /// The last write worked.
    well: bool,
}

impl Desk {
    fn work(mut self, inbox: &Inbox) {
        while let Some(note) = inbox.next(None) {
            let until = Instant::now() + GATHER_TIME;
            self.take(note);
            while !self.open.is_empty()
                && let left = until.saturating_duration_since(Instant::now())
                && let Some(note) = inbox.next(Some(left.min(QUIET_TIME)))
            {
                self.take(note);
            }
            self.write();
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Began(program, mut run, [stdout, stderr]) => {
                run.stdout = stdout.as_ref().and_then(place);
                run.stderr = stderr.as_ref().and_then(place);
                run::begin(self.runs(program), run);
            }
            Note::Adopted(program, run) => run::adopt(self.runs(program), run),
            Note::Ended(program, pid, at, how, peak_memory) => {
                run::end(self.runs(program), pid, at, how, peak_memory);
            }
            Note::Disabled(programs, then) => then(self.shelf.keep_disabled(programs)),
            Note::Asked(programs, show) => {
                self.write();
                let runs = |program: String| {
                    let runs = self.shelf.runs(&program).unwrap_or_else(|error| {
                        (self.tell)(error);
                        VecDeque::new()
                    });
                    (program, runs)
                };
                show(programs.into_iter().map(runs).collect());
            }
            Note::Programs(programs) => {
                if let Err(error) = self.shelf.forget_others(&programs, SystemTime::now()) {
                    (self.tell)(error);
                }
            }
            Note::Finish(done) => {
                self.write();
                let _ = done.try_send(());
            }
        }
    }

    fn runs(&mut self, program: String) -> &mut VecDeque<Run> {
        let (shelf, tell) = (&self.shelf, self.tell);
        self.open.entry(program).or_insert_with_key(|program| {
            shelf.runs(program).unwrap_or_else(|error| {
                tell(error);
                VecDeque::new()
            })
        })
    }

    fn write(&mut self) {
        for (program, runs) in std::mem::take(&mut self.open) {
            let kept = self.shelf.keep_runs(&program, runs);
            let well_before = std::mem::replace(&mut self.well, kept.is_ok());
            if let Err(error) = kept
                && well_before
            {
                (self.tell)(format!("{error}; until that works, the history has gaps"));
            }
        }
    }
}

fn place(file: &PathBuf) -> Option<Place> {
    let metadata = std::fs::metadata(file).ok().filter(|it| it.is_file())?;
    Some(Place {
        inode: metadata.ino(),
        offset: metadata.len(),
    })
}
