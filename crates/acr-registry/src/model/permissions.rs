//! The locks of a repository, tag or manifest.

use serde::{Deserialize, Serialize};

/// Four flags, each of which may be left as it is.
///
/// As the argument of an update, a flag that is not set keeps its value on the
/// registry. As part of properties, all four are set.
///
/// # Which lock stops what
///
/// A repository, a tag and a manifest have locks of their own. What a flag that is off stops
/// is [`Disallowed`](acr_core::ErrorKind::Disallowed); for manifests, tags and repositories the message
/// names the locks that can be behind it, since the registry does not say which one it was. A later update always gets through:
/// else nothing could be unlocked.
///
/// | operation | is stopped by |
/// |---|---|
/// | put a manifest by tag, point a tag elsewhere | `write` of that tag or of the repository |
/// | put a manifest by digest | `write` of that manifest, if it is there, or of the repository |
/// | restore a deleted manifest | `write` of the tag that it gets or of the repository |
/// | upload or mount a blob | `write` of the repository |
/// | delete a tag | `delete` or `write` of the tag or of the repository |
/// | delete a manifest, which takes its tags along | `delete` or `write` of the manifest, of any of its tags or of the repository |
/// | delete a blob | `delete` or `write` of the repository |
/// | delete a repository | `delete` or `write` of the repository, or of any tag or manifest in it |
/// | get or resolve a manifest by tag | `read` of the tag, of its manifest or of the repository; in quarantine it is `NotFound` |
/// | get or resolve a manifest by digest | `read` of the manifest or of the repository; quarantine |
/// | download a blob, ask for its size | `read` of the repository |
/// | be in a list of repositories, tags or manifests | `list` of the item; by its name, and among the referrers of a manifest, it is still there |
/// | read or update properties | nothing |
///
/// (Azure documents the single flags, not how they meet: the rows about the tags of a manifest
/// and what a repository holds are what its tools expect. The registry has the last word.)
///
/// So a locked manifest does not keep a tag of it where it is, and a locked tag keeps its manifest
/// from being deleted, but not from being put again under another tag. Whoever wants an
/// image to stay, and to stay what the tag says, locks both:
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// use acr_core::{ErrorKind, Tag};
/// use acr_registry::{ImageManifest, Permissions};
///
/// let v1: Tag = "v1".parse()?;
/// let locked = Permissions::new().write(false).delete(false);
/// let digest = repo.update_tag_properties(&v1, locked).await?.digest;
/// repo.update_manifest_properties(&digest, locked).await?;
/// let other = ImageManifest::artifact("application/vnd.example").to_json()?;
/// let error = repo.put_manifest(other).tag(&v1).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Disallowed);
/// # Ok(()) });
/// ```
///
/// ```
/// use acr_registry::Permissions;
///
/// let locked = Permissions::new().write(false).delete(false);
/// assert_eq!(locked.can_delete(), Some(false));
/// assert_eq!(locked.can_read(), None);
///
/// let hidden = Permissions::new().list(false).read(true);
/// assert_eq!((hidden.can_list(), hidden.can_write()), (Some(false), None));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permissions {
    #[serde(rename = "deleteEnabled", default, skip_serializing_if = "Option::is_none")]
    delete: Option<bool>,
    #[serde(rename = "writeEnabled", default, skip_serializing_if = "Option::is_none")]
    write: Option<bool>,
    #[serde(rename = "listEnabled", default, skip_serializing_if = "Option::is_none")]
    list: Option<bool>,
    #[serde(rename = "readEnabled", default, skip_serializing_if = "Option::is_none")]
    read: Option<bool>,
}

impl Permissions {
    /// No flag set: an update with it changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads each flag by itself.
    pub(crate) fn of_flags(mut flag: impl FnMut(&str) -> Option<bool>) -> Self {
        Self {
            delete: flag("deleteEnabled"),
            write: flag("writeEnabled"),
            list: flag("listEnabled"),
            read: flag("readEnabled"),
        }
    }

    /// Whether every flag that is set here has the same value there.
    pub(crate) fn are_those_of(&self, there: &Self) -> bool {
        [
            (self.delete, there.delete),
            (self.write, there.write),
            (self.list, there.list),
            (self.read, there.read),
        ]
        .iter()
        .all(|(wanted, shown)| wanted.is_none() || wanted == shown)
    }

    /// Allows or forbids deleting.
    #[must_use]
    pub fn delete(mut self, allowed: bool) -> Self {
        self.delete = Some(allowed);
        self
    }

    /// Allows or forbids overwriting; forbidding it also forbids deleting.
    #[must_use]
    pub fn write(mut self, allowed: bool) -> Self {
        self.write = Some(allowed);
        self
    }

    /// Shows in lists or hides from them.
    #[must_use]
    pub fn list(mut self, allowed: bool) -> Self {
        self.list = Some(allowed);
        self
    }

    /// Allows or forbids pulling.
    #[must_use]
    pub fn read(mut self, allowed: bool) -> Self {
        self.read = Some(allowed);
        self
    }

    /// Whether it may be deleted, if known.
    pub fn can_delete(&self) -> Option<bool> {
        self.delete
    }

    /// Whether it may be overwritten, if known.
    pub fn can_write(&self) -> Option<bool> {
        self.write
    }

    /// Whether it shows in lists, if known.
    pub fn can_list(&self) -> Option<bool> {
        self.list
    }

    /// Whether it may be pulled, if known.
    pub fn can_read(&self) -> Option<bool> {
        self.read
    }
}

impl From<&Self> for Permissions {
    fn from(flags: &Self) -> Self {
        *flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flags_that_are_set_go_on_the_wire() {
        let json = serde_json::to_string(&Permissions::new().write(false).delete(true)).unwrap();
        assert_eq!(json, r#"{"deleteEnabled":true,"writeEnabled":false}"#);
        assert_eq!(serde_json::to_string(&Permissions::new()).unwrap(), "{}");
    }
}
