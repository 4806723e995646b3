//! What the registry was asked, for assertions in one line.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use http::Method;
use serde::Serialize;

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
/// journal.assert_operations(&[]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Journal(Arc<Mutex<Records>>);

/// One request and what became of it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// When it arrived, by the registry's clock: RFC 3339.
    pub time: String,
    /// Which of the two servers was asked.
    pub origin: Origin,
    /// The method.
    #[serde(serialize_with = "method")]
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
    /// How many of them were sent for nothing: those of a request that was refused, or that was
    /// never handled.
    pub wasted_bytes: u64,
    /// Whether the answer was a 401 with a challenge.
    pub challenged: bool,
    /// The scopes that a call of `/oauth2/token` asked for.
    pub scopes: Vec<String>,
}

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
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
    /// Gets each entry as a line of JSON when its request is over.
    file: Option<File>,
}

/// A request that is not over yet; dropped, it was given up.
pub(crate) struct Recording {
    journal: Journal,
    number: u64,
    received: Arc<AtomicU64>,
    outcome: Option<(u16, bool)>,
    is_taken: bool,
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

    /// How many calls of `/oauth2/token` asked for each scope.
    pub fn token_calls(&self) -> BTreeMap<String, usize> {
        let mut calls = BTreeMap::new();
        for scope in lock(&self.0).entries.iter().flat_map(|entry| &entry.scopes) {
            *calls.entry(scope.clone()).or_default() += 1;
        }
        calls
    }

    /// How many bytes of bodies clients sent for nothing.
    pub fn wasted_bytes(&self) -> u64 {
        let records = lock(&self.0);
        records.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.wasted_bytes))
    }

    /// The operations, in the order in which they were asked for.
    pub fn operations(&self) -> Vec<&'static str> {
        lock(&self.0).entries.iter().map(|entry| entry.operation).collect()
    }

    /// Asserts that exactly these operations were asked for, in this order.
    ///
    /// # Panics
    ///
    /// When it was otherwise; the message shows the journal.
    #[track_caller]
    pub fn assert_operations(&self, expected: &[&str]) {
        let operations = self.operations();
        assert!(operations == expected, "expected {expected:?}, the journal says:\n{self}");
    }

    /// Asserts that so many requests were of a kind.
    ///
    /// # Panics
    ///
    /// When there were more or less; the message shows the journal.
    #[track_caller]
    pub fn assert_count(&self, kind: Kind, expected: usize) {
        let count = self.count(kind);
        assert!(count == expected, "{count} of {kind:?} instead of {expected}:\n{self}");
    }

    /// Asserts that nobody was challenged and no byte was sent for nothing: what a client
    /// reaches that knows which rights it needs.
    ///
    /// # Panics
    ///
    /// When it was otherwise; the message shows the journal.
    #[track_caller]
    pub fn assert_no_waste(&self) {
        let (challenges, wasted) = (self.count(Kind::Challenge), self.wasted_bytes());
        assert!(
            challenges == 0 && wasted == 0,
            "{challenges} challenges and {wasted} wasted bytes:\n{self}"
        );
    }

    /// Appends every request that ends from now on to a file, each as one line of JSON with the
    /// fields of [`Entry`]. The file is made where it does not exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened. A line that cannot be written is lost.
    pub fn append_to(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let file = File::options().append(true).create(true).open(path)?;
        lock(&self.0).file = Some(file);
        Ok(())
    }

    /// Adds a request on arrival.
    pub(crate) fn open(&self, entry: Entry, received: &Arc<AtomicU64>) -> Recording {
        let (journal, number) = (self.clone(), self.add(entry));
        let received = Arc::clone(received);
        Recording { journal, number, received, outcome: None, is_taken: false }
    }

    /// Adds a request; the number finds it again.
    fn add(&self, entry: Entry) -> u64 {
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

    fn write(&self, number: u64) {
        let mut records = lock(&self.0);
        let Records { first, entries, file } = &mut *records;
        let index = number.checked_sub(*first).and_then(|i| usize::try_from(i).ok());
        let entry = index.and_then(|i| entries.get(i));
        if let (Some(file), Some(entry)) = (file, entry) {
            let mut line = serde_json::to_vec(entry).unwrap_or_default();
            line.push(b'\n');
            // A journal that cannot be written must not break what it tells of.
            let _ = file.write_all(&line);
        }
    }
}

impl Recording {
    /// What handlers use to add to the entry.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Ends the request: with a status and whether that is a challenge, if anything was sent.
    pub(crate) fn close(mut self, outcome: Option<(u16, bool)>, is_taken: bool) {
        self.outcome = outcome;
        self.is_taken = is_taken;
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let (received, is_taken) = (self.received.load(Ordering::Relaxed), self.is_taken);
        let (status, challenged) = self.outcome.unwrap_or_default();
        self.journal.update(self.number, |entry| {
            entry.body_bytes = received;
            entry.wasted_bytes = if is_taken { 0 } else { received };
            (entry.status, entry.challenged) = (status, challenged);
        });
        self.journal.write(self.number);
    }
}

fn method<S: serde::Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
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
            time: String::new(),
            origin: Origin::Registry,
            method: Method::GET,
            path: "/v2/a\u{1b}/x".to_owned(),
            query: vec!["_state".to_owned()],
            headers: Vec::new(),
            status: 200,
            operation,
            authorized: true,
            body_bytes: 3,
            wasted_bytes: 2,
            challenged,
            scopes: vec!["registry:catalog:*".to_owned()],
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
        assert_eq!(journal.wasted_bytes(), 4);
        assert_eq!(journal.token_calls(), BTreeMap::from([("registry:catalog:*".to_owned(), 2)]));
        journal.assert_operations(&["get_manifest", "token"]);
        journal.assert_count(Kind::Token, 1);
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
