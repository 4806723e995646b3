//! The operations a request can ask for, as faults and the journal name them.

use std::str::FromStr;

macro_rules! operations {
    ($($variant:ident => $name:literal,)*) => {
        /// What a routed request asks for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum Operation {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Operation {
            /// The name in faults and in the journal.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for Operation {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($name => Ok(Self::$variant),)* _ => Err(()) }
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

impl Operation {
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
