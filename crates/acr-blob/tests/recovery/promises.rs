//! What an answer promises: done whatever the status, and never done without the blob.

use std::time::Duration;

use acr_blob::{Content, Mount};
use acr_core::{Digest, ErrorKind};
use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    CHUNK, content, pieces,
    unkind::{Manners, Unkind, Wrong},
};

#[tokio::test(start_paused = true)]
async fn a9_any_success_of_a_chunk_or_a_commit_is_one() {
    let whole = content(3 * CHUNK + 1);
    for patch in [200, 201, 202, 204] {
        for put in [200, 201, 202, 204] {
            for (names_range, names_place, names_digest) in [
                (true, true, true),
                (false, true, false),
                (true, false, true),
                (false, false, false),
            ] {
                let manners = Manners {
                    patch,
                    put,
                    names_range,
                    names_place,
                    names_digest,
                    ..Manners::default()
                };
                let registry = Unkind::new(manners);
                let blobs = registry.client();
                let info = blobs.upload(pieces(&whole, 100)).chunk_size(CHUNK).await.unwrap();
                assert_eq!(info.digest, Digest::sha256(&whole));
                assert_eq!(
                    (registry.blobs(), registry.sent()),
                    (vec![whole.to_vec()], whole.len() as u64)
                );
                // Looked at unless the answer said "stored" and named the blob.
                let looks =
                    registry.take_seen().iter().filter(|line| line.starts_with("HEAD")).count();
                assert_eq!(looks, usize::from(!names_digest || put == 202), "{put}");
            }
        }
    }
}

/// A page of something on the way says neither where nor how far: the registry is asked.
#[tokio::test(start_paused = true)]
async fn a9_a_success_that_promises_nothing_is_asked_about() {
    let whole = content(2 * CHUNK + 1);
    for status in [200, 204] {
        let registry = Unkind::new(Manners::default());
        registry.wrong([Wrong::Nothing, Wrong::Status(status)]);
        registry.client().upload(whole.clone()).chunk_size(CHUNK).await.unwrap();
        assert_eq!(registry.blobs(), [whole.to_vec()]);
        // A commit that was none: looked for, and not found.
        let registry = Unkind::new(Manners::default());
        registry.wrong([Wrong::Nothing, Wrong::Nothing, Wrong::Nothing, Wrong::Status(status)]);
        let error = registry.client().upload(whole.clone()).chunk_size(CHUNK).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity);
    }
}

#[tokio::test(start_paused = true)]
async fn a6_a_mount_that_was_a_lie_is_found_and_the_blob_is_sent() {
    let whole = content(500);
    let digest = Digest::sha256(&whole);
    let other = || "b".parse().unwrap();
    for (source, len) in [(Content::from(whole.clone()), 500), (pieces(&whole, 100), 500)] {
        let registry = Unkind::new(Manners { mount: 201, ..Manners::default() });
        let blobs = registry.client();
        let info = blobs.upload(source).digest(&digest).mount_from(other()).await.unwrap();
        assert_eq!((info.size, registry.blobs()), (len, vec![whole.to_vec()]));
    }
    let registry = Unkind::new(Manners { mount: 201, ..Manners::default() });
    let blobs = registry.client();
    let Mount::NotMounted(session) = blobs.mount(&digest, &other()).await.unwrap() else {
        panic!("nothing was mounted");
    };
    assert_eq!(registry.take_seen(), ["POST 0", "HEAD 0", "POST 0"]);
    assert_eq!(session.complete(whole.clone(), Some(&digest)).await.unwrap().digest, digest);
    // And one that was true is seen at the first look.
    assert!(matches!(blobs.mount(&digest, &other()).await.unwrap(), Mount::Mounted));
    let upload = blobs.upload(whole.clone()).digest(&digest).mount_from(other());
    registry.take_seen();
    assert_eq!(upload.await.unwrap().size, 500);
    assert_eq!(registry.take_seen(), ["POST 0", "HEAD 0"]);
}

#[tokio::test(start_paused = true)]
async fn b5_a_mount_that_is_refused_goes_on_as_an_upload() {
    let whole = content(500);
    let digest = Digest::sha256(&whole);
    for status in [400, 401, 403, 404, 405, 501] {
        let registry = Unkind::new(Manners { mount: status, ..Manners::default() });
        let blobs = registry.client();
        let from = || "b".parse().unwrap();
        let upload = blobs.upload(whole.clone()).digest(&digest).mount_from(from());
        assert_eq!(upload.await.unwrap().digest, digest);
        assert_eq!(registry.take_seen(), ["POST 0", "POST 0", "PUT 500"], "{status}");
        let mount = blobs.mount(&digest, &from()).await.unwrap();
        assert!(matches!(mount, Mount::NotMounted(_)), "{status}");
    }
    // Who may not push at all is told so after one more request.
    let registry = Unkind::new(Manners { mount: 403, ..Manners::default() });
    registry.wrong([Wrong::Nothing, Wrong::Status(403)]);
    let blobs = registry.client();
    let error = blobs.mount(&digest, &"b".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(registry.take_seen(), ["POST 0", "POST 0"]);
}

#[tokio::test(start_paused = true)]
async fn b5_a_registry_without_a_body_on_the_first_put_takes_short_content() {
    let whole = content(500);
    for status in [400, 404, 405, 411] {
        let registry = Unkind::new(Manners { first_put: Some(status), ..Manners::default() });
        let blobs = registry.client();
        let info = blobs.upload(whole.clone()).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(&whole));
        assert_eq!(registry.open(), 0);
        registry.take_seen();
        // It was learned.
        blobs.upload(content(600)).await.unwrap();
        assert_eq!(registry.take_seen(), ["POST 0", "PATCH 600", "PUT 0"], "{status}");
        // With a digest that was known before, too.
        blobs.upload(content(700)).digest(Digest::sha256(&content(700))).await.unwrap();
        assert_eq!(registry.take_seen(), ["POST 0", "PATCH 700", "PUT 0"], "{status}");
        // Now and then it is tried again.
        let mut tries = 0;
        for len in 1..200 {
            blobs.upload(content(len)).await.unwrap();
            let seen = registry.take_seen();
            tries += usize::from(seen.len() > 3);
        }
        assert!((1..=3).contains(&tries), "{status}: {tries}");
    }
}

/// A front end that gives up after a minute before a registry that takes longer to store.
#[tokio::test(start_paused = true)]
async fn b5_a_slow_commit_is_looked_for_before_all_is_sent_again() {
    let whole = content(20 * CHUNK);
    for (front_end, storing) in [(60, 170), (60, 61), (100, 500)] {
        for source in [Content::from(whole.clone()), pieces(&whole, 1000)] {
            let manners = Manners {
                front_end: Duration::from_secs(front_end),
                storing: Duration::from_secs(storing),
                ..Manners::default()
            };
            let registry = Unkind::new(manners);
            let info = registry.client().upload(source).chunk_size(CHUNK).await.unwrap();
            assert_eq!(info.digest, Digest::sha256(&whole));
            assert_eq!(registry.sent(), whole.len() as u64);
            let looks = registry.take_seen().iter().filter(|line| line.starts_with("HEAD")).count();
            assert!((2..=16).contains(&looks), "{looks}");
        }
    }
}

/// One that never stores it is given up in bounded time.
#[tokio::test(start_paused = true)]
async fn b5_a_commit_that_never_ends_is_given_up() {
    let whole = content(20 * CHUNK);
    let manners = Manners {
        front_end: Duration::from_secs(60),
        storing: Duration::from_secs(1_000_000),
        ..Manners::default()
    };
    let registry = Unkind::new(manners);
    let start = Instant::now();
    let error = registry.client().upload(whole.clone()).chunk_size(CHUNK).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Session, "{error}");
    assert!(start.elapsed() < Duration::from_secs(3600), "{:?}", start.elapsed());
    assert!(registry.sent() <= 3 * whole.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn b5_no_chunk_is_below_the_least_after_a_broken_body_or_in_a_session() {
    let whole = content(20 * CHUNK);
    let least = 3 * CHUNK as u64;
    for wrong in [Wrong::Cut(0), Wrong::Cut(10), Wrong::Status(413), Wrong::Status(503)] {
        let registry = Unkind::new(Manners { least: Some(least), ..Manners::default() });
        registry.wrong([Wrong::Nothing, wrong, Wrong::Nothing, wrong]);
        let result = registry.client().upload(pieces(&whole, 100)).chunk_size(4 * CHUNK).await;
        assert_eq!(result.is_ok(), wrong != Wrong::Status(413), "{wrong:?}");
        check_lengths(&registry, least);
    }
    let registry = Unkind::new(Manners { least: Some(least), ..Manners::default() });
    let mut session = registry.client().start_upload().await.unwrap();
    for start in (0..whole.len()).step_by(CHUNK) {
        session.write(whole.slice(start..start + CHUNK)).await.unwrap();
    }
    session.complete(Bytes::new(), None).await.unwrap();
    check_lengths(&registry, least);
    assert_eq!(registry.blobs(), [whole.to_vec()]);
}

fn check_lengths(registry: &Unkind, least: u64) {
    for line in registry.take_seen() {
        if let Some(len) = line.strip_prefix("PATCH ") {
            assert!(len.parse::<u64>().unwrap() >= least, "{line}");
        }
    }
}

/// A first chunk that is refused with `0-0` leaves nothing there.
#[tokio::test(start_paused = true)]
async fn b5_a_first_416_is_no_byte() {
    let whole = content(3 * CHUNK);
    for times in [1, 2] {
        let registry = Unkind::new(Manners::default());
        registry.wrong([Wrong::Nothing, Wrong::Status(416)].repeat(times));
        let info = registry.client().upload(whole.clone()).chunk_size(CHUNK).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(&whole));
        let seen = registry.take_seen();
        assert!(!seen.contains(&format!("PATCH {}", CHUNK - 1)), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b6_one_413_by_chance_does_not_cut_the_clients_life_to_pieces() {
    let registry = Unkind::new(Manners::default());
    let blobs = registry.client();
    registry.wrong([Wrong::Nothing, Wrong::Status(413)]);
    blobs.upload(content(40_000)).await.unwrap();
    registry.take_seen();
    blobs.upload(content(8 << 20)).await.unwrap();
    let first = registry.take_seen().len();
    blobs.upload(content((8 << 20) - 1)).await.unwrap();
    let second = registry.take_seen().len();
    assert!(first <= 18 && second <= 4, "{first} {second}");
}

/// What is really refused costs little, over many uploads.
#[tokio::test(start_paused = true)]
async fn b6_a_real_limit_is_tried_ever_more_rarely() {
    let registry = Unkind::new(Manners { most: 40_000, ..Manners::default() });
    let blobs = registry.client();
    let mut refused = 0;
    for len in 0..20 {
        blobs.upload(content(1_000_000 + len)).await.unwrap();
        refused += registry.take_seen().iter().filter(|line| is_above(line, 40_000)).count();
    }
    assert!(refused < 20, "{refused}");
}

/// One upload that met a limit tells those that are written piece by piece, too.
#[tokio::test(start_paused = true)]
async fn b6_a_session_knows_the_limit_that_another_one_met() {
    let registry = Unkind::new(Manners { most: 40_000, ..Manners::default() });
    let blobs = registry.client();
    let mut refused = 0;
    for len in 0..20 {
        let session = blobs.start_upload().await.unwrap();
        let whole = content(1_000_000 + len);
        let info = session.complete(whole.clone(), None).await.unwrap();
        assert_eq!(info.digest, Digest::sha256(&whole));
        refused += registry.take_seen().iter().filter(|line| is_above(line, 40_000)).count();
    }
    assert!(refused < 20, "{refused}");
}

/// Whether a line of what was seen tells of a longer body.
fn is_above(line: &str, most: usize) -> bool {
    line.split(' ').nth(1).unwrap().parse::<usize>().unwrap() > most
}

/// Those of `/proc` say that they have no bytes, and have some.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a1_a_file_that_tells_no_length_is_read_all_the_same() {
    let registry = acr_testkit::FakeRegistry::new();
    let blobs = crate::client(&registry);
    let path = std::path::Path::new("/proc/version");
    assert_eq!(std::fs::metadata(path).unwrap().len(), 0);
    let whole = Bytes::from(std::fs::read(path).unwrap());
    let info = blobs.upload(Content::file(path).await.unwrap()).await.unwrap();
    assert_eq!((info.digest, info.size), (Digest::sha256(&whole), whole.len() as u64));
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = Content::file(empty.path()).await.unwrap();
    assert_eq!(empty.len(), Some(0));
    assert_eq!(blobs.upload(empty).await.unwrap().size, 0);
}
