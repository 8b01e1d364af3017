//! Portcullis contains an S3 bucket the moment GuardDuty says that it is compromised: narrowly, reversibly, on the record,
//! and only as the security team's policy file allows.
//!
//! This page is the architecture document: what is where, what is deliberately not, and what must stay true.
//!
//! # The path of the data
//!
//! ```text
//! event ─ finding::read ─▶ Finding ─┐
//!                                   ├─ decision::decide(Policy) ─▶ Classification, Decision with its Plan
//! AWS ─── aws::read ─────▶ Settings ┘                                           │
//!                                                                               ▼
//! report ◀─ engine::Report ◀─ RunResult ◀─ aws::write, read back ◀─ Record stored as evidence
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`finding`] | the one reader of events, whatever their casing and wrapping, and the [`Finding`](finding::Finding) that comes of it |
//! | [`classification`] | what a finding means: actor, authorization, way in, exposure, each with its reasons; the word lists that files and screen share |
//! | [`enrichment`] | what Macie and GuardDuty say of a bucket and a finding, as they said it |
//! | [`suppression`] | the GuardDuty filter that hides what is authorized, as narrow as the finding |
//! | [`yaml`] | files that people write, read so that every mistake has its place |
//! | [`policy`] | the team's policy file: its types, its diagnostics, which rule and which exceptions hold |
//! | [`policy_test`] | a team's own tests of its policy, and which parts of it they reach |
//! | [`settings`] | the S3 documents that are read and written, and when two of them mean the same |
//! | [`measures`] | what a rule can ask for; each amends a desired copy of the settings |
//! | [`statements`] | the shape of every Deny that we write, and how a later finding merges into it |
//! | [`guard`] | the closed list of reasons for withholding a measure |
//! | [`decision`] | rule, measures taken and withheld, and the plan; also which settings must be read at all |
//! | [`plan`], [`rollback`] | the difference between observed and desired, and its inverse |
//! | [`drift`], [`overwritten`], [`sweep`] | what of a containment somebody has undone since, and what of theirs a write of ours hid; what the sweep tells |
//! | [`record`] | the immutable account of it all |
//! | [`verdict`] | what a policy says from facts at hand, without a deployment, and what matters of it when two are compared |
//! | [`replay`] | a record's decision, taken again under another policy |
//! | [`backtest`] | what a policy would have done with past findings |
//! | [`store`] | records, leases, releases and the policy file, in a bucket or a folder, with conditional writes |
//! | [`engine`] | the order of the calls: lease and observation, evidence, writes, result |
//! | [`aws`] | clients, reads, writes, what Macie and GuardDuty are asked and told, and what errors mean |
//! | [`deployment`] | the environment, made into what the engine works with; the cached policy |
//! | [`report`] | plans, incidents and rollbacks as text |
//! | [`page`] | incidents and backtests as self-contained HTML |
//! | [`metrics`] | what one invocation did, as CloudWatch counts it |
//! | [`notice`] | what a person is told of a finding, for chat and e-mail |
//!
//! Two binaries stand on this: `portcullis`, the command line, and `portcullis-lambda`, packaged as `bootstrap`.
//!
//! # The one idea
//!
//! Measures amend a desired copy of the bucket's settings; the plan is the difference between observed and desired; rollback
//! is the inverse difference. So there is one write for each setting (for each access point's policy, of these), what is
//! already so vanishes from the plan, a second delivery of an event plans nothing, and no measure writes its own undo.
//!
//! # Invariants
//!
//! - **The core is pure.** `finding`, `enrichment`, `classification`, `yaml`, `policy`, `policy_test`, `settings`, `measures`, `statements`, `decision`,
//!   `plan`, `drift`, `overwritten`, `sweep`, `verdict`, `replay`, `backtest`, `rollback`, `suppression`, `report`, `page`, `notice` and `metrics` do no IO, read no
//!   clock and no environment, and know nothing of AWS's SDK. `now` is an argument. A test reads their source for it.
//! - **No write before its evidence.** [`engine`] is the only caller of [`aws::write`], and has stored the record by then.
//! - **Unreadable is not absent.** [`settings::Setting`] has three cases, and a measure that needs a setting which could not
//!   be read is withheld. The flags of Block Public Access are the exception: turning all four on can only tighten.
//! - **Nothing is dropped in silence.** Measures taken and withheld are together what the rule asks for.
//! - **Foreign statements keep their bytes.** A statement is ours only if it is of exactly our shape; see [`statements`].
//! - **Nobody who must fix things is locked out.** Every Deny spares break-glass and our own role, by `ArnNotLike` on
//!   `aws:PrincipalArn`.
//!
//! # Where S3 gives no help
//!
//! S3 has no conditional write for bucket settings. A lease in the store keeps our own runs from meeting on one target, and
//! a run that found it taken looks at the target once more before it decides. What others write is met by looking again: the
//! settings that are to change are read while the evidence is stored, each but the first once more right before its write,
//! and before a write is tried again; if one differs, a new plan is made. What is left is one round trip between the last
//! look and the write, and before the first write the evidence's own time, up to a quarter of a second. What somebody writes
//! then is lost there, and nothing in S3 tells. CloudTrail has their write: when it tells of it, what of theirs is missing is
//! told and kept, and never put back by itself. What others write over ours is seen when it is read back, when CloudTrail
//! tells of it, or by the sweep.
//!
//! A release and a lease that ended are not deleted: releases are a person's word, and a lease object that stays lets the
//! next holder take over with a compare-and-swap.
//!
//! # Choices that were measured
//!
//! `ring` and not `aws-lc-rs`: the first use of the latter's random generator gathers jitter for about 40 ms, most of a cold
//! start. One thread (`current_thread`): the work waits for S3 and nothing else. `panic = "abort"`: a panic ends the process,
//! and the next delivery takes up from the evidence what it left open.

pub mod aws;
pub mod backtest;
pub mod classification;
pub mod decision;
pub mod deployment;
pub mod drift;
pub mod engine;
pub mod enrichment;
pub mod finding;
pub mod guard;
pub mod measures;
pub mod metrics;
pub mod notice;
pub mod overwritten;
pub mod page;
pub mod plan;
pub mod policy;
pub mod policy_test;
pub mod record;
pub mod replay;
pub mod report;
pub mod rollback;
pub mod settings;
pub mod statements;
pub mod store;
pub mod suppression;
pub mod sweep;
pub mod verdict;
pub mod yaml;
