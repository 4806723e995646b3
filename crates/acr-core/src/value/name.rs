//! Repository names and tags, validated on construction.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::{
    http::error::{Error, ErrorKind},
    value::text::text_value,
};

/// The name of a repository, such as `library/hello-world`.
///
/// The grammar is that of the [OCI distribution specification]: lower-case
/// path components of letters and digits, joined by `.`, `_`, `__` or any
/// number of `-`, and separated by `/`. A registry answers a name outside this
/// grammar with a plain-text 404, so it is refused here before anything is sent.
///
/// ```
/// use acr_core::RepositoryName;
///
/// let name: RepositoryName = "library/hello-world".parse()?;
/// assert_eq!(name.as_str(), "library/hello-world");
/// assert!("Library/Hello".parse::<RepositoryName>().is_err());
/// assert!("../etc".parse::<RepositoryName>().is_err());
/// # Ok::<(), acr_core::value::ParseNameError>(())
/// ```
///
/// [OCI distribution specification]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName(String);

/// A tag: a human-readable, movable name of a manifest, such as `v1.2`.
///
/// Up to 128 characters of `[a-zA-Z0-9_.-]`, not starting with `.` or `-`.
///
/// ```
/// use acr_core::Tag;
///
/// let tag: Tag = "v1.2".parse()?;
/// assert_eq!(tag.as_str(), "v1.2");
/// assert!("a:b".parse::<Tag>().is_err());
/// # Ok::<(), acr_core::value::ParseNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);

/// A repository name or tag is outside the grammar.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[non_exhaustive]
pub enum ParseNameError {
    /// The text is not a repository name.
    #[error(
        "`{}` is not a repository name: lower-case letters and digits, with `.`, `_` or `-` between them, in parts that `/` separates, 255 characters at most; no host and no tag",
        crate::http::redact::printable(.0)
    )]
    Repository(String),
    /// The text is not a tag.
    #[error(
        "`{}` is not a tag: up to 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`",
        crate::http::redact::printable(.0)
    )]
    Tag(String),
}

impl From<ParseNameError> for Error {
    fn from(error: ParseNameError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

impl RepositoryName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = text.len() <= MAX_REPOSITORY_NAME;
        if fits && text.split('/').all(is_path_component) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseNameError::Repository(text.to_owned()))
        }
    }
}

impl FromStr for Tag {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = text.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let tail = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
        if head && tail && text.len() <= MAX_TAG {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseNameError::Tag(text.to_owned()))
        }
    }
}

text_value!(RepositoryName, ParseNameError);
text_value!(Tag, ParseNameError);

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(alphanumeric) || !text.ends_with(alphanumeric) {
        return false;
    }
    text.split(alphanumeric).all(|separator| {
        matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
    })
}

/// The specification bounds host, `/` and name together to 255 characters.
const MAX_REPOSITORY_NAME: usize = 255;

/// From the grammar of the OCI distribution specification.
const MAX_TAG: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refused_name_says_what_one_is() {
        let error = "myregistry.azurecr.io/App:v1".parse::<RepositoryName>().unwrap_err();
        let error = error.to_string();
        for word in ["`myregistry.azurecr.io/App:v1`", "lower-case", "no host and no tag"] {
            assert!(error.contains(word), "{error}");
        }
        let error = "-v1".parse::<Tag>().unwrap_err().to_string();
        assert!(error.contains("not beginning with `.` or `-`"), "{error}");
    }

    #[test]
    fn repository_grammar() {
        for good in
            ["a", "library/hello-world", "a.b", "a_b", "a__b", "a---b", "0/1/2", "blobs/manifests"]
        {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "A",
            "a.",
            ".a",
            "a..b",
            "a___b",
            "a._b",
            "-a",
            "a-",
            "..",
            "a/../b",
            "a?b",
            "a#b",
            "a b",
            "a%2fb",
            "a\r\nb",
            "é",
            long.as_str(),
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tag_grammar() {
        let longest = "a".repeat(128);
        for good in ["latest", "v1.0-rc.1", "_x", "9", longest.as_str()] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        let long = "a".repeat(129);
        for bad in ["", ".a", "-a", "a:b", "a/b", "a b", "é", "a\n", long.as_str()] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_errors_and_round_trips(text in ".{0,40}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert_eq!(name.to_string(), text.clone());
                prop_assert!(!text.contains("..") && !text.contains('%'));
            }
            if let Ok(tag) = text.parse::<Tag>() {
                prop_assert_eq!(tag.to_string(), text);
            }
        }

        #[test]
        fn generated_names_parse(name in "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,3}(/[a-z0-9]{1,8}){0,3}") {
            prop_assert!(name.parse::<RepositoryName>().is_ok());
        }
    }
}
