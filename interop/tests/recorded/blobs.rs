//! Recorded calls for blobs: whether one is there, the whole of it, a part of it.

use acr_blob::BlobClient;
use acr_core::{ByteRange, Digest, Pipeline, RepositoryName, Was};

use crate::{
    calls::{Failure, Got, no_operation},
    grouping::Step,
    recording::Exchange,
};

/// The most that a recorded blob has.
const LIMIT: usize = 64 << 20;

pub(crate) async fn call(
    method: &str,
    pipeline: &Pipeline,
    name: &str,
    digest: &str,
    steps: &[Step],
) -> Result<Got, Failure> {
    let first = &steps[0].last;
    let last = steps.last().map_or(first, |step| &step.last);
    let blobs = BlobClient::new(pipeline.clone(), name.parse::<RepositoryName>()?);
    let digest = digest.parse::<Digest>()?;
    let range = match first.request_header("range") {
        Some(range) => Some(range.parse::<ByteRange>()?),
        None => None,
    };
    Ok(match (method, range) {
        ("HEAD", None) => match blobs.blob_properties(&digest).await {
            Ok(info) if Some(info.size) == length(last) => Got::Done,
            Ok(info) => return Err(Failure::Harness(format!("the size is {}", info.size))),
            Err(error) if error.is_not_found() => Got::Deleted(false),
            Err(error) => return Err(error.into()),
        },
        ("HEAD", Some(range)) => {
            let has_it = blobs.has_range(&digest, range).await?;
            match last.status {
                200 => {
                    let wanted = range.last().unwrap_or(range.first());
                    if has_it != length(last).is_some_and(|length| wanted < length) {
                        return Err(Failure::Harness(format!("has the range: {has_it}")));
                    }
                    Got::Done
                }
                206 if has_it => Got::Done,
                // That it is not there is the answer, as the status says it.
                404 if !has_it => Got::Deleted(false),
                416 if !has_it => Got::Done,
                _ => return Err(Failure::Harness(format!("has the range: {has_it}"))),
            }
        }
        ("GET", None) => Got::Bytes(blobs.download(&digest).await?.bytes(LIMIT).await?.to_vec()),
        ("GET", Some(range)) => part(&blobs, &digest, range, last).await?,
        ("DELETE", None) => Got::Deleted(blobs.delete_blob(&digest).await? == Was::Existed),
        _ => return Err(no_operation(first)),
    })
}

async fn part(
    blobs: &BlobClient,
    digest: &Digest,
    range: ByteRange,
    last: &Exchange,
) -> Result<Got, Failure> {
    let reader = blobs.download_range(digest, range).await?;
    let total = reader.total();
    let part = reader.bytes(LIMIT).await?.to_vec();
    let recorded = last.response_body().unwrap_or_default();
    if last.status == 206 {
        let named = last.response_header("content-range").and_then(|text| text.rsplit_once('/'));
        if named.and_then(|(_, total)| total.parse().ok()) != total {
            return Err(Failure::Harness(format!("the whole has {total:?} bytes")));
        }
        return Ok(Got::Bytes(part));
    }
    // The whole, though a part was asked for.
    let first = usize::try_from(range.first()).unwrap_or(usize::MAX);
    let end = range.last().and_then(|last| usize::try_from(last).ok()?.checked_add(1));
    let end = end.unwrap_or(recorded.len()).min(recorded.len());
    if recorded.get(first..end) == Some(part.as_slice()) {
        Ok(Got::Done)
    } else {
        Err(Failure::Harness("another part".to_owned()))
    }
}

fn length(exchange: &Exchange) -> Option<u64> {
    exchange.response_header("content-length")?.parse().ok()
}
