//! What programs rely on: clients, builders, credentials and streams move between tasks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use acr_core::{
    Error, Pipeline, Transport,
    http::{Body, Request},
};
use acr_registry::{
    ApiVersion, Deletion, Descriptor, DescriptorView, Document, GetManifest, ImageIndex,
    ImageManifest, ListPager, Manifest, ManifestChanges, ManifestProperties, Permissions, Platform,
    PutManifest, RegistryClient, RepositoryClient, RepositoryProperties, TagManifest,
    TagProperties,
};

fn send<T: Send>() {}
fn send_sync_clone<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
fn send_future<F: Future + Send>(future: F) {
    drop(future);
}

#[test]
fn g8_clients_and_values_are_send_sync_clone() {
    send_sync_clone::<RegistryClient>();
    send_sync_clone::<RepositoryClient>();
    send_sync_clone::<ApiVersion>();
    send_sync_clone::<Deletion>();
    send_sync_clone::<Descriptor>();
    send_sync_clone::<Document>();
    send_sync_clone::<ImageIndex>();
    send_sync_clone::<ImageManifest>();
    send_sync_clone::<Manifest>();
    send_sync_clone::<ManifestChanges>();
    send_sync_clone::<ManifestProperties>();
    send_sync_clone::<Permissions>();
    send_sync_clone::<Platform>();
    send_sync_clone::<RepositoryProperties>();
    send_sync_clone::<TagProperties>();
    send_sync_clone::<DescriptorView>();
}

#[test]
fn g8_builders_pagers_and_futures_are_send() {
    send::<GetManifest>();
    send::<PutManifest>();
    send::<TagManifest>();
    #[cfg(feature = "preview")]
    send::<acr_registry::RestoreManifest>();
    send::<ListPager<TagProperties>>();
    let transport = Transport::new(tower::service_fn(|_: Request| async {
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    let registry = RegistryClient::new(pipeline);
    let repo = registry.repository("a").unwrap();
    let tag = "v1".parse().unwrap();
    send_future(registry.list_repositories().try_next());
    send_future(repo.list_tags().try_next());
    send_future(repo.list_manifests().into_pages().try_next());
    send_future(repo.properties());
    send_future(repo.tag_properties(&tag));
    send_future(repo.get_manifest(tag.clone()).into_future());
    send_future(repo.put_manifest("{}").into_future());
    send_future(repo.tag(tag.clone(), &tag).if_absent().into_future());
    send_future(repo.delete_tag(&tag));
    send_future(repo.delete());
}
