//! Makes the words of others fit for an error: escaped, capped, and without anything secret.

mod echo;

use acr_core::{Secret, http::printable_up_to};

/// At most `limit` bytes, blanks joined, everything unprintable escaped.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable_up_to(&joined, limit).to_string()
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

/// What a service says for a person, or nothing if it repeats a part of what was sent to it.
/// Words that are no plain words, numbers, addresses or ids are left out: they could be
/// anything, and a token in whatever encoding looks like that.
pub(crate) fn reason(text: &str, sent: &[&Secret], limit: usize) -> Option<String> {
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    if repeats(&text, sent) {
        return None;
    }
    let mut is_empty = true;
    let words = text.split_whitespace().map(|word| {
        let is_plain = is_plain(word);
        is_empty &= !is_plain;
        if is_plain { word } else { "[redacted]" }
    });
    let words = words.collect::<Vec<_>>().join(" ");
    (!is_empty).then(|| printable(&words, limit))
}

/// The code of an error, `[A-Z_]{1,64}`, or nothing.
pub(crate) fn code<'a>(text: &'a str, sent: &[&Secret]) -> Option<&'a str> {
    let is_code =
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    (is_code && !repeats(text, sent)).then_some(text)
}

/// Whether a text repeats a part of what was sent, in whatever case and order, as it is or
/// encoded in the ways that services encode.
pub(crate) fn repeats(text: &str, sent: &[&Secret]) -> bool {
    let views = echo::views(text.as_bytes());
    sent.iter().any(|secret| echo::Parts::of(secret.expose()).are_in(&views))
}

/// A word that a person writes: letters, short numbers, or an id.
fn is_plain(word: &str) -> bool {
    let trimmed = word.trim_matches(|c: char| c.is_ascii_punctuation());
    is_guid(trimmed) || word.split(is_mark).all(is_plain_part)
}

/// What stands between words and numbers in sentences, addresses and URLs.
fn is_mark(c: char) -> bool {
    "'\"`’‘“”–…()[]{}<>.,;:!?/-_=&@*".contains(c)
}

fn is_plain_part(part: &str) -> bool {
    let is_all = |class: fn(&u8) -> bool| part.bytes().all(|b| class(&b));
    let is_code = part
        .strip_prefix("AADSTS")
        .is_some_and(|digits| digits.len() <= 12 && digits.bytes().all(|b| b.is_ascii_digit()));
    if is_all(u8::is_ascii_alphabetic) {
        // `AcrPull` and `ManifestUnknown` are names, `aHVudGVyMg` is not.
        let cases = part.bytes().skip(1).map(|b| b.is_ascii_uppercase()).collect::<Vec<_>>();
        let changes = cases.windows(2).filter(|pair| pair.first() != pair.last()).count();
        return part.len() <= LONGEST_WORD && changes <= 2.max(part.len() / 4);
    }
    is_code || (part.len() <= LONGEST_MIXED && is_all(u8::is_ascii_alphanumeric))
}

fn is_guid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// A GUID has 36 characters.
const LONGEST_ID: usize = 36;

const LONGEST_WORD: usize = 24;

/// `sha256`, `db8`, a port.
const LONGEST_MIXED: usize = 6;

/// What is looked at of a text.
const LONGEST_TEXT: usize = 2_048;

#[cfg(test)]
mod tests {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
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

    fn encodings(secret: &str) -> Vec<String> {
        let bytes = secret.as_bytes();
        let (left, right) = secret.split_at(secret.len() / 2);
        let reversed = |text: &str| text.chars().rev().collect::<String>();
        let each = |form: &dyn Fn(&u8) -> String| bytes.iter().map(form).collect::<String>();
        let base64 = STANDARD.encode(secret);
        vec![
            secret.to_owned(),
            secret.to_uppercase(),
            reversed(secret),
            format!("{right}{left}"),
            format!("{}{}", reversed(left), reversed(right)),
            format!("{right} and {left}"),
            left.to_owned(),
            secret.chars().map(|c| format!("{c} ")).collect(),
            secret.chars().map(|c| format!("{c}-")).collect(),
            each(&|b| format!("%{b:02x}")),
            each(&|b| format!("%25{b:02X}")),
            each(&|b| format!("\\u{b:04x}")),
            each(&|b| format!("\\x{b:02x}")),
            each(&|b| format!("&#{b};")),
            each(&|b| format!("&#x{b:x};")),
            each(&|b| format!("{b:02x}")),
            each(&|b| format!("{b:02X} ")),
            base64.clone(),
            STANDARD.encode(&base64),
            reversed(&base64),
            URL_SAFE_NO_PAD.encode(secret),
            STANDARD.encode(format!("x{secret}")),
            STANDARD.encode(format!("user:{secret}")),
            STANDARD.encode(reversed(secret)),
            base64.bytes().map(|b| format!("%{b:02X}")).collect(),
        ]
    }

    #[test]
    fn c6_an_echo_is_seen_in_every_encoding() {
        for secret in ["hunter2-canary", "Xy7+Qw/LongerSecret~of.32chars==", "correcthorsebattery"]
        {
            let sent = Secret::new(secret);
            for echo in encodings(secret) {
                for text in
                    [echo.clone(), format!("'{echo}' is wrong"), format!("you sent: {echo}")]
                {
                    assert!(repeats(&text, &[&sent]), "{secret} as {text}");
                    assert_eq!(reason(&text, &[&sent], 300), None, "{secret} as {text}");
                }
            }
        }
        let code_like = Secret::new("SECRET_PASSWORD");
        for echo in ["SECRET_PASSWORD", "PASSWORD_SECRET", "TERCES", "SECRET"] {
            assert_eq!(code(echo, &[&code_like]), None, "{echo}");
        }
    }

    #[test]
    fn c6_signs_that_were_escaped_by_name_hide_nothing() {
        let escape = |text: &str| {
            let signs =
                [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&apos;")];
            signs.iter().fold(text.to_owned(), |text, (sign, name)| text.replace(sign, name))
        };
        for secret in ["a&b<c", "ab<cd>ef&gh\"ij'kl<mn>op&qr\"st'uv"] {
            for echo in [escape(secret), escape(&escape(secret))] {
                assert!(repeats(&echo, &[&Secret::new(secret)]), "{echo}");
            }
        }
        assert!(!repeats("R&amp;D &unknown; AT&T", &[&Secret::new("q7Vt9Xw2Lm4Zp8Rk1Jd6")]));
    }

    #[test]
    fn c5_the_reasons_of_services_are_shown() {
        let tokens = [
            "eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3MDAwMTE3MDB9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg",
            "q7Vt9+Xw2Lm4Zp8Rk1Jd6Hs3Fg5Bn0Cy/QeUiOaTvWxE+ACRDkLmNo",
            "entra",
            "refresh",
            "",
        ];
        for text in [
            "client with IP '203.0.113.7' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.",
            "client with IP '2001:db8::7' is not allowed access",
            "authentication required, visit https://aka.ms/acr/authorization for more information.",
            "tenant 00000000-1111-2222-3333-444444444444 (AADSTS700016) lacks the role AcrPull",
            "too many requests; port 65535, sha256, RepositoryScopedToken",
        ] {
            for token in tokens {
                let shown = reason(text, &[&Secret::new(token)], 300);
                assert_eq!(shown.as_deref(), Some(text), "{token}");
            }
        }
        assert_eq!(code("DENIED", &[&Secret::new("refresh")]), Some("DENIED"));
        for odd in ["", "denied", "DENIED 1", "A1", "Ä", &"A".repeat(65)] {
            assert_eq!(code(odd, &[]), None, "{odd}");
        }
    }

    #[test]
    fn what_is_no_plain_word_is_left_out() {
        for (text, shown) in [
            ("token q7Vt9Xw2Lm4 expired", Some("token [redacted] expired")),
            ("go a\u{1b}[31m \u{202e}b on", Some("go [redacted] [redacted] on")),
            ("x=eyJ0eXAiOiJKV1Qi was sent", Some("[redacted] was sent")),
            ("aHVudGVyMiEhIQ==", None),
            ("", None),
            (" \n ", None),
        ] {
            assert_eq!(reason(text, &[], 100).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn only_what_was_sent_is_taken_for_an_echo() {
        let sent = |text| repeats(text, &[&Secret::new("q7Vt9Xw2Lm4Zp8Rk1Jd6")]);
        assert!(sent("you sent 'q7Vt9…'") && sent("YOU SENT LM4ZP8RK"));
        assert!(!sent("the secret is wrong") && !sent("q7 Lm 1Jd"));
        let short = |text| repeats(text, &[&Secret::new("abc")]);
        assert!(short("short: abc") && short("CBA") && !short("a bd c"));
        assert!(!repeats("anything", &[&Secret::new("")]));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_bounded_and_harmless(text in "\\PC{0,300}|[\\x00-\\x7f]{0,300}") {
            let shown = without_tokens(&text, 50);
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.len() <= 51 * 10);
            if let Some(shown) = reason(&text, &[], 50) {
                prop_assert!(shown.is_ascii() || shown.chars().all(|c| !c.is_control()));
                prop_assert!(shown.len() <= 51 * 10);
            }
        }

    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn c6_no_encoding_of_a_random_secret_passes(secret in "[!-~]{8,60}", before in "[a-z ]{0,20}") {
            let sent = Secret::new(&*secret);
            for echo in encodings(&secret) {
                if let Some(shown) = reason(&format!("{before} {echo}"), &[&sent], 300) {
                    prop_assert!(!shown.contains(&echo), "{} passed as {}", secret, shown);
                    prop_assert!(!shown.contains(&*secret));
                }
            }
        }
    }
}
