//! Records that an earlier process left.

use std::{collections::HashMap, io, sync::Arc};

use bytes::Bytes;

use super::ManifestProperties;
use crate::{
    budget::Budget,
    ledger::{Ledger, Table},
    manifest,
    repository::ManifestRecord,
};

/// The bytes of all manifests, to be joined with their properties.
pub(crate) struct Documents {
    bytes: HashMap<(String, String), Vec<u8>>,
    budget: Arc<Budget>,
}

impl Documents {
    pub(crate) fn read(ledger: &Ledger, budget: &Arc<Budget>) -> io::Result<Self> {
        let documents = ledger.read_bytes(Table::Documents)?.into_iter();
        let bytes = documents.map(|(name, digest, bytes)| ((name, digest), bytes)).collect();
        Ok(Self { bytes, budget: Arc::clone(budget) })
    }

    pub(crate) fn join(
        &mut self,
        name: &str,
        digest: &str,
        properties: ManifestProperties,
    ) -> io::Result<ManifestRecord> {
        let bytes = self.bytes.remove(&(name.to_owned(), digest.to_owned()));
        let bytes = Bytes::from(bytes.ok_or_else(|| {
            damaged(&format!("the manifest `{digest}` of `{name}` has no bytes"))
        })?);
        let ManifestProperties { media_type, platform, image_size, created, updated, attributes } =
            properties;
        // Leniently, whoever took it: the profile may have been another.
        let (form, parsed) = manifest::parse(&media_type, &bytes, true).map_err(|why| {
            damaged(&format!("the manifest `{digest}` of `{name}` is no manifest: {why}"))
        })?;
        let share = Arc::new(self.budget.owe(bytes.len() + parsed.weight()));
        Ok(ManifestRecord {
            bytes,
            media_type,
            form,
            parsed: parsed.kept(),
            platform,
            image_size,
            created,
            updated,
            attributes,
            _share: share,
        })
    }
}

/// What is there cannot be right: a registry that serves a part of it would be a trap.
pub(crate) fn damaged(text: &str) -> io::Error {
    let text = format!("the data folder is damaged: {text}; put it back, or use another folder");
    io::Error::new(io::ErrorKind::InvalidData, text)
}
