//! The parts of a finding that are read, by their names on the wire. Everything is optional here: what a finding must have
//! is decided where it is used.
//!
//! The schema registry's list of required fields lags behind what is sent, and real events lack some of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::lenient::{embedded, flag, list, number, object, tags, text, texts, time};

/// Declares tolerant structs: `field: Type = how to read it`.
macro_rules! wire {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty = $with:literal),+ $(,)? })+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Default, Deserialize)]
            #[serde(rename_all = "camelCase")]
            pub(super) struct $name {
                $($(#[$field_meta])* #[serde(default, deserialize_with = $with)] pub(super) $field: $type),+
            }
        )+
    };
}

wire! {
    Detail {
        id: Option<String> = "text",
        arn: Option<String> = "text",
        #[serde(rename = "type")]
        kind: Option<String> = "text",
        account_id: Option<String> = "text",
        region: Option<String> = "text",
        partition: Option<String> = "text",
        severity: Option<f64> = "number",
        title: Option<String> = "text",
        description: Option<String> = "text",
        created_at: Option<Timestamp> = "time",
        updated_at: Option<Timestamp> = "time",
        associated_attack_sequence_arn: Option<String> = "text",
        custom_detection_rule_name: Option<String> = "text",
        resource: Resource = "object",
        service: Service = "object",
    }

    Resource {
        access_key_details: AccessKeyDetails = "object",
        s3_bucket_details: Vec<S3Bucket> = "list",
        instance_details: InstanceDetails = "object",
    }

    AccessKeyDetails {
        access_key_id: Option<String> = "text",
        principal_id: Option<String> = "text",
        user_type: Option<String> = "text",
        user_name: Option<String> = "text",
        user_identity: UserIdentity = "object",
    }

    /// Undocumented in findings, but named by the filter fields of the API; it would give the role's ARN with its path.
    UserIdentity {
        arn: Option<String> = "text",
        account_id: Option<String> = "text",
        #[serde(rename = "type")]
        kind: Option<String> = "text",
        principal_id: Option<String> = "text",
        access_key_id: Option<String> = "text",
        user_name: Option<String> = "text",
        /// The service that called for somebody, in events of CloudTrail.
        invoked_by: Option<String> = "text",
        session_context: SessionContext = "object",
    }

    /// An event of CloudTrail, but for what was requested.
    TrailRecord {
        #[serde(rename = "eventID")]
        event_id: Option<String> = "text",
        event_name: Option<String> = "text",
        event_time: Option<Timestamp> = "time",
        aws_region: Option<String> = "text",
        recipient_account_id: Option<String> = "text",
        error_code: Option<String> = "text",
        user_identity: UserIdentity = "object",
        resources: Vec<TrailResource> = "list",
    }

    TrailResource {
        /// Its key is `ARN`, of which the first letter was lowered.
        #[serde(rename = "aRN")]
        arn: Option<String> = "text",
        #[serde(rename = "type")]
        kind: Option<String> = "text",
        account_id: Option<String> = "text",
    }

    SessionContext {
        session_issuer: SessionIssuer = "object",
    }

    SessionIssuer {
        arn: Option<String> = "text",
    }

    S3Bucket {
        arn: Option<String> = "text",
        name: Option<String> = "text",
        #[serde(rename = "type")]
        role: Option<String> = "text",
        tags: BTreeMap<String, String> = "tags",
        public_access: PublicAccess = "object",
        s3_object_details: Vec<S3Object> = "list",
    }

    PublicAccess {
        effective_permission: Option<String> = "text",
    }

    S3Object {
        object_arn: Option<String> = "text",
        key: Option<String> = "text",
        version_id: Option<String> = "text",
    }

    InstanceDetails {
        instance_id: Option<String> = "text",
    }

    Service {
        detector_id: Option<String> = "text",
        archived: Option<bool> = "flag",
        count: Option<f64> = "number",
        event_first_seen: Option<Timestamp> = "time",
        event_last_seen: Option<Timestamp> = "time",
        action: Action = "object",
        additional_info: AdditionalInfo = "object",
        evidence: Evidence = "object",
        malware_scan_details: MalwareScan = "object",
        detection: Detection = "object",
    }

    Action {
        aws_api_call_action: ApiCallAction = "object",
    }

    ApiCallAction {
        api: Option<String> = "text",
        service_name: Option<String> = "text",
        error_code: Option<String> = "text",
        user_agent: Option<String> = "text",
        domain_details: DomainDetails = "object",
        remote_ip_details: RemoteIpDetails = "object",
        remote_account_details: RemoteAccountDetails = "object",
        affected_resources: AffectedResources = "object",
    }

    DomainDetails {
        domain: Option<String> = "text",
    }

    RemoteIpDetails {
        ip_address_v4: Option<String> = "text",
        ip_address_v6: Option<String> = "text",
        organization: Organization = "object",
        country: Country = "object",
    }

    Organization {
        asn: Option<String> = "text",
        asn_org: Option<String> = "text",
        org: Option<String> = "text",
        isp: Option<String> = "text",
    }

    Country {
        country_name: Option<String> = "text",
        country_code: Option<String> = "text",
    }

    RemoteAccountDetails {
        account_id: Option<String> = "text",
        affiliated: Option<bool> = "flag",
        aws_service_name: Option<String> = "text",
    }

    AffectedResources {
        #[serde(rename = "AWS::S3::Bucket")]
        buckets: Vec<String> = "texts",
    }

    AdditionalInfo {
        sample: Option<bool> = "flag",
        threat_list_name: Vec<String> = "texts",
        threat_name: Vec<String> = "texts",
        user_agent: AnomalousUserAgent = "object",
        value: RepeatedInfo = "embedded",
    }

    /// The JSON in `additionalInfo.value`: all that the CLI prints of it, a repetition in EventBridge.
    RepeatedInfo {
        sample: Option<bool> = "flag",
        threat_list_name: Vec<String> = "texts",
        threat_name: Vec<String> = "texts",
        user_agent: AnomalousUserAgent = "object",
    }

    AnomalousUserAgent {
        full_user_agent: Option<String> = "text",
    }

    Evidence {
        threat_intelligence_details: Vec<ThreatIntelligence> = "list",
    }

    ThreatIntelligence {
        threat_list_name: Option<String> = "text",
        threat_names: Vec<String> = "texts",
    }

    MalwareScan {
        threats: Vec<Threat> = "list",
    }

    Threat {
        name: Option<String> = "text",
    }

    Detection {
        sequence: Sequence = "object",
    }

    Sequence {
        actors: Vec<SequenceActor> = "list",
        resources: Vec<SequenceResource> = "list",
        endpoints: Vec<Endpoint> = "list",
        signals: Vec<Signal> = "list",
        sequence_indicators: Vec<Indicator> = "list",
    }

    SequenceActor {
        user: SequenceUser = "object",
        session: Session = "object",
    }

    /// Its `account` is left out on purpose: that is the account in which the activity took place, which may differ from
    /// the account that owns the identity.
    SequenceUser {
        name: Option<String> = "text",
        uid: Option<String> = "text",
        #[serde(rename = "type")]
        kind: Option<String> = "text",
        credential_uid: Option<String> = "text",
    }

    /// The issuer is what CloudTrail calls `userIdentity.sessionContext.sessionIssuer.arn`.
    Session {
        issuer: Option<String> = "text",
    }

    SequenceResource {
        uid: Option<String> = "text",
        resource_type: Option<String> = "text",
        name: Option<String> = "text",
        account_id: Option<String> = "text",
        region: Option<String> = "text",
        tags: BTreeMap<String, String> = "tags",
        data: ResourceData = "object",
    }

    ResourceData {
        s3_bucket: SequenceBucket = "object",
        s3_object: S3Object = "object",
        access_key: AccessKeyDetails = "object",
    }

    SequenceBucket {
        effective_permission: Option<String> = "text",
        s3_object_uids: Vec<String> = "texts",
    }

    Endpoint {
        ip: Option<String> = "text",
        domain: Option<String> = "text",
        location: Location = "object",
        autonomous_system: AutonomousSystem = "object",
    }

    Location {
        country: Option<String> = "text",
    }

    AutonomousSystem {
        name: Option<String> = "text",
        number: Option<String> = "text",
    }

    Signal {
        signal_indicators: Vec<Indicator> = "list",
        activities: Vec<Activity> = "list",
    }

    Activity {
        api: Api = "object",
    }

    Api {
        operation: Option<String> = "text",
        service: Option<String> = "text",
        error: Option<String> = "text",
        user_agent: Option<String> = "text",
    }

    Indicator {
        key: Option<String> = "text",
        values: Vec<String> = "texts",
    }
}
