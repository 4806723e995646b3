//! The operations a request can ask for, as faults and the journal name them.

use std::{fmt, str::FromStr};

use thiserror::Error as ThisError;

/// The text names no operation.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{text}` is no operation; they are: {}", Operation::names())]
pub struct ParseOperationError {
    text: String,
}

macro_rules! operations {
    ($($variant:ident => $name:literal,)*) => {
        /// What a routed request asks for. Where a text stands for one, as in
        /// [`Fault::status`](crate::Fault::status), it is the name.
        ///
        /// ```
        /// use acr_testkit::Operation;
        ///
        /// assert_eq!("get_manifest".parse(), Ok(Operation::GetManifest));
        /// assert_eq!(Operation::GetManifest.name(), "get_manifest");
        /// // The name that the client gives to the same request.
        /// assert_eq!("upload_chunk".parse(), Ok(Operation::WriteChunk));
        /// assert!("get_manifst".parse::<Operation>().is_err());
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Operation {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Operation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in faults and in the journal.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for Operation {
            type Err = ParseOperationError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($name => Ok(Self::$variant),)*
                    // What the client calls the same requests.
                    "upload_chunk" => Ok(Self::WriteChunk),
                    "resolve" => Ok(Self::HeadManifest),
                    "exchange_entra_token" => Ok(Self::Exchange),
                    "fetch_access_token" => Ok(Self::Token),
                    _ => {
                        let text = text.escape_debug().take(MAX_TEXT).collect();
                        Err(ParseOperationError { text })
                    }
                }
            }
        }
    };
}

operations! {
    Connect => "connect",
    Ping => "ping",
    ListRepositories => "list_repositories",
    GetRepository => "get_repository",
    UpdateRepository => "update_repository",
    DeleteRepository => "delete_repository",
    ListTags => "list_tags",
    GetTag => "get_tag",
    UpdateTag => "update_tag",
    DeleteTag => "delete_tag",
    ListManifests => "list_manifests",
    GetManifestProperties => "get_manifest_properties",
    UpdateManifestProperties => "update_manifest_properties",
    GetManifest => "get_manifest",
    HeadManifest => "head_manifest",
    PutManifest => "put_manifest",
    DeleteManifest => "delete_manifest",
    HeadBlob => "head_blob",
    GetBlob => "get_blob",
    GetStorage => "get_storage",
    DeleteBlob => "delete_blob",
    StartUpload => "start_upload",
    MountBlob => "mount_blob",
    WriteChunk => "write_chunk",
    UploadStatus => "upload_status",
    CompleteUpload => "complete_upload",
    CancelUpload => "cancel_upload",
    Referrers => "referrers",
    Exchange => "exchange",
    Token => "token",
    ListDeletedRepositories => "list_deleted_repositories",
    ListDeletedManifests => "list_deleted_manifests",
    ListDeletedTags => "list_deleted_tags",
    RestoreManifest => "restore_manifest",
    ListCatalog => "list_catalog",
    ListTagNames => "list_tag_names",
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl AsRef<str> for Operation {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

/// Which operations a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// Every one but `connect`.
    #[default]
    Any,
    One(Operation),
}

impl Target {
    pub(crate) fn fits(self, operation: Operation) -> bool {
        match self {
            Self::Any => operation != Operation::Connect,
            Self::One(own) => own == operation,
        }
    }
}

impl FromStr for Target {
    type Err = ParseOperationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == ANY { Ok(Self::Any) } else { text.parse().map(Self::One) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str(ANY),
            Self::One(operation) => operation.fmt(f),
        }
    }
}

/// Stands for every operation but `connect`.
const ANY: &str = "any";

/// How much of a text stands in the error about it.
const MAX_TEXT: usize = 100;

impl Operation {
    fn names() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|operation| operation.name()).collect();
        names.join(", ")
    }

    /// Reads a name in a test, where a typo must not pass.
    #[expect(clippy::panic, reason = "a test that asks for what there is not proves nothing")]
    #[track_caller]
    pub(crate) fn named<T: FromStr<Err = ParseOperationError>>(text: &str) -> T {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether the answer comes from the storage backend, which adds request ids to it.
    pub(crate) fn is_backend(self) -> bool {
        matches!(
            self,
            Self::GetManifest
                | Self::HeadManifest
                | Self::PutManifest
                | Self::HeadBlob
                | Self::GetBlob
                | Self::StartUpload
                | Self::MountBlob
                | Self::WriteChunk
                | Self::UploadStatus
                | Self::CompleteUpload
                | Self::CancelUpload
        ) || self.is_counted_delete()
    }

    /// Whether the answer tells how many calls of this kind remain.
    pub(crate) fn is_counted_delete(self) -> bool {
        matches!(
            self,
            Self::DeleteRepository | Self::DeleteTag | Self::DeleteManifest | Self::DeleteBlob
        )
    }

    /// Whether it belongs to the token service.
    pub(crate) fn is_token_service(self) -> bool {
        matches!(self, Self::Exchange | Self::Token)
    }
}
