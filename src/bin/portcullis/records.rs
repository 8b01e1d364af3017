//! `records` and `show`: what happened, from the store.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use portcullis::engine::since;
use portcullis::page;
use portcullis::record::Outcome;
use portcullis::report::{self, Account, LINE, shown};
use portcullis::store::{RECORDS, Store};
use serde::Serialize;

use crate::args::{Records, Show};
use crate::exit::{Exit, Failure};
use crate::out::Out;
use crate::session;

/// Records that are read at the same time.
pub(crate) const AT_ONCE: usize = 8;

/// One line of the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    id: String,
    at: Timestamp,
    #[serde(rename = "type")]
    kind: String,
    target: String,
    /// None while a run goes on, and for one that was cut off.
    outcome: Option<Outcome>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct List<'a> {
    version: u32,
    records: &'a [Row],
    more: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct One<'a> {
    version: u32,
    #[serde(flatten)]
    account: &'a Account,
}

/// The records, newest first.
pub(crate) async fn list(args: &Records, out: &mut Out) -> Result<Exit, Failure> {
    let store = session::open_store(&args.store).await?;
    let (ids, more) = newest(&store, args.limit).await?;
    let accounts: Vec<Result<Account, Failure>> = stream::iter(&ids)
        .map(|id| session::load(&store, id))
        .buffered(AT_ONCE)
        .collect()
        .await;

    let mut exit = Exit::Done;
    let mut rows = Vec::new();
    for account in accounts {
        match account {
            Ok(account) => rows.push(row(&account)),
            // One record that cannot be read must not hide the others.
            Err(failure) => {
                out.error(&failure.message);
                exit = exit.max(failure.exit);
            }
        }
    }
    // Ids carry the time of the finding; when it was dealt with is what a reader looks for.
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    match out.is_json() {
        true => out.json(&List {
            version: 1,
            records: &rows,
            more,
        })?,
        false => out.print(&table(&rows, out.style()))?,
    }
    if rows.is_empty() && exit == Exit::Done {
        out.note(&format!("there are no records in {}", store.describe()));
    }
    if more > 0 {
        out.note(&format!(
            "{more} older ones are not listed; --limit {} lists all",
            args.limit + more
        ));
    }
    Ok(exit)
}

/// One record and what became of it.
pub(crate) async fn show(args: &Show, out: &mut Out) -> Result<Exit, Failure> {
    args.page.check(out)?;
    let store = session::open_store(&args.store).await?;
    let mut account = session::load(&store, &args.record).await?;
    if account.record.rollback.is_none() {
        let since = since(&store, &args.record, &account.record).await;
        account.since = Some(since.map_err(|error| {
            Failure::failed(format!(
                "what became of it since cannot be told: {}",
                shown(&error.to_string(), 8 * LINE)
            ))
        })?);
    }
    match out.is_json() {
        true => out.json(&One {
            version: 1,
            account: &account,
        })?,
        false if args.page.is_stdout() => {}
        false => out.print(&report::account(&account, out.style()))?,
    }
    args.page.write(|| page::incident(&account), out)?;
    Ok(Exit::Done)
}

/// The ids of the last records, newest first, and how many there are besides.
pub(crate) async fn newest(store: &Store, limit: usize) -> Result<(Vec<String>, usize), Failure> {
    let keys = store.list(RECORDS).await.map_err(Failure::failed)?;
    let mut ids: Vec<&str> = keys.iter().filter_map(|key| id(key)).collect();
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(time(id)));
    let more = ids.len().saturating_sub(limit);
    let ids = ids.into_iter().take(limit).map(str::to_owned);
    Ok((ids.collect(), more))
}

/// The id in the key of a record; none for the key of a result.
pub(crate) fn id(key: &str) -> Option<&str> {
    let id = key.strip_prefix(RECORDS)?.strip_suffix(".json")?;
    (!id.ends_with(".result")).then_some(id)
}

/// The part of an id that begins with the time, whatever kind of record it is.
fn time(id: &str) -> &str {
    id.split_once('-').map_or(id, |(_, time)| time)
}

fn row(account: &Account) -> Row {
    let record = &account.record;
    Row {
        id: record.id.clone(),
        at: record.at,
        kind: record.finding.kind.clone(),
        target: record.target_name().to_owned(),
        outcome: account.outcome(),
    }
}

fn table(rows: &[Row], style: report::Style) -> String {
    let cells: Vec<[String; 5]> = rows
        .iter()
        .map(|row| {
            let at = row.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            let outcome = row.outcome.map_or("unfinished", Outcome::word).to_owned();
            [
                shown(&row.id, LINE),
                at,
                shown(&row.kind, LINE),
                shown(&row.target, LINE),
                outcome,
            ]
        })
        .collect();
    let width = |column: usize| {
        cells
            .iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (id, at, kind, target) = (width(0), width(1), width(2), width(3));
    let mut text = String::new();
    for [a, b, c, d, e] in &cells {
        let outcome = match e.as_str() {
            "contained" | "already-contained" | "rolled-back" => style.good(e),
            "failed" | "partial" => style.bad(e),
            _ => style.doubtful(e),
        };
        text += &format!("{a:<id$}  {b:<at$}  {c:<kind$}  {d:<target$}  {outcome}\n");
    }
    text
}
