//! Text that an attacker may have chosen: titles, names, user agents, object keys, Sids.

use std::borrow::Cow;

/// How much of an untrusted text goes on a line.
pub const LINE: usize = 160;

/// Untrusted text as it may be shown: on one line, without what moves a terminal's cursor, colors its output or turns the
/// direction of writing around, and not longer than `most` characters.
pub fn shown(text: &str, most: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(most));
    let mut length = 0;
    for c in text.chars().filter_map(safe) {
        if c == ' ' && clean.ends_with(' ') {
            continue;
        }
        if length == most {
            clean.push('…');
            return clean;
        }
        clean.push(c);
        length += 1;
    }
    clean.trim_end().to_owned()
}

/// Lines of JSON in which what is not seen, or turns text around, is written out, as JSON can write any character.
pub fn written_out(json: &str) -> Cow<'_, str> {
    // Nearly every line is plain ASCII.
    let is_plain = |byte: u8| byte == b'\n' || (b' '..=b'~').contains(&byte);
    if json.bytes().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut written = String::with_capacity(json.len());
    for c in json.chars() {
        match c == '\n' || is_seen(c) {
            true => written.push(c),
            false => {
                let units = &mut [0; 2];
                for unit in c.encode_utf16(units) {
                    written += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(written)
}

/// A word as a POSIX shell takes it, in quotes where it needs them.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Whether a character is seen as what it is, and moves nothing; line breaks and tabs are not.
pub(crate) fn is_seen(c: char) -> bool {
    safe(c) == Some(c)
}

/// The character, a space for what separates lines or columns, or none for what has no place on a line.
fn safe(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
        c if c.is_control() => None,
        // Marks of direction, embeddings, overrides and isolates.
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => None,
        // What is not seen: zero widths, invisible operators, the byte order mark, fillers, tags.
        '\u{00ad}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}' => None,
        '\u{115f}'
        | '\u{1160}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}' => None,
        '\u{e0000}'..='\u{e0fff}' => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::{shown, written_out};

    #[test]
    fn what_moves_the_cursor_or_turns_text_around_is_gone() {
        assert_eq!(
            shown("a\u{1b}[2Jb\u{9b}31m\u{202e}gpj\u{2069}\u{200b}.exe", 80),
            "a[2Jb31mgpj.exe"
        );
    }

    #[test]
    fn json_stays_what_it_says() {
        let said = serde_json::json!({"a": "\u{202e}b\u{e0041}\u{7f}\n\u{85}ü"});
        let line = format!("{said}\n");
        let written = written_out(&line);
        assert_eq!(
            written,
            concat!(r#"{"a":"\u202eb\udb40\udc41\u007f\n\u0085ü"}"#, "\n")
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&written).ok(),
            Some(said)
        );
        for plain in ["{\"a\":\"~ b\"}\n", ""] {
            assert_eq!(written_out(plain), plain);
        }
    }

    #[test]
    fn a_text_of_several_lines_becomes_one() {
        assert_eq!(shown("first\r\n\tsecond\n", 80), "first second");
    }

    #[test]
    fn a_long_text_is_cut_by_characters_and_says_so() {
        assert_eq!(shown("ÄÖÜß", 3), "ÄÖÜ…");
        assert_eq!(shown("ÄÖÜ", 3), "ÄÖÜ");
    }
}
