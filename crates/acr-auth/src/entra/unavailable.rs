//! "Not available here", as against a failure.

use std::{borrow::Cow, error::Error as StdError, fmt};

/// A source of tokens does not apply where the program runs: nothing is configured,
/// installed or listening.
///
/// A [`ChainedCredential`](super::ChainedCredential) goes on to its next link on this error
/// and on no other. A link of your own returns it where the built-in ones would:
///
/// ```
/// use acr_auth::{credential_fn, entra::CredentialUnavailable};
///
/// let link = credential_fn(|_scopes| async {
///     Err(CredentialUnavailable::new("no smart card is inserted").into())
/// });
/// # let _ = link;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialUnavailable(Cow<'static, str>);

impl CredentialUnavailable {
    /// Says what is missing: lower case, no full stop, no secret.
    ///
    /// ```
    /// use acr_auth::entra::CredentialUnavailable;
    ///
    /// let error = CredentialUnavailable::new("no smart card is inserted");
    /// assert_eq!(error.to_string(), "no smart card is inserted");
    /// ```
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self(message.into())
    }

    /// Whether an error is this one, or has it among its causes.
    ///
    /// ```
    /// use acr_auth::entra::CredentialUnavailable;
    ///
    /// let error = CredentialUnavailable::new("no smart card is inserted");
    /// assert!(CredentialUnavailable::is_cause_of(&error));
    /// ```
    pub fn is_cause_of(error: &(dyn StdError + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

impl fmt::Display for CredentialUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for CredentialUnavailable {}
