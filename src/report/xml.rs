//! What changes in a setting that S3 keeps as XML: rule by rule, and in a rule element by element.

use std::collections::BTreeMap;

use super::difference::{Line, listed};
use super::{LINE, Symbol, shown};
use crate::settings::{Document, Element, Setting, XmlDocument};

/// What has to be done to `before` to get `after`.
pub(super) fn difference(before: &Setting, after: &Setting) -> Vec<Line> {
    let (before, after) = (parts(before), parts(after));
    let mut lines = Vec::new();
    for (name, element) in &after {
        match before.iter().find(|(other, _)| other == name) {
            Some((_, old)) => lines.extend(changes(name, old, element)),
            None => lines.push(line(Symbol::Add, name, summary(element))),
        }
    }
    let is_gone = |name: &String| !after.iter().any(|(other, _)| other == name);
    for (name, element) in before.iter().filter(|(name, _)| is_gone(name)) {
        lines.push(line(Symbol::Remove, name, summary(element)));
    }
    lines
}

/// What a document holds, in one line.
pub(super) fn state(document: &XmlDocument) -> String {
    let parts = labelled(document.root());
    match parts.is_empty() {
        true => "empty".to_owned(),
        false => listed(
            parts
                .iter()
                .map(|(name, part)| format!("{name} ({})", summary(part))),
            "; ",
        ),
    }
}

fn changes(name: &str, before: &Element, after: &Element) -> Vec<Line> {
    let (before, after) = (leaves(before), leaves(after));
    let path = |leaf: &str| format!("{name} {leaf}").trim_end().to_owned();
    let mut lines = Vec::new();
    for (leaf, value) in &after {
        match before.get(leaf) {
            Some(old) if old == value => {}
            Some(old) => lines.push(line(
                Symbol::Change,
                &path(leaf),
                format!("{old} -> {value}"),
            )),
            None => lines.push(line(Symbol::Add, &path(leaf), value.clone())),
        }
    }
    let gone = before.iter().filter(|(leaf, _)| !after.contains_key(*leaf));
    lines.extend(gone.map(|(leaf, value)| line(Symbol::Remove, &path(leaf), value.clone())));
    lines
}

fn line(symbol: Symbol, name: &str, text: String) -> Line {
    Line {
        symbol: Some(symbol),
        name: name.to_owned(),
        text,
    }
}

fn parts(setting: &Setting) -> Vec<(String, &Element)> {
    match setting {
        Setting::Present(Document::Xml(document)) => labelled(document.root()),
        _ => Vec::new(),
    }
}

/// The elements of a document with names to tell them apart: their id, or their place among those of the same name.
fn labelled(root: &Element) -> Vec<(String, &Element)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut parts: Vec<(String, &Element)> = Vec::new();
    for element in &root.children {
        let count = seen.entry(&element.name).or_default();
        *count += 1;
        let by_id = format!("{} {}", element.name, shown(element.value("ID"), 64));
        let by_id = by_id.trim_end().to_owned();
        let taken = parts.iter().any(|(name, _)| *name == by_id);
        let name = match (element.children.is_empty(), element.value("ID"), taken) {
            (true, _, false) => element.name.clone(),
            (false, id, false) if !id.is_empty() => by_id,
            _ => format!("{} {count}", element.name),
        };
        parts.push((name, element));
    }
    parts
}

fn summary(element: &Element) -> String {
    listed(
        leaves(element)
            .into_iter()
            .map(|(leaf, value)| match leaf.is_empty() {
                true => value,
                false => format!("{leaf} {value}"),
            }),
        ", ",
    )
}

/// The values of an element by their paths in it; of those that share a path, all.
fn leaves(element: &Element) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    collect(element, "", &mut leaves);
    leaves
}

fn collect(element: &Element, path: &str, leaves: &mut BTreeMap<String, String>) {
    if element.children.is_empty() {
        let value = shown(&element.text, LINE);
        let known = leaves.entry(path.to_owned()).or_default();
        *known = match known.is_empty() {
            true => value,
            false => format!("{known} {value}"),
        };
    }
    for child in &element.children {
        let path = match path.is_empty() {
            true => child.name.clone(),
            false => format!("{path}.{}", child.name),
        };
        collect(child, &path, leaves);
    }
}
