//! XML-RPC over HTTP, from outside: raw requests, Python's own client library, and Supervisor's
//! unmodified `supervisorctl`, on the unix socket and over TCP.

mod lab;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;

use lab::http::free_port;
use lab::{Lab, Said, venv};

const PROGRAMS: &str = "[program:a]\ncommand=/bin/sh -c 'echo hello; exec /bin/sleep 1000'\n\
    stdout_logfile=@D@/a.log\n\
    [program:off]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=@D@/off.log\n\
    [program:gone]\ncommand=@D@/no-such-file\nautostart=false\n\
    [program:w]\ncommand=/bin/sleep 1000\nnumprocs=2\nautostart=false\n\
    process_name=%(program_name)s_%(process_num)d\n";

/// Sends bytes and reads until the server closes; the end of our half is sent as well.
fn exchange(mut stream: impl Read + Write, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    // A server that refuses may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(body: &str, more: &str) -> Vec<u8> {
    format!(
        "POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/xml\r\n\
         Content-Length: {}\r\n{more}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn call(method: &str) -> String {
    format!("<methodCall><methodName>{method}</methodName></methodCall>")
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn one_socket_speaks_both() {
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    let ask = |request: &[u8]| exchange(UnixStream::connect(lab.socket()).unwrap(), request);
    let answer = ask(&post(&call("supervisor.getIdentification"), ""));
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.contains("<value><string>supervisor</string></value>"));
    let table: [(&[u8], &str); 8] = [
        (
            b"GET /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "400",
        ),
        (
            b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "404",
        ),
        (b"POST /RPC2 HTTP/1.0\r\n\r\n", "411"),
        (&post("<methodCall/>", ""), "400"),
        (&post("no xml at all", ""), "400"),
        (
            &post("<!DOCTYPE a [<!ENTITY b 'c'>]><methodCall/>", ""),
            "400",
        ),
        (
            b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
            "413",
        ),
        (b"GET /RPC2 NONSENSE\r\n\r\n", "400"),
    ];
    for (request, code) in table {
        let answer = ask(request);
        let shown = String::from_utf8_lossy(request);
        assert_eq!(status(&answer), code, "{shown}\n{answer}");
    }
    let answer = ask(b"version\nquit\n");
    assert!(answer.contains("\nok"), "the line protocol: {answer}");
    lab.shut_down();
}

#[test]
fn passwords_are_asked_for() {
    ours_only!();
    let mut lab = Lab::new();
    lab.configure(PROGRAMS);
    let text = lab.read("supervisord.conf");
    // printf secret | sha1sum
    let hashed = "{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4";
    let guarded = format!("[unix_http_server]\nusername=user\npassword={hashed}\n");
    let guarded = text.replacen("[unix_http_server]\n", &guarded, 1);
    let login = "[supervisorctl]\nusername=user\npassword=secret\n";
    let known = guarded.replacen("[supervisorctl]\n", login, 1);
    lab.write("supervisord.conf", &known);
    lab.start();
    let ask = |more: &str| {
        let request = post(&call("supervisor.getPID"), more);
        exchange(UnixStream::connect(lab.socket()).unwrap(), &request)
    };
    for (header, code) in [
        ("", "401"),
        // user:wrong
        ("Authorization: Basic dXNlcjp3cm9uZw==\r\n", "401"),
        ("Authorization: Bearer x\r\n", "401"),
        ("Authorization: Basic %%%\r\n", "400"),
        // user:secret
        ("Authorization: Basic dXNlcjpzZWNyZXQ=\r\n", "200"),
    ] {
        let answer = ask(header);
        assert_eq!(status(&answer), code, "{header}{answer}");
        let asks = answer.contains("www-authenticate: Basic realm=\"default\"");
        assert_eq!(asks, code == "401", "{answer}");
    }
    // Supervisor's client has to know it, also where the line protocol would let root in.
    assert_eq!(lab.ctl("status off").code, 3);
    lab.write("supervisord.conf", &guarded);
    lab.expect("status off", 1, "Server requires authentication\n");
    for (login, code) in [("-u user -p wrong", 1), ("-u user -p secret", 3)] {
        assert_eq!(
            lab.ctl(&format!("{login} status off")).code,
            code,
            "{login}"
        );
    }
    let greeting = exchange(UnixStream::connect(lab.socket()).unwrap(), b"hello\nquit\n");
    assert!(greeting.contains(" password=required\nok"), "{greeting}");
    lab.shut_down();
}

#[test]
fn a_port_without_a_password_stays_on_this_machine() {
    ours_only!();
    let port = free_port();
    let mut lab = Lab::new();
    lab.configure(PROGRAMS);
    let text = lab.read("supervisord.conf");
    let section = format!("[inet_http_server]\nport=*:{port}\n");
    lab.write("supervisord.conf", &format!("{section}{text}"));
    lab.start();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let answer = exchange(stream, &post(&call("supervisor.getState"), ""));
    assert!(answer.contains("RUNNING"), "{answer}");
    lab.until("the main log tells it", |lab| {
        lab.main_log().contains("has no password: port")
    });
    // 127.0.0.2 is this machine too, but another address than the one that is served.
    assert!(TcpStream::connect(("127.0.0.2", port)).is_err());
    lab.shut_down();
}

#[test]
fn what_a_program_does_not_read_yet_waits_for_it() {
    // Supervisor answers HTTP 500 as soon as the pipe is full, and writes it all the same.
    ours_only!();
    let slow = "[program:slow]\nstdout_logfile=@D@/slow.log\n\
        command=/bin/sh -c 'while [ ! -e @D@/go ]; do sleep 0.02; done; exec /bin/cat'\n";
    let mut lab = Lab::with(slow);
    lab.wait_state("slow", "RUNNING");
    let send = |text: &str| {
        let body = format!(
            "<methodCall><methodName>supervisor.sendProcessStdin</methodName><params>\
             <param><value>slow</value></param><param><value>{text}</value></param>\
             </params></methodCall>"
        );
        exchange(UnixStream::connect(lab.socket()).unwrap(), &post(&body, ""))
    };
    let lines: Vec<String> = (0..5)
        .map(|number| number.to_string().repeat(50_000) + "\n")
        .collect();
    for line in &lines {
        assert!(send(line).contains("<boolean>1</boolean>"));
    }
    let most = send(&"x".repeat(4_150_000));
    assert!(most.contains("FAILED: "), "{most}");
    lab.write("go", "");
    lab.until("everything is read", |lab| {
        lab.read("slow.log").len() >= 250_005
    });
    assert_eq!(lab.read("slow.log"), lines.concat());
    lab.shut_down();
}

/// Supervisor's own client.
fn their_ctl(lab: &Lab, line: &str) -> Said {
    let mut command = Command::new(venv::bin().unwrap().join("supervisorctl"));
    command.arg("-c").arg(lab.path("supervisord.conf"));
    command.args(line.split_whitespace());
    lab.prepare(&mut command);
    command.output().unwrap().into()
}

#[test]
fn supervisors_client_works_unmodified() {
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    lab.until("a runs", |lab| lab.ctl("status a").out.contains("RUNNING"));
    lab.until("a has spoken", |lab| lab.read("a.log") == "hello\n");
    // Each line changes nothing that the other client would not find changed as well.
    for line in [
        "status off",
        "status nope",
        "status w:*",
        "avail",
        "pid",
        "reread",
        "version",
        "start gone",
        "start nope",
        "start nope:*",
        "stop off",
        "start a",
        "signal HUP off",
        "signal NOPE a",
        "tail a",
        "tail nope",
        "tail -3 a",
        "add a",
        "remove a",
        "clear nope",
    ] {
        assert_eq!(their_ctl(&lab, line), lab.ctl(line), "{line}");
    }
    for (line, said) in [
        ("start w:*", "w:w_0: started\nw:w_1: started\n"),
        ("stop w:w_1", "w:w_1: stopped\n"),
        ("signal CONT a", "a: signalled\n"),
        ("clear a", "a: cleared\n"),
        ("stop all", "a: stopped\nw:w_0: stopped\n"),
        ("start off", "off: started\n"),
        ("shutdown", "Shut down\n"),
    ] {
        let theirs = their_ctl(&lab, line);
        let mut lines: Vec<&str> = theirs.out.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            format!("{}\n", lines.join("\n")),
            said,
            "{line}: {theirs:?}"
        );
    }
    lab.expect_end();
}

const SCRIPT: &str = r#"
import sys, xmlrpc.client
from supervisor.xmlrpc import SupervisorTransport
if sys.argv[1].startswith('http:'):
    server = xmlrpc.client.ServerProxy(sys.argv[1])
else:
    server = xmlrpc.client.ServerProxy('http://x', transport=SupervisorTransport('', '', 'unix://' + sys.argv[1]))
s = server.supervisor
def fault(call, *arguments):
    try:
        return call(*arguments)
    except xmlrpc.client.Fault as f:
        return (f.faultCode, f.faultString)
print(s.getAPIVersion(), s.getSupervisorVersion(), s.getState(), type(s.getPID()).__name__)
print(sorted(s.getProcessInfo('a')))
print([p['group'] + ':' + p['name'] for p in s.getAllProcessInfo()])
print(sorted(s.getAllConfigInfo()[0])[:4])
print(fault(s.getProcessInfo, 'nope'), fault(s.getProcessInfo, 'w:*'))
print(fault(s.startProcess, 'a'), fault(s.startProcess, 'gone')[0], fault(s.stopProcess, 'off'))
print(fault(s.startProcess), fault(s.nope), fault(s.signalProcess, 'a', 'NOPE'))
print(fault(server.system.methodSignature, 'supervisor.startProcess'), fault(server.system.methodHelp, 'x'))
print([r['status'] for r in s.startProcessGroup('w')], s.startProcessGroup('w'), fault(s.startProcessGroup, 'x'))
print(s.stopProcess('w:*') != [], s.sendProcessStdin('a', 'x'), fault(s.sendProcessStdin, 'off', 'x'))
print(s.readProcessStdoutLog('a', 0, 3), s.tailProcessStdoutLog('a', 0, 100), s.tailProcessStdoutLog('off', 7, 5))
print(fault(s.readProcessStdoutLog, 'a', -1, 3), fault(s.readProcessStdoutLog, 'off', 0, 0)[0])
print(s.reloadConfig(), fault(s.addProcessGroup, 'a'), fault(s.removeProcessGroup, 'a'), fault(s.addProcessGroup, 'x'))
print(server.system.multicall([{'methodName': 'supervisor.getIdentification'}, {'methodName': 'system.multicall', 'params': [[]]}, {}]))
print(s.clearProcessLogs('a'), [r['description'] for r in s.clearAllProcessLogs()][:1], len(server.system.listMethods()))
print(s.shutdown())
"#;

const ANSWERS: &str = r#"3.0 4.3.0 {'statecode': 1, 'statename': 'RUNNING'} int
['description', 'exitstatus', 'group', 'logfile', 'name', 'now', 'pid', 'spawnerr', 'start', 'state', 'statename', 'stderr_logfile', 'stdout_logfile', 'stop']
['a:a', 'gone:gone', 'off:off', 'w:w_0', 'w:w_1']
['autostart', 'command', 'directory', 'exitcodes']
(10, 'BAD_NAME: nope') (10, 'BAD_NAME: w:*')
(60, 'ALREADY_STARTED: a') 20 (70, 'NOT_RUNNING: off')
(2, 'INCORRECT_PARAMETERS') (1, 'UNKNOWN_METHOD') (11, 'BAD_SIGNAL: NOPE')
['boolean', 'string', 'boolean'] (4, 'SIGNATURE_UNSUPPORTED')
[80, 80] [] (10, 'BAD_NAME: x')
True True (70, 'NOT_RUNNING: off')
hel ['hello\n', 6, False] ['', 0, False]
(3, 'BAD_ARGUMENTS') 20
[[[], [], []]] (90, 'ALREADY_ADDED: a') (91, 'STILL_RUNNING: a') (10, 'BAD_NAME: x')
['supervisor', {'faultCode': 2, 'faultString': 'INCORRECT_PARAMETERS: Recursive system.multicall forbidden'}, {'faultCode': 2, 'faultString': 'INCORRECT_PARAMETERS: No methodName'}]
True ['OK'] 41
True
"#;

/// Asks everything of [`SCRIPT`], with Python's own library at this address or over this socket.
fn ask_everything(lab: &mut Lab, address: &str) {
    lab.until("a has spoken", |lab| lab.read("a.log") == "hello\n");
    lab.until("a runs", |lab| lab.ctl("status a").out.contains("RUNNING"));
    let script = lab.write("ask.py", SCRIPT);
    let mut python = Command::new(venv::bin().unwrap().join("python"));
    python.arg(script).arg(address);
    lab.prepare(&mut python);
    let said: Said = python.output().unwrap().into();
    let pairs: Vec<(&str, &str)> = said.out.lines().zip(ANSWERS.lines()).collect();
    for (ours, expected) in pairs {
        assert_eq!(ours, expected, "{}", said.err);
    }
    assert_eq!(said.code, 0, "{}", said.err);
    lab.expect_end();
}

#[test]
fn the_methods_answer_as_supervisors_do() {
    let mut lab = Lab::with(PROGRAMS);
    let socket = lab.socket().display().to_string();
    ask_everything(&mut lab, &socket);
}

#[test]
fn they_do_so_over_tcp_with_a_password() {
    let port = free_port();
    let mut lab = Lab::new();
    lab.configure(PROGRAMS);
    let text = lab.read("supervisord.conf");
    let section =
        format!("[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p%%w:x\n");
    lab.write("supervisord.conf", &format!("{section}{text}"));
    lab.start();
    ask_everything(
        &mut lab,
        &format!("http://u:p%25w%3Ax@127.0.0.1:{port}/RPC2"),
    );
}
