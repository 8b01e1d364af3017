//! Targets by day, family and effect.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Day, Days, FamilyCount, MOST_DAYS, OTHER_FAMILIES};
use crate::verdict::Effect;

/// GuardDuty has a dozen families about S3; a source that names many more is not GuardDuty's.
const MOST_FAMILIES: usize = 64;
/// The longest name of a family that is kept.
const LONGEST: usize = 80;

#[derive(Debug, Clone, Default)]
pub(super) struct Calendar {
    days: BTreeMap<Date, Vec<(u16, Effect, u64)>>,
    families: Vec<String>,
    earlier: u64,
    undated: u64,
    /// The day of the last one, as its first and last second: most follow each other.
    last: Option<(i64, i64, Date)>,
}

impl Calendar {
    pub(super) fn add(&mut self, at: Option<Timestamp>, kind: &str, effect: Effect) {
        let Some(at) = at else {
            self.undated += 1;
            return;
        };
        let day = self.day(at);
        let family = self.family(kind.split_once('/').map_or(kind, |(family, _)| family));
        self.count(day, family, effect, 1);
        self.prune();
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (day, counts) in other.days {
            for (family, effect, count) in counts {
                let name = other.families.get(usize::from(family));
                let family = self.family(name.map_or(OTHER_FAMILIES, String::as_str));
                self.count(day, family, effect, count);
            }
        }
        self.earlier += other.earlier;
        self.undated += other.undated;
        self.prune();
    }

    pub(super) fn told(self) -> Days {
        let families = self.families;
        let days = self.days.into_iter().map(|(day, counts)| {
            let mut families: Vec<FamilyCount> = counts
                .into_iter()
                .map(|(family, effect, count)| FamilyCount {
                    family: families
                        .get(usize::from(family))
                        .cloned()
                        .unwrap_or_default(),
                    effect,
                    count,
                })
                .collect();
            families.sort_by(|a, b| (&a.family, a.effect).cmp(&(&b.family, b.effect)));
            Day { day, families }
        });
        Days {
            days: days.collect(),
            earlier: self.earlier,
            undated: self.undated,
        }
    }

    fn count(&mut self, day: Date, family: u16, effect: Effect, by: u64) {
        let counts = self.days.entry(day).or_default();
        let known = counts
            .iter_mut()
            .find(|known| known.0 == family && known.1 == effect);
        match known {
            Some((_, _, count)) => *count += by,
            None => counts.push((family, effect, by)),
        }
    }

    fn prune(&mut self) {
        while self.days.len() > MOST_DAYS {
            let Some((_, counts)) = self.days.pop_first() else {
                return;
            };
            self.earlier += counts.iter().map(|(_, _, count)| count).sum::<u64>();
        }
    }

    fn day(&mut self, at: Timestamp) -> Date {
        let second = at.as_second();
        if let Some((_, _, day)) = self
            .last
            .filter(|(first, last, _)| (*first..=*last).contains(&second))
        {
            return day;
        }
        const SECONDS: i64 = 86_400;
        let day = TimeZone::UTC.to_datetime(at).date();
        let first = second.div_euclid(SECONDS) * SECONDS;
        self.last = Some((first, first + SECONDS - 1, day));
        day
    }

    /// The number of a family. The last one stands for all that are too many.
    fn family(&mut self, name: &str) -> u16 {
        let known = self.families.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            let is_full = self.families.len() >= MOST_FAMILIES || name.len() > LONGEST;
            let name = if is_full { OTHER_FAMILIES } else { name };
            let known = self.families.iter().position(|known| known == name);
            known.unwrap_or_else(|| {
                self.families.push(name.to_owned());
                self.families.len() - 1
            })
        });
        // There are few: see above.
        number as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;

    fn at(text: &str) -> Timestamp {
        match text.parse() {
            Ok(at) => at,
            Err(error) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn days_end_at_midnight_in_utc_and_families_are_told_apart() {
        let mut calendar = Calendar::default();
        let (first, second) = (at("2026-03-01T23:59:59.9Z"), at("2026-03-02T00:00:00Z"));
        calendar.add(Some(second), "Policy:S3/A", Effect::Contained);
        calendar.add(Some(first), "Policy:S3/B", Effect::Contained);
        calendar.add(Some(first), "Policy:S3/A", Effect::Contained);
        calendar.add(Some(first), "Impact:S3/A", Effect::Withheld);
        calendar.add(None, "Impact:S3/A", Effect::Withheld);
        let told = calendar.told();
        assert_eq!(told.undated, 1);
        let told: Vec<_> = told
            .days
            .iter()
            .flat_map(|day| {
                day.families.iter().map(|one| {
                    (
                        day.day.to_string(),
                        one.family.as_str(),
                        one.effect,
                        one.count,
                    )
                })
            })
            .collect();
        let day = |day: &str| day.to_owned();
        assert_eq!(
            told,
            [
                (day("2026-03-01"), "Impact:S3", Effect::Withheld, 1),
                (day("2026-03-01"), "Policy:S3", Effect::Contained, 2),
                (day("2026-03-02"), "Policy:S3", Effect::Contained, 1),
            ]
        );
    }

    #[test]
    fn neither_many_days_nor_many_families_fill_the_memory() {
        let mut calendars = [Calendar::default(), Calendar::default()];
        let start = at("2020-01-01T12:00:00Z");
        for number in 0..2_000_i64 {
            let moment = start + (number * 24).hours();
            let kind = format!("Family{number}:S3/A");
            let calendar = &mut calendars[(number % 2) as usize];
            calendar.add(Some(moment), &kind, Effect::Contained);
        }
        let [mut one, other] = calendars;
        one.merge(other);
        assert!(one.families.len() <= MOST_FAMILIES + 1);
        let told = one.told();
        assert_eq!(told.days.len(), MOST_DAYS);
        assert_eq!(told.earlier, 2_000 - MOST_DAYS as u64);
        assert_eq!(told.days[0].day.to_string(), "2024-05-19");
    }
}
