//! Single values of the policy file: patterns, numbers, durations, networks, and the ids of AWS.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::SignedDuration;

use crate::policy::conditions::Glob;
use crate::yaml::{Code, Node, Report, Value, filled, text, wrong_type};

/// Reads a pattern.
pub(super) fn glob(report: &mut Report<'_>, node: &Node, what: &str) -> Option<Glob> {
    filled(report, node, what).map(|text| Glob::new(&text))
}

/// Reads a whole number of at least one.
pub(super) fn count(report: &mut Report<'_>, node: &Node, key: &str) -> Option<u32> {
    let Value::Integer(value) = node.value else {
        wrong_type(report, node, "a whole number");
        return None;
    };
    let count = u32::try_from(value).ok().filter(|count| *count >= 1);
    if count.is_none() {
        let help = format!("write a number from 1 to {}", u32::MAX);
        report
            .add(
                Code::BadNumber,
                node.at,
                format!("\"{key}\" cannot be {value}"),
            )
            .help(help);
    }
    count
}

/// Reads a severity.
pub(super) fn severity(report: &mut Report<'_>, node: &Node, key: &str) -> Option<f64> {
    let value = match node.value {
        Value::Integer(value) => value as f64,
        Value::Number(value) => value,
        _ => {
            wrong_type(report, node, "a severity from 0 to 10");
            return None;
        }
    };
    if !(0.0..=10.0).contains(&value) {
        report
            .add(Code::BadNumber, node.at, format!("\"{key}\" cannot be {value}"))
            .help("GuardDuty's severities are from 0 to 10: 1.0 is low, 4.0 medium, 7.0 high, 9.0 critical");
        return None;
    }
    Some(value)
}

/// Reads a duration: a number and `m`, `h` or `d`.
pub(super) fn duration(report: &mut Report<'_>, node: &Node) -> Option<SignedDuration> {
    let written = text(report, node, "a duration such as 72h")?;
    let parsed = parse_duration(written);
    if parsed.is_none() {
        report
            .add(
                Code::BadDuration,
                node.at,
                format!("\"{written}\" is not a duration"),
            )
            .help("write a number and a unit: \"90m\", \"72h\" or \"7d\"");
    }
    parsed
}

/// Reads an account id.
pub(super) fn account(report: &mut Report<'_>, node: &Node) -> Option<String> {
    let written = text(report, node, "an account id")?;
    if written.len() == 12 && written.bytes().all(|b| b.is_ascii_digit()) {
        return Some(written.to_owned());
    }
    let help = "account ids are twelve digits, in quotes: \"111122223333\"";
    report
        .add(
            Code::BadAccount,
            node.at,
            format!("\"{written}\" is not an account id"),
        )
        .help(help);
    None
}

/// Reads the id of an organization.
pub(super) fn organization(report: &mut Report<'_>, node: &Node) -> Option<String> {
    let written = text(report, node, "the id of an organization")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if written
        .strip_prefix("o-")
        .is_some_and(|rest| (10..=32).contains(&rest.len()) && rest.bytes().all(plain))
    {
        return Some(written.to_owned());
    }
    report
        .add(Code::BadOrganization, node.at, format!("\"{written}\" is not the id of an organization"))
        .help("it is \"o-\" and 10 to 32 lower-case letters and digits, as `aws organizations describe-organization` says");
    None
}

/// Reads a network, or an address as the network that holds only it. Everything is no network to trust.
pub(super) fn network(report: &mut Report<'_>, node: &Node) -> Option<IpNet> {
    let written = text(report, node, "a network such as 203.0.113.0/24")?;
    let parsed = written
        .parse::<IpNet>()
        .ok()
        .or_else(|| written.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(network) = parsed else {
        report
            .add(
                Code::BadNetwork,
                node.at,
                format!("\"{written}\" is not a network"),
            )
            .help("write it as \"203.0.113.0/24\", \"2001:db8::/32\", or as one address");
        return None;
    };
    if network.prefix_len() == 0 {
        report
            .add(
                Code::TrustedTooBroad,
                node.at,
                format!("\"{written}\" trusts every address"),
            )
            .help("name the networks from which your own people and jobs work");
        return None;
    }
    if network.trunc() != network {
        report
            .add(
                Code::BadNetwork,
                node.at,
                format!("\"{written}\" is an address inside a network"),
            )
            .help(format!(
                "did you mean \"{}\" or \"{}\"?",
                network.trunc(),
                network.addr()
            ));
        return None;
    }
    Some(network)
}

fn parse_duration(written: &str) -> Option<SignedDuration> {
    let (number, seconds) = match written.as_bytes().last()? {
        b'm' => (written.strip_suffix('m')?, 60),
        b'h' => (written.strip_suffix('h')?, 60 * 60),
        b'd' => (written.strip_suffix('d')?, 24 * 60 * 60),
        _ => return None,
    };
    if number.starts_with('0') || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number
        .parse::<i64>()
        .ok()?
        .checked_mul(seconds)
        .map(SignedDuration::from_secs)
}
