//! What a credential helper prints.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use zeroize::Zeroizing;

use crate::{credential::Credential, printed_json};

/// Reads what a helper that succeeded has printed; the error is a reason without a
/// word of it.
pub(crate) fn read(output: &[u8]) -> Result<Option<Credential>, &'static str> {
    let Some(answer) = printed_json::first(output, Answer::has_any) else {
        // Some say with an empty object that they know nothing.
        let object = printed_json::first(output, |_: &BTreeMap<String, IgnoredAny>| true);
        let is_empty = object.is_some_and(|object| object.is_empty());
        return if is_empty {
            Ok(None)
        } else {
            Err("its answer is not the JSON that Docker defines")
        };
    };
    let (user, secret) = (answer.username.unwrap_or_default(), answer.secret.unwrap_or_default());
    match (user.as_str(), secret.as_str()) {
        ("", "") => Ok(None),
        (_, "") => Err("its answer has no `Secret`"),
        ("", _) => Err("its answer has no `Username`"),
        (IDENTITY_TOKEN, token) => Ok(Some(Credential::refresh_token(token))),
        (user, password) => Ok(Some(Credential::password(user, password))),
    }
}

/// Whether a helper that failed has said that it knows no credential for the server.
pub(crate) fn is_not_found(output: &[u8]) -> bool {
    output.trim_ascii() == NOT_FOUND
}

/// `ServerURL` repeats the question.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Answer {
    username: Option<Zeroizing<String>>,
    secret: Option<Zeroizing<String>>,
    #[serde(rename = "ServerURL")]
    server: Option<IgnoredAny>,
}

impl Answer {
    /// Whether it is one, and not a line of a log.
    fn has_any(&self) -> bool {
        self.username.is_some() || self.secret.is_some() || self.server.is_some()
    }
}

/// The user name that says that the secret is an identity token.
const IDENTITY_TOKEN: &str = "<token>";

/// A fixed text of the helper protocol.
const NOT_FOUND: &[u8] = b"credentials not found in native keychain";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::credential::Kind;

    #[test]
    fn a_password_a_token_or_nothing() {
        let password = read(br#"{"ServerURL":"reg","Username":"u","Secret":"p"}"#).unwrap();
        assert!(matches!(password.unwrap().0, Kind::Password { user, password }
            if &*user == "u" && password.expose() == "p"));
        for user in ["<token>", "00000000-0000-0000-0000-000000000000"] {
            let answer = format!(r#" {{"Username":"{user}","Secret":"t","Extra":1}}{}"#, "\n");
            let token = read(answer.as_bytes()).unwrap();
            assert!(matches!(token.unwrap().0, Kind::RefreshToken(t) if t.expose() == "t"));
        }
        assert!(read(b"{}").unwrap().is_none());
        assert!(read(br#"{"ServerURL":"reg"}"#).unwrap().is_none());
        assert!(read(br#"{"Username":"","Secret":""}"#).unwrap().is_none());
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "canary",
            "null",
            "[]",
            r#"["u","canary"]"#,
            r#"{"Username":"canary"}"#,
            r#"{"Secret":"canary"}"#,
            r#"{"Username":1,"Secret":"canary"}"#,
            r#"{"level":"warning","message":"canary"}"#,
        ] {
            assert!(!read(bad.as_bytes()).unwrap_err().contains("canary"), "{bad}");
        }
    }

    #[test]
    fn c4_the_answer_is_found_among_what_is_meant_for_people() {
        for printed in [
            "\u{feff}{\"Username\":\"u\",\"Secret\":\"p\"}",
            "{\"Username\":\"u\",\"Secret\":\"p\"}\n\u{1b}[0m",
            "WARNING: {old} version\n{\"level\":\"info\"}\n{\"Username\":\"u\",\"Secret\":\"p\"}\nbye",
        ] {
            let found = read(printed.as_bytes()).unwrap().unwrap();
            assert!(matches!(found.0, Kind::Password { user, password }
                if &*user == "u" && password.expose() == "p"));
        }
    }

    #[test]
    fn not_found_is_one_exact_text() {
        assert!(is_not_found(b"credentials not found in native keychain\n"));
        assert!(!is_not_found(b""));
        assert!(!is_not_found(b"error: credentials not found in native keychain"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (read(&bytes), is_not_found(&bytes));
        }
    }
}
