//! The JSON in what a program printed.
//!
//! Around it there may be what is meant for a person or a terminal: a byte order mark, warnings,
//! news of a newer version, escape sequences that colour or reset.

use serde::Deserialize;

/// The first JSON object that can be read as an answer and is one.
pub(crate) fn first<'de, T: Deserialize<'de>>(
    printed: &'de [u8],
    is_answer: impl Fn(&T) -> bool,
) -> Option<T> {
    let mut rest = printed;
    for _ in 0..MAX_OBJECTS {
        let start = rest.iter().position(|byte| *byte == b'{')?;
        rest = rest.get(start..)?;
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
        match values.next() {
            Some(Ok(value)) if is_answer(&value) => return Some(value),
            // What lies inside of an object that is none is none either.
            Some(Ok(_)) => rest = rest.get(values.byte_offset()..)?,
            _ => rest = rest.get(1..)?,
        }
    }
    None
}

/// Far more than any program prints before its answer.
const MAX_OBJECTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Answer {
        token: Option<String>,
    }

    fn token(printed: &str) -> Option<String> {
        first(printed.as_bytes(), |answer: &Answer| answer.token.is_some())?.token
    }

    #[test]
    fn an_answer_is_found_among_what_is_meant_for_people() {
        for printed in [
            r#"{"token":"t"}"#,
            "\u{feff}{\"token\":\"t\"}",
            "{\"token\":\"t\"}\n\u{1b}[0m",
            "\u{1b}[0m{\"token\":\"t\"}\u{1b}[0m\r\n",
            "WARNING: {this} is {\"deprecated\"}\n{\"token\":\"t\"}",
            "[WARN] see {0}\n{\n  \"token\": \"t\"\n}\nA new version is available.",
            "{\"type\":\"consoleMessage\",\"data\":{\"token\":\"x\"}}\n{\"token\":\"t\"}",
            "{\"token\":\"t\"}{\"token\":\"u\"}",
        ] {
            assert_eq!(token(printed).as_deref(), Some("t"), "{printed:?}");
        }
        for printed in
            ["", "t", "{", "[]", r#"["token"]"#, r#"{"token":1}"#, r#"{"token":"t""#, "{}"]
        {
            assert_eq!(token(printed), None, "{printed:?}");
        }
        assert_eq!(token(&format!("{}{{\"token\":\"t\"}}", "{".repeat(65_536))), None, "bounded");
    }

    proptest! {
        #[test]
        fn noise_without_braces_never_hides_the_answer(
            before in "[^{}]{0,80}", after in "\\PC{0,80}"
        ) {
            let found = token(&format!("{before}{{\"token\":\"t\"}}{after}"));
            prop_assert_eq!(found.as_deref(), Some("t"));
        }
    }
}
