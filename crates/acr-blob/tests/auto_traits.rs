//! What programs rely on: clients, builders, credentials and streams move between tasks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use acr_blob::{
    BlobClient, BlobInfo, BlobReader, Chunker, Content, Download, DownloadCheckpoint,
    DownloadRange, Mount, PartialReader, Phase, Progress, Upload, UploadCheckpoint, UploadSession,
};
use acr_core::{
    ByteRange, Digest, Error, Pipeline, Transport,
    http::{Body, Request},
};

fn send<T: Send>() {}
fn send_sync_clone<T: Send + Sync + Clone + std::fmt::Debug + 'static>() {}
fn send_future<F: Future + Send>(future: F) {
    drop(future);
}

#[test]
fn g8_clients_and_values_are_send_sync_clone() {
    send_sync_clone::<BlobClient>();
    send_sync_clone::<BlobInfo>();
    send_sync_clone::<DownloadCheckpoint>();
    send_sync_clone::<Phase>();
    send_sync_clone::<Progress>();
    send_sync_clone::<UploadCheckpoint>();
}

#[test]
fn g8_builders_streams_sessions_and_futures_are_send() {
    send::<BlobReader>();
    send::<Chunker>();
    send::<Content>();
    send::<Download>();
    send::<DownloadRange>();
    send::<Mount>();
    send::<PartialReader>();
    send::<Upload>();
    send::<UploadSession>();
    let transport = Transport::new(tower::service_fn(|_: Request| async {
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let endpoint = "r.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    let blobs = BlobClient::new(pipeline, "a".parse().unwrap());
    let digest = Digest::sha256(b"");
    send_future(blobs.upload("text").into_future());
    send_future(blobs.download(&digest).into_future());
    send_future(blobs.download(&digest).to_file_resumable("layer.tar"));
    send_future(blobs.download_range(&digest, ByteRange::new(0, Some(9)).unwrap()).into_future());
    send_future(blobs.blob_properties(&digest));
    send_future(blobs.delete_blob(&digest));
    send_future(blobs.start_upload());
}
