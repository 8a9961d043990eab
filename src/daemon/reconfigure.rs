//! Reading the configuration again while programs run: what differs, and following it.
//!
//! A broken file changes nothing: it is read whole and found good before anything is touched.

use std::collections::BTreeMap;

use async_std::channel::Sender;

use super::answers::{Asker, send};
use super::brain::Brain;
use super::plan::{OptionDifference, Plan, group_policy};
use super::sentences::{self, say};
use super::settings::Settings;
use crate::config::{
    self, Config, Diagnostic, Diagnostics, Differences, GroupConfig, Loaded, RealHost, Severity,
    Source, SupervisordConfig,
};
use crate::control::{
    Answer, AvailView, ConfiguredView, DifferenceKind, Failure, Following, OptionView,
};
use crate::fleet::{ProcessName, Refusal, Report, Request};
use crate::ordered;

/// The configuration: where it is read from, as it was read, and what of it is in force.
#[derive(Debug)]
pub struct Configuration {
    pub(super) source: Source,
    /// The machine, as seen from where the daemon was started.
    pub(super) host: RealHost,
    /// As last read; clients add groups from it.
    pub(super) last_read: Config,
    /// `[supervisord]` as in force.
    pub(super) supervisord: SupervisordConfig,
    /// Groups in force.
    pub(super) groups: BTreeMap<String, GroupConfig>,
    /// Groups on their way into the fleet.
    pub(super) incoming: BTreeMap<String, GroupConfig>,
}

impl Configuration {
    /// Nothing was read, and nothing is in force but this.
    pub fn new(settings: &Settings, supervisord: SupervisordConfig) -> Configuration {
        Configuration {
            source: settings.source(),
            host: RealHost::seen_from(settings.started_in.clone()),
            last_read: settings.empty_config(),
            supervisord,
            groups: BTreeMap::new(),
            incoming: BTreeMap::new(),
        }
    }

    /// All groups last read, also those that are never used.
    fn groups_read(&self) -> impl Iterator<Item = &GroupConfig> {
        self.last_read.groups.iter().chain(&self.last_read.shadowed)
    }

    /// What the file says now. Nothing follows from that.
    pub fn read(&self) -> Result<Loaded, Diagnostics> {
        config::load(&self.host, &self.source)
    }
}

impl Brain {
    /// Reads the configuration file.
    fn look_at_configuration(&self) -> Result<Loaded, Diagnostics> {
        if let Some(reason) = &self.unreadable_past {
            // Following any file would start second copies of what runs.
            let mut refused = Diagnostics::new();
            refused.push(Diagnostic::error(format!(
                "no configuration is followed, for what the last brain left cannot be read \
                 ({reason}): end the programs that run, then restart the daemon"
            )));
            return Err(refused);
        }
        self.configuration.read()
    }

    /// Reads the configuration file again; on success it becomes the one last read.
    fn read_configuration(&mut self) -> Result<Loaded, Diagnostics> {
        let loaded = self.look_at_configuration()?;
        for notice in &loaded.notices {
            if notice.severity != Severity::Info {
                say(sentences::warning(notice));
            }
        }
        self.configuration.last_read = loaded.config.clone();
        Ok(loaded)
    }

    /// Groups that differ between what is in force and what was last read.
    fn differences(&self) -> Differences {
        Differences::between(
            &self.configuration.groups,
            &self.configuration.last_read.groups,
        )
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
        // Clients follow the groups of each kind in this order.
        let gone = self.order_of_admission(differences.removed);
        let kinds = [
            (DifferenceKind::Disappeared, gone),
            (DifferenceKind::Changed, starting_order(differences.changed)),
            (DifferenceKind::Available, starting_order(differences.added)),
        ];
        for (kind, groups) in kinds {
            for group in groups {
                send(reply, Answer::Difference { group, kind });
            }
        }
        send(reply, Answer::Done);
    }

    /// Sorted by when they came into the fleet; those without processes first.
    fn order_of_admission(&self, mut groups: Vec<String>) -> Vec<String> {
        let admitted = self.fleet.groups();
        let admitted =
            ordered::map(admitted.map(|(name, group)| (name, group.processes.iter().min())));
        ordered::sort_by_key(&mut groups, |name| {
            admitted.get(name.as_str()).copied().flatten()
        });
        groups
    }

    /// Tells what an update would do, and does nothing.
    pub(super) fn plan(&mut self, following: &Following, reply: &Sender<Answer>) {
        match self.look_at_configuration() {
            Err(diagnostics) => refuse_configuration(reply, &diagnostics),
            Ok(loaded) => {
                let differences = self.differences_to(&loaded.config, &following.groups, reply);
                let plan = Plan::of(
                    &self.configuration.groups,
                    &differences,
                    following.whole_groups,
                );
                self.tell_plan(&plan, &loaded, reply);
                send(reply, Answer::Done);
            }
        }
    }

    pub(super) fn update(&mut self, following: &Following, reply: Sender<Answer>) {
        if self.fleet.is_leaving() {
            return send(
                &reply,
                Answer::Failed(Failure::Refused(Refusal::ShuttingDown)),
            );
        }
        let loaded = match self.read_configuration() {
            Ok(loaded) => loaded,
            Err(diagnostics) => return refuse_configuration(&reply, &diagnostics),
        };
        let differences = self.differences_to(&loaded.config, &following.groups, &reply);
        let plan = Plan::of(
            &self.configuration.groups,
            &differences,
            following.whole_groups,
        );
        if !following.whole_groups {
            self.tell_plan(&plan, &loaded, &reply);
        }
        self.carry_out(plan, differences, Some(reply));
    }

    /// What differs in these groups, or in all; groups that nobody knows are refused.
    fn differences_to(
        &self,
        read: &Config,
        only: &[String],
        reply: &Sender<Answer>,
    ) -> Differences {
        let mut differences = Differences::between(&self.configuration.groups, &read.groups);
        if !only.is_empty() {
            for name in only {
                let known = self.configuration.groups.contains_key(name)
                    || read.groups.iter().any(|group| group.name == *name);
                if !known {
                    let (subject, result) = (name.clone(), Err(Refusal::NoSuchGroup));
                    send(reply, Answer::Report(Report { subject, result }));
                }
            }
            differences.keep_only(only);
        }
        differences
    }

    /// Changes what differs from the configuration last read, with nobody asking for it.
    pub(super) fn follow_last_read(&mut self) {
        let differences = self.differences();
        let plan = Plan::of(&self.configuration.groups, &differences, false);
        self.carry_out(plan, differences, None);
    }

    fn carry_out(&mut self, plan: Plan, differences: Differences, asker: Asker) {
        self.configuration.incoming.extend(differences.added);
        self.configuration.incoming.extend(differences.changed);
        self.records.structure_changed = true;
        self.ask_fleet(Request::Update(plan.changes), asker);
    }

    fn tell_plan(&self, plan: &Plan, loaded: &Loaded, reply: &Sender<Answer>) {
        for (subject, deed, differing) in plan.told(&self.fleet) {
            let named = subject.clone();
            send(
                reply,
                Answer::Planned {
                    subject: named,
                    deed,
                },
            );
            for OptionDifference { program, change } in differing {
                let shown = |value: &str| match change.is_secret() && !value.is_empty() {
                    true => "\"…\"".to_owned(),
                    false => value.to_owned(),
                };
                let view = OptionView {
                    subject: subject.clone(),
                    old: shown(&change.old),
                    new: shown(&change.new),
                    place: loaded.place(program, &change.option).unwrap_or_default(),
                    option: change.option.clone(),
                };
                send(reply, Answer::Different(view));
            }
        }
    }

    /// Follows the file in everything that can change at run time: all groups, the level and
    /// rotation of the main log, and what new programs get from `[supervisord]`.
    pub(super) fn reload(&mut self, reply: Sender<Answer>) {
        self.update(&Following::default(), reply);
        if !self.fleet.is_leaving() {
            self.follow_supervisord();
        }
    }

    pub(super) fn add(&mut self, names: &[String], reply: Sender<Answer>) {
        let mut groups = Vec::new();
        for name in names {
            let found = self
                .configuration
                .last_read
                .groups
                .iter()
                .find(|group| group.name == *name)
                .cloned();
            match found {
                Some(group) if !self.configuration.groups.contains_key(name) => {
                    groups.push(group_policy(&group));
                    self.configuration.incoming.insert(name.clone(), group);
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
        self.records.structure_changed = true;
        self.ask_fleet(Request::Add { groups }, Some(reply));
    }

    pub(super) fn avail(&mut self, reply: &Sender<Answer>) {
        for group in self.configuration.groups_read() {
            for process in &group.processes {
                let name = ProcessName {
                    group: group.name.clone(),
                    process: process.name.clone(),
                };
                send(
                    reply,
                    Answer::Available(AvailView {
                        autostart: process.policy.autostart && self.history.is_enabled(&name),
                        name,
                        in_use: self.configuration.groups.contains_key(&group.name),
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
        for group in self.configuration.groups_read() {
            let in_use = self.configuration.groups.contains_key(&group.name);
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
        let groups = self.configuration.last_read.groups.clone();
        let request = Request::Add {
            groups: groups.iter().map(group_policy).collect(),
        };
        let by_name = groups.into_iter().map(|group| (group.name.clone(), group));
        self.configuration.incoming = ordered::map(by_name);
        self.introducing = true;
        self.ask_fleet(request, None);
    }
}

fn starting_order(groups: BTreeMap<String, GroupConfig>) -> Vec<String> {
    let mut groups: Vec<_> = groups.into_iter().collect();
    ordered::sort_by_key(&mut groups, |(_, group)| group.priority);
    groups.into_iter().map(|(name, _)| name).collect()
}

fn refuse_configuration(reply: &Sender<Answer>, diagnostics: &Diagnostics) {
    for diagnostic in diagnostics.iter() {
        send(reply, Answer::Diagnostic(diagnostic.to_string()));
    }
    let text = diagnostics.supervisor_error().unwrap_or_default();
    send(reply, Answer::Failed(Failure::CannotReread(text)));
}
