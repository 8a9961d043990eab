//! What programs leave behind. A stop is over when the whole tree of the program is gone; a start
//! waits until nothing of the run before is left; and what a program leaves when it ends by itself
//! is shown, and ends with the daemon, at the next start or when a stop is asked for.
//!
//! Looking and signalling take milliseconds, and are done on a thread, one round at a time for all
//! trees that need one. In between the pidfds of those that were found are waited for. Nothing of
//! this is kept for a successor: the state of the process is, and from that it is begun anew.
//!
//! Must never: touch the tree of a program with `stop_tree=false`, nor hold back the news of an end
//! that nobody asked for.

use std::collections::BTreeSet;
use std::convert::Infallible;

use async_std::channel::{Receiver, Sender, bounded};
use futures_lite::FutureExt;

use super::answers::unhurried_after;
use super::brain::Brain;
use super::options::Personality;
use super::processes::{Parent, Process};
use super::sentences::{self, say};
use super::trees::{
    Aim, Awaited, Found, KILLED_TIME, Next, OF_TREE, Tree, first_push, named, next,
};
use super::turn::Outcome;
use crate::config::Policy;
use crate::control::Answer;
use crate::fleet::{self, ProcessId, Request, Selector, Stamp};
use crate::launch::{self, Cgroup, Marks, Push};
use crate::ordered;

impl Brain {
    /// Whether a stop of this program ends all that it has started.
    pub(super) fn ends_tree(&self, process: &Process) -> bool {
        let ours = self.personality == Personality::Appctl;
        process.config.policy.stop_tree.unwrap_or(ours)
    }

    /// The main process of a program has ended, and its output is drained: whether the news is to
    /// wait for the rest of its tree.
    pub(super) fn tree_holds_end(&mut self, id: ProcessId) -> bool {
        let Some(process) = self.processes.get(&id) else {
            return false;
        };
        let Some(run) = process.run.as_ref().filter(|_| self.ends_tree(process)) else {
            return false;
        };
        if run.tree_ended {
            return false;
        }
        if self
            .trees
            .all
            .get(&id)
            .is_some_and(|tree| tree.aim == Aim::Stop)
        {
            return true;
        }
        let stopping = self.is_stopping(id);
        // Whose parent is another's child, its orphans are as well.
        let below_us = run.parent != Parent::Other;
        if !stopping && below_us && self.nothing_is_left(id) {
            return false;
        }
        let (leader, pipes) = (Some((run.pid, run.start_time)), run.pipes.clone());
        let push = match (stopping, run.overdue) {
            (false, _) => Push::Look,
            (true, true) => Push::Kill,
            (true, false) => first_push(&process.config.policy),
        };
        let aim = if stopping { Aim::Stop } else { Aim::Show };
        self.look_at_tree(id, aim, push);
        if let Some(tree) = self.trees.all.get_mut(&id) {
            tree.marks.leader = leader;
            tree.marks.pipes = pipes;
        }
        stopping
    }

    /// A process is to be started: whether that is to wait until nothing of its last run is left.
    pub(super) fn tree_holds_start(&mut self, id: ProcessId) -> bool {
        let Some(process) = self.processes.get(&id) else {
            return false;
        };
        if process.runs == 0 || !self.ends_tree(process) {
            return false;
        }
        if self.nothing_is_left(id) {
            return false;
        }
        let policy = &process.config.policy;
        let (push, wait) = (first_push(policy), policy.stop_time());
        self.look_at_tree(id, Aim::Start, push);
        self.kill_tree_at(id, self.now.stamp.after(wait));
        true
    }

    /// Whether nothing is left of a program that has ended, for certain: nobody was found the last
    /// time, and our programs have left nobody behind who is not known.
    fn nothing_is_left(&self, id: ProcessId) -> bool {
        let runs = self.processes.values().filter_map(|it| it.run.as_ref());
        let brain = std::process::id().cast_signed();
        let known = ordered::set(runs.map(|run| run.pid).chain([brain]));
        let in_doubt = self.keeper.gone || self.trees.all.contains_key(&id);
        let parents = [
            // It has one thread.
            (self.keeper.pid, self.keeper.pid),
            (brain, self.launcher.thread()),
        ];
        !in_doubt && launch::has_no_orphans(parents, &known)
    }

    /// The program had its time to stop: whether only the rest of its tree is still there.
    pub(super) fn tree_overdue(&mut self, id: ProcessId) -> bool {
        let now = self.now.stamp;
        let run = self.processes.get_mut(&id).and_then(|it| it.run.as_mut());
        let Some(run) = run else { return false };
        run.overdue = true;
        let tree = self.trees.all.get_mut(&id);
        let Some(tree) = tree.filter(|tree| tree.aim == Aim::Stop) else {
            return false;
        };
        if tree.push != Push::Kill {
            tree.push = Push::Kill;
            tree.look_at = Some(now);
        }
        true
    }

    /// Shows what programs left behind that ended under an earlier brain.
    pub(super) fn look_for_leftovers(&mut self) {
        let ended: Vec<ProcessId> = self
            .processes
            .iter()
            .filter(|(_, process)| process.runs > 0 && process.run.is_none())
            .filter(|(id, process)| {
                // One that is to be started is looked at for that already.
                self.ends_tree(process) && !self.trees.all.contains_key(id)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            self.look_at_tree(id, Aim::Show, Push::Look);
        }
    }

    /// Stops programs; one that has ended by itself is stopped when what it left behind is gone.
    pub(super) fn stop_asked(
        &mut self,
        selectors: Vec<Selector>,
        wait: bool,
        reply: Sender<Answer>,
    ) {
        let mut left = Awaited::default();
        for id in self
            .fleet
            .select(&selectors)
            .into_iter()
            .flat_map(|it| it.processes)
            .flatten()
        {
            if let Some((name, gone)) = self.clear_tree(id) {
                left.0.insert(name, gone);
            }
        }
        let reply = match wait && !left.0.is_empty() {
            true => unhurried_after(reply, left),
            false => reply,
        };
        self.ask_fleet(Request::Stop { selectors, wait }, Some(reply));
    }

    /// Ends what is left of a program that does not run, if anything is: its name, and what tells
    /// that it is gone.
    fn clear_tree(&mut self, id: ProcessId) -> Option<(String, Receiver<Infallible>)> {
        let runs = self.fleet.get(id).is_none_or(fleet::Process::is_wanted);
        let policy = self.processes.get(&id)?.config.policy.clone();
        let now = self.now.stamp;
        let tree = self.trees.all.get_mut(&id).filter(|tree| {
            !runs && !tree.members.is_empty() && matches!(tree.aim, Aim::Show | Aim::Clear)
        })?;
        let (waiter, gone) = bounded(1);
        tree.waiters.push(waiter);
        let name = tree.name.clone();
        if tree.aim == Aim::Show {
            tree.aim_at(Aim::Clear, first_push(&policy), now);
            self.kill_tree_at(id, now.after(policy.stop_time()));
        }
        Some((name, gone))
    }

    /// The process leaves the configuration: nothing of it stays.
    pub(super) fn tree_leaves(&mut self, id: ProcessId, name: &str, policy: &Policy) {
        let (push, wait) = (first_push(policy), policy.stop_time());
        let now = self.now.stamp;
        if let Some(tree) = self.trees.all.get_mut(&id) {
            tree.aim_at(Aim::Leave, push, now);
            self.kill_tree_at(id, now.after(wait));
        } else {
            self.trees.cgroup(name).iter().for_each(Cgroup::remove);
        }
    }

    /// Everything has stopped: the daemon ends when nothing is left of its programs either.
    pub(super) fn leave_after_trees(&mut self, outcome: Outcome) {
        self.trees.leaving = Some(outcome);
        let left: Vec<ProcessId> = self.trees.all.keys().copied().collect();
        for id in left {
            let Some(process) = self.processes.get(&id) else {
                continue;
            };
            let (name, config) = (process.name.to_string(), process.config.clone());
            self.tree_leaves(id, &name, &config.policy);
        }
        self.end_after_trees();
    }

    fn end_after_trees(&mut self) {
        if self.trees.all.is_empty()
            && let Some(outcome) = self.trees.leaving.take()
        {
            self.finished = Some(outcome);
        }
    }

    fn look_at_tree(&mut self, id: ProcessId, aim: Aim, push: Push) {
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        let name = process.name.to_string();
        let (token, cgroup) = (self.trees.token(&name), self.trees.cgroup(&name));
        let tree = self.trees.all.entry(id).or_insert(Tree {
            name,
            aim,
            push,
            marks: Marks::default(),
            members: Vec::new(),
            seen: false,
            look_at: None,
            kill_at: None,
            give_up_at: None,
            waiters: Vec::new(),
        });
        tree.marks.token = token;
        tree.marks.cgroup = cgroup;
        tree.aim_at(aim, push, self.now.stamp);
    }

    fn kill_tree_at(&mut self, id: ProcessId, at: Stamp) {
        if let Some(tree) = self.trees.all.get_mut(&id) {
            tree.kill_at = Some(at);
        }
    }

    /// One of a tree has ended.
    pub(super) fn tree_member_died(&mut self, token: u64) -> bool {
        if token & OF_TREE == 0 {
            return false;
        }
        let id = ProcessId((token & !OF_TREE) as u32);
        if let Some(tree) = self.trees.all.get_mut(&id) {
            tree.members
                .iter()
                .for_each(|member| self.deaths.forget(&member.living));
            tree.look_at = Some(self.now.stamp);
        }
        true
    }

    /// Has the trees looked at that need it.
    pub(super) fn look_at_trees(&mut self) {
        let now = self.now.stamp;
        for tree in self.trees.all.values_mut() {
            if tree.kill_at.is_some_and(|at| at <= now) {
                tree.kill_at = None;
                tree.push = Push::Kill;
                tree.look_at = Some(now);
            }
        }
        if self.trees.looking {
            return;
        }
        let due = self.trees.all.iter_mut();
        let due = due.filter(|(_, tree)| tree.look_at.is_some_and(|at| at <= now));
        let (mut founds, mut rounds) = (Vec::new(), Vec::new());
        for (id, tree) in due {
            tree.look_at = None;
            if tree.push == Push::Kill && !tree.members.is_empty() {
                say(sentences::killing_tree(&tree.name, &named(&tree.members)));
            }
            founds.push(Found {
                process: *id,
                push: tree.push,
                first: !std::mem::replace(&mut tree.seen, true),
                members: Vec::new(),
            });
            rounds.push(tree.round());
        }
        if rounds.is_empty() {
            return;
        }
        self.trees.looking = true;
        let (spared, found) = (self.spared(), self.trees.found.clone());
        async_std::task::spawn(
            async move {
                let sweep = move || launch::sweep(rounds, &spared);
                let members = blocking::unblock(sweep).await;
                for (found, members) in founds.iter_mut().zip(members) {
                    found.members = members;
                }
                // Nobody listens any more only if the brain ends.
                let _ = found.send(founds).await;
            }
            .boxed(),
        );
    }

    /// Our own processes, and programs that run.
    fn spared(&self) -> BTreeSet<i32> {
        let runs = self.processes.values().filter_map(|it| it.run.as_ref());
        let living = runs.filter(|run| run.ending.is_none()).map(|run| run.pid);
        let own = [std::process::id().cast_signed(), self.keeper.pid];
        ordered::set(living.chain(own))
    }

    /// What a round found.
    pub(super) fn hear_trees(&mut self, founds: Vec<Found>) {
        self.trees.looking = false;
        for found in founds {
            self.hear_tree(found);
        }
        self.end_after_trees();
    }

    fn hear_tree(&mut self, found: Found) {
        let (id, now) = (found.process, self.now.stamp);
        let Some(tree) = self.trees.all.get_mut(&id) else {
            return;
        };
        for member in &tree.members {
            self.deaths.forget(&member.living);
        }
        tree.members = found.members;
        let names = named(&tree.members);
        if found.first && !tree.members.is_empty() {
            match found.push {
                Push::Look => say(sentences::left_behind(&tree.name, &names)),
                Push::Ask => say(sentences::ending_tree(&tree.name, &names)),
                Push::Kill => {}
            }
        }
        // Its number may be another's once nobody is left of its group.
        if tree.members.is_empty() {
            tree.marks.leader = None;
        }
        if tree.look_at.is_some() {
            // Something else is wanted since the round began.
            return;
        }
        if tree.push == Push::Kill {
            tree.give_up_at.get_or_insert(now.after(KILLED_TIME));
        }
        let (aim, push) = (tree.aim, tree.push);
        match next(push, tree.members.len(), now, tree.give_up_at) {
            Next::Wait(until) => tree.look_at = Some(until),
            Next::Done => {
                tree.kill_at = None;
                let given_up = push != Push::Look && !tree.members.is_empty();
                if given_up {
                    say(sentences::tree_given_up(&tree.name, &names));
                }
                tree.push = Push::Look;
                tree.aim = Aim::Show;
            }
        }
        let done = tree.aim == Aim::Show;
        for member in &tree.members {
            if let Err(error) = self.deaths.watch(OF_TREE | u64::from(id.0), &member.living) {
                say(sentences::trouble(format!(
                    "watching pid {}: {error}",
                    member.living.pid
                )));
            }
        }
        if done {
            self.tree_done(id, aim);
        }
    }

    /// Nobody needs to wait for this tree any more.
    fn tree_done(&mut self, id: ProcessId, aim: Aim) {
        let tree = self.trees.all.get_mut(&id);
        let empty = tree.is_none_or(|tree| {
            tree.waiters.clear();
            tree.members.is_empty()
        });
        if (empty || aim == Aim::Leave)
            && let Some(tree) = self.trees.all.remove(&id)
        {
            for member in &tree.members {
                self.deaths.forget(&member.living);
            }
            tree.marks.cgroup.iter().for_each(Cgroup::remove);
        }
        match aim {
            Aim::Show | Aim::Leave | Aim::Clear => {}
            Aim::Start => {
                // What could not be ended stays known; the marks are those of the new run as well.
                if let Some(tree) = self.trees.all.get_mut(&id) {
                    tree.marks = Marks::default();
                }
                self.open_logs(id);
            }
            Aim::Stop => {
                if let Some(run) = self.processes.get_mut(&id).and_then(|it| it.run.as_mut()) {
                    run.tree_ended = true;
                }
                self.tell_end(id);
            }
        }
    }
}
