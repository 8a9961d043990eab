//! The load: two writers at full speed with rotation, and a program that ends every 30 ms.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::checker::{CODES, Found, exits_of};
use super::lab::numbers::Tally;
use super::lab::{Lab, PATIENCE, Subject, rotated};

/// Prints 1, 2, 3, … one line per write, as fast as a shell can.
pub const LINES: &str = "i=1; while :; do echo $i; i=$((i+1)); done";

/// Prints 1, 2, 3, … in bursts larger than a pipe.
const BURSTS: &str = "i=1; while :; do seq $i $((i+19999)); i=$((i+20000)); sleep 0.05; done";

const WRITERS: [&str; 2] = ["lines", "bursts"];

pub struct Load {
    pub lab: Lab,
    pids: [i32; 2],
}

impl Load {
    /// Starts everything. `more` goes into `[supervisord]`.
    pub fn start(more: &str) -> Load {
        let lab = Lab::of(Subject::Appctl);
        lab.script("lines", LINES);
        lab.script("bursts", BURSTS);
        // Counts its runs, prints the number and exits with it.
        let brief = format!(
            "n=$(cat @D@/n 2>/dev/null || echo 0); n=$((n+1)); echo $n >@D@/n.new\n\
             mv @D@/n.new @D@/n; echo $n; sleep 0.03; exit $((n % {CODES}))"
        );
        lab.script("brief", &brief);
        let lab = lab.started(&format!(
            "logfile_maxbytes=0\n{more}\n\
             [program:lines]\ncommand=@D@/lines\nstdout_logfile=@D@/lines.log\nstopasgroup=true\n\
             stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=100000\n\
             [program:bursts]\ncommand=@D@/bursts\nstdout_logfile=@D@/bursts.log\n\
             stopasgroup=true\nstdout_logfile_maxbytes=2MB\nstdout_logfile_backups=100000\n\
             [program:brief]\ncommand=@D@/brief\nstdout_logfile=@D@/brief.log\nstartsecs=0\n\
             stopasgroup=true\nautorestart=true\nstdout_logfile_maxbytes=0\nstopsignal=KILL\n"
        ));
        for name in WRITERS {
            lab.wait_state(name, "RUNNING");
        }
        let pids = WRITERS.map(|name| lab.pid(name));
        Load { lab, pids }
    }

    /// At most one copy of each program lives.
    #[track_caller]
    pub fn check_copies(&self) {
        let processes = self.lab.processes();
        for name in ["lines", "bursts", "brief"] {
            let script = self.lab.path(name).display().to_string();
            let copies: Vec<_> = processes
                .iter()
                .filter(|(_, line)| line.ends_with(&script))
                .filter(|(pid, _)| leads_its_group(*pid))
                .collect();
            assert!(copies.len() <= 1, "copies of {name}: {copies:?}");
        }
    }

    /// Stops the programs; the files of the first writer.
    pub fn stop(self) -> (Lab, Vec<PathBuf>) {
        assert_eq!(self.lab.ctl("stop all").code, 0);
        let files = rotated(&self.lab.path("lines.log"));
        (self.lab, files)
    }

    /// Stops everything and counts.
    pub fn finish(&mut self) -> Found {
        answered(&self.lab);
        let pids = WRITERS.map(|name| self.lab.pid(name));
        let restarts = pids
            .iter()
            .zip(self.pids)
            .filter(|(a, b)| **a != *b)
            .count();
        assert_eq!(self.lab.ctl("stop all").code, 0, "{}", self.lab.evidence());
        let log = self.lab.main_log();
        let scripts =
            ["lines", "bursts", "brief"].map(|it| self.lab.path(it).display().to_string());
        let unrecorded = self
            .lab
            .processes()
            .into_iter()
            .map(|(_, line)| line)
            .filter(|line| scripts.iter().any(|script| line.contains(script)))
            .collect();
        let streams = ["lines", "bursts", "brief"].map(|name| {
            let files = rotated(&self.lab.path(&format!("{name}.log")));
            (name.to_owned(), Tally::of_files(&files))
        });
        self.lab.shut_down();
        Found {
            streams: streams.into(),
            runs: exits_of(&log),
            restarts,
            unrecorded,
        }
    }
}

fn leads_its_group(pid: i32) -> bool {
    super::lab::procfs::stat(pid, 5).is_some_and(|group| group == pid.to_string())
}

/// What came of one question to the daemon.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Answer,
    CutOff,
    Refused,
}

/// Connects and asks for the pid.
pub fn ask_pid(lab: &Lab) -> Heard {
    let Ok(stream) = UnixStream::connect(lab.socket()) else {
        return Heard::Refused;
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    if (&stream).write_all(b"pid\n").is_err() {
        return Heard::CutOff;
    }
    let ends = BufReader::new(stream).lines().map_while(Result::ok);
    match ends.into_iter().any(|line| line.starts_with("ok")) {
        true => Heard::Answer,
        false => Heard::CutOff,
    }
}

/// How long it takes until the daemon answers.
pub fn answered(lab: &Lab) -> Duration {
    let begin = Instant::now();
    while ask_pid(lab) != Heard::Answer {
        assert!(begin.elapsed() < PATIENCE, "no answer\n{}", lab.evidence());
    }
    begin.elapsed()
}

/// How long things took.
#[derive(Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.0.clone();
        times.sort();
        let at = |part: usize| times.get(times.len().saturating_sub(1) * part / 100);
        let [median, most] = [at(50), at(100)].map(|it| it.map_or(0, Duration::as_millis));
        write!(f, "{median} ms (median), {most} ms at most")
    }
}

/// Random enough, and the same for the same seed.
pub struct Random(u64);

impl Random {
    /// A sequence for one test; `APPCTL_CHAOS_SEED` sets where they begin.
    pub fn seeded(test: u64) -> Random {
        let given = std::env::var("APPCTL_CHAOS_SEED").ok();
        let seed = given.and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
        eprintln!("APPCTL_CHAOS_SEED={seed}");
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ test | 1)
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A time of at most so many milliseconds.
    pub fn up_to_millis(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.below(most * 1000 + 1))
    }
}
