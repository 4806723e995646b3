//! Transfers without async: what is written, what is read in part, and where functions are called.

#![cfg(feature = "blocking")]
#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::{
    io::{self, Read as _, Write as _},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use acr_client::{
    ByteRange, Credential, Digest, Error, ErrorKind, RegistryBuilder, blocking::Registry,
    layer::RetryPolicy,
};
use acr_testkit::{FakeRegistry, Fault, Operation, Tls};
use tokio::runtime::Runtime;
use tower::ServiceBuilder;

fn builder(fake: &FakeRegistry) -> RegistryBuilder {
    acr_client::Registry::builder(fake.endpoint())
        .transport(fake.transport())
        .credential(Credential::password("me", "secret"))
}

/// A registry in this process.
fn in_process() -> (Registry, FakeRegistry) {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    (builder(&fake).build_blocking().unwrap(), fake)
}

fn kind_inside(error: &io::Error) -> Option<ErrorKind> {
    error.get_ref()?.downcast_ref::<Error>().map(Error::kind)
}

#[test]
fn a_writer_that_was_refused_inside_of_a_runtime_loses_nothing() {
    let (registry, _fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let mut writer = repo.start_upload().unwrap().into_writer();
    writer.write_all(b"first ").unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for refused in [writer.flush().unwrap_err(), writer.write(b"lost").unwrap_err()] {
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(kind_inside(&refused), Some(ErrorKind::InvalidInput));
        }
    });
    // A whole chunk, which waits for the next call.
    writer.write_all(&vec![1; 4 << 20]).unwrap();
    runtime.block_on(async {
        writer.write(b"lost").unwrap_err();
        assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::InvalidInput);
    });
    writer.write_all(b" last").unwrap();
    let whole = [&b"first "[..], &vec![1; 4 << 20], b" last"].concat();
    assert_eq!(writer.finish().unwrap().digest, Digest::sha256(&whole));
    // What was stored is stored, and no second blob.
    for error in [writer.write(b"more").unwrap_err(), writer.flush().unwrap_err()] {
        assert_eq!(kind_inside(&error), Some(ErrorKind::InvalidInput));
    }
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_function_that_changes_the_stack_may_use_another_registry() {
    let (settings, fake) = in_process();
    let registry = builder(&fake).stack(move |pipeline| {
        settings.ping().unwrap();
        pipeline.layer_per_call(ServiceBuilder::new().buffer(8))
    });
    registry.build_blocking().unwrap().ping().unwrap();
}

#[test]
fn a_writer_that_failed_stores_nothing_more() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let mut writer = repo.start_upload().unwrap().into_writer();
    fake.inject(Fault::status(Operation::UploadChunk, 1, 403));
    writer.write_all(b"first ").unwrap();
    let error = writer.flush().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    fake.journal().clear();
    for error in [writer.write(b"second").unwrap_err(), writer.flush().unwrap_err()] {
        assert_eq!(kind_inside(&error), Some(ErrorKind::Forbidden));
    }
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(fake.journal().count_of(Operation::CompleteUpload), 0);
    assert!(!repo.exists(Digest::sha256(b"second")).unwrap());
    // The write that failed has ended the session.
    assert_eq!(fake.open_uploads(), 0);
    writer.cancel().unwrap();
    assert_eq!(fake.journal().count_of(Operation::CancelUpload), 0);
    assert_eq!(writer.cancel().unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// Such as a login that may push and not delete.
#[test]
fn a_session_that_a_failed_write_could_not_end_is_cancelled() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let fails = |refusals| {
        let mut writer = repo.start_upload().unwrap().into_writer();
        fake.inject(Fault::status(Operation::UploadChunk, 1, 403));
        fake.inject(Fault::status(Operation::CancelUpload, 1, 403).times(refusals));
        writer.write_all(b"content").unwrap();
        writer.flush().unwrap_err();
        writer
    };
    let mut writer = fails(1);
    assert_eq!(fake.open_uploads(), 1);
    writer.cancel().unwrap();
    assert_eq!(fake.open_uploads(), 0);
    let mut writer = fails(2);
    let error = writer.cancel().unwrap_err();
    assert_eq!((error.kind(), fake.open_uploads()), (ErrorKind::Forbidden, 1));
}

/// The registry has the session that a write left there, for another process or a better hour.
#[test]
fn what_a_failed_write_left_is_cancelled() {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let quick = builder(&fake).retry(RetryPolicy::default().retries(0));
    let repo = quick.build_blocking().unwrap().repository("library/app").unwrap();
    let mut session = repo.start_upload().unwrap();
    session.write("first ").unwrap();
    let saved = session.checkpoint().unwrap();
    drop(session);
    let mut writer = repo.resume_upload(&saved).unwrap().into_writer();
    fake.inject(Fault::status(Operation::UploadChunk, 1, 401).times(1_000));
    writer.write_all(b"second").unwrap();
    writer.flush().unwrap_err();
    assert_eq!(fake.open_uploads(), 1);
    writer.cancel().unwrap();
    assert_eq!(fake.open_uploads(), 0);
}

#[test]
fn what_is_finished_is_not_cancelled() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let mut writer = repo.start_upload().unwrap().into_writer();
    // Refused inside of async code it is still there.
    let refused = Runtime::new().unwrap().block_on(async { writer.cancel() });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    writer.write_all(b"sample").unwrap();
    writer.finish().unwrap();
    let error = writer.cancel().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // Nobody knows whether it is stored.
    let mut writer = repo.start_upload().unwrap().into_writer();
    fake.inject(Fault::status(Operation::CompleteUpload, 1, 403));
    writer.finish().unwrap_err();
    assert_eq!(writer.cancel().unwrap_err().kind(), ErrorKind::Forbidden);
}

#[test]
fn a_writer_takes_no_more_at_once_than_it_keeps() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let mut writer = repo.start_upload().unwrap().into_writer();
    let content = vec![42; 9_000_000];
    fake.journal().clear();
    assert_eq!(writer.write(&content[..10]).unwrap(), 10);
    assert_eq!(writer.write(&content[10..]).unwrap(), (4 << 20) - 10);
    assert_eq!(fake.journal().count_of(Operation::UploadChunk), 0);
    writer.write_all(&content[4 << 20..]).unwrap();
    assert_eq!(writer.finish().unwrap().digest, Digest::sha256(&content));
}

#[test]
fn a_part_that_was_begun_keeps_its_limit() {
    let (registry, _fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let layer = repo.upload("sample layer").run().unwrap();
    for (limit, rest) in [(10, None), (11, Some("ample layer"))] {
        let range = ByteRange::new(0, None).unwrap();
        let mut part = repo.download_range(&layer.digest, range).run().unwrap();
        part.read_exact(&mut [0]).unwrap();
        match (part.bytes(limit), rest) {
            (Ok(read), Some(rest)) => assert_eq!(read, rest),
            (read, _) => assert_eq!(read.unwrap_err().kind(), ErrorKind::TooLarge),
        }
    }
}

/// A lock that is held around another call must not stop that call.
#[test]
fn progress_is_told_on_the_thread_of_the_call() {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let runtime = Runtime::new().unwrap();
    let server = runtime.block_on(fake.serve(Tls::On)).unwrap();
    let registry = acr_client::Registry::builder(server.endpoint())
        .ca_pem(server.ca_pem().unwrap())
        .no_proxy()
        .credential(Credential::password("me", "secret"))
        .build_blocking()
        .unwrap();
    let repo = registry.repository("library/app").unwrap();
    let content = vec![42; 20_000_000];
    let threads = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&threads);
    let upload = repo.upload(content.clone()).digest(Digest::sha256(&content));
    let upload = upload.on_progress(move |now| {
        told.lock().unwrap().push((thread::current().id(), now.transferred));
    });
    upload.run().unwrap();
    let told = threads.lock().unwrap();
    assert!(told.iter().all(|(thread, _)| *thread == thread::current().id()));
    // Not at the end only.
    let between = told.iter().filter(|(_, sent)| *sent > 0 && *sent < 20_000_000).count();
    assert!(between > 1, "{}", told.len());
    drop((repo, registry));
    drop(server);
}

#[test]
fn a_layer_that_starts_a_task_has_the_thread_of_the_registry() {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let layer = || ServiceBuilder::new().buffer(8).rate_limit(1000, Duration::from_secs(1));
    let registry = builder(&fake)
        .stack(move |pipeline| pipeline.layer_per_call(layer()))
        .build_blocking()
        .unwrap();
    registry.ping().unwrap();
    let layer = registry.repository("library/app").unwrap().upload("sample layer").run().unwrap();
    assert_eq!(layer.size, 12);
}
