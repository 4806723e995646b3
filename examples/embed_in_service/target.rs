//! What a client asks for, read from its URL, and the request that asks the registry.

use std::str::FromStr;

use acr_core::{
    Action, Digest, Endpoint, Error, ErrorKind, Reference, RepositoryName, Result, Scope,
    http::{Effect, Operation, Request, RequestBuilder},
};
use http::{HeaderValue, header, request};
use percent_encoding::percent_decode_str;

#[derive(Debug)]
pub(crate) enum Target {
    Ping,
    Tags(RepositoryName),
    Manifest(RepositoryName, Reference),
    Blob(RepositoryName, Digest),
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        let unknown = || Error::new(ErrorKind::NotFound, "this service does not know the path");
        let path = percent_decode_str(path).decode_utf8().map_err(|_| unknown())?;
        if path == "/v2" || path == "/v2/" {
            return Ok(Self::Ping);
        }
        let path = path.strip_prefix("/v2/").ok_or_else(unknown)?;
        if let Some(name) = path.strip_suffix("/tags/list") {
            Ok(Self::Tags(name.parse()?))
        } else if let Some((name, reference)) = path.rsplit_once("/manifests/") {
            Ok(Self::Manifest(name.parse()?, reference.parse()?))
        } else if let Some((name, digest)) = path.rsplit_once("/blobs/") {
            Ok(Self::Blob(name.parse()?, digest.parse()?))
        } else {
            Err(unknown())
        }
    }
}

impl Target {
    /// The digest that names the content, if one does: then it never changes.
    pub(crate) fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Ping | Self::Tags(_) => None,
            Self::Manifest(_, reference) => reference.digest(),
            Self::Blob(_, digest) => Some(digest),
        }
    }

    /// The one spelling of the path. The name is part of it: who may read a content in
    /// one repository has not thereby asked for it in another.
    pub(crate) fn path(&self) -> String {
        self.segments().join("/")
    }

    fn segments(&self) -> [&str; 4] {
        match self {
            Self::Ping => ["v2", "", "", ""],
            Self::Tags(name) => ["v2", name.as_str(), "tags", "list"],
            Self::Manifest(name, it) => ["v2", name.as_str(), "manifests", it.as_str()],
            Self::Blob(name, it) => ["v2", name.as_str(), "blobs", it.as_str()],
        }
    }

    /// The request to the registry, with the facts that the layers read.
    pub(crate) fn request(&self, client: &request::Parts, endpoint: &Endpoint) -> Result<Request> {
        let (operation, scope) = match self {
            Self::Ping => (Operation::new("ping"), Scope::empty()),
            Self::Tags(name) => (
                Operation::new("list_tag_names").on(name),
                Scope::repository(name, &[Action::PULL, Action::METADATA_READ]),
            ),
            Self::Manifest(name, it) => (
                Operation::new("get_manifest").on(format_args!("{name}:{it}")),
                Scope::repository(name, &[Action::PULL]),
            ),
            Self::Blob(name, it) => (
                Operation::new("download_blob").on(format_args!("{name}@{it}")),
                Scope::repository(name, &[Action::PULL]),
            ),
        };
        let segments = self.segments();
        let segments = match self {
            Self::Ping => segments.get(..2).unwrap_or_default(),
            _ => &segments,
        };
        let mut request = RequestBuilder::new(client.method.clone(), endpoint, segments)
            .operation(operation)
            .scope(scope)
            .effect(Effect::Read);
        if let (Self::Tags(_), Some(query)) = (self, client.uri.query()) {
            request = request.encoded_query(query);
        }
        if let Self::Blob(..) = self {
            request = request.follow_redirects();
        }
        let mut request = request.build()?;
        for name in [header::ACCEPT, header::RANGE] {
            for value in client.headers.get_all(&name) {
                request.headers_mut().append(name.clone(), value.clone());
            }
        }
        let is_manifest = matches!(self, Self::Manifest(..));
        if is_manifest && !client.headers.contains_key(header::ACCEPT) {
            // Registries take silence for the oldest type and hide all others.
            let any = HeaderValue::from_static(ANY_MANIFEST);
            request.headers_mut().insert(header::ACCEPT, any);
        }
        Ok(request)
    }
}

const ANY_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";
