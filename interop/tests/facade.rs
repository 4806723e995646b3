//! The infrastructure itself, judged by skopeo alone: a registry that demands
//! tokens, a façade that gives them, and an image that survives the way.
#![cfg(feature = "servers")]

use acr_interop::{
    Facade, Grant, GuardedRegistry, ImageLayout, RegistryProcess, RemoteImage, Skopeo,
};
use tempfile::TempDir;

#[tokio::test]
async fn skopeo_pushes_with_a_password_and_pulls_with_nothing() {
    let registry = GuardedRegistry::builder().start().await.unwrap();
    let layout = ImageLayout::build().await.unwrap();
    let skopeo = Skopeo::new().unwrap();

    skopeo.push(&layout, &signed_in(registry.facade())).await.unwrap();
    let inspection = skopeo.inspect(&anonymous(registry.facade())).await.unwrap();

    assert_eq!(inspection.digest, layout.digest());
    assert_eq!(inspection.repo_tags, ["v1"]);
    let counts = registry.facade().counts();
    assert!(counts.token_calls.iter().any(|call| call.grant == Grant::Password));
    assert!(counts.token_calls.iter().any(|call| call.grant == Grant::Anonymous));
    assert_eq!((counts.exchanges, counts.refused), (0, 0));
}

#[tokio::test]
async fn anonymous_caller_and_wrong_password_cannot_push() {
    let registry = GuardedRegistry::builder().start().await.unwrap();
    let layout = ImageLayout::build().await.unwrap();
    let skopeo = Skopeo::new().unwrap();
    let facade = registry.facade();

    for image in [anonymous(facade), anonymous(facade).login("tester", "wrong")] {
        skopeo.push(&layout, &image).await.unwrap_err();
    }
    skopeo.inspect(&signed_in(facade)).await.expect_err("nothing was pushed");
}

#[tokio::test]
async fn registry_refuses_tokens_of_a_signer_it_does_not_trust() {
    let registry = GuardedRegistry::builder().distrust().start().await.unwrap();
    let layout = ImageLayout::build().await.unwrap();
    let image = signed_in(registry.facade());

    let error = Skopeo::new().unwrap().push(&layout, &image).await.unwrap_err();

    let counts = registry.facade().counts();
    assert!(!counts.token_calls.is_empty(), "{error}");
    assert!(counts.challenges >= 2, "the token was given and refused: {counts:?}");
}

#[tokio::test]
async fn image_is_what_umoci_built() {
    let registry = RegistryProcess::builder().start().await.unwrap();
    let layout = ImageLayout::build().await.unwrap();
    let skopeo = Skopeo::new().unwrap();
    let image = RemoteImage::plain(registry.address().to_string(), "library/tiny:v1");
    let out = TempDir::new().unwrap();

    skopeo.push(&layout, &image).await.unwrap();
    skopeo.copy_out(&image, out.path()).await.unwrap();

    let manifest = out.path().join("manifest.json");
    assert_eq!(skopeo.manifest_digest(&manifest).await.unwrap(), layout.digest());
    assert_eq!(std::fs::read(manifest).unwrap(), layout.manifest().unwrap());
    assert_eq!(layout.blobs().len(), 3, "a configuration and two layers");
    for blob in layout.blobs() {
        let (_, hex) = blob.digest.split_once(':').unwrap();
        let copied = std::fs::read(out.path().join(hex)).unwrap();
        assert_eq!(copied, std::fs::read(&blob.path).unwrap(), "{}", blob.digest);
        assert_eq!(copied.len() as u64, blob.size);
    }
}

fn anonymous(facade: &Facade) -> RemoteImage {
    RemoteImage::behind(facade, "library/tiny:v1")
}

fn signed_in(facade: &Facade) -> RemoteImage {
    let accounts = facade.accounts();
    anonymous(facade).login(accounts.user(), accounts.password())
}
