//! The credential that a request carries.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The credential of `Basic`, if the header is that.
pub(crate) fn basic(header: &str) -> Option<(String, String)> {
    let encoded = scheme(header, "basic")?;
    let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    // A malformed one is a wrong password.
    let decoded = decoded.unwrap_or_default();
    let (name, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    Some((name.to_owned(), password.to_owned()))
}

/// The token of `Bearer`, if the header is that.
pub(crate) fn bearer(header: &str) -> Option<&str> {
    scheme(header, "bearer")
}

fn scheme<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case(name).then(|| rest.trim())
}
