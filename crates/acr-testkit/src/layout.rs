//! Reads OCI image layouts: folders with `index.json` and `blobs/sha256/`.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use acr_core::{Digest, RepositoryName, Tag};
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    content::{Content, Spool},
    manifest::{self, Descriptor, MAX_MANIFEST, Parsed},
    routes::{Document, manifest_record},
    shared::Shared,
    state::Push,
    sync::lock,
};

/// What [`FakeRegistry::seed_layout`](crate::FakeRegistry::seed_layout) added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seeded {
    /// The digests of the manifests, children before their index.
    pub manifests: Vec<Digest>,
    /// The tags.
    pub tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct LayoutFile {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// One layout on its way into one repository.
struct Loader<'a> {
    shared: &'a Arc<Shared>,
    folder: &'a Path,
    repository: &'a str,
    seen: BTreeSet<Digest>,
    seeded: Seeded,
}

/// Adds a layout to a repository.
pub(crate) fn load(
    shared: &Arc<Shared>,
    folder: &Path,
    repository: &RepositoryName,
) -> io::Result<Seeded> {
    let path = folder.join("oci-layout");
    let layout: LayoutFile = read_json(&path, &read(&path, MAX_MANIFEST)?)?;
    if !layout.version.starts_with("1.") {
        return Err(malformed(&path, &format!("version `{}` is unknown", layout.version)));
    }
    let path = folder.join("index.json");
    let index: Parsed = read_json(&path, &read(&path, MAX_MANIFEST)?)?;
    let repository = repository.as_str();
    let (seen, seeded) = (BTreeSet::new(), Seeded::default());
    let mut loader = Loader { shared, folder, repository, seen, seeded };
    for descriptor in index.manifests.iter().flatten() {
        let tag = descriptor.annotations.as_ref().and_then(|all| all.get(REF_NAME));
        let tag = tag.map(|text| tag_of(&path, text)).transpose()?;
        loader.manifest(descriptor, tag, 0)?;
    }
    if let Some(ledger) = &shared.ledger {
        ledger.flush_blocking()?;
    }
    Ok(loader.seeded)
}

impl Loader<'_> {
    /// Adds a manifest after what it refers to.
    fn manifest(&mut self, descriptor: &Descriptor, tag: Option<Tag>, depth: u8) -> io::Result<()> {
        let (path, digest) = self.path(descriptor)?;
        if depth > MAX_DEPTH {
            return Err(malformed(&path, "indexes are nested too deeply"));
        }
        if !self.seen.insert(digest.clone()) && tag.is_none() {
            return Ok(());
        }
        let bytes = read(&path, MAX_MANIFEST)?;
        if Digest::sha256(&bytes) != digest {
            return Err(malformed(&path, "the content does not match the digest"));
        }
        let (form, parsed) = manifest::parse(&descriptor.media_type, &bytes, false)
            .map_err(|why| malformed(&path, &format!("no `{}`: {why}", descriptor.media_type)))?;
        for blob in parsed.required_blobs() {
            self.blob(blob)?;
        }
        for child in parsed.manifests.iter().flatten() {
            self.manifest(child, None, depth.saturating_add(1))?;
        }
        let media_type = descriptor.media_type.clone();
        let share = self.shared.manifests.owe(bytes.len() + parsed.weight());
        let document = Document { form, parsed, media_type, bytes, share };
        self.put(&digest, document, tag.as_ref())?;
        if !self.seeded.manifests.contains(&digest) {
            self.seeded.manifests.push(digest);
        }
        self.seeded.tags.extend(tag);
        Ok(())
    }

    fn put(&self, digest: &Digest, document: Document, tag: Option<&Tag>) -> io::Result<()> {
        let mut state = lock(&self.shared.state);
        let reference = tag.map_or(digest.as_str(), Tag::as_str);
        let name = self.repository;
        let known = state.repositories.get(name).and_then(|known| known.resolve(reference));
        if known == Some(digest.as_str()) {
            // From an earlier start: seeding the same again is no change, whatever is locked.
            return Ok(());
        }
        let now = state.stamp(&self.shared.clock);
        let record = manifest_record(&state, now, name, document);
        let put = state.put_manifest(name, digest, &Push::to(reference), record);
        put.map_err(|_| locked(name, reference))
    }

    fn blob(&self, descriptor: &Descriptor) -> io::Result<()> {
        let (path, digest) = self.path(descriptor)?;
        if lock(&self.shared.state).blob(self.repository, digest.as_str()).is_some() {
            return Ok(());
        }
        let content = self.copy(&path, &digest)?;
        let added = lock(&self.shared.state).add_blob(self.repository, &digest, content);
        added.map_err(|_| locked(self.repository, digest.as_str()))
    }

    fn copy(&self, path: &Path, digest: &Digest) -> io::Result<Content> {
        let mut file = File::open(path).map_err(|error| named(path, &error))?;
        let mut spool = Spool::new(Arc::clone(&self.shared.store), self.shared.upload_id());
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).map_err(|error| named(path, &error))?;
            if read == 0 {
                break;
            }
            spool.append(piece.get(..read).unwrap_or_default())?;
        }
        if spool.digest() != *digest {
            return Err(malformed(path, "the content does not match the digest"));
        }
        spool.sync()?;
        spool.finish()
    }

    fn path(&self, descriptor: &Descriptor) -> io::Result<(PathBuf, Digest)> {
        let digest = descriptor.digest.parse::<Digest>();
        let digest = digest.map_err(|error| malformed(self.folder, &error.to_string()))?;
        let (algorithm, hex) = digest.as_str().split_once(':').unwrap_or_default();
        Ok((self.folder.join("blobs").join(algorithm).join(hex), digest))
    }
}

/// The tag of a reference name, which may be a whole image name.
fn tag_of(path: &Path, text: &str) -> io::Result<Tag> {
    let tag = text.rsplit_once(':').map_or(text, |(_, tag)| tag);
    tag.parse().map_err(|_| malformed(path, &format!("`{}` names no tag", text.escape_debug())))
}

fn read(path: &Path, limit: usize) -> io::Result<Bytes> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| named(path, &error))?;
    if bytes.len() > limit {
        return Err(malformed(path, "it is too large"));
    }
    Ok(bytes.into())
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> io::Result<T> {
    serde_json::from_slice(bytes).map_err(|error| malformed(path, &error.to_string()))
}

fn malformed(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {why}", path.display()))
}

fn locked(repository: &str, item: &str) -> io::Error {
    let text = format!(
        "`{item}` cannot be put into `{repository}`, where a lock or soft delete forbids it"
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Indexes in indexes; real ones have one level.
const MAX_DEPTH: u8 = 8;

/// How much of a file is read at once.
const PIECE: usize = 256 * 1024;
