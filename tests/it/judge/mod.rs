//! Who loses what under each measure, judged by an evaluator that is not our builder and knows AWS services, accounts,
//! organizations and RestrictPublicBuckets; and the page of the documentation that says so.

mod callers;
mod page;
mod variants;

use std::collections::BTreeSet;
use std::path::Path;

use portcullis::measures::Measure;
use portcullis::settings::SettingKind;
use serde_json::{Value, json};

use self::callers::{ACTS, BUCKET, COMMON, Kind, MALWARE, PARTNER, callers};
use self::page::Table;
use self::variants::{VARIANTS, Who};
use crate::evaluator::{Batch, Judged, Request, Verdict, judge};

/// One test, because judging takes seconds.
#[test]
fn who_loses_what() {
    let judged = Table::judge();
    everybody_has_something_to_lose(&judged);
    every_measure_takes_something_from_somebody(&judged);
    nobody_gains_anything(&judged);
    break_glass_and_our_own_role_keep_everything(&judged);
    aws_services_keep_what_they_had(&judged);
    the_actor_loses_everything_and_nobody_else_anything(&judged);
    a_name_like_break_glass_is_worth_nothing(&judged);
    what_aws_does_otherwise_is_treated_as_anybody_else(&judged);
    service_linked_roles_keep_what_they_had(&judged);
    the_page_says_so(&judged);
}

/// The page is generated; `BLESS=1` writes it anew.
fn the_page_says_so(judged: &Table) {
    let page = judged.page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/who-loses-what.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "{} is out of date; `make bless` writes it anew:\n{page}",
        path.display()
    );
}

/// Otherwise "denied" could be the verdict on a request that the bucket never allowed.
fn everybody_has_something_to_lose(judged: &Table) {
    for (caller, had) in judged.callers.iter().zip(&judged.before) {
        assert!(!had.is_empty(), "{}", caller.name);
        if matches!(caller.kind, Kind::MustStay | Kind::Actor | Kind::ActorAgain) {
            assert_eq!(had.len(), COMMON, "{}", caller.name);
        }
    }
}

/// A statement that hits nobody would pass the rest.
fn every_measure_takes_something_from_somebody(judged: &Table) {
    for (variant, after) in VARIANTS.iter().zip(&judged.after) {
        assert_ne!(*after, judged.before, "{}", variant.heading);
    }
}

fn nobody_gains_anything(judged: &Table) {
    judged.each(|variant, caller, had, has| {
        assert!(has.is_subset(had), "{}: {}", variant.heading, caller.name);
    });
}

fn break_glass_and_our_own_role_keep_everything(judged: &Table) {
    let mut kept = 0;
    judged.each(|variant, caller, had, has| {
        if caller.kind == Kind::MustStay {
            assert_eq!(had, has, "{}: {}", variant.heading, caller.name);
            kept += has.len();
        }
    });
    assert_eq!(kept, 2 * COMMON * VARIANTS.len());
}

/// But for malware, which CloudFront shall not hand out either.
fn aws_services_keep_what_they_had(judged: &Table) {
    let mut kept = 0;
    judged.each(|variant, caller, had, has| {
        if caller.kind != Kind::Service {
            return;
        }
        let quarantine = variant.yaml == "quarantine-object";
        let mut expected = had.clone();
        expected.retain(|act| !quarantine || ACTS[*act].key != Some(MALWARE));
        assert_eq!(*has, expected, "{}: {}", variant.heading, caller.name);
        kept += has.len();
    });
    // CloudFront two objects, log delivery and CloudTrail one each; the object in quarantine less.
    assert_eq!(kept, 4 * VARIANTS.len() - 1);
}

/// What the page says in words of the origin access identity and of load balancers' logs.
fn what_aws_does_otherwise_is_treated_as_anybody_else(judged: &Table) {
    let mut lost = 0;
    judged.each(|variant, caller, had, has| {
        let identity = caller.name.ends_with("origin access identity");
        if !identity && !caller.name.starts_with("load balancers") {
            return;
        }
        let writes = variant.yaml.contains("access: writes");
        let among = |names: &[&str]| names.iter().any(|name| variant.heading.contains(name));
        let loses = among(&[
            "`isolate`",
            "`deny-outside`",
            "`restrict-network`",
            "` alone",
        ]);
        let mut expected = had.clone();
        match (loses && !(writes && identity), variant.yaml) {
            (true, _) => expected.clear(),
            (false, "quarantine-object") => expected.retain(|act| ACTS[*act].key != Some(MALWARE)),
            (false, _) => {}
        }
        // Load balancers write, and to a place of their own.
        if caller.key.is_some() && !loses {
            expected.clone_from(had);
        }
        assert_eq!(*has, expected, "{}: {}", variant.heading, caller.name);
        lost += usize::from(*has != *had);
    });
    // Block Public Access alone 2, and 3 each of the others; the identity an object in quarantine in place of writes.
    assert_eq!(lost, 11 + 11);
}

fn service_linked_roles_keep_what_they_had(judged: &Table) {
    let mut kept = 0;
    judged.each(|variant, caller, had, has| {
        if caller.name.contains("service-linked") {
            assert_eq!(had, has, "{}: {}", variant.heading, caller.name);
            kept += 1;
        }
    });
    assert_eq!(kept, 2 * VARIANTS.len());
}

fn the_actor_loses_everything_and_nobody_else_anything(judged: &Table) {
    let mut hits = 0;
    judged.each(|variant, caller, had, has| {
        if !variant.yaml.contains("deny-actor") {
            return;
        }
        let hit = match variant.actor {
            Who::Session if variant.yaml.contains("session") => caller.kind == Kind::Actor,
            Who::Session => matches!(caller.kind, Kind::Actor | Kind::ActorAgain),
            Who::Anonymous => caller.principal.is_none(),
            Who::Partner if variant.yaml.contains("account") => caller.account() == PARTNER,
            Who::Partner => caller
                .principal
                .as_deref()
                .is_some_and(|principal| principal.contains("/loader/")),
        };
        let expected = if hit { BTreeSet::new() } else { had.clone() };
        assert_eq!(*has, expected, "{}: {}", variant.heading, caller.name);
        hits += usize::from(hit);
    });
    // The session from two addresses; with the role's other one, three; two anonymous; one role of the partner; both.
    assert_eq!(hits, 2 + 3 + 2 + 1 + 2);
}

/// A role of that name in an account that is none of ours is a stranger.
fn a_name_like_break_glass_is_worth_nothing(judged: &Table) {
    let at = |name: &str| {
        let position = judged.callers.iter().position(|c| c.name.contains(name));
        position.unwrap()
    };
    let (named, stranger) = (at("named like break-glass"), at("a stranger's account"));
    for (variant, after) in VARIANTS.iter().zip(&judged.after) {
        assert_eq!(after[named], after[stranger], "{}", variant.heading);
    }
}

#[test]
fn every_measure_that_decides_access_is_judged() {
    let decides = [
        SettingKind::BucketPolicy,
        SettingKind::PublicAccessBlock,
        SettingKind::AccountPublicAccessBlock,
    ];
    for measure in Measure::catalogue() {
        let info = measure.info();
        let judged = VARIANTS.iter().any(|variant| {
            let mut words = variant.yaml.split(['{', ':', ',', ' ']);
            words.any(|word| word == info.name)
        });
        let amends = info.amends.iter().any(|kind| decides.contains(kind));
        assert_eq!(judged, amends, "{}", info.name);
    }
}

/// The second judge of every document that the cases of `tests/cases/decide` end in.
#[test]
fn no_decision_locks_out_break_glass_or_our_own_role() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/decide");
    let (mut batches, mut names) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let folder = entry.unwrap().path();
        let json = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let decided = match json("expected.json") {
            Value::Array(decided) => decided,
            one => vec![one],
        };
        let facts = json("facts.json");
        let parsed = |text: &Value| -> Option<Value> {
            let text = text.as_str()?;
            Some(serde_json::from_str(text).unwrap())
        };
        let policy = &facts["bucket-policy"]["present"]["bucket-policy"];
        let points = &facts["access-point-policies"]["present"]["access-point-policies"];
        let changes = decided
            .iter()
            .flat_map(|d| d["decision"]["plan"].as_array().unwrap());
        let documents = changes.flat_map(|change| match change["setting"].as_str().unwrap() {
            "bucket-policy" => vec![(parsed(policy), change["after"].clone())],
            "access-point-policies" => {
                let after = change["after"].as_object().unwrap().iter();
                after
                    .map(|(name, after)| (parsed(&points[name]["policy"]), after.clone()))
                    .collect()
            }
            _ => Vec::new(),
        });
        for (before, after) in documents {
            let after = Some(after).filter(Value::is_object);
            names.push(folder.display().to_string());
            let judged = |policy| Judged {
                policy,
                restricted: false,
            };
            batches.push(Batch {
                requests: who_must_stay(after.as_ref()),
                documents: vec![judged(before), judged(after)],
            });
        }
    }
    let verdicts = judge(&batches);
    let (mut allowed, mut of_sessions, mut through_points) = (0, 0, 0);
    for ((name, batch), verdicts) in names.iter().zip(&batches).zip(&verdicts) {
        for ((request, was), is) in batch.requests.iter().zip(&verdicts[0]).zip(&verdicts[1]) {
            let who = request.principal.as_ref().unwrap();
            let (was, is) = (*was == Verdict::Allowed, *is == Verdict::Allowed);
            assert!(is || !was, "{name}: {} is denied to {who}", request.action);
            allowed += usize::from(is);
            of_sessions += usize::from(is && request.resource.contains(":s3express:"));
            through_points += usize::from(is && request.resource.contains(":accesspoint/"));
        }
    }
    assert!(of_sessions > 20, "only {of_sessions} sessions");
    assert!(
        through_points > 20,
        "only {through_points} through access points"
    );
    assert!(allowed > 300, "only {allowed} requests were allowed");
}

/// Break-glass and our own role asking for everything that the page has, on the bucket or access point that `policy` is of,
/// as far as there are such requests.
fn who_must_stay(policy: Option<&Value>) -> Vec<Request> {
    let resource = |statement: &Value| match &statement["Resource"] {
        Value::Array(resources) => resources[0].as_str().map(str::to_owned),
        resource => resource.as_str().map(str::to_owned),
    };
    let ours = |statement: &&Value| {
        let sid = statement["Sid"].as_str();
        sid.is_some_and(|sid| sid.starts_with("Portcullis"))
    };
    let statements = policy.and_then(|policy| policy["Statement"].as_array());
    let ours = statements.and_then(|statements| statements.iter().find(ours).and_then(resource));
    let is = |part: &str| ours.as_deref().is_some_and(|arn| arn.contains(part));
    let (is_directory, is_point) = (is(":s3express:"), is(":accesspoint/"));
    let bucket = match ours.as_deref() {
        Some(arn) if is_directory => arn,
        Some(arn) if is_point => arn.split("/object/").next().unwrap(),
        Some(arn) => arn.split('/').next().unwrap(),
        None => BUCKET,
    };
    let of_settings = |request: &Request| {
        let endings = ["Policy", "PublicAccessBlock"];
        endings
            .iter()
            .any(|ending| request.action.ends_with(ending))
    };
    let partition = bucket.split(':').nth(1).unwrap();
    let stays = callers()
        .into_iter()
        .filter(|caller| caller.kind == Kind::MustStay);
    let requests = stays.flat_map(|caller| caller.requests());
    requests
        .filter(|request| !is_point || !of_settings(request))
        .map(|mut request| {
            let inside = format!("{bucket}{}", if is_point { "/object/" } else { "/" });
            let resource = request.resource.replace(&format!("{BUCKET}/"), &inside);
            request.resource = resource.replace(BUCKET, bucket);
            if is_directory {
                request.action = "s3express:CreateSession".to_owned();
                request.resource = bucket.to_owned();
                request.context.retain(|key, _| !key.starts_with("s3:"));
            }
            let local = |arn: &str| arn.replace("arn:aws:", &format!("arn:{partition}:"));
            request.principal = request.principal.as_deref().map(local);
            let arn = request.context["aws:PrincipalArn"].as_str().map(local);
            request.context["aws:PrincipalArn"] = json!(arn);
            request
        })
        .collect()
}
