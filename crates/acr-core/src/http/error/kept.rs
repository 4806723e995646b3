//! What an error keeps of what a server sent: little, however much that was.

use std::{error::Error as StdError, sync::Arc};

use crate::http::error::{
    code::ErrorDetail,
    foreign::{ForeignError, chain},
    shortened::shortened,
};

/// A message: escaped by whoever wrote it, cut here.
pub(super) fn message(text: String) -> String {
    if text.len() <= MAX_MESSAGE { text } else { shortened(MAX_MESSAGE, format_args!("{text}")) }
}

/// The first details of an answer, as many as fit. A raw `detail` that does not fit is left
/// out whole, since half of a JSON document is none.
pub(super) fn details(all: Vec<ErrorDetail>) -> Vec<ErrorDetail> {
    let mut left = MAX_DETAILS;
    let mut kept = Vec::new();
    for detail in all {
        let code = shortened(MAX_CODE, detail.code().as_str());
        let message = shortened(MAX_TEXT, detail.message());
        let Some(rest) = left.checked_sub(size_of::<ErrorDetail>() + code.len() + message.len())
        else {
            break;
        };
        let raw = detail.detail().filter(|raw| raw.len() <= rest).map(str::to_owned);
        left = rest - raw.as_ref().map_or(0, String::len);
        kept.push(ErrorDetail::new(code, message, raw));
    }
    kept.shrink_to_fit();
    kept
}

/// A failure of somebody else as it is, so that its type can be asked for; its known words
/// alone where it is so long that a server must have written it.
pub(super) fn source(
    source: Box<dyn StdError + Send + Sync>,
    is_short: bool,
) -> Arc<dyn StdError + Send + Sync> {
    if is_short { Arc::from(source) } else { Arc::new(ForeignError::of(&*source)) }
}

/// Whether a failure and its causes print little enough to be kept whole.
pub(super) fn is_short(source: &(dyn StdError + Send + Sync + 'static)) -> bool {
    let fits = |text: String| text.len() <= MAX_SOURCE;
    fits(shortened(MAX_SOURCE, format_args!("{source:?}")))
        && chain(source).all(|cause| fits(shortened(MAX_SOURCE, format_args!("{cause}"))))
}

/// A server's kilobyte, and our words around it.
const MAX_MESSAGE: usize = 1_152;

/// All details together, in bytes: with the message, 4 KiB.
const MAX_DETAILS: usize = 3 * 1024;

/// One message.
const MAX_TEXT: usize = 1024;

/// No registry has a longer one.
const MAX_CODE: usize = 64;

/// The text of the underlying failure and its causes.
const MAX_SOURCE: usize = 1_280;
