//! What logging costs: appctl with rotation beside `cat >file` and s6-log, on the same lines, which
//! are verified afterwards.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::stage::{self, compiled, until};
use super::{Row, median, row};

/// Who takes the lines.
#[derive(Clone, Copy)]
enum Taker {
    Cat,
    /// The least that can be done where no byte may be lost (`benches/peers/relay.c`).
    Relay,
    S6Log,
    /// With these options of the program beside `stdout_logfile`.
    Appctl(&'static str),
}

/// What the producers do.
#[derive(Clone, Copy)]
struct Load {
    producers: usize,
    lines: u64,
    size: u64,
    per_write: u64,
    pause: u64,
}

impl Load {
    fn bytes(self) -> u64 {
        self.lines * self.size * self.producers as u64
    }

    /// The command line of a producer that leaves its record here.
    fn producer(self, record: &Path) -> Vec<String> {
        let mut words = vec![compiled("lines").display().to_string()];
        let numbers = [self.lines, self.size, self.per_write, self.pause];
        words.extend(numbers.map(|number| number.to_string()));
        words.push(record.display().to_string());
        words
    }
}

/// What was measured.
struct Run {
    /// Until the last line could be read.
    took: Duration,
    /// Processor time of the taker.
    cpu: Duration,
    /// Percentiles 50, 99 and 99.9 of the durations of the first producer's writes.
    writes: [Duration; 3],
    /// When each producer's last line was there.
    ends: Vec<Duration>,
    /// From the write of a line until it could be read, of the lines that were watched.
    latencies: Vec<Duration>,
    /// By how much the taker's memory grew meanwhile, in KB.
    growth: u64,
}

const ROTATION: &str = "stdout_logfile_maxbytes=50MB\nstdout_logfile_backups=10\n";
/// So often that one write in sixteen meets a rotation.
const ROTATIONS: &str = "stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=10\n";
const COMPRESSION: &str =
    "stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=10\nstdout_logfile_compress=gzip\n";

/// How often each is measured, in turns, so that what else the machine does happens to all.
const ROUNDS: usize = 3;

pub fn rows() -> Vec<Row> {
    let blocks = Load {
        producers: 1,
        lines: 512 << 13,
        size: 128,
        per_write: 512,
        pause: 0,
    };
    let single = Load {
        lines: 1_000_000,
        size: 100,
        per_write: 1,
        ..blocks
    };
    let many = Load {
        producers: 8,
        lines: 200_000,
        ..single
    };
    let paced = Load {
        lines: 2_000,
        pause: 500,
        ..single
    };
    // Not a multiple of any size of a file: the last line is looked for in the last file.
    let fewer = Load {
        lines: blocks.lines / 2 + blocks.per_write / 2,
        ..blocks
    };
    let parts = [
        beside_cat("64 KiB writes, 50 MB × 10", "≥ 1 of cat", blocks),
        beside_s6_log(fewer),
        beside_cat(
            "a write for each line of 100 bytes",
            "≥ 0.95 of cat",
            single,
        ),
        fairness(many),
        latency(paced),
        stalls(fewer),
    ];
    parts.map(Option::unwrap_or_default).concat()
}

/// The runs of each taker; `None` if one is missing or lost lines.
fn in_turns<const N: usize>(takers: [Taker; N], load: Load) -> Option<[Vec<Run>; N]> {
    let mut all = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (taker, runs) in takers.iter().zip(&mut all) {
            runs.push(measure(*taker, load)?);
        }
    }
    Some(all)
}

fn best(runs: &[Run]) -> f64 {
    let times = runs.iter().map(|run| run.took.as_secs_f64());
    times.fold(f64::INFINITY, f64::min)
}

fn median_cpu(runs: &[Run]) -> f64 {
    median(runs.iter().map(|run| run.cpu).collect()).as_secs_f64()
}

fn beside_cat(what: &str, target: &'static str, load: Load) -> Option<Vec<Row>> {
    let [cat, ours] = in_turns([Taker::Cat, Taker::Appctl(ROTATION)], load)?;
    let rate = |runs: &[Run]| load.bytes() as f64 / 1e6 / best(runs);
    let cpu = |runs: &[Run]| median_cpu(runs) * f64::from(1 << 30) / load.bytes() as f64;
    let growth = ours.iter().map(|run| run.growth).max().unwrap_or(0);
    let beside = |ours: f64, theirs: f64, unit| {
        let ratio = ours / theirs;
        format!("cat >file {theirs:.2} {unit} (ours is {ratio:.2} of it)")
    };
    Some(vec![
        row(
            what,
            format!("{:.0} MB/s", rate(&ours)),
            beside(rate(&ours), rate(&cat), "MB/s"),
            target,
        ),
        row(
            format!("{what}: processor time per GiB"),
            format!("{:.2} s", cpu(&ours)),
            beside(cpu(&ours), cpu(&cat), "s"),
            if load.per_write > 1 {
                "≤ 1 of cat"
            } else {
                ""
            },
        ),
        row(
            format!("{what}: growth of memory"),
            format!("{growth} KiB"),
            String::new(),
            "does not depend on the rate",
        ),
    ])
}

fn beside_s6_log(load: Load) -> Option<Vec<Row>> {
    let [theirs, ours] = in_turns([Taker::S6Log, Taker::Appctl(ROTATION)], load)?;
    let ratio = best(&theirs) / best(&ours);
    let rate = |runs: &[Run]| format!("{:.0} MB/s", load.bytes() as f64 / 1e6 / best(runs));
    let cpu_ratio = median_cpu(&theirs) / median_cpu(&ours);
    Some(vec![row(
        "the same beside s6-log",
        rate(&ours),
        format!(
            "s6-log {} (ours is {ratio:.1} times it, with 1/{cpu_ratio:.1} of its processor time)",
            rate(&theirs)
        ),
        "≥ 5 of s6-log",
    )])
}

fn fairness(load: Load) -> Option<Vec<Row>> {
    let [runs] = in_turns([Taker::Appctl(ROTATION)], load)?;
    let of = |run: &Run| {
        let rates: Vec<f64> = run.ends.iter().map(|end| 1.0 / end.as_secs_f64()).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        rates.iter().copied().fold(f64::INFINITY, f64::min) / mean
    };
    let worst = runs.iter().map(of).fold(f64::INFINITY, f64::min);
    let what = "8 producers at once: the slowest beside the mean";
    Some(vec![row(
        what,
        format!("{worst:.2}"),
        String::new(),
        "≥ 0.5",
    )])
}

fn latency(load: Load) -> Option<Vec<Row>> {
    let takers = [Taker::Cat, Taker::Relay, Taker::Appctl(ROTATION)];
    let [cat, relay, ours] = in_turns(takers, load)?;
    let at = |runs: &[Run], share: f64| {
        let mut all: Vec<Duration> = runs.iter().flat_map(|run| run.latencies.clone()).collect();
        all.sort_unstable();
        all[(all.len().saturating_sub(1) as f64 * share) as usize].as_secs_f64() * 1e6
    };
    let rows = [(0.5, "p50", "≤ 1.3 of cat"), (0.99, "p99", "≤ 2 of cat")];
    let rows = rows.map(|(share, name, target)| {
        let [ours, relay, theirs] = [&ours, &relay, &cat].map(|runs| at(runs, share));
        let [ratio, least] = [ours, relay].map(|time| time / theirs);
        row(
            format!("a line can be read after ({name})"),
            format!("{ours:.1} µs"),
            format!(
                "cat {theirs:.1} µs (ours is {ratio:.2} of it, two splices in C are {least:.2})"
            ),
            target,
        )
    });
    Some(rows.into())
}

fn stalls(load: Load) -> Option<Vec<Row>> {
    let takers = [
        Taker::Cat,
        Taker::Appctl(ROTATIONS),
        Taker::Appctl(COMPRESSION),
    ];
    let [cat, rotating, compressing] = in_turns(takers, load)?;
    let p999 = |runs: &[Run]| {
        let p999 = median(runs.iter().map(|run| run.writes[2]).collect());
        format!("{:.2} ms", p999.as_secs_f64() * 1e3)
    };
    let stall = |what, runs: &[Run]| {
        row(
            format!("a write of 64 KiB waits (p99.9), {what} every 16 writes"),
            p999(runs),
            format!("cat without rotation {}", p999(&cat)),
            "< 5 ms",
        )
    };
    Some(vec![
        stall("rotated", &rotating),
        stall("rotated and compressed", &compressing),
    ])
}

/// `None` if the taker is not installed, or lines are missing.
fn measure(taker: Taker, load: Load) -> Option<Run> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: String| directory.path().join(name);
    let log = |number: usize| match taker {
        Taker::S6Log => at(format!("log{number}")).join("current"),
        _ => at(format!("log{number}")),
    };
    let logs: Vec<PathBuf> = (0..load.producers).map(log).collect();
    let producers =
        (0..load.producers).map(|number| load.producer(&record(directory.path(), number)));
    let producers: Vec<Vec<String>> = producers.collect();
    let mut run = match taker {
        Taker::Appctl(options) => by_appctl(directory.path(), &producers, &logs, load, options),
        Taker::Cat => {
            let mut cat = Command::new("cat");
            cat.stdout(File::create(&logs[0]).expect("a file"));
            by_peer(cat, directory.path(), &producers[0], &logs, load)
        }
        Taker::Relay => {
            let mut relay = Command::new(compiled("relay"));
            relay.arg(&logs[0]);
            by_peer(relay, directory.path(), &producers[0], &logs, load)
        }
        Taker::S6Log => {
            let mut s6_log = Command::new("s6-log");
            s6_log.args(["n10", "s50000000"]).arg(at("log0".into()));
            by_peer(s6_log, directory.path(), &producers[0], &logs, load)
        }
    }?;
    let text = fs::read_to_string(record(directory.path(), 0)).expect("the record");
    for (write, word) in run.writes.iter_mut().zip(text.split_whitespace()) {
        *write = Duration::from_nanos(word.parse().expect("a number"));
    }
    let complete = logs.iter().all(|log| is_complete(log, load, taker));
    complete.then_some(run)
}

fn record(directory: &Path, number: usize) -> PathBuf {
    directory.join(format!("record{number}"))
}

/// The first producer has written down how its writes went, which is the last that it does.
fn is_recorded(directory: &Path) -> bool {
    fs::read_to_string(record(directory, 0)).is_ok_and(|text| text.ends_with('\n'))
}

fn by_appctl(
    directory: &Path,
    producers: &[Vec<String>],
    logs: &[PathBuf],
    load: Load,
    options: &str,
) -> Option<Run> {
    let mut programs = String::new();
    for (number, (producer, log)) in producers.iter().zip(logs).enumerate() {
        let (command, log) = (producer.join(" "), log.display());
        programs += &format!(
            "[program:p{number}]\ncommand={command}\nautostart=false\nautorestart=false\n\
             startsecs=0\nstdout_logfile={log}\n{options}"
        );
    }
    let stage = stage::Stage::for_logs(directory, &programs);
    let (cpu, memory) = (stage.cpu(), stage.pss_kilobytes());
    let began = Instant::now();
    let mut start = stage.client_command(&["start", "--no-wait", "all"]);
    let mut client = start.spawn().ok()?;
    let (ends, latencies) = watch(logs, load, began);
    let run = Run {
        took: began.elapsed(),
        cpu: stage.cpu() - cpu,
        writes: Default::default(),
        ends,
        latencies,
        growth: stage.pss_kilobytes().saturating_sub(memory),
    };
    let _ = client.wait();
    // Before the daemon, and with it the producer, is ended.
    until(|| is_recorded(directory));
    Some(run)
}

fn by_peer(
    mut peer: Command,
    directory: &Path,
    producer: &[String],
    logs: &[PathBuf],
    load: Load,
) -> Option<Run> {
    let began = Instant::now();
    let mut command = Command::new(&producer[0]);
    command.args(&producer[1..]).stdout(Stdio::piped());
    let mut producer = command.spawn().expect("the producer");
    let pipe = producer.stdout.take().expect("its pipe");
    let Ok(mut taker) = peer.stdin(pipe).spawn() else {
        // Without a reader it ends.
        drop(peer);
        let _ = producer.wait();
        return None;
    };
    let (ends, latencies) = watch(logs, load, began);
    let took = began.elapsed();
    let pid = taker.id().cast_signed();
    until(|| stage::is_zombie(pid) && is_recorded(directory));
    let cpu = stage::cpu_of(pid);
    let _ = (taker.wait(), producer.wait());
    Some(Run {
        took,
        cpu,
        writes: Default::default(),
        ends,
        latencies,
        growth: 0,
    })
}

/// Waits for the last line of every log; where lines are written with pauses, each is waited for by
/// itself, and how long that took comes second.
fn watch(logs: &[PathBuf], load: Load, began: Instant) -> (Vec<Duration>, Vec<Duration>) {
    let mut latencies = Vec::new();
    if load.pause > 0 {
        until(|| logs[0].exists());
        let file = File::open(&logs[0]).expect("the log");
        let mut line = [0; 40];
        for number in 0..load.lines {
            let deadline = Instant::now() + Duration::from_secs(60);
            while file
                .read_at(&mut line, number * load.size)
                .is_ok_and(|count| count < 40)
            {
                assert!(Instant::now() < deadline, "it takes too long");
            }
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let now = now.tv_sec * 1_000_000_000 + now.tv_nsec;
            let text = std::str::from_utf8(&line[20..]).unwrap_or_default();
            let written: i64 = text.parse().expect("a moment");
            latencies.push(Duration::from_nanos((now - written).unsigned_abs()));
        }
    }
    let last = format!("{:020}", load.lines - 1);
    let mut ends = vec![None; logs.len()];
    until(|| {
        for (log, end) in logs.iter().zip(&mut ends) {
            if end.is_none() && last_line(log, load.size).starts_with(&last) {
                *end = Some(began.elapsed());
            }
        }
        ends.iter().all(Option::is_some)
    });
    (ends.into_iter().flatten().collect(), latencies)
}

fn last_line(log: &Path, size: u64) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let file = File::open(log)?;
        let mut bytes = vec![0; 20];
        let from = file.metadata()?.len().saturating_sub(size);
        let count = file.read_at(&mut bytes, from)?;
        bytes.truncate(count);
        Ok(bytes)
    };
    String::from_utf8(read().unwrap_or_default()).unwrap_or_default()
}

/// The lines that were kept are consecutive and end with the last one.
fn is_complete(log: &Path, load: Load, taker: Taker) -> bool {
    let mut files = match taker {
        Taker::S6Log => {
            let directory = log.parent().expect("a directory");
            let old = fs::read_dir(directory).expect("a directory").flatten();
            let mut old: Vec<PathBuf> = old.map(|entry| entry.path()).collect();
            old.retain(|path| path.to_string_lossy().contains("/@"));
            old.sort();
            old
        }
        _ => {
            let old = appctl::logs::names::list(log).expect("a directory");
            old.into_iter().rev().map(|file| file.path).collect()
        }
    };
    files.push(log.to_owned());
    let size = usize::try_from(load.size).expect("a small number");
    let mut expected = None;
    for file in files {
        for line in unpacked(&file).chunks(size) {
            let number = line
                .get(..20)
                .and_then(|text| std::str::from_utf8(text).ok());
            let number: Option<u64> = number.and_then(|text| text.parse().ok());
            if number.is_none() || expected.is_some_and(|expected| number != Some(expected)) {
                return false;
            }
            expected = number.map(|number| number + 1);
        }
    }
    expected == Some(load.lines)
}

fn unpacked(file: &Path) -> Vec<u8> {
    let bytes = fs::read(file).expect("a log");
    if file.extension().is_none_or(|ending| ending != "gz") {
        return bytes;
    }
    let mut text = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(bytes.as_slice());
    reader.read_to_end(&mut text).expect("a gzip file");
    text
}
