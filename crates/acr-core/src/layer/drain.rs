//! Reads what is left of a body that nobody wants, so that its connection can be used again.

use http_body_util::BodyExt as _;

use crate::body::Body;

/// Reads up to 64 KiB; a longer body is dropped, which closes its connection.
pub(crate) async fn drain(mut body: Body) {
    let mut left = MAX_DRAINED;
    while left > 0 {
        match body.frame().await {
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, bytes::Bytes::len);
                left = left.saturating_sub(len.max(1));
            }
            Some(Err(_)) | None => return,
        }
    }
}

const MAX_DRAINED: usize = 64 * 1024;
