//! `[eventlistener:x]` from outside: listeners of every character, the brain's death, and Supervisor
//! itself beside us.

mod lab;

use std::path::PathBuf;

use lab::{Lab, Subject, kill, venv};

/// A listener that writes down what it is sent, one line an event, and behaves as told.
const LISTENER: &str = r#"
import os, sys, time
mode, path = sys.argv[1:3]
notes = open(path, 'a')
def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()
rejections = 0
if mode == 'babble':
    say('hello, I am not a listener\n')
    time.sleep(1000)
while True:
    say('READY\n')
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    headers = dict(word.split(':', 1) for word in line.split())
    payload = sys.stdin.read(int(headers['len']))
    notes.write(' '.join(headers[k] for k in ('serial', 'pool', 'poolserial', 'eventname')))
    notes.write(' ' + payload.replace('\n', '|') + ' by ' + str(os.getpid()) + '\n')
    notes.flush()
    while mode == 'hold' and not os.path.exists(path + '.go'):
        time.sleep(0.01)
    if mode == 'reject' and rejections < 3:
        rejections += 1
        say('RESULT 4\nFAIL')
        continue
    if mode == 'flood':
        while True:
            say('x' * 60000)
    say('RESULT 2\nOK')
"#;

fn python() -> PathBuf {
    let bin = venv::bin().unwrap_or_else(|why| panic!("no Python environment: {why}"));
    bin.join("python")
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("listener.py", LISTENER);
    lab
}

/// An `[eventlistener:x]` with the script above; its notes are in the file of its name.
fn listener(name: &str, mode: &str, options: &str) -> String {
    format!(
        "[eventlistener:{name}]\ncommand={} @D@/listener.py {mode} @D@/{name}\n\
         startsecs=0\nstdout_logfile=@D@/{name}.out\n{options}\n",
        python().display()
    )
}

/// Programs that something happens with.
const PROGRAMS: &str = "[program:a]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n\
    [program:b]\ncommand=sleep 1000\nstartsecs=0\nautostart=false\n";

/// The notes of a listener without the pids.
fn notes(lab: &Lab, name: &str) -> Vec<String> {
    let text = lab.read(name);
    // The last one may be about to be written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().map(|line| {
        let event = line.rsplit_once(" by ").expect("a whole line").0;
        let words = event
            .split(' ')
            .map(|word| match word.strip_prefix("pid:") {
                Some(rest) => rest.trim_start_matches(|digit: char| digit.is_ascii_digit()),
                None => word,
            });
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ")
    });
    lines.collect()
}

fn wait_notes(lab: &Lab, name: &str, count: usize) -> Vec<String> {
    lab.until(&format!("{count} notes of {name}"), |lab| {
        lab.read(name).matches('\n').count() >= count
    });
    notes(lab, name)
}

#[test]
fn a_rejected_event_comes_again_to_its_pool_alone() {
    ours_only!();
    let mut lab = lab().started(&format!(
        "{PROGRAMS}{}{}",
        listener("strict", "reject", "events=PROCESS_STATE_STARTING"),
        listener("calm", "ok", "events=PROCESS_STATE_STOPPED"),
    ));
    lab.wait_state("strict", "RUNNING");
    // It rejects the first three; only then does it hear of the start of the other.
    let own = "PROCESS_STATE_STARTING processname:calm groupname:calm from_state:STOPPED tries:0";
    let seen = wait_notes(&lab, "strict", 5);
    assert_eq!(seen[0], format!("0 strict 0 {own}"));
    assert_eq!(seen[..4], vec![seen[0].clone(); 4]);
    assert!(seen[4].starts_with("1 strict 1 "), "{seen:?}");
    lab.expect("start a", 0, "a: started\n");
    lab.expect("stop a", 0, "a: stopped\n");
    let seen = wait_notes(&lab, "calm", 1);
    let stopped = "PROCESS_STATE_STOPPED processname:a groupname:a from_state:STOPPING";
    assert_eq!(seen, [format!("3 calm 0 {stopped}")]);
    lab.shut_down();
}

#[test]
fn the_event_of_a_listener_that_is_killed_goes_to_its_successor() {
    ours_only!();
    let mut lab = lab().started(&format!(
        "{PROGRAMS}{}",
        listener(
            "slow",
            "hold",
            "events=PROCESS_STATE_STARTING\nbuffer_size=2"
        )
    ));
    let first = wait_notes(&lab, "slow", 1);
    let old = lab.pid("slow");
    kill(old);
    lab.wait_new_pid("slow", old);
    assert_eq!(wait_notes(&lab, "slow", 2)[1], first[0]);

    // A full buffer gives up the oldest, by name.
    for _ in 0..4 {
        lab.expect("start a", 0, "a: started\n");
        lab.expect("stop a", 0, "a: stopped\n");
    }
    let log = lab.wait_main_log("discarding event 3");
    assert!(
        log.contains("ERRO pool slow event buffer overflowed, discarding event 2"),
        "{log}"
    );
    lab.write("slow.go", "");
    let seen = wait_notes(&lab, "slow", 4);
    let serials: Vec<&str> = seen
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(serials, ["0", "0", "4", "5"]);
    lab.shut_down();
}

#[test]
fn listeners_that_babble_or_flood_harm_nobody() {
    ours_only!();
    let mut lab = lab().started(&format!(
        "{PROGRAMS}{}{}{}",
        listener("babbler", "babble", "events=EVENT"),
        listener(
            "flooder",
            "flood",
            "events=EVENT\nstdout_logfile_maxbytes=1MB\nstdout_logfile_backups=1"
        ),
        listener("good", "ok", "events=PROCESS_STATE_STARTING"),
    ));
    for name in ["babbler", "flooder"] {
        lab.wait_main_log(&format!("{name}: has entered the UNKNOWN state"));
    }
    // What they say is in their logs nevertheless.
    lab.wait_text("babbler.out", "hello, I am not a listener\n");
    lab.wait_text("flooder.out", "xxxxxxxxxxxx");
    let before = lab.read("good").lines().count();
    for _ in 0..20 {
        lab.expect("start a", 0, "a: started\n");
        lab.expect("stop a", 0, "a: stopped\n");
    }
    wait_notes(&lab, "good", before + 20);
    assert_eq!(lab.state("babbler"), "RUNNING");
    assert_eq!(lab.state("flooder"), "RUNNING");
    lab.shut_down();
}

#[test]
fn the_processes_of_a_pool_share_its_events() {
    ours_only!();
    let mut lab = lab().started(&format!(
        "{PROGRAMS}{}",
        listener(
            "pool",
            "ok",
            "events=PROCESS_STATE_STOPPED\nnumprocs=2\nprocess_name=p%(process_num)d"
        )
    ));
    lab.wait_state("pool:p0", "RUNNING");
    lab.wait_state("pool:p1", "RUNNING");
    for _ in 0..6 {
        lab.expect("start a", 0, "a: started\n");
        lab.expect("stop a", 0, "a: stopped\n");
    }
    let seen = wait_notes(&lab, "pool", 6);
    let mut poolserials: Vec<&str> = seen
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap())
        .collect();
    poolserials.sort_unstable();
    assert_eq!(poolserials, ["0", "1", "2", "3", "4", "5"]);
    lab.shut_down();
}

#[test]
fn listeners_and_numbers_go_on_when_the_brain_is_killed() {
    ours_only!();
    let mut lab = lab().started(&format!(
        "{PROGRAMS}{}{}",
        listener("good", "ok", "events=PROCESS_STATE_STARTING"),
        listener("slow", "hold", "events=PROCESS_STATE_STOPPED"),
    ));
    lab.wait_state("good", "RUNNING");
    lab.expect("start a", 0, "a: started\n");
    lab.expect("stop a", 0, "a: stopped\n");
    lab.expect("start b", 0, "b: started\n");
    lab.expect("stop b", 0, "b: stopped\n");
    let before = wait_notes(&lab, "good", 3);
    wait_notes(&lab, "slow", 1);
    let pids = [lab.pid("good"), lab.pid("slow")];
    let said = lab.appctl("events --json").out;
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();

    let (_, brain) = lab.keeper_and_brain();
    kill(brain);
    lab.expect("start a", 0, "a: started\n");
    // One was waiting for an event, one had one and one was in the buffer: all goes on.
    let after = wait_notes(&lab, "good", before.len() + 1);
    let serial = |line: &str| line.split(' ').next().unwrap().parse::<u32>().unwrap();
    let newest = after.last().unwrap();
    assert!(
        newest.contains(" processname:a groupname:a from_state:STOPPED tries:0"),
        "{newest}"
    );
    assert!(serial(newest) > serial(&before[before.len() - 1]));
    lab.write("slow.go", "");
    let seen = wait_notes(&lab, "slow", 2);
    assert!(seen[1].contains(" processname:b "), "{seen:?}");
    assert_eq!([lab.pid("good"), lab.pid("slow")], pids);

    let said = lab.appctl("events --json").out;
    let first: serde_json::Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["sequence"].as_u64().unwrap(),
        last["sequence"].as_u64().unwrap() + 1
    );
    lab.shut_down();
}

/// Programs write things; their listeners note what they are told, and how it came.
#[test]
fn output_is_told_as_events() {
    ours_only!();
    let mut lab = lab();
    lab.script(
        "talk",
        "printf 'before<!--XSUPERVISOR:BEGIN-->one<!--XSUPERVISOR:END-->after\\n'\n\
         printf '<!--XSUPER'; printf 'VISOR:BEGIN-->two\\nlines<!--XSUPERVISOR:END-->'\n\
         printf 'err\\303\\251<!--XSUPERVISOR:BEGIN-->1234567890<!--XSUPERVISOR:END-->\\n' >&2\n\
         printf 'end<!--XSUPERVISOR:BEGIN-->unended'",
    );
    lab.configure(&format!(
        "[program:talk]\ncommand=@D@/talk\nautostart=false\nstartsecs=0\nautorestart=false\n\
         stdout_logfile=@D@/talk.out\nstderr_logfile=@D@/talk.err\n\
         stdout_capture_maxbytes=1KB\nstderr_capture_maxbytes=4\nstderr_events_enabled=true\n{}",
        listener(
            "ears",
            "ok",
            "events=PROCESS_COMMUNICATION,PROCESS_LOG,PROCESS_STATE_EXITED"
        )
    ));
    lab.start();
    lab.wait_state("ears", "RUNNING");
    lab.ctl("start talk");
    let seen = wait_notes(&lab, "ears", 5);
    let told: Vec<String> = seen
        .iter()
        .map(|line| line.splitn(4, ' ').last().unwrap().to_owned())
        .collect();
    let of = |kind: &str, rest: &str| format!("{kind} processname:talk groupname:talk {rest}");
    // Two outputs have no order between them; the end comes after both.
    assert!(told[4].starts_with("PROCESS_STATE_EXITED "), "{told:#?}");
    let stdout: Vec<&String> = told
        .iter()
        .filter(|line| line.contains("_STDOUT"))
        .collect();
    let stderr: Vec<&String> = told
        .iter()
        .filter(|line| line.contains("_STDERR"))
        .collect();
    assert_eq!(stdout.len(), 2, "{told:#?}");
    assert!(stdout[0].ends_with(" |one"), "{told:#?}");
    assert!(stdout[1].ends_with(" |two|lines"), "{told:#?}");
    assert!(stderr[0].ends_with(" |7890"), "{told:#?}");
    assert_eq!(*stderr[1], of("PROCESS_LOG_STDERR", "channel:stderr|erré|"));
    // Nothing is missing in the logs but what was captured, and what was never ended is there.
    lab.wait_text("talk.out", "beforeafter\nendunended");
    lab.wait_text("talk.err", "erré\n");
    assert_eq!(lab.read("talk.out"), "beforeafter\nendunended");
    lab.shut_down();
}

#[test]
fn time_is_an_event_for_those_who_want_it() {
    ours_only!();
    let mut lab = lab().started(&listener("clock", "ok", "events=TICK_5"));
    let seen = wait_notes(&lab, "clock", 1);
    let when: i64 = seen[0].rsplit_once("when:").unwrap().1.parse().unwrap();
    assert_eq!(
        (seen[0].starts_with("0 clock 0 TICK_5 when:"), when % 5),
        (true, 0)
    );
    // Nobody else is told.
    assert!(!lab.appctl("events").out.contains("TICK"));
    lab.shut_down();
}

/// What a listener written with Supervisor's own library is sent, line for line, without what
/// cannot be the same.
fn transcript(subject: Subject) -> Vec<String> {
    let mut lab = Lab::of(subject);
    lab.write(
        "recorder.py",
        "import re, sys\n\
         from supervisor import childutils\n\
         notes = open(sys.argv[1], 'a')\n\
         while True:\n\
         \x20   headers, payload = childutils.listener.wait(sys.stdin, sys.stdout)\n\
         \x20   order = ('ver', 'server', 'serial', 'pool', 'poolserial', 'eventname', 'len')\n\
         \x20   assert tuple(headers) == order, headers\n\
         \x20   assert int(headers['len']) == len(payload)\n\
         \x20   head = ' '.join(headers[key] for key in ('ver', 'server', 'pool', 'eventname'))\n\
         \x20   notes.write(head + ' ' + re.sub(r'pid:\\d+', 'pid:N', payload).replace('\\n', '|') + '\\n')\n\
         \x20   notes.flush()\n\
         \x20   childutils.listener.ok(sys.stdout)\n",
    );
    lab.configure(&format!(
        "identifier=me\n\
         [eventlistener:recorder]\ncommand={} @D@/recorder.py @D@/notes\nbuffer_size=1000\n\
         events=PROCESS_STATE,PROCESS_GROUP,SUPERVISOR_STATE_CHANGE,REMOTE_COMMUNICATION,\
         PROCESS_COMMUNICATION\n\
         [program:a]\ncommand=sleep 1000\nautostart=false\n\
         [program:fails]\ncommand=sh -c 'exit 3'\nautostart=false\nstartretries=1\nstartsecs=10\n\
         [program:ends]\ncommand=sh -c 'sleep 1.2; exit 5'\nautostart=false\nautorestart=false\n\
         exitcodes=5\n\
         [group:g]\nprograms=x,y\n\
         [program:x]\ncommand=sleep 1000\nautostart=false\n\
         [program:y]\ncommand=sleep 1000\nautostart=false\n",
        python().display()
    ));
    lab.start();
    lab.wait_state("recorder", "RUNNING");
    lab.ctl("start a");
    lab.ctl("stop a");
    lab.ctl("start fails");
    lab.wait_state("fails", "FATAL");
    lab.ctl("start ends");
    lab.wait_state("ends", "EXITED");
    lab.ctl("start g:x");
    lab.ctl("stop g:x");
    lab.ctl("remove ends");
    lab.ctl("add ends");
    let script = "import sys, xmlrpc.client\n\
         from supervisor.xmlrpc import SupervisorTransport\n\
         transport = SupervisorTransport(None, None, 'unix://' + sys.argv[1])\n\
         proxy = xmlrpc.client.ServerProxy('http://localhost', transport=transport)\n\
         assert proxy.supervisor.sendRemoteCommEvent('kind', 'text\\nméé') is True\n";
    lab.write("send.py", script);
    let mut send = std::process::Command::new(python());
    let sent = send
        .arg(lab.path("send.py"))
        .arg(lab.socket())
        .output()
        .unwrap();
    assert!(sent.status.success(), "{sent:?}");
    lab.until("the last event is told", |lab| {
        lab.read("notes").contains(" REMOTE_COMMUNICATION ")
    });
    lab.shut_down();
    let text = lab.read("notes");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_listener_hears_the_same_as_under_supervisor() {
    ours_only!();
    let bin = venv::bin().unwrap_or_else(|why| panic!("no Python environment: {why}"));
    let theirs = transcript(Subject::Supervisor(bin));
    let ours = transcript(Subject::Appctl);
    assert!(theirs.len() > 25, "{theirs:#?}");
    assert_eq!(ours, theirs);
}
