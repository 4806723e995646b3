//! A text that must not be printed.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::http::error::{Error, ErrorKind, Result};

/// A credential or token: never printed, wiped from memory on drop.
///
/// Only this copy is wiped; hyper and rustls keep request bytes in buffers of
/// their own. There is no `Serialize`, no `PartialEq` and no `Display`; the one
/// way to the text is [`Secret::expose`].
///
/// ```
/// use acr_core::Secret;
///
/// let secret = Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "[redacted]");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes charge of a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret text. Every call of this method deserves a look in review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `Bearer <secret>` as a header value marked sensitive.
    ///
    /// ```
    /// use acr_core::Secret;
    ///
    /// let value = Secret::new("token").bearer()?;
    /// assert!(value.is_sensitive() && value == "Bearer token");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credential`] when the secret has characters that no header can carry.
    pub fn bearer(&self) -> Result<HeaderValue> {
        let mut text = Zeroizing::new(Vec::with_capacity(self.0.len().saturating_add(7)));
        text.extend_from_slice(b"Bearer ");
        text.extend_from_slice(self.0.as_bytes());
        // Wiped with the last clone of the value.
        let text = Bytes::from_owner(text);
        let mut value = HeaderValue::from_maybe_shared(text).map_err(|_| {
            Error::new(ErrorKind::Credential, "a token has characters that no header can carry")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_secret_and_header_hide_the_text() {
        let secret = Secret::new("canary");
        assert!(!format!("{secret:?} {:?}", secret.bearer().unwrap()).contains("canary"));
    }

    #[test]
    fn a_line_break_in_a_token_is_an_error_not_a_panic() {
        let error = Secret::new("a\nb").bearer().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credential);
        assert!(!format!("{error} {error:?}").contains("a\nb"));
    }
}
