//! The handlers, one file for each kind of resource.

mod blobs;
mod catalog;
mod deleted;
mod manifests;
mod oauth;
mod properties;
mod referrers;
mod repositories;
mod tags;
mod uploads;

pub(crate) use self::manifests::{Document, record as manifest_record};
use http::StatusCode;

use crate::{
    answer::{Refusal, Reply, malformed_digest, text},
    exchange::Exchange,
    operation::Operation,
    reference::{is_digest, is_malformed},
};

/// Hands an admitted request to its handler.
pub(crate) async fn dispatch(x: &mut Exchange<'_>) -> Reply {
    check_digests(x)?;
    match x.route.operation {
        Operation::Ping => Ok(text(StatusCode::OK, "application/json; charset=utf-8", "{}")),
        Operation::ListRepositories | Operation::ListCatalog => catalog::list(x),
        Operation::RepositoryProperties => repositories::get(x),
        Operation::UpdateRepositoryProperties => repositories::update(x).await,
        Operation::DeleteRepository => repositories::delete(x),
        Operation::ListTags => tags::list(x),
        Operation::ListTagNames => tags::list_names(x),
        Operation::TagProperties => tags::get(x),
        Operation::UpdateTagProperties => tags::update(x).await,
        Operation::DeleteTag => tags::delete(x),
        Operation::ListManifests => properties::list(x),
        Operation::ManifestProperties => properties::get(x),
        Operation::UpdateManifestProperties => properties::update(x).await,
        Operation::GetManifest | Operation::Resolve => manifests::get(x),
        Operation::PutManifest => manifests::put(x).await,
        Operation::DeleteManifest => manifests::delete(x),
        Operation::BlobProperties => blobs::head(x),
        Operation::DownloadBlob => blobs::get(x).await,
        Operation::DeleteBlob => blobs::delete(x),
        Operation::StartUpload => uploads::start(x).await,
        Operation::MountBlob => uploads::mount(x).await,
        Operation::UploadChunk => uploads::upload_chunk(x).await,
        Operation::UploadStatus => uploads::status(x).await,
        Operation::CompleteUpload => uploads::complete(x).await,
        Operation::CancelUpload => uploads::cancel(x),
        Operation::ListReferrers => referrers::list(x),
        Operation::ExchangeEntraToken => oauth::exchange(x).await,
        Operation::FetchAccessToken => oauth::token(x).await,
        Operation::ListDeletedRepositories => deleted::list_repositories(x),
        Operation::ListDeletedManifests => deleted::list_manifests(x),
        Operation::ListDeletedTags => deleted::list_tags(x),
        Operation::RestoreManifest => deleted::restore(x).await,
        // Never routed on the login server.
        Operation::GetStorage | Operation::Connect => Ok(crate::answer::page_not_found()),
    }
}

/// Refuses digests of the content interface that cannot exist, such as one in upper case, where
/// the specification rules. The real service looks them up and finds nothing.
fn check_digests(x: &Exchange<'_>) -> Result<(), Refusal> {
    let Exchange { shared, route, head, .. } = x;
    if !shared.settings.is_oci() || !head.uri.path().starts_with("/v2/") {
        return Ok(());
    }
    let item = Some(route.item.as_str()).filter(|item| is_digest(item));
    let mut named = item.into_iter().chain(x.query.get("mount"));
    if named.any(is_malformed) { Err(malformed_digest()) } else { Ok(()) }
}
