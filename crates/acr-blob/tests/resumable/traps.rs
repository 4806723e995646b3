//! What others may have put beside the target.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink},
};

use acr_core::ErrorKind;

use crate::place::{MIB, Place};

/// The names beside the target can be foreseen, in folders that others may write to.
#[tokio::test]
async fn a_trap_beside_the_target_is_not_written_through() {
    let place = Place::new().await;
    let victim = place.path("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, place.path("file.acr-partial")).unwrap();
    let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    fs::remove_file(place.path("file.acr-partial")).unwrap();
    symlink(&victim, place.path("file.acr-checkpoint")).unwrap();
    place.download().to_file_resumable(place.path("file")).await.unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    assert_eq!(fs::metadata(place.path("file")).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Each is refused, with what it is and the remedy, and nothing is written to it.
#[tokio::test]
async fn a_file_that_others_may_reach_is_not_written_to() {
    let place = Place::new().await;
    let (partial, victim) = (place.path("file.acr-partial"), place.path("victim"));
    fs::write(&victim, "mine").unwrap();
    // Nobody but root can make a file of another user.
    let is_root = fs::metadata(&victim).unwrap().uid() == 0;
    let traps = [
        ("second name", 0o600),
        ("open it too", 0o666),
        ("open it too", 0o644),
        ("open it too", 0o620),
        ("another user's", 0o600),
    ];
    for (why, mode) in traps {
        match why {
            "second name" => fs::hard_link(&victim, &partial).unwrap(),
            _ => drop(File::create(&partial).unwrap()),
        }
        fs::set_permissions(&partial, Permissions::from_mode(mode)).unwrap();
        if why == "another user's" {
            if !is_root {
                continue;
            }
            chown(&partial, Some(12_345), None).unwrap();
        }
        let error = place.download().to_file_resumable(place.path("file")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Source);
        let text = error.to_string();
        assert!(text.contains(why) && text.contains("remove it"), "{text}");
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        fs::remove_file(&partial).unwrap();
        assert_eq!(place.names(), ["victim"]);
    }
    assert!(place.finished(place.download()).await < MIB as u64);
}
