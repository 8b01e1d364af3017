//! Pages as people meet them: written by the real command line, opened in a real browser.

mod backtest;
mod incident;

use std::path::PathBuf;

use portcullis::settings::Settings;
use serde_json::{Value, json};

use crate::browser::visit;
use crate::cli::{Folder, ends};

/// What an attacker would try, in whatever he can name.
const HOSTILE: [&str; 10] = [
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</title></style></script><script>alert(1)</script>",
    "javascript:alert(1)",
    "<!--",
    "]]><svg onload=alert(1)>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "a\u{202e}gpj.exe\u{2066}\u{200b}\u{0}\u{1b}[31m",
    "first\nsecond\r\n\tthird",
    "<a href=//evil.example ping=//evil.example>&lt;b&gt;&amp;amp;</a>",
];

/// Every text of `value` with hostile texts behind it, one each in turn, and one that is very long; where what reads it
/// (`is_taken`) takes that no longer, as of enumerations and times, the text stays as it was. At least `least` are poisoned.
fn poisoned(value: &Value, least: usize, is_taken: &dyn Fn(&Value) -> bool) -> Value {
    let mut value = value.clone();
    let mut pointers = Vec::new();
    texts(&value, String::new(), &mut pointers);
    let mut poisoned = 0;
    for (index, pointer) in pointers.iter().enumerate() {
        let before = value.pointer(pointer).unwrap().clone();
        let payload = match index % (HOSTILE.len() + 1) {
            10 => "long".repeat(3000),
            number => HOSTILE[number].to_owned(),
        };
        let text = format!("{}{payload}", before.as_str().unwrap());
        *value.pointer_mut(pointer).unwrap() = text.into();
        match is_taken(&value) {
            true => poisoned += 1,
            false => *value.pointer_mut(pointer).unwrap() = before,
        }
    }
    assert!(poisoned >= least, "only {poisoned} texts could be poisoned");
    value
}

fn texts(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                texts(item, format!("{at}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                texts(field, format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// The elements of a page, counted by name, and its attributes that could do something: what must be the same whatever the
/// texts in it are.
const MARKUP: &str = r#"(() => {
  const names = {};
  const all = [...document.querySelectorAll("*")];
  for (const { tagName } of all) names[tagName] = (names[tagName] ?? 0) + 1;
  const acting = all.flatMap((element) => [...element.attributes]
    .filter(({ name, value }) => /^(on|src|style|srcdoc|action|formaction|ping|background)/.test(name)
      || (name === "href" && !/^#[a-z-]+$/.test(value)))
    .map(({ name, value }) => `${element.tagName} ${name}=${value}`));
  return { names, acting };
})()"#;

/// Characters that are not seen for what they are, anywhere in a page.
const UNSEEN: &str = r#"[...document.documentElement.outerHTML]
  .filter((c) => /[\p{Cc}\p{Cf}]/u.test(c) && c !== "\n").length"#;

fn ask(expression: &str) -> Value {
    json!({ "ask": expression })
}

fn press(key: &str) -> Value {
    json!({ "press": key })
}

/// In light and in dark, on a wide and on a narrow screen and on paper, axe-core has nothing against the page, and nothing
/// runs out of its sides.
fn reads_well(page: &std::path::Path) {
    let mut steps = Vec::new();
    let overflow = ask(r#"(() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          const wide = (element) => element.getBoundingClientRect().right > clientWidth;
          return scrollWidth <= clientWidth ? [] : [...document.querySelectorAll("body *")].filter(wide).map((e) => e.outerHTML.slice(0, 200));
        })()"#);
    for (scheme, width) in [
        ("light", 1280),
        ("dark", 1280),
        ("light", 360),
        ("dark", 360),
    ] {
        steps.push(json!({ "media": { "colorScheme": scheme } }));
        steps.push(json!({ "size": { "width": width, "height": 800 } }));
        steps.push(json!({ "audit": true }));
        steps.push(overflow.clone());
        steps.push(ask("getComputedStyle(document.body).backgroundColor"));
    }
    let answers = visit(page, &steps);
    let colors: Vec<&Value> = answers.iter().skip(2).step_by(3).collect();
    assert_eq!(colors[0], colors[2]);
    assert_ne!(colors[0], colors[1], "dark is as light is");
    for answers in answers.chunks(3) {
        assert_eq!(answers[0], json!([]));
        assert_eq!(answers[1], json!([]), "wider than the window");
    }
}

/// A bucket that everybody can read, and that an application uses.
fn public_bucket(name: &str) -> Settings {
    let arn = format!("arn:aws:s3:::{name}/*");
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Sid": "PublicRead", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": arn },
            { "Sid": "Application", "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:role/app" },
              "Action": "s3:*", "Resource": arn },
        ],
    });
    let owner = "6bc3f2fc9323d13dc0d0a73dfba54085c6fe7f2c6227ef2b121a3190ef7e063b";
    let grant = |kind: &str, grantee: &str, permission: &str| json!({ "grantee-type": kind, "grantee": grantee, "permission": permission });
    let everybody = "http://acs.amazonaws.com/groups/global/AllUsers";
    let grants = [
        grant("CanonicalUser", owner, "FULL_CONTROL"),
        grant("Group", everybody, "READ"),
    ];
    let settings = json!({
        "bucket-policy": { "present": { "bucket-policy": policy.to_string() } },
        "acl": { "present": { "acl": { "owner": owner, "grants": grants } } },
        "public-access-block": "absent",
        "tags": { "present": { "tags": { "team": "orders" } } },
    });
    serde_json::from_value(settings).unwrap()
}

/// The path of the page that the command line writes of a record in the folder's store.
fn shown(folder: &Folder, id: &str) -> PathBuf {
    ends(folder.run(&["show", id, "--html", "page.html"]), 0);
    folder.path("page.html")
}
