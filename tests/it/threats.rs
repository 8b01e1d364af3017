//! The threat model names the test behind each of its claims: these must exist.

use std::path::Path;

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let mut sources = String::new();
    let mut folders = vec![root.join("tests/it"), root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => sources += &std::fs::read_to_string(&path).unwrap(),
            }
        }
    }
    let cases = root.join("tests/cases/decide");
    let mut named = 0;
    // In code font, and of more words than anything else is.
    for name in page.split('`').skip(1).step_by(2) {
        let is_test = name.matches('_').count() > 2 && !name.contains([' ', '/', ':']);
        if is_test {
            named += 1;
            let function = format!("fn {name}(");
            assert!(sources.contains(&function), "there is no test {name}");
        }
        if let Some(case) = name.strip_prefix("decide/") {
            named += 1;
            assert!(cases.join(case).is_dir(), "there is no case {case}");
        }
    }
    assert!(named > 20, "{named}");
}
