//! The shapes of a token's text that break careless decoders.

/// Which letters and which length the middle part of a token must have.
///
/// The part is base64url without padding: decoders go wrong over `-` and `_`, and over a
/// length that is no multiple of four. By default tokens come as they come.
///
/// ```
/// use acr_testkit::{FakeRegistry, JwtShape};
///
/// let shape = JwtShape::new().remainder(3).dash().underscore();
/// let registry = FakeRegistry::builder().jwt_shape(shape).build();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JwtShape {
    remainder: Option<usize>,
    dash: bool,
    underscore: bool,
}

impl JwtShape {
    /// No demands.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length modulo 4: 0, 2 or 3. A length with the remainder 1 does not exist; the
    /// next possible one is taken.
    #[must_use]
    pub fn remainder(mut self, remainder: u8) -> Self {
        self.remainder = Some(match remainder % 4 {
            1 => 2,
            other => usize::from(other),
        });
        self
    }

    /// At least one `-`.
    #[must_use]
    pub fn dash(mut self) -> Self {
        self.dash = true;
        self
    }

    /// At least one `_`.
    #[must_use]
    pub fn underscore(mut self) -> Self {
        self.underscore = true;
        self
    }

    /// A note that gives the part this shape, found by trying; `None` without demands.
    pub(crate) fn note(self, encode: impl Fn(&str) -> String) -> Option<String> {
        if self == Self::default() {
            return None;
        }
        // `>` and `?` become the two letters at one of three positions, so each is tried at all.
        let notes = (0..3).flat_map(|front| {
            (0..3).map(move |back| format!("{}>>>???~~~{}", "x".repeat(front), "x".repeat(back)))
        });
        let mut notes = notes.filter(|note| self.fits(&encode(note)));
        notes.next()
    }

    fn fits(self, text: &str) -> bool {
        self.remainder.is_none_or(|remainder| text.len() % 4 == remainder)
            && (!self.dash || text.contains('-'))
            && (!self.underscore || text.contains('_'))
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn every_shape_is_found_wherever_the_note_begins() {
        for offset in 0..9 {
            let encode =
                |note: &str| URL_SAFE_NO_PAD.encode(format!("{}{note}\"}}", "a".repeat(offset)));
            for remainder in [0, 2, 3] {
                let shape = JwtShape::new().remainder(remainder).dash().underscore();
                let text = encode(&shape.note(encode).unwrap());
                assert_eq!(text.len() % 4, usize::from(remainder));
                assert!(text.contains('-') && text.contains('_'), "{text}");
            }
            assert_eq!(JwtShape::new().note(encode), None);
        }
    }
}
