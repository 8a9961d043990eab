//! The commands of `supervisorctl` that change something.

use super::dialogue::{Refused, Report, request};
use super::input::Input;
use super::output;
use super::render;
use super::supervisorctl::{Outcome, Supervisorctl, named};
use super::words::{self, Deed};
use crate::control::answer::difference;
use crate::control::codes::Code;
use crate::control::{AvailView, DifferenceKind};

impl Supervisorctl {
    /// `start`, `stop` and `clear`: one request for each word, unless it is `all`.
    pub(super) fn deed(&mut self, deed: Deed, names: &[&str]) -> Outcome {
        self.reach(deed.verb())?;
        if names.is_empty() {
            self.say(deed.nothing_named());
            return Ok(());
        }
        self.deed_on_each(deed, &[deed.verb()], names)
    }

    fn deed_on_each(&mut self, deed: Deed, verb: &[&str], names: &[&str]) -> Outcome {
        if names.contains(&"all") {
            return self.deed_on(deed, verb, "all");
        }
        for name in names {
            self.deed_on(deed, verb, name)?;
        }
        Ok(())
    }

    fn deed_on(&mut self, deed: Deed, verb: &[&str], name: &str) -> Outcome {
        let words = request(verb, &[name]);
        let refused = self.reports(deed.verb(), &words, |report| {
            Some(match &report.result {
                Ok(_) => words::done(deed, &report.subject),
                Err(refused) => words::refused(deed, &report.subject, refused),
            })
        })?;
        match refused {
            None => Ok(()),
            Some(refused) if refused.code == Code::BadSignal => self.bad_signal(name),
            Some(refused) => {
                self.say(words::refused(deed, name, &refused));
                Ok(())
            }
        }
    }

    /// Stops everything named, then starts everything named.
    pub(super) fn restart(&mut self, names: &[&str]) -> Outcome {
        self.reach("restart")?;
        if names.is_empty() {
            self.say(words::restart_nothing_named());
            return Ok(());
        }
        self.deed_on_each(Deed::Stop, &["stop"], names)?;
        self.deed_on_each(Deed::Start, &["start"], names)
    }

    pub(super) fn signal(&mut self, names: &[&str]) -> Outcome {
        self.reach("signal")?;
        let [signal, names @ ..] = names else {
            self.say(Deed::Signal.nothing_named());
            return Ok(());
        };
        if names.is_empty() {
            self.say(Deed::Signal.nothing_named());
            return Ok(());
        }
        self.deed_on_each(Deed::Signal, &["signal", signal], names)
    }

    /// Supervisor looks for the process before it looks at the signal, and reports a bad signal
    /// once for every process that it would have gone to.
    fn bad_signal(&mut self, name: &str) -> Outcome {
        let all = self.processes("signal")?;
        let several = name == "all" || words::names_group(name);
        let found = match name {
            "all" => all.iter().collect(),
            _ => named(&all, name),
        };
        if found.is_empty() && name != "all" {
            let code = if several {
                Code::NoSuchGroup
            } else {
                Code::NoSuchProcess
            };
            let unknown = Refused::new(code.name(), code.meaning());
            self.say(words::refused(Deed::Signal, name, &unknown));
        }
        let bad = Refused::new(Code::BadSignal.name(), Code::BadSignal.meaning());
        for view in found {
            if !several || view.state.is_signallable() {
                let subject = view.name.to_string();
                self.say(words::refused(Deed::Signal, &subject, &bad));
            }
        }
        Ok(())
    }

    pub(super) fn avail(&mut self) -> Outcome {
        match self.rows("avail", &["avail"])? {
            Ok(rows) => {
                let mut views: Vec<AvailView> =
                    rows.iter().filter_map(|row| row.try_into().ok()).collect();
                views.sort_by(|a, b| a.name.process.cmp(&b.name.process));
                for view in &views {
                    output::line(&render::avail_line(view));
                }
            }
            Err(refused) => self.say(words::reread_refused("avail", &refused)),
        }
        Ok(())
    }

    pub(super) fn reread(&mut self) -> Outcome {
        match self.rows("reread", &["reread"])? {
            Ok(rows) => {
                let mut differences: Vec<(String, DifferenceKind)> =
                    rows.iter().filter_map(|row| difference(row).ok()).collect();
                differences.sort_by(|a, b| a.0.cmp(&b.0));
                for (group, kind) in &differences {
                    output::line(&words::difference(group, *kind));
                }
                if differences.is_empty() {
                    output::line(words::NO_UPDATES);
                }
            }
            Err(refused) => self.say(words::reread_refused("reread", &refused)),
        }
        Ok(())
    }

    pub(super) fn update(&mut self, names: &[&str]) -> Outcome {
        let names = if names.contains(&"all") {
            &[][..]
        } else {
            names
        };
        self.groups("update", names)
    }

    /// `add` and `remove`: one request for each word.
    pub(super) fn each_group(&mut self, command: &str, names: &[&str]) -> Outcome {
        for name in names {
            self.groups(command, &[name])?;
        }
        Ok(())
    }

    fn groups(&mut self, command: &str, names: &[&str]) -> Outcome {
        let words = match command {
            // Supervisor knows no smaller thing to replace than a group.
            "update" => request(&[command, "--whole-groups"], names),
            _ => request(&[command], names),
        };
        let said = |Report { subject, result }: &Report| match result {
            Ok(word) if word == "stopped" => None,
            Ok(word) => Some(words::group_done(command, subject, word)),
            Err(refused) => Some(words::group_refused(command, subject, refused)),
        };
        if let Some(refused) = self.reports(command, &words, said)? {
            self.say(match (command, names) {
                ("add" | "remove", [name]) => words::group_refused(command, name, &refused),
                _ => words::reread_refused(command, &refused),
            });
        }
        Ok(())
    }

    pub(super) fn reload(&mut self, input: &mut Input) -> Outcome {
        if !self.sure(words::REALLY_RELOAD, input) {
            return Ok(());
        }
        let outcome = self.ask("reload", &["reload", "--all"])?;
        self.say(words::reloaded(outcome));
        Ok(())
    }

    pub(super) fn shutdown(&mut self, input: &mut Input) -> Outcome {
        if !self.sure(words::REALLY_SHUT_DOWN, input) {
            return Ok(());
        }
        let outcome = self.ask("shutdown", &["shutdown"])?;
        self.say(words::shut_down(outcome));
        Ok(())
    }
}
