//! Text of a document as an error may show it.

use std::fmt;

/// Shows outsiders' text harmless and short.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = self.0.chars();
        for letter in letters.by_ref().take(MAX_SHOWN) {
            write!(f, "{}", letter.escape_debug())?;
        }
        if letters.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

/// A sha512 digest fits.
const MAX_SHOWN: usize = 140;
