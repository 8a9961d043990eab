//! The commands of `supervisorctl` that change something.

use std::collections::BTreeSet;

use super::input::Input;
use super::output;
use super::render;
use super::server::{Order, Target};
use super::supervisorctl::{Outcome, Stop, Supervisorctl};
use super::words::{self, Deed};
use crate::control::DifferenceKind;
use crate::control::codes::Code;
use crate::ordered;

impl Supervisorctl {
    /// `start`, `stop` and `clear`: one request for each word, unless it is `all`.
    pub(super) fn deed(&mut self, deed: Deed, names: &[&str]) -> Outcome {
        self.check(deed.verb())?;
        if names.is_empty() {
            self.say(deed.nothing_named());
            return Ok(());
        }
        self.deed_on_each(Order { deed, signal: "" }, names)
    }

    fn deed_on_each(&mut self, order: Order<'_>, names: &[&str]) -> Outcome {
        if names.contains(&"all") {
            return self.deed_on(order, "all");
        }
        for name in names {
            self.deed_on(order, name)?;
        }
        Ok(())
    }

    fn deed_on(&mut self, order: Order<'_>, name: &str) -> Outcome {
        let deed = order.deed;
        let mut status = 0;
        let answer = self.answer(deed.verb(), |server| {
            server.carry_out(order, Target::of(name), &mut |report| {
                let said = match &report.result {
                    Ok(_) => words::done(deed, &report.subject),
                    Err(refused) => words::refused(deed, &report.subject, refused),
                };
                output::line(&said.text);
                if said.status != 0 {
                    status = said.status;
                }
            })
        });
        if status != 0 {
            self.status = status;
        }
        if let Err(refused) = answer? {
            self.say(words::refused(deed, name, &refused));
        }
        Ok(())
    }

    /// Stops everything named, then starts everything named.
    pub(super) fn restart(&mut self, names: &[&str]) -> Outcome {
        self.check("restart")?;
        if names.is_empty() {
            self.say(words::restart_nothing_named());
            return Ok(());
        }
        for deed in [Deed::Stop, Deed::Start] {
            self.deed_on_each(Order { deed, signal: "" }, names)?;
        }
        Ok(())
    }

    pub(super) fn signal(&mut self, names: &[&str]) -> Outcome {
        self.check("signal")?;
        match names {
            [] | [_] => {
                self.say(Deed::Signal.nothing_named());
                Ok(())
            }
            [signal, names @ ..] => {
                let deed = Deed::Signal;
                self.deed_on_each(Order { deed, signal }, names)
            }
        }
    }

    pub(super) fn avail(&mut self) -> Outcome {
        match self.answer("avail", |server| server.available())? {
            Ok(mut views) => {
                ordered::sort_by(&mut views, |a, b| a.name.process.cmp(&b.name.process));
                for view in &views {
                    output::line(&render::avail_line(view));
                }
            }
            Err(refused) => self.say(words::reread_refused("avail", &refused)),
        }
        Ok(())
    }

    pub(super) fn reread(&mut self) -> Outcome {
        match self.answer("reread", |server| server.reread())? {
            Ok(mut differences) => {
                ordered::sort_by(&mut differences, |a, b| a.0.cmp(&b.0));
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

    /// Follows the configuration group by group, as Supervisor's client does: what disappeared,
    /// what changed, what is new. (`appctl update` does it in one step, all groups at once.)
    pub(super) fn update(&mut self, names: &[&str]) -> Outcome {
        let differences = match self.answer("update", |server| server.reread())? {
            Ok(differences) => differences,
            Err(refused) => {
                self.say(words::reread_refused("update", &refused));
                return Ok(());
            }
        };
        let wanted: BTreeSet<&str> = match names.contains(&"all") {
            true => BTreeSet::new(),
            false => ordered::set(names.iter().copied()),
        };
        if !wanted.is_empty() {
            let views = self.answer("update", |server| server.processes())?;
            let groups = views.unwrap_or_default().into_iter();
            let mut known: BTreeSet<String> = ordered::set(groups.map(|view| view.name.group));
            let added = differences
                .iter()
                .filter(|(_, kind)| *kind == DifferenceKind::Available);
            known.extend(added.map(|(group, _)| group.clone()));
            for group in wanted.iter().filter(|group| !known.contains(**group)) {
                self.say(words::update_unknown(group));
            }
        }
        for kind in [
            DifferenceKind::Disappeared,
            DifferenceKind::Changed,
            DifferenceKind::Available,
        ] {
            for (group, of_kind) in &differences {
                if *of_kind == kind && (wanted.is_empty() || wanted.contains(group.as_str())) {
                    self.update_group(group, kind)?;
                }
            }
        }
        Ok(())
    }

    fn update_group(&mut self, group: &str, kind: DifferenceKind) -> Outcome {
        if kind != DifferenceKind::Available {
            let mut failed = false;
            let deed = Deed::Stop;
            let order = Order { deed, signal: "" };
            let stopped = self.answer("update", |server| {
                server.carry_out(order, Target::Group(group), &mut |report| {
                    let code = report.result.as_ref().err().map(|refused| refused.code);
                    failed |= matches!(code, Some(Code::Failed | Code::SignalFailed));
                })
            })?;
            if let Err(refused) = stopped {
                self.say(words::group_refused("update", group, &refused));
                return Err(Stop::Said);
            }
            output::line(&words::group_stopped(group));
            if failed && kind == DifferenceKind::Disappeared {
                self.say(words::update_stuck(group));
                return Ok(());
            }
            let removed = self.answer("update", |server| server.remove(group))?;
            if let Err(refused) = removed {
                self.say(words::group_refused("update", group, &refused));
                return Err(Stop::Said);
            }
        }
        if kind != DifferenceKind::Disappeared {
            let added = self.answer("update", |server| server.add(group))?;
            if let Err(refused) = added {
                self.say(words::group_refused("update", group, &refused));
                return Err(Stop::Said);
            }
        }
        output::line(&words::group_done(group, kind));
        Ok(())
    }

    pub(super) fn add(&mut self, names: &[&str]) -> Outcome {
        for name in names {
            match self.answer("add", |server| server.add(name))? {
                Ok(()) => output::line(&words::group_done(name, DifferenceKind::Available)),
                Err(refused) => self.say(words::group_refused("add", name, &refused)),
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, names: &[&str]) -> Outcome {
        for name in names {
            match self.answer("remove", |server| server.remove(name))? {
                Ok(()) => output::line(&words::group_done(name, DifferenceKind::Disappeared)),
                Err(refused) => self.say(words::group_refused("remove", name, &refused)),
            }
        }
        Ok(())
    }

    pub(super) fn reload(&mut self, input: &mut Input) -> Outcome {
        if !self.sure(words::REALLY_RELOAD, input)? {
            return Ok(());
        }
        let outcome = self.answer("reload", |server| server.restart())?;
        self.say(words::reloaded(outcome));
        Ok(())
    }

    pub(super) fn shutdown(&mut self, input: &mut Input) -> Outcome {
        if !self.sure(words::REALLY_SHUT_DOWN, input)? {
            return Ok(());
        }
        let outcome = self.answer("shutdown", |server| server.shut_down())?;
        self.say(words::shut_down(outcome));
        Ok(())
    }
}
