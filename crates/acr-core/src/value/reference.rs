//! A tag or a digest: how a manifest is addressed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    http::error::Error,
    value::{digest::Digest, name::Tag},
};

/// How a manifest is addressed: by a movable tag or by its digest.
///
/// ```
/// use acr_core::Reference;
///
/// let tag: Reference = "v1".parse()?;
/// assert!(matches!(tag, Reference::Tag(_)));
/// assert_eq!((tag.as_str(), tag.digest()), ("v1", None));
/// let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
/// assert!(matches!(digest.parse::<Reference>()?, Reference::Digest(_)));
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Reference {
    /// A tag, which may point to another manifest tomorrow.
    Tag(Tag),
    /// A digest, which names exactly one content.
    Digest(Digest),
}

impl Reference {
    /// The reference as it stands in a URL path.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }

    /// The digest, if this is one.
    pub fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Tag(_) => None,
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    /// Text with a `:` is a digest, since a tag cannot contain one.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(':') {
            Ok(Self::Digest(text.parse()?))
        } else {
            Ok(Self::Tag(text.parse()?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<&str> for Reference {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for Reference {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<&String> for Reference {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Tag(tag) => tag.into(),
            Reference::Digest(digest) => digest.into(),
        }
    }
}

impl From<&Self> for Reference {
    fn from(reference: &Self) -> Self {
        reference.clone()
    }
}

impl AsRef<str> for Reference {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Reference {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for Reference {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<&Tag> for Reference {
    fn from(tag: &Tag) -> Self {
        Self::Tag(tag.clone())
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<&Digest> for Reference {
    fn from(digest: &Digest) -> Self {
        Self::Digest(digest.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses_what_is_neither() {
        for good in ["latest", Digest::sha256(b"x").as_str()] {
            assert_eq!(good.parse::<Reference>().unwrap().to_string(), good);
        }
        for bad in ["", "sha256:abc", "a/b", "wrong-digest:x"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
