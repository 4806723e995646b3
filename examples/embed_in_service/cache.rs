//! Content by its URL, bounded in bytes. What is used least goes first.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderMap;

/// Verified content that never changes: its URL ends in its digest.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<String, Entry>,
    capacity: usize,
    used: usize,
    /// Counts uses, to tell which entry was used last.
    clock: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

#[derive(Debug)]
struct Entry {
    content: Content,
    used_at: u64,
}

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity, used: 0, clock: 0 }
    }

    /// What is larger goes past the cache: one layer must not push out all others.
    pub(crate) fn largest(&self) -> usize {
        self.capacity / 4
    }

    pub(crate) fn get(&mut self, path: &str) -> Option<Content> {
        self.clock += 1;
        let entry = self.entries.get_mut(path)?;
        entry.used_at = self.clock;
        Some(entry.content.clone())
    }

    pub(crate) fn insert(&mut self, path: String, content: Content) {
        let size = content.bytes.len();
        if size > self.largest() {
            return;
        }
        self.clock += 1;
        let used_at = self.clock;
        self.used += size;
        if let Some(old) = self.entries.insert(path, Entry { content, used_at }) {
            self.used -= old.content.bytes.len();
        }
        while self.used > self.capacity {
            self.evict();
        }
    }

    /// Looks at all entries: there are few, and it happens once per download.
    fn evict(&mut self) {
        let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used_at);
        let Some(path) = oldest.map(|(path, _)| path.clone()) else {
            return;
        };
        if let Some(entry) = self.entries.remove(&path) {
            self.used -= entry.content.bytes.len();
        }
    }
}
