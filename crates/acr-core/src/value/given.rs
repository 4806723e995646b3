//! A value as somebody gave it, for builders that complain when they are awaited.

use std::sync::Arc;

use crate::http::error::{Error, Result};

/// A value made of what somebody typed, or why it is none.
///
/// For authors of clients, and their builders: a setter cannot fail without breaking the chain of calls, so it keeps what is
/// wrong, and the builder says it when it is awaited, before anything is sent.
///
/// ```
/// use acr_core::{Digest, ErrorKind, Reference, Tag, value::Given};
///
/// let tag: Tag = "v1".parse()?;
/// let all: [Given<Reference>; 3] = [Given::new("v1"), Given::new(&tag), Given::new(tag.clone())];
/// for given in all {
///     assert_eq!(given.get()?, Reference::Tag(tag.clone()));
/// }
/// let odd: Given<Digest> = Given::new("sha256:odd");
/// assert_eq!(odd.get().unwrap_err().kind(), ErrorKind::InvalidInput);
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Given<T>(std::result::Result<T, Arc<Error>>);

impl<T> Given<T> {
    /// Makes the value of what was given.
    pub fn new(value: impl TryInto<T, Error: Into<Error>>) -> Self {
        Self(value.try_into().map_err(|error| Arc::new(error.into())))
    }

    /// The value.
    ///
    /// # Errors
    ///
    /// What is wrong with what was given, each time it is asked for.
    pub fn get(self) -> Result<T> {
        self.0.map_err(|error| Error::shared(&error))
    }
}
