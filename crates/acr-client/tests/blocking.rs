//! The client without async: whole flows over sockets, many threads, odd ends.

#![cfg(feature = "blocking")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::{
    io::{Read as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use acr_client::{
    Credential, Error, ErrorKind, ImageManifest, Transport, Was,
    blocking::{Registry, Repository, reader},
};
use acr_core::http::{Body, Request};
use acr_testkit::{FakeRegistry, Operation, Server, Tls};
use tokio::runtime::Runtime;
use tower::service_fn;

/// A registry on loopback, served by a runtime of its own, and a client of it.
struct Served {
    registry: Registry,
    fake: FakeRegistry,
    // Dropped after the client, the server before its runtime.
    _server: Server,
    _runtime: Runtime,
}

fn served() -> Served {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = runtime.block_on(fake.serve(Tls::On)).unwrap();
    let registry = acr_client::Registry::builder(server.endpoint())
        .ca_pem(server.ca_pem().unwrap())
        .no_proxy()
        .credential(Credential::password("me", "secret"))
        .build_blocking()
        .unwrap();
    Served { registry, fake, _server: server, _runtime: runtime }
}

/// A registry in this process.
fn in_process() -> (Registry, FakeRegistry) {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let registry = acr_client::Registry::builder(fake.endpoint())
        .transport(fake.transport())
        .credential(Credential::password("me", "secret"))
        .build_blocking()
        .unwrap();
    (registry, fake)
}

fn push(repo: &Repository, tags: &[&str]) {
    repo.upload("{}").run().unwrap();
    for tag in tags {
        let image = ImageManifest::artifact("application/vnd.example").annotation("tag", *tag);
        repo.put_manifest(image.to_json().unwrap()).tag(*tag).run().unwrap();
    }
}

fn tags(repo: &Repository) -> Vec<String> {
    repo.list_tags().page_size(2).map(|tag| tag.unwrap().name.to_string()).collect()
}

/// `flatten` over a list is what many write, and must not ask for ever.
#[test]
fn a_list_that_only_fails_ends() {
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    let broken = Transport::new(service_fn(move |_: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Err::<http::Response<Body>, _>(Error::new(ErrorKind::Policy, "broken")) }
    }));
    let registry = acr_client::Registry::builder("https://registry.example")
        .transport(broken)
        .credential(Credential::anonymous())
        .build_blocking()
        .unwrap();
    assert_eq!(registry.list_repositories().flatten().count(), 0);
    assert_eq!(registry.list_repositories().into_pages().filter(Result::is_err).count(), 16);
    // One that starts anew tells its errors anew, and is no empty list.
    let mut ended = registry.list_repositories();
    assert_eq!(ended.by_ref().count(), 16);
    assert_eq!(ended.page_size(10).filter(Result::is_err).count(), 16);
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[test]
fn the_whole_way_over_sockets() {
    let served = served();
    let repo = served.registry.repository("library/app").unwrap();
    push(&repo, &["a", "b", "c", "d", "e"]);
    served.fake.journal().clear();
    assert_eq!(tags(&repo), ["a", "b", "c", "d", "e"]);
    assert_eq!(served.fake.journal().count_of(Operation::ListTags), 3, "one request a page");
    let pages = repo.list_tags().page_size(3).into_pages();
    assert_eq!(pages.map(|page| page.unwrap().items.len()).collect::<Vec<_>>(), [3, 2]);

    let content: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[1]).collect();
    let told = Arc::new(AtomicU64::new(0));
    let note = Arc::clone(&told);
    let layer = repo
        .upload(content.clone())
        .on_progress(move |progress| note.store(progress.transferred, Ordering::Relaxed))
        .run()
        .unwrap();
    assert_eq!(told.load(Ordering::Relaxed), 3_000_000);

    let mut download = repo.download(&layer.digest).run().unwrap();
    let (mut read, mut buffer) = (Vec::new(), [0; 777]);
    loop {
        match download.read(&mut buffer).unwrap() {
            0 => break,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    assert_eq!(read, content);
    let streamed = repo.upload(reader(std::io::Cursor::new(content))).run().unwrap();
    assert_eq!(streamed, layer);

    assert_eq!(repo.delete_tag("a").unwrap().was, Was::Existed);
    let error = repo.tag_properties("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.operation(), Some("tag_properties"));
}

/// Each request waits until sixteen are under way: fewer at once, and the test would never end.
#[test]
fn sixteen_threads_are_served_at_once() {
    let together = Arc::new(tokio::sync::Barrier::new(16));
    let transport = Transport::new(service_fn(move |_: Request| {
        let together = Arc::clone(&together);
        async move {
            together.wait().await;
            Ok::<_, Error>(http::Response::new(Body::from("{}")))
        }
    }));
    let pipeline = acr_core::Pipeline::builder("registry.example".parse().unwrap());
    let pipeline = pipeline.transport(transport).build().unwrap();
    let registry = Registry::new(acr_client::Registry::new(pipeline)).unwrap();
    thread::scope(|scope| {
        for _ in 0..16 {
            let registry = registry.clone();
            scope.spawn(move || registry.ping().unwrap());
        }
    });
}

#[test]
fn inside_of_a_runtime_every_call_that_would_wait_says_what_to_use_instead() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    push(&repo, &["v1"]);
    let blob = repo.upload("content").run().unwrap();
    let mut download = repo.download(&blob.digest).run().unwrap();
    let range = acr_client::ByteRange::new(0, None).unwrap();
    let mut part = repo.download_range(&blob.digest, range).run().unwrap();
    let mut session = repo.start_upload().unwrap();
    let mut writer = repo.start_upload().unwrap().into_writer();
    writer.write_all(b"content").unwrap();
    let mut tags = repo.list_tags();
    let before = fake.journal().entries().len();

    let inside = Runtime::new().unwrap();
    inside.block_on(async {
        let io = |error: std::io::Error| *error.into_inner().unwrap().downcast::<Error>().unwrap();
        let errors = [
            Registry::connect("myregistry.azurecr.io").unwrap_err(),
            registry.ping().unwrap_err(),
            repo.resolve("v1").unwrap_err(),
            repo.get_manifest("v1").run().unwrap_err(),
            repo.upload("more").run().unwrap_err(),
            repo.download(&blob.digest).run().unwrap_err(),
            repo.download(&blob.digest).to_file("never").unwrap_err(),
            tags.next().unwrap().unwrap_err(),
            repo.list_tags().into_pages().next().unwrap().unwrap_err(),
            download.chunk().unwrap_err(),
            io(download.read(&mut [0; 8]).unwrap_err()),
            io(part.read(&mut [0; 8]).unwrap_err()),
            session.write("x").unwrap_err(),
            io(writer.flush().unwrap_err()),
            repo.mount(&blob.digest, "library/other").unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("use `acr_client::Registry`"), "{error}");
        }
    });
    assert_eq!(fake.journal().entries().len(), before, "nothing was sent");
    // And nothing is broken by it.
    assert_eq!(tags.next().unwrap().unwrap().name.as_str(), "v1");
    assert_eq!(download.bytes(100).unwrap(), "content");
}

#[test]
fn what_was_made_before_may_be_dropped_inside_of_a_runtime() {
    let (registry, _fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let blob = repo.upload("content").run().unwrap();
    let download = repo.download(&blob.digest).run().unwrap();
    let session = repo.start_upload().unwrap();
    Runtime::new().unwrap().block_on(async move {
        drop((session, registry, repo));
        drop(download);
    });
}

#[test]
fn lists_and_readers_outlive_the_registry_they_came_from() {
    let served = served();
    let repo = served.registry.repository("library/app").unwrap();
    push(&repo, &["a", "b"]);
    let blob = repo.upload("content").run().unwrap();
    let (mut list, download) =
        (repo.list_tags().page_size(1), repo.download(&blob.digest).run().unwrap());
    assert_eq!(list.next().unwrap().unwrap().name.as_str(), "a");
    let Served { registry, fake: _fake, _server, _runtime } = served;
    drop((registry, repo));
    assert_eq!(download.bytes(100).unwrap(), "content");
    assert_eq!(list.next().unwrap().unwrap().name.as_str(), "b");
}

#[test]
fn a_reader_that_is_dropped_half_read_ends_the_transfer() {
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let transport = Transport::new(service_fn(move |_: Request| {
        let body = Endless(Arc::clone(&held));
        async move { Ok::<_, Error>(http::Response::new(Body::stream(body))) }
    }));
    let pipeline = acr_core::Pipeline::builder("registry.example".parse().unwrap());
    let pipeline = pipeline.transport(transport).build().unwrap();
    let registry = Registry::new(acr_client::Registry::new(pipeline)).unwrap();
    let repo = registry.repository("library/app").unwrap();
    let digest = acr_client::Digest::sha256(b"never");
    let mut download = repo.download(&digest).run().unwrap();
    download.read_exact(&mut [0; 100]).unwrap();
    assert_eq!(Arc::strong_count(&alive), 3, "the transport's, and that of a body under way");
    drop(download);
    assert_eq!(Arc::strong_count(&alive), 2);
}

/// A body without an end, which holds what it was given as long as anybody may read it.
struct Endless(#[allow(dead_code, reason = "held")] Arc<()>);

impl http_body::Body for Endless {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        let frame = http_body::Frame::data(bytes::Bytes::from_static(&[7; 1000]));
        std::task::Poll::Ready(Some(Ok(frame)))
    }
}

#[test]
fn what_is_written_is_gathered_and_stored_when_it_is_finished() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let content = vec![42; 9_000_000];
    let mut writer = repo.start_upload().unwrap().into_writer();
    fake.journal().clear();
    for piece in content.chunks(1_000) {
        writer.write_all(piece).unwrap();
    }
    let blob = writer.finish().unwrap();
    assert_eq!(blob.size, 9_000_000);
    assert_eq!(blob.digest, acr_client::Digest::sha256(&content));
    // Two chunks of 4 MiB, and the rest with the request that ends it.
    assert_eq!(fake.journal().count_of(Operation::UploadChunk), 2);
}

#[test]
fn what_is_not_finished_is_not_stored() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let mut writer = repo.start_upload().unwrap().into_writer();
    writer.write_all(b"content").unwrap();
    writer.flush().unwrap();
    assert_eq!(fake.open_uploads(), 1);
    drop(writer);
    assert!(!repo.exists(acr_client::Digest::sha256(b"content")).unwrap());
    repo.start_upload().unwrap().into_writer().cancel().unwrap();
    assert_eq!(fake.open_uploads(), 1, "only the one that was dropped, which expires");
}

#[test]
fn a_reader_that_fails_is_the_error_of_the_upload() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the pipe is broken"))
        }
    }
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let error = repo.upload(reader(Broken)).run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(fake.open_uploads(), 0);
}

#[test]
fn a_function_that_calls_back_into_the_client_gets_an_error_and_no_dead_lock() {
    let (registry, _fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let (other, kinds) = (registry, Arc::new(std::sync::Mutex::new(Vec::new())));
    let note = Arc::clone(&kinds);
    let upload = repo.upload("content").on_progress(move |_| {
        note.lock().unwrap().push(other.ping().map_err(|error| error.kind()));
    });
    upload.run().unwrap();
    let kinds = kinds.lock().unwrap();
    assert!(!kinds.is_empty());
    assert!(kinds.iter().all(|kind| *kind == Err(ErrorKind::InvalidInput)), "{kinds:?}");
}

#[test]
fn code_that_leaves_errors_out_comes_to_an_end() {
    let (registry, _fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let absent = repo.list_tags().map(|tag| tag.map_err(|error| error.kind()));
    let kinds: Vec<_> = absent.map(|tag| tag.map(drop)).collect();
    assert_eq!(kinds, vec![Err(ErrorKind::NotFound); 16]);
    assert_eq!(repo.list_tags().into_pages().flatten().count(), 0);
}
