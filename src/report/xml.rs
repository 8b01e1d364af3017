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

/// The elements of a document with names to tell them apart: their ids, or their places among those of the same name.
fn labelled(root: &Element) -> Vec<(String, &Element)> {
    let mut parts: Vec<(String, &Element)> = Vec::new();
    for element in &root.children {
        let alike = root
            .children
            .iter()
            .filter(|other| other.name == element.name);
        let by_id = format!("{} {}", element.name, shown(element.value("ID"), 64));
        let known = |label: &str| parts.iter().any(|(name, _)| name == label);
        let label = match (element.value("ID").is_empty(), alike.count()) {
            (true, 1) => element.name.clone(),
            (false, _) if !known(&by_id) => by_id,
            _ => {
                let before = parts.iter().filter(|(_, part)| part.name == element.name);
                format!("{} {}", element.name, before.count() + 1)
            }
        };
        parts.push((label, element));
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
