//! Judges every URL that a server chose, before anything is sent to it.
//!
//! A registry names URLs in three places: the `Link` of a page, the `Location`
//! of an upload and the `Location` of a redirect. Each has a rule here and
//! there is no second place. A URL that breaks its rule is
//! [`ErrorKind::Policy`]; nothing is sent.

use http::{HeaderMap, Uri, header, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

use crate::{
    endpoint::Endpoint,
    error::{Error, ErrorKind, Result},
    link,
    name::RepositoryName,
    pager::Continuation,
    redact,
    response::header_text,
};

/// The next page that a list names, if any.
///
/// The link must have the origin and the path of the list itself; only its
/// query is taken over.
///
/// # Errors
///
/// [`ErrorKind::Policy`] for another origin or path, [`ErrorKind::Protocol`] for
/// a link that is no URL.
pub fn next_page(
    endpoint: &Endpoint,
    list: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Continuation>> {
    let Some(target) = link::next(headers) else {
        return Ok(None);
    };
    let uri = resolve(list, target)?;
    if !endpoint.is_origin_of(&uri) {
        return Err(refuse("a next-page link", "another origin", &uri));
    }
    if !percent_decode_str(uri.path()).eq(percent_decode_str(list.path())) {
        return Err(refuse("a next-page link", "another path", &uri));
    }
    match uri.query() {
        Some(query) if !query.is_empty() => Ok(Some(Continuation::from_query(query))),
        _ => Err(Error::new(ErrorKind::Protocol, "a next-page link has no query")),
    }
}

/// The address of an upload session, from the `Location` of an answer.
///
/// It must have the endpoint's origin and lie under `blobs/uploads/` of the
/// repository; the rest is opaque and kept byte for byte.
///
/// # Errors
///
/// [`ErrorKind::Policy`] for another origin or path, [`ErrorKind::Protocol`] when
/// the header is absent or no URL.
pub fn upload_location(
    endpoint: &Endpoint,
    repository: &RepositoryName,
    request: &Uri,
    headers: &HeaderMap,
) -> Result<Uri> {
    let Some(target) = header_text(headers, &header::LOCATION) else {
        return Err(Error::new(ErrorKind::Protocol, "the answer names no upload location"));
    };
    let uri = resolve(request, target)?;
    if !endpoint.is_origin_of(&uri) {
        return Err(refuse("an upload location", "another origin", &uri));
    }
    let path = percent_decode_str(uri.path()).decode_utf8_lossy();
    let session = path.strip_prefix(&format!("/v2/{repository}/blobs/uploads/"));
    let has_dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
    if session.is_none_or(str::is_empty) || has_dots {
        return Err(refuse("an upload location", "a path outside this repository's uploads", &uri));
    }
    Ok(uri)
}

/// The target of a redirect: https, or plain http between two loopback addresses
/// when the request itself was such.
///
/// # Errors
///
/// [`ErrorKind::Policy`] for a downgrade or user information, [`ErrorKind::Protocol`]
/// when the header is absent or no URL.
pub fn redirect_target(from: &Uri, headers: &HeaderMap) -> Result<Uri> {
    let Some(target) = header_text(headers, &header::LOCATION) else {
        return Err(Error::new(ErrorKind::Protocol, "a redirect names no location"));
    };
    let uri = resolve(from, target)?;
    let allowed = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => from.scheme_str() == Some("http") && is_loopback(from) && is_loopback(&uri),
        _ => false,
    };
    if !allowed {
        return Err(refuse("a redirect", "a connection without TLS", &uri));
    }
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(refuse("a redirect", "user information", &uri));
    }
    Ok(uri)
}

/// Resolves a reference against the URL of the request that it answers (RFC 3986 §5.2,
/// without the relative paths and dot segments that no registry sends).
fn resolve(base: &Uri, reference: &str) -> Result<Uri> {
    let malformed =
        || Error::new(ErrorKind::Protocol, "the server names a URL that cannot be read");
    if reference.len() > MAX_URL || reference.contains('\\') || !reference.is_ascii() {
        return Err(malformed());
    }
    let reference = reference.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str().ok_or_else(malformed)?;
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}").parse().map_err(|e| malformed().with_source(e));
    }
    let path_and_query = if reference.starts_with('/') {
        reference.to_owned()
    } else if reference.starts_with('?') {
        format!("{}{reference}", base.path())
    } else {
        let uri: Uri = reference.parse().map_err(|e| malformed().with_source(e))?;
        return if uri.scheme().is_some() && uri.authority().is_some() {
            Ok(uri)
        } else {
            Err(malformed())
        };
    };
    let path: PathAndQuery = path_and_query.parse().map_err(|e| malformed().with_source(e))?;
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|e| malformed().with_source(e))
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn refuse(what: &str, why: &str, uri: &Uri) -> Error {
    let text = format!("the server sent {what} to {why}: `{}`", redact::url_without_query(uri));
    Error::new(ErrorKind::Policy, text)
}

/// Longer URLs are no answer of a registry.
const MAX_URL: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use proptest::prelude::*;

    use super::*;

    fn endpoint() -> Endpoint {
        "r.azurecr.io".parse().unwrap()
    }

    fn one(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn an_url_of_more_than_8_kib_is_refused() {
        let from: Uri = "https://reg.azurecr.io/v2/a/blobs/b".parse().unwrap();
        for (len, allowed) in [(8_192, true), (8_193, false)] {
            let start = "https://s.example/";
            let target = format!("{start}{}", "x".repeat(len - start.len()));
            let headers = HeaderMap::from_iter([(header::LOCATION, target.parse().unwrap())]);
            assert_eq!(redirect_target(&from, &headers).is_ok(), allowed, "{len}");
        }
    }

    #[test]
    fn next_page_table() {
        let list: Uri = "https://r.azurecr.io/acr/v1/library%2Fx/_tags?n=2".parse().unwrap();
        for (target, expected) in [
            ("/acr/v1/library%2Fx/_tags?last=a&n=2", Ok(Some("last=a&n=2"))),
            (
                "/acr/v1/library/x/_tags?last=639%26v2&n=2&orderby=",
                Ok(Some("last=639%26v2&n=2&orderby=")),
            ),
            ("https://r.azurecr.io:443/acr/v1/library/x/_tags?last=a", Ok(Some("last=a"))),
            ("?last=a", Ok(Some("last=a"))),
            ("https://evil.example/acr/v1/library/x/_tags?last=a", Err(ErrorKind::Policy)),
            ("http://r.azurecr.io/acr/v1/library/x/_tags?last=a", Err(ErrorKind::Policy)),
            ("https://r.azurecr.io:444/acr/v1/library/x/_tags?last=a", Err(ErrorKind::Policy)),
            ("//evil.example/acr/v1/library/x/_tags?last=a", Err(ErrorKind::Policy)),
            ("https://u:p@r.azurecr.io/acr/v1/library/x/_tags?last=a", Err(ErrorKind::Policy)),
            ("/acr/v1/other/_tags?last=a", Err(ErrorKind::Policy)),
            ("/acr/v1/library/x/_tags", Err(ErrorKind::Protocol)),
            ("_tags?last=a", Err(ErrorKind::Protocol)),
            ("\\\\evil\\x?a", Err(ErrorKind::Protocol)),
            ("http:/evil", Err(ErrorKind::Protocol)),
        ] {
            let headers = one(header::LINK, &format!("<{target}>; rel=\"next\""));
            let got = next_page(&endpoint(), &list, &headers);
            match (got, expected) {
                (Ok(got), Ok(want)) => {
                    assert_eq!(got.as_ref().map(Continuation::query), want, "{target}")
                }
                (Err(got), Err(want)) => assert_eq!(got.kind(), want, "{target}"),
                (got, want) => panic!("{target}: {got:?} instead of {want:?}"),
            }
        }
    }

    #[test]
    fn upload_location_table() {
        let repository: RepositoryName = "library/x".parse().unwrap();
        let request: Uri = "https://r.azurecr.io/v2/library/x/blobs/uploads/".parse().unwrap();
        for (target, accepted) in [
            ("/v2/library/x/blobs/uploads/u-1?_state=a%3D", true),
            ("/v2/library%2Fx/blobs/uploads/u-1?_state=a", true),
            ("https://r.azurecr.io/v2/library/x/blobs/uploads/u-1", true),
            ("/v2/library/x/blobs/uploads/", false),
            ("/v2/library/y/blobs/uploads/u-1", false),
            ("/v2/library/x/blobs/uploads/../../../y/blobs/uploads/u", false),
            ("/v2/library/x/blobs/uploads/%2e%2e/u", false),
            ("https://evil/v2/library/x/blobs/uploads/u-1", false),
            ("http://r.azurecr.io/v2/library/x/blobs/uploads/u-1", false),
            ("//evil/v2/library/x/blobs/uploads/u-1", false),
        ] {
            let got =
                upload_location(&endpoint(), &repository, &request, &one(header::LOCATION, target));
            assert_eq!(got.is_ok(), accepted, "{target}");
            if let Ok(uri) = got {
                let tail = target.strip_prefix("https://r.azurecr.io").unwrap_or(target);
                assert!(uri.to_string().ends_with(tail), "{target} was changed");
            }
        }
    }

    #[test]
    fn redirect_table() {
        let secure = "https://r.azurecr.io/v2/x/blobs/y";
        let loopback = "http://127.0.0.1:1/v2/x/blobs/y";
        for (from, target, accepted) in [
            (secure, "https://w.blob.core.windows.net/c//docker?sig=a%2B", true),
            (secure, "/other", true),
            (secure, "http://w.blob.core.windows.net/c", false),
            (secure, "http://127.0.0.1/c", false),
            (secure, "https://u@w.blob.core.windows.net/c", false),
            (secure, "ftp://w/c", false),
            (loopback, "http://127.0.0.1:2/c", true),
            (loopback, "http://10.0.0.1:2/c", false),
        ] {
            let got = redirect_target(&from.parse().unwrap(), &one(header::LOCATION, target));
            assert_eq!(got.is_ok(), accepted, "{from} → {target}");
            if let Ok(uri) = got {
                assert!(uri.to_string().ends_with(target), "{target} was changed");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_the_endpoints_origin(target in "[a-z0-9:/@\\\\?#.%&=\\[\\] -]{0,40}") {
            let base: Uri = "https://r.azurecr.io/v2/a/blobs/uploads/?x=1".parse().unwrap();
            let Ok(value) = target.parse() else { return Ok(()) };
            let headers = HeaderMap::from_iter([(header::LOCATION, value)]);
            if let Ok(uri) = upload_location(&endpoint(), &"a".parse().unwrap(), &base, &headers) {
                prop_assert!(endpoint().is_origin_of(&uri));
            }
        }
    }
}
