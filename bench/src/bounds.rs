//! What transfers may cost in counts that no load of the machine changes, in one table.
//!
//! Whoever makes something cheaper lowers its bound in the same commit.

/// A count and its bound.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Bound {
    /// What is counted.
    pub what: &'static str,
    /// As many as it may be.
    pub most: f64,
    /// As many as it was when the bound was set.
    pub seen: f64,
}

/// All bounds. Requests and connections include those of the token service; allocations are those of
/// the client's thread, and their bounds leave room for bodies that come in other pieces.
pub const BOUNDS: &[Bound] = &[
    bound("requests: 10 gets", 11.0, 11.0),
    bound("requests: 20 gets of two repositories in turn", 22.0, 22.0),
    bound("requests: 64 MiB down", 2.0, 2.0),
    bound("requests: 64 MiB up from a file", 4.0, 4.0),
    bound("requests: 64 MiB up from a stream", 10.0, 10.0),
    bound("requests: 10 puts", 21.0, 21.0),
    bound("requests: 100 pages of tags", 101.0, 101.0),
    bound("requests: 10 times a list, a get and a put", 43.0, 43.0),
    bound("connections: 64 tasks, 80 requests each", 70.0, 66.0),
    bound("connections: after the warm-up of these tasks", 2.0, 0.0),
    bound("connections: 80 times 64 gets at once", 66.0, 64.0),
    bound("connections: one after another", 1.0, 1.0),
    bound("body bytes for each of a file", 1.0, 1.0),
    bound("body bytes for each of a stream", 1.0, 1.0),
    bound("body bytes for each of a small put", 1.0, 1.0),
    bound("body bytes for each of a download", 1.0, 1.0),
    bound("allocations: a request without a body", 67.0, 66.72),
    bound("allocations: a get of 16 KiB", 81.5, 81.05),
    bound("allocations: a put of 16 KiB", 156.0, 155.87),
    bound("allocations: a tag of a list", 5.1, 5.0),
    bound("allocations: a MiB down", 8.0, 6.31),
    bound("allocations: a MiB up from a file", 6.0, 5.45),
    bound("allocations: a MiB up from a stream", 12.0, 11.77),
];

/// Holds a count against its bound, and prints it.
///
/// # Panics
///
/// If it is above the bound, or has none.
#[allow(clippy::print_stdout, reason = "for whoever sets the bound")]
pub fn hold(what: &str, count: f64) {
    let bound = BOUNDS.iter().find(|bound| bound.what == what);
    assert!(bound.is_some(), "`{what}` has no bound");
    let Some(Bound { most, seen, .. }) = bound else { return };
    println!("{what}: {count:.2} (at most {most}, seen {seen})");
    assert!(count <= *most, "{what}: {count:.2}, at most {most}; {seen} when the bound was set");
}

const fn bound(what: &'static str, most: f64, seen: f64) -> Bound {
    Bound { what, most, seen }
}
