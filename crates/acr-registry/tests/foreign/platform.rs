//! The manifest of one platform, through indexes within indexes.

use acr_core::{Digest, ErrorKind};
use acr_registry::{Descriptor, ImageIndex, ImageManifest, MediaType, Platform, RepositoryClient};
use acr_testkit::{FakeRegistry, Operation, Profile};

use crate::support::client;

fn linux(architecture: &str) -> Platform {
    Platform::new("linux", architecture)
}

async fn put_image(repo: &RepositoryClient, name: &str) -> Descriptor {
    let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
    let content = ImageManifest::new(config).annotation("name", name).to_json().unwrap();
    repo.put_manifest(content.clone()).await.unwrap();
    Descriptor::of(MediaType::OCI_MANIFEST, &content)
}

async fn put_index(repo: &RepositoryClient, index: ImageIndex) -> Descriptor {
    let content = index.to_json().unwrap();
    repo.put_manifest(content.clone()).await.unwrap();
    Descriptor::of(MediaType::OCI_INDEX, &content)
}

fn oci() -> FakeRegistry {
    FakeRegistry::builder().profile(Profile::Oci).build()
}

#[tokio::test(start_paused = true)]
async fn f3_indexes_within_are_followed_until_something_runs() {
    let registry = oci();
    let repo = client(&registry);
    let (amd64, arm64) = (put_image(&repo, "amd64").await, put_image(&repo, "arm64").await);
    let empty = put_index(&repo, ImageIndex::new()).await;
    let for_arm = ImageIndex::new().manifest(arm64.clone().platform(linux("arm64")));
    let inner = put_index(&repo, for_arm.manifest(empty.clone())).await;
    let outer = ImageIndex::new()
        .manifest(empty)
        .manifest(inner)
        .manifest(amd64.clone().platform(linux("amd64")));
    let outer = put_index(&repo, outer).await.digest;
    for (wanted, found) in [(linux("amd64"), &amd64), (linux("arm64"), &arm64)] {
        let manifest = repo.get_manifest(&outer).platform(wanted).await.unwrap();
        assert_eq!(manifest.digest, found.digest);
    }
    let error = repo.get_manifest(&outer).platform(linux("s390x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let text = error.to_string();
    assert!(text.contains("`linux/s390x`"), "{text}");
    // As every error does, with what was asked for.
    assert!(text.starts_with("get_manifest `") && text.contains(outer.as_str()), "{text}");
    // What is no index is given as it is.
    let arm64 = arm64.digest;
    let manifest = repo.get_manifest(&arm64).platform(linux("amd64")).await.unwrap();
    assert_eq!(manifest.digest, arm64);
}

#[tokio::test(start_paused = true)]
async fn f3_depth_and_number_of_indexes_are_bounded() {
    let registry = oci();
    let repo = client(&registry);
    let mut deep = put_image(&repo, "deep").await;
    for _ in 0..20 {
        deep = put_index(&repo, ImageIndex::new().manifest(deep)).await;
    }
    registry.journal().clear();
    let digest = deep.digest.clone();
    let error = repo.get_manifest(&digest).platform(linux("amd64")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(registry.journal().count_of(Operation::GetManifest), 9);

    // The image is behind so many indexes that are empty.
    let image = put_image(&repo, "wide").await;
    for (empty, end) in [(30, Ok(image.digest.clone())), (31, Err(ErrorKind::TooLarge))] {
        let mut wide = ImageIndex::new();
        for n in 0..empty {
            let index = ImageIndex::new().annotation("n", n.to_string());
            wide = wide.manifest(put_index(&repo, index).await);
        }
        let wide = put_index(&repo, wide.manifest(image.clone())).await.digest;
        registry.journal().clear();
        let got = repo.get_manifest(&wide).platform(linux("amd64")).await;
        assert_eq!(got.map(|got| got.digest).map_err(|error| error.kind()), end, "{empty}");
        assert_eq!(registry.journal().count_of(Operation::GetManifest), 32);
    }
}

#[test]
fn f3_the_best_that_runs_is_chosen_and_one_without_a_platform_is_the_last_resort() {
    let entry = |n: usize| Descriptor::of(MediaType::OCI_MANIFEST, n.to_string().as_bytes());
    let index = |platforms: &[Option<Platform>]| {
        platforms.iter().enumerate().fold(ImageIndex::new(), |index, (n, platform)| {
            let entry = entry(n);
            index.manifest(match platform {
                Some(platform) => entry.platform(platform.clone()),
                None => entry,
            })
        })
    };
    let unknown = Some(Platform::new("unknown", "unknown"));
    for (offered, wanted, chosen) in [
        (vec![Some(linux("amd64").variant("v3")), Some(linux("amd64"))], linux("amd64"), Some(1)),
        (vec![Some(linux("arm").variant("v6"))], linux("arm").variant("v7"), Some(0)),
        (vec![None], linux("arm64"), Some(0)),
        (vec![None, Some(linux("arm64"))], linux("arm64"), Some(1)),
        (vec![unknown, Some(linux("amd64").variant("v4"))], linux("amd64"), None),
        (vec![], linux("amd64"), None),
    ] {
        let index = index(&offered);
        let found = index.select(&wanted).map(|found| found.digest().unwrap());
        assert_eq!(found, chosen.map(|n| entry(n).digest), "{offered:?}");
    }
    let windows = |version: &str| Some(Platform::new("windows", "amd64").os_version(version));
    let servers =
        index(&[windows("10.0.20348.2"), windows("10.0.26100.1"), windows("10.0.17763.9")]);
    let wanted = Platform::new("windows", "amd64").os_version("10.0.26100.7");
    assert_eq!(servers.select(&wanted).unwrap().digest, Some(Digest::sha256(b"1").to_string()));
}
