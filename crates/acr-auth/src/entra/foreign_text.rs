//! Makes the words of others fit for an error: escaped, capped, and without anything secret.

use acr_core::Secret;

/// At most `limit` characters, blanks joined, everything unprintable escaped.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut chars = joined.chars();
    let mut shown = String::new();
    for c in chars.by_ref().take(limit) {
        if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
    }
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The same with every word replaced that could hold a token: those are longer than
/// anything a person would write, and longer than the ids that are worth reading.
pub(crate) fn without_tokens(text: &str, limit: usize) -> String {
    let words = text.split_whitespace().map(|word| {
        let is_token = word
            .split(|c: char| !(c.is_ascii_alphanumeric() || "-_~+=".contains(c)))
            .any(|run| run.len() > LONGEST_ID || run.starts_with("eyJ"));
        if is_token { "[redacted]" } else { word }
    });
    printable(&words.collect::<Vec<_>>().join(" "), limit)
}

/// Whether a text repeats a part of a secret, in whatever case.
pub(crate) fn reveals(text: &str, secret: &Secret) -> bool {
    let text = text.to_ascii_lowercase();
    let secret = secret.expose().to_ascii_lowercase();
    let secret = secret.as_bytes();
    let length = secret.len().clamp(1, TELLING_PART);
    secret.windows(length).any(|part| text.as_bytes().windows(length).any(|window| window == part))
}

/// A GUID has 36 characters.
const LONGEST_ID: usize = 36;

/// So many characters in a row are no accident.
const TELLING_PART: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_and_addresses_stay_and_tokens_go() {
        let jwt = format!("eyJ0eXAi.{}.x", "a".repeat(40));
        let text = format!(
            "ERROR: tenant 00000000-1111-2222-3333-444444444444 at https://a.example/b said {jwt}\n"
        );
        assert_eq!(
            without_tokens(&text, 300),
            "ERROR: tenant 00000000-1111-2222-3333-444444444444 at https://a.example/b said [redacted]"
        );
        for token in ["a".repeat(37), format!("x={}", "0".repeat(40)), "\"eyJhbGciOi\"".to_owned()]
        {
            assert_eq!(without_tokens(&token, 300), "[redacted]", "{token}");
        }
        assert_eq!(printable("a\u{1b}[31m\r\nb\u{202e}c", 100), "a\\u{1b}[31m b\\u{202e}c");
        assert_eq!(printable("abcdef", 3), "abc…");
    }

    #[test]
    fn a_repeated_part_of_a_secret_is_seen() {
        let secret = Secret::new("hUnter2-is-the-secret");
        assert!(reveals("you sent 'is-the-s…'", &secret));
        assert!(reveals("YOU SENT HUNTER2-IS", &secret));
        assert!(!reveals("the secret is wrong", &secret));
        assert!(reveals("short: abc", &Secret::new("abc")));
        assert!(!reveals("anything", &Secret::new("")));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_bounded_and_harmless(text in "\\PC{0,300}|[\\x00-\\x7f]{0,300}") {
            let shown = without_tokens(&text, 50);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.len() <= 51 * 10);
        }
    }
}
