//! What the registry was asked, for assertions in one line.

mod entry;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
};

pub use self::entry::{Entry, Kind, Origin};
use crate::{operation::Operation, sync::lock};

/// The requests so far, in the order they arrived; a handle, cheap to clone.
///
/// No secret is ever kept: of a query only the names, of a header only the name.
/// The latest requests are kept, as many as fit into 8 MiB: some 10,000 of the usual kind. Of a
/// path, and of any other text that a client sends, the first 2,048 bytes are kept.
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

#[derive(Debug, Default)]
struct Records {
    /// The number of the first entry kept.
    first: u64,
    entries: VecDeque<Entry>,
    /// What the entries weigh together.
    bytes: usize,
    /// Gets each entry as a line of JSON when its request is over.
    file: Option<File>,
    /// Takes why requests were refused to standard error.
    reasons: Option<SyncSender<String>>,
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
        records.bytes = 0;
    }

    /// How many entries are of a kind.
    pub fn count(&self, kind: Kind) -> usize {
        lock(&self.0).entries.iter().filter(|entry| entry.kind() == kind).count()
    }

    /// How many entries are of an operation; `None` stands for requests without a route.
    pub fn count_of(&self, operation: impl Into<Option<Operation>>) -> usize {
        let operation = operation.into();
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

    /// The operations, in the order in which they were asked for; `None` for what has no route.
    pub fn operations(&self) -> Vec<Option<Operation>> {
        lock(&self.0).entries.iter().map(|entry| entry.operation).collect()
    }

    /// Asserts that exactly these operations were asked for, in this order.
    ///
    /// # Panics
    ///
    /// When it was otherwise; the message shows the journal.
    #[track_caller]
    pub fn assert_operations(&self, expected: &[Operation]) {
        let operations = self.operations();
        let is_expected = operations.iter().copied().eq(expected.iter().copied().map(Some));
        assert!(is_expected, "expected {expected:?}, the journal says:\n{self}");
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

    /// Writes from now on to standard error why a request was refused, where [`Entry::reason`]
    /// tells. Where nobody reads them, as from a pipe that is full, no request waits: the reasons
    /// that find no place any more are left out.
    ///
    /// # Errors
    ///
    /// When there is no thread for it.
    pub fn print_reasons(&self) -> io::Result<()> {
        let (sender, receiver) = mpsc::sync_channel::<String>(MAX_REASONS);
        let print = move || {
            // Nobody is left to tell if standard error is closed.
            receiver.into_iter().try_for_each(|line| io::stderr().write_all(line.as_bytes()))
        };
        thread::Builder::new().name("reasons".to_owned()).spawn(print)?;
        lock(&self.0).reasons = Some(sender);
        Ok(())
    }

    /// Adds a request on arrival.
    pub(crate) fn open(&self, entry: Entry, received: &Arc<AtomicU64>) -> Recording {
        let (journal, number) = (self.clone(), self.add(entry));
        let received = Arc::clone(received);
        Recording { journal, number, received, outcome: None, is_taken: false }
    }

    /// Adds a request; the number finds it again.
    fn add(&self, mut entry: Entry) -> u64 {
        entry.shorten();
        let mut records = lock(&self.0);
        records.bytes += entry.weight();
        records.entries.push_back(entry);
        records.shrink();
        records.end() - 1
    }

    /// Changes an entry unless it is forgotten already.
    pub(crate) fn update(&self, number: u64, change: impl FnOnce(&mut Entry)) {
        let mut records = lock(&self.0);
        let index = number.checked_sub(records.first).and_then(|i| usize::try_from(i).ok());
        if let Some(entry) = index.and_then(|i| records.entries.get_mut(i)) {
            let before = entry.weight();
            change(entry);
            entry.shorten();
            let after = entry.weight();
            records.bytes = records.bytes.saturating_sub(before).saturating_add(after);
            records.shrink();
        }
    }

    fn write(&self, number: u64) {
        let mut records = lock(&self.0);
        let Records { first, entries, file, reasons, .. } = &mut *records;
        let index = number.checked_sub(*first).and_then(|i| usize::try_from(i).ok());
        let entry = index.and_then(|i| entries.get(i));
        if let (Some(reasons), Some(line)) = (reasons, entry.and_then(Entry::reason_line)) {
            let _ = reasons.try_send(line);
        }
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

impl Records {
    /// Forgets the oldest entries until the rest fits; the newest always stays.
    fn shrink(&mut self) {
        while self.bytes > MAX_BYTES && self.entries.len() > 1 {
            let Some(entry) = self.entries.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(entry.weight());
            self.first += 1;
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

/// What the entries may weigh together, so that no client fills the memory.
const MAX_BYTES: usize = 8 << 20;

/// How many reasons may wait for standard error: 4 MiB of them, at their longest.
const MAX_REASONS: usize = 1024;

#[cfg(test)]
mod tests {
    use http::Method;

    use super::{entry::MAX_NAMES, *};

    fn entry(operation: Operation, challenged: bool) -> Entry {
        Entry {
            time: String::new(),
            origin: Origin::Registry,
            method: Method::GET,
            path: "/v2/a\u{1b}/x".to_owned(),
            query: vec!["_state".to_owned()],
            headers: Vec::new(),
            status: 200,
            operation: Some(operation),
            authorized: true,
            body_bytes: 3,
            wasted_bytes: 2,
            challenged,
            scopes: vec!["registry:catalog:*".to_owned()],
            reason: None,
        }
    }

    #[test]
    fn counts_by_kind_and_prints_one_line_each() {
        let journal = Journal::default();
        journal.add(entry(Operation::GetManifest, true));
        let number = journal.add(entry(Operation::FetchAccessToken, true));
        journal.update(number, |entry| entry.status = 401);
        assert_eq!(journal.count(Kind::Challenge), 1);
        assert_eq!(journal.count(Kind::Token), 1);
        assert_eq!(journal.count_of(Operation::GetManifest), 1);
        let text = journal.to_string();
        assert_eq!(
            text.lines().next(),
            Some("registry get_manifest GET /v2/a\\u{1b}/x?_state 200 authorized body=3")
        );
        assert_eq!(text.lines().count(), 2);
        assert_eq!(journal.wasted_bytes(), 4);
        assert_eq!(journal.token_calls(), BTreeMap::from([("registry:catalog:*".to_owned(), 2)]));
        journal.assert_operations(&[Operation::GetManifest, Operation::FetchAccessToken]);
        journal.assert_count(Kind::Token, 1);
        let mut unrouted = entry(Operation::Ping, false);
        unrouted.operation = None;
        let json = serde_json::to_value(&unrouted).unwrap();
        assert_eq!(json["operation"], "unrouted");
        journal.add(unrouted);
        assert_eq!((journal.count_of(None), journal.count_of(Operation::Ping)), (1, 0));
    }

    #[test]
    fn a_cleared_entry_is_not_changed_by_a_late_answer() {
        let journal = Journal::default();
        let number = journal.add(entry(Operation::Ping, false));
        journal.clear();
        journal.add(entry(Operation::Ping, false));
        journal.update(number, |entry| entry.status = 500);
        assert_eq!(journal.entries()[0].status, 200);
    }
    #[test]
    fn e6_long_texts_and_many_entries_are_bounded_by_their_bytes() {
        let journal = Journal::default();
        for number in 0..300 {
            let mut long = entry(Operation::Ping, false);
            long.path = format!("/{number}/{}", "é".repeat(30_000));
            long.headers = vec!["h".repeat(3_000); 300];
            journal.add(long);
        }
        let records = lock(&journal.0);
        assert!(records.bytes <= MAX_BYTES, "{}", records.bytes);
        let sum = records.entries.iter().map(Entry::weight).sum::<usize>();
        assert_eq!(records.bytes, sum);
        let last = records.entries.back().unwrap();
        assert!(last.path.starts_with("/299/é") && last.path.ends_with('…'));
        assert_eq!(last.headers.len(), MAX_NAMES - last.query.len());
        drop(records);
        journal.clear();
        let number = journal.add(entry(Operation::Ping, false));
        journal.update(number, |entry| entry.scopes = vec!["s".repeat(100_000); 300]);
        let records = lock(&journal.0);
        let weight = records.entries[0].weight();
        assert!(weight < 2 << 20, "{weight}");
        assert_eq!(records.bytes, weight);
    }
}
