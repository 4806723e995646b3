//! Documents of the wild: each is read, or what is wrong with it is named, and its bytes
//! come back as they are. `ACR_CORPUS` names their folder, else it lies beside the clone.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use acr_core::{
    Digest, ErrorKind, Pipeline, Transport,
    http::{Body, Request},
};
use acr_registry::{Document, ImageIndex, Manifest, MediaType, Platform, RegistryClient};

use crate::support::tag;

/// What becomes of the documents that no view exists of.
const NAMED: [(&str, &str); 11] = [
    ("ci_image_oci1-to-schema1.json", "schema 1"),
    ("ci_image_schema1.json", "schema 1"),
    ("ci_image_schema2-to-schema1-by-docker.json", "schema 1"),
    ("ci_manifest_v2s1-invalid-signatures.manifest.json", "schema 1"),
    ("ci_manifest_v2s1-unsigned.manifest.json", "schema 1"),
    ("ci_manifest_v2s1.everything.json", "schema 1"),
    ("ci_manifest_v2s1.manifest.json", "schema 1"),
    ("ci_manifest_unknown-version.manifest.json", "`application/json`"),
    ("ci_manifest_non-json.manifest.json", "is not JSON (line 1, column 1)"),
    ("ci_manifest_schema2-to-schema1-by-docker.json", "is not JSON (line 1, column 1)"),
    ("real_wasm_cncf_spec_jsonc.json", "has a comment (line 5, column 9)"),
];

/// What containerd chooses from the lists, by the first digit of the digest.
const CHOSEN: [(&str, &str, &str, Option<char>); 18] = [
    ("sel_alma10.json", "amd64", "", Some('3')),
    ("sel_alma10.json", "amd64", "v2", Some('2')),
    ("sel_alma10.json", "amd64", "v3", Some('2')),
    ("sel_alma10.json", "arm64", "", Some('1')),
    ("sel_alma10.json", "arm", "v7", None),
    ("sel_arm6only.json", "arm", "", Some('1')),
    ("sel_arm6only.json", "arm", "v7", Some('1')),
    ("sel_arm6only.json", "arm", "v5", None),
    ("sel_arm6only.json", "arm64", "", Some('1')),
    ("sel_arm6only.json", "amd64", "", None),
    ("sel_debian_arm.json", "arm", "", Some('3')),
    ("sel_debian_arm.json", "arm", "v6", Some('2')),
    ("sel_debian_arm.json", "arm64", "", Some('3')),
    ("sel_debian_arm.json", "amd64", "v4", Some('1')),
    ("sel_v3first.json", "amd64", "", Some('2')),
    ("sel_v3first.json", "amd64", "v2", Some('2')),
    ("sel_v3first.json", "amd64", "v3", Some('1')),
    ("sel_v3first.json", "386", "", None),
];

#[tokio::test]
async fn f4_each_document_of_the_wild_is_read_or_what_is_wrong_is_named() {
    let Some(folder) = folder() else { return };
    let named: BTreeMap<_, _> = NAMED.into_iter().collect();
    let mut seen = 0;
    for (name, content) in documents(&folder) {
        seen += 1;
        let manifest = got(&content, "application/json").await;
        assert_eq!(manifest.content, content, "{name}");
        match (manifest.document(), named.get(name.as_str())) {
            (Err(error), Some(words)) => {
                assert_eq!(error.kind(), ErrorKind::Protocol);
                assert!(error.to_string().contains(words), "{name}: {error}");
            }
            (Ok(document), None) => whole(&name, &document),
            (outcome, expected) => panic!("{name}: {outcome:?}, expected {expected:?}"),
        }
    }
    assert!(seen >= 66, "only {seen} documents");
}

#[tokio::test]
async fn a10_signed_documents_of_the_wild_have_the_digest_of_what_is_signed() {
    let Some(folder) = folder() else { return };
    // As skopeo computes them.
    for (name, hex) in [
        (
            "ci_manifest_v2s1.manifest.json",
            "7364fea9d84ee548ab67d4c46c6006289800c98de3fbf8c0a97138dfcc23f000",
        ),
        (
            "ci_image_schema1.json",
            "5a26403ca5f91c7f04300e397efc83960afbfe2d2b34314383a53e267a604455",
        ),
    ] {
        let content = fs::read(folder.join(name)).unwrap();
        let manifest = got(&content, MediaType::DOCKER_SCHEMA1_SIGNED.as_str()).await;
        assert_eq!(manifest.digest.hex(), hex, "{name}");
    }
    // Of the others only that the rule applies, and to none that is not signed.
    for (name, content) in documents(&folder) {
        let is_signed = content.windows(12).any(|part| part == b"\"signatures\"")
            && !name.contains("invalid-signatures")
            // Indented anew: what was signed cannot be told from it any more.
            && !name.contains("to-schema1-by-docker");
        let digest = got(&content, "application/json").await.digest;
        assert_eq!(digest != Digest::sha256(&content), is_signed, "{name}");
    }
}

#[test]
fn f3_the_lists_of_the_wild_give_containerds_choice() {
    let Some(folder) = folder() else { return };
    for (name, architecture, variant, chosen) in CHOSEN {
        let content = fs::read(folder.join(name)).unwrap();
        let index: ImageIndex = serde_json::from_slice(&content).unwrap();
        let mut wanted = Platform::new("linux", architecture);
        if !variant.is_empty() {
            wanted = wanted.variant(variant);
        }
        let found = index.select(&wanted).map(|found| found.digest().unwrap());
        let found = found.and_then(|digest| digest.hex().chars().next());
        assert_eq!(found, chosen, "{name}: {wanted}");
    }
}

/// What is read has nothing odd but what is known to be so.
fn whole(name: &str, document: &Document) {
    let (odd, missing) = match document {
        Document::Image(view) => (view.odd(), view.missing()),
        Document::Index(view) => (view.odd(), view.missing()),
        Document::Artifact(view) => (view.odd(), view.missing()),
        other => panic!("{other:?}"),
    };
    let is_unmeasured = name.starts_with("ci_image_schema1-to-");
    let expected: &[&str] = if is_unmeasured { &["config.size"] } else { &[] };
    assert_eq!(odd, expected, "{name}");
    let expected: &[&str] = match name {
        _ if is_unmeasured => &["config.size"],
        "real_car_homebrew_index_no_schema_version.json" => &["schemaVersion", "manifests.0.size"],
        _ => &[],
    };
    assert_eq!(missing, expected, "{name}");
    if name == "real_harbor_nydus_trailing_space_digest.json" {
        let Document::Image(view) = document else { panic!("{name}") };
        let error = view.layers[0].digest().unwrap_err();
        assert!(error.to_string().contains("8287acf74 `"), "{error}");
    }
}

async fn got(content: &[u8], kept_as: &str) -> Manifest {
    let (content, kept_as) = (content.to_vec(), kept_as.to_owned());
    let transport = Transport::new(tower::service_fn(move |_: Request| {
        let answer = http::Response::builder().header("content-type", &kept_as);
        let answer = answer.body(Body::from(content.clone())).unwrap();
        async move { Ok::<_, std::io::Error>(answer) }
    }));
    let pipeline = Pipeline::builder("reg.azurecr.io".parse().unwrap()).transport(transport);
    let all = RegistryClient::new(pipeline.build().unwrap());
    all.repository("a").unwrap().get_manifest(tag("v1")).await.unwrap()
}

fn documents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(&path).unwrap())
    });
    read.collect()
}

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/manifests");
    let folder = env::var_os("ACR_CORPUS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none(), "no corpus; ACR_CORPUS names its folder");
    println!("no corpus here; ACR_CORPUS names its folder");
    None
}
