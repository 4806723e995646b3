//! Judges every URL that a server chose, before anything is sent to it.
//!
//! A registry names URLs in three places: the `Link` of a page, the `Location`
//! of an upload and the `Location` of a redirect. Each has a rule here and
//! there is no second place. A URL that breaks its rule is
//! [`ErrorKind::Policy`]; nothing is sent.

use http::{HeaderMap, Uri, header, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

use crate::{
    http::{
        endpoint::Endpoint,
        error::{Error, ErrorKind, Result},
        link,
        pager::Continuation,
        redact,
        response::header_text,
    },
    value::{
        host::{self, Host},
        name::RepositoryName,
    },
};

/// The next page that a list names, if any.
///
/// The link must have the origin and the path of the list itself; only its
/// query is taken over.
///
/// # Errors
///
/// [`ErrorKind::Policy`] for another origin or path, [`ErrorKind::Protocol`] for
/// a link that is no URL and for a header that cannot be read.
pub fn next_page(
    endpoint: &Endpoint,
    list: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Continuation>> {
    let Some(target) = link::next(headers)? else {
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
/// It must have the endpoint's origin, and its path must not lead upwards; the rest is
/// opaque and kept byte for byte, but for a fragment, which is never sent. A registry of
/// Azure ([`Endpoint::is_azure_registry`]) must also stay below `blobs/uploads/` of the
/// repository; other registries put their uploads where they like.
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
    if leads_upwards(&path) {
        return Err(refuse("an upload location", "a path that leads upwards", &uri));
    }
    let session = path.strip_prefix(&format!("/v2/{repository}/blobs/uploads/"));
    if endpoint.is_azure_registry() && session.is_none_or(str::is_empty) {
        return Err(refuse("an upload location", "a path outside this repository's uploads", &uri));
    }
    Ok(uri)
}

/// The target of a redirect: https, or plain http between two loopback addresses
/// (or `localhost`) when the request itself was such.
///
/// # Errors
///
/// [`ErrorKind::Policy`] for a downgrade, for user information, for a port that is none and
/// for a host that is neither a name nor an address in its usual form (`127.1`);
/// [`ErrorKind::Protocol`] when the header is absent or no URL.
pub fn redirect_target(from: &Uri, headers: &HeaderMap) -> Result<Uri> {
    let Some(target) = header_text(headers, &header::LOCATION) else {
        return Err(Error::new(ErrorKind::Protocol, "a redirect names no location"));
    };
    let uri = resolve(from, target)?;
    let allowed = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => {
            from.scheme_str() == Some("http") && is_this_machine(from) && is_this_machine(&uri)
        }
        _ => false,
    };
    if !allowed {
        return Err(refuse("a redirect", "a connection without TLS", &uri));
    }
    if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
        return Err(refuse("a redirect", "user information", &uri));
    }
    if host::port(&uri).is_none() {
        return Err(refuse("a redirect", "a port that is none", &uri));
    }
    if Host::of(uri.host().unwrap_or_default()) == Host::Odd {
        let why = "a host that is neither a name nor an address in its usual form";
        return Err(refuse("a redirect", why, &uri));
    }
    Ok(uri)
}

/// Resolves a reference against the URL of the request that it answers (RFC 3986 §5.2),
/// but for dot segments in a relative path, which no registry sends.
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
    } else if is_relative_path(reference) {
        let (directory, _) = base.path().rsplit_once('/').ok_or_else(malformed)?;
        format!("{directory}/{reference}")
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

/// Whether a reference, which does not begin with a slash, is a path below that of the
/// request. A colon in its first segment would make it a scheme.
fn is_relative_path(reference: &str) -> bool {
    let path = reference.split('?').next().unwrap_or_default();
    let first = path.split('/').next().unwrap_or_default();
    let is_dot = |segment: &str| matches!(segment, "." | "..");
    !first.is_empty() && !first.contains(':') && !path.split('/').any(is_dot)
}

/// Whether a decoded path has dot segments, for a server that decodes once more, that takes
/// a backslash for a slash as well, or that knows parameters of segments (`..;x`, RFC 3986
/// §3.3), which those in Java cut off before they resolve the dots.
fn leads_upwards(path: &str) -> bool {
    let again = percent_decode_str(path).decode_utf8_lossy();
    let mut segments = again.split(['/', '\\']).filter_map(|segment| segment.split(';').next());
    segments.any(|segment| matches!(segment, "." | ".."))
}

fn is_this_machine(uri: &Uri) -> bool {
    Host::of(uri.host().unwrap_or_default()).is_this_machine()
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
            ("/acr/v1/library/x/_tags?", Err(ErrorKind::Protocol)),
            ("r.azurecr.io:443", Err(ErrorKind::Protocol)),
            ("_tags?last=a", Ok(Some("last=a"))),
            ("./_tags?last=a", Err(ErrorKind::Protocol)),
            ("../x/_tags?last=a", Err(ErrorKind::Protocol)),
            ("_tags:x?last=a", Err(ErrorKind::Protocol)),
            ("other?last=a", Err(ErrorKind::Policy)),
            ("https://r.azurecr.io:99999/acr/v1/library/x/_tags?last=a", Err(ErrorKind::Policy)),
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
            ("/v2/library/x/blobs/uploads/..;/..;/manifests/v1", false),
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
            (loopback, "http://localhost:2/c", true),
            (loopback, "http://evil.localhost:2/c", false),
            (loopback, "http://[::ffff:127.0.0.1]:2/c", false),
            ("http://localhost:1/v2/x/blobs/y", "http://127.0.0.1:2/c", true),
            ("http://10.0.0.1/v2/x/blobs/y", "http://127.0.0.1:2/c", false),
            ("https://127.0.0.1/v2/x/blobs/y", "http://127.0.0.1:2/c", false),
        ] {
            let got = redirect_target(&from.parse().unwrap(), &one(header::LOCATION, target));
            assert_eq!(got.is_ok(), accepted, "{from} → {target}");
            if let Ok(uri) = got {
                assert!(uri.to_string().ends_with(target), "{target} was changed");
            }
        }
    }

    #[test]
    fn d3_a_port_or_a_host_that_others_read_otherwise_is_refused() {
        let from: Uri = "https://r.azurecr.io/v2/x/blobs/y".parse().unwrap();
        for host in [
            "w.example:99999",
            "w.example:65536",
            "w.example:0",
            "w.example:",
            "w.example:00443x",
            "[::1]:99999",
            "127.1",
            "0x7f000001",
            "0x7F.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "127.0.0.0x1",
            "1.2.3.4.5",
            "a..b",
            "localhost..",
            ".",
        ] {
            let headers = one(header::LOCATION, &format!("https://{host}/c"));
            let error = redirect_target(&from, &headers).unwrap_err();
            let kind = error.kind();
            assert!(matches!(kind, ErrorKind::Policy | ErrorKind::Protocol), "{host}: {error}");
        }
        for host in ["w.example:8443", "w.example:443", "10.0.0.4", "[fd00::1]:8443", "w.example."]
        {
            let headers = one(header::LOCATION, &format!("https://{host}/c"));
            assert!(redirect_target(&from, &headers).is_ok(), "{host}");
        }
    }

    const NO_PATH_OF_AN_UPLOAD: [&str; 20] = [
        "/u/../1",
        "/u/./1",
        "/u/..",
        "/u/%2e%2E/1",
        "/u/%2e/1",
        "/u/.%2e/1",
        "/u%2f..%2f1",
        "/u/%252e%252e/1",
        "/u/..;/1",
        "/u/%2e%2e%3bx=y/1",
        "/u/..%5c1",
        "/u\\1",
        "../1",
        "u/../1",
        "",
        "#c",
        "1:2",
        "https://evil.example/u/1",
        "//evil.example/u/1",
        "https://registry.example:99999/u/1",
    ];

    #[test]
    fn b7_the_path_of_an_upload_is_opaque_where_the_registry_is_not_azures() {
        let repository: RepositoryName = "library/x".parse().unwrap();
        for (endpoint, is_azure) in [
            ("registry.example", false),
            ("registry.example:5000", false),
            ("r.azurecr.io.example", false),
            ("r.azurecr.io", true),
            ("r.westeurope.azurecr.cn", true),
            ("r.azurecr.us.", true),
        ] {
            let endpoint: Endpoint = endpoint.parse().unwrap();
            let request = endpoint.uri("/v2/library/x/blobs/uploads/").unwrap();
            let accepts = |target: &str| {
                let headers = one(header::LOCATION, target);
                match upload_location(&endpoint, &repository, &request, &headers) {
                    Ok(uri) => Some(uri.to_string()),
                    Err(error) => {
                        let kind = error.kind();
                        assert!(matches!(kind, ErrorKind::Policy | ErrorKind::Protocol));
                        None
                    }
                }
            };
            for target in [
                "/v2/library/x/blobs/upload/1",
                "/artifacts-uploads/namespaces/n/uploads/AF2?_state=a%2Bb%3D",
                "/v2/other/blobs/uploads/1",
                "/u//1",
                "/u/a..b/...",
                "/?upload=1",
            ] {
                let full = format!("https://{}{target}", endpoint.authority());
                assert_eq!(accepts(target), (!is_azure).then_some(full.clone()), "{target}");
                assert_eq!(accepts(&full), (!is_azure).then_some(full.clone()), "{full}");
            }
            // RFC 3986 §5.2.3, and §3.5: a fragment is never sent.
            let session =
                format!("https://{}/v2/library/x/blobs/uploads/1?a=b", endpoint.authority());
            assert_eq!(accepts("1?a=b"), Some(session.clone()));
            assert_eq!(accepts("/v2/library/x/blobs/uploads/1?a=b#c"), Some(session));
            let authority = endpoint.authority();
            let others = [
                format!("http://{authority}/u/1"),
                format!("https://user@{authority}/u/1"),
                format!("https://{authority}@evil.example/u/1"),
            ];
            for target in NO_PATH_OF_AN_UPLOAD.into_iter().chain(others.iter().map(String::as_str))
            {
                assert_eq!(accepts(target), None, "{authority}: {target}");
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
