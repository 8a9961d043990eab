//! Input that tells where to cut it.

/// Bytes whose first ones say how the rest comes: what is read must not depend on that.
#[derive(Debug)]
pub struct Pieces {
    sizes: Vec<u8>,
    next: usize,
    rest: Vec<u8>,
    taken: usize,
}

/// The sizes are the first bytes.
const SIZES: usize = 4;

impl Pieces {
    /// The pieces of this input.
    pub fn of(data: &[u8]) -> Pieces {
        let (sizes, rest) = data.split_at(data.len().min(SIZES));
        Pieces {
            sizes: sizes.to_vec(),
            next: 0,
            rest: rest.to_vec(),
            taken: 0,
        }
    }

    /// All that is still to come.
    pub fn rest(&self) -> &[u8] {
        &self.rest[self.taken..]
    }

    /// The next piece, of at most so many bytes; empty at the end only.
    pub fn take(&mut self, most: usize) -> &[u8] {
        let size = self.sizes.get(self.next).copied().unwrap_or(u8::MAX);
        self.next = (self.next + 1) % self.sizes.len().max(1);
        let from = self.taken;
        self.taken += usize::from(size).max(1).min(most).min(self.rest().len());
        &self.rest[from..self.taken]
    }
}
