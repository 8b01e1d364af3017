//! Who did it, from the several and partial ways in which a finding names an identity.

use super::buckets::is_account;
use super::wire::{AccessKeyDetails, RemoteAccountDetails, SequenceActor};
use super::{Actor, UserType};

/// The user name, and in some events the principal id, of an unsigned request.
const ANONYMOUS: &str = "ANONYMOUS_PRINCIPAL";

/// What CloudTrail writes instead of a user name that may be a mistyped password.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// The caller of a finding that is no sequence, or none when nothing is said of one.
///
/// `kind` is the finding's type. Types named `…CredentialExfiltration` report credentials used from elsewhere: there the
/// remote account is the one that used them, not the one that owns the identity.
pub(super) fn caller(
    kind: &str,
    details: AccessKeyDetails,
    remote: &RemoteAccountDetails,
    instance: Option<&str>,
) -> Option<Actor> {
    let identity = details.user_identity;
    let mut actor = Identity {
        kind: details.user_type.or(identity.kind),
        principal: details.principal_id.or(identity.principal_id),
        arn: role_arn(identity.session_context.session_issuer.arn).or(identity.arn),
        name: details.user_name.or(identity.user_name),
        access_key: details.access_key_id.or(identity.access_key_id),
        account: identity.account_id,
    }
    .into_actor();
    if remote.aws_service_name.is_some() {
        if matches!(actor.user_type, UserType::Unknown | UserType::AwsAccount) {
            actor.user_type = UserType::AwsService;
        }
    } else if !kind.contains("CredentialExfiltration") && actor.user_type != UserType::Anonymous {
        let remote_account = remote.account_id.clone().filter(|id| is_account(id));
        actor.account = actor.account.or(remote_account);
        actor.affiliated = remote.affiliated;
    }
    actor.instance = if kind.contains("InstanceCredentialExfiltration") {
        instance
            .or_else(|| session_name(&actor))
            .filter(|id| is_instance(id))
            .map(str::to_owned)
    } else {
        instance
            .filter(|id| is_session_of(&actor, id))
            .map(str::to_owned)
    };
    (actor != Actor::default()).then_some(actor)
}

/// One actor of a sequence, or none for an actor that is only a process. `instances` are the EC2 instances among the
/// sequence's resources.
pub(super) fn member(said: SequenceActor, instances: &[String]) -> Option<Actor> {
    let user = said.user;
    let (arn, principal) = match user.uid {
        Some(uid) if uid.starts_with("arn:") => (Some(uid), None),
        uid => (None, uid),
    };
    let mut actor = Identity {
        kind: user.kind,
        principal,
        arn: role_arn(said.session.issuer).or(arn),
        name: user.name,
        access_key: user.credential_uid,
        account: None,
    }
    .into_actor();
    actor.instance = instances
        .iter()
        .find(|id| is_session_of(&actor, id))
        .cloned();
    (actor != Actor::default()).then_some(actor)
}

/// An access key that a sequence lists among its resources, as the actor that holds it.
pub(super) fn key_holder(details: AccessKeyDetails, access_key: Option<String>) -> Option<Actor> {
    let actor = Identity {
        kind: details.user_type,
        principal: details.principal_id,
        arn: None,
        name: details.user_name,
        access_key,
        account: None,
    }
    .into_actor();
    (actor != Actor::default()).then_some(actor)
}

/// Whether `text` has the form of an access key id: `AKIA…` long-term, `ASIA…` temporary.
pub(super) fn is_access_key(text: &str) -> bool {
    (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether `text` has the form of an instance id: `i-` and 8 or 17 hexadecimal digits.
pub(super) fn is_instance(text: &str) -> bool {
    text.strip_prefix("i-")
        .is_some_and(|id| (8..=17).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[derive(Debug, Default)]
struct Identity {
    kind: Option<String>,
    principal: Option<String>,
    arn: Option<String>,
    name: Option<String>,
    access_key: Option<String>,
    account: Option<String>,
}

impl Identity {
    fn into_actor(self) -> Actor {
        let said = self.kind.as_deref().map_or(UserType::Unknown, user_type);
        let user_type = if self.is_anonymous(said) {
            return Actor {
                user_type: UserType::Anonymous,
                principal_id: self.principal,
                ..Actor::default()
            };
        } else if said == UserType::Unknown {
            self.principal
                .as_deref()
                .map_or(UserType::Unknown, type_of_id)
        } else {
            said
        };
        let account = self
            .arn
            .as_deref()
            .and_then(account_of_arn)
            .or_else(|| self.account.filter(|id| is_account(id)))
            .or_else(|| account_of_id(user_type, self.principal.as_deref()?));
        let name = self
            .name
            .filter(|name| name != HIDDEN)
            .or_else(|| name_of_arn(self.arn.as_deref()?));
        Actor {
            user_type,
            principal_id: self.principal,
            arn: self.arn,
            name: name.map(without_path),
            account,
            access_key: self.access_key,
            ..Actor::default()
        }
    }

    /// An IAM user may be given any name, so the name alone makes nobody anonymous who is said to be a user or a role.
    fn is_anonymous(&self, said: UserType) -> bool {
        let is = |text: &Option<String>, word: &str| {
            text.as_ref()
                .is_some_and(|text| text.eq_ignore_ascii_case(word))
        };
        is(&self.principal, "anonymous")
            || is(&self.principal, ANONYMOUS)
            || (matches!(said, UserType::AwsAccount | UserType::Unknown)
                && is(&self.name, ANONYMOUS))
    }
}

/// Findings spell the types as CloudTrail does (`AssumedRole`) or in capitals (`ASSUMED_ROLE`). `Role` occurs besides.
fn user_type(text: &str) -> UserType {
    let word: String = text
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match word.as_str() {
        "root" => UserType::Root,
        "iamuser" => UserType::IamUser,
        "assumedrole" | "role" => UserType::AssumedRole,
        "federateduser" | "samluser" | "webidentityuser" => UserType::FederatedUser,
        "identitycenteruser" => UserType::IdentityCenterUser,
        "directory" => UserType::Directory,
        "awsaccount" => UserType::AwsAccount,
        "awsservice" => UserType::AwsService,
        _ => UserType::Unknown,
    }
}

/// IAM's unique ids tell users and roles apart by their first four letters.
fn type_of_id(principal: &str) -> UserType {
    match principal.get(..4) {
        Some("AROA") => UserType::AssumedRole,
        Some("AIDA") => UserType::IamUser,
        _ => UserType::Unknown,
    }
}

/// The principal id of the root user is its account's id; a federated user's is `account:name`.
fn account_of_id(user_type: UserType, principal: &str) -> Option<String> {
    let id = match user_type {
        UserType::Root => principal,
        UserType::FederatedUser => principal.split_once(':')?.0,
        _ => return None,
    };
    (id.len() == 12 && is_account(id)).then(|| id.to_owned())
}

fn account_of_arn(arn: &str) -> Option<String> {
    let account = arn.split(':').nth(4)?;
    is_account(account).then(|| account.to_owned())
}

/// The name in `user/path/name`, `role/path/name`, `assumed-role/name/session` and `federated-user/name`.
fn name_of_arn(arn: &str) -> Option<String> {
    let (kind, rest) = arn.splitn(6, ':').nth(5)?.split_once('/')?;
    match kind {
        "user" | "role" => Some(rest.to_owned()),
        "assumed-role" | "federated-user" => rest.split('/').next().map(str::to_owned),
        _ => None,
    }
}

fn without_path(name: String) -> String {
    match name.rsplit_once('/') {
        Some((_, last)) if !last.is_empty() => last.to_owned(),
        _ => name,
    }
}

/// The issuer of a role's session is the role; that of a federated user's session is the user who asked for it.
fn role_arn(issuer: Option<String>) -> Option<String> {
    issuer.filter(|arn| arn.starts_with("arn:") && arn.contains(":role/"))
}

fn session_name(actor: &Actor) -> Option<&str> {
    Some(actor.principal_id.as_deref()?.split_once(':')?.1)
}

/// EC2 names the session of an instance's role after the instance.
fn is_session_of(actor: &Actor, instance: &str) -> bool {
    actor.user_type == UserType::AssumedRole
        && is_instance(instance)
        && session_name(actor) == Some(instance)
}
