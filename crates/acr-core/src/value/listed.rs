//! A list within properties.

use std::{fmt, ops::Deref, slice, vec};

use serde::{Serialize, Serializer};

use crate::value::unreadable::Unreadable;

/// A list within properties: what could be read of it, and what could not.
///
/// It is a slice of the former. But it is empty only when the registry named nothing: a
/// manifest whose only tag cannot be read is not an untagged one.
///
/// ```no_run
/// # fn run(tags: acr_core::Listed<acr_core::Tag>) {
/// for tag in &tags {
///     println!("{tag}");
/// }
/// let is_untagged = tags.is_empty();
/// # let _ = is_untagged; }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Listed<T> {
    readable: Vec<T>,
    unreadable: Vec<Unreadable>,
}

impl<T> Listed<T> {
    /// What could be read, and what could not.
    pub fn new(readable: Vec<T>, unreadable: Vec<Unreadable>) -> Self {
        Self { readable, unreadable }
    }

    /// Whether the registry named nothing, readable or not.
    pub fn is_empty(&self) -> bool {
        self.readable.is_empty() && self.unreadable.is_empty()
    }

    /// What the registry named and could not be read.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }
}

/// The items that could be read, as a list.
impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.readable.serialize(serializer)
    }
}

/// A list of which everything could be read.
impl<T> From<Vec<T>> for Listed<T> {
    fn from(readable: Vec<T>) -> Self {
        Self::new(readable, Vec::new())
    }
}

impl<T> FromIterator<T> for Listed<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        items.into_iter().collect::<Vec<T>>().into()
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl<T> Deref for Listed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.readable
    }
}

impl<T> IntoIterator for Listed<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.readable.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Listed<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.readable.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Listed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.readable).entries(&self.unreadable).finish()
    }
}
