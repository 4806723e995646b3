//! What secrets look like when a person or a file hands them over.

use acr_core::{Error, ErrorKind, Result, Secret};
use zeroize::Zeroizing;

/// A password or a user name: without the line breaks at its end, and on one line.
pub(crate) fn line(text: &Secret, what: &str) -> Result<Secret> {
    let kept = text.expose().trim_end_matches(['\r', '\n']);
    if kept.chars().any(char::is_control) {
        let text = format!(
            "the {what} holds a line break or another control character; give it on one line"
        );
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(shortened(text, kept, what))
}

/// A token: without blanks around it, and of characters that tokens have.
pub(crate) fn token(text: &Secret, what: &str) -> Result<Secret> {
    let kept = text.expose().trim();
    if !kept.is_empty() && !is_token(kept) {
        let text = format!("the {what} holds a blank or another character that no token has");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(shortened(text, kept, what))
}

/// A token out of an answer, checked to fit into a header, so that no answer can break a later
/// request.
pub(crate) fn received(token: Option<Zeroizing<String>>, field: &str) -> Result<Secret> {
    let text = || format!("the answer has no usable `{field}`");
    let token = token.filter(|token| is_token(token));
    token
        .map(|token| Secret::new(token.as_str()))
        .ok_or_else(|| Error::new(ErrorKind::Protocol, text()))
}

/// Whether a text can be a token: visible ASCII, and some of it. The one check for all of them.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

fn shortened(text: &Secret, kept: &str, what: &str) -> Secret {
    if kept.len() == text.expose().len() {
        return text.clone();
    }
    tracing::warn!("the {what} ended or began with a line break or a blank, which is left out");
    Secret::new(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c7_what_nobody_means_is_left_out_and_the_rest_refused() {
        for (given, as_line, as_token) in [
            ("secret", Some("secret"), Some("secret")),
            ("secret\n", Some("secret"), Some("secret")),
            ("secret\r\n\n", Some("secret"), Some("secret")),
            (" secret ", Some(" secret "), Some("secret")),
            ("a b", Some("a b"), None),
            ("pässword", Some("pässword"), None),
            ("sec\nret", None, None),
            ("\nsecret", None, Some("secret")),
            ("sec\0ret", None, None),
            ("sec\tret\n", None, None),
            ("", Some(""), Some("")),
        ] {
            let text = |result: Result<Secret>| match result {
                Ok(secret) => Some(secret.expose().to_owned()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidInput);
                    assert!(!error.to_string().contains("sec"), "{error}");
                    None
                }
            };
            let what = "password";
            assert_eq!(text(line(&Secret::new(given), what)).as_deref(), as_line, "{given:?}");
            assert_eq!(text(token(&Secret::new(given), what)).as_deref(), as_token, "{given:?}");
        }
    }
}
