//! What may be printed: allow-lists for headers and query parameters, and text of the peer made harmless.

use std::fmt::{self, Write as _};

use http::{HeaderName, HeaderValue, Uri, header};

/// Escapes control characters and caps the length of text that came from outside.
pub(crate) fn printable(text: &str) -> Printable<'_> {
    Printable {
        text,
        limit: MAX_PRINTED,
    }
}

/// The same with another cap, in characters.
pub(crate) fn printable_up_to(text: &str, limit: usize) -> Printable<'_> {
    Printable { text, limit }
}

pub(crate) struct Printable<'a> {
    text: &'a str,
    limit: usize,
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.text.chars();
        for c in chars.by_ref().take(self.limit) {
            if c.is_control() || is_format(c) {
                write!(f, "{}", c.escape_default())?
            } else {
                f.write_char(c)?
            }
        }
        if chars.next().is_some() {
            f.write_char('…')
        } else {
            Ok(())
        }
    }
}

/// Scheme, host and path of a URL; what an error may show.
pub(crate) fn url_without_query(uri: &Uri) -> String {
    let mut text = String::new();
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "{scheme}://{host}");
    }
    let _ = write!(text, "{}", printable_up_to(uri.path(), MAX_PATH));
    text
}

/// A URL for logs: query values redacted unless their names are allow-listed.
pub(crate) fn url(uri: &Uri) -> String {
    let mut text = url_without_query(uri);
    for (index, pair) in uri
        .query()
        .into_iter()
        .flat_map(|q| q.split('&'))
        .enumerate()
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = if QUERY_ALLOWED.contains(&name) {
            value
        } else {
            REDACTED
        };
        let mark = if index == 0 { '?' } else { '&' };
        let _ = write!(text, "{mark}{}={}", printable(name), printable(value));
    }
    text
}

/// A header value for logs: redacted unless the name is allow-listed and the value not sensitive.
pub(crate) fn header_value(name: &HeaderName, value: &HeaderValue) -> String {
    let allowed =
        HEADERS_ALLOWED.contains(&name.as_str()) || name.as_str().starts_with("x-ms-ratelimit-");
    match value.to_str() {
        Ok(text) if allowed && !value.is_sensitive() => printable(text).to_string(),
        _ if URL_HEADERS.contains(name) && !value.is_sensitive() => value
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Uri>().ok())
            .map_or_else(|| REDACTED.to_owned(), |uri| url(&uri)),
        _ => REDACTED.to_owned(),
    }
}

/// Invisible and direction-changing characters can make a log line lie.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

const REDACTED: &str = "REDACTED";

/// Enough for every name and id a registry uses.
const MAX_PRINTED: usize = 256;

/// A repository name, a digest and the fixed parts fit.
const MAX_PATH: usize = 512;

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

/// Headers that hold a URL: printed through the URL redactor.
const URL_HEADERS: &[HeaderName] = &[header::LOCATION, header::CONTENT_LOCATION];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn signed_links_and_upload_states_lose_their_secrets() {
        let uri: Uri = "https://x.blob.core.windows.net/c//data?se=1&sig=canary&n=3&_state=canary2"
            .parse()
            .unwrap();
        assert_eq!(
            url(&uri),
            "https://x.blob.core.windows.net/c//data?se=REDACTED&sig=REDACTED&n=3&_state=REDACTED"
        );
        assert_eq!(
            url_without_query(&uri),
            "https://x.blob.core.windows.net/c//data"
        );
    }

    #[test]
    fn only_listed_headers_show_their_values() {
        let shown = |name: HeaderName, value: &'static str| {
            header_value(&name, &HeaderValue::from_static(value))
        };
        assert_eq!(shown(header::RANGE, "0-5"), "0-5");
        assert_eq!(shown(header::AUTHORIZATION, "Bearer canary"), REDACTED);
        assert_eq!(shown(header::SET_COOKIE, "canary"), REDACTED);
        assert_eq!(shown(header::WWW_AUTHENTICATE, "Bearer x"), REDACTED);
        assert_eq!(
            shown(header::LOCATION, "/v2/a?_state=canary"),
            "/v2/a?_state=REDACTED"
        );
        assert_eq!(
            shown(
                HeaderName::from_static("x-ms-ratelimit-remaining-calls-per-second"),
                "8"
            ),
            "8"
        );
        let mut sensitive = HeaderValue::from_static("canary");
        sensitive.set_sensitive(true);
        assert_eq!(header_value(&header::RANGE, &sensitive), REDACTED);
    }

    proptest! {
        #[test]
        fn planted_secrets_never_survive(name in "[a-z_]{1,12}", path in "[a-z/]{0,10}") {
            prop_assume!(!QUERY_ALLOWED.contains(&name.as_str()));
            let uri: Uri = format!("https://user:CANARY@host/{path}?{name}=CANARY").parse().unwrap();
            prop_assert!(!url(&uri).contains("CANARY"));
            prop_assert!(!url_without_query(&uri).contains("CANARY"));
        }

        #[test]
        fn printed_text_has_no_control_characters(text in "\\PC{0,20}[\\x00-\\x1f\\x7f]\\PC{0,300}") {
            let shown = printable(&text).to_string();
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(shown.chars().count() <= 7 * MAX_PRINTED);
        }
    }
}
