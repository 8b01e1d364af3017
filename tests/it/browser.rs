//! A page, opened in a headless Chromium: the one place that talks to it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

/// What happened while a page was open, but for the answers.
#[derive(Debug, Deserialize)]
struct Told {
    answers: Vec<Value>,
    console: Vec<String>,
    requests: Vec<String>,
    dialogs: Vec<String>,
    pages: u32,
}

/// Opens a page, takes `steps` (tests/browser/browser.mjs lists them) and hands back the answers. A page that asks for anything
/// but itself, opens a dialog or another page, or makes the console say a word, fails the test.
pub(crate) fn visit(page: &Path, steps: &[Value]) -> Vec<Value> {
    visit_with(page, true, steps)
}

/// The same, in a browser that runs no script of the page's.
pub(crate) fn visit_without_scripts(page: &Path, steps: &[Value]) -> Vec<Value> {
    visit_with(page, false, steps)
}

fn visit_with(page: &Path, scripts: bool, steps: &[Value]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let node = root.join(".tools/browser/node/bin/node");
    let mut child = Command::new(&node)
        .arg(root.join("tests/browser/browser.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}; `make tools` installs it", node.display()));
    let page = page.to_str().unwrap();
    let visit = json!({ "page": page, "scripts": scripts, "steps": steps });
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(visit.to_string().as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the browser gave up, see above");
    let told: Told = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.console, [""; 0]);
    assert_eq!(told.dialogs, [""; 0]);
    assert_eq!(told.requests, [format!("file://{page}")]);
    assert_eq!(told.pages, 1);
    told.answers
}
