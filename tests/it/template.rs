//! What template.yaml must not lose: least privilege, safe defaults, and nothing that is deleted or replaced by accident.

use std::collections::BTreeSet;
use std::path::Path;

/// One statement of a policy in the template.
pub(crate) struct Statement {
    pub(crate) sid: String,
    /// Whether it allows; otherwise it denies.
    pub(crate) allows: bool,
    /// The condition of the template under which it is there.
    pub(crate) condition: Option<String>,
    pub(crate) actions: BTreeSet<String>,
    /// Its lines, without comments.
    pub(crate) text: String,
}

#[test]
fn no_action_that_is_allowed_is_a_wildcard() {
    for statement in statements(&template()) {
        let wild = statement.actions.iter().find(|action| action.contains('*'));
        assert!(
            !statement.allows || wild.is_none(),
            "{}: {wild:?}",
            statement.sid
        );
        assert!(
            !statement.actions.is_empty(),
            "{} has no action",
            statement.sid
        );
    }
}

/// `make deploy` asks for nothing.
#[test]
fn every_parameter_has_a_default_and_says_what_it_is() {
    let template = template();
    let parameters = section(&template, "Parameters");
    assert!(parameters.len() > 5);
    for (name, text) in parameters {
        assert!(text.contains("\n    Default: "), "{name} has no default");
        assert!(
            text.contains("\n    Description: "),
            "{name} has no description"
        );
    }
}

/// Whatever containment may write to a bucket, it may not write to the store.
#[test]
fn the_store_is_spared_what_buckets_are_contained_by() {
    let template = template();
    let statements = statements(&template);
    let of = |sid: &str| statements.iter().find(|s| s.sid == sid).unwrap();
    let denied = of("NeverOpenTheStore");
    assert!(!denied.allows && denied.condition.is_none());
    let exempt: Vec<&String> = of("ContainBuckets")
        .actions
        .difference(&denied.actions)
        .collect();
    assert!(exempt.is_empty(), "{exempt:?}");
    for action in [
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutBucketObjectLockConfiguration",
        "s3:PutObjectRetention",
    ] {
        assert!(denied.actions.contains(action), "{action}");
    }
    let policy = of("NeverWriteThePolicyFile");
    assert!(!policy.allows && policy.condition.is_none() && policy.text.contains("/policy.yaml"));
}

#[test]
fn the_role_has_the_key_and_traces_only_where_they_are_asked_for() {
    let template = template();
    let statements = statements(&template);
    let key = &["kms:Decrypt", "kms:GenerateDataKey"];
    let traces = &["xray:PutTelemetryRecords", "xray:PutTraceSegments"];
    for (service, conditions, actions) in [
        ("kms:", vec!["HasKmsKey", "HasNoticeKey"], key),
        ("xray:", vec!["Traced"], traces),
    ] {
        let of_service =
            |s: &&Statement| s.actions.iter().any(|action| action.starts_with(service));
        let found: Vec<&Statement> = statements.iter().filter(of_service).collect();
        let asked = found.iter().filter_map(|s| s.condition.as_deref());
        assert_eq!(asked.collect::<Vec<_>>(), conditions, "{service}");
        for statement in found {
            let sid = &statement.sid;
            assert!(statement.actions.iter().eq(actions), "{sid}");
        }
    }
    let key = statements.iter().find(|s| s.sid == "UseTheKey").unwrap();
    assert!(
        key.text.contains("Resource: !Ref KmsKeyArn"),
        "{}",
        key.text
    );
}

#[test]
fn what_holds_data_says_what_becomes_of_it() {
    let template = template();
    let mut seen = 0;
    for (name, text) in section(&template, "Resources") {
        let holds = [
            "AWS::S3::Bucket\n",
            "AWS::SQS::Queue\n",
            "AWS::Logs::LogGroup\n",
        ];
        if holds
            .iter()
            .any(|kind| text.contains(&format!("Type: {kind}")))
        {
            seen += 1;
            for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
                assert!(
                    text.contains(&format!("\n    {policy}: ")),
                    "{name} has no {policy}"
                );
            }
            assert!(text.contains("KmsKeyArn"), "{name} cannot be given a key");
        }
    }
    assert!(seen >= 4);
    let (_, store) = section(&template, "Resources")
        .into_iter()
        .find(|(name, _)| name == "Store")
        .unwrap();
    assert!(
        store.contains("DeletionPolicy: Retain") && store.contains("UpdateReplacePolicy: Retain")
    );
}

/// What checkov finds is met, or excused with a reason.
#[test]
fn every_finding_that_is_excused_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = ["stacksets/member.yaml", "stacksets/region.yaml"]
        .map(|path| std::fs::read_to_string(root.join(path)).unwrap());
    let templates = [&[template()], &others[..]].concat().concat();
    let lines: Vec<&str> = templates.lines().map(str::trim).collect();
    let excused = lines
        .windows(2)
        .filter(|pair| pair[0].starts_with("- id: CKV"));
    let mut seen = 0;
    for pair in excused {
        let reason = pair[1].strip_prefix("comment: ");
        assert!(reason.is_some_and(|reason| reason.len() > 20), "{pair:?}");
        seen += 1;
    }
    assert_eq!(seen, templates.matches("id: CKV").count());
    assert!(seen > 0);
}

pub(crate) fn template() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// The parts of a section of the template by name, as text: CloudFormation's tags keep YAML readers out.
pub(crate) fn section(template: &str, name: &str) -> Vec<(String, String)> {
    let mut parts: Vec<(String, String)> = Vec::new();
    let inside = template
        .lines()
        .skip_while(|line| *line != format!("{name}:"))
        .skip(1)
        .take_while(|line| line.is_empty() || line.starts_with(' '));
    for line in inside.filter(|line| !line.trim_start().starts_with('#')) {
        let name = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
            .and_then(|rest| rest.strip_suffix(':'));
        match (name, parts.last_mut()) {
            (Some(name), _) => parts.push((name.to_owned(), "\n".to_owned())),
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    parts
}

/// The statements of every policy in some lines of the template.
pub(crate) fn statements(template: &str) -> Vec<Statement> {
    let code: Vec<&str> = template
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
        .collect();
    let sid = |line: &str| -> Option<String> {
        let line = line.trim_start().trim_start_matches("- ");
        Some(line.strip_prefix("Sid:")?.trim().to_owned())
    };
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let starts = code
        .iter()
        .enumerate()
        .filter_map(|(at, line)| Some((at, sid(line)?)));
    let statements = starts.map(|(start, sid)| {
        let length = code[start + 1..]
            .iter()
            .take_while(|line| indent(line) >= indent(code[start]) && !line.contains("Sid:"))
            .count();
        let lines = &code[start..=start + length];
        let words = lines
            .iter()
            .flat_map(|line| line.split([' ', ',', '[', ']', '\'']));
        let before = |back: usize| start.checked_sub(back).map_or("", |at| code[at].trim());
        Statement {
            sid,
            allows: lines.iter().any(|line| line.trim() == "Effect: Allow"),
            condition: (before(2) == "- !If")
                .then(|| before(1).trim_start_matches("- ").to_owned()),
            actions: words
                .filter(|word| is_action(word))
                .map(str::to_owned)
                .collect(),
            text: lines.join("\n"),
        }
    });
    statements.collect()
}

/// `service:Action`, and no ARN, condition key or time.
fn is_action(word: &str) -> bool {
    let Some((service, action)) = word.split_once(':') else {
        return false;
    };
    let of_service = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let begins = |c: char| c.is_ascii_uppercase() || c == '*';
    !service.is_empty()
        && service.chars().all(of_service)
        && action.starts_with(begins)
        && action
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '*')
        && service != "aws"
        // A condition key.
        && word != "iam:PassedToService"
}
