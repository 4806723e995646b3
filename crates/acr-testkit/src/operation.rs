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
        /// What a routed request asks for, by the name that the clients give to the same request in
        /// errors, logs and spans. A name is also what stands for it in the text of a fault and in
        /// the journal's file.
        ///
        /// Of some requests the clients do not speak: [`Operation::GetStorage`] is where
        /// [`Operation::DownloadBlob`] is redirected to, [`Operation::Connect`] the connection
        /// before any request, [`Operation::ListCatalog`] and [`Operation::ListTagNames`] are the
        /// lists of the content interface. Errors of a whole upload say `upload_blob`, which is many
        /// requests and so no name here.
        ///
        /// ```
        /// use acr_testkit::Operation;
        ///
        /// assert_eq!("get_manifest".parse(), Ok(Operation::GetManifest));
        /// assert_eq!(Operation::GetManifest.name(), "get_manifest");
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
    RepositoryProperties => "repository_properties",
    UpdateRepositoryProperties => "update_repository_properties",
    DeleteRepository => "delete_repository",
    ListTags => "list_tags",
    TagProperties => "tag_properties",
    UpdateTagProperties => "update_tag_properties",
    DeleteTag => "delete_tag",
    ListManifests => "list_manifests",
    ManifestProperties => "manifest_properties",
    UpdateManifestProperties => "update_manifest_properties",
    GetManifest => "get_manifest",
    Resolve => "resolve",
    PutManifest => "put_manifest",
    DeleteManifest => "delete_manifest",
    BlobProperties => "blob_properties",
    DownloadBlob => "download_blob",
    GetStorage => "get_storage",
    DeleteBlob => "delete_blob",
    StartUpload => "start_upload",
    MountBlob => "mount_blob",
    UploadChunk => "upload_chunk",
    UploadStatus => "upload_status",
    CompleteUpload => "complete_upload",
    CancelUpload => "cancel_upload",
    ListReferrers => "list_referrers",
    ExchangeEntraToken => "exchange_entra_token",
    FetchAccessToken => "fetch_access_token",
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

/// Which operations a [`Fault`](crate::Fault) is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// Every one but [`Operation::Connect`].
    #[default]
    Any,
    /// This one.
    One(Operation),
}

impl From<Operation> for Target {
    fn from(operation: Operation) -> Self {
        Self::One(operation)
    }
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

    /// Whether the answer comes from the storage backend, which adds request ids to it.
    pub(crate) fn is_backend(self) -> bool {
        matches!(
            self,
            Self::GetManifest
                | Self::Resolve
                | Self::PutManifest
                | Self::BlobProperties
                | Self::DownloadBlob
                | Self::StartUpload
                | Self::MountBlob
                | Self::UploadChunk
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

    /// Whether its request can be about a tag.
    pub(crate) fn names_a_tag(self) -> bool {
        matches!(
            self,
            Self::GetManifest
                | Self::Resolve
                | Self::PutManifest
                | Self::TagProperties
                | Self::UpdateTagProperties
                | Self::DeleteTag
        )
    }

    /// Whether it belongs to the token service.
    pub(crate) fn is_token_service(self) -> bool {
        matches!(self, Self::ExchangeEntraToken | Self::FetchAccessToken)
    }
}
