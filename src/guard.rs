//! Why a measure is withheld.

use crate::classification::words;

words! {
    /// The closed list of reasons for which Portcullis does not do what a rule asks for.
    Guard {
        /// The effective mode is observe.
        ObserveMode = "observe-mode",
        /// An exception of the policy file spares the bucket.
        Exception = "exception",
        /// The actor is a break-glass principal.
        BreakGlass = "break-glass",
        /// The actor is an AWS service.
        AwsServiceActor = "aws-service-actor",
        /// The finding names nobody who could be denied.
        NoActor = "no-actor",
        /// The finding names no address that could be denied.
        NoAddress = "no-address",
        /// The finding names no object that could be denied.
        NoObject = "no-object",
        /// The actor is Portcullis itself.
        OwnActivity = "own-activity",
        /// The finding is a sample.
        SampleFinding = "sample-finding",
        /// The finding is archived.
        ArchivedFinding = "archived-finding",
        /// The actor is in `trusted`.
        Authorized = "authorized",
        /// More buckets than the limits allow.
        BlastRadius = "blast-radius",
        /// A setting that the measure amends could not be read.
        Unreadable = "unreadable",
        /// The document would deny break-glass or Portcullis itself.
        SelfLockout = "self-lockout",
        /// The document would be larger than S3 takes.
        PolicyTooLarge = "policy-too-large",
        /// A statement names a deleted principal, so that S3 would refuse the document.
        DirtyPolicy = "dirty-policy",
        /// BlockPublicPolicy is on and the document would still be public.
        PublicPolicyRefused = "public-policy-refused",
        /// A directory bucket does not have the setting.
        DirectoryBucket = "directory-bucket",
        /// The measure is for a bucket and the target is an account, or the other way round.
        WrongTarget = "wrong-target",
        /// Logs are delivered to the bucket in a way that the measure would stop.
        LogTarget = "log-target",
        /// GuardDuty does not have the finding.
        UnverifiedFinding = "unverified-finding",
        /// The bucket does not exist any more.
        BucketGone = "bucket-gone",
        /// The bucket is of an account that Portcullis has no role in.
        OtherAccount = "other-account",
        /// A person rolled this finding back.
        Released = "released",
    }
}
