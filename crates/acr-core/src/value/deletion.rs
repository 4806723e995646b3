//! How a deletion ended, and what went.

use std::fmt;

use crate::value::{digest::Digest, listed::Listed, name::Tag, unknown_fields::UnknownFields};

/// How a deletion ended: of a repository, a manifest, a tag or a blob. What was to go is
/// gone; whether it was there before is [`Deletion::was`].
///
/// ```no_run
/// # fn run(deletion: acr_core::Deletion) {
/// use acr_core::Was;
///
/// match deletion.was {
///     Was::Existed => println!("deleted, and with it {} tags", deletion.tags.len()),
///     _ => println!("there was nothing to delete"),
/// }
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deletion {
    /// Whether there was anything to delete.
    pub was: Was,
    /// The digest of what was deleted; of a tag the one that it stood for, if the registry said
    /// so; of a repository none. Also of what was absent, where the caller gave a tag and somebody
    /// else deleted its manifest after the tag was read.
    pub digest: Option<Digest>,
    /// The manifests that went with a repository, if the registry says so.
    pub manifests: Listed<Digest>,
    /// The tags that went with a repository, if the registry says so.
    pub tags: Listed<Tag>,
    /// What else the registry says, which this version has no name for.
    pub unknown: UnknownFields,
}

/// Whether there was anything to delete. Both are success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Was {
    /// It existed, and was deleted.
    Existed,
    /// It was absent already.
    Absent,
}

impl Deletion {
    /// Of something that was there or not, of which nothing else is known.
    ///
    /// ```
    /// use acr_core::{Deletion, Was};
    ///
    /// assert!(Deletion::new(Was::Existed).existed());
    /// ```
    pub fn new(was: Was) -> Self {
        Self {
            was,
            digest: None,
            manifests: Listed::default(),
            tags: Listed::default(),
            unknown: UnknownFields::default(),
        }
    }

    /// Says which digest it stood for.
    ///
    /// ```
    /// use acr_core::{Deletion, Digest, Was};
    ///
    /// let deletion = Deletion::new(Was::Existed).digest(Digest::sha256(b"{}"));
    /// assert_eq!(deletion.digest, Some(Digest::sha256(b"{}")));
    /// ```
    #[must_use]
    pub fn digest(mut self, digest: impl Into<Option<Digest>>) -> Self {
        self.digest = digest.into();
        self
    }

    /// Whether it existed.
    ///
    /// ```
    /// use acr_core::{Deletion, Digest, Was};
    ///
    /// let deletion = Deletion::new(Was::Absent).digest(Digest::sha256(b"{}"));
    /// assert!(!deletion.existed());
    /// ```
    pub fn existed(&self) -> bool {
        self.was == Was::Existed
    }
}

impl PartialEq<Was> for Deletion {
    fn eq(&self, was: &Was) -> bool {
        self.was == *was
    }
}

impl fmt::Display for Was {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Existed => "deleted",
            Self::Absent => "was absent",
        })
    }
}

impl fmt::Display for Deletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.was.fmt(f)
    }
}
