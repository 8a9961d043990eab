//! Code without effects: reading a configuration, the state machine.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use appctl::config::{self, RealHost, Source};
use appctl::fleet::{
    Action, Event, ExitStatus, Fleet, GroupPolicy, Moment, ProcessId, Request, Stamp, Ticket,
};

fn text(count: usize) -> String {
    let mut text = String::from("[supervisord]\n");
    for number in 0..count {
        write!(
            text,
            "[program:p{number}]\ncommand=/bin/sleep {number}\ndirectory=/tmp\n\
             environment=A=\"1\",B=\"%(program_name)s\"\nstdout_logfile=/tmp/%(program_name)s.log\n\
             startsecs=0\n"
        )
        .expect("a string takes everything");
    }
    text
}

fn load(count: usize) -> (config::Config, Duration) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("c.conf");
    fs::write(&file, text(count)).expect("a file in it");
    let source = Source {
        single: None,
        file: Some(file),
        overrides: Vec::new(),
    };
    let began = Instant::now();
    let loaded = config::load(&RealHost::default(), &source);
    let took = began.elapsed();
    match loaded {
        Ok(loaded) => (loaded.config, took),
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// How long it takes to read a configuration of so many programs.
pub fn parse(count: usize) -> Duration {
    load(count).1
}

/// Events about this many processes that start and end over and over.
pub fn events_per_second(count: usize) -> f64 {
    let (config, _) = load(count);
    let groups = config
        .groups
        .into_iter()
        .map(|group| GroupPolicy {
            name: group.name,
            priority: group.priority,
            processes: group
                .processes
                .into_iter()
                .map(|process| (process.name.clone(), process.policy.clone()))
                .collect(),
        })
        .collect();
    let mut fleet = Fleet::new();
    let mut now = Moment {
        stamp: Stamp(1_000_000_000),
        wall: 0,
    };
    let mut actions = Vec::new();
    let asked = Event::Asked {
        ticket: Ticket(1),
        request: Request::Add { groups },
    };
    fleet.handle(now, asked, &mut actions);
    let mut pid = 0;
    let mut living: Vec<(ProcessId, i32)> = Vec::new();
    let mut events = 0_u32;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        now.stamp = now.stamp.after(Duration::from_millis(1_500));
        fleet.handle(now, Event::Tick, &mut actions);
        for (process, pid) in living.drain(..) {
            let status = ExitStatus::Code(1);
            let exited = Event::Exited {
                process,
                pid,
                status,
            };
            fleet.handle(now, exited, &mut actions);
            events += 1;
        }
        fleet.handle(now, Event::Tick, &mut actions);
        for action in actions.split_off(0) {
            if let Action::Start { process } = action {
                pid += 1;
                fleet.handle(now, Event::Spawned { process, pid }, &mut actions);
                living.push((process, pid));
                events += 1;
            }
        }
        events += 2;
    }
    f64::from(events) / began.elapsed().as_secs_f64()
}
