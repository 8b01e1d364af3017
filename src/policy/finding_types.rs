//! The types of finding that this version knows.
//!
//! Only a lint and the drill read the lists. Types are open: one that is not here is handled like any other.

/// The types that are about S3 alone and that GuardDuty finds by itself.
pub const S3_FINDING_TYPES: &[&str] = &[
    // S3 protection and foundational detection.
    "Discovery:S3/AnomalousBehavior",
    "Discovery:S3/MaliciousIPCaller",
    "Discovery:S3/MaliciousIPCaller.Custom",
    "Discovery:S3/TorIPCaller",
    "Exfiltration:S3/AnomalousBehavior",
    "Exfiltration:S3/MaliciousIPCaller",
    "Impact:S3/AnomalousBehavior.Delete",
    "Impact:S3/AnomalousBehavior.Permission",
    "Impact:S3/AnomalousBehavior.Write",
    "Impact:S3/MaliciousIPCaller",
    "PenTest:S3/KaliLinux",
    "PenTest:S3/ParrotLinux",
    "PenTest:S3/PentooLinux",
    "Policy:S3/AccountBlockPublicAccessDisabled",
    "Policy:S3/BucketAnonymousAccessGranted",
    "Policy:S3/BucketBlockPublicAccessDisabled",
    "Policy:S3/BucketPublicAccessGranted",
    "Stealth:S3/ServerAccessLoggingDisabled",
    "UnauthorizedAccess:S3/MaliciousIPCaller.Custom",
    "UnauthorizedAccess:S3/TorIPCaller",
    // Malware.
    "Object:S3/MaliciousFile",
    // Attack sequences.
    "AttackSequence:S3/CompromisedData",
];

/// Every known type that concerns S3 or can name a bucket.
pub(super) fn finding_types() -> impl Iterator<Item = &'static str> {
    S3_FINDING_TYPES.iter().chain(OTHERS).copied()
}

const OTHERS: &[&str] = &[
    // Backups.
    "Execution:S3/MaliciousFile!RecoveryPoint",
    // Attack sequences that can name a bucket.
    "AttackSequence:IAM/CompromisedCredentials",
    "AttackSequence:EKS/CompromisedCluster",
    "AttackSequence:ECS/CompromisedCluster",
    "AttackSequence:EC2/CompromisedInstanceGroup",
    // Custom detection rules.
    "DefenseImpairment:S3/DisableOrModifyTools",
    "Exfiltration:S3/TransferDataToCloudAccount",
    "Impact:S3/DataDestruction",
    // Identities, whose findings can name a bucket.
    "CredentialAccess:IAMUser/AnomalousBehavior",
    "CredentialAccess:IAMUser/CompromisedCredentials",
    "DefenseEvasion:IAMUser/AnomalousBehavior",
    "Discovery:IAMUser/AnomalousBehavior",
    "Exfiltration:IAMUser/AnomalousBehavior",
    "Impact:IAMUser/AnomalousBehavior",
    "InitialAccess:IAMUser/AnomalousBehavior",
    "PenTest:IAMUser/KaliLinux",
    "PenTest:IAMUser/ParrotLinux",
    "PenTest:IAMUser/PentooLinux",
    "Persistence:IAMUser/AnomalousBehavior",
    "Policy:IAMUser/RootCredentialUsage",
    "Policy:IAMUser/ShortTermRootCredentialUsage",
    "PrivilegeEscalation:IAMUser/AnomalousBehavior",
    "Recon:IAMUser/MaliciousIPCaller",
    "Recon:IAMUser/MaliciousIPCaller.Custom",
    "Recon:IAMUser/TorIPCaller",
    "Stealth:IAMUser/CloudTrailLoggingDisabled",
    "Stealth:IAMUser/PasswordPolicyChange",
    "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B",
    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS",
    "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
    "UnauthorizedAccess:IAMUser/MaliciousIPCaller",
    "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom",
    "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.InsideAWS",
    "UnauthorizedAccess:IAMUser/ResourceCredentialExfiltration.OutsideAWS",
    "UnauthorizedAccess:IAMUser/TorIPCaller",
    // Retired in 2022; still in archives and replays.
    "Discovery:S3/BucketEnumeration.Unusual",
    "Exfiltration:S3/ObjectRead.Unusual",
    "Impact:S3/ObjectDelete.Unusual",
    "Impact:S3/PermissionsModification.Unusual",
];
