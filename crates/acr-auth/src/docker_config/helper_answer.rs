//! What a credential helper prints.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::credential::Credential;

/// Reads what a helper that succeeded has printed; the error is a reason without a
/// word of it.
pub(crate) fn read(output: &[u8]) -> Result<Option<Credential>, &'static str> {
    // An array would be read as the fields in order.
    let is_object = output.trim_ascii_start().starts_with(b"{");
    let answer = is_object.then(|| serde_json::from_slice::<Answer>(output).ok()).flatten();
    let answer = answer.ok_or("its answer is not the JSON that Docker defines")?;
    match (answer.username.as_str(), answer.secret.as_str()) {
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

/// `ServerURL` is there too and repeats the question.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Answer {
    username: Zeroizing<String>,
    secret: Zeroizing<String>,
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
            r#"{"Username":"u","Secret":"p"} canary"#,
        ] {
            assert!(!read(bad.as_bytes()).unwrap_err().contains("canary"), "{bad}");
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
