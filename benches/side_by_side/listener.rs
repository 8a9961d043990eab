//! Event listeners: how fast one is told what waits for it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::stage::{Peer, Stage, compiled};
use super::web;

/// Events made up by one call of XML-RPC.
const CALLS: usize = 1_000;

/// How long a listener takes from the first to the last of so many thousand events, which wait for it;
/// `None`: this peer is not installed.
pub fn told(peer: Peer, thousands: usize) -> Option<Duration> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (took, go) = (directory.path().join("took"), directory.path().join("go"));
    let events = thousands * CALLS;
    let listener = format!(
        "\n[eventlistener:l]\ncommand={} {events} {} {}\nevents=REMOTE_COMMUNICATION\n\
         buffer_size={events}\n",
        compiled("listener").display(),
        took.display(),
        go.display()
    );
    let stage = Stage::open(peer, 1, &listener)?;
    let event = "<value><struct><member><name>methodName</name>\
        <value>supervisor.sendRemoteCommEvent</value></member><member><name>params</name>\
        <value><array><data><value>type</value><value>text</value></data></array></value></member>\
        </struct></value>";
    let calls = format!(
        "<value><array><data>{}</data></array></value>",
        event.repeat(CALLS)
    );
    for _ in 0..thousands {
        web::call_with(&stage.socket(), "system.multicall", &calls);
    }
    fs::write(&go, "").expect("a file");
    Some(read(&took))
}

fn read(took: &Path) -> Duration {
    let end = Instant::now() + Duration::from_secs(120);
    while Instant::now() < end {
        let text = fs::read_to_string(took).unwrap_or_default();
        if let Some(micros) = text.strip_suffix('\n').and_then(|text| text.parse().ok()) {
            return Duration::from_micros(micros);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the listener did not get its events");
}
