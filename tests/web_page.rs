//! The web page in a real browser: tests/web_page/browse.py clicks, reads and is attacked.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::path::Path;
use std::process::Command;

use lab::http::{free_port, get};
use lab::{Lab, Said, tools, venv};

const PROGRAMS: &str = "identifier=page-test\n\
    [program:a]\ncommand=/bin/cat\nstdout_logfile=@D@/a.log\n\
    [program:broken]\ncommand=@D@/no-such-command\nstartretries=0\n\
    [program:mute]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=NONE\n\
    [program:w]\ncommand=/bin/sleep 1000\nnumprocs=2\n\
    process_name=%(program_name)s_%(process_num)d\n";

#[test]
fn a_person_can_use_it_and_a_foreign_page_cannot() {
    ours_only!();
    let what = "the web page in a browser";
    if !(tools::has("chromium", what) && tools::has("chromedriver", what)) {
        return;
    }
    let (guarded, open) = (free_port(), free_port());
    let mut lab = Lab::new();
    lab.configure(PROGRAMS);
    let text = lab.read("supervisord.conf");
    let servers = format!(
        "[inet_http_server:guarded]\nport=127.0.0.1:{guarded}\nusername=u\npassword=p\n\
         [inet_http_server:open]\nport=127.0.0.1:{open}\n"
    );
    lab.write("supervisord.conf", &format!("{servers}{text}"));
    lab.start();
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web-page");
    std::fs::create_dir_all(&pictures).unwrap();
    let mut python = Command::new(venv::bin().unwrap().join("python"));
    lab.prepare(&mut python);
    // Selenium has no errand on the network: the browser's driver is here.
    python
        .env("SE_OFFLINE", "true")
        .env("HOME", lab.directory());
    python
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/web_page/browse.py"))
        .arg(format!("http://u:p@127.0.0.1:{guarded}/"))
        .arg(&pictures)
        .arg(format!("http://127.0.0.1:{open}"));
    let said: Said = python.output().unwrap().into();
    assert_eq!(said.code, 0, "{}{}\n{}", said.out, said.err, lab.main_log());
    lab.shut_down();
}

#[test]
fn the_page_is_small_and_loads_nothing_from_elsewhere() {
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    let mut size = 0;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/appctl.css", "text/css; charset=utf-8"),
        ("/appctl.js", "text/javascript; charset=utf-8"),
        ("/appctl.svg", "image/svg+xml"),
    ] {
        let reply = get(&lab, path);
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some(kind), "{path}");
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        let text = reply.text().replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("http://") && !text.contains("https://"),
            "{path}"
        );
        size += reply.body.len();
    }
    assert!(size < 100_000, "{size} bytes");
    lab.shut_down();
}
