//! Content digests and the incremental digester. `sha2` is named only here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};
use thiserror::Error as ThisError;

use crate::error::{Error, ErrorKind};

/// A content digest: `sha256:` and 64, or `sha512:` and 128, lower-case hexadecimal digits.
///
/// A digest is parsed once, at the edge; no text that merely looks like one
/// travels further. Azure Container Registry itself accepts only sha256.
///
/// ```
/// use acr_core::Digest;
///
/// let digest = Digest::sha256(b"hello world");
/// assert_eq!(
///     digest.as_str(),
///     "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
/// );
/// assert!("sha256:abcdef".parse::<Digest>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// Hashes content piece by piece.
///
/// ```
/// use acr_core::{Algorithm, Digest, Digester};
///
/// let mut digester = Digester::new(Algorithm::Sha256);
/// digester.update(b"hello ");
/// digester.update(b"world");
/// assert_eq!(digester.len(), 11);
/// assert_eq!(digester.finish(), Digest::sha256(b"hello world"));
/// ```
#[derive(Clone)]
pub struct Digester {
    state: State,
    len: u64,
}

/// A hash algorithm a [`Digest`] can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256, the one every registry accepts.
    #[default]
    Sha256,
    /// SHA-512, optional in the OCI specification.
    Sha512,
}

/// The text is not a digest this library accepts.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{}` is not a sha256 or sha512 digest in lower-case hexadecimal", crate::redact::printable(.text))]
pub struct ParseDigestError {
    text: String,
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Digest {
    /// The sha256 digest of content held in memory.
    pub fn sha256(content: &[u8]) -> Self {
        let mut digester = Digester::new(Algorithm::Sha256);
        digester.update(content);
        digester.finish()
    }

    /// The whole digest as text, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with(Algorithm::Sha512.prefix()) {
            Algorithm::Sha512
        } else {
            Algorithm::Sha256
        }
    }

    /// The hexadecimal part.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// A digester of this digest's algorithm.
    pub fn digester(&self) -> Digester {
        Digester::new(self.algorithm())
    }
}

impl Digester {
    /// Starts hashing.
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm {
            Algorithm::Sha256 => State::Sha256(Sha256::new()),
            Algorithm::Sha512 => State::Sha512(Sha512::new()),
        };
        Self { state, len: 0 }
    }

    /// Adds the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        match &mut self.state {
            State::Sha256(hasher) => hasher.update(piece),
            State::Sha512(hasher) => hasher.update(piece),
        }
        self.len = self.len.saturating_add(piece.len() as u64);
    }

    /// How many bytes were hashed so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was hashed so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Ends hashing.
    pub fn finish(self) -> Digest {
        let (algorithm, hex) = match self.state {
            State::Sha256(hasher) => (
                Algorithm::Sha256,
                base16ct::lower::encode_string(&hasher.finalize()),
            ),
            State::Sha512(hasher) => (
                Algorithm::Sha512,
                base16ct::lower::encode_string(&hasher.finalize()),
            ),
        };
        Digest(format!("{}{hex}", algorithm.prefix()))
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::new(Algorithm::Sha256)
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digester")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Algorithm {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256:",
            Self::Sha512 => "sha512:",
        }
    }

    const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = [Algorithm::Sha256, Algorithm::Sha512]
            .into_iter()
            .any(|algorithm| {
                text.strip_prefix(algorithm.prefix()).is_some_and(|hex| {
                    hex.len() == algorithm.hex_len()
                        && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                })
            });
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseDigestError {
                text: text.to_owned(),
            })
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<&str> for Digest {
    type Error = ParseDigestError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ParseDigestError> for Error {
    fn from(error: ParseDigestError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_vectors() {
        for (content, hex) in [
            (
                &b""[..],
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                b"{}",
                "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            ),
            (
                b"hello world",
                "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
            ),
        ] {
            assert_eq!(Digest::sha256(content).hex(), hex);
        }
        let mut sha512 = Digester::new(Algorithm::Sha512);
        sha512.update(b"abc");
        let digest = sha512.finish();
        assert!(digest.as_str().starts_with("sha512:ddaf35a193617aba"));
        assert_eq!(digest.algorithm(), Algorithm::Sha512);
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }

    #[test]
    fn only_lower_case_hex_of_the_right_length_is_a_digest() {
        let hex = "a".repeat(64);
        assert!(format!("sha256:{hex}").parse::<Digest>().is_ok());
        for bad in [
            String::new(),
            hex.clone(),
            format!("sha256:{}", "A".repeat(64)),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha512:{hex}"),
            format!("md5:{hex}"),
            format!("sha256:{hex}/../x"),
            "sha256:".to_owned(),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_split_has_the_digest_of_the_whole(content in proptest::collection::vec(any::<u8>(), 0..500), cuts in proptest::collection::vec(0usize..500, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(content.len())).collect();
            cuts.extend([0, content.len()]);
            cuts.sort_unstable();
            let mut digester = Digester::default();
            for pair in cuts.windows(2) {
                digester.update(&content[pair[0]..pair[1]]);
            }
            prop_assert_eq!(digester.len(), content.len() as u64);
            prop_assert_eq!(digester.finish(), Digest::sha256(&content));
        }
    }
}
