//! From an index to the manifest of one platform.

use std::future::Future;

use acr_core::{Digest, Error, ErrorKind, Result};

use crate::model::{DescriptorView, Document, ImageIndex, Manifest, Platform};

/// Follows indexes, the best entry first, until something is none. `get` gets a manifest.
pub(crate) async fn follow<F>(
    first: Manifest,
    wanted: &Platform,
    mut get: impl FnMut(&Digest) -> F,
) -> Result<Manifest>
where
    F: Future<Output = Result<Manifest>>,
{
    // What is left to try, the best last, and how deep it lies.
    let mut left: Vec<(DescriptorView, usize)> = Vec::new();
    let (mut manifest, mut depth) = (first, 0);
    for got in 1.. {
        let Some(index) = index_of(&manifest)? else { return Ok(manifest) };
        if depth < MAX_DEPTH {
            let found = index.candidates(wanted).into_iter().take(MAX_GOT);
            let found: Vec<_> = found.map(|entry| (entry.clone(), depth + 1)).collect();
            left.extend(found.into_iter().rev());
        }
        let Some((entry, at)) = left.pop() else {
            let text = format!("nothing in the index `{}` runs on `{wanted}`", manifest.digest);
            return Err(Error::new(ErrorKind::NotFound, text));
        };
        if got == MAX_GOT {
            break;
        }
        manifest = get(&entry.digest()?).await?;
        depth = at;
    }
    let text = format!("no manifest for `{wanted}` among the first {MAX_GOT} of nested indexes");
    Err(Error::new(ErrorKind::TooLarge, text))
}

fn index_of(manifest: &Manifest) -> Result<Option<Box<ImageIndex>>> {
    if !manifest.is_index() {
        return Ok(None);
    }
    match manifest.document()? {
        Document::Index(index) => Ok(Some(index)),
        _ => Ok(None),
    }
}

/// Nobody nests indexes deeper than two.
const MAX_DEPTH: usize = 8;

/// How many manifests are got for one, the first one included.
const MAX_GOT: usize = 32;
