//! ARNs of principals, with wildcards, and which of them are too broad to mean anybody in particular.

use crate::policy::conditions::Glob;
use crate::yaml::{Code, Node, Report, text};

/// Reads a break-glass entry: a role or user of IAM, which is what requests carry in `aws:PrincipalArn`.
pub(super) fn break_glass(report: &mut Report<'_>, node: &Node) -> Option<String> {
    let written = text(report, node, "the ARN of a role or user")?;
    if matches_everybody(written) {
        report
            .add(Code::BreakGlassTooBroad, node.at, format!("\"{written}\" exempts everybody, or nearly so"))
            .help("name the role that your team keeps for emergencies: \"arn:aws:iam::*:role/SecurityBreakGlass\"");
        return None;
    }
    match parse(written) {
        Some(arn) if arn.service == "iam" => Some(written.to_owned()),
        Some(arn) if arn.service == "sts" && arn.resource.starts_with("assumed-role/") => {
            let role = arn.resource.split('/').nth(1).unwrap_or_default();
            let role = format!("arn:{}:iam::{}:role/{role}", arn.partition, arn.account);
            report
                .add(
                    Code::BreakGlassSession,
                    node.at,
                    format!("\"{written}\" is a session, not a role"),
                )
                .help(format!(
                    "use the ARN of the role, with its path if it has one: \"{role}\""
                ));
            None
        }
        _ => {
            bad_arn(
                report,
                node,
                written,
                "\"arn:aws:iam::*:role/SecurityBreakGlass\"",
            );
            None
        }
    }
}

/// Reads a trusted principal: a role, user or session.
pub(super) fn trusted(report: &mut Report<'_>, node: &Node) -> Option<String> {
    let written = text(report, node, "the ARN of a principal")?;
    if matches_everybody(written) {
        report
            .add(Code::TrustedTooBroad, node.at, format!("\"{written}\" trusts everybody, or nearly so"))
            .help("name the roles and users whose work sets off findings, or trust a whole account in `accounts`");
        return None;
    }
    if parse(written).is_none() {
        bad_arn(
            report,
            node,
            written,
            "\"arn:aws:iam::111122223333:role/nightly-export\"",
        );
        return None;
    }
    Some(written.to_owned())
}

fn bad_arn(report: &mut Report<'_>, node: &Node, written: &str, example: &str) {
    report
        .add(
            Code::BadArn,
            node.at,
            format!("\"{written}\" is not the ARN of a principal"),
        )
        .help(format!("write it as {example}; `*` and `?` are wildcards"));
}

/// The parts of a principal's ARN.
struct Arn<'a> {
    partition: &'a str,
    service: &'a str,
    account: &'a str,
    resource: &'a str,
}

/// Takes a principal's ARN apart; none if it cannot be one.
fn parse(written: &str) -> Option<Arn<'_>> {
    let mut parts = written.splitn(6, ':');
    let prefix = parts.next()?;
    let partition = parts.next()?;
    let service = parts.next()?;
    let region = parts.next()?;
    let account = parts.next()?;
    let resource = parts.next()?;
    let account_fits = match account {
        _ if account.contains(['*', '?']) => account
            .chars()
            .all(|c| c.is_ascii_digit() || c == '*' || c == '?'),
        _ => account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()),
    };
    let kinds: &[&str] = match service {
        "iam" => &["role/", "user/"],
        "sts" => &["assumed-role/", "federated-user/"],
        _ => return None,
    };
    let named = kinds.iter().any(|kind| {
        resource
            .strip_prefix(kind)
            .is_some_and(|name| !name.is_empty())
    });
    let fits = prefix == "arn"
        && matches!(partition, "aws" | "aws-cn" | "aws-us-gov" | "*")
        && region.is_empty()
        && account_fits
        && (named || (service == "iam" && resource == "root"));
    fits.then_some(Arn {
        partition,
        service,
        account,
        resource,
    })
}

/// Whether a pattern matches principals whose names nobody would think of, and so names nobody.
fn matches_everybody(written: &str) -> bool {
    let glob = Glob::new(written);
    let account = some_account(written.split(':').nth(4).unwrap_or("*"));
    ["aws", "aws-cn", "aws-us-gov"].iter().any(|partition| {
        [
            format!("arn:{partition}:iam::{account}:role/Qzx-7"),
            format!("arn:{partition}:iam::{account}:role/wJk/9vB"),
            format!("arn:{partition}:iam::{account}:user/Qzx-7"),
            format!("arn:{partition}:sts::{account}:assumed-role/Qzx-7/wJk.9vB"),
        ]
        .iter()
        .any(|unlikely| glob.matches(unlikely))
    })
}

/// An account id that a pattern matches.
fn some_account(pattern: &str) -> String {
    let missing = 12_usize.saturating_sub(pattern.chars().filter(|c| *c != '*').count());
    pattern
        .replacen('*', &"0".repeat(missing), 1)
        .replace('*', "")
        .replace('?', "0")
}
