//! What people open in a browser and attach to a ticket: one file, with nothing in it that asks the network for anything.
//!
//! Every function here is pure and takes the very value that text and JSON are made of. Nothing that a finding or a bucket
//! says can become markup: maud escapes every text, the page allows no script and no style but its own, by their hashes,
//! and what cannot be seen of a text is written out before the page leaves this module.

mod backtest;
mod commands;
mod documents;
mod frame;
mod incident;
mod parts;
mod timeline;

pub use backtest::backtest;
pub use incident::incident;
