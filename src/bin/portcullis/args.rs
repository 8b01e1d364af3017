//! The command line's words.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgGroup, Args as Group, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;
use portcullis::settings::SettingKind;

use crate::page::PageArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing to do
  1  could not finish
  2  the command line is not understood, or needs --yes or --confirm
  3  the policy, event, record, facts or tests are not valid
  4  changes are pending (plan --detailed-exitcode)
  5  finished, but partly, or a guard withheld a measure
  6  a policy test failed
Of several findings or tests the worst counts: 1 before 3, 6, 5, 4 and 0.";

const ABOUT: &str = "Contains an S3 bucket when Amazon GuardDuty raises a finding: \
narrowly, reversibly, on the record, and only as the policy file allows.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about = ABOUT, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Group)]
pub(crate) struct Global {
    /// How results are printed. JSON carries "version": 1
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub(crate) output: Output,
    /// Whether to color; auto follows NO_COLOR, FORCE_COLOR and the terminal, in this order
    #[arg(
        long,
        global = true,
        display_order = 900,
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write the built-in policy, commented, tests of it, and their JSON Schemas
    Init(Init),
    /// Check a policy file and show every mistake in its place
    Validate(Validate),
    /// Run your own tests of a policy: findings, and what shall come of them
    Test(Test),
    /// Put a policy file in force in the store, once you have seen what it changes
    Push(Push),
    /// Say what a finding means and what the policy says to it, without AWS
    Explain(Explain),
    /// Try a policy on past findings: what it would have done, and what it changes of another policy
    Backtest(Backtest),
    /// Show what apply would do about a finding; reads AWS and changes nothing
    Plan(Plan),
    /// Contain what a finding names: show the plan, ask, store the evidence, change, read back
    Apply(Apply),
    /// Undo what a record did, for what is still as it was left
    Rollback(Rollback),
    /// Look after what stands: roll back what is due, tell of drift, put back what is to be held
    Sweep(Sweep),
    /// List the records, newest first
    Records(Records),
    /// Tell what was found, decided and done
    Show(Show),
    /// Show or create the GuardDuty filter that hides authorized access like a finding's
    Suppress(Suppress),
    /// Have GuardDuty make sample findings, and tell what the deployed function did with them
    Drill(Drill),
    /// List what a rule can ask for
    Measures,
    /// Print the JSON Schema of the policy file, or of its tests
    Schema(Schema),
    /// Print a completion script
    Completions(Completions),
}

#[derive(Debug, Group)]
pub(crate) struct Init {
    /// Where to write the policy; schemas and tests go beside it. An existing file is never overwritten
    #[arg(default_value = "policy.yaml")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct Validate {
    /// The policy file, or - for standard input
    pub(crate) policy: PathBuf,
}

#[derive(Debug, Group)]
pub(crate) struct Test {
    /// A folder of test files (*.yaml, *.yml), folders within it included, or one of these files
    #[arg(value_name = "DIR")]
    pub(crate) tests: PathBuf,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

#[derive(Debug, Group)]
pub(crate) struct Push {
    /// The policy file, or - for standard input
    pub(crate) policy: PathBuf,
    /// How many of the last records to decide again with it
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    pub(crate) records: usize,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Group)]
pub(crate) struct Explain {
    /// A file with GuardDuty findings as JSON, in any wrapping, or - for standard input
    pub(crate) event: PathBuf,
    /// The target's settings as JSON: a record, or what it holds under "before"
    #[arg(long, value_name = "FILE")]
    pub(crate) facts: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

#[derive(Debug, Group)]
#[group(skip)]
#[command(group(ArgGroup::new("findings").required(true).args(["source", "since", "records"])))]
pub(crate) struct Backtest {
    /// Findings as JSON, one a line or in any wrapping, compressed with gzip or not: files, folders, s3://bucket/prefix of an
    /// export, or - for standard input
    pub(crate) source: Vec<PathBuf>,
    /// Take the findings that GuardDuty has of so long a time, such as 30d
    #[arg(long, value_name = "DURATION", value_parser = since)]
    pub(crate) since: Option<SignedDuration>,
    /// Take the findings of the store's records, with the facts that are in them
    #[arg(long)]
    pub(crate) records: bool,
    /// Compare with this policy: a file, s3://bucket/key or built-in
    #[arg(long, value_name = "POLICY")]
    pub(crate) against: Option<String>,
    /// What is known of targets: nothing beside the findings, what the store's records hold, or that and what AWS says now
    #[arg(long, value_enum, default_value_t, value_name = "FACTS")]
    pub(crate) facts: FactsFrom,
    /// Take archived findings as they were before a person archived them
    #[arg(long)]
    pub(crate) as_new: bool,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) deployment: Deployment,
}

/// Where the facts about targets come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FactsFrom {
    None,
    #[default]
    Records,
    Live,
}

#[derive(Debug, Group)]
pub(crate) struct Plan {
    /// A file with GuardDuty findings as JSON, in any wrapping, or - for standard input
    pub(crate) event: PathBuf,
    /// Exit with 4 when changes are pending
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    #[command(flatten)]
    pub(crate) deployment: Deployment,
}

#[derive(Debug, Group)]
pub(crate) struct Apply {
    /// A file with GuardDuty findings as JSON, or - for standard input, or the id of a record
    #[arg(value_name = "EVENT|RECORD")]
    pub(crate) source: PathBuf,
    /// Don't ask. A disruptive plan still needs --confirm
    #[arg(long)]
    pub(crate) yes: bool,
    /// Consent to the plan of this bucket (or account id), disruptive measures included; may be repeated
    #[arg(long, value_name = "BUCKET")]
    pub(crate) confirm: Vec<String>,
    #[command(flatten)]
    pub(crate) deployment: Deployment,
}

#[derive(Debug, Group)]
pub(crate) struct Rollback {
    /// The id of the record, as `portcullis records` lists it
    pub(crate) record: String,
    /// Put this setting back although somebody changed it since; may be repeated
    #[arg(long, value_name = "SETTING", value_parser = setting())]
    pub(crate) force_setting: Vec<SettingKind>,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) roles: RoleArgs,
}

#[derive(Debug, Group)]
pub(crate) struct Sweep {
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) deployment: Deployment,
}

#[derive(Debug, Group)]
pub(crate) struct Records {
    /// How many to list
    #[arg(long, default_value_t = 50, value_name = "NUMBER")]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Group)]
pub(crate) struct Show {
    /// The id of the record, as `portcullis records` lists it
    pub(crate) record: String,
    #[command(flatten)]
    pub(crate) page: PageArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Group)]
pub(crate) struct Suppress {
    /// A file with GuardDuty findings as JSON, in any wrapping, or - for standard input
    pub(crate) event: PathBuf,
    /// Every session of the role, and not only this one
    #[arg(long)]
    pub(crate) any_session: bool,
    /// Create the filter. Without this it is only shown
    #[arg(long)]
    pub(crate) create: bool,
    /// Don't ask
    #[arg(long, requires = "create")]
    pub(crate) yes: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Drill {
    /// A type of finding to make a sample of; may be repeated [default: every one about S3]
    #[arg(long, value_name = "TYPE", value_parser = finding_type)]
    pub(crate) finding: Vec<String>,
    /// How long to wait for the records of the samples. GuardDuty sends findings within minutes
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = wait)]
    pub(crate) wait: Duration,
    /// Don't ask
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

#[derive(Debug, Group)]
pub(crate) struct Schema {
    /// That of test files
    #[arg(long)]
    pub(crate) tests: bool,
}

#[derive(Debug, Group)]
pub(crate) struct Completions {
    /// Which shell
    pub(crate) shell: Shell,
}

/// Everything that says how AWS is reached and what is allowed there.
#[derive(Debug, Clone, Group)]
pub(crate) struct Deployment {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) roles: RoleArgs,
}

#[derive(Debug, Clone, Group)]
pub(crate) struct RoleArgs {
    /// Name of the role to assume in accounts other than the credentials' own
    #[arg(
        long,
        value_name = "NAME",
        env = "PORTCULLIS_MEMBER_ROLE",
        hide_env_values = true
    )]
    pub(crate) member_role: Option<String>,
    /// External id that the trust of that role asks for
    #[arg(
        long,
        value_name = "ID",
        env = "PORTCULLIS_EXTERNAL_ID",
        hide_env_values = true
    )]
    pub(crate) external_id: Option<String>,
    /// ARN of the deployed function's role, which every Deny then spares
    #[arg(
        long,
        value_name = "ARN",
        env = "PORTCULLIS_ROLE_ARN",
        hide_env_values = true
    )]
    pub(crate) role_arn: Option<String>,
}

#[derive(Debug, Clone, Group)]
pub(crate) struct StoreArgs {
    /// Where records are kept: s3://bucket[/prefix], or a folder
    #[arg(
        long,
        value_name = "PLACE",
        env = "PORTCULLIS_STORE",
        hide_env_values = true,
        default_value = crate::session::DEFAULT_STORE
    )]
    pub(crate) store: String,
}

#[derive(Debug, Clone, Group)]
pub(crate) struct PolicyArgs {
    /// The policy: a file, s3://bucket/key or built-in [default: policy.yaml in the store, else built-in]
    #[arg(
        long,
        value_name = "POLICY",
        env = "PORTCULLIS_POLICY",
        hide_env_values = true
    )]
    pub(crate) policy: Option<String>,
}

/// The model's limits of a type.
fn finding_type(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || text.len() > 100 {
        true => {
            Err("a type has 1 to 100 characters, such as Exfiltration:S3/MaliciousIPCaller".into())
        }
        false => Ok(text.to_owned()),
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    let day = SignedDuration::from_hours(24);
    let parsed: Option<SignedDuration> = text.parse().ok();
    let possible = parsed.filter(|wait| wait.is_positive() && *wait <= day);
    possible
        .and_then(|wait| Duration::try_from(wait).ok())
        .ok_or_else(|| "give a duration such as 90s, 10m or 1h, of a day at most".to_owned())
}

/// GuardDuty keeps findings for 90 days.
fn since(text: &str) -> Result<SignedDuration, String> {
    let day = SignedDuration::from_hours(24);
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    let parsed: Option<SignedDuration> = days
        .and_then(|days: u16| day.checked_mul(days.into()))
        .or_else(|| text.parse().ok());
    let possible = parsed.filter(|since| since.is_positive() && *since <= day * 90);
    possible.ok_or_else(|| {
        "give a duration such as 12h, 7d or 30d, of 90 days at most, for GuardDuty keeps findings no longer".to_owned()
    })
}

fn setting() -> impl TypedValueParser<Value = SettingKind> {
    let amendable = SettingKind::WORDS
        .iter()
        .filter(|word| SettingKind::from_word(word).is_some_and(SettingKind::is_amendable));
    PossibleValuesParser::new(amendable).try_map(|word| {
        SettingKind::from_word(&word).ok_or_else(|| format!("{word} is not a setting"))
    })
}
