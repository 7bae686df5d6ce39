//! What became of each entry, in two bits: the only thing that grows with their number.

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mark {
    /// Nothing: left alone, or not restored.
    #[default]
    Left,
    /// A folder whose metadata is ours to set; a file that is as stored.
    Done,
    /// A folder that could not be made, so that nothing below it can be.
    Blocked,
}

/// Marks by ordinal.
#[derive(Debug, Default)]
pub struct Marks(Vec<u8>);

impl Marks {
    /// Sets a mark.
    pub fn set(&mut self, ordinal: u64, mark: Mark) {
        let (at, shift) = place(ordinal);
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        self.0[at] = self.0[at] & !(3 << shift) | (mark as u8) << shift;
    }

    /// The mark of an entry.
    pub fn get(&self, ordinal: u64) -> Mark {
        let (at, shift) = place(ordinal);
        match self.0.get(at).map_or(0, |byte| byte >> shift & 3) {
            1 => Mark::Done,
            2 => Mark::Blocked,
            _ => Mark::Left,
        }
    }
}

fn place(ordinal: u64) -> (usize, u64) {
    ((ordinal / 4) as usize, ordinal % 4 * 2)
}
