//! OCI image layouts as the first content of a registry.

use std::{fs, path::PathBuf};

use acr_core::Digest;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Emulator, OCI_MANIFEST, image, refused};

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

struct Layout(TempDir);

impl Layout {
    /// An index of an index of two images, one of them also tagged alone.
    fn write() -> (Self, Digest, Digest) {
        let layout = Self(TempDir::new().unwrap());
        fs::create_dir_all(layout.path("blobs/sha256")).unwrap();
        fs::write(layout.path("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let config = r#"{"architecture":"arm64","os":"linux"}"#;
        let config_digest = layout.add(config);
        let images: Vec<_> = ["one", "two"]
            .iter()
            .map(|content| {
                let layer = layout.add(content);
                let manifest = image(&config_digest, config.len(), &layer, content.len());
                (layout.add(&manifest), manifest.len())
            })
            .collect();
        let items: Vec<_> = images.iter().map(|(digest, len)| {
            json!({"mediaType": OCI_MANIFEST, "digest": digest.as_str(), "size": len})
        }).collect();
        let inner = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": items});
        let inner = inner.to_string();
        let inner_digest = layout.add(&inner);
        let named = |name: &str| json!({"org.opencontainers.image.ref.name": name});
        layout.index(&json!([
            {"mediaType": OCI_INDEX, "digest": inner_digest.as_str(), "size": inner.len(),
             "annotations": named("docker.io/library/app:multi")},
            {"mediaType": OCI_MANIFEST, "digest": images[0].0.as_str(), "size": images[0].1,
             "annotations": named("one")},
        ]));
        (layout, inner_digest, images[0].0.clone())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn add(&self, content: &str) -> Digest {
        let digest = Digest::sha256(content.as_bytes());
        fs::write(self.path("blobs/sha256").join(digest.hex()), content).unwrap();
        digest
    }

    fn index(&self, manifests: &serde_json::Value) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.path("index.json"), index.to_string()).unwrap();
    }

    fn argument(&self, repository: &str) -> String {
        format!("{}:{repository}", self.0.path().display())
    }
}

#[tokio::test]
async fn a_layout_with_nested_indexes_is_served() {
    let (layout, index, one) = Layout::write();
    let (first, second) = (layout.argument("library/app"), layout.argument("copy"));
    let emulator = Emulator::start(&["--seed", &first, "--seed", &second]).await;
    for name in ["library/app", "copy"] {
        let got = emulator.ask(&format!("GET /v2/{name}/tags/list"), "").await.json();
        assert_eq!(got["tags"], json!(["multi", "one"]));
        let path = format!("GET /acr/v1/{name}/_tags/one");
        assert_eq!(emulator.ask(&path, "").await.json()["tag"]["digest"], one.as_str());
    }
    let accept = format!("Accept: {OCI_INDEX}\r\n");
    let got = emulator.ask_with("GET /v2/copy/manifests/multi", &accept, "").await;
    assert_eq!(Digest::sha256(&got.body), index);
    let got = emulator.ask(&format!("GET /acr/v1/copy/_manifests/{one}"), "").await.json();
    assert_eq!(got["manifest"]["architecture"], "arm64");
    let got = emulator.ask(&format!("GET /v2/copy/blobs/{}", Digest::sha256(b"two")), "").await;
    assert_eq!(got.body, b"two");
}

#[tokio::test]
async fn a_seeded_data_folder_can_be_seeded_again() {
    let (layout, _, _) = Layout::write();
    let data = TempDir::new().unwrap();
    let seed = layout.argument("a");
    let arguments = ["--seed", &seed, "--data", data.path().to_str().unwrap()];
    for _ in 0..2 {
        let emulator = Emulator::start(&arguments).await;
        let got = emulator.ask("GET /acr/v1/a", "").await.json();
        assert_eq!((&got["manifestCount"], &got["tagCount"]), (&json!(3), &json!(2)));
        emulator.kill().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_layout_is_told() {
    let wrong = |change: &dyn Fn(&Layout)| {
        let (layout, _, _) = Layout::write();
        change(&layout);
        layout
    };
    let blob = |content: &str| format!("blobs/sha256/{}", Digest::sha256(content.as_bytes()).hex());
    for (layout, part) in [
        (wrong(&|layout| fs::remove_file(layout.path("oci-layout")).unwrap()), "oci-layout"),
        (wrong(&|layout| fs::write(layout.path("index.json"), "{").unwrap()), "index.json"),
        (
            wrong(&|layout| fs::write(layout.path(&blob("two")), "tow").unwrap()),
            "does not match the digest",
        ),
        (wrong(&|layout| fs::remove_file(layout.path(&blob("two"))).unwrap()), "No such file"),
        (
            wrong(&|layout| {
                let digest = layout.add("{}");
                layout.index(&json!([{"mediaType": OCI_MANIFEST, "digest": digest.as_str()}]));
            }),
            "image.manifest.v1+json",
        ),
        (
            wrong(&|layout| {
                let digest = "sha256:../../../../etc/passwd";
                layout.index(&json!([{"mediaType": OCI_MANIFEST, "digest": digest}]));
            }),
            "not a sha256",
        ),
    ] {
        let error = refused(&["--seed", &layout.argument("a")]).await;
        assert!(error.contains(part), "{part}: {error}");
    }
}
