//! What the path of a recorded request addresses.

/// The parts of a decoded path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Ping,
    Catalog,
    Repository(String),
    Tags(String),
    Tag(String, String),
    Manifests(String),
    ManifestProperties(String, String),
    Manifest(String, String),
    Blob(String, String),
    Referrers(String, String),
}

impl Target {
    /// The repository's name.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Ping | Self::Catalog => None,
            Self::Repository(name)
            | Self::Tags(name)
            | Self::Tag(name, _)
            | Self::Manifests(name)
            | Self::ManifestProperties(name, _)
            | Self::Manifest(name, _)
            | Self::Blob(name, _)
            | Self::Referrers(name, _) => Some(name),
        }
    }

    /// Whether a GET of it is a list in pages.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::Catalog | Self::Tags(_) | Self::Manifests(_) | Self::Referrers(..))
    }
}

/// Reads a path; none for one that no operation of ours has, uploads aside.
pub(crate) fn target(path: &str) -> Option<Target> {
    let text = str::to_owned;
    if path == "/v2/" {
        return Some(Target::Ping);
    }
    if path == "/acr/v1/_catalog" {
        return Some(Target::Catalog);
    }
    if let Some(rest) = path.strip_prefix("/acr/v1/") {
        if let Some((name, tag)) = rest.rsplit_once("/_tags/") {
            return Some(Target::Tag(text(name), text(tag)));
        }
        if let Some((name, digest)) = rest.rsplit_once("/_manifests/") {
            return Some(Target::ManifestProperties(text(name), text(digest)));
        }
        if let Some(name) = rest.strip_suffix("/_tags") {
            return Some(Target::Tags(text(name)));
        }
        if let Some(name) = rest.strip_suffix("/_manifests") {
            return Some(Target::Manifests(text(name)));
        }
        let is_name = !rest.split('/').any(|part| part.is_empty() || part.starts_with('_'));
        return is_name.then(|| Target::Repository(text(rest)));
    }
    let rest = path.strip_prefix("/v2/")?;
    if rest.contains("/blobs/uploads/") {
        return None;
    }
    let two = |middle: &str| {
        let (name, last) = rest.rsplit_once(middle)?;
        (!name.is_empty() && !last.is_empty() && !last.contains('/'))
            .then(|| (text(name), text(last)))
    };
    if let Some((name, reference)) = two("/manifests/") {
        return Some(Target::Manifest(name, reference));
    }
    if let Some((name, digest)) = two("/referrers/") {
        return Some(Target::Referrers(name, digest));
    }
    two("/blobs/").map(|(name, digest)| Target::Blob(name, digest))
}
