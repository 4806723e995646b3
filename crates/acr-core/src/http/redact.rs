//! What may be printed: allow-lists for headers and query parameters, and text of the peer made harmless.

use std::fmt::{self, Write as _};

use http::{HeaderName, HeaderValue, Uri, header};

/// Escapes what is not plainly visible and caps the length of text that came from outside.
pub(crate) fn printable(text: &str) -> Printable<'_> {
    Printable { text, limit: MAX_PRINTED }
}

/// Text of somebody else, made fit for an error or a log: control and format characters are
/// escaped, and it is cut after so many bytes of what is printed. It hides no secret.
///
/// ```
/// use acr_core::http::printable_up_to;
///
/// assert_eq!(printable_up_to("a\u{1b}[31mb", 80).to_string(), r"a\u{1b}[31mb");
/// assert_eq!(printable_up_to("abcdef", 3).to_string(), "abc…");
/// ```
pub fn printable_up_to(text: &str, limit: usize) -> Printable<'_> {
    Printable { text, limit }
}

/// A host that a server may have named.
pub(crate) fn shown_host(host: &str) -> Printable<'_> {
    printable_up_to(host, MAX_HOST)
}

/// An id that a server or a caller chose.
pub(crate) fn shown_id(id: &str) -> Printable<'_> {
    printable_up_to(id, MAX_ID)
}

/// What an operation works on.
pub(crate) fn shown_subject(subject: &str) -> Printable<'_> {
    printable_up_to(subject, MAX_PRINTED)
}

/// Prints text of somebody else harmless and short: [`printable_up_to`].
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a> {
    text: &'a str,
    limit: usize,
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.limit;
        for c in self.text.chars() {
            let is_hidden = c.is_control() || is_format(c);
            // The escapes count as well: text of control characters would print as ten times its length.
            let len = if is_hidden { c.escape_default().len() } else { c.len_utf8() };
            let Some(rest) = left.checked_sub(len) else {
                return f.write_char('…');
            };
            left = rest;
            if is_hidden { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
        }
        Ok(())
    }
}

/// Scheme, host and path of a URL; what an error may show.
pub(crate) fn url_without_query(uri: &Uri) -> String {
    let mut text = String::new();
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "{scheme}://{}", shown_host(host));
    }
    let _ = write!(text, "{}", printable_up_to(uri.path(), MAX_PATH));
    text
}

/// What logs and spans may show: the names on the built-in lists, and names added here.
///
/// There is no switch that shows everything, and no name on the deny-list can be
/// added: credentials, cookies, signatures, upload states. Their values print as
/// `REDACTED` whatever is asked for.
///
/// ```
/// use acr_core::http::Redaction;
///
/// let redaction = Redaction::new()
///     .show_header("x-meta-source-client".parse()?)
///     .show_header("authorization".parse()?) // has no effect
///     .show_query("build");
/// let uri = "https://r.azurecr.io/v2/?build=7&sig=secret".parse()?;
/// assert_eq!(redaction.url(&uri), "https://r.azurecr.io/v2/?build=7&sig=REDACTED");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    headers: Vec<HeaderName>,
    query: Vec<String>,
}

impl Redaction {
    /// The built-in lists.
    ///
    /// ```
    /// use acr_core::http::Redaction;
    ///
    /// let uri = "https://me:secret@r.azurecr.io/v2/?n=2&sig=secret".parse()?;
    /// assert_eq!(Redaction::new().url(&uri), "https://r.azurecr.io/v2/?n=2&sig=REDACTED");
    /// # Ok::<(), http::uri::InvalidUri>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows the values of another header, unless it is on the deny-list.
    ///
    /// ```
    /// use acr_core::http::Redaction;
    /// use http::{HeaderName, HeaderValue, header};
    ///
    /// let name = HeaderName::from_static("x-meta-source-client");
    /// let value = HeaderValue::from_static("build");
    /// assert_eq!(Redaction::new().header(&name, &value), "REDACTED");
    /// let redaction = Redaction::new().show_header(name.clone()).show_header(header::COOKIE);
    /// assert_eq!(redaction.header(&name, &value), "build");
    /// assert_eq!(redaction.header(&header::COOKIE, &value), "REDACTED");
    /// ```
    #[must_use]
    pub fn show_header(mut self, name: HeaderName) -> Self {
        if !HEADERS_DENIED.contains(&name.as_str()) {
            self.headers.push(name);
        }
        self
    }

    /// Shows the values of another query parameter, unless it is on the deny-list.
    ///
    /// ```
    /// use acr_core::http::Redaction;
    ///
    /// let redaction = Redaction::new().show_query("build").show_query("_state");
    /// let uri = "https://r.azurecr.io/v2/?build=7&_state=secret".parse()?;
    /// assert_eq!(redaction.url(&uri), "https://r.azurecr.io/v2/?build=7&_state=REDACTED");
    /// # Ok::<(), http::uri::InvalidUri>(())
    /// ```
    #[must_use]
    pub fn show_query(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if !is_secret_parameter(&name) {
            self.query.push(name);
        }
        self
    }

    /// A URL for logs: no user information, no fragment, query values only if allowed.
    ///
    /// ```
    /// use acr_core::http::Redaction;
    ///
    /// let uri = "https://r.azurecr.io/v2/app/tags/list?unknown=1".parse()?;
    /// assert_eq!(Redaction::new().url(&uri), "https://r.azurecr.io/v2/app/tags/list?unknown=REDACTED");
    /// # Ok::<(), http::uri::InvalidUri>(())
    /// ```
    pub fn url(&self, uri: &Uri) -> String {
        let mut text = url_without_query(uri);
        let end = text.len() + MAX_QUERY;
        for (index, pair) in uri.query().into_iter().flat_map(|q| q.split('&')).enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            let shown = self.parameter(pair);
            // A cap for each would leave the sum to whoever chose the URL.
            if text.len() + mark.len_utf8() + shown.len() > end {
                text.push_str("&…");
                break;
            }
            text.push(mark);
            text.push_str(&shown);
        }
        text
    }

    fn parameter(&self, pair: &str) -> String {
        // Without a name that looks like one, the text itself may be the secret.
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| is_name(name)) else {
            return REDACTED.to_owned();
        };
        let is_shown = QUERY_ALLOWED.contains(&name) || self.query.iter().any(|n| n == name);
        let value = if is_shown { value } else { REDACTED };
        format!("{name}={}", printable_up_to(value, MAX_VALUE))
    }

    /// A header value for logs: escaped and capped, or `REDACTED`.
    ///
    /// ```
    /// use acr_core::http::Redaction;
    /// use http::{HeaderValue, header};
    ///
    /// let redaction = Redaction::new();
    /// let json = HeaderValue::from_static("application/json");
    /// assert_eq!(redaction.header(&header::CONTENT_TYPE, &json), "application/json");
    /// let token = HeaderValue::from_static("Bearer secret");
    /// assert_eq!(redaction.header(&header::AUTHORIZATION, &token), "REDACTED");
    /// ```
    pub fn header(&self, name: &HeaderName, value: &HeaderValue) -> String {
        let Ok(text) = value.to_str() else {
            return REDACTED.to_owned();
        };
        if value.is_sensitive() {
            return REDACTED.to_owned();
        }
        if URL_HEADERS.contains(name) {
            return text.parse().map_or_else(|_| REDACTED.to_owned(), |uri| self.url(&uri));
        }
        let shown = HEADERS_ALLOWED.contains(&name.as_str())
            || name.as_str().starts_with("x-ms-ratelimit-")
            || self.headers.contains(name);
        if shown { printable(text).to_string() } else { REDACTED.to_owned() }
    }
}

/// `01234567-89ab-cdef-0123-456789abcdef`.
pub(crate) fn is_guid(text: &str) -> bool {
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Whether a header's name is one of those that are written down here, and not a text of the
/// server's.
pub(crate) fn is_known_header(name: &str) -> bool {
    HEADERS_ALLOWED.contains(&name) || HEADERS_DENIED.contains(&name)
}

fn is_name(text: &str) -> bool {
    let is_short = (1..=32).contains(&text.len());
    is_short && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// Signatures, tokens, upload states, and everything a signed link consists of.
fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    QUERY_DENIED.contains(&name.as_str())
        || name.starts_with("x-amz-")
        || name.starts_with("x-goog-")
        || ["token", "secret", "password", "signature"].iter().any(|word| name.contains(word))
}

/// Invisible and direction-changing characters can make a log line lie.
fn is_format(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

pub(crate) const REDACTED: &str = "REDACTED";

/// Enough for every name and id a registry uses.
const MAX_PRINTED: usize = 256;

/// A UUID, and what programs put in front of one.
const MAX_ID: usize = 80;

/// Longer names of hosts exist; nobody reads them.
const MAX_HOST: usize = 128;

/// A repository name of usual length, a digest and the fixed parts fit.
const MAX_PATH: usize = 320;

/// Of a URL's whole query, so that what the peer chose stays one short line.
const MAX_QUERY: usize = 160;

/// Of one value: a digest fits.
const MAX_VALUE: usize = 100;

/// Query parameters whose values are no secrets. Signed links and upload
/// states carry theirs in all the others (`sig`, `_state`, …).
const QUERY_ALLOWED: &[&str] = &[
    "api-version",
    "artifactType",
    "digest",
    "from",
    "last",
    "mount",
    "n",
    "ns",
    "orderby",
    "scope",
    "service",
];

/// Headers whose values are no secrets; everything else prints as `REDACTED`.
const HEADERS_ALLOWED: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-ranges",
    "cache-control",
    "connection",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "docker-content-digest",
    "docker-distribution-api-version",
    "etag",
    "host",
    "oci-chunk-min-length",
    "oci-filters-applied",
    "oci-subject",
    "range",
    "retry-after",
    "retry-after-ms",
    "server",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "x-ms-client-request-id",
    "x-ms-correlation-request-id",
    "x-ms-request-id",
    "x-ms-retry-after-ms",
];

/// Headers that no option shows: credentials, and URLs that may carry one.
const HEADERS_DENIED: &[&str] = &[
    "authorization",
    "content-location",
    "cookie",
    "link",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "referer",
    "set-cookie",
    "www-authenticate",
    "x-ms-authorization-auxiliary",
];

/// Query parameters that no option shows.
const QUERY_DENIED: &[&str] =
    &["_state", "assertion", "code", "se", "sig", "skoid", "sktid", "sp", "sr", "st", "sv"];

/// Headers that hold a URL: printed through the URL redactor.
const URL_HEADERS: &[HeaderName] = &[header::LOCATION, header::CONTENT_LOCATION];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(redaction: &Redaction, name: &'static str, value: &'static str) -> String {
        redaction.header(&HeaderName::from_static(name), &HeaderValue::from_static(value))
    }

    #[test]
    fn signed_links_and_upload_states_lose_their_secrets() {
        let uri: Uri = "https://x.blob.core.windows.net/c//data?se=1&sig=canary&n=3&_state=canary2"
            .parse()
            .unwrap();
        assert_eq!(
            Redaction::new().url(&uri),
            "https://x.blob.core.windows.net/c//data?se=REDACTED&sig=REDACTED&n=3&_state=REDACTED"
        );
        assert_eq!(url_without_query(&uri), "https://x.blob.core.windows.net/c//data");
    }

    #[test]
    fn only_listed_headers_show_their_values() {
        let redaction = Redaction::new();
        for (name, value, expected) in [
            ("range", "0-5", "0-5"),
            ("x-ms-ratelimit-remaining-calls-per-second", "8", "8"),
            ("location", "/v2/a?_state=canary", "/v2/a?_state=REDACTED"),
            ("authorization", "Bearer canary", REDACTED),
            ("set-cookie", "canary", REDACTED),
            ("www-authenticate", "Bearer x", REDACTED),
            ("x-unknown", "canary", REDACTED),
        ] {
            assert_eq!(shown(&redaction, name, value), expected, "{name}");
        }
        let mut sensitive = HeaderValue::from_static("canary");
        sensitive.set_sensitive(true);
        assert_eq!(redaction.header(&header::RANGE, &sensitive), REDACTED);
    }

    #[test]
    fn no_option_shows_what_is_denied() {
        let mut redaction = Redaction::new().show_header(HeaderName::from_static("x-mine"));
        let headers = [
            "authorization",
            "cookie",
            "proxy-authenticate",
            "proxy-authorization",
            "set-cookie",
            "www-authenticate",
            "x-ms-authorization-auxiliary",
        ];
        for name in headers {
            redaction = redaction.show_header(HeaderName::from_static(name));
            assert_eq!(shown(&redaction, name, "canary"), REDACTED, "{name}");
        }
        for name in [
            "_state",
            "assertion",
            "code",
            "se",
            "sig",
            "skoid",
            "sktid",
            "sp",
            "sr",
            "st",
            "sv",
            "access_token",
            "X-Amz-Signature",
            "client_secret",
            "SIG",
        ] {
            redaction = redaction.show_query(name);
            let uri: Uri = format!("https://r/?{name}=canary").parse().unwrap();
            assert!(!redaction.url(&uri).contains("canary"), "{name}");
        }
        assert_eq!(shown(&redaction, "x-mine", "mine"), "mine");
        for name in HEADERS_DENIED {
            assert!(!shown(&redaction, name, "https://r/?x=canary").contains("canary"), "{name}");
        }
    }

    proptest! {
        #[test]
        fn planted_secrets_never_survive(name in "[a-z_]{1,12}", path in "[a-z/]{0,10}") {
            prop_assume!(!QUERY_ALLOWED.contains(&name.as_str()));
            let uri: Uri = format!("https://user:CANARY@host/{path}?{name}=CANARY").parse().unwrap();
            prop_assert!(!Redaction::new().url(&uri).contains("CANARY"));
            prop_assert!(!url_without_query(&uri).contains("CANARY"));
            for query in ["CANARY", "a%20CANARY=1", "=CANARY", "n=1&CANARY&x"] {
                let uri: Uri = format!("https://host/{path}?{query}").parse().unwrap();
                prop_assert!(!Redaction::new().url(&uri).contains("CANARY"));
            }
        }

        #[test]
        fn printed_text_has_no_control_characters(text in "\\PC{0,20}[\\x00-\\x1f\\x7f]\\PC{0,300}") {
            let shown = printable(&text).to_string();
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.len() <= MAX_PRINTED + '…'.len_utf8());
        }
    }
}
