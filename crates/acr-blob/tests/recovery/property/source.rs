//! A source that changes.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// What becomes of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    SameLength,
    SameTime,
    Longer,
    Shorter,
    /// Another file with the same content in the same place.
    Replaced,
}

/// The source and all that it ever was.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) now: Vec<u8>,
    pub(crate) versions: Vec<Vec<u8>>,
    pub(crate) seed: u8,
}

impl Source {
    pub(crate) fn change(&mut self, change: Change) {
        self.seed = self.seed.wrapping_add(1);
        let (len, seed) = (self.now.len(), self.seed);
        let at = len * 7 % 5 * len / 5;
        match change {
            Change::None => return,
            Change::Replaced => {
                let other = self.path.with_extension("other");
                fs::write(&other, &self.now).unwrap();
                fs::rename(&other, &self.path).unwrap();
                return;
            }
            Change::SameLength | Change::SameTime => {}
            Change::Longer => self.now.extend_from_slice(&[seed; 333]),
            Change::Shorter => self.now.truncate(len / 2),
        }
        if let Some(byte) = self.now.get_mut(at) {
            *byte = byte.wrapping_add(seed).wrapping_add(1);
        }
        self.versions.push(self.now.clone());
        let time = fs::metadata(&self.path).unwrap().modified().unwrap();
        fs::write(&self.path, &self.now).unwrap();
        if change == Change::SameTime {
            set_time(&self.path, time);
        }
    }
}

pub(crate) fn set_time(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}
