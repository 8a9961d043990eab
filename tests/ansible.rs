//! Ansible manages programs through our `supervisorctl`: every state of its module
//! `community.general.supervisorctl`, each asked for twice, for the second time must change nothing.

mod lab;

use std::os::unix::fs::symlink;
use std::process::Command;

use lab::{APPCTL, Lab, Said, venv};

const PROGRAMS: &str = "[program:a]\ncommand=/bin/sleep 1000\nstartsecs=0\n\
    [program:spare]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n\
    [group:g]\nprograms=x,y\n\
    [program:x]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n\
    [program:y]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n";

const NEW: &str = "[program:new]\ncommand=/bin/sleep 1000\nstartsecs=0\nautostart=false\n";

/// Name, state and further arguments; whether it changes something, and whether it does again.
const TASKS: &[(&str, &str, &str, [bool; 2])] = &[
    ("new", "present", "", [true, false]),
    ("new", "started", "", [true, false]),
    ("new", "absent", "stop_before_removing: true", [true, false]),
    ("spare", "started", "", [true, false]),
    ("a", "started", "", [false, false]),
    ("a", "stopped", "", [true, false]),
    ("a", "signalled", "signal: CONT", [false, false]),
    // It follows the configuration first, and so brings the removed one back.
    ("a", "restarted", "", [true, true]),
    ("a", "signalled", "signal: CONT", [true, true]),
    ("'g:'", "started", "", [true, false]),
    ("'g:x'", "stopped", "", [true, false]),
];

/// A playbook with every task twice.
fn playbook(lab: &Lab) -> String {
    let mut text = "- hosts: localhost\n  connection: local\n  gather_facts: false\n  vars:\n    \
         ansible_python_interpreter: '{{ ansible_playbook_python }}'\n  tasks:\n"
        .to_owned();
    for (name, state, more, changes) in TASKS {
        for changed in changes {
            text.push_str(&format!(
                "  - name: {state} {name} changes {changed}\n    \
                 community.general.supervisorctl:\n      name: {name}\n      state: {state}\n      \
                 config: {0}/supervisord.conf\n      supervisorctl_path: {0}/supervisorctl\n      \
                 {more}\n    register: result\n    \
                 failed_when: result.failed or result.changed != {changed}\n",
                lab.directory(),
            ));
        }
    }
    text
}

#[test]
fn ansible_manages_programs() {
    ours_only!();
    let ansible = match venv::ansible() {
        Ok(ansible) => ansible,
        Err(reason) if std::env::var_os("APPCTL_TEST_EVERYTHING").is_none() => {
            eprintln!("left out: Ansible could not be installed: {reason}");
            return;
        }
        Err(reason) => panic!("Ansible could not be installed: {reason}"),
    };
    let mut lab = Lab::with(PROGRAMS);
    symlink(APPCTL, lab.path("supervisorctl")).unwrap();
    lab.configure(&format!("{PROGRAMS}{NEW}"));
    let playbook = lab.write("playbook.yml", &playbook(&lab));
    let mut command = Command::new(ansible.join("bin/ansible-playbook"));
    lab.prepare(&mut command);
    command
        .args(["-i", "localhost,"])
        .arg(playbook)
        .env("ANSIBLE_COLLECTIONS_PATH", ansible.join("collections"))
        .env("ANSIBLE_LOCAL_TEMP", lab.path("ansible"))
        .env("ANSIBLE_REMOTE_TMP", lab.path("ansible"))
        .env("ANSIBLE_HOME", lab.path("ansible"));
    let said: Said = command.output().unwrap().into();
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(
        said.out.contains(&format!("ok={} ", 2 * TASKS.len())),
        "{}",
        said.out
    );
    assert_eq!(lab.state("spare"), "RUNNING");
    assert_eq!(lab.state("g:x"), "STOPPED");
    assert_eq!(lab.state("g:y"), "RUNNING");
    assert_eq!(lab.state("new"), "STOPPED");
    lab.shut_down();
}
