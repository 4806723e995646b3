//! What the registry's error envelope says.

use std::{borrow::Cow, fmt};

use serde::de::DeserializeOwned;

use crate::http::redact::printable;

/// A registry's error code. Server vocabulary, hence an open set with constants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(Cow<'static, str>);

/// One error of the registry's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDetail {
    code: ErrorCode,
    message: String,
    detail: Option<String>,
}

macro_rules! codes {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $doc] pub const $name: Self = Self(Cow::Borrowed($text));)*
        }
    };
}

codes! {
    BLOB_UNKNOWN = "BLOB_UNKNOWN", "The blob does not exist.";
    BLOB_UPLOAD_INVALID = "BLOB_UPLOAD_INVALID", "The upload session cannot go on.";
    BLOB_UPLOAD_RANGE_INVALID = "BLOB_UPLOAD_RANGE_INVALID", "A chunk is out of order.";
    BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN", "The upload session does not exist.";
    DENIED = "DENIED", "The caller may not do this.";
    DIGEST_INVALID = "DIGEST_INVALID", "The content does not have the digest given.";
    MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN", "A blob or manifest that a manifest names is missing.";
    MANIFEST_INVALID = "MANIFEST_INVALID", "The manifest is malformed or does not fit its media type.";
    MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN", "The manifest does not exist.";
    NAME_UNKNOWN = "NAME_UNKNOWN", "The repository does not exist.";
    REGISTRY_DISALLOWED_OPERATION = "REGISTRY_DISALLOWED_OPERATION", "A lock or quarantine forbids this.";
    TAG_UNKNOWN = "TAG_UNKNOWN", "The tag does not exist.";
    TOOMANYREQUESTS = "TOOMANYREQUESTS", "The caller is throttled.";
    UNAUTHORIZED = "UNAUTHORIZED", "A token is missing, invalid or insufficient.";
    UNSUPPORTED = "UNSUPPORTED", "The operation does not exist for this resource.";
}

impl ErrorCode {
    /// The code on the wire.
    ///
    /// ```
    /// use acr_core::ErrorCode;
    ///
    /// assert_eq!(ErrorCode::MANIFEST_UNKNOWN.as_str(), "MANIFEST_UNKNOWN");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ErrorCode {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for ErrorCode {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for ErrorCode {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl ErrorDetail {
    /// One error of an answer; `detail` is the raw JSON of that field.
    ///
    /// ```
    /// use acr_core::http::ErrorDetail;
    ///
    /// let detail = ErrorDetail::new("DENIED", "not yours", Some(r#"{"Name":"library/app"}"#.to_owned()));
    /// assert_eq!(detail.code(), &"DENIED");
    /// ```
    pub fn new(
        code: impl Into<String>,
        message: impl Into<String>,
        detail: Option<String>,
    ) -> Self {
        Self { code: ErrorCode(Cow::Owned(code.into())), message: message.into(), detail }
    }

    /// The code.
    ///
    /// ```
    /// use acr_core::http::ErrorDetail;
    ///
    /// let detail = ErrorDetail::new("DENIED", "not yours", Some(r#"{"Name":"library/app"}"#.to_owned()));
    /// assert_eq!(detail.code().as_str(), "DENIED");
    /// ```
    pub fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// The server's own words.
    ///
    /// ```
    /// use acr_core::http::ErrorDetail;
    ///
    /// let detail = ErrorDetail::new("DENIED", "not yours", Some(r#"{"Name":"library/app"}"#.to_owned()));
    /// assert_eq!(detail.message(), "not yours");
    /// ```
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The `detail` field as raw JSON: null, a text, an object or an array.
    ///
    /// ```
    /// use acr_core::http::ErrorDetail;
    ///
    /// let detail = ErrorDetail::new("DENIED", "not yours", Some(r#"{"Name":"library/app"}"#.to_owned()));
    /// assert_eq!(detail.detail(), Some(r#"{"Name":"library/app"}"#));
    /// ```
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The `detail` field read as `T`; `None` when it is absent or of another shape.
    ///
    /// ```
    /// use acr_core::http::ErrorDetail;
    ///
    /// let detail = ErrorDetail::new("DENIED", "not yours", Some(r#"{"Name":"library/app"}"#.to_owned()));
    /// let read: std::collections::HashMap<String, String> = detail.json().expect("an object of texts");
    /// assert_eq!(read["Name"], "library/app");
    /// ```
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        self.detail.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(&self.0).fmt(f)
    }
}
