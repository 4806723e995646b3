//! Manifests as the registry lists them: properties, locks, deletion.

use acr_core::{Action, Deletion, Digest, Effect, Operation, Pager, RequestBuilder, Result, Scope};
use http::Method;
use serde::Deserialize;

use crate::{
    list::{List, metadata_read},
    model::{self, ManifestProperties, Permissions, WireManifest},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Lists the manifests by digest: `GET /acr/v1/{name}/_manifests`, one request per page.
    pub fn list_manifests(&self) -> Pager<ManifestProperties> {
        List {
            pipeline: self.pipeline.clone(),
            path: ["acr", "v1", self.name.as_str(), "_manifests"].map(str::to_owned).into(),
            operation: Operation::new("list_manifests").on(&self.name),
            scope: metadata_read(&self.name),
        }
        .pager::<ManifestList, _>()
    }

    /// Reads a manifest's properties: `GET /acr/v1/{name}/_manifests/{digest}`.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the manifest or the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn get_manifest_properties(&self, digest: &Digest) -> Result<ManifestProperties> {
        let below = ["_manifests", digest.as_str()];
        let operation = self.on_manifest("get_manifest_properties", digest);
        let answer: OneManifest = self.read_properties(&below, operation).await?;
        Ok(answer.manifest.into())
    }

    /// Changes a manifest's locks: `PATCH /acr/v1/{name}/_manifests/{digest}`. A locked
    /// manifest does not lock its tags.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::NotFound`] when the manifest or the repository does not exist.
    ///
    /// # Cancellation
    ///
    /// After a drop the change may or may not have happened.
    pub async fn update_manifest_properties(
        &self,
        digest: &Digest,
        permissions: &Permissions,
    ) -> Result<ManifestProperties> {
        let below = ["_manifests", digest.as_str()];
        let operation = self.on_manifest("update_manifest_properties", digest);
        let answer: OneManifest = self.write_properties(&below, permissions, operation).await?;
        Ok(answer.manifest.into())
    }

    /// Deletes a manifest and all its tags: `DELETE /v2/{name}/manifests/{digest}`.
    ///
    /// By digest only: a deletion by tag would hide what goes.
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::Disallowed`] when the manifest is locked: its `delete` or
    /// `write` permission, or that of the repository, is off.
    ///
    /// # Cancellation
    ///
    /// After a drop the deletion may or may not have happened.
    pub async fn delete_manifest(&self, digest: &Digest) -> Result<Deletion> {
        let path = ["v2", self.name.as_str(), "manifests", digest.as_str()];
        let request = RequestBuilder::new(Method::DELETE, self.pipeline.endpoint(), &path)
            .accept_json()
            .operation(self.on_manifest("delete_manifest", digest))
            .scope(Scope::repository(&self.name, &[Action::DELETE]))
            .effect(Effect::Set)
            .build()?;
        Ok(match self.send_deletion(request).await? {
            Some(_) => Deletion::Deleted,
            None => Deletion::AlreadyAbsent,
        })
    }

    fn on_manifest(&self, name: &'static str, digest: &Digest) -> Operation {
        Operation::new(name).on(format_args!("{}@{digest}", self.name))
    }
}

#[derive(Deserialize)]
struct OneManifest {
    manifest: WireManifest,
}

#[derive(Deserialize)]
struct ManifestList {
    #[serde(default, deserialize_with = "model::null_is_empty")]
    manifests: Vec<WireManifest>,
}

impl From<ManifestList> for Vec<ManifestProperties> {
    fn from(page: ManifestList) -> Self {
        page.manifests.into_iter().map(Into::into).collect()
    }
}
