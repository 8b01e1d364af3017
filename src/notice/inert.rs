//! Untrusted text that no chat and no mail reader makes anything of: no link, no mention, no heading, no format.

/// How far a full-width form is from the ASCII character that it looks like.
const FULL_WIDTH: u32 = 0xfee0;

/// A text, already on one line, in which nothing has a meaning to Slack, Teams or a mail reader. What has is put in its full-width form,
/// which reads the same; a dot that could make a host name becomes a one-dot leader, for mere names are made links, too. Access
/// key ids go.
pub(super) fn inert(text: &str) -> String {
    let text = without_access_keys(text);
    let mut inert = String::with_capacity(text.len());
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let next = rest.chars().next().unwrap_or(' ');
        inert.push(match c {
            '`' => '\'',
            '<' | '>' | '&' | '[' | ']' | '*' | '#' | '|' | '~' | '@' | '!' | '\\' => wide(c),
            // Inside a word it is no mark of a format, to chats too.
            '_' if !before.is_alphanumeric() || !next.is_alphanumeric() => wide(c),
            ':' if next == '/' => wide(c),
            '.' if before.is_alphanumeric() && next.is_alphabetic() && !ends_a_file(rest) => {
                '\u{2024}'
            }
            _ => c,
        });
        before = c;
    }
    inert
}

/// Whether what follows a dot is the end of a file's name, and no domain.
fn ends_a_file(rest: &str) -> bool {
    let end = rest.split(|c: char| !c.is_alphanumeric() && c != '.' && c != '-');
    matches!(end.into_iter().next(), Some("yaml" | "yml" | "json"))
}

/// A name or a command as it may stand between back quotes, where a chat makes nothing of it but their end.
pub(super) fn code(text: &str) -> String {
    let inside: String = text
        .chars()
        .map(|c| match c {
            '`' => '\'',
            '<' | '>' | '&' => wide(c),
            _ => c,
        })
        .collect();
    format!("`{inside}`")
}

/// Text of at most `most` bytes of UTF-8 that says, where it was cut, where the rest is.
pub(super) fn cut(text: &str, most: usize, rest: &str) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let said = format!("\n…\n(cut here; {rest})");
    let kept = &text[..text.floor_char_boundary(most.saturating_sub(said.len()))];
    // A command or a name that is cut in the middle would be another one.
    let kept = kept.rsplit_once('\n').map_or(kept, |(lines, _)| lines);
    format!("{kept}{said}")
}

fn wide(c: char) -> char {
    char::from_u32(u32::from(c) + FULL_WIDTH).unwrap_or(' ')
}

/// Access key ids are `AKIA` or `ASIA` and capitals and digits, 20 characters in all.
fn without_access_keys(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    let mut clean = String::with_capacity(text.len());
    for word in text.split_inclusive(|c: char| !is_part(c)) {
        let key = word.trim_end_matches(|c: char| !is_part(c));
        let is_key = key.len() >= 16 && (key.starts_with("AKIA") || key.starts_with("ASIA"));
        match is_key {
            true => {
                clean += "(access key id)";
                clean += &word[key.len()..];
            }
            false => clean += word,
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::{code, cut, inert};

    #[test]
    fn no_character_that_a_chat_or_a_mail_reader_acts_on_is_left() {
        let hostile = "<!channel> <@U012AB3CD> [free](https://evil.example) *b* ~s~ _i_ # h `c` a@evil.com www.evil.com <at>all</at>";
        let text = inert(hostile);
        for mark in [
            "<", ">", "&", "[", "]", "`", "*", "~", "@", "#", "://", ".com", ".evil", " _", "_ ",
        ] {
            assert!(!text.contains(mark), "{mark} is in {text}");
        }
    }

    #[test]
    fn what_means_nothing_stays_as_it_is() {
        let harmless =
            "CREDIT_CARD_NUMBER (12), 8.0 high, from 198.51.100.7 at 2026-03-01T10:15:00Z: 3 of 4.";
        assert_eq!(inert(harmless), harmless);
        assert_eq!(inert("a.yaml.com"), "a\u{2024}yaml\u{2024}com");
    }

    #[test]
    fn access_key_ids_are_taken_out() {
        let text = inert("key AKIAIOSFODNN7EXAMPLE, and ASIAIOSFODNN7EXAMPLE.");
        assert_eq!(text, "key (access key id), and (access key id).");
        // A role's id is no credential.
        assert_eq!(inert("AROAIOSFODNN7EXAMPLE:s"), "AROAIOSFODNN7EXAMPLE:s");
    }

    #[test]
    fn nothing_gets_out_of_back_quotes() {
        assert_eq!(code("a`b <!here>"), "`a'b ＜!here＞`");
    }

    #[test]
    fn text_is_cut_between_lines_and_says_so() {
        let text = "äääää\nööööö\nüüüüü\n".repeat(20);
        for most in 60..100 {
            let short = cut(&text, most, "see the record");
            assert!(short.len() <= most, "{short}");
            let kept = short.strip_suffix("\n…\n(cut here; see the record)");
            assert!(
                kept.is_some_and(|kept| kept.lines().all(|line| line.len() == 10)),
                "{short}"
            );
        }
        assert_eq!(cut("short", 100, "x"), "short");
    }
}
