//! The first few of many, whatever the order in which they come.

/// How many examples are kept of a kind.
const KEPT: usize = 3;

/// The first few by their number in the source. Several threads see different parts of it, and which of them is ahead must
/// not show.
#[derive(Debug, Clone)]
pub(super) struct Firsts<T> {
    kept: Vec<(u64, T)>,
    most: usize,
}

impl<T> Default for Firsts<T> {
    fn default() -> Self {
        Self::of(KEPT)
    }
}

impl<T> Firsts<T> {
    /// Keeps so many.
    pub(super) fn of(most: usize) -> Self {
        Self {
            kept: Vec::new(),
            most,
        }
    }

    /// Keeps it if it is one of the first; only then is it made.
    pub(super) fn offer(&mut self, ordinal: u64, make: impl FnOnce() -> T) {
        let last = self.kept.last().map(|(last, _)| *last);
        if self.kept.len() == self.most && last.is_none_or(|last| ordinal >= last) {
            return;
        }
        let at = self.kept.partition_point(|(other, _)| *other <= ordinal);
        self.kept.insert(at, (ordinal, make()));
        self.kept.truncate(self.most);
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (ordinal, one) in other.kept {
            self.offer(ordinal, || one);
        }
    }

    /// The number of the first one.
    pub(super) fn first(&self) -> Option<u64> {
        self.kept.first().map(|(ordinal, _)| *ordinal)
    }

    pub(super) fn told(self) -> Vec<T> {
        self.kept.into_iter().map(|(_, one)| one).collect()
    }
}
