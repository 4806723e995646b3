//! Manifests as tools write them.

use acr_core::Digest;
use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::content::content;

/// A manifest, byte for byte, and the blobs it names.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManifestDocument {
    /// The document as it is put.
    pub bytes: Bytes,
    /// Its media type, for `Content-Type`.
    pub media_type: &'static str,
    /// The contents of the config and the layers, in the order of the document. They have
    /// to be in the repository before the manifest.
    pub blobs: Vec<Bytes>,
}

impl ManifestDocument {
    /// The digest of the document.
    pub fn digest(&self) -> Digest {
        Digest::sha256(&self.bytes)
    }
}

/// An image manifest with up to four layers of up to 256 bytes.
pub fn image_manifest() -> impl Strategy<Value = ManifestDocument> {
    (content(64), vec(content(256), 0..=4), annotations(), any::<bool>()).prop_map(
        |(config, layers, annotations, is_docker)| {
            let kinds = if is_docker { DOCKER } else { OCI };
            let mut document = json!({
                "schemaVersion": 2,
                "mediaType": kinds.manifest,
                "config": descriptor(kinds.config, &config),
                "layers": layers.iter().map(|layer| descriptor(kinds.layer, layer)).collect::<Vec<_>>(),
            });
            if !is_docker && !annotations.is_empty() {
                set(&mut document, "annotations", json!(annotations));
            }
            let blobs = std::iter::once(config).chain(layers).collect();
            finish(&document, kinds.manifest, blobs)
        },
    )
}

/// An artifact that refers to a subject, which need not exist.
pub fn artifact_manifest() -> impl Strategy<Value = ManifestDocument> {
    (content(256), content(64), annotations(), "[a-z]{1,8}\\.[a-z]{1,8}").prop_map(
        |(blob, subject, annotations, kind)| {
            let empty = Bytes::from_static(b"{}");
            let document = json!({
                "schemaVersion": 2,
                "mediaType": OCI.manifest,
                "artifactType": format!("application/vnd.{kind}"),
                "config": descriptor("application/vnd.oci.empty.v1+json", &empty),
                "layers": [descriptor("application/octet-stream", &blob)],
                "subject": descriptor(OCI.manifest, &subject),
                "annotations": annotations,
            });
            finish(&document, OCI.manifest, vec![empty, blob])
        },
    )
}

/// An index of up to three image manifests, which come first, each for a platform of its own.
pub fn image_index() -> impl Strategy<Value = (Vec<ManifestDocument>, ManifestDocument)> {
    vec(image_manifest(), 0..=3).prop_map(|images| {
        let platforms = [("linux", "amd64"), ("linux", "arm64"), ("windows", "amd64")];
        let manifests: Vec<Value> = images
            .iter()
            .zip(platforms)
            .map(|(image, (os, architecture))| {
                let mut entry = descriptor(image.media_type, &image.bytes);
                let platform = json!({ "os": os, "architecture": architecture });
                set(&mut entry, "platform", platform);
                entry
            })
            .collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let document =
            json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        (images, finish(&document, media_type, Vec::new()))
    })
}

struct Kinds {
    manifest: &'static str,
    config: &'static str,
    layer: &'static str,
}

const OCI: Kinds = Kinds {
    manifest: "application/vnd.oci.image.manifest.v1+json",
    config: "application/vnd.oci.image.config.v1+json",
    layer: "application/vnd.oci.image.layer.v1.tar",
};

const DOCKER: Kinds = Kinds {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

fn annotations() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-z]{1,6}(\\.[a-z]{1,6}){0,2}", "\\PC{0,12}", 0..=3)
}

fn descriptor(media_type: &str, content: &Bytes) -> Value {
    let digest = Digest::sha256(content);
    json!({ "mediaType": media_type, "digest": digest.as_str(), "size": content.len() })
}

fn set(document: &mut Value, key: &str, value: Value) {
    if let Some(fields) = document.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
}

fn finish(document: &Value, media_type: &'static str, blobs: Vec<Bytes>) -> ManifestDocument {
    ManifestDocument { bytes: document.to_string().into(), media_type, blobs }
}
