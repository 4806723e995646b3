//! Builders own what they need: a task can take each as it stands. What is uploaded is one of
//! listed types, and options that would do nothing are errors.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::{BlobClient, Content, Upload};
use acr_core::{ByteRange, Digest, ErrorKind, Pipeline};
use acr_testkit::{FakeRegistry, Kind};
use bytes::Bytes;

const CONTENT: &[u8] = b"sample layer";

fn client(registry: &FakeRegistry) -> BlobClient {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap();
    BlobClient::new(pipeline, "library/app".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_an_upload() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let task = tokio::spawn(blobs.upload(CONTENT).chunk_size(16).into_future());
    let blob = task.await.unwrap().unwrap();
    assert_eq!((&blob.digest, blob.size), (&Digest::sha256(CONTENT), CONTENT.len() as u64));
    assert!(blobs.exists(&blob.digest).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_a_download() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let blob = blobs.upload(CONTENT).await.unwrap();
    let task = tokio::spawn(blobs.download(&blob.digest).max_size(100).into_future());
    drop(blobs);
    let content = task.await.unwrap().unwrap().bytes(100).await.unwrap();
    assert_eq!(content, CONTENT);
}

#[tokio::test(start_paused = true)]
async fn a_task_takes_the_download_of_a_part() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let blob = blobs.upload(CONTENT).await.unwrap();
    let range = ByteRange::new(7, Some(11)).unwrap();
    let task = tokio::spawn(blobs.download_range(&blob.digest, range).into_future());
    drop(blobs);
    let content = task.await.unwrap().unwrap().bytes(100).await.unwrap();
    assert_eq!(content, &b"layer"[..]);
}

#[tokio::test]
async fn every_listed_type_is_content() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let text = "sample layer";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer");
    std::fs::write(&path, CONTENT).unwrap();
    // Wherever it stands, all of it is meant.
    let mut read = std::fs::File::open(&path).unwrap();
    std::io::Seek::seek(&mut read, std::io::SeekFrom::Start(7)).unwrap();
    let contents = [
        Content::from(Bytes::from_static(CONTENT)),
        Content::from(CONTENT.to_vec()),
        Content::from(text.to_owned()),
        Content::from(text),
        Content::from(CONTENT),
        Content::from(b"sample layer"),
        Content::from(path.clone()),
        Content::from(std::fs::File::open(&path).unwrap()),
        Content::from(tokio::fs::File::open(&path).await.unwrap()),
        Content::from(read),
    ];
    for (n, content) in contents.into_iter().enumerate() {
        let is_file = n > 5;
        assert_eq!(content.len(), (!is_file).then_some(CONTENT.len() as u64), "{n}");
        let blob = blobs.upload(content).await.unwrap();
        assert_eq!((blob.digest, blob.size), (Digest::sha256(CONTENT), 12), "{n}");
    }
    for missing in [folder.path().join("gone"), folder.path().to_owned()] {
        let error = blobs.upload(missing.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        assert!(error.to_string().contains(&*missing.to_string_lossy()), "{error}");
    }
    assert_eq!(registry.open_uploads(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_option_that_would_do_nothing_is_an_error_before_anything_is_sent() {
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let base = || "library/base".parse::<acr_core::RepositoryName>().unwrap();
    for upload in [blobs.upload(CONTENT).skip_existing(), blobs.upload(CONTENT).mount_from(base())]
    {
        let error = upload.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("`digest`"), "{error}");
    }
    assert!(registry.journal().operations().is_empty());
    assert_eq!(registry.journal().count(Kind::Challenge), 0);

    // What is no name is told when it is awaited, before anything is sent.
    for upload in
        [blobs.upload(CONTENT).digest("sha256:odd"), blobs.upload(CONTENT).mount_from("A")]
    {
        assert_eq!(upload.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert!(registry.journal().operations().is_empty());

    let saved = blobs.start_upload().await.unwrap().checkpoint().unwrap();
    let mount = |upload: Upload| upload.digest(Digest::sha256(CONTENT)).mount_from(base());
    registry.journal().clear();
    for (upload, option) in [
        (mount(blobs.upload(CONTENT).resume(saved.clone())), "`mount_from`"),
        (mount(blobs.upload(CONTENT).resume_vouched(saved.clone())), "`mount_from`"),
        (blobs.upload(CONTENT).resume(saved.clone()).resume_vouched(saved.clone()), "`resume`"),
        (blobs.upload(CONTENT).resume_vouched(saved.clone()).resume(saved), "`resume`"),
    ] {
        let error = upload.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(option), "{error}");
    }
    assert!(registry.journal().operations().is_empty());

    let blob = blobs.upload(CONTENT).await.unwrap();
    let checkpoint = blobs.download(&blob.digest).await.unwrap().checkpoint();
    registry.journal().clear();
    let folder = tempfile::tempdir().unwrap();
    let download = blobs.download(&blob.digest).resume(checkpoint);
    let error = download.to_file(folder.path().join("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("`resume`"), "{error}");
    assert!(registry.journal().operations().is_empty());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Clones of an open file share where it stands.
#[cfg(feature = "fs")]
#[tokio::test]
async fn a_file_is_read_from_its_places_wherever_its_clones_stand() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &content).unwrap();
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let uploads = (0..8).map(|_| {
        let upload = blobs.upload(file.try_clone().unwrap()).chunk_size(100_000);
        tokio::spawn(upload.into_future())
    });
    for upload in uploads.collect::<Vec<_>>() {
        assert_eq!(upload.await.unwrap().unwrap().digest, Digest::sha256(&content));
    }
}

#[cfg(feature = "fs")]
#[tokio::test]
async fn what_was_written_to_a_file_just_before_is_part_of_it() {
    use tokio::io::AsyncWriteExt as _;

    let content = vec![7; 3_000_000];
    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    for _ in 0..20 {
        let mut file = tokio::fs::File::from_std(tempfile::tempfile().unwrap());
        file.write_all(&content).await.unwrap();
        let blob = blobs.upload(file).await.unwrap();
        assert_eq!((blob.digest, blob.size), (Digest::sha256(&content), content.len() as u64));
    }
}

#[cfg(feature = "fs")]
#[tokio::test]
async fn a_file_is_not_the_rest_of_a_content() {
    use std::io::{Seek as _, Write as _};

    let registry = FakeRegistry::new();
    let blobs = client(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    session.write("sample ").await.unwrap();
    let checkpoint = session.checkpoint().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(CONTENT).unwrap();
    file.seek(std::io::SeekFrom::Start(7)).unwrap();
    let upload = blobs.upload(file).resume_vouched(checkpoint.clone());
    let error = upload.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("Content::reader"), "{error}");
    let blob = blobs.upload("layer").resume_vouched(checkpoint).await.unwrap();
    assert_eq!(blob.digest, Digest::sha256(CONTENT));
}
