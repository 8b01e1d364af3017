//! What every store must do, whatever it is made of.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use portcullis::store::{
    Created, Deleted, Fetched, Lease, LeaseError, LeaseRequest, POLICY_KEY, Released, Replaced,
    Store, acquire, lease_key, record_key, release_key,
};

const ACCOUNT: &str = "111122223333";
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Opens the store under test, once for each thread: an HTTP client belongs to its runtime.
pub(super) type Open<'a> = &'a (dyn Fn() -> Store + Sync);

pub(super) fn keep_the_contract(open: Open) {
    run(reads_what_was_written(&open()));
    run(replaces_only_what_was_read(&open()));
    run(deletes_only_what_was_read(&open()));
    run(lists_by_prefix(&open()));
    one_creator_wins(open);
    run(a_held_lease_is_refused_until_it_is_released(&open()));
    run(an_expired_lease_is_taken_over(&open()));
    run(a_broken_lease_does_not_block_for_ever(&open()));
    one_taker_wins(open);
}

async fn reads_what_was_written(store: &Store) {
    let key = record_key("reads").unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None);
    let absent = store.get_if_changed(&key, Some("\"etag\"")).await.unwrap();
    assert_eq!(absent, Fetched::Absent);

    let Created::Done { etag } = store.create(&key, b"first").await.unwrap() else {
        panic!("a free name was taken");
    };
    let other = store.create(&key, b"other").await.unwrap();
    assert_eq!(other, Created::Exists);
    // The SDK sends a create again whose response was lost.
    let again = store.create(&key, b"first").await.unwrap();
    assert_eq!(again, Created::Done { etag: etag.clone() });

    let object = store.get(&key).await.unwrap().unwrap();
    assert_eq!(
        (object.bytes.as_slice(), &object.etag),
        (&b"first"[..], &etag)
    );
    let age = Timestamp::now().duration_since(object.modified.unwrap());
    assert!(age.abs() < MINUTE, "{age}");
    let same = store.get_if_changed(&key, Some(&etag)).await.unwrap();
    assert_eq!(same, Fetched::Unchanged);
    let stale = store.get_if_changed(&key, Some("\"etag\"")).await.unwrap();
    assert_eq!(stale, Fetched::New(object));
}

async fn replaces_only_what_was_read(store: &Store) {
    let key = record_key("replaces").unwrap();
    let none = store.replace(&key, b"x", "\"etag\"").await.unwrap();
    assert_eq!(none, Replaced::Changed);
    assert_eq!(store.get(&key).await.unwrap(), None);

    let first = create(store, &key, b"first").await;
    let Replaced::Done { etag } = store.replace(&key, b"second", &first).await.unwrap() else {
        panic!("nobody had changed it");
    };
    let stale = store.replace(&key, b"third", &first).await.unwrap();
    assert_eq!(stale, Replaced::Changed);
    let again = store.replace(&key, b"second", &first).await.unwrap();
    assert_eq!(again, Replaced::Done { etag });
    assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, b"second");
}

async fn deletes_only_what_was_read(store: &Store) {
    let key = record_key("deletes").unwrap();
    let etag = create(store, &key, b"first").await;
    let stale = store.delete(&key, "\"etag\"").await.unwrap();
    assert_eq!(stale, Deleted::Changed);
    assert_eq!(store.get(&key).await.unwrap().unwrap().bytes, b"first");
    assert_eq!(store.delete(&key, &etag).await.unwrap(), Deleted::Done);
    assert_eq!(store.get(&key).await.unwrap(), None);
    assert_eq!(store.delete(&key, &etag).await.unwrap(), Deleted::Absent);
}

async fn lists_by_prefix(store: &Store) {
    let release = |bucket| release_key("f", ACCOUNT, bucket).unwrap();
    let keys = [release(None), release(Some("a")), release(Some("b.c"))];
    for key in keys.iter().rev() {
        create(store, key, b"{}").await;
    }
    create(store, POLICY_KEY, b"version: 1\n").await;
    assert_eq!(store.list("releases/").await.unwrap(), keys);
    assert_eq!(
        store
            .list(&format!("releases/f/{ACCOUNT}/b"))
            .await
            .unwrap(),
        keys[2..]
    );
    assert_eq!(store.list("nothing/").await.unwrap(), Vec::<String>::new());
    let all = store.list("").await.unwrap();
    assert!(all.is_sorted() && all.contains(&POLICY_KEY.to_owned()));
}

fn one_creator_wins(open: Open) {
    let key = record_key("race").unwrap();
    let created = race(16, |n| {
        let bytes = format!("creator {n}");
        matches!(
            run(open().create(&key, bytes.as_bytes())).unwrap(),
            Created::Done { .. }
        )
    });
    assert_eq!(created.iter().filter(|won| **won).count(), 1);
    let winner = created.iter().position(|won| *won).unwrap();
    let object = run(open().get(&key)).unwrap().unwrap();
    assert_eq!(object.bytes, format!("creator {winner}").as_bytes());
}

async fn a_held_lease_is_refused_until_it_is_released(store: &Store) {
    let now = Timestamp::now();
    let first = lease(store, "held", "first", now, now).await.unwrap();
    assert!(first.holds_at(now) && !first.holds_at(first.expires));
    assert_eq!(first.expires, now + MINUTE);

    let refused = lease(store, "held", "second", now, now).await.unwrap_err();
    assert!(refused.is_transient());
    let place = store.place(&lease_key(ACCOUNT, Some("held")).unwrap());
    let text = format!(
        "the lease {place} is held for finding \"first\" since {now} and expires at {}; try \
         again after that",
        now + MINUTE
    );
    assert_eq!(refused.to_string(), text);

    let waiting = async {
        let until = Timestamp::now() + SignedDuration::from_secs(20);
        let request = request("held", "second", until);
        acquire(store, request, &Timestamp::now).await.unwrap()
    };
    let releasing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        first.release(store).await.unwrap()
    };
    let (second, released) = tokio::join!(waiting, releasing);
    assert_eq!(released, Released::Done);
    assert_eq!(second.holder, "second");
    assert_eq!(second.release(store).await.unwrap(), Released::Done);
}

async fn an_expired_lease_is_taken_over(store: &Store) {
    let then = Timestamp::now();
    let crashed = lease(store, "expired", "crashed", then, then)
        .await
        .unwrap();
    // Clocks differ by a little: just after the expiry its holder may still believe in it.
    let close = then + MINUTE + SignedDuration::from_secs(2);
    let refused = lease(store, "expired", "hasty", close, close).await;
    assert!(
        matches!(refused, Err(LeaseError::Held { .. })),
        "{refused:?}"
    );
    let later = then + MINUTE + SignedDuration::from_secs(6);
    let taken = lease(store, "expired", "next", later, later).await.unwrap();
    assert_eq!(crashed.release(store).await.unwrap(), Released::Lost);
    assert_eq!(taken.release(store).await.unwrap(), Released::Done);
}

async fn a_broken_lease_does_not_block_for_ever(store: &Store) {
    let now = Timestamp::now();
    let eternal = r#"{"version":1,"holder":"x","finding":"x","acquired":"2026-01-01T00:00:00Z",
        "expires":"9000-01-01T00:00:00Z","released":false}"#;
    for (bucket, bytes, problem) in [
        ("rubbish", "", "it is no JSON: EOF"),
        ("newer", r#"{"version":2}"#, "it is not of version 1"),
        (
            "eternal",
            eternal,
            "it claims to last until 9000-01-01T00:00:00Z",
        ),
    ] {
        let key = lease_key(ACCOUNT, Some(bucket)).unwrap();
        create(store, &key, bytes.as_bytes()).await;
        let refused = lease(store, bucket, "early", now, now).await.unwrap_err();
        assert!(
            matches!(refused, LeaseError::Unreadable { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains(problem), "{refused}");
        let later = now + MINUTE * 2;
        let taken = lease(store, bucket, "late", later, later).await.unwrap();
        assert_eq!(taken.release(store).await.unwrap(), Released::Done);
    }
}

fn one_taker_wins(open: Open) {
    let then = Timestamp::now();
    let crashed = run(lease(&open(), "takers", "crashed", then, then)).unwrap();
    let later = crashed.expires + MINUTE;
    let taken = race(8, |n| {
        let taken = run(lease(
            &open(),
            "takers",
            &format!("taker {n}"),
            later,
            later,
        ));
        match taken {
            Ok(lease) => Some(lease.holder),
            Err(LeaseError::Held { finding, .. }) => {
                assert!(finding.starts_with("taker"), "{finding}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    });
    assert_eq!(taken.iter().flatten().count(), 1, "{taken:?}");
}

pub(super) async fn create(store: &Store, key: &str, bytes: &[u8]) -> String {
    match store.create(key, bytes).await.unwrap() {
        Created::Done { etag } => etag,
        Created::Exists => panic!("{key} exists"),
    }
}

fn request<'a>(bucket: &str, holder: &'a str, wait_until: Timestamp) -> LeaseRequest<'a> {
    LeaseRequest {
        key: lease_key(ACCOUNT, Some(bucket)).unwrap(),
        holder,
        finding: holder,
        ttl: MINUTE,
        wait_until,
    }
}

async fn lease(
    store: &Store,
    bucket: &str,
    holder: &str,
    now: Timestamp,
    wait_until: Timestamp,
) -> Result<Lease, LeaseError> {
    acquire(store, request(bucket, holder, wait_until), &|| now).await
}

/// Runs a future as the program does, on a single thread.
pub(super) fn run<F: Future>(future: F) -> F::Output {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

fn race<T: Send>(racers: usize, racer: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(racers);
    thread::scope(|scope| {
        let (start, racer) = (&start, &racer);
        let racers = (0..racers).map(|n| {
            scope.spawn(move || {
                start.wait();
                racer(n)
            })
        });
        let racers: Vec<_> = racers.collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap())
            .collect()
    })
}
