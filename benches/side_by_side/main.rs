//! Measures appctl beside its peers in one run, and prints a table: Python Supervisor (installed
//! from PyPI under the target directory), and the least that a supervisor can do in C.
//!
//! `make bench` runs it on the static release binary. Absolute times depend on the machine; what
//! counts are the ratios.

mod listener;
mod logs;
mod pure;
mod stage;
mod web;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use stage::{Peer, Stage};

/// One line of the table.
#[derive(Clone)]
struct Row {
    what: String,
    ours: String,
    peers: String,
    target: &'static str,
}

/// The name to ask for it by, and what measures it.
type Part = (&'static str, fn() -> Vec<Row>);

fn main() {
    let only = std::env::args()
        .nth(1)
        .filter(|word| !word.starts_with('-'));
    let wanted = |name: &str| {
        only.as_ref()
            .is_none_or(|only| name.contains(only.as_str()))
    };
    let parts: [Part; 11] = [
        ("pure", pure_code),
        ("boot", boot),
        ("status", status),
        ("restart", restart),
        ("idle", idle),
        ("log", log),
        ("lines", logs::rows),
        ("rpc", rpc),
        ("pages", pages),
        ("listener", listener),
        ("size", size),
    ];
    println!("| what | appctl | peers | target |\n|---|---|---|---|");
    for (name, part) in parts {
        if wanted(name) {
            for row in part() {
                let Row {
                    what,
                    ours,
                    peers,
                    target,
                } = row;
                println!("| {what} | {ours} | {peers} | {target} |");
            }
        }
    }
}

fn row(what: impl Into<String>, ours: String, peers: String, target: &'static str) -> Row {
    Row {
        what: what.into(),
        ours,
        peers,
        target,
    }
}

fn shown(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// `name TIME (N.NN×)`: how many times the first the second is.
fn beside(name: &str, ours: Duration, theirs: Option<Duration>) -> String {
    match theirs {
        None => format!("{name} not installed"),
        Some(theirs) => {
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            format!("{name} {} (ours is {ratio:.3} of it)", shown(theirs))
        }
    }
}

/// The middle one.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn pure_code() -> Vec<Row> {
    let parse = median((0..9).map(|_| pure::parse(1_000)).collect());
    let events = pure::events_per_second(1_000);
    vec![
        row(
            "a configuration of 1,000 programs read",
            shown(parse),
            String::new(),
            "",
        ),
        row(
            "state machine",
            format!("{:.1} million events/s", events / 1e6),
            String::new(),
            "",
        ),
    ]
}

fn boot() -> Vec<Row> {
    // Where cgroups may be made each program gets one, so that its whole tree can be ended. The C
    // loop makes none, so the target is for what both do.
    let scenes = [
        (100, "", ""),
        (1_000, "", ""),
        (1_000, "stop_tree=false\n", "≤ 2.5 of the C loop"),
    ];
    scenes
        .into_iter()
        .map(|(count, options, target)| {
            let time = |peer| {
                let times: Option<Vec<Duration>> = (0..3)
                    .map(|_| Stage::open(peer, count, options).map(|stage| stage.boot))
                    .collect();
                times.map(median)
            };
            let ours = time(Peer::Appctl).unwrap_or_default();
            let peers = [
                beside("C loop", ours, time(Peer::Loop)),
                beside("supervisord", ours, time(Peer::Supervisor)),
            ];
            let name = match options {
                "" => format!("{count} programs started"),
                options => format!("{count} programs started, {}", options.trim()),
            };
            row(name, shown(ours), peers.join("; "), target)
        })
        .collect()
}

fn status() -> Vec<Row> {
    let time = |peer, rounds, program: fn(&Stage) -> PathBuf| {
        let stage = Stage::open(peer, 100, "")?;
        let program = program(&stage);
        let ask = |_| {
            let began = Instant::now();
            stage.run(&program, &["status"]);
            began.elapsed()
        };
        Some(median((0..rounds).map(ask).collect()))
    };
    let theirs = time(Peer::Supervisor, 5, Stage::own_client);
    let rows = [
        (
            "status of 100 programs",
            Stage::own_client as fn(&Stage) -> PathBuf,
        ),
        ("the same, through the link supervisorctl", Stage::link),
    ];
    let rows = rows.into_iter().map(|(what, program)| {
        let ours = time(Peer::Appctl, 31, program).unwrap_or_default();
        let peers = beside("supervisorctl", ours, theirs);
        row(what, shown(ours), peers, "≤ 0.02 of supervisorctl")
    });
    rows.collect()
}

fn rpc() -> Vec<Row> {
    let time = |peer, rounds| {
        let stage = Stage::open(peer, 1_000, "")?;
        let ask = |_| web::call(&stage.socket(), "supervisor.getAllProcessInfo");
        Some(median((0..rounds).map(ask).collect()))
    };
    let ours = time(Peer::Appctl, 31).unwrap_or_default();
    let theirs = time(Peer::Supervisor, 5);
    vec![row(
        "getAllProcessInfo of 1,000 programs",
        shown(ours),
        beside("supervisord", ours, theirs),
        "≤ 0.05 of supervisord",
    )]
}

/// For ten seconds; `APPCTL_BENCH_SECONDS` says otherwise.
fn pages() -> Vec<Row> {
    let seconds = std::env::var("APPCTL_BENCH_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(10);
    let cost = web::pages(Duration::from_secs(seconds));
    let tabs = web::TABS;
    let of = |what: &str, ours: String, target| {
        row(
            format!("{tabs} open pages: {what}"),
            ours,
            String::new(),
            target,
        )
    };
    vec![
        of("status, 99 of 100 within", shown(cost.p99), "< 20 ms"),
        of(
            "growth for each",
            format!("{:.1} KiB", cost.growth),
            "< 64 KiB",
        ),
        of("a change is told to all in", shown(cost.told), "< 100 ms"),
    ]
}

fn listener() -> Vec<Row> {
    let time = |peer| {
        let times: Option<Vec<Duration>> = (0..5).map(|_| listener::told(peer, 20)).collect();
        times.map(median)
    };
    let ours = time(Peer::Appctl).unwrap_or_default();
    vec![row(
        "20,000 events told to a listener",
        shown(ours),
        beside("supervisord", ours, time(Peer::Supervisor)),
        "≤ 1 of supervisord",
    )]
}

fn restart() -> Vec<Row> {
    // The loop does not look for what is left of the program, so the target is for what both do.
    let scenes = [("", ""), ("stop_tree=false\n", "≤ 2 of the C loop")];
    let rows = scenes.into_iter().map(|(options, target)| {
        let time = |peer, rounds| {
            let options = format!("startsecs=0\nautorestart=true\n{options}");
            let mut stage = Stage::open(peer, 1, &options)?;
            let round = |_| stage.kill_and_wait();
            Some(median((0..rounds).map(round).collect()))
        };
        // More in a row would be a storm, which we slow down.
        let ours = time(Peer::Appctl, 9).unwrap_or_default();
        let peers = [
            beside("C loop", ours, time(Peer::Loop, 9)),
            beside("supervisord", ours, time(Peer::Supervisor, 3)),
        ];
        let name = format!("a killed program's successor runs {options}");
        row(
            name.trim_end().to_owned(),
            shown(ours),
            peers.join("; "),
            target,
        )
    });
    rows.collect()
}

fn idle() -> Vec<Row> {
    let mut rows = Vec::new();
    for (count, target) in [(100, "< 6 MB"), (1_000, "< 12 MB")] {
        let measure = |peer| {
            let stage = Stage::open(peer, count, "")?;
            stage.settle();
            let before = stage.switches();
            std::thread::sleep(Duration::from_secs(3));
            Some((stage.pss_kilobytes(), stage.switches() - before))
        };
        let (pss, switches) = measure(Peer::Appctl).unwrap_or_default();
        let theirs = measure(Peer::Supervisor);
        let megabytes = |kilobytes: u64| format!("{:.1} MB", kilobytes as f64 / 1024.0);
        let per_second = |switches: u64| format!("{:.1}/s", switches as f64 / 3.0);
        let of_peer = |show: &dyn Fn((u64, u64)) -> String| {
            theirs.map_or_else(
                || "supervisord not installed".to_owned(),
                |figures| format!("supervisord {}", show(figures)),
            )
        };
        rows.push(row(
            format!("memory (PSS) with {count} idle programs"),
            megabytes(pss),
            of_peer(&|(pss, _)| megabytes(pss)),
            target,
        ));
        rows.push(row(
            format!("wake-ups with {count} idle programs"),
            per_second(switches),
            of_peer(&|(_, switches)| per_second(switches)),
            "0",
        ));
    }
    rows
}

fn log() -> Vec<Row> {
    const GIBIBYTE: u64 = 1 << 30;
    let (cat, cat_cpu) = stage::cat(GIBIBYTE);
    let ours = stage::logged(Peer::Appctl, GIBIBYTE);
    // As much for both: what rotation and the removal of old files cost grows with it.
    let theirs = stage::logged(Peer::Supervisor, GIBIBYTE);
    let rate = |bytes: u64, time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    let Some((time, cpu)) = ours else {
        return vec![row(
            "log",
            "lines are missing".to_owned(),
            String::new(),
            "",
        )];
    };
    let (ours, cat) = (rate(GIBIBYTE, time), rate(GIBIBYTE, cat));
    let of_cat = ours / cat;
    let mut rows = vec![row(
        "1 GiB logged, 50 MB × 10 rotation, every line verified",
        format!("{ours:.0} MB/s"),
        format!("cat >file {cat:.0} MB/s (ours is {of_cat:.2} of it)"),
        "≥ 0.9 of cat",
    )];
    if let Some((their_time, their_cpu)) = theirs {
        let share = cpu.as_secs_f64() / their_cpu.as_secs_f64();
        rows.push(row(
            "processor time for that",
            shown(cpu),
            format!(
                "supervisord {} (ours is {share:.2} of it), at {:.0} MB/s; cat {}",
                shown(their_cpu),
                rate(GIBIBYTE, their_time),
                shown(cat_cpu)
            ),
            "≤ 0.5 of supervisord",
        ));
    }
    rows
}

fn size() -> Vec<Row> {
    let bytes = fs::metadata(stage::appctl()).map_or(0, |metadata| metadata.len());
    vec![row(
        "binary",
        format!("{:.2} MB", bytes as f64 / 1e6),
        String::new(),
        "< 5 MB",
    )]
}
