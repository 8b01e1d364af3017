//! A setting that S3 keeps as XML, exactly as S3 returned it.
//!
//! S3 adds elements faster than a program is deployed, and replaces the whole document: what a typed model doesn't know
//! would be lost with the first write. So the text is kept, and a change replaces only the part that it is about.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Deserializer, Serialize};

/// The namespace of S3's documents.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// The first rule that matches a request counts.
const ORDERED: &str = "CORSRule";

/// An XML document, and what S3 says of the setting in headers.
#[derive(Debug, Clone, Serialize)]
pub struct XmlDocument {
    text: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip)]
    root: Element,
}

/// An element, and where it is in the text.
#[derive(Debug, Clone)]
pub struct Element {
    /// Its local name.
    pub name: String,
    /// The text directly in it, entities resolved.
    pub text: String,
    /// The elements directly in it.
    pub children: Vec<Element>,
    attributes: BTreeMap<String, String>,
    range: Range<usize>,
}

/// A part of a document that gets another text.
#[derive(Debug, Clone)]
pub struct Edit {
    range: Range<usize>,
    text: String,
}

/// Why a text is no XML document.
#[derive(Debug, thiserror::Error)]
#[error("the document is not XML: {0}")]
pub struct XmlError(#[from] roxmltree::Error);

impl XmlDocument {
    /// Reads a document as S3 returns it.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        let tree = roxmltree::Document::parse(text)?;
        Ok(Self {
            text: text.to_owned(),
            headers: BTreeMap::new(),
            root: element(tree.root_element()),
        })
    }

    /// A document of our own: `root`, and the elements in it as text.
    pub fn new(root: &str, inner: &str) -> Result<Self, XmlError> {
        Self::parse(&format!("<{root} xmlns=\"{NAMESPACE}\">{inner}</{root}>"))
    }

    /// The same document with what S3 says of it in headers, names in lower case.
    pub fn with_headers(self, headers: BTreeMap<String, String>) -> Self {
        Self { headers, ..self }
    }

    /// The document as it was read, or as it is to be written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What S3 says of the setting in headers, and wants to be told with a write.
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.headers
    }

    /// The outermost element.
    pub fn root(&self) -> &Element {
        &self.root
    }

    /// The same document with some parts replaced; every other byte stays. Parts do not overlap.
    pub fn with(&self, mut edits: Vec<Edit>) -> Result<Self, XmlError> {
        edits.sort_by_key(|edit| std::cmp::Reverse(edit.range.start));
        let mut text = self.text.clone();
        for edit in edits {
            text.replace_range(edit.range, &edit.text);
        }
        Ok(Self::parse(&text)?.with_headers(self.headers.clone()))
    }

    /// An edit that gives `element` another content.
    pub fn fill(&self, element: &Element, inner: &str) -> Edit {
        let tag = self.tag(element);
        Edit {
            range: element.range.clone(),
            text: format!("{}>{inner}</{}>", tag.open, tag.name),
        }
    }

    /// An edit that adds to the content of `element`, at its end.
    pub fn append(&self, element: &Element, inner: &str) -> Edit {
        let source = &self.text[element.range.clone()];
        let tag = self.tag(element);
        let content = match source.ends_with("/>") {
            true => "",
            false => {
                let end = source.rfind("</").unwrap_or(source.len());
                source.get(tag.open.len() + 1..end).unwrap_or_default()
            }
        };
        self.fill(element, &format!("{content}{inner}"))
    }

    fn tag(&self, element: &Element) -> Tag<'_> {
        let source = &self.text[element.range.clone()];
        // A ">" may stand in an attribute's value.
        let mut quote = None;
        let end = source.char_indices().find(|(_, c)| match quote {
            Some(open) => {
                if *c == open {
                    quote = None;
                }
                false
            }
            None if matches!(c, '"' | '\'') => {
                quote = Some(*c);
                false
            }
            None => *c == '>',
        });
        let open = &source[..end.map_or(source.len(), |(index, _)| index)];
        let open = open.strip_suffix('/').unwrap_or(open);
        let name = open.trim_start_matches('<');
        Tag {
            open,
            name: name.split(char::is_whitespace).next().unwrap_or(name),
        }
    }
}

/// The start of an element as it is written: `<Rule a="b"`, and the name in it, prefix included.
struct Tag<'a> {
    open: &'a str,
    name: &'a str,
}

impl Element {
    /// The first element directly in it that has this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The elements directly in it that have this name.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element directly in it that has this name; empty where there is none.
    pub fn value(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// Its meaning as text: the order of elements has none, save that of rules of which the first match counts.
    fn canonical(&self) -> String {
        let mut children: Vec<(String, String)> = self
            .children
            .iter()
            .map(|child| (child.name.clone(), child.canonical()))
            .collect();
        children.sort_by(|(name, a), (other, b)| match name == ORDERED {
            true => name.cmp(other),
            false => (name, a).cmp(&(other, b)),
        });
        let children: Vec<String> = children.into_iter().map(|(_, text)| text).collect();
        // Quoted, so that no text can imitate an element.
        format!(
            "{}{:?}{:?}[{}]",
            self.name,
            self.attributes,
            self.text,
            children.join(",")
        )
    }
}

impl PartialEq for XmlDocument {
    /// By meaning: names without their prefixes, no white space between elements, no order where S3 knows none.
    fn eq(&self, other: &Self) -> bool {
        self.headers == other.headers && self.root.canonical() == other.root.canonical()
    }
}

impl<'de> Deserialize<'de> for XmlDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Stored {
            text: String,
            #[serde(default)]
            headers: BTreeMap<String, String>,
        }
        let Stored { text, headers } = Stored::deserialize(deserializer)?;
        let document = Self::parse(&text).map_err(serde::de::Error::custom)?;
        Ok(document.with_headers(headers))
    }
}

/// A text as it stands in XML.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Recursion goes as deep as S3's own schemas.
fn element(node: roxmltree::Node) -> Element {
    let children: Vec<Element> = node
        .children()
        .filter(roxmltree::Node::is_element)
        .map(element)
        .collect();
    let text: String = node
        .children()
        .filter(roxmltree::Node::is_text)
        .filter_map(|text| text.text())
        .collect();
    // White space is content in an element like Prefix, and form beside other elements or in an empty document.
    let is_form = (!children.is_empty() || node.parent_element().is_none())
        && text.chars().all(char::is_whitespace);
    Element {
        name: node.tag_name().name().to_owned(),
        text: if is_form { String::new() } else { text },
        children,
        attributes: node
            .attributes()
            .map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned()))
            .collect(),
        range: node.range(),
    }
}
