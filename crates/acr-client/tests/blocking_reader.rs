//! What an upload reads from a `Read`: on which thread, for how long, and what of its failures.

#![cfg(feature = "blocking")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::{
    io::{self, Read},
    sync::mpsc,
    time::Duration,
};

use acr_client::{
    Credential, Digest, ErrorKind,
    blocking::{Registry, reader, sized_reader},
};
use acr_testkit::{FakeRegistry, Fault, Operation};

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

/// Within one registry, where both use one thread for sockets, and between two.
#[test]
fn a_blob_is_copied_from_one_registry_to_another() {
    let content: Vec<u8> = (0..9_000_000u32).map(|n| n.to_le_bytes()[1]).collect();
    let (from, _from_fake) = in_process();
    let (to, _to_fake) = in_process();
    let layer = from.repository("library/app").unwrap().upload(content).run().unwrap();
    for (registry, name) in [(&from, "library/copy"), (&to, "library/app")] {
        let download = from.repository("library/app").unwrap().download(&layer.digest);
        let target = registry.repository(name).unwrap();
        let copied = target.upload(reader(download.run().unwrap())).run().unwrap();
        assert_eq!(copied.digest, layer.digest, "{name}");
    }
}

/// Gives bytes for ever, and says when it was dropped.
struct Endless(mpsc::Sender<()>);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(7);
        Ok(buffer.len())
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        self.0.send(()).unwrap();
    }
}

#[test]
fn an_upload_that_ends_early_ends_the_thread_that_reads() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let (dropped, is_dropped) = mpsc::channel();
    fake.inject(Fault::status(Operation::UploadChunk, 1, 403));
    let failed = repo.upload(reader(Endless(dropped.clone()))).chunk_size(1 << 20).run();
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Forbidden);
    is_dropped.recv_timeout(Duration::from_secs(20)).unwrap();
    // Nobody asked for a byte.
    drop(repo.upload(reader(Endless(dropped))));
    is_dropped.recv_timeout(Duration::from_secs(20)).unwrap();
}

/// Gives some content and then fails, or panics.
struct Broken {
    rest: usize,
    panics: bool,
}

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest == 0 {
            assert!(!self.panics, "broken");
            return Err(io::Error::other("broken"));
        }
        let given = buffer.len().min(self.rest);
        buffer[..given].fill(7);
        self.rest -= given;
        Ok(given)
    }
}

#[test]
fn content_that_breaks_off_is_not_stored_as_if_it_had_ended() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    for panics in [false, true] {
        for rest in [0, 100_000, 3_000_000] {
            let content = reader(Broken { rest, panics });
            let error = repo.upload(content).chunk_size(1 << 20).run().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Source, "{rest} {panics}");
            assert!(!repo.exists(Digest::sha256(&vec![7; rest])).unwrap(), "{rest} {panics}");
        }
    }
    assert_eq!(fake.journal().count_of(Operation::CompleteUpload), 0);
}

/// A terminal whose reader pressed Ctrl-D once, a FIFO that got another writer since.
struct GoesOn {
    first: Option<Vec<u8>>,
    has_ended: bool,
}

impl Read for GoesOn {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!self.has_ended, "it said that it ended");
        let Some(rest) = self.first.as_mut().filter(|rest| !rest.is_empty()) else {
            self.has_ended = true;
            return Ok(0);
        };
        let most = rest.len().min(buffer.len());
        buffer[..most].copy_from_slice(&rest[..most]);
        rest.drain(..most);
        Ok(most)
    }
}

#[test]
fn nothing_is_read_after_the_end() {
    let (registry, _fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    for size in [0, 12, 256 << 10, (256 << 10) + 1] {
        let content = vec![7; size];
        let first = Some(content.clone());
        let layer = repo.upload(reader(GoesOn { first, has_ended: false })).run().unwrap();
        assert_eq!(layer.digest, Digest::sha256(&content), "{size}");
    }
}

#[test]
fn what_has_a_known_length_goes_in_one_request() {
    let (registry, fake) = in_process();
    let repo = registry.repository("library/app").unwrap();
    let content = vec![7; 20 << 20];
    let layer =
        repo.upload(sized_reader(io::Cursor::new(content.clone()), 20 << 20)).run().unwrap();
    assert_eq!(layer.digest, Digest::sha256(&content));
    let chunks = fake.journal().count_of(Operation::UploadChunk);
    assert!(chunks <= 1, "{chunks}");
}
