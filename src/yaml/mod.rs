//! YAML files that people write: read into a tree in which every value knows its place, and checked by hand, so that every
//! mistake is reported where it is.
//!
//! Pure: the text is an argument. What the files mean is not said here.

mod diagnostic;
mod fields;
mod scalars;
mod schema;
mod tree;

pub(crate) use diagnostic::Report;
pub use diagnostic::{Code, Diagnostic, Related, Severity, render};
pub(crate) use fields::{
    Fields, all, each, entries, fields, list, once, sound, version, wrong_type,
};
pub(crate) use scalars::{boolean, date, filled, id, text, word};
#[cfg(test)]
pub(crate) use schema::same_keys;
pub(crate) use schema::{OneOrMany, schema};
pub(crate) use tree::{Node, Place, Placed, Value, nearest, parse};
