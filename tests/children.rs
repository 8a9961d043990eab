//! A program gets exactly what was asked for it, and nothing of the daemon's: descriptors, signals,
//! group and session, limits, mask, environment. The table holds for Supervisor as well.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::collections::BTreeMap;

use lab::{Lab, Subject, procfs};

/// Prints what the kernel knows of the shell that runs it: `name: value` lines.
const TELL: &str = "exec > @D@/facts.part; echo directory: $(pwd); cd /proc/$$; \
     for n in 0 1 2; do echo kind $n: $(readlink fd/$n | sed 's/:.*//'); done; \
     echo umask: $(umask); echo oom: $(cat oom_score_adj); \
     echo files: $(sed -n 's/^Max open files *\\([^ ]*\\) .*/\\1/p' limits); \
     echo ids: $(cut -d' ' -f1,5,6 stat); \
     tr '\\0' '\\n' < environ | sed 's/^/variable /; s/=/: /'; \
     mv @D@/facts.part @D@/facts; exec sleep 1000";

fn facts(lab: &Lab) -> BTreeMap<String, String> {
    lab.wait_file("facts");
    let text = lab.read("facts");
    let facts = text.lines().filter_map(|line| line.split_once(": "));
    facts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn a_program_gets_what_was_asked_for_it_and_nothing_else() {
    // Without this: programs hold the daemon's sockets open, ignore SIGPIPE or SIGINT without
    // having asked for it, or are the first to be killed when memory is short.
    let mut lab = Lab::new();
    lab.write("tell.sh", TELL);
    lab.configure(
        "environment=OF_ALL=\"all\",BOTH=\"all\"\nminfds=1000\n\
         [program:told]\ncommand=/bin/sh -c '. @D@/tell.sh'\numask=027\ndirectory=/\n\
         environment=OWN=\"it's\",BOTH=\"own\"\n\
         [program:open]\ncommand=/bin/ls /proc/self/fd\nstartsecs=0\nautorestart=false\n\
         stdout_logfile=@D@/open\n\
         [program:status]\ncommand=/bin/cat /proc/self/status\nstartsecs=0\nautorestart=false\n\
         stdout_logfile=@D@/status\n",
    );
    let outside = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    lab.start();
    let facts = facts(&lab);
    let told = |name: &str| facts.get(name).map(String::as_str).unwrap_or("(absent)");

    let expected = [
        ("directory", "/"),
        ("kind 0", "pipe"),
        ("kind 2", "pipe"),
        ("umask", "0027"),
        ("oom", outside.trim()),
        ("variable OWN", "it's"),
        ("variable BOTH", "own"),
        ("variable OF_ALL", "all"),
        ("variable SUPERVISOR_ENABLED", "1"),
        ("variable SUPERVISOR_PROCESS_NAME", "told"),
        ("variable SUPERVISOR_GROUP_NAME", "told"),
        ("variable APPCTL_ROLE", "(absent)"),
        ("variable APPCTL_READY", "(absent)"),
    ];
    for (name, value) in expected {
        assert_eq!(told(name), value, "{name}: {facts:#?}");
    }
    // Number 3 is the directory that it lists.
    assert_eq!(lab.wait_text("open", "3"), "0\n1\n2\n3\n");
    let url = told("variable SUPERVISOR_SERVER_URL");
    assert!(
        url.starts_with("unix://") && url.ends_with("/sock"),
        "{url}"
    );
    // Of a program that is no shell, for shells block signals while they start something.
    let status = lab.wait_text("status", "SigCgt:");
    let signals = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    // Python ignores SIGPIPE (13) and SIGXFSZ (25), and Supervisor hands that on, with whatever its
    // starter had ignored; we do not.
    if Subject::chosen() == Subject::Appctl {
        assert_eq!((signals("SigIgn"), signals("SigBlk")), (0, 0));
    }
    assert_eq!(signals("SigBlk"), 0);
    let files: u64 = told("files").parse().unwrap();
    assert!(files >= 1000, "{files}");
    let pid = lab.wait_some("a pid", |lab| {
        lab.status("told")
            .map(|line| line.pid())
            .filter(|pid| *pid > 0)
    });
    let session = procfs::session_id(lab.daemon_pid()).unwrap();
    assert_eq!(told("ids"), format!("{pid} {pid} {session}"));
}
