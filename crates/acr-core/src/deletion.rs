//! How a deletion ended.

/// How a deletion ended. Both are success: what was to go is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deletion {
    /// It existed and was deleted.
    Deleted,
    /// There was nothing to delete.
    AlreadyAbsent,
}
