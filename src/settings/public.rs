//! When a statement is public, by S3's own definition.
//!
//! S3 presumes that a policy is public unless every Allow names fixed principals or is held to fixed values of certain
//! condition keys. Deny statements are not subtracted: nothing that AWS documents says that S3 does.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::bucket_policy::{Statement, strings};

/// Keys whose fixed values make an Allow to everybody not public.
const FIXING_KEYS: [&str; 14] = [
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "aws:sourceip",
];

/// Operators that hold only when the key is present and equal to a listed value.
const FIXING_OPERATORS: [&str; 7] = [
    "stringequals",
    "stringequalsignorecase",
    "stringlike",
    "arnequals",
    "arnlike",
    "ipaddress",
    "foranyvalue:stringequals",
];

impl Statement {
    /// Whether it grants to everybody.
    pub fn is_public(&self) -> bool {
        self.effect() == "Allow" && self.names_everybody() && !self.is_held_to_fixed_values()
    }

    fn names_everybody(&self) -> bool {
        // An Allow with NotPrincipal admits all but those it names.
        self.value().get("NotPrincipal").is_some() || self.aws_principals().contains(&"*")
    }

    fn is_held_to_fixed_values(&self) -> bool {
        let Some(condition) = self.value().get("Condition").and_then(Value::as_object) else {
            return false;
        };
        condition.iter().any(|(operator, keys)| {
            FIXING_OPERATORS.contains(&operator.to_ascii_lowercase().as_str())
                && keys
                    .as_object()
                    .is_some_and(|keys| keys.iter().any(|(key, values)| is_fixed(key, values)))
        })
    }
}

fn is_fixed(key: &str, values: &Value) -> bool {
    let key = key.to_ascii_lowercase();
    let values = strings(values);
    !values.is_empty()
        && FIXING_KEYS.contains(&key.as_str())
        && values.iter().all(|value| match key.as_str() {
            "aws:sourceip" => is_narrow_network(value),
            // The id of a role with any session name is one principal.
            "aws:userid" => is_literal(value.strip_suffix(":*").unwrap_or(value)),
            // The access point's name may be a wildcard as long as its account is not.
            "s3:dataaccesspointarn" => value
                .split(':')
                .nth(4)
                .is_some_and(|account| !account.is_empty() && is_literal(account)),
            _ => is_literal(value),
        })
}

fn is_literal(value: &str) -> bool {
    !value.contains(['*', '?']) && !value.contains("${")
}

/// S3 takes networks broader than /8 (v4) or /32 (v6) for everybody.
fn is_narrow_network(value: &str) -> bool {
    let network = value
        .parse::<IpNet>()
        .or_else(|_| value.parse::<IpAddr>().map(IpNet::from));
    match network {
        Ok(IpNet::V4(network)) => network.prefix_len() >= 8,
        Ok(IpNet::V6(network)) => network.prefix_len() >= 32,
        Err(_) => false,
    }
}
