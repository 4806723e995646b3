//! Files whose times prove something.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

/// Returns once the clock of the file system is visibly past the file's last change.
pub(crate) fn until_settled(path: &Path) {
    let changed = |path: &Path| -> SystemTime { fs::metadata(path).unwrap().modified().unwrap() };
    let (since, probe) = (changed(path), tempfile::NamedTempFile::new().unwrap());
    while changed(probe.path()) < since + Duration::from_millis(100) {
        fs::write(probe.path(), "again").unwrap();
    }
}
