//! Pauses between attempts: growing, bounded, and different for everybody who waits for the same.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pause before attempt `attempt + 1`: `first` doubled each time up to `most`, and of that a
/// random part between a half and the whole.
pub(crate) fn pause(attempt: u32, first: Duration, most: Duration) -> Duration {
    let whole = first
        .saturating_mul(2_u32.saturating_pow(attempt))
        .min(most);
    // The standard library's hash keys are random, which is all that spreading out asks for and
    // saves a generator crate.
    let random = RandomState::new().hash_one(attempt) % 1000;
    whole / 2 + (whole / 2).mul_f64(random as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds() {
        let (first, most) = (Duration::from_millis(100), Duration::from_secs(2));
        for (attempt, whole) in [(0, 100), (1, 200), (4, 1600), (5, 2000), (u32::MAX, 2000)] {
            let pause = pause(attempt, first, most).as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{attempt}: {pause}");
        }
    }
}
