//! What is asked again, how, and how often.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use acr_blob::{BlobClient, Was};
use acr_core::{
    ByteRange, Digest, Error, ErrorKind,
    http::{Body, Request, Response},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, header};

use crate::{
    client, content,
    origin::{End, Framing, Origin, Serve, What},
    status,
};

const SIZE: usize = 10_000;

fn broken(at: usize) -> Serve {
    Serve { end: End::Broken(at), ..Serve::honest(1_000) }
}

async fn whole(blobs: &BlobClient) -> Result<Bytes, Error> {
    blobs.download(Digest::sha256(&content(SIZE))).await?.bytes(SIZE).await
}

/// Answers as the origin, but to open ranges, as go-containerregistry's registry does.
fn closed_ranges_only(origin: &Origin) -> BlobClient {
    let origin = origin.clone();
    client(move |request| {
        let answer = origin.answer(request);
        let range = request.headers().get(header::RANGE);
        let is_open = range.is_some_and(|range| range.as_bytes().ends_with(b"-"));
        if is_open { status(416) } else { answer }
    })
}

#[tokio::test(start_paused = true)]
async fn b10_a_break_costs_what_is_missing_where_only_closed_ranges_are_known() {
    let origin = Origin::new(content(SIZE), vec![broken(4_000), broken(3_000)]);
    let blobs = closed_ranges_only(&origin);
    assert!(Box::pin(whole(&blobs)).await.unwrap() == content(SIZE));
    let range = |first: usize| Some(format!("bytes={first}-9999"));
    assert_eq!(origin.ranges(), [None, range(4_000), range(7_000)]);

    // Another process knows the length from the checkpoint, or from the caller.
    let origin = Origin::new(content(SIZE), vec![Serve::honest(1_000)]);
    let blobs = closed_ranges_only(&origin);
    let digest = Digest::sha256(&content(SIZE));
    let mut reader = blobs.download(&digest).await.unwrap();
    reader.chunk().await.unwrap();
    let checkpoint = reader.checkpoint();
    for download in [
        blobs.download(&digest).resume(checkpoint.clone()),
        blobs.download(&digest).resume(checkpoint).size(SIZE as u64),
    ] {
        let rest = download.await.unwrap().bytes(SIZE).await.unwrap();
        assert!(rest == content(SIZE)[1_000..]);
        assert_eq!(origin.ranges().pop().unwrap(), range(1_000));
    }
    assert_eq!(origin.ranges().len(), 3);
}

/// A registry that redirects to its storage, whose answers come from the function; what
/// counts is how often each was asked.
fn behind_links<F>(storage: F) -> (BlobClient, Arc<[AtomicU32; 2]>)
where
    F: Fn(u32, &Request) -> Response + Clone + Send + Sync + 'static,
{
    let asked = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
    let count = Arc::clone(&asked);
    let blobs = client(move |request| {
        if request.uri().host() == Some("storage.example") {
            return storage(count[1].fetch_add(1, Ordering::Relaxed), request);
        }
        let link = count[0].fetch_add(1, Ordering::Relaxed);
        http::Response::builder()
            .status(307)
            .header(header::LOCATION, format!("https://storage.example/{link}?sig=x"))
            .body(Body::empty())
            .unwrap()
    });
    (blobs, asked)
}

fn counts(asked: &[AtomicU32; 2]) -> [u32; 2] {
    [asked[0].load(Ordering::Relaxed), asked[1].load(Ordering::Relaxed)]
}

#[tokio::test(start_paused = true)]
async fn b10_a_link_that_the_storage_refuses_is_asked_for_once_more() {
    for code in [400, 401, 403, 404, 410] {
        let origin = Origin::new(content(SIZE), vec![]);
        let (blobs, asked) =
            behind_links(
                move |number, request| {
                    if number == 0 { status(code) } else { origin.answer(request) }
                },
            );
        assert!(Box::pin(whole(&blobs)).await.unwrap() == content(SIZE), "{code}");
        assert_eq!(counts(&asked), [2, 2], "{code}");

        let (blobs, asked) = behind_links(move |_, _| status(code));
        assert_eq!(Box::pin(whole(&blobs)).await.unwrap_err().status().unwrap(), code);
        assert_eq!(counts(&asked), [2, 2], "{code}");
    }
    // In the middle of a download as well.
    let origin = Origin::new(content(SIZE), vec![broken(4_000)]);
    let (blobs, asked) =
        behind_links(
            move |number, request| {
                if number == 1 { status(403) } else { origin.answer(request) }
            },
        );
    assert!(Box::pin(whole(&blobs)).await.unwrap() == content(SIZE));
    assert_eq!(counts(&asked), [3, 3]);
    // The registry itself means what it says.
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let blobs = client(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        status(403)
    });
    assert_eq!(Box::pin(whole(&blobs)).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn b5_a_refused_range_does_not_end_a_download() {
    for code in [400, 403, 405, 406, 412, 416, 422, 501] {
        let refused = Serve { what: What::Status(code), ..Serve::honest(1) };
        let origin = Origin::new(content(SIZE), vec![broken(4_000), refused]);
        let answers = origin.clone();
        let blobs = client(move |request| answers.answer(request));
        assert!(Box::pin(whole(&blobs)).await.unwrap() == content(SIZE), "{code}");
        assert_eq!(origin.ranges(), [None, Some("bytes=4000-9999".to_owned()), None]);
    }
    for code in [401, 404] {
        let refused = Serve { what: What::Status(code), ..Serve::honest(1) };
        let origin = Origin::new(content(SIZE), vec![broken(4_000), refused]);
        let answers = origin.clone();
        let blobs = client(move |request| answers.answer(request));
        assert_eq!(Box::pin(whole(&blobs)).await.unwrap_err().status().unwrap(), code);
        assert_eq!(origin.ranges().len(), 2, "{code}");
    }
}

/// Refuses `HEAD`, and tells the length to `GET`.
fn without_head(code: u16) -> impl Fn(&Request) -> Response + Clone {
    move |request| match *request.method() {
        Method::HEAD => status(code),
        _ => Origin::new(content(SIZE), vec![]).answer(request),
    }
}

#[tokio::test(start_paused = true)]
async fn b5_a_refused_head_is_a_get_that_nobody_reads() {
    let digest = Digest::sha256(&content(SIZE));
    let into = ByteRange::new(9_000, Some(9_999)).unwrap();
    let beyond = ByteRange::new(9_000, Some(10_000)).unwrap();
    for code in [400, 405, 406, 501] {
        let blobs = client(without_head(code));
        assert_eq!(blobs.blob_properties(&digest).await.unwrap().size, SIZE as u64, "{code}");
        assert!(blobs.has_range(&digest, into).await.unwrap());
        assert!(!blobs.has_range(&digest, beyond).await.unwrap());
    }
    // A link that was signed for `GET`.
    let (blobs, asked) = behind_links(|_, request| without_head(403)(request));
    assert!(blobs.exists(&digest).await.unwrap());
    assert_eq!(counts(&asked), [2, 2]);
    // What means something else is believed, and nothing is asked twice for ever.
    for code in [404, 403, 405] {
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let blobs = client(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            status(code)
        });
        let requests = if code == 405 { 2 } else { 1 };
        let error = blobs.blob_properties(&digest).await.unwrap_err();
        assert_eq!((error.status().unwrap().as_u16(), error.is_not_found()), (code, code == 404));
        assert_eq!(asked.load(Ordering::Relaxed), requests);
        match blobs.exists(&digest).await {
            Ok(exists) => assert!(code == 404 && !exists),
            Err(error) => assert!(code != 404 && error.status().unwrap() == code),
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2 * requests);
    }
}

#[tokio::test(start_paused = true)]
async fn a9_a_deletion_is_done_by_any_status_that_means_it() {
    let answer = |code: u16, body: &'static str| {
        client(move |_| http::Response::builder().status(code).body(Body::from(body)).unwrap())
    };
    let digest = Digest::sha256(b"x");
    for (code, body) in [(202, ""), (200, ""), (204, ""), (200, "{}"), (202, "<html>")] {
        assert_eq!(answer(code, body).delete_blob(&digest).await.unwrap(), Was::Existed, "{code}");
    }
    for (code, body) in [
        (200, "<!doctype html><title>Sign in"),
        (200, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
        (201, ""),
        (206, ""),
    ] {
        let error = answer(code, body).delete_blob(&digest).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{code} {body}");
    }
}

fn serve(what: What, framing: Framing, end: End) -> Serve {
    Serve { what, framing, end, piece: 1_000, empty_frames: true }
}

#[tokio::test(start_paused = true)]
async fn a5_a_part_is_whole_or_an_error() {
    let digest = Digest::sha256(&content(SIZE));
    let (from, within) = ((9_000, None), (8_000, Some(9_499)));
    for (asked, answer, expected) in [
        (from, serve(What::Asked, Framing::Close, End::Whole), Ok(1_000)),
        (from, serve(What::Asked, Framing::Close, End::Early(10)), Err(ErrorKind::Transport)),
        (within, serve(What::Asked, Framing::Length, End::Broken(10)), Err(ErrorKind::Transport)),
        (within, serve(What::NoTotal, Framing::Length, End::Whole), Ok(1_500)),
        (from, serve(What::NoTotal, Framing::Length, End::Whole), Err(ErrorKind::Protocol)),
        (within, serve(What::Fewer(10), Framing::Length, End::Whole), Err(ErrorKind::Protocol)),
        (from, serve(What::Fewer(10), Framing::Length, End::Whole), Err(ErrorKind::Protocol)),
        (from, serve(What::WrongPlace, Framing::Length, End::Whole), Err(ErrorKind::Protocol)),
        // Everything came, and what tells its end decides.
        (within, serve(What::Whole, Framing::Length, End::Whole), Ok(1_500)),
        (within, serve(What::Whole, Framing::Close, End::Whole), Ok(1_500)),
        (within, serve(What::Whole, Framing::Close, End::Early(9_000)), Err(ErrorKind::Transport)),
        (from, serve(What::Whole, Framing::Http2, End::Whole), Ok(1_000)),
        (from, serve(What::Whole, Framing::Chunked, End::Whole), Ok(1_000)),
        (from, serve(What::Whole, Framing::Chunked, End::Early(9_000)), Err(ErrorKind::Protocol)),
        (from, serve(What::Whole, Framing::Chunked, End::Broken(9_100)), Err(ErrorKind::Transport)),
        (from, serve(What::Whole, Framing::Close, End::Whole), Err(ErrorKind::Protocol)),
    ] {
        let case = format!("{asked:?} {answer:?}");
        let origin = Origin::new(content(SIZE), vec![answer]);
        let blobs = client(move |request| origin.answer(request));
        let range = ByteRange::new(asked.0, asked.1).unwrap();
        let mut reader = match (blobs.download_range(&digest, range).await, expected) {
            (Ok(reader), _) => reader,
            (Err(error), Err(kind)) => {
                assert_eq!(error.kind(), kind, "{case}");
                continue;
            }
            (Err(error), _) => panic!("{case}: {error}"),
        };
        let mut held = Vec::new();
        let end = loop {
            match reader.chunk().await {
                Ok(Some(piece)) => held.extend_from_slice(&piece),
                Ok(None) => break None,
                Err(error) => break Some(error.kind()),
            }
        };
        assert!(content(SIZE)[asked.0 as usize..].starts_with(&held), "{case}");
        match expected {
            Ok(len) => assert_eq!((end, held.len()), (None, len), "{case}"),
            Err(kind) => {
                assert_eq!(end, Some(kind), "{case}");
                // An error stays one, however it is asked.
                assert_eq!(reader.chunk().await.unwrap_err().kind(), kind);
                assert_eq!(reader.next().await.unwrap().unwrap_err().kind(), kind);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_already_must_fit() {
    let digest = Digest::sha256(&content(SIZE));
    let origin = Origin::new(content(SIZE), vec![Serve::honest(6_000)]);
    let answers = origin.clone();
    let blobs = client(move |request| answers.answer(request));
    let mut reader = blobs.download(&digest).await.unwrap();
    reader.chunk().await.unwrap();
    let checkpoint = reader.checkpoint();
    for (download, kind) in [
        (blobs.download(&digest).size(5_999), ErrorKind::Integrity),
        (blobs.download(&digest).max_size(5_999), ErrorKind::TooLarge),
        (blobs.download(&digest).size(10_001), ErrorKind::Integrity),
    ] {
        let error = download.resume(checkpoint.clone()).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert_eq!(error.operation(), Some("download_blob"));
    }
    // All that is there is verified without a request.
    let rest = reader.chunk().await.unwrap().unwrap();
    assert_eq!(rest.len(), 4_000);
    let asked = origin.ranges().len();
    let done = blobs.download(&digest).resume(reader.checkpoint()).await.unwrap();
    assert_eq!(done.bytes(0).await.unwrap(), "");
    assert_eq!(origin.ranges().len(), asked);
}

/// A failure is told more than once, and code that leaves failures out still ends.
#[tokio::test(start_paused = true)]
async fn a8_a_stream_repeats_its_failure_and_not_for_ever() {
    let digest = Digest::sha256(&content(SIZE));
    let corrupt = || Serve { what: What::Other(SIZE - 1), ..Serve::honest(1_000) };
    let origin = Origin::new(content(SIZE), vec![corrupt(), corrupt(), broken(10)]);
    let blobs = client(move |request| origin.answer(request));
    let mut reader = blobs.download(&digest).await.unwrap();
    let failures = async |stream: &mut (dyn futures_util::Stream<Item = _> + Unpin + Send)| {
        let items: Vec<Result<Bytes, Error>> = stream.collect().await;
        items.into_iter().filter(Result::is_err).count()
    };
    assert_eq!(failures(&mut reader).await, 16);
    assert_eq!(reader.chunk().await.unwrap_err().kind(), ErrorKind::Integrity);
    let reader = blobs.download(&digest).await.unwrap();
    let seen: Vec<Bytes> = reader.filter_map(|item| async { item.ok() }).collect().await;
    assert!(seen.concat().len() < SIZE);
    let range = ByteRange::new(0, Some(99)).unwrap();
    let mut part = blobs.download_range(&digest, range).await.unwrap();
    assert_eq!(failures(&mut part).await, 16);
    assert_eq!(part.chunk().await.unwrap_err().kind(), ErrorKind::Transport);
}
