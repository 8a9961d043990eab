//! What would be missing in the logs if the brain died now, kept where a successor finds it: in the
//! parked memory file of the staging pipe, behind the owner word.
//!
//! Bytes that are not to be written are taken out of a pipe into the end of that file, whose size says
//! how many they are; a kill strikes before or after such a move, never inside. Before it, what was
//! missing until then is written down, and after it, what is missing now. So a successor that finds
//! bytes there counts them once, whether they were counted before or not.
//!
//! Must never: write a log, forget a byte that no log has.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::{pread, pwrite};

use super::plane::StreamId;
use super::shed::Tally;
use super::splice::{self, Place};

/// Where it says whose bytes are taken, and what was missing before.
const HEAD_AT: u64 = 64;
/// Where there is a place for each stream that misses something.
const PLACES_AT: u64 = 4096;
const PLACE_SIZE: u64 = 256;
/// Words at the beginning of such a place; the reason is behind them.
const WORDS: usize = 8;
const WHY_MAX: usize = PLACE_SIZE as usize - 8 * WORDS;
/// Where bytes are taken to: behind all places.
const BYTES_AT: u64 = 1 << 20;
const PLACES_MAX: u64 = (BYTES_AT - PLACES_AT) / PLACE_SIZE;

/// What of a stream is not in its log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Loss {
    pub tally: Tally,
    /// The last line of it has not ended yet, and the rest has to follow it.
    pub is_cut: bool,
    /// From here on the file has a part of what is counted, which is to be cut off.
    pub place: Place,
    /// Why it could not be written.
    pub why: String,
}

/// The losses of all streams.
#[derive(Debug)]
pub(super) struct Losses {
    memory: OwnedFd,
    all: BTreeMap<StreamId, (u64, Loss)>,
}

impl Losses {
    /// Takes over what a predecessor left.
    pub fn adopt(memory: OwnedFd) -> io::Result<Losses> {
        let mut losses = Losses {
            memory,
            all: BTreeMap::new(),
        };
        let size = rustix::fs::fstat(&losses.memory)?.st_size.unsigned_abs();
        // It has this size as soon as something was taken.
        if size < BYTES_AT {
            return Ok(losses);
        }
        let places = losses.read(PLACES_AT, BYTES_AT - PLACES_AT)?;
        for (number, place) in (0..).zip(places.chunks_exact(PLACE_SIZE as usize)) {
            if let Some((stream, loss)) = Loss::from_bytes(place) {
                losses.all.insert(stream, (number, loss));
            }
        }
        if size > BYTES_AT {
            let taken = losses.read(BYTES_AT, size - BYTES_AT)?;
            let head = words::<4>(&losses.read(HEAD_AT, 32)?);
            let [stream, lines, bytes, is_cut] = head;
            let stream = StreamId(stream);
            let mut loss = losses.of(stream).cloned().unwrap_or_default();
            (loss.tally, loss.is_cut) = (Tally::new(lines, bytes), is_cut != 0);
            loss.count(&taken);
            losses.set(stream, loss)?;
            rustix::fs::ftruncate(&losses.memory, BYTES_AT)?;
        }
        Ok(losses)
    }

    /// What is missing of a stream.
    pub fn of(&self, stream: StreamId) -> Option<&Loss> {
        self.all.get(&stream).map(|(_, loss)| loss)
    }

    /// A stream begins to miss something, or goes on to, for this reason.
    pub fn begin(&mut self, stream: StreamId, why: &str) -> io::Result<()> {
        let before = self.of(stream).cloned().unwrap_or_default();
        let why = why.to_owned();
        self.set(stream, Loss { why, ..before })
    }

    /// Takes at most so many bytes of a stream out of a pipe, and counts them; none at its end.
    pub fn take(&mut self, stream: StreamId, pipe: &OwnedFd, most: usize) -> io::Result<Vec<u8>> {
        let taken = self.take_securely(stream, pipe, most);
        let is_final = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        if taken.as_ref().err().is_none_or(is_final) {
            return taken;
        }
        // No memory for it: better no successor knows of it than a program waits.
        let mut taken = Vec::new();
        splice::read_some(pipe, &mut taken, most)?;
        if let Some((_, loss)) = self.all.get_mut(&stream) {
            loss.count(&taken);
        }
        Ok(taken)
    }

    fn take_securely(
        &mut self,
        stream: StreamId,
        pipe: &OwnedFd,
        most: usize,
    ) -> io::Result<Vec<u8>> {
        let mut loss = self.of(stream).cloned().unwrap_or_default();
        let Tally { lines, bytes } = loss.tally;
        let head = [stream.0, lines, bytes, u64::from(loss.is_cut)];
        pwrite(&self.memory, &in_bytes(&head), HEAD_AT)?;
        let mut end = BYTES_AT;
        let moved = splice::move_directly(pipe, &self.memory, Some(&mut end), most)?;
        let taken = self.read(BYTES_AT, moved as u64)?;
        loss.count(&taken);
        self.set(stream, loss)?;
        rustix::fs::ftruncate(&self.memory, BYTES_AT)?;
        Ok(taken)
    }

    /// Changes what is missing of a stream.
    pub fn change(&mut self, stream: StreamId, change: impl FnOnce(&mut Loss)) -> io::Result<()> {
        let Some(before) = self.of(stream) else {
            return Ok(());
        };
        let mut loss = before.clone();
        change(&mut loss);
        match loss == *before {
            true => Ok(()),
            false => self.set(stream, loss),
        }
    }

    /// Nothing of a stream is missing any more, or nobody wants to know.
    pub fn forget(&mut self, stream: StreamId) {
        if let Some((number, _)) = self.all.remove(&stream)
            && number < PLACES_MAX
        {
            // Fails only for want of memory, which was had when this was written.
            let at = PLACES_AT + number * PLACE_SIZE;
            let _ = pwrite(&self.memory, &[0; 8], at);
        }
    }

    /// Written in one piece, which no kill divides. Where there are more streams than places, the
    /// others are not written down.
    fn set(&mut self, stream: StreamId, loss: Loss) -> io::Result<()> {
        let number = match self.all.get(&stream) {
            Some((number, _)) => *number,
            None => self.free_place(),
        };
        if number < PLACES_MAX {
            let at = PLACES_AT + number * PLACE_SIZE;
            pwrite(&self.memory, &loss.to_bytes(stream), at)?;
        }
        self.all.insert(stream, (number, loss));
        Ok(())
    }

    fn free_place(&self) -> u64 {
        let mut taken: Vec<u64> = self.all.values().map(|(number, _)| *number).collect();
        taken.sort_unstable();
        let free = (0..).zip(&taken).find(|(number, taken)| number != *taken);
        free.map_or(taken.len() as u64, |(number, _)| number)
    }

    fn read(&self, from: u64, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0)];
        let mut done = 0;
        while done < bytes.len() {
            match pread(&self.memory, &mut bytes[done..], from + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                some => done += some,
            }
        }
        Ok(bytes)
    }
}

impl Loss {
    /// These bytes, which come next, are missing as well.
    pub fn count(&mut self, bytes: &[u8]) {
        self.tally.count(bytes, self.is_cut);
        if let Some(last) = bytes.last() {
            self.is_cut = *last != b'\n';
        }
    }

    fn to_bytes(&self, stream: StreamId) -> Vec<u8> {
        let why = self.why.floor_char_boundary(WHY_MAX);
        let why = &self.why.as_bytes()[..why];
        let Tally { lines, bytes } = self.tally;
        let (cut, length) = (u64::from(self.is_cut), why.len() as u64);
        let Place { inode, offset } = self.place;
        let words: [u64; WORDS] = [1, stream.0, lines, bytes, cut, inode, offset, length];
        [&in_bytes(&words), why].concat()
    }

    /// None if the place is free.
    fn from_bytes(place: &[u8]) -> Option<(StreamId, Loss)> {
        let words: [u64; WORDS] = words(place);
        let [1, stream, lines, bytes, cut, inode, offset, length] = words else {
            return None;
        };
        let why = place
            .get(8 * WORDS..)?
            .get(..usize::try_from(length).ok()?)?;
        let loss = Loss {
            tally: Tally::new(lines, bytes),
            is_cut: cut != 0,
            place: Place { inode, offset },
            why: String::from_utf8_lossy(why).into_owned(),
        };
        Some((StreamId(stream), loss))
    }
}

fn in_bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn words<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::plane::new_staging_owner;
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    const WEB: StreamId = StreamId(0);

    struct Scene {
        memory: OwnedFd,
        read: OwnedFd,
        write: OwnedFd,
    }

    impl Scene {
        fn new() -> Scene {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
            let memory = new_staging_owner().unwrap();
            Scene {
                memory,
                read,
                write,
            }
        }

        fn losses(&self) -> Losses {
            Losses::adopt(self.memory.try_clone().unwrap()).unwrap()
        }

        fn take(&self, losses: &mut Losses, bytes: &[u8]) {
            rustix::io::write(&self.write, bytes).unwrap();
            assert_eq!(losses.take(WEB, &self.read, 65_536).unwrap(), bytes);
        }
    }

    #[test]
    fn a_successor_knows_what_is_missing() {
        let scene = Scene::new();
        let mut losses = scene.losses();
        assert_eq!(losses.of(WEB), None);
        losses.begin(StreamId(7), "gone").unwrap();
        losses.begin(WEB, "disk full").unwrap();
        scene.take(&mut losses, b"one\ntw");
        let expected = Loss {
            tally: Tally::new(2, 6),
            is_cut: true,
            place: Place::default(),
            why: "disk full".into(),
        };
        assert_eq!(scene.losses().of(WEB), Some(&expected));
        scene.take(&mut losses, b"o\n");
        losses.forget(StreamId(7));
        let mut successor = scene.losses();
        assert_eq!(successor.of(StreamId(7)), None);
        let found = successor.of(WEB).unwrap();
        assert_eq!((found.tally, found.is_cut), (Tally::new(2, 8), false));
        successor.begin(StreamId(9), &"é".repeat(200)).unwrap();
        assert_eq!(scene.losses().of(StreamId(9)).unwrap().why, "é".repeat(96));
        successor.forget(WEB);
        assert_eq!(scene.losses().of(WEB), None);
    }

    #[test]
    fn what_was_being_taken_is_counted_once() {
        // Killed behind the move: before or after it was counted.
        for counted in [false, true] {
            let scene = Scene::new();
            let mut losses = scene.losses();
            losses.begin(WEB, "disk full").unwrap();
            scene.take(&mut losses, b"on");
            let [before, mut after] = [0, 1].map(|_| losses.of(WEB).unwrap().clone());
            let Tally { lines, bytes } = before.tally;
            pwrite(&scene.memory, &in_bytes(&[WEB.0, lines, bytes, 1]), HEAD_AT).unwrap();
            pwrite(&scene.memory, b"e\ntwo\n", BYTES_AT).unwrap();
            after.count(b"e\ntwo\n");
            if counted {
                losses.set(WEB, after.clone()).unwrap();
            }
            assert_eq!(after.tally, Tally::new(2, 8));
            for _ in 0..2 {
                assert_eq!(scene.losses().of(WEB), Some(&after), "{counted}");
            }
        }
    }

    #[test]
    fn an_empty_pipe_and_its_end_change_nothing() {
        let scene = Scene::new();
        let mut losses = scene.losses();
        let error = losses.take(WEB, &scene.read, 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(scene.write);
        assert_eq!(losses.take(WEB, &scene.read, 10).unwrap(), b"");
        let lossy = losses.of(WEB).is_some_and(|loss| loss.tally.is_lossy());
        assert!(!lossy);
    }
}
