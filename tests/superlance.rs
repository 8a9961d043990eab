//! Superlance, unmodified, from PyPI: the listeners that people run under Supervisor.

mod lab;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use lab::http::free_port;
use lab::{Lab, PATIENCE, venv};

/// Takes mails as a server of SMTP does, and gives their texts.
fn mail_server() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (taken, mails) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(mail) = take_mail(stream)
                && taken.send(mail).is_err()
            {
                return;
            }
        }
    });
    (port, mails)
}

fn take_mail(stream: TcpStream) -> Option<String> {
    let mut say = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    say.write_all(b"220 x\r\n").ok()?;
    let (mut mail, mut within) = (String::new(), false);
    while let Some(Ok(line)) = lines.next() {
        let answer: &[u8] = match line.as_str() {
            "." if within => {
                within = false;
                b"250 ok\r\n"
            }
            _ if within => {
                mail += &line;
                mail.push('\n');
                continue;
            }
            line if line.eq_ignore_ascii_case("data") => {
                within = true;
                b"354 go on\r\n"
            }
            line if line.eq_ignore_ascii_case("quit") => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        say.write_all(answer).ok()?;
    }
    Some(mail)
}

/// The mails that `sendmail` was given.
fn mails(lab: &Lab) -> Vec<String> {
    let files = fs::read_dir(lab.path("mails")).unwrap().flatten();
    let text = |file: fs::DirEntry| fs::read_to_string(file.path()).unwrap_or_default();
    files.map(text).collect()
}

fn wait_mail(lab: &Lab, words: &[&str]) {
    lab.until(&format!("a mail with {words:?}"), |lab| {
        let has_all = |mail: &String| words.iter().all(|word| mail.contains(word));
        mails(lab).iter().any(has_all)
    });
}

#[test]
fn memmon_httpok_and_the_mailers_do_their_work() {
    ours_only!();
    let bin = venv::bin().unwrap_or_else(|why| panic!("no Python environment: {why}"));
    let bin = bin.display();
    let (smtp, received) = mail_server();
    let closed = free_port();

    let lab = Lab::new();
    fs::create_dir(lab.path("mails")).unwrap();
    lab.script("sendmail", "cat > @D@/mails/$$");
    let batch = format!("-t to@x.example -f from@x.example -H 127.0.0.1:{smtp} -e TICK_5 -i 0.05");
    let mut lab = lab.started(&format!(
        "[program:fat]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:site]\ncommand=sleep 1000\nstartsecs=0\n\
         [program:crash]\ncommand=sh -c 'exit 3'\nautostart=false\nautorestart=false\nstartsecs=0\n\
         [program:fatal]\ncommand=sh -c 'exit 1'\nautostart=false\nstartretries=0\n\
         [eventlistener:memmon]\nevents=TICK_5\nautostart=false\n\
         command={bin}/memmon -p fat=1KB -s @D@/sendmail -m to@x.example\n\
         [eventlistener:httpok]\nevents=TICK_5\nautostart=false\n\
         command={bin}/httpok -p site -t 1 -s @D@/sendmail -m to@x.example http://127.0.0.1:{closed}/\n\
         [eventlistener:crashmail]\nevents=PROCESS_STATE_EXITED\n\
         command={bin}/crashmail -a -s @D@/sendmail -m to@x.example\n\
         [eventlistener:crashmailbatch]\nevents=PROCESS_STATE,TICK_5\n\
         command={bin}/crashmailbatch {batch}\n\
         [eventlistener:fatalmailbatch]\nevents=PROCESS_STATE,TICK_5\n\
         command={bin}/fatalmailbatch {batch}\n",
    ));
    // Not before we know the pids of those they restart.
    lab.wait_state("fat", "RUNNING");
    lab.wait_state("site", "RUNNING");
    let (fat, site) = (lab.pid("fat"), lab.pid("site"));
    assert_eq!(lab.ctl("start memmon httpok").code, 0);
    lab.ctl("start crash");
    lab.ctl("start fatal");

    wait_mail(
        &lab,
        &[
            "To: to@x.example",
            "crash in group crash exited unexpectedly",
        ],
    );
    wait_mail(&lab, &["memmon", "fat"]);
    lab.wait_new_pid("fat", fat);
    wait_mail(&lab, &["httpok", "site"]);
    lab.wait_new_pid("site", site);

    let (mut crashes, mut fatals) = (false, false);
    while !crashes || !fatals {
        let mail = received.recv_timeout(PATIENCE).expect("a mail by SMTP");
        crashes |= mail.contains("Process crash:crash (pid ");
        fatals |= mail.contains("fatal") && mail.contains("failed to start too many times");
    }
    for name in [
        "memmon",
        "httpok",
        "crashmail",
        "crashmailbatch",
        "fatalmailbatch",
    ] {
        assert_eq!(lab.state(name), "RUNNING", "{name}");
    }
    assert!(!lab.main_log().contains("UNKNOWN"), "{}", lab.main_log());
    lab.shut_down();
}
