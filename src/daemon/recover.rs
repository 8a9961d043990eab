//! Taking over from a brain that died: the structure and the ledger say what was, the keeper says
//! what ended meanwhile, the kernel says what lives. Nothing is started twice, nothing is
//! forgotten, and an end that nobody saw is *unknown*.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::brain::Brain;
use super::ends::watch;
use super::listeners::Memory;
use super::memory::{Record, STRUCTURE_VERSION, Structure};
use super::processes::{Ending, Parent, Process, RecordedRun, Run, RunId, Slots, stream_of};
use super::sentences::{self, say};
use crate::control::Channel;
use crate::fleet::{Event, ExitStatus, Fleet, ProcessId, ProcessName};
use crate::keeper::ledger::Contents;
use crate::keeper::{ExitRecord, ParkKey, blob};
use crate::launch::{self, BirthNote, Living, ProcessStat};
use crate::ordered;

/// How long the keeper has to tell how a program ended that is gone when it is looked for.
const LOST_TIME: Duration = Duration::from_secs(1);

/// What a predecessor left.
#[derive(Debug)]
pub struct Legacy {
    /// The structure.
    pub structure: Structure,
    /// The fleet as it was.
    pub fleet: Fleet,
    /// The records by process.
    pub records: BTreeMap<ProcessId, Record>,
    /// What children noted of themselves, by slot.
    pub births: BTreeMap<u32, BirthNote>,
}

/// Reads what a predecessor left; the error says why it cannot be used.
pub fn read_legacy(structure: &OwnedFd, ledger: Contents) -> Result<Legacy, String> {
    let bytes = blob::read(structure).map_err(|error| format!("the structure: {error}"))?;
    let unreadable = |error| format!("the structure: {error}");
    // What follows has the form of its version.
    let (version, _) = postcard::take_from_bytes::<u32>(&bytes).map_err(unreadable)?;
    if version != STRUCTURE_VERSION {
        return Err(format!(
            "the structure has version {version}, this binary reads {STRUCTURE_VERSION}"
        ));
    }
    let structure: Structure = postcard::from_bytes(&bytes).map_err(unreadable)?;
    let mut records = BTreeMap::new();
    for (slot, bytes) in ledger.slots {
        let Ok(record) = postcard::from_bytes::<Record>(&bytes) else {
            continue;
        };
        let known = structure.members.get(&record.process);
        if known.is_some_and(|member| member.slot == slot) {
            records.insert(record.process, record);
        }
    }
    let of_fleet = records
        .iter()
        .map(|(id, record)| (*id, record.fleet.clone()));
    let fleet = Fleet::restore(structure.fleet.clone(), ordered::map(of_fleet))
        .map_err(|error| format!("the fleet: {error}"))?;
    Ok(Legacy {
        structure,
        fleet,
        records,
        births: ledger.births,
    })
}

impl Brain {
    /// What the predecessor left cannot be read, and no successor will read it either. Ending
    /// would only start a loop of crashes, and starting from the file would run second copies of
    /// programs that live: this brain serves, starts and stops nothing, and says so. Programs go
    /// on; their output waits in their pipes, which the keeper holds.
    pub(super) fn stand_by(&mut self, exits: Vec<ExitRecord>, reason: String) {
        say(sentences::critical(format!(
            "what the last brain left cannot be read ({reason}): running programs go on without \
             supervision, nothing is started or stopped; end them, then restart the daemon"
        )));
        self.unreadable_past = Some(reason);
        for record in exits {
            self.orphan_ended(record);
        }
    }

    /// Continues where the predecessor stopped.
    pub(super) fn take_over(
        &mut self,
        legacy: Legacy,
        memory: Memory,
        mut parked: BTreeMap<ParkKey, OwnedFd>,
        exits: Vec<ExitRecord>,
        incarnation: u32,
    ) {
        let Legacy {
            structure,
            fleet,
            records,
            births,
        } = legacy;
        let names = fleet.processes();
        let names = names.map(|process| (process.id(), process.name().clone()));
        let names: BTreeMap<ProcessId, ProcessName> = ordered::map(names);
        self.fleet = fleet;
        self.records.slots = Slots::except(structure.members.values().map(|member| member.slot));
        let mut configs: BTreeMap<(&str, &str), _> = BTreeMap::new();
        // What is on its way counts where nothing else is known: the structure of the fleet may be
        // one action ahead.
        for group in structure.incoming.values().chain(structure.groups.values()) {
            for process in &group.processes {
                configs.insert((group.name.as_str(), process.name.as_str()), process);
            }
        }
        for (id, member) in &structure.members {
            let Some(name) = names.get(id) else { continue };
            let key = (name.group.as_str(), name.process.as_str());
            let Some(config) = configs.get(&key) else {
                continue;
            };
            let process = Process {
                name: name.clone(),
                config: (*config).clone(),
                files: member.files.clone(),
                slot: member.slot,
                runs: records.get(id).map_or(0, |record| record.runs),
                preparing: None,
                run: None,
                circumstances: Default::default(),
                log_trouble: Default::default(),
            };
            self.processes.insert(*id, Box::new(process));
        }
        self.configuration.groups = structure.groups.clone();
        self.configuration.incoming = structure.incoming.clone();

        // Under the first brain of a keeper, programs are not that keeper's children.
        let parent = (incarnation > 1).then_some(self.keeper.pid);
        let adopted = self.adopt_runs(&records, &births, &mut parked, parent);
        say(sentences::took_over(incarnation, adopted));
        self.watch_foreign();
        self.take_over_listeners(memory);
        self.reattach(&mut parked);
        for record in exits {
            self.orphan_ended(record);
        }
        self.look_for_leftovers();
        self.chronicle_adopted();
    }

    /// Finds the programs again. Those that are gone wait for the keeper's word on how they ended.
    fn adopt_runs(
        &mut self,
        records: &BTreeMap<ProcessId, Record>,
        births: &BTreeMap<u32, BirthNote>,
        parked: &mut BTreeMap<ParkKey, OwnedFd>,
        parent: Option<i32>,
    ) -> usize {
        let mut adopted = 0;
        let ids: Vec<ProcessId> = self.processes.keys().copied().collect();
        for id in ids {
            let launching = self.fleet.get(id).is_some_and(|it| it.is_launching());
            let Some(process) = self.processes.get_mut(&id) else {
                continue;
            };
            let recorded = records.get(&id).and_then(|record| record.run);
            let note = births.get(&process.slot);
            let found = recorded.and_then(|recorded| find(id, recorded, note, parent));
            let Some(found) = found else {
                // The start had not got so far that there is a program.
                if launching {
                    self.prepare_start(id);
                }
                continue;
            };
            let (run, pid) = (RunId::new(id, found.counter), found.pid);
            let undrained = process.channels().len() as u8;
            let ending = found.ended.map(|status| Ending {
                status,
                undrained,
                deadline: self.now.stamp,
            });
            adopted += usize::from(found.living.is_some());
            if found.living.is_none() && ending.is_none() {
                // Its pid is in the keeper's word on its end.
                self.lost.insert(id, self.now.stamp.after(LOST_TIME));
            }
            if launching && ending.is_none() {
                self.events.push_back(Event::Spawned { process: id, pid });
            }
            process.run = Some(Run {
                id: run,
                pid,
                start_time: found.start_time,
                living: found.living,
                stdin: parked.remove(&ParkKey::Stdin(run.0)),
                parent: Parent::Keeper,
                ending,
                pipes: Vec::new(),
                overdue: false,
                tree_ended: false,
            });
        }
        adopted
    }

    /// Watches the ends that the keeper is not told.
    fn watch_foreign(&mut self) {
        for process in self.processes.values_mut() {
            let Some(run) = process.run.as_mut() else {
                continue;
            };
            let parent = ProcessStat::of(run.pid).map(|stat| stat.parent);
            if run.living.is_some() && parent.is_ok_and(|parent| parent != self.keeper.pid) {
                run.parent = Parent::Other;
                watch(&self.deaths, run);
            }
        }
    }

    /// Gives every parked output back to the log plane, also those that descendants of earlier
    /// runs still hold; what belongs to nobody any more is closed.
    fn reattach(&mut self, parked: &mut BTreeMap<ParkKey, OwnedFd>) {
        self.limit_logs();
        let ids: Vec<ProcessId> = self.processes.keys().copied().collect();
        for id in ids {
            let Some(process) = self.processes.get(&id) else {
                continue;
            };
            for channel in process.channels() {
                let sink = process.sink(*channel, &self.configuration.supervisord);
                self.plane.prepare(stream_of(id, *channel), sink);
            }
        }
        for (key, descriptor) in std::mem::take(parked) {
            let (run, channel) = match key {
                ParkKey::Stdout(run) => (RunId(run), Channel::Stdout),
                ParkKey::Stderr(run) => (RunId(run), Channel::Stderr),
                ParkKey::FastCgi(number) => {
                    self.take_over_socket(number, descriptor);
                    continue;
                }
                ParkKey::Stdin(run) => {
                    drop(descriptor);
                    self.close_parked(&[ParkKey::Stdin(run)]);
                    continue;
                }
                _ => continue,
            };
            let id = run.process();
            let current = self.processes.get_mut(&id).and_then(|it| it.run.as_mut());
            if let Some(current) = current.filter(|current| current.id == run) {
                current.pipes.extend(launch::pipe_inode(&descriptor).ok());
            }
            let process = self.processes.get(&id);
            let current = process.and_then(|process| process.run.as_ref());
            let living = current.is_some_and(|it| it.id == run && it.ending.is_none());
            if living {
                self.attach_output(id, run, channel, descriptor);
            } else if process.is_some() {
                self.plane.attach(stream_of(id, channel), run.0, descriptor);
            } else {
                self.close_parked(&[key]);
            }
        }
        let ended: Vec<(ProcessId, ExitStatus)> = self
            .processes
            .iter()
            .filter_map(|(id, process)| Some((*id, process.run.as_ref()?.ending?.status)))
            .collect();
        for (id, status) in ended {
            self.begin_ending(id, status);
        }
    }

    /// Programs that are gone and whose end the keeper has not told in time. It was their parent
    /// from the moment our predecessor died, so it tells all it knows; the rest is unknown.
    pub(super) fn end_lost(&mut self) {
        let now = self.now.stamp;
        let due: Vec<ProcessId> = self
            .lost
            .iter()
            .filter(|(_, due)| **due <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.lost.remove(&id);
            let told = self
                .processes
                .get(&id)
                .and_then(|process| process.run.as_ref())
                .is_none_or(|run| run.ending.is_some());
            if !told {
                self.begin_ending(id, ExitStatus::Unknown);
            }
        }
    }

    fn close_parked(&self, keys: &[ParkKey]) {
        if let Err(error) = self.keeper.link.unpark(keys) {
            say(sentences::trouble(format!(
                "closing parked descriptors: {error}"
            )));
        }
    }
}

/// A run of an earlier brain, as it is found.
struct Found {
    counter: u32,
    pid: i32,
    /// 0 if nobody knows any more.
    start_time: u64,
    /// None: it has ended.
    living: Option<Living>,
    /// How, if that is known already.
    ended: Option<ExitStatus>,
}

/// Looks for the run that a record tells of, with what its child noted of itself; none if there is
/// no program.
fn find(
    id: ProcessId,
    recorded: RecordedRun,
    note: Option<&BirthNote>,
    parent: Option<i32>,
) -> Option<Found> {
    let (counter, pid, start_time, ended) = match recorded {
        RecordedRun::Intended {
            counter,
            pipe_inode,
        } => {
            let run = RunId::new(id, counter);
            let note = note.filter(|note| note.run == run.0 && note.pid != 0);
            let seen = launch::find_started(parent, pipe_inode).ok().flatten();
            let living = seen.or_else(|| launch::find_noted(parent?, note?.pid));
            return Some(Found {
                counter,
                pid: living.as_ref().map(|it| it.pid).or(note.map(|it| it.pid))?,
                start_time: living.as_ref().map_or(0, |it| it.start_time),
                living,
                ended: None,
            });
        }
        RecordedRun::Living {
            counter,
            pid,
            start_time,
        } => (counter, pid, start_time, None),
        RecordedRun::Ended {
            counter,
            pid,
            status,
        } => (counter, pid, 0, Some(status)),
    };
    let living = match ended {
        Some(_) => None,
        None => launch::adopt(pid, start_time).ok().flatten(),
    };
    Some(Found {
        counter,
        pid,
        start_time,
        living,
        ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FakeHost, Source, load};

    #[test]
    fn what_cannot_be_read_is_told_and_not_guessed() {
        let read = |bytes: &[u8]| {
            let memory = blob::write("test", bytes).unwrap();
            read_legacy(&memory, Contents::default()).unwrap_err()
        };
        let source = Source {
            single: None,
            file: None,
            overrides: Default::default(),
        };
        let defaults = load(&FakeHost::new(), &source).unwrap();
        let mut empty = Structure {
            version: STRUCTURE_VERSION,
            fleet: Fleet::new().structure(),
            supervisord: defaults.config.supervisord,
            groups: BTreeMap::new(),
            incoming: BTreeMap::new(),
            members: BTreeMap::new(),
        };
        let ours = postcard::to_stdvec(&empty).unwrap();
        empty.version += 1;
        let newer = postcard::to_stdvec(&empty).unwrap();
        let version = format!("the structure has version {}", STRUCTURE_VERSION + 1);
        assert!(read(&newer).starts_with(&version));
        assert!(read(&newer[..newer.len() / 2]).starts_with(&version));
        assert!(read(&ours[..ours.len() / 2]).starts_with("the structure: "));
        assert!(read(b"").starts_with("the structure: "));
    }
}
