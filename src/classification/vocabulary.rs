//! The closed word lists that the policy file, the records and the screen share.

/// Declares a closed word list that reads the same in the policy file, in records and on screen.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema,
        )]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word, in order.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word as it is written in the policy file.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant of a word, or none.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Who acted.
    ActorKind {
        /// An unsigned request.
        Anonymous = "anonymous",
        /// The account's root user.
        Root = "root",
        /// An IAM user.
        IamUser = "iam-user",
        /// A role session.
        AssumedRole = "assumed-role",
        /// A federated user (GetFederationToken), a directory or an Identity Center user.
        FederatedUser = "federated-user",
        /// A principal of an account other than the bucket's.
        ExternalAccount = "external-account",
        /// An AWS service.
        AwsService = "aws-service",
        /// The finding does not say.
        Unknown = "unknown",
    }
}
words! {
    /// Whether the activity was authorized.
    Authorization {
        /// Something in `trusted` matches.
        Authorized = "authorized",
        /// The finding itself says that it was not.
        Unauthorized = "unauthorized",
        /// Neither.
        Undetermined = "undetermined",
    }
}
words! {
    /// By which way the actor got to the data or the settings.
    AccessPath {
        /// A bucket policy that grants to everybody.
        PublicPolicy = "public-policy",
        /// An ACL that grants to everybody.
        PublicAcl = "public-acl",
        /// A browser's cross-origin preflight.
        Cors = "cors",
        /// A grant to another account.
        CrossAccountGrant = "cross-account-grant",
        /// An identity of the account, used by somebody else.
        CompromisedIdentity = "compromised-identity",
        /// Credentials of an EC2 instance.
        InstanceCredentials = "instance-credentials",
        /// A presigned URL.
        PresignedUrl = "presigned-url",
        /// An access point.
        AccessPoint = "access-point",
        /// An object that is malware.
        MaliciousObject = "malicious-object",
        /// A change of the bucket's or account's settings.
        ConfigurationChange = "configuration-change",
        /// The finding does not say.
        Unknown = "unknown",
    }
}
words! {
    /// Whether the call went through.
    ApiOutcome {
        /// No error code.
        Succeeded = "succeeded",
        /// The finding carries an error code.
        Denied = "denied",
    }
}
words! {
    /// What is known of the address.
    Network {
        /// A Tor exit.
        Tor = "tor",
        /// On a threat list of AWS or its partners.
        ThreatList = "threat-list",
        /// On a threat list of the team's own.
        CustomList = "custom-list",
        /// In the policy's `trusted.networks`.
        Trusted = "trusted",
        /// None of these.
        Other = "other",
    }
}
words! {
    /// What kind of credentials were used.
    Credentials {
        /// An EC2 instance's role session.
        Instance = "instance",
        /// Temporary (`ASIA…`).
        Temporary = "temporary",
        /// Long-term (`AKIA…`).
        LongTerm = "long-term",
        /// None: an unsigned request.
        None = "none",
    }
}
words! {
    /// What the bucket is for.
    BucketUse {
        /// It has a website configuration.
        Website = "website",
        /// CloudFront reads it.
        CloudfrontOrigin = "cloudfront-origin",
        /// Logs are delivered to it.
        LogTarget = "log-target",
        /// It is replicated to another bucket.
        ReplicationSource = "replication-source",
        /// Another bucket is replicated to it.
        ReplicationTarget = "replication-target",
        /// None of these.
        Ordinary = "ordinary",
    }
}
words! {
    /// How exposed the bucket is now, from live state.
    Exposure {
        /// Everybody can reach it.
        Public = "public",
        /// Other accounts can.
        CrossAccount = "cross-account",
        /// Only its own account can.
        Private = "private",
        /// It could not be found out.
        Unknown = "unknown",
    }
}
words! {
    /// How sensitive the data is.
    Sensitivity {
        /// Macie's score says so.
        Sensitive = "sensitive",
        /// Macie's score says that it is not.
        NotSensitive = "not-sensitive",
        /// Macie cannot tell, or was not asked.
        Unknown = "unknown",
    }
}
