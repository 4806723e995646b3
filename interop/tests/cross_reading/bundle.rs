//! Everything that hangs together below one manifest, wherever it lies.

use std::{collections::BTreeMap, fs, path::Path};

use acr_blob::BlobClient;
use acr_core::{Digest, Pipeline, Reference, RepositoryName, Tag};
use acr_interop::ImageLayout;
use acr_registry::{
    Descriptor, DescriptorView, Document, ImageIndex, ImageManifest, Platform, RepositoryClient,
};
use bytes::Bytes;

use crate::support::{Result, same};

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The annotation by which a layout names what it has.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A manifest, what it names, what that names, and so on: every byte of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bundle {
    root: Digest,
    manifests: BTreeMap<String, Bytes>,
    blobs: BTreeMap<String, Bytes>,
}

impl Bundle {
    /// A real image for two platforms: built twice, with an index over both.
    pub(crate) async fn multi_platform() -> Result<Self> {
        let mut index = ImageIndex::new();
        let (mut manifests, mut blobs) = (BTreeMap::new(), BTreeMap::new());
        for architecture in ["amd64", "arm64"] {
            let layout = ImageLayout::build_for(architecture).await?;
            let content = layout.manifest()?;
            let child = Descriptor::of(layout.media_type(), &content);
            index = index.manifest(child.platform(Platform::new("linux", architecture)));
            for blob in layout.blobs() {
                blobs.insert(blob.digest.clone(), Bytes::from(fs::read(&blob.path)?));
            }
            manifests.insert(layout.digest().to_owned(), content);
        }
        let content = index.to_json()?;
        let root = Digest::sha256(&content);
        manifests.insert(root.to_string(), content);
        Ok(Self { root, manifests, blobs })
    }

    /// An artifact that refers to the root of another bundle.
    pub(crate) fn note_on(subject: &Self, text: &str) -> Result<Self> {
        let blob = Bytes::from(text.to_owned());
        let empty = Bytes::from_static(b"{}");
        let index = subject.manifests.get(subject.root.as_str()).ok_or("it has no root")?;
        let content = ImageManifest::artifact("application/vnd.example.note")
            .layer(Descriptor::of("text/plain", &blob))
            .subject(Descriptor::of(OCI_INDEX, index))
            .to_json()?;
        let root = Digest::sha256(&content);
        let blobs = [blob, empty].map(|blob| (Digest::sha256(&blob).to_string(), blob));
        let manifests = BTreeMap::from([(root.to_string(), content)]);
        Ok(Self { root, manifests, blobs: BTreeMap::from(blobs) })
    }

    /// The digest of the outermost manifest.
    pub(crate) fn root(&self) -> &Digest {
        &self.root
    }

    /// Pushes it with our clients; what is named goes before what names it.
    pub(crate) async fn push(&self, to: &Pipeline, repository: &str, tag: &str) -> Result {
        let name: RepositoryName = repository.parse()?;
        let blobs = BlobClient::new(to.clone(), name.clone());
        for (digest, content) in &self.blobs {
            let info = blobs.upload(content.clone()).digest(digest).await?;
            same(&info.digest.to_string(), digest, "digest of a blob")?;
        }
        let manifests = RepositoryClient::new(to.clone(), name);
        for (digest, content) in &self.manifests {
            if *digest != self.root.as_str() {
                let stored = manifests.put_manifest(content.clone()).await?;
                same(&stored.to_string(), digest, "digest of a manifest")?;
            }
        }
        let content = self.manifests.get(self.root.as_str()).ok_or("it has no root")?;
        let stored = manifests.put_manifest(content.clone()).tag(&tag.parse::<Tag>()?).await?;
        same(&stored, &self.root, "digest of the root")
    }

    /// Pulls whatever a tag or digest leads to with our clients.
    pub(crate) async fn pull(from: &Pipeline, repository: &str, what: Reference) -> Result<Self> {
        let name: RepositoryName = repository.parse()?;
        let blobs = BlobClient::new(from.clone(), name.clone());
        let manifests = RepositoryClient::new(from.clone(), name);
        let root = manifests.resolve(what).await?;
        let mut found =
            Self { root: root.clone(), manifests: BTreeMap::new(), blobs: BTreeMap::new() };
        let mut waiting = vec![root];
        while let Some(digest) = waiting.pop() {
            let manifest = manifests.get_manifest(&digest).await?;
            for part in parts(manifest.document()?)? {
                match part {
                    Part::Manifest(digest) => waiting.push(digest),
                    Part::Blob(digest, size) => {
                        let content = blobs.download(&digest).await?.bytes(size).await?;
                        found.blobs.insert(digest.to_string(), content);
                    }
                }
            }
            found.manifests.insert(digest.to_string(), manifest.content);
        }
        Ok(found)
    }

    /// Reads the only image of a layout that somebody else wrote.
    pub(crate) fn read(layout: &Path) -> Result<Self> {
        let index: ImageIndex = serde_json::from_slice(&fs::read(layout.join("index.json"))?)?;
        // Some list the parts of an index beside it; only what was asked for has a name then.
        let named = |entry: &&DescriptorView| entry.annotations.contains_key(REF_NAME);
        let root = match index.manifests.as_slice() {
            [only] => only,
            several => several.iter().find(named).ok_or("the layout has several images")?,
        };
        let root = root.digest()?;
        let mut found =
            Self { root: root.clone(), manifests: BTreeMap::new(), blobs: BTreeMap::new() };
        let mut waiting = vec![root];
        while let Some(digest) = waiting.pop() {
            let content = verified(layout, &digest)?;
            let kind: Kind = serde_json::from_slice(&content)?;
            let document = match kind.manifests {
                Some(_) => Document::Index(Box::new(serde_json::from_slice(&content)?)),
                None => Document::Image(Box::new(serde_json::from_slice(&content)?)),
            };
            for part in parts(document)? {
                match part {
                    Part::Manifest(digest) => waiting.push(digest),
                    Part::Blob(digest, _) => {
                        found.blobs.insert(digest.to_string(), verified(layout, &digest)?);
                    }
                }
            }
            found.manifests.insert(digest.to_string(), content);
        }
        Ok(found)
    }

    /// Writes it as a layout for somebody else to read.
    pub(crate) fn write(&self, layout: &Path, tag: &str) -> Result {
        let folder = layout.join("blobs").join("sha256");
        fs::create_dir_all(&folder)?;
        for (digest, content) in self.manifests.iter().chain(&self.blobs) {
            fs::write(folder.join(digest.parse::<Digest>()?.hex()), content)?;
        }
        let content = self.manifests.get(self.root.as_str()).ok_or("it has no root")?;
        let kind: Kind = serde_json::from_slice(content)?;
        let media_type = if kind.manifests.is_some() { OCI_INDEX } else { OCI_MANIFEST };
        let entry = Descriptor::of(media_type, content).annotation(REF_NAME, tag);
        fs::write(layout.join("index.json"), ImageIndex::new().manifest(entry).to_json()?)?;
        Ok(fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?)
    }
}

/// Enough of a document to tell an index from an image.
#[derive(serde::Deserialize)]
struct Kind {
    manifests: Option<serde::de::IgnoredAny>,
}

enum Part {
    Manifest(Digest),
    Blob(Digest, usize),
}

fn parts(document: Document) -> Result<Vec<Part>> {
    match document {
        Document::Index(index) => {
            index.manifests.iter().map(|entry| Ok(Part::Manifest(entry.digest()?))).collect()
        }
        Document::Image(image) => {
            let blobs = image.config.iter().chain(&image.layers);
            let size = |blob: &DescriptorView| usize::try_from(blob.size.unwrap_or_default());
            blobs.map(|blob| Ok(Part::Blob(blob.digest()?, size(blob)?))).collect()
        }
        _ => Err("neither image nor index".into()),
    }
}

fn verified(layout: &Path, digest: &Digest) -> Result<Bytes> {
    let content = fs::read(layout.join("blobs").join("sha256").join(digest.hex()))?;
    same(&Digest::sha256(&content), digest, "digest of a file")?;
    Ok(Bytes::from(content))
}
