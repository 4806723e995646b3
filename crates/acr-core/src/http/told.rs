//! How often a stream gives its error.

use crate::http::error::{Error, Result};

/// Lets a stream that failed give its error again, and then end.
///
/// "No more" means to most code that all went well, so a stream that failed goes on failing. But
/// not for ever: code that leaves errors out would never return. Sixteen times is more often than
/// any adapter asks on.
///
/// ```
/// use acr_core::{Error, ErrorKind, http::client::Told};
///
/// let mut told = Told::default();
/// let mut ask = || told.tell::<()>(Error::new(ErrorKind::Transport, "broken"));
/// assert!((0..16).all(|_| ask().is_some()));
/// assert!(ask().is_none());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Told(u32);

impl Told {
    /// What the stream gives next: the error, or the end if it was given often enough.
    pub fn tell<T>(&mut self, error: Error) -> Option<Result<T>> {
        self.0 = self.0.saturating_add(1);
        (self.0 <= MAX_TOLD).then_some(Err(error))
    }

    /// The same for a stream that may go on after an error: an item, or the end, begins the count
    /// anew.
    pub fn next<T>(&mut self, item: Option<Result<T>>) -> Option<Result<T>> {
        match item {
            Some(Err(error)) => self.tell(error),
            other => {
                *self = Self::default();
                other
            }
        }
    }
}

const MAX_TOLD: u32 = 16;
