//! What became of a containment since, as far as the store tells: not what the bucket is like now.

use super::rows::{Row, Text, Tone};
use super::{LINE, header, shown};
use crate::record::{Outcome, Since, Stands};

use super::Account;

/// Whether it stands, who rolled it back, and whether the finding was released; nothing where the store was not asked, or
/// where the record is of a rollback.
pub(crate) fn now(account: &Account) -> Vec<Row> {
    let Some(since) = &account.since else {
        return Vec::new();
    };
    let Since {
        stands,
        rollbacks,
        release,
    } = since;
    let mut items = vec![standing(stands, account)];
    items.extend(rollbacks.iter().map(|rollback| {
        let outcome = rollback.outcome.map_or("has not ended", Outcome::word);
        Text::from(format!(
            "rollback {} at {:.0} by {}: {outcome}",
            shown(&rollback.record, LINE),
            rollback.at,
            shown(&rollback.by, LINE)
        ))
    }));
    items.extend(release.as_ref().map(|release| {
        Text::from(format!(
            "released at {:.0} by {}: updates of this finding leave {} alone",
            release.at,
            shown(&release.by, LINE),
            header::the_target(&account.record.target)
        ))
    }));
    vec![Row { name: "Now", items }]
}

fn standing(stands: &Stands, account: &Account) -> Text {
    match stands {
        Stands::Never => "no containment of this finding stands: none was begun".into(),
        Stands::Ended { at, why } => {
            let ended = Text::new(Tone::Strong, "no longer contained");
            ended.plain(format!(": {}, at {at:.0}", shown(why, 2 * LINE)))
        }
        Stands::MayStand { expires, hold } => {
            let end = match expires {
                Some(at) => format!("; ends by itself at {at:.0}"),
                None => "; does not end by itself".to_owned(),
            };
            let held = match hold {
                true => "; what somebody undoes is put back",
                false => "",
            };
            let result = account.result.as_ref();
            match result.is_some_and(|result| result.outcome == Outcome::Failed) {
                // The mark is of all attempts, and is made before any of them writes.
                true => Text::new(Tone::Strong, "perhaps contained").plain(
                    ", by another attempt: this one changed nothing that is known of".to_owned(),
                ),
                false => Text::new(Tone::Strong, "contained").plain(format!("{end}{held}")),
            }
        }
    }
}
