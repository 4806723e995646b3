//! Content digests and the incremental digester. `sha2` is named only here.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512, digest::common::hazmat::SerializableState};
use thiserror::Error as ThisError;

use crate::{
    http::error::{Error, ErrorKind},
    value::text::text_value,
};

/// A content digest: `sha256:` and 64, or `sha512:` and 128, lower-case hexadecimal digits.
///
/// A digest is parsed once, at the edge; no text that merely looks like one
/// travels further. Azure Container Registry itself accepts only sha256.
///
/// ```
/// use acr_core::{Algorithm, Digest};
///
/// let digest = Digest::sha256(b"hello world");
/// assert_eq!(
///     digest.as_str(),
///     "sha256:b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
/// );
/// assert!("sha256:abcdef".parse::<Digest>().is_err());
///
/// assert_eq!((digest.algorithm(), digest.hex().len()), (Algorithm::Sha256, 64));
/// let mut digester = digest.digester(); // to hash with the same algorithm
/// digester.update(b"hello world");
/// assert_eq!(digester.finish(), digest);
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
/// assert!(digester.is_empty());
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[non_exhaustive]
pub enum ParseDigestError {
    /// It has the form of a digest, of an algorithm that is not known here.
    #[error("`{}` is a digest of an unsupported algorithm; sha256 and sha512 are supported", crate::http::redact::printable(.0))]
    UnsupportedAlgorithm(String),
    /// It has not the form `algorithm:hex` with the right number of lower-case digits.
    #[error("`{}` is not a sha256 or sha512 digest in lower-case hexadecimal", crate::http::redact::printable(.0))]
    Malformed(String),
}

/// A digester's state between two pieces: serializable, to go on in another process.
///
/// Holds the algorithm, the number of bytes hashed, and the hash's inner state, from
/// which nothing but the last block's bytes (up to 127) could be read back. Made for
/// the same version of this library; another one refuses it if it cannot read it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigesterState {
    algorithm: Algorithm,
    len: u64,
    state: String,
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

    /// The state so far; [`Digester::restore`] goes on from it, in another process too.
    ///
    /// ```
    /// use acr_core::{Digest, Digester};
    ///
    /// let mut digester = Digester::default();
    /// digester.update(b"hello ");
    /// let saved = serde_json::to_string(&digester.save())?;
    ///
    /// let mut resumed = Digester::restore(&serde_json::from_str(&saved)?)?;
    /// resumed.update(b"world");
    /// assert_eq!(resumed.finish(), Digest::sha256(b"hello world"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self) -> DigesterState {
        let (algorithm, state) = match &self.state {
            State::Sha256(hasher) => {
                (Algorithm::Sha256, base16ct::lower::encode_string(&hasher.serialize()))
            }
            State::Sha512(hasher) => {
                (Algorithm::Sha512, base16ct::lower::encode_string(&hasher.serialize()))
            }
        };
        DigesterState { algorithm, len: self.len, state }
    }

    /// Goes on from a saved state.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the state is damaged or of another version.
    pub fn restore(saved: &DigesterState) -> Result<Self, Error> {
        let state = match saved.algorithm {
            Algorithm::Sha256 => restore(saved, SHA256).map(State::Sha256),
            Algorithm::Sha512 => restore(saved, SHA512).map(State::Sha512),
        };
        let unusable =
            || Error::new(ErrorKind::InvalidInput, "the saved digester state cannot be used");
        Ok(Self { state: state.ok_or_else(unusable)?, len: saved.len })
    }

    /// Ends hashing.
    pub fn finish(self) -> Digest {
        let (algorithm, hex) = match self.state {
            State::Sha256(hasher) => {
                (Algorithm::Sha256, base16ct::lower::encode_string(&hasher.finalize()))
            }
            State::Sha512(hasher) => {
                (Algorithm::Sha512, base16ct::lower::encode_string(&hasher.finalize()))
            }
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
        f.debug_struct("Digester").field("len", &self.len).finish_non_exhaustive()
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
        let valid = [Algorithm::Sha256, Algorithm::Sha512].into_iter().any(|algorithm| {
            text.strip_prefix(algorithm.prefix()).is_some_and(|hex| {
                hex.len() == algorithm.hex_len()
                    && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        });
        if valid {
            return Ok(Self(text.to_owned()));
        }
        let is_other_algorithm = text.split_once(':').is_some_and(|(algorithm, encoded)| {
            let known = matches!(algorithm, "sha256" | "sha512");
            let in_algorithm =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+._-".contains(&b);
            let in_encoded = |b: u8| b.is_ascii_alphanumeric() || b"=_-".contains(&b);
            !known
                && algorithm.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && algorithm.bytes().all(in_algorithm)
                && !encoded.is_empty()
                && encoded.bytes().all(in_encoded)
        });
        Err(if is_other_algorithm {
            ParseDigestError::UnsupportedAlgorithm(text.to_owned())
        } else {
            ParseDigestError::Malformed(text.to_owned())
        })
    }
}

text_value!(Digest, ParseDigestError);

impl fmt::Debug for DigesterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The inner state holds bytes of the content.
        f.debug_struct("DigesterState").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Where a saved state has its own count of what was hashed.
struct Layout {
    /// Whole blocks, little-endian.
    blocks: std::ops::Range<usize>,
    /// Bytes of the block that is not full yet.
    rest: usize,
    block: u128,
}

const SHA256: Layout = Layout { blocks: 32..40, rest: 40, block: 64 };
const SHA512: Layout = Layout { blocks: 64..80, rest: 80, block: 128 };

fn restore<H: SerializableState>(saved: &DigesterState, layout: Layout) -> Option<H> {
    let bytes = base16ct::lower::decode_vec(&saved.state).ok()?;
    // A state whose counter lies would hash on, or overflow, to a wrong digest.
    let count =
        bytes.get(layout.blocks)?.iter().rev().fold(0, |n, byte| n << 8 | u128::from(*byte));
    let rest = u128::from(*bytes.get(layout.rest)?);
    let hashed = count.checked_mul(layout.block)?.checked_add(rest)?;
    let is_possible = rest < layout.block && saved.len <= MAX_LEN;
    if !is_possible || hashed != u128::from(saved.len) {
        return None;
    }
    H::deserialize(bytes.as_slice().try_into().ok()?).ok()
}

/// What SHA-256 can count, in bits.
const MAX_LEN: u64 = u64::MAX / 8;

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
            (&b""[..], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
            (b"hello world", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
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

    #[test]
    fn an_unsupported_algorithm_is_told_from_a_malformed_digest() {
        for (text, unsupported) in [
            ("blake3:abcdef", true),
            ("md5:00000000000000000000000000000000", true),
            ("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", true),
            ("sha256:abc", false),
            ("sha512:abc", false),
            ("SHA256:abc", false),
            ("blake3:", false),
            (":abc", false),
            ("no colon", false),
        ] {
            let error = text.parse::<Digest>().unwrap_err();
            assert_eq!(
                matches!(error, ParseDigestError::UnsupportedAlgorithm(_)),
                unsupported,
                "{text}"
            );
        }
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let good = Digester::default().save();
        for state in ["", "00", "zz", &good.state[2..], &"f".repeat(good.state.len())] {
            let bad = DigesterState { state: state.to_owned(), ..good.clone() };
            if let Err(error) = Digester::restore(&bad) {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
            } else {
                assert_eq!(state.len(), good.state.len());
            }
        }
        let crossed = DigesterState { algorithm: Algorithm::Sha512, ..good };
        assert!(Digester::restore(&crossed).is_err());
    }

    #[test]
    fn a_saved_state_whose_counts_disagree_is_refused() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for len in [0, 1, 63, 64, 65, 127, 128, 129, 300] {
                let mut digester = Digester::new(algorithm);
                digester.update(&vec![7; len]);
                let saved = digester.save();
                assert!(Digester::restore(&saved).is_ok(), "{algorithm:?} {len}");
                for other in [saved.len + 1, saved.len.wrapping_sub(1), u64::MAX] {
                    let lie = DigesterState { len: other, ..saved.clone() };
                    assert!(Digester::restore(&lie).is_err(), "{algorithm:?} {len} {other}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_damaged_state_is_refused_or_hashes_without_a_panic(
            content in proptest::collection::vec(any::<u8>(), 0..300),
            is_512 in any::<bool>(),
            at in any::<proptest::sample::Index>(),
            digit in "[0-9a-f]",
        ) {
            let mut digester =
                Digester::new(if is_512 { Algorithm::Sha512 } else { Algorithm::Sha256 });
            digester.update(&content);
            let mut saved = digester.save();
            let at = at.index(saved.state.len());
            saved.state.replace_range(at..=at, &digit);
            if let Ok(mut restored) = Digester::restore(&saved) {
                restored.update(&content);
                let _ = restored.finish();
            }
        }

        #[test]
        fn any_split_has_the_digest_of_the_whole(content in proptest::collection::vec(any::<u8>(), 0..500), cuts in proptest::collection::vec(0usize..500, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(content.len())).collect();
            cuts.extend([0, content.len()]);
            cuts.sort_unstable();
            let mut digester = Digester::default();
            for pair in cuts.windows(2) {
                digester.update(&content[pair[0]..pair[1]]);
            }
            // A trip through storage changes nothing.
            let saved = serde_json::to_string(&digester.save()).unwrap();
            let digester = Digester::restore(&serde_json::from_str(&saved).unwrap()).unwrap();
            prop_assert_eq!(digester.len(), content.len() as u64);
            prop_assert_eq!(digester.finish(), Digest::sha256(&content));
        }
    }
}
