//! The commands of `appctl` about the configuration: what is in the file, what differs from what
//! runs, what an update would do, and doing it.

use super::arguments::{Plan, Update};
use super::commands::{Commands, Outcome, complain_refused, exit, tell, words};
use super::dialogue::{Item, Report, request};
use super::output;
use super::render::{self, AvailJson, DifferenceJson, PlanJson};
use crate::control::answer::{difference, planned};
use crate::control::line::Row;
use crate::control::{AvailView, OptionView};

impl Commands {
    pub(super) fn avail(&mut self, json: bool) -> Outcome {
        let rows = self.rows(&["avail"])?;
        let views: Vec<AvailView> = rows.iter().filter_map(|row| row.try_into().ok()).collect();
        if json {
            let items: Vec<_> = views.iter().map(AvailJson::of).collect();
            output::text(&render::json_list(&items));
        } else {
            let lines: String = views
                .iter()
                .map(|view| render::avail_line(view) + "\n")
                .collect();
            output::text(&lines);
        }
        Ok(exit::DONE)
    }

    pub(super) fn reread(&mut self, json: bool) -> Outcome {
        let mut differences = Vec::new();
        let answer = self.daemon.ask(&["reread"], |item| {
            let Item::Row(row) = item else { return };
            if let Some(diagnostic) = row.field("diagnostic") {
                output::complain(diagnostic);
            } else if let Ok(found) = difference(&row) {
                differences.push(found);
            }
        });
        if let Err(refused) = answer.map_err(|trouble| self.give_up(trouble))? {
            complain_refused(&refused);
            return Ok(exit::NOT_DONE);
        }
        if json {
            let items: Vec<_> = differences.iter().map(DifferenceJson::of).collect();
            output::text(&render::json_list(&items));
        } else if differences.is_empty() {
            output::line("the configuration has not changed");
        } else {
            for (group, kind) in &differences {
                output::line(&super::words::difference(group, *kind));
            }
        }
        Ok(exit::DONE)
    }

    pub(super) fn plan(&mut self, plan: &Plan) -> Outcome {
        let mut steps = Vec::new();
        let mut status = exit::DONE;
        let words = following("plan", plan.whole_groups, &plan.groups);
        let answer = self.daemon.ask(&words, |item| {
            let Item::Row(row) = item else { return };
            if let Some(diagnostic) = row.field("diagnostic") {
                output::complain(diagnostic);
            } else if !note_step(&row, &mut steps)
                && let Some(report) = Report::of(&row)
            {
                status = status.max(tell(&report, None));
            }
        });
        if let Err(refused) = answer.map_err(|trouble| self.give_up(trouble))?
            && status == exit::DONE
        {
            complain_refused(&refused);
            return Ok(exit::NOT_DONE);
        }
        if plan.json {
            output::text(&render::json_list(&steps));
        } else if steps.is_empty() {
            output::line("nothing to do: the configuration is in force");
        } else {
            output::text(&render::plan(&steps, output::target()));
        }
        Ok(status)
    }

    /// Shows the plan, then line by line what was done.
    pub(super) fn update(&mut self, update: &Update) -> Outcome {
        let words = following("update", update.whole_groups, &update.groups);
        self.follow_file(&words)
    }

    /// A request whose answer begins with a plan.
    pub(super) fn follow_file(&mut self, words: &[&str]) -> Outcome {
        let mut steps = Vec::new();
        let mut told = false;
        let mut status = exit::DONE;
        let answer = self.daemon.ask(words, |item| {
            let Item::Row(row) = item else { return };
            if let Some(diagnostic) = row.field("diagnostic") {
                output::complain(diagnostic);
            } else if !note_step(&row, &mut steps)
                && let Some(report) = Report::of(&row).filter(|report| !report.subject.is_empty())
            {
                output::text(&render::plan(&std::mem::take(&mut steps), output::target()));
                told = true;
                status = status.max(tell(&report, None));
            }
        });
        let outcome = answer.map_err(|trouble| self.give_up(trouble))?;
        output::text(&render::plan(&steps, output::target()));
        match outcome {
            Ok(text) => {
                if !told && !text.is_empty() {
                    output::line(&text);
                }
            }
            // The rows have said it all.
            Err(_) if told => {}
            Err(refused) => {
                complain_refused(&refused);
                status = exit::NOT_DONE;
            }
        }
        Ok(status)
    }
}

fn following<'a>(verb: &'a str, whole_groups: bool, groups: &'a [String]) -> Vec<&'a str> {
    let mut words_before = vec![verb];
    if whole_groups {
        words_before.push("--whole-groups");
    }
    request(&words_before, &words(groups))
}

/// Takes a row of a plan; false if it is none.
fn note_step(row: &Row, steps: &mut Vec<PlanJson>) -> bool {
    if let Some((name, action)) = planned(row) {
        steps.push(PlanJson::new(name, action));
    } else if let Ok(option) = OptionView::try_from(row) {
        if let Some(step) = steps.last_mut() {
            step.differs(option);
        }
    } else {
        return false;
    }
    true
}
