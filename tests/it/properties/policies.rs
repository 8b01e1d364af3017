//! Bucket policies of every shape that S3 lets one have, and some that it does not.

use std::collections::BTreeSet;

use portcullis::settings::Setting;
use portcullis::statements::{By, Deny, Hits};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use super::{ACCOUNT, BUCKET, ORPHAN, PARTNER, present};

pub(super) fn bucket_policy() -> impl Strategy<Value = Setting> {
    let statement = prop_oneof![32 => foreign(), 4 => ours(), 4 => nearly_ours(), 1 => misspelt()];
    let count = prop_oneof![3 => 1..=1_usize, 6 => 2..=5_usize];
    let statements =
        count.prop_flat_map(move |count| proptest::collection::vec(statement.clone(), count));
    // Now and then there is hardly room for another statement.
    let filler = prop_oneof![9 => Just(0), 1 => 14_000..20_000_usize];
    let filler = (filler, select(vec!["x", "ü"]));
    let form = (
        any::<bool>(),
        any::<bool>(),
        select(vec!["", "Ablage-ü", "a\"b"]),
        select(vec![
            "2012-10-17",
            "2012-10-17",
            "2012-10-17",
            "2008-10-17",
            "",
        ]),
    );
    (statements, filler, form).prop_map(|(mut statements, filler, form)| {
        let (pretty, object, id, version) = form;
        if let (1.., letter) = filler {
            // S3 counts bytes. In a Sid, for there the judge need not read them with every request.
            let letters = letter.repeat(filler.0 / letter.len());
            statements.push(json!({
                "Sid": letters, "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::other/*",
            }));
        }
        let mut taken = BTreeSet::new();
        for (index, statement) in statements.iter_mut().enumerate() {
            // S3 wants the Sids of a policy to differ.
            let sid = statement
                .get("Sid")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if let Some(sid) = sid.filter(|sid| !taken.insert(sid.clone())) {
                statement["Sid"] = json!(format!("{sid}x{index}"));
            }
        }
        let mut document = Map::new();
        if !id.is_empty() {
            document.insert("Id".to_owned(), json!(id));
        }
        if !version.is_empty() {
            document.insert("Version".to_owned(), json!(version));
        }
        let list = match (object, statements.len()) {
            (true, 1) => statements.remove(0),
            _ => Value::from(statements),
        };
        document.insert("Statement".to_owned(), list);
        let text = match pretty {
            true => serde_json::to_string_pretty(&document),
            false => serde_json::to_string(&document),
        };
        present(&text.unwrap())
    })
}

fn ours() -> impl Strategy<Value = Value> + Clone {
    let spared = vec![
        "arn:aws:iam::*:role/SecurityBreakGlass",
        "arn:aws:iam::111122223333:role/portcullis/function",
        "arn:aws:iam::111122223333:role/aws-service-role/*",
        "arn:aws:iam::*:role/OldBreakGlass",
    ];
    let earlier = prop_oneof![
        Just((
            "PortcullisDenyActor",
            "StringLike",
            "aws:userid",
            "AROAEARLIEREXAMPLE01:*"
        )),
        Just((
            "PortcullisDenyActor",
            "StringLike",
            "aws:userid",
            "AIDACKCEVSQ6C2EXAMPLE"
        )),
        Just((
            "PortcullisDenyActorAccount",
            "StringEquals",
            "aws:PrincipalAccount",
            "999988887777"
        )),
        Just((
            "PortcullisDenySourceIp",
            "IpAddress",
            "aws:SourceIp",
            "198.51.100.23/32"
        )),
        Just(("PortcullisIsolateAll", "", "", "")),
    ];
    (earlier, subsequence(spared, 2..=4)).prop_map(|((sid, operator, key, value), spared)| {
        let hits = (!key.is_empty()).then(|| Hits {
            by: By::Condition(operator, key),
            values: [value.to_owned()].into(),
        });
        let deny = Deny {
            sid: sid.to_owned(),
            actions: ["s3:*".to_owned()].into(),
            spare_services: hits.is_none(),
            only: Vec::new(),
            hits,
            spared: spared.into_iter().map(str::to_owned).collect(),
        };
        deny.statement(BUCKET).value().clone()
    })
}

/// A statement of ours that somebody has changed.
fn nearly_ours() -> impl Strategy<Value = Value> + Clone {
    ours().prop_map(|mut statement| {
        statement["Resource"] = json!(format!("{BUCKET}/*"));
        statement
    })
}

/// A statement with elements in a case of their own. IAM's grammar has their names as literals, so that this grants nothing;
/// only the name of a condition key may be in any case.
fn misspelt() -> impl Strategy<Value = Value> + Clone {
    select(vec![
        json!({ "sid": "Team", "effect": "Allow", "principal": "*", "action": "s3:*", "resource": "*" }),
        json!({ "Effect": "Allow", "Principal": { "aws": "*" }, "Action": "s3:*", "Resource": "*" }),
        json!({ "Effect": "deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "*", "Note": 1 }),
    ])
}

fn foreign() -> impl Strategy<Value = Value> + Clone {
    let principal = prop_oneof![
        3 => Just(("Principal", json!("*"))),
        2 => Just(("Principal", json!({ "AWS": "*" }))),
        2 => Just(("Principal", json!({ "AWS": ACCOUNT }))),
        2 => Just(("Principal", json!({ "AWS": "arn:aws:iam::444455556666:root" }))),
        2 => Just(("Principal", json!({ "AWS": ["arn:aws:iam::111122223333:role/app"] }))),
        1 => Just(("Principal", json!({ "AWS": ["*", "arn:aws:iam::111122223333:role/app"] }))),
        1 => Just(("Principal", json!({ "AWS": [ORPHAN, "arn:aws:iam::111122223333:role/app"] }))),
        1 => Just(("Principal", json!({ "Service": "logging.s3.amazonaws.com" }))),
        1 => Just(("Principal", json!({ "Service": ["cloudtrail.amazonaws.com"], "AWS": PARTNER }))),
        1 => Just(("Principal", json!({ "CanonicalUser": "a".repeat(64) }))),
        1 => Just(("NotPrincipal", json!({ "AWS": ["111122223333", PARTNER] }))),
        1 => Just(("NotPrincipal", json!({ "AWS": "arn:aws:iam::111122223333:user/of-nobody-here" }))),
        1 => Just(("NotPrincipal", json!({ "Service": ["logging.s3.amazonaws.com"] }))),
    ];
    let action = vec![
        "s3:GetObject",
        "s3:Get*",
        "s3:PutObject",
        "S3:LISTBUCKET",
        "s3:PutBucketPolicy",
        "s3:PutBucketPublicAccessBlock",
        "s3:*",
        "*",
    ];
    let resource = vec![
        BUCKET,
        "arn:aws:s3:::amzn-s3-demo-bucket/*",
        "arn:aws:s3:::amzn-s3-demo-bucket/public/*",
        "arn:aws:s3:::amzn-s3-demo-bucket/p?blic/k*",
        "arn:aws:s3:::amzn-s3-demo-bucket/${aws:username}/*",
        "arn:aws:s3:::amzn-s3-demo-bucket/Größe/*",
        "arn:aws:s3:::other/*",
    ];
    let sid = select(vec![
        "",
        "",
        "Team",
        "Öffentlich lesen",
        "PortcullisDenyActor",
        "PortcullisIsolateAll",
        "AllowAll2",
    ]);
    let effect = prop_oneof![3 => Just("Allow"), 1 => Just("Deny")];
    let odd = prop::bool::weighted(0.15);
    let actions = (odd, scalar_or_list(action));
    let resources = (odd, scalar_or_list(resource));
    (sid, effect, principal, actions, resources, condition()).prop_map(
        |(sid, effect, (element, principal), actions, resources, condition)| {
            let mut statement = Map::new();
            if !sid.is_empty() {
                statement.insert("Sid".to_owned(), json!(sid));
            }
            statement.insert("Effect".to_owned(), json!(effect));
            statement.insert(element.to_owned(), principal);
            let name = |odd, not: &str, plain: &str| (if odd { not } else { plain }).to_owned();
            statement.insert(name(actions.0, "NotAction", "Action"), actions.1);
            statement.insert(name(resources.0, "NotResource", "Resource"), resources.1);
            if let Some(condition) = condition {
                statement.insert("Condition".to_owned(), condition);
            }
            Value::Object(statement)
        },
    )
}

fn scalar_or_list(items: Vec<&'static str>) -> impl Strategy<Value = Value> + Clone {
    prop_oneof![
        select(items.clone()).prop_map(|item| json!(item)),
        subsequence(items, 1..=3)
            .prop_shuffle()
            .prop_map(|items| json!(items)),
    ]
}

fn condition() -> impl Strategy<Value = Option<Value>> + Clone {
    select(vec![
        Value::Null,
        Value::Null,
        Value::Null,
        json!({ "IpAddress": { "AWS:SourceIP": "203.0.113.0/24" } }),
        json!({ "IpAddress": { "aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"] } }),
        json!({ "NotIpAddress": { "aws:sourceip": ["203.0.113.0/24"] } }),
        json!({ "StringEquals": { "aws:PrincipalOrgID": ["o-exampleorgid"] } }),
        json!({ "StringNotEquals": { "aws:principalorgid": "o-exampleorgid" } }),
        json!({ "Bool": { "aws:SecureTransport": false } }),
        json!({ "ipADDRESS": { "aws:SourceIp": "198.18.0.0/15" } }),
        json!({ "STRINGEQUALS": { "AWS:PRINCIPALORGID": "o-exampleorgid" }, "bool": { "aws:SecureTransport": "TRUE" } }),
        json!({ "stringNotLikeIfExists": { "aws:userid": ["AROAAPPLICATIONEXAMPL:*", "AIDA*"] } }),
        json!({ "StringEquals": { "s3:authtype": "REST-QUERY-STRING" }, "NumericLessThan": { "s3:signatureAge": 600000 } }),
        json!({ "Bool": { "AWS:securetransport": "true" }, "StringLike": { "aws:userid": ["AROAAPPLICATIONEXAMPL:*"] } }),
        json!({ "ArnNotLike": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/*" } }),
        json!({ "StringEquals": { "aws:PrincipalAccount": PARTNER } }),
        json!({ "Null": { "aws:PrincipalArn": "true" } }),
        json!({ "BoolIfExists": { "aws:PrincipalIsAWSService": ["false"] } }),
    ])
    .prop_map(|condition| Some(condition).filter(|condition| !condition.is_null()))
}
