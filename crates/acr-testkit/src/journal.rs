//! What the registry was asked, for assertions in one line.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex},
};

use http::Method;

use crate::sync::lock;

/// The requests so far, in the order they arrived; a handle, cheap to clone.
///
/// No secret is ever kept: of a query only the names, of a header only the name.
/// The latest 100,000 requests are kept.
///
/// ```
/// use acr_testkit::{FakeRegistry, Kind};
///
/// let journal = FakeRegistry::new().journal();
/// assert_eq!(journal.count(Kind::Challenge), 0);
/// assert!(journal.entries().is_empty());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Records>>);

/// One request and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Entry {
    /// Which of the two servers was asked.
    pub origin: Origin,
    /// The method.
    pub method: Method,
    /// The path as it was sent, without the query.
    pub path: String,
    /// The names in the query, in order, without their values.
    pub query: Vec<String>,
    /// The names of the request's headers in lower case, without their values.
    pub headers: Vec<String>,
    /// The status of the answer; 0 when none was sent, or none yet.
    pub status: u16,
    /// The operation's name, `unrouted` for a request without a route.
    pub operation: &'static str,
    /// Whether the request carried an `Authorization` header.
    pub authorized: bool,
    /// How many bytes of the request's body arrived.
    pub body_bytes: u64,
    /// Whether the answer was a 401 with a challenge.
    pub challenged: bool,
}

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Origin {
    /// The login server.
    Registry,
    /// The storage that blob downloads are redirected to.
    Storage,
}

/// What an [`Entry`] is about, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An answer 401 with `WWW-Authenticate` outside the token service.
    Challenge,
    /// A call of `/oauth2/exchange`.
    Exchange,
    /// A call of `/oauth2/token`.
    Token,
    /// Anything else.
    Other,
}

#[derive(Debug, Default)]
struct Records {
    /// The number of the first entry kept.
    first: u64,
    entries: VecDeque<Entry>,
}

impl Journal {
    /// A copy of all entries.
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.0).entries.iter().cloned().collect()
    }

    /// Forgets all entries so far.
    pub fn clear(&self) {
        let mut records = lock(&self.0);
        records.first = records.end();
        records.entries.clear();
    }

    /// How many entries are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        lock(&self.0).entries.iter().filter(|entry| entry.kind() == kind).count()
    }

    /// How many entries are of an operation, such as `get_manifest`.
    pub fn count_of(&self, operation: &str) -> usize {
        lock(&self.0).entries.iter().filter(|entry| entry.operation == operation).count()
    }

    /// Adds a request on arrival; the number finds it again.
    pub(crate) fn add(&self, entry: Entry) -> u64 {
        let mut records = lock(&self.0);
        if records.entries.len() >= MAX_ENTRIES {
            records.entries.pop_front();
            records.first += 1;
        }
        records.entries.push_back(entry);
        records.end() - 1
    }

    /// Changes an entry unless it is forgotten already.
    pub(crate) fn update(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        let mut records = lock(&self.0);
        let index = number.checked_sub(records.first).and_then(|i| usize::try_from(i).ok());
        if let Some(entry) = index.and_then(|i| records.entries.get_mut(i)) {
            change(entry);
        }
    }
}

impl Entry {
    /// What this entry is about.
    pub fn kind(&self) -> Kind {
        match self.operation {
            "exchange" => Kind::Exchange,
            "token" => Kind::Token,
            _ if self.challenged => Kind::Challenge,
            _ => Kind::Other,
        }
    }
}

impl Records {
    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }
}

/// One line for each entry.
impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lock(&self.0).entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

/// `registry get_blob GET /v2/app/blobs/sha256:… 307`, with control characters escaped.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.escape_debug();
        write!(f, "{} {} {} {path}", self.origin, self.operation, self.method)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query.join("&").escape_debug())?;
        }
        write!(f, " {}", self.status)?;
        if self.authorized {
            f.write_str(" authorized")?;
        }
        if self.body_bytes > 0 {
            write!(f, " body={}", self.body_bytes)?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "registry",
            Self::Storage => "storage",
        })
    }
}

/// A bound, so that a client in a loop cannot fill the memory.
const MAX_ENTRIES: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(operation: &'static str, challenged: bool) -> Entry {
        Entry {
            origin: Origin::Registry,
            method: Method::GET,
            path: "/v2/a\u{1b}/x".to_owned(),
            query: vec!["_state".to_owned()],
            headers: Vec::new(),
            status: 200,
            operation,
            authorized: true,
            body_bytes: 3,
            challenged,
        }
    }

    #[test]
    fn counts_by_kind_and_prints_one_line_each() {
        let journal = Journal::default();
        journal.add(entry("get_manifest", true));
        let number = journal.add(entry("token", true));
        journal.update(number, |entry| entry.status = 401);
        assert_eq!(journal.count(Kind::Challenge), 1);
        assert_eq!(journal.count(Kind::Token), 1);
        assert_eq!(journal.count_of("get_manifest"), 1);
        let text = journal.to_string();
        assert_eq!(
            text.lines().next(),
            Some("registry get_manifest GET /v2/a\\u{1b}/x?_state 200 authorized body=3")
        );
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn a_cleared_entry_is_not_changed_by_a_late_answer() {
        let journal = Journal::default();
        let number = journal.add(entry("ping", false));
        journal.clear();
        journal.add(entry("ping", false));
        journal.update(number, |entry| entry.status = 500);
        assert_eq!(journal.entries()[0].status, 200);
    }
}
