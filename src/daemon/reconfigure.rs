//! Reading the configuration again while programs run: what differs, and following it.
//!
//! A broken file changes nothing: it is read whole and found good before anything is touched.

use async_std::channel::Sender;

use super::brain::Brain;
use super::questions::{Asker, send};
use super::sentences::{self, say};
use crate::config::{self, Diagnostic, Diagnostics, Differences, GroupConfig, RealHost, Severity};
use crate::control::{Answer, AvailView, ConfiguredView, DifferenceKind, Failure};
use crate::fleet::{GroupPolicy, ProcessName, Refusal, Report, Request};

impl Brain {
    /// Reads the configuration file again; on success it becomes the one last read.
    fn read_configuration(&mut self) -> Result<(), Diagnostics> {
        if let Some(reason) = &self.unreadable_past {
            // Following any file would start second copies of what runs.
            let mut refused = Diagnostics::new();
            refused.push(Diagnostic::error(format!(
                "no configuration is followed, for what the last brain left cannot be read \
                 ({reason}): end the programs that run, then restart the daemon"
            )));
            return Err(refused);
        }
        let loaded = config::load(&RealHost, &self.source)?;
        for notice in &loaded.notices {
            if notice.severity != Severity::Info {
                say(sentences::warning(notice));
            }
        }
        self.last_read = loaded.config;
        Ok(())
    }

    /// Groups that differ between what is in force and what was last read.
    fn differences(&self) -> Differences {
        Differences::between(&self.groups, &self.last_read.groups)
    }

    pub(super) fn reread(&mut self, reply: &Sender<Answer>) {
        if self.fleet.is_leaving() {
            return send(
                reply,
                Answer::Failed(Failure::Refused(Refusal::ShuttingDown)),
            );
        }
        if let Err(diagnostics) = self.read_configuration() {
            return refuse_configuration(reply, &diagnostics);
        }
        let differences = self.differences();
        let tell = |kind, groups: &mut dyn Iterator<Item = &String>| {
            for group in groups {
                let group = group.clone();
                send(reply, Answer::Difference { group, kind });
            }
        };
        tell(DifferenceKind::Available, &mut differences.added.keys());
        tell(DifferenceKind::Changed, &mut differences.changed.keys());
        tell(DifferenceKind::Disappeared, &mut differences.removed.iter());
        send(reply, Answer::Done);
    }

    pub(super) fn update(&mut self, only: &[String], reply: Sender<Answer>) {
        if self.fleet.is_leaving() {
            return send(
                &reply,
                Answer::Failed(Failure::Refused(Refusal::ShuttingDown)),
            );
        }
        if let Err(diagnostics) = self.read_configuration() {
            return refuse_configuration(&reply, &diagnostics);
        }
        let mut differences = self.differences();
        if !only.is_empty() && !only.iter().any(|name| name == "all") {
            for name in only {
                let known = self.groups.contains_key(name)
                    || self
                        .last_read
                        .groups
                        .iter()
                        .any(|group| group.name == *name);
                if !known {
                    let result = Err(Refusal::NoSuchGroup);
                    send(
                        &reply,
                        Answer::Report(Report {
                            subject: name.clone(),
                            result,
                        }),
                    );
                }
            }
            differences.keep_only(only);
        }
        self.follow(differences, Some(reply));
    }

    /// Changes what differs from the configuration last read, with nobody asking for it.
    pub(super) fn follow_last_read(&mut self) {
        let differences = self.differences();
        self.follow(differences, None);
    }

    fn follow(&mut self, differences: Differences, asker: Asker) {
        let Differences {
            added,
            changed,
            removed,
        } = differences;
        let request = Request::Update {
            removed,
            changed: changed.values().map(group_policy).collect(),
            added: added.values().map(group_policy).collect(),
        };
        self.incoming.extend(added);
        self.incoming.extend(changed);
        self.structure_changed = true;
        self.ask_fleet(request, asker);
    }

    /// Follows the file in everything that can change at run time: all groups, the level and
    /// rotation of the main log, and what new programs get from `[supervisord]`.
    pub(super) fn reload(&mut self, reply: Sender<Answer>) {
        self.update(&[], reply);
        if !self.fleet.is_leaving() {
            self.follow_supervisord();
        }
    }

    pub(super) fn add(&mut self, names: &[String], reply: Sender<Answer>) {
        let mut groups = Vec::new();
        for name in names {
            let found = self
                .last_read
                .groups
                .iter()
                .find(|group| group.name == *name)
                .cloned();
            match found {
                Some(group) if !self.groups.contains_key(name) => {
                    groups.push(group_policy(&group));
                    self.incoming.insert(name.clone(), group);
                }
                Some(group) => groups.push(group_policy(&group)),
                None => {
                    let result = Err(Refusal::NoSuchGroup);
                    send(
                        &reply,
                        Answer::Report(Report {
                            subject: name.clone(),
                            result,
                        }),
                    );
                }
            }
        }
        self.structure_changed = true;
        self.ask_fleet(Request::Add { groups }, Some(reply));
    }

    pub(super) fn avail(&mut self, reply: &Sender<Answer>) {
        for group in self.last_read.groups.iter().chain(&self.last_read.shadowed) {
            for process in &group.processes {
                let name = ProcessName {
                    group: group.name.clone(),
                    process: process.name.clone(),
                };
                send(
                    reply,
                    Answer::Available(AvailView {
                        name,
                        in_use: self.groups.contains_key(&group.name),
                        autostart: process.policy.autostart,
                        group_priority: group.priority,
                        process_priority: process.policy.priority,
                    }),
                );
            }
        }
        send(reply, Answer::Done);
    }

    /// The configuration last read, process by process.
    pub(super) fn configuration(&self, reply: &Sender<Answer>) {
        for group in self.last_read.groups.iter().chain(&self.last_read.shadowed) {
            let in_use = self.groups.contains_key(&group.name);
            for config in &group.processes {
                let name = ProcessName {
                    group: group.name.clone(),
                    process: config.name.clone(),
                };
                let view = self.fleet.find(&name).and_then(|id| self.view(id));
                let (stdout_logfile, stderr_logfile) = view.map_or_else(Default::default, |view| {
                    (view.stdout_logfile, view.stderr_logfile)
                });
                let view = ConfiguredView {
                    group: name.group,
                    group_priority: group.priority,
                    in_use,
                    config: config.clone(),
                    stdout_logfile,
                    stderr_logfile,
                };
                send(reply, Answer::Configured(Box::new(view)));
            }
        }
        send(reply, Answer::Done);
    }

    /// Stops everything and starts over with the file as it is now, if it is good.
    pub(super) fn start_over(&mut self, asker: Asker) {
        if let Err(diagnostics) = self.read_configuration() {
            say(sentences::trouble(
                "the configuration cannot be followed: everything stays as it is, nothing was \
                 restarted",
            ));
            for diagnostic in diagnostics.iter() {
                say(sentences::trouble(diagnostic));
            }
            if let Some(reply) = asker {
                refuse_configuration(&reply, &diagnostics);
            }
            return;
        }
        self.ask_fleet(Request::StartOver, asker);
    }

    /// Puts every group of the configuration last read into an empty fleet.
    pub(super) fn add_all(&mut self) {
        let groups = self.last_read.groups.clone();
        let request = Request::Add {
            groups: groups.iter().map(group_policy).collect(),
        };
        self.incoming = groups
            .into_iter()
            .map(|group| (group.name.clone(), group))
            .collect();
        self.introducing = true;
        self.ask_fleet(request, None);
    }
}

fn group_policy(group: &GroupConfig) -> GroupPolicy {
    GroupPolicy {
        name: group.name.clone(),
        priority: group.priority,
        processes: group
            .processes
            .iter()
            .map(|process| (process.name.clone(), process.policy.clone()))
            .collect(),
    }
}

fn refuse_configuration(reply: &Sender<Answer>, diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.iter() {
        send(reply, Answer::Diagnostic(diagnostic.to_string()));
    }
    let text = diagnostics.supervisor_error().unwrap_or_default();
    send(reply, Answer::Failed(Failure::CannotReread(text)));
}
