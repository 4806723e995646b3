//! Several downloads for one path.

use std::fs;

use acr_core::ErrorKind;
use acr_testkit::{Fault, Operation};

use crate::place::{MIB, Place};

#[tokio::test]
async fn of_two_at_once_one_is_told_and_neither_spoils_the_other() {
    let place = Place::new().await;
    let first = place.begun(place.download(), 1).await;
    // The first is in the middle, and stays there.
    let refused = place.download().to_file_resumable(place.path("file")).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().contains("another download is writing to it"), "{error}");
    assert_eq!(first.await.unwrap(), place.content.len() as u64);
    assert!(fs::read(place.path("file")).unwrap() == place.content);
    assert_eq!(place.names(), ["file"]);
}

/// Whoever gives up a download that still runs, and begins another one, gets the other one's file:
/// the first touches nothing that it did not make. On Windows nobody can remove what is open.
#[cfg(unix)]
#[tokio::test]
async fn a_download_whose_files_were_removed_leaves_those_of_the_next_one_alone() {
    let place = Place::new().await;
    let others = ["file.acr-checkpoint", "file.acr-partial"];
    // Before it notes how far it is, before it is done, and before it throws all away.
    for (at, is_corrupt) in [(2, false), (9, false), (9, true)] {
        if is_corrupt {
            place.fake.inject(Fault::corrupt(Operation::GetStorage, MIB as u64));
        }
        let first = place.begun(place.download(), at * MIB as u64).await;
        for name in others {
            let _ = fs::remove_file(place.path(name));
        }
        let second = place.begun(place.download(), 6 * MIB as u64).await;
        let before = fs::read(place.path("file.acr-checkpoint")).unwrap();
        let error = first.await.unwrap_err();
        if is_corrupt {
            assert_eq!(error.kind(), ErrorKind::Integrity);
        } else {
            assert_eq!(error.kind(), ErrorKind::Source);
            assert!(error.to_string().contains("removed or replaced meanwhile"), "{error}");
        }
        assert_eq!(place.names(), others, "{at}");
        assert!(fs::read(place.path("file.acr-checkpoint")).unwrap() == before, "{at}");
        assert_eq!(second.await.unwrap(), place.content.len() as u64);
        assert!(fs::read(place.path("file")).unwrap() == place.content);
        assert_eq!(place.names(), ["file"]);
        fs::remove_file(place.path("file")).unwrap();
    }
}
