//! `/metrics` as Prometheus reads it: by the parser of its own client library.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::process::Command;

use lab::http::{ask, get};
use lab::{Lab, Said, venv};
use serde_json::Value;

const PROGRAMS: &str = "[program:a]\ncommand=/bin/cat\nstdout_logfile=@D@/a.log\n\
    [program:code]\ncommand=/bin/sh -c 'sleep 1.2; exit 3'\nautorestart=false\n\
    [program:signal]\ncommand=/bin/sleep 1000\nautorestart=false\n\
    [program:full]\ncommand=/bin/echo x\nstdout_logfile=/dev/full\nstdout_logfile_maxbytes=0\n\
    autorestart=false\nstartsecs=0\n\
    [program:drop]\ncommand=/bin/sh -c 'while :; do echo x; sleep 0.1; done'\nstdout_logfile=/dev/full\n\
    stdout_logfile_maxbytes=0\nstdout_on_full=drop\n\
    [eventlistener:deaf]\ncommand=/bin/sh -c 'echo READY; sleep 1000'\nbuffer_size=1\n\
    events=PROCESS_STATE\n\
    [program:off]\ncommand=/bin/cat\nautostart=false\n";

/// Reads the text strictly, and tells every sample as JSON: name, labels, value.
const READER: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
print(json.dumps({
    "types": {family.name: family.type for family in families},
    "samples": [[s.name, s.labels, s.value] for family in families for s in family.samples],
}))
"#;

/// What the parser makes of the metrics.
struct Metrics(Value);

impl Metrics {
    fn read(lab: &Lab) -> Metrics {
        let reply = get(lab, "/metrics");
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(reply.header("content-type"), Some(kind));
        lab.write("metrics", &reply.text());
        let mut python = Command::new(venv::bin().unwrap().join("python"));
        lab.prepare(&mut python);
        python.args(["-c", READER]);
        python.stdin(std::fs::File::open(lab.path("metrics")).unwrap());
        let said: Said = python.output().unwrap().into();
        assert_eq!(said.code, 0, "{}\n{}", said.err, reply.text());
        Metrics(serde_json::from_str(&said.out).unwrap())
    }

    /// The value of a sample with these labels, if there is one.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.0["samples"].as_array().unwrap();
        let found = samples.iter().find(|sample| {
            sample[0] == name && labels.iter().all(|(key, value)| sample[1][key] == *value)
        });
        found.map(|sample| sample[2].as_f64().unwrap())
    }

    fn of(&self, name: &str, process: &str) -> Option<f64> {
        self.value(&format!("appctl_process_{name}"), &[("process", process)])
    }
}

#[test]
fn a_strict_parser_reads_what_is_true() {
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    for (name, state) in [("a", "RUNNING"), ("signal", "RUNNING"), ("code", "EXITED")] {
        lab.wait_state(name, state);
    }
    lab::kill(lab.pid("signal"));
    lab.wait_state("signal", "EXITED");
    assert_eq!(ask(&lab, "POST /api/v1/restart/a", &[], "").status, 200);
    assert_eq!(
        ask(&lab, "POST /api/v1/stdin/a", &[], "12345678\n").status,
        200
    );
    lab.wait_text("a.log", "12345678\n");
    lab.until("a log cannot be written", |lab| {
        get(lab, "/api/v1/processes/full")
            .text()
            .contains("No space")
    });
    let metrics = lab.wait_some("something was dropped", |lab| {
        let metrics = Metrics::read(lab);
        let events = metrics.value("appctl_events_dropped_total", &[("pool", "deaf")]);
        let bytes = metrics.of("log_dropped_bytes_total", "drop");
        (events > Some(0.0) && bytes > Some(0.0)).then_some(metrics)
    });
    for (name, process, value) in [
        ("up", "a", Some(1.0)),
        ("up", "off", Some(0.0)),
        ("state", "a", Some(20.0)),
        ("state", "code", Some(100.0)),
        ("state", "off", Some(0.0)),
        ("starts_total", "a", Some(2.0)),
        ("starts_total", "off", Some(0.0)),
        ("last_exit_code", "code", Some(3.0)),
        ("last_exit_code", "signal", None),
        ("last_exit_signal", "signal", Some(9.0)),
        ("last_exit_signal", "code", None),
        ("start_time_seconds", "off", None),
        ("cpu_seconds_total", "off", None),
        ("log_stalled", "a", Some(0.0)),
        ("log_stalled", "full", Some(1.0)),
    ] {
        assert_eq!(metrics.of(name, process), value, "{name} of {process}");
    }
    let stdout = [("process", "a"), ("stream", "stdout")];
    let bytes = metrics.value("appctl_process_log_bytes_total", &stdout);
    assert_eq!(bytes, Some(9.0));
    for name in [
        "uptime_seconds",
        "cpu_seconds_total",
        "resident_memory_bytes",
    ] {
        assert!(metrics.of(name, "a").is_some(), "{name}");
    }
    let memory = |role| metrics.value("appctl_daemon_resident_memory_bytes", &[("role", role)]);
    assert!(memory("brain").unwrap() > 500_000.0 && memory("keeper").unwrap() > 100_000.0);
    let turns = metrics.value("appctl_turn_seconds_count", &[]).unwrap();
    let all = metrics.value("appctl_turn_seconds_bucket", &[("le", "+Inf")]);
    assert!(turns > 5.0 && all == Some(turns));
    assert!(metrics.value("appctl_events_total", &[]).unwrap() > 5.0);
    assert!(metrics.value("appctl_main_log_bytes_total", &[]).unwrap() > 100.0);
    assert_eq!(
        metrics.value("appctl_main_log_dropped_lines_total", &[]),
        Some(0.0)
    );
    assert_eq!(metrics.0["types"]["appctl_turn_seconds"], "histogram");
    assert_eq!(metrics.0["types"]["appctl_process_starts"], "counter");
    lab.shut_down();
}
