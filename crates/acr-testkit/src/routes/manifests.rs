//! Manifests as content: get, put, delete.

use std::sync::Arc;

use acr_core::{Digest, Digester, Tag, http::Body};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use super::tags;
use crate::{
    answer::{Answer, DOCKER_CONTENT_DIGEST, Refusal, Reply, empty, set, with},
    attributes::Attributes,
    budget::{Budget, Share},
    clock::Stamp,
    exchange::Exchange,
    locks,
    manifest::{self, Form, MAX_MANIFEST, Parsed, Platform},
    operation::Operation,
    reference::is_digest,
    state::{ManifestRecord, Push, Repository, State},
    sync::lock,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ByTag<'a> {
    tag: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ByDigest<'a> {
    name: &'a str,
    revision: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Reason {
    reason: Map<String, Value>,
}

/// `GET` and `HEAD /v2/{name}/manifests/{reference}`.
pub(crate) fn get(x: &Exchange<'_>) -> Reply {
    let state = lock(&x.shared.state);
    let reference = x.route.item.as_str();
    let repository = state.repositories.get(&x.route.repository);
    repository.map_or(Ok(()), |known| locks::read_manifest(known, reference))?;
    let found = repository.and_then(|repository| {
        let digest = repository.resolve(reference)?;
        let manifest = repository.manifests.get(digest)?;
        let is_hidden = !is_digest(reference) && manifest.attributes.is_quarantined();
        (!is_hidden).then_some((repository, digest, manifest))
    });
    let (repository, digest, manifest) = found.ok_or_else(|| unknown(x))?;
    let accept = Accept::read(x);
    let (digest, manifest) = match x.shared.settings.is_oci() {
        true => (digest, manifest),
        false => {
            let hides_artifacts = x.shared.settings.era.hides_artifacts();
            negotiate(&accept, hides_artifacts, repository, reference, digest, manifest)?
        }
    };
    let etag = format!("\"{digest}\"");
    if x.header(header::IF_NONE_MATCH) == Some(etag.as_str()) {
        return Ok(with(empty(StatusCode::NOT_MODIFIED), header::ETAG, &etag));
    }
    let mut answer = Answer::new(Body::from(manifest.bytes.clone()));
    let length = HeaderValue::from(manifest.bytes.len());
    answer.headers_mut().insert(header::CONTENT_LENGTH, length);
    set(&mut answer, header::CONTENT_TYPE, &manifest.media_type);
    set(&mut answer, DOCKER_CONTENT_DIGEST, digest);
    set(&mut answer, header::ETAG, &etag);
    Ok(answer)
}

/// `PUT /v2/{name}/manifests/{reference}`.
pub(crate) async fn put(x: &mut Exchange<'_>) -> Reply {
    let bytes = x.small_body(MAX_MANIFEST).await?;
    let is_oci = x.shared.settings.is_oci();
    let (name, reference) = (&x.route.repository, x.route.item.as_str());
    let media_type = x.header(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
    let (form, parsed) = manifest::parse(&media_type, &bytes, is_oci).map_err(|reason| {
        // The answer has the recorded words, which do not tell.
        x.tell(&reason);
        invalid()
    })?;
    let digest = digest_of(x, reference, &manifest::hashed(form, &bytes));
    if is_digest(reference) && reference != digest.as_str() {
        let message = "provided digest did not match uploaded content";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message).into());
    }
    let subject = parsed.subject.as_ref().map(|subject| subject.digest.clone());
    let push = Push { reference, tags: further_tags(x)? };
    let mut state = lock(&x.shared.state);
    if !is_oci {
        check_references(&state, name, &parsed)?;
    }
    let now = state.stamp(&x.shared.clock);
    let share = x.shared.manifests.take(bytes.len() + parsed.weight());
    let share = share.ok_or_else(|| full(&x.shared.manifests))?;
    // What is counted is what is kept: a piece of a larger buffer would keep all of that.
    let bytes = Bytes::copy_from_slice(&bytes);
    let document = Document { form, parsed, media_type, bytes, share };
    let manifest = record(&state, now, name, document);
    state.put_manifest(name, &digest, &push, manifest)?;
    drop(state);
    let location = format!("/v2/{name}/manifests/{digest}");
    let mut answer = with(empty(StatusCode::CREATED), header::LOCATION, &location);
    set(&mut answer, DOCKER_CONTENT_DIGEST, digest.as_str());
    if let Some(subject) = subject.filter(|_| x.shared.settings.serves_referrers()) {
        set(&mut answer, OCI_SUBJECT, &subject);
    }
    for tag in &push.tags {
        if let Ok(value) = HeaderValue::from_str(tag) {
            answer.headers_mut().append(OCI_TAG, value);
        }
    }
    Ok(answer)
}

/// `DELETE /v2/{name}/manifests/{digest}`; where the profile allows it, also of a tag.
pub(crate) fn delete(x: &Exchange<'_>) -> Reply {
    let digest = &x.route.item;
    if !is_digest(digest) && x.shared.settings.is_oci() {
        return tags::untag(x)?.ok_or_else(|| unknown(x).into());
    }
    if !is_digest(digest) {
        let message = "A manifest can only be deleted by digest.";
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(Refusal::new(status, "UNSUPPORTED", message).into());
    }
    let mut state = lock(&x.shared.state);
    let now = state.stamp(&x.shared.clock);
    if state.remove_manifest(&x.route.repository, digest, now)? {
        Ok(empty(StatusCode::ACCEPTED))
    } else {
        Err(unknown(x).into())
    }
}

/// The types a request accepts.
struct Accept(Vec<String>);

impl Accept {
    fn read(x: &Exchange<'_>) -> Self {
        let lines = x.head.headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
        let types = lines.flat_map(|line| line.split(','));
        Self(types.map(|t| t.split(';').next().unwrap_or_default().trim().to_owned()).collect())
    }

    /// Whether the type itself is listed.
    fn names(&self, media_type: &str) -> bool {
        self.0.iter().any(|own| own == media_type)
    }

    fn takes(&self, media_type: &str) -> bool {
        self.names(media_type) || self.names("*/*") || self.names("application/*")
    }
}

/// What is served instead of a manifest that is not accepted: of a Docker list asked for by tag
/// the linux/amd64 child, of an OCI type an error, of all others the manifest all the same.
fn negotiate<'a>(
    accept: &Accept,
    hides_artifacts: bool,
    repository: &'a Repository,
    reference: &str,
    digest: &'a str,
    stored: &'a ManifestRecord,
) -> Result<(&'a str, &'a ManifestRecord), Refusal> {
    let is_hidden = hides_artifacts && stored.media_type == manifest::OCI_ARTIFACT;
    if if is_hidden { accept.names(&stored.media_type) } else { accept.takes(&stored.media_type) } {
        return Ok((digest, stored));
    }
    let (kind, kinds) = match stored.media_type.as_str() {
        manifest::OCI_ARTIFACT if is_hidden => ("artifact", "artifacts"),
        manifest::OCI_INDEX => ("index", "indexes"),
        manifest::OCI_MANIFEST => ("manifest", "manifests"),
        manifest::DOCKER_LIST if !is_digest(reference) => {
            let mut children = stored.parsed.manifests.iter().flatten();
            let child = children.find(|child| {
                let Platform { architecture, os } = &child.platform;
                os.as_deref() == Some("linux") && architecture.as_deref() == Some("amd64")
            });
            let known = child.and_then(|child| repository.manifests.get_key_value(&child.digest));
            let message = "manifest unknown";
            return known
                .map(|(digest, manifest)| (digest.as_str(), manifest))
                .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message));
        }
        _ => return Ok((digest, stored)),
    };
    let message = format!("OCI {kind} found, but accept header does not support OCI {kinds}");
    Err(Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message))
}

/// One error for each blob or child that the repository lacks, which the specification allows and
/// the real registry does not. A subject may be missing.
fn check_references(state: &State, name: &str, parsed: &Parsed) -> Result<(), Refusal> {
    let blobs = parsed.required_blobs().filter(|blob| state.blob(name, &blob.digest).is_none());
    let repository = state.repositories.get(name);
    let children = parsed.manifests.iter().flatten().filter(|child| {
        repository.is_none_or(|known| !known.manifests.contains_key(&child.digest))
    });
    let (code, message) = ("MANIFEST_BLOB_UNKNOWN", "blob unknown to registry");
    let missing = blobs.chain(children).fold(None, |refusal: Option<Refusal>, missing| {
        let refusal = match refusal {
            None => Refusal::new(StatusCode::BAD_REQUEST, code, message),
            Some(refusal) => refusal.and(code, message),
        };
        Some(refusal.detail(&missing.digest))
    });
    missing.map_or(Ok(()), Err)
}

/// The digest of a manifest, by the algorithm that its reference names if that is taken.
fn digest_of(x: &Exchange<'_>, reference: &str, bytes: &[u8]) -> Digest {
    let named = reference.parse::<Digest>().ok().filter(|_| x.shared.settings.is_oci());
    let mut digester = named.map_or_else(Digester::default, |digest| digest.digester());
    digester.update(bytes);
    digester.finish()
}

/// The tags that the query names, which only the newest specification knows.
fn further_tags(x: &Exchange<'_>) -> Result<Vec<String>, Refusal> {
    if !x.shared.settings.is_oci() {
        return Ok(Vec::new());
    }
    let tags = x.query.all("tag").map(|tag| match tag.parse::<Tag>() {
        Ok(_) => Ok(tag.to_owned()),
        Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "TAG_INVALID", "tag invalid")),
    });
    tags.collect()
}

/// A manifest as it was pushed, and its place in memory.
pub(crate) struct Document {
    pub(crate) form: Form,
    pub(crate) parsed: Parsed,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// What the registry keeps and tells of a manifest.
pub(crate) fn record(state: &State, now: Stamp, name: &str, document: Document) -> ManifestRecord {
    let Document { form, parsed, media_type, bytes, share } = document;
    let image_size = match form {
        Form::Image => parsed.image_size(),
        Form::Artifact | Form::Schema1 => 0,
        Form::Index => {
            let known = state.repositories.get(name);
            let children = parsed.manifests.iter().flatten();
            let sizes = children.filter_map(|c| Some(known?.manifests.get(&c.digest)?.image_size));
            sizes.fold(0, u64::saturating_add)
        }
    };
    let platform = match &parsed.config {
        Some(config) if manifest::is_image_config(&config.media_type) => state
            .blob(name, &config.digest)
            .and_then(|content| serde_json::from_slice(&content.small()?).ok())
            .unwrap_or_default(),
        _ => Platform::default(),
    };
    ManifestRecord {
        bytes,
        media_type,
        form,
        parsed: parsed.kept(),
        platform,
        image_size,
        created: now,
        updated: now,
        attributes: Attributes::default(),
        _share: Arc::new(share),
    }
}

/// The memory for manifests is used up; no registry's words, but the reason and what to do.
fn full(budget: &Budget) -> Refusal {
    let limit = budget.limit() >> 20;
    let message = format!(
        "the emulator keeps {limit} MiB of manifests and has no room for this one; delete some, or raise --manifest-memory"
    );
    Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "UNKNOWN", message)
}

/// The 404, in the words of how the manifest was asked for.
fn unknown(x: &Exchange<'_>) -> Refusal {
    let reference = x.route.item.as_str();
    if !is_digest(reference) {
        let message = format!("manifest tagged by \"{reference}\" is not found");
        return Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message)
            .detail(&ByTag { tag: reference });
    }
    let message = format!("manifest {reference} is not found");
    let refusal = Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", message);
    if x.route.operation == Operation::DeleteManifest {
        return refusal;
    }
    refusal.detail(&ByDigest { name: &x.route.repository, revision: reference })
}

fn invalid() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "manifest invalid")
        .detail(&Reason { reason: Map::new() })
}

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");
