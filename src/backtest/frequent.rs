//! The most frequent of any number of targets, in bounded memory.
//!
//! Counts are exact until there are more different targets than are kept. From then on the rarer half is forgotten again
//! and again, as "space saving" does it for one at a time: what comes back is counted as if it had occurred as often as any
//! that was forgotten, so that no count is ever too low, and by how much it may be too high is known.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Frequent, FrequentTarget};

/// How many different targets are kept; twice as many are held before half is forgotten.
const KEPT: usize = 10_000;
/// How many are told.
const TOLD: usize = 50;

/// Counts by account and name.
#[derive(Debug, Clone, Default)]
pub(super) struct Counter {
    counts: HashMap<String, Counted>,
    /// The most that any forgotten one may have occurred.
    floor: u64,
    key: String,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    count: u64,
    over: u64,
}

impl Counter {
    pub(super) fn add(&mut self, account: &str, name: &str) {
        self.key.clear();
        self.key.push_str(account);
        self.key.push('\n');
        self.key.push_str(name);
        if let Some(counted) = self.counts.get_mut(&self.key) {
            counted.count += 1;
            return;
        }
        let counted = Counted {
            count: self.floor + 1,
            over: self.floor,
        };
        self.counts.insert(self.key.clone(), counted);
        if self.counts.len() >= 2 * KEPT {
            self.forget(KEPT);
        }
    }

    /// Takes over what another one counted.
    pub(super) fn merge(&mut self, mut other: Self) {
        let (ours, theirs) = (self.floor, other.floor);
        for (key, counted) in &mut self.counts {
            // What is not there may have been forgotten there.
            let there = other.counts.remove(key).unwrap_or(Counted {
                count: theirs,
                over: theirs,
            });
            counted.count += there.count;
            counted.over += there.over;
        }
        for (key, counted) in other.counts {
            let counted = Counted {
                count: counted.count + ours,
                over: counted.over + ours,
            };
            self.counts.insert(key, counted);
        }
        self.floor += theirs;
        if self.counts.len() >= 2 * KEPT {
            self.forget(KEPT);
        }
    }

    pub(super) fn told(self) -> Frequent {
        let distinct = self.counts.len() as u64;
        let exact = self.floor == 0;
        let mut sorted: Vec<(String, Counted)> = self.counts.into_iter().collect();
        sorted.sort_unstable_by(|(a, this), (b, that)| {
            (Reverse(this.count), a).cmp(&(Reverse(that.count), b))
        });
        let top = sorted.into_iter().take(TOLD).map(|(key, counted)| {
            let (account, target) = key.split_once('\n').unwrap_or_default();
            FrequentTarget {
                target: target.to_owned(),
                account: account.to_owned(),
                count: counted.count,
                over: counted.over,
            }
        });
        Frequent {
            top: top.collect(),
            distinct: exact.then_some(distinct),
            exact,
        }
    }

    fn forget(&mut self, kept: usize) {
        let mut sorted: Vec<(Reverse<u64>, String)> = self
            .counts
            .iter()
            .map(|(key, counted)| (Reverse(counted.count), key.clone()))
            .collect();
        let (_, (Reverse(most), _), _) = sorted.select_nth_unstable(kept);
        self.floor = self.floor.max(*most);
        for (_, key) in sorted.drain(kept..) {
            self.counts.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The numbers of a fixed sequence that looks like chance.
    fn scattered(seed: u64) -> impl Iterator<Item = u64> {
        let mut state = seed;
        std::iter::from_fn(move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Some(state >> 33)
        })
    }

    #[test]
    fn few_targets_are_counted_exactly_and_in_order() {
        let (mut one, mut other) = (Counter::default(), Counter::default());
        for _ in 0..3 {
            one.add("111122223333", "often");
            other.add("111122223333", "often");
        }
        one.add("111122223333", "b");
        other.add("444455556666", "a");
        one.merge(other);
        let told = one.told();
        assert!(told.exact);
        assert_eq!(told.distinct, Some(3));
        let top: Vec<_> = told
            .top
            .iter()
            .map(|one| (one.target.as_str(), one.count, one.over))
            .collect();
        assert_eq!(top, [("often", 6, 0), ("b", 1, 0), ("a", 1, 0)]);
    }

    #[test]
    fn of_many_targets_no_count_is_too_low_nor_too_high_by_more_than_it_says() {
        let mut true_counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut counters = [Counter::default(), Counter::default()];
        for (index, number) in scattered(7).take(400_000).enumerate() {
            // A quarter falls on forty buckets, the rest on very many.
            let bucket = match number % 4 {
                0 => format!("often-{}", number / 4 % 40),
                _ => format!("rare-{}", number / 4 % 90_000),
            };
            counters[index % 2].add("111122223333", &bucket);
            *true_counts.entry(bucket).or_default() += 1;
        }
        let [mut one, other] = counters;
        one.merge(other);
        assert!(one.counts.len() < 2 * KEPT);
        let told = one.told();
        assert!(!told.exact);
        assert_eq!(told.distinct, None);
        for found in &told.top {
            let truly = true_counts[&found.target];
            assert!(
                found.count >= truly && found.count - found.over <= truly,
                "{found:?}: {truly}"
            );
        }
        let often = told.top.iter().take(40);
        assert!(often.clone().count() == 40);
        for found in often {
            assert!(found.target.starts_with("often-"), "{found:?}");
        }
    }
}
