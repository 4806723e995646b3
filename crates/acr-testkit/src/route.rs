//! Reads method, path and query: which operation on what, or why there is none.

use acr_core::{RepositoryName, Tag};
use http::Method;
use percent_encoding::percent_decode_str;

use crate::{form::Form, operation::Operation, reference::is_digest};

/// A request whose path fits a route and whose names fit their grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// The repository, decoded; empty for routes of the whole registry.
    pub(crate) repository: String,
    /// The tag, digest or upload id; empty for routes without one.
    pub(crate) item: String,
}

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unrouted {
    /// Not a path of the registry: the front end answers.
    Foreign,
    /// No route, or a malformed name, tag or digest.
    NotFound,
    /// The route does not have this method.
    Method,
}

/// Finds the route. Decodes once, then cuts the well-known endings from the right,
/// because a repository name may contain words such as `blobs`.
pub(crate) fn parse(method: &Method, path: &str, query: &Form) -> Result<Route, Unrouted> {
    let path = percent_decode_str(path).decode_utf8().map_err(|_| Unrouted::NotFound)?;
    if let Some(rest) = path.strip_prefix("/oauth2/") {
        return token_service(method, rest);
    }
    if let Some(rest) = path.strip_prefix("/acr/v1/") {
        return metadata(method, rest);
    }
    if let Some(rest) = path.strip_prefix("/v2/") {
        return content(method, rest, query);
    }
    Err(Unrouted::Foreign)
}

fn token_service(method: &Method, rest: &str) -> Result<Route, Unrouted> {
    match (rest, method.as_str()) {
        ("exchange", "POST") => registry(Operation::ExchangeEntraToken),
        ("token", "POST" | "GET") => registry(Operation::FetchAccessToken),
        ("token", _) => Err(Unrouted::Method),
        _ => Err(Unrouted::NotFound),
    }
}

fn metadata(method: &Method, rest: &str) -> Result<Route, Unrouted> {
    let method = method.as_str();
    if rest == "_catalog" {
        return pick(method, &[("GET", Operation::ListRepositories)], "", "");
    }
    if let Some(rest) = rest.strip_prefix("_deleted/") {
        return deleted(method, rest);
    }
    if let Some(name) = rest.strip_suffix("/_tags") {
        return pick(method, &[("GET", Operation::ListTags)], repository(name)?, "");
    }
    if let Some(name) = rest.strip_suffix("/_manifests") {
        return pick(method, &[("GET", Operation::ListManifests)], repository(name)?, "");
    }
    let (front, last) = rest.rsplit_once('/').unwrap_or(("", rest));
    if let Some(name) = front.strip_suffix("/_tags") {
        let methods = [
            ("GET", Operation::TagProperties),
            ("PATCH", Operation::UpdateTagProperties),
            ("DELETE", Operation::DeleteTag),
        ];
        return pick(method, &methods, repository(name)?, tag(last)?);
    }
    if let Some(name) = front.strip_suffix("/_manifests") {
        let methods = [
            ("GET", Operation::ManifestProperties),
            ("PATCH", Operation::UpdateManifestProperties),
        ];
        return pick(method, &methods, repository(name)?, digest(last, 1)?);
    }
    let methods = [
        ("GET", Operation::RepositoryProperties),
        ("PATCH", Operation::UpdateRepositoryProperties),
        ("DELETE", Operation::DeleteRepository),
    ];
    pick(method, &methods, repository(rest)?, "")
}

/// What was soft-deleted. No repository's name begins with an underscore.
fn deleted(method: &str, rest: &str) -> Result<Route, Unrouted> {
    if rest == "_catalog" {
        return pick(method, &[("GET", Operation::ListDeletedRepositories)], "", "");
    }
    if let Some(name) = rest.strip_suffix("/_tags") {
        return pick(method, &[("GET", Operation::ListDeletedTags)], repository(name)?, "");
    }
    if let Some(name) = rest.strip_suffix("/_manifests") {
        return pick(method, &[("GET", Operation::ListDeletedManifests)], repository(name)?, "");
    }
    let (front, last) = rest.rsplit_once('/').ok_or(Unrouted::NotFound)?;
    let name = front.strip_suffix("/_manifests").ok_or(Unrouted::NotFound)?;
    pick(method, &[("POST", Operation::RestoreManifest)], repository(name)?, digest(last, MIN_HEX)?)
}

fn content(method: &Method, rest: &str, query: &Form) -> Result<Route, Unrouted> {
    let method = method.as_str();
    match rest {
        "" => {
            return pick(method, &[("GET", Operation::Ping), ("HEAD", Operation::Ping)], "", "");
        }
        "_catalog" => return pick(method, &[("GET", Operation::ListCatalog)], "", ""),
        _ => {}
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return pick(method, &[("GET", Operation::ListTagNames)], repository(name)?, "");
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/") {
        return start(method, repository(name)?, query);
    }
    let (front, last) = rest.rsplit_once('/').ok_or(Unrouted::NotFound)?;
    if let Some(name) = front.strip_suffix("/blobs/uploads") {
        let methods = [
            ("GET", Operation::UploadStatus),
            ("PATCH", Operation::UploadChunk),
            ("PUT", Operation::CompleteUpload),
            ("DELETE", Operation::CancelUpload),
        ];
        return pick(method, &methods, repository(name)?, upload_id(last)?);
    }
    if let Some(name) = front.strip_suffix("/manifests") {
        let methods = [
            ("GET", Operation::GetManifest),
            ("HEAD", Operation::Resolve),
            ("PUT", Operation::PutManifest),
            ("DELETE", Operation::DeleteManifest),
        ];
        return pick(method, &methods, repository(name)?, reference(last)?);
    }
    if let Some(name) = front.strip_suffix("/blobs") {
        let methods = [
            ("GET", Operation::DownloadBlob),
            ("HEAD", Operation::BlobProperties),
            ("DELETE", Operation::DeleteBlob),
        ];
        return pick(method, &methods, repository(name)?, digest(last, MIN_HEX)?);
    }
    if let Some(name) = front.strip_suffix("/referrers") {
        let methods = [("GET", Operation::ListReferrers)];
        return pick(method, &methods, repository(name)?, digest(last, MIN_HEX)?);
    }
    Err(Unrouted::NotFound)
}

/// A new upload; with `mount` and `from`, a mount. Malformed values have no route.
fn start(method: &str, name: &str, query: &Form) -> Result<Route, Unrouted> {
    let operation = match (query.get("mount"), query.get("from")) {
        (Some(blob), Some(source)) => {
            digest(blob, MIN_HEX)?;
            repository(source)?;
            Operation::MountBlob
        }
        (Some(blob), None) => {
            digest(blob, MIN_HEX)?;
            Operation::StartUpload
        }
        (None, _) => Operation::StartUpload,
    };
    pick(method, &[("POST", operation)], name, "")
}

fn pick(
    method: &str,
    methods: &[(&str, Operation)],
    repository: &str,
    item: &str,
) -> Result<Route, Unrouted> {
    let found = methods.iter().find(|(name, _)| *name == method);
    let (_, operation) = found.ok_or(Unrouted::Method)?;
    Ok(Route { operation: *operation, repository: repository.to_owned(), item: item.to_owned() })
}

fn registry(operation: Operation) -> Result<Route, Unrouted> {
    Ok(Route { operation, repository: String::new(), item: String::new() })
}

fn repository(text: &str) -> Result<&str, Unrouted> {
    text.parse::<RepositoryName>().map(|_| text).map_err(|_| Unrouted::NotFound)
}

fn tag(text: &str) -> Result<&str, Unrouted> {
    text.parse::<Tag>().map(|_| text).map_err(|_| Unrouted::NotFound)
}

fn reference(text: &str) -> Result<&str, Unrouted> {
    if is_digest(text) { digest(text, MIN_HEX) } else { tag(text) }
}

/// The route's grammar of a digest, wider than that of a digest that can exist:
/// any algorithm, any number of hexadecimal digits from a minimum on.
fn digest(text: &str, least: usize) -> Result<&str, Unrouted> {
    let (algorithm, hex) = text.split_once(':').ok_or(Unrouted::NotFound)?;
    let word = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let fits = algorithm.split(['-', '_', '+', '.']).all(word)
        && (least..=MAX_HEX).contains(&hex.len())
        && hex.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { Ok(text) } else { Err(Unrouted::NotFound) }
}

fn upload_id(text: &str) -> Result<&str, Unrouted> {
    let fits = (1..=MAX_HEX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'='));
    if fits { Ok(text) } else { Err(Unrouted::NotFound) }
}

/// The content interface wants at least this many hexadecimal digits; the metadata interface
/// was seen to route even `sha256:abcdef`.
const MIN_HEX: usize = 32;

/// Twice the longest digest in use.
const MAX_HEX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str) -> Result<(&'static str, String, String), Unrouted> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method: Method = method.parse().unwrap();
        parse(&method, path, &Form::parse(query))
            .map(|route| (route.operation.name(), route.repository, route.item))
    }

    fn assert_routes(routes: &[(&str, &str, &'static str, &str, &str)]) {
        for &(method, target, operation, name, item) in routes {
            let expected = Ok((operation, name.to_owned(), item.to_owned()));
            assert_eq!(read(method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn every_route_of_content() {
        let d = format!("sha256:{}", "a".repeat(64));
        let e = d.replace(':', "%3A");
        assert_routes(&[
            ("GET", "/v2/", "ping", "", ""),
            ("GET", "/v2/_catalog?n=1", "list_catalog", "", ""),
            ("GET", "/v2/a/b/tags/list", "list_tag_names", "a/b", ""),
            ("GET", "/v2/a/b/manifests/v1", "get_manifest", "a/b", "v1"),
            ("HEAD", &format!("/v2/a%2Fb/manifests/{e}"), "resolve", "a/b", &d),
            ("PUT", "/v2/a/manifests/latest", "put_manifest", "a", "latest"),
            ("DELETE", "/v2/a/manifests/v1", "delete_manifest", "a", "v1"),
            ("GET", &format!("/v2/a/blobs/{d}"), "download_blob", "a", &d),
            ("HEAD", &format!("/v2/a/blobs/{d}"), "blob_properties", "a", &d),
            ("DELETE", &format!("/v2/a/blobs/{d}"), "delete_blob", "a", &d),
            ("POST", "/v2/a/blobs/uploads/", "start_upload", "a", ""),
            ("POST", &format!("/v2/a/blobs/uploads/?mount={e}&from=b%2Fc"), "mount_blob", "a", ""),
            ("POST", &format!("/v2/a/blobs/uploads/?mount={e}"), "start_upload", "a", ""),
            ("PATCH", "/v2/a/blobs/uploads/0-1_x", "upload_chunk", "a", "0-1_x"),
            ("GET", "/v2/a/blobs/uploads/u", "upload_status", "a", "u"),
            ("PUT", "/v2/a/blobs/uploads/u", "complete_upload", "a", "u"),
            ("DELETE", "/v2/a/blobs/uploads/u", "cancel_upload", "a", "u"),
            ("GET", &format!("/v2/a/referrers/{d}"), "list_referrers", "a", &d),
        ]);
    }

    #[test]
    fn every_route_of_metadata_and_of_the_token_service() {
        let d = format!("sha256:{}", "a".repeat(64));
        let e = d.replace(':', "%3A");
        assert_routes(&[
            ("GET", "/acr/v1/_catalog", "list_repositories", "", ""),
            ("GET", "/acr/v1/a%2Fb", "repository_properties", "a/b", ""),
            ("PATCH", "/acr/v1/a/b", "update_repository_properties", "a/b", ""),
            ("DELETE", "/acr/v1/a", "delete_repository", "a", ""),
            ("GET", "/acr/v1/a%2Fb/_tags", "list_tags", "a/b", ""),
            ("GET", "/acr/v1/a/_tags/v1", "tag_properties", "a", "v1"),
            ("PATCH", "/acr/v1/a/_tags/v1", "update_tag_properties", "a", "v1"),
            ("DELETE", "/acr/v1/a/_tags/v1", "delete_tag", "a", "v1"),
            ("GET", "/acr/v1/a/_manifests", "list_manifests", "a", ""),
            (
                "GET",
                "/acr/v1/a/_manifests/sha256:abcdef",
                "manifest_properties",
                "a",
                "sha256:abcdef",
            ),
            ("PATCH", &format!("/acr/v1/a/_manifests/{e}"), "update_manifest_properties", "a", &d),
            ("POST", "/oauth2/exchange", "exchange_entra_token", "", ""),
            ("POST", "/oauth2/token", "fetch_access_token", "", ""),
            ("GET", "/oauth2/token", "fetch_access_token", "", ""),
        ]);
    }

    #[test]
    fn names_may_contain_the_words_of_routes() {
        let d = format!("sha256:{}", "a".repeat(64));
        assert_routes(&[
            ("GET", "/v2/blobs/manifests/tags/list", "list_tag_names", "blobs/manifests", ""),
            ("GET", "/v2/a/manifests/b/manifests/v1", "get_manifest", "a/manifests/b", "v1"),
            ("POST", "/v2/a/blobs/uploads/blobs/uploads/", "start_upload", "a/blobs/uploads", ""),
            (
                "PATCH",
                "/v2/a/blobs/uploads/x/blobs/uploads/u",
                "upload_chunk",
                "a/blobs/uploads/x",
                "u",
            ),
            ("GET", &format!("/v2/tags/list/blobs/{d}"), "download_blob", "tags/list", &d),
        ]);
    }

    #[test]
    fn malformed_paths_have_no_route() {
        let d = format!("sha256:{}", "a".repeat(64));
        for target in [
            "/v2/Upper/manifests/v1",
            "/v2/a/manifests/.INVALID_MANIFEST_NAME",
            "/v2/a/manifests/sha256:totallywrong",
            "/v2/a/manifests/sha256:abcdef",
            "/v2/a/blobs/wrong%20digest",
            "/v2/a/blobs/uploads",
            "/v2/a//b/tags/list",
            "/v2/a/%2E%2E/tags/list",
            "/v2/a%252Fb/tags/list",
            "/v2/a/referrers/x",
            "/v2/%FF/tags/list",
            "/v2/a",
            "/acr/v1/missingRepo",
            "/acr/v1/",
            "/acr/v1/a/_tags/",
            "/acr/v1/a/_tags/-x",
            "/acr/v1/a/_manifests/wrong-digest",
            "/acr/v1/a/_manifests/unknown:digest",
            "/oauth2/exchange",
            "/oauth2/",
        ] {
            assert_eq!(read("GET", target), Err(Unrouted::NotFound), "{target}");
        }
        for target in [
            "/v2/a/blobs/uploads/?mount=x&from=b",
            &format!("/v2/a/blobs/uploads/?mount={d}&from=B"),
        ] {
            assert_eq!(read("POST", target), Err(Unrouted::NotFound), "{target}");
        }
    }

    #[test]
    fn foreign_paths_and_methods() {
        for target in ["/", "/v2", "/wrong%20location", "/v3/"] {
            assert_eq!(read("GET", target), Err(Unrouted::Foreign), "{target}");
        }
        assert_eq!(read("POST", "/acr/v1/a"), Err(Unrouted::Method));
        assert_eq!(read("DELETE", "/v2/"), Err(Unrouted::Method));
    }
}
