//! What a path asks for. Names are taken as they are: nothing here judges them.

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Stats,
    Ping,
    Token,
    Blob {
        name: &'a str,
        digest: &'a str,
    },
    /// An upload, of which so many bytes came: its address counts them, so that nothing is kept.
    Upload {
        name: &'a str,
        came: Option<u64>,
    },
    Manifest {
        name: &'a str,
        reference: &'a str,
    },
    Page {
        list: List,
        name: &'a str,
    },
    Unknown,
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    Tags,
    Manifests,
    Repositories,
    /// The list of the distribution specification.
    TagNames,
}

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        match path {
            "/_sink/stats" => return Self::Stats,
            "/v2" | "/v2/" => return Self::Ping,
            "/oauth2/exchange" | "/oauth2/token" => return Self::Token,
            "/acr/v1/_catalog" => return Self::Page { list: List::Repositories, name: "" },
            _ => {}
        }
        if let Some(rest) = path.strip_prefix("/acr/v1/") {
            return match rest.rsplit_once('/') {
                Some((name, "_tags")) => Self::Page { list: List::Tags, name },
                Some((name, "_manifests")) => Self::Page { list: List::Manifests, name },
                _ => Self::Unknown,
            };
        }
        path.strip_prefix("/v2/").map_or(Self::Unknown, Self::of_distribution)
    }

    fn of_distribution(rest: &'a str) -> Self {
        if let Some((name, id)) = rest.rsplit_once("/blobs/uploads") {
            let came = id.trim_start_matches('/');
            return Self::Upload { name, came: came.parse().ok() };
        }
        if let Some((name, digest)) = rest.rsplit_once("/blobs/") {
            return Self::Blob { name, digest };
        }
        if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
            return Self::Manifest { name, reference };
        }
        match rest.strip_suffix("/tags/list") {
            Some(name) => Self::Page { list: List::TagNames, name },
            None => Self::Unknown,
        }
    }

    /// As it stands in the statistics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Stats => "stats",
            Self::Ping => "ping",
            Self::Token => "token",
            Self::Blob { .. } => "blob",
            Self::Upload { .. } => "upload",
            Self::Manifest { .. } => "manifest",
            Self::Page { .. } => "list",
            Self::Unknown => "unknown",
        }
    }

    /// The scope that a registry of Azure names in its challenge.
    pub(super) fn scope(&self, is_read: bool) -> Option<String> {
        let (name, actions) = match self {
            Self::Ping | Self::Stats | Self::Token | Self::Unknown => return None,
            Self::Page { list: List::Repositories, .. } => {
                return Some("registry:catalog:*".to_owned());
            }
            Self::Page { list: List::TagNames, name } => (name, "pull"),
            Self::Page { name, .. } => (name, "metadata_read"),
            Self::Upload { name, .. } => (name, "pull,push"),
            Self::Blob { name, .. } | Self::Manifest { name, .. } => {
                (name, if is_read { "pull" } else { "pull,push" })
            }
        };
        Some(format!("repository:{name}:{actions}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_route() {
        let page = |list, name| Route::Page { list, name };
        for (path, route) in [
            ("/v2/", Route::Ping),
            ("/oauth2/token", Route::Token),
            ("/v2/a/b/blobs/sha256:0", Route::Blob { name: "a/b", digest: "sha256:0" }),
            ("/v2/a/blobs/uploads/", Route::Upload { name: "a", came: None }),
            ("/v2/a/blobs/uploads/4096", Route::Upload { name: "a", came: Some(4096) }),
            (
                "/v2/blobs/uploads/blobs/uploads/7",
                Route::Upload { name: "blobs/uploads", came: Some(7) },
            ),
            ("/v2/a/manifests/v1", Route::Manifest { name: "a", reference: "v1" }),
            ("/v2/a/tags/list", page(List::TagNames, "a")),
            ("/acr/v1/a/b/_tags", page(List::Tags, "a/b")),
            ("/acr/v1/a/_manifests", page(List::Manifests, "a")),
            ("/acr/v1/_catalog", page(List::Repositories, "")),
            ("/v1/", Route::Unknown),
            ("/acr/v1/a", Route::Unknown),
        ] {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
