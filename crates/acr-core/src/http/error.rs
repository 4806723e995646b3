//! The one error type: what went wrong, where, and whether to try again.

pub(crate) mod adopt;
pub(crate) mod code;
mod foreign;
mod kept;
mod kind;
mod shortened;
mod shown;
mod sorted;

use std::{
    error::Error as StdError,
    mem,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;

pub(crate) use self::adopt::{kind_name, kind_of};
pub use self::kind::ErrorKind;
use crate::http::{
    error::code::{ErrorCode, ErrorDetail},
    operation::Operation,
    redact::shown_id,
};

/// The result of everything that talks to a registry.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, as tower and hyper pass it on.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What went wrong.
///
/// One word wide and opaque: ask [`Error::kind`] what to do, and the other
/// methods for the facts. `Display` names the operation, what it worked on, the
/// answer and the request id, never a secret or a URL query:
///
/// ```text
/// get_manifest `library/app:v1`: 404 MANIFEST_UNKNOWN: manifest is not found (request id 7f…)
/// ```
///
/// It is one line of at most 1.5 KiB whatever a server sent, or of as many bytes as a
/// precision allows: `{error:.300}`. `Debug` stays below 2 KiB, and all that is kept below 8 KiB.
/// The underlying failure, if any, is in [`std::error::Error::source`].
///
/// ```
/// use acr_core::{Error, ErrorKind, http::{ErrorDetail, Operation}};
/// use http::StatusCode;
///
/// // As the clients make one of an answer:
/// let detail = ErrorDetail::new("MANIFEST_UNKNOWN", "manifest is not found", None);
/// let error = Error::new(ErrorKind::NotFound, detail.message())
///     .with_status(StatusCode::NOT_FOUND)
///     .with_details(vec![detail])
///     .with_operation(Some(&Operation::new("get_manifest").on("library/app:v1")))
///     .with_url(&"https://myregistry.azurecr.io/v2/library/app/manifests/v1?n=1".parse().unwrap())
///     .with_request_id(Some("7f"))
///     .with_correlation_id(Some("c0"))
///     .with_attempts(2);
///
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
/// assert_eq!(error.code().unwrap(), "MANIFEST_UNKNOWN");
/// assert_eq!(error.details().len(), 1);
/// assert_eq!(error.operation(), Some("get_manifest"));
/// assert_eq!(error.url(), Some("https://myregistry.azurecr.io/v2/library/app/manifests/v1"));
/// assert_eq!((error.request_id(), error.correlation_id()), (Some("7f"), Some("c0")));
/// assert_eq!(error.attempts(), 2);
/// assert!(error.is_not_found() && !error.is_retryable() && !error.is_transient());
/// assert!(!error.is_auth() && !error.is_conflict() && !error.is_unsupported());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    operation: Option<Operation>,
    url: Option<String>,
    status: Option<StatusCode>,
    details: Vec<ErrorDetail>,
    request_id: Option<String>,
    correlation_id: Option<String>,
    attempts: u32,
    retry_after: Option<Duration>,
    unsent: bool,
    /// Something was sent before it, or nobody knows.
    may_be_sent: bool,
    permanent: bool,
    foreign: bool,
    hint: Option<&'static str>,
    /// Shared, so that everybody who waited for the same failure gets it as it was.
    source: Option<Arc<dyn StdError + Send + Sync>>,
    /// Common to all copies of one failure.
    fare: OnceLock<Fare>,
}

/// What repeating after a failure cost that many had in common: the first who repeats pays,
/// and whether that one could decides for all.
#[derive(Clone, Default)]
pub(crate) struct Fare(Arc<OnceLock<bool>>);

impl Fare {
    /// Pays unless it was paid already; whether it is.
    pub(crate) fn pay(&self, pay: impl FnOnce() -> bool) -> bool {
        *self.0.get_or_init(pay)
    }
}

impl Error {
    /// An error with its own words: lower case, no full stop, no secret.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::InvalidInput, "the tag is empty: name one");
    /// assert_eq!(error.to_string(), "the tag is empty: name one");
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: kept::message(message.into()),
            operation: None,
            url: None,
            status: None,
            details: Vec::new(),
            request_id: None,
            correlation_id: None,
            attempts: 0,
            retry_after: None,
            unsent: false,
            may_be_sent: false,
            permanent: false,
            foreign: false,
            hint: None,
            source: None,
            fare: OnceLock::new(),
        }))
    }

    /// The same failure again, for a caller that waited for another's result. The retry
    /// layer counts all copies as one failure: it happened once.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let failed = Arc::new(Error::new(ErrorKind::Connect, "nobody listens there"));
    /// let told = [Error::shared(&failed), Error::shared(&failed)];
    /// assert!(told.iter().all(|error| error.kind() == ErrorKind::Connect));
    /// ```
    pub fn shared(original: &Arc<Self>) -> Self {
        let mut shared = original.another();
        let fare = original.0.fare.get_or_init(Fare::default).clone();
        shared.0.fare = OnceLock::from(fare);
        shared
    }

    /// The same failure, found inside of an error of somebody else's.
    fn inside_of_another(&self) -> Self {
        self.another().after_sending()
    }

    fn another(&self) -> Self {
        let inner = &self.0;
        Self(Box::new(Inner {
            kind: inner.kind,
            message: inner.message.clone(),
            operation: inner.operation.clone(),
            url: inner.url.clone(),
            status: inner.status,
            details: inner.details.clone(),
            request_id: inner.request_id.clone(),
            correlation_id: inner.correlation_id.clone(),
            attempts: inner.attempts,
            retry_after: inner.retry_after,
            unsent: inner.unsent,
            may_be_sent: inner.may_be_sent,
            permanent: inner.permanent,
            foreign: inner.foreign,
            hint: inner.hint,
            source: inner.source.clone(),
            fare: OnceLock::new(),
        }))
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status, if an answer came.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The registry's error code, such as `MANIFEST_UNKNOWN`.
    pub fn code(&self) -> Option<&ErrorCode> {
        self.0.details.first().map(ErrorDetail::code)
    }

    /// All errors of the registry's answer.
    pub fn details(&self) -> &[ErrorDetail] {
        &self.0.details
    }

    /// The operation, in the words of the public method: `get_manifest`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation.as_ref().map(Operation::name)
    }

    /// The URL without its query.
    pub fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// The `x-ms-client-request-id` of the call, the same for all attempts.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The registry's `x-ms-correlation-request-id`: quote it in a support ticket.
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// How many attempts were made; 0 when nothing was sent.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// How long the server asked to wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Throttled, "too many requests");
    /// let error = error.with_retry_after(Some(Duration::from_secs(30)));
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
    /// assert!(error.is_retryable());
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// What may be behind it, where the server does not say: the flags that can lock the
    /// artifact, for [`ErrorKind::Disallowed`].
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Disallowed, "not allowed").with_hint("the tag may be locked");
    /// assert_eq!(error.hint(), Some("the tag may be locked"));
    /// ```
    pub fn hint(&self) -> Option<&'static str> {
        self.0.hint
    }

    /// Whether the answer visibly is not the registry's: a page in HTML, or JSON of
    /// another kind than the registry's errors, as proxies and gateways send them.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// assert!(!Error::new(ErrorKind::NotFound, "no such tag").is_foreign());
    /// ```
    pub fn is_foreign(&self) -> bool {
        self.0.foreign
    }

    /// Whether the registry took nothing of the request, with none of the attempts, so that repeating
    /// it is always safe: it never left, or was refused with 401 or 403 and then no other token could
    /// be had. The error of a refusal itself ([`ErrorKind::Unauthenticated`],
    /// [`ErrorKind::Forbidden`]) is not: the registry has seen the request.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Connect, "nobody listens there").is_unsent());
    /// assert!(!Error::new(ErrorKind::Transport, "reset by peer").is_unsent());
    /// ```
    pub fn is_unsent(&self) -> bool {
        let never_left = matches!(self.0.kind, ErrorKind::Connect | ErrorKind::InvalidInput);
        (self.0.unsent || never_left) && !self.0.may_be_sent
    }
}

/// How layers and clients add what they know.
impl Error {
    /// Adds the underlying failure. It stays what it is for [`std::error::Error::source`] and
    /// can be downcast, unless it prints more than about a kilobyte: a server must have written
    /// that, and then only those of its words are kept that are known to be no secret.
    ///
    /// ```
    /// use std::error::Error as _;
    ///
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Source, "cannot read the layer");
    /// let error = error.with_source(std::io::Error::other("the disk is gone"));
    /// assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        let source = source.into();
        let is_short = kept::is_short(&*source);
        self.0.source = Some(match source.downcast::<Self>() {
            Ok(ours) if is_short => Arc::new(ours.with_one_detail()),
            Ok(ours) => Arc::new(ours.with_one_detail().without_source()),
            Err(other) => kept::source(other, is_short),
        });
        self
    }

    /// Names the operation unless one is named already.
    #[must_use]
    pub fn with_operation(mut self, operation: Option<&Operation>) -> Self {
        if self.0.operation.is_none() {
            self.0.operation = operation.cloned();
        }
        self
    }

    /// Adds the URL, reduced to scheme, host and path, unless one is known already.
    #[must_use]
    pub fn with_url(mut self, uri: &http::Uri) -> Self {
        if self.0.url.is_none() {
            self.0.url = Some(crate::http::redact::url_without_query(uri));
        }
        self
    }

    /// Notes that somebody else answered in the registry's place.
    #[must_use]
    pub(crate) fn foreign(mut self, is_foreign: bool) -> Self {
        self.0.foreign = is_foreign;
        self
    }

    /// Adds what may be behind it.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Disallowed, "not allowed").with_hint("the tag may be locked");
    /// assert_eq!(error.hint(), Some("the tag may be locked"));
    /// ```
    #[must_use]
    pub fn with_hint(mut self, hint: &'static str) -> Self {
        self.0.hint = Some(hint);
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the errors of the registry's answer: the first ones, up to 4 KiB in all.
    #[must_use]
    pub fn with_details(mut self, details: Vec<ErrorDetail>) -> Self {
        self.0.details = kept::details(details);
        self
    }

    /// Adds the `x-ms-client-request-id` of the call.
    #[must_use]
    pub fn with_request_id(mut self, id: Option<&str>) -> Self {
        if self.0.request_id.is_none() {
            self.0.request_id = id.map(|id| shown_id(id).to_string());
        }
        self
    }

    /// Adds the registry's correlation id.
    #[must_use]
    pub fn with_correlation_id(mut self, id: Option<&str>) -> Self {
        self.0.correlation_id = id.map(|id| shown_id(id).to_string());
        self
    }

    /// Adds how many attempts were made.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Adds how long the server asked to wait.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Server, "busy").with_retry_after(Some(Duration::from_secs(5)));
    /// assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    /// ```
    #[must_use]
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.0.retry_after = wait;
        self
    }

    /// Replaces all that the server said, by the status's own name where there is no message:
    /// for answers that may echo a secret, as those of a token service.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    /// use http::StatusCode;
    ///
    /// let error = Error::new(ErrorKind::Unauthenticated, "password `secret` is wrong")
    ///     .with_status(StatusCode::UNAUTHORIZED)
    ///     .with_server_text(None, Vec::new());
    /// assert!(!error.to_string().contains("secret"));
    /// ```
    #[must_use]
    pub fn with_server_text(mut self, message: Option<String>, details: Vec<ErrorDetail>) -> Self {
        self.0.message = message.unwrap_or_else(|| {
            let name = self.0.status.and_then(|status| status.canonical_reason());
            name.unwrap_or("unknown status").to_owned()
        });
        self.0.message = kept::message(mem::take(&mut self.0.message));
        self.0.details = kept::details(details);
        self
    }

    /// Notes that nothing was taken of the request, as when its token could not be fetched.
    ///
    /// It speaks of the request that the error is passed on for, so it takes back what
    /// [`after_sending`](Self::after_sending) noted of another one: a token call that may have left
    /// does not make its request one that did. (Earlier attempts of the request are noted by the
    /// retry layer, which knows them.)
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let of_the_token_call = Error::new(ErrorKind::Timeout, "no answer").after_sending();
    /// assert!(of_the_token_call.before_sending().is_unsent());
    /// ```
    #[must_use]
    pub fn before_sending(mut self) -> Self {
        self.0.unsent = true;
        self.0.may_be_sent = false;
        self
    }

    /// Notes that the request may have left, whatever the kind says: for transports and layers that
    /// send a second time by themselves, when the first one may have been taken and the second
    /// found no connection.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let second = Error::new(ErrorKind::Connect, "no connection to `myregistry.azurecr.io`");
    /// assert!(second.is_unsent(), "as far as it knows");
    /// assert!(!second.after_sending().is_unsent());
    /// ```
    #[must_use]
    pub fn after_sending(mut self) -> Self {
        self.0.may_be_sent = true;
        self
    }

    /// Notes that trying again cannot help although its kind is retryable: a certificate
    /// that is not trusted will not be trusted a second later.
    ///
    /// ```
    /// use acr_core::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Connect, "the certificate is not trusted").permanent();
    /// assert!(!error.is_retryable());
    /// ```
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.0.permanent = true;
        self
    }

    #[cfg(feature = "_transport")]
    pub(crate) fn is_permanent(&self) -> bool {
        self.0.permanent
    }

    /// What to pay for a repetition, if this failure was shared with others.
    pub(crate) fn fare(&self) -> Option<Fare> {
        self.0.fare.get().cloned()
    }

    /// What the cause of another error keeps of its details: callers ask the outer one.
    fn with_one_detail(mut self) -> Self {
        self.0.details.truncate(1);
        self
    }

    fn without_source(mut self) -> Self {
        self.0.source = None;
        self
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn says_operation_subject_answer_and_id() {
        let detail = ErrorDetail::new("MANIFEST_UNKNOWN", "manifest is not found", None);
        let error = Error::new(ErrorKind::NotFound, detail.message())
            .with_status(StatusCode::NOT_FOUND)
            .with_details(vec![detail])
            .with_operation(Some(&Operation::new("get_manifest").on("library/app:v1")))
            .with_attempts(2)
            .with_request_id(Some("7f"));
        assert_eq!(
            error.to_string(),
            "get_manifest `library/app:v1`: 404 MANIFEST_UNKNOWN: manifest is not found after 2 attempts (request id 7f)"
        );
        assert!(error.is_not_found() && !error.is_retryable() && !error.is_unsent());
    }

    #[test]
    fn unsent_is_what_never_left_or_found_no_token() {
        let of = |kind| Error::new(kind, "no");
        for (error, is_unsent) in [
            (of(ErrorKind::Connect), true),
            (of(ErrorKind::InvalidInput), true),
            (of(ErrorKind::Transport), false),
            // The answers themselves.
            (of(ErrorKind::Unauthenticated).with_status(StatusCode::UNAUTHORIZED), false),
            (of(ErrorKind::Forbidden).with_status(StatusCode::FORBIDDEN), false),
            // No token after them.
            (of(ErrorKind::Unauthenticated).before_sending(), true),
            (of(ErrorKind::Connect).after_sending(), false),
            (of(ErrorKind::Connect).after_sending().before_sending(), true),
            (of(ErrorKind::Connect).before_sending().after_sending(), false),
        ] {
            assert_eq!(error.is_unsent(), is_unsent, "{error:?}");
        }
    }

    #[test]
    fn what_replaces_a_servers_text_is_as_short_as_any_other() {
        let detail = |n: usize| ErrorDetail::new("C".repeat(500), "m".repeat(n), None);
        let all = (0..1_000).map(|_| detail(5_000)).collect();
        let error = Error::new(ErrorKind::Unauthenticated, "no")
            .with_server_text(Some("w".repeat(9_000)), all);
        let of_details: usize = error
            .details()
            .iter()
            .map(|it| size_of::<ErrorDetail>() + it.code().as_str().len() + it.message().len())
            .sum();
        assert!(error.0.message.len() + of_details <= 4 * 1024 + 256, "{of_details}");
        assert!(error.0.message.starts_with("www") && of_details > 1_000);
    }

    #[test]
    fn a_shared_error_keeps_facts_and_source() {
        let original = Error::new(ErrorKind::Transport, "broken")
            .with_source(std::io::Error::other("reset by peer"));
        let copy = Error::shared(&Arc::new(original));
        assert_eq!(copy.kind(), ErrorKind::Transport);
        assert_eq!(copy.source().unwrap().to_string(), "reset by peer");
        assert!(copy.source().unwrap().is::<std::io::Error>(), "its type is not hidden");
    }
}
