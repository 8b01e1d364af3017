//! Where a bucket is, if not where the finding says. MiniStack redirects as S3 does; the refusals that it does not know are
//! the proxy's, with the codes, headers and bodies that users of S3 report.

use portcullis::finding::Finding;
use portcullis::record::Outcome;

use crate::stand_in::{Answer, Verdict, flags, stranger_gets};
use crate::world::World;

/// Where the bucket is.
const HOME: &str = "us-east-1";
/// Where the finding says.
const GUESS: &str = "eu-west-1";

#[tokio::test]
async fn a_redirect_is_followed() {
    contained(World::new("redirect", |_| Verdict::Pass).await).await;
}

#[tokio::test]
async fn a_refusal_that_names_the_region_in_its_body_alone_is_followed() {
    let world = World::new("malformed", |request| {
        let region = format!("<Region>{HOME}</Region>");
        elsewhere(request, 400, "", "AuthorizationHeaderMalformed", &region)
    });
    contained(world.await).await;
}

#[tokio::test]
async fn where_the_refusal_names_no_region_a_head_does() {
    let world = World::new("location", |request| match request.starts_with("HEAD ") {
        true => elsewhere(request, 400, &header(HOME), "", ""),
        false => elsewhere(request, 400, "", "IllegalLocationConstraintException", ""),
    });
    let world = contained(world.await).await;
    let heads = world.proxy.requests().into_iter();
    let heads = heads.filter(|request| request.starts_with("HEAD "));
    assert_eq!(heads.count(), 2, "one for each look");
}

#[tokio::test]
async fn a_bucket_that_is_nowhere_is_a_failure_and_nothing_is_written() {
    for named in [String::new(), header(GUESS)] {
        let world = World::new("nowhere", move |request| {
            elsewhere(request, 301, &named, "PermanentRedirect", "")
        });
        let world = world.await;
        let report = world.respond(&guessed(&world)).await;
        assert_eq!(report.summary.outcome, Outcome::Failed);
        assert!(report.fails_the_invocation(), "the event must come again");
        let reason = report.summary.reason.unwrap();
        for part in ["PermanentRedirect", "the bucket is in another Region"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert_eq!(world.proxy.writes(), Vec::<String>::new());
        let stranger = stranger_gets(&world.endpoint, &world.bucket, "report.csv");
        assert_eq!(stranger, 200);
    }
}

/// What the wrong Region answers does not keep the bucket open: it is read, written and read back at home, and put back.
async fn contained(world: World) -> World {
    let report = world.respond(&guessed(&world)).await;
    let outcome = report.summary.outcome;
    assert_eq!(outcome, Outcome::Contained, "{:?}", report.error);
    assert_eq!(flags(&world.client, &world.bucket).await, Some([true; 4]));
    let stranger = || stranger_gets(&world.endpoint, &world.bucket, "report.csv");
    assert_eq!(stranger(), 403);

    // A rollback has nothing but the finding's guess, either.
    let report = world.roll_back(&report).await;
    let outcome = report.summary.outcome;
    assert_eq!(outcome, Outcome::RolledBack, "{:?}", report.error);
    assert_eq!(stranger(), 200);
    world
}

fn guessed(world: &World) -> Finding {
    Finding {
        region: GUESS.to_owned(),
        ..world.public()
    }
}

/// A refusal of what is signed for another Region than the bucket's. s3control knows no bucket's Region.
fn elsewhere(request: &str, status: u16, headers: &str, code: &str, more: &str) -> Verdict {
    if request.contains(" /v20180820/") {
        return Verdict::Pass;
    }
    let body = format!("<Error><Code>{code}</Code><Message>not here</Message>{more}</Error>");
    let headers = headers.to_owned();
    Verdict::NotIn(
        HOME,
        Answer {
            status,
            headers,
            body,
        },
    )
}

fn header(region: &str) -> String {
    format!("x-amz-bucket-region: {region}\r\n")
}
