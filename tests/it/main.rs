//! The integration tests: one crate, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod access_points;
mod accounts;
mod backtest;
mod browser;
mod cli;
mod decide;
mod directory_buckets;
mod documentation;
mod engine;
mod evaluator;
mod faults;
mod finding;
mod fuzz;
mod investigation;
mod judge;
mod lambda;
mod metrics;
mod notice;
mod observability;
mod page;
mod permissions;
mod policy;
mod policy_tests;
mod port;
mod proof;
mod properties;
mod push;
mod reference;
mod refused;
mod regions;
mod rollback;
mod services;
mod settings;
mod sns;
mod stand_in;
mod store;
mod sweep;
mod sweep_notices;
mod template;
mod threats;
mod tidy;
mod trail;
mod undoing;
mod world;
