//! What an answer with a success status must say to be one.

use acr_core::{
    Result,
    http::{Response, response},
};
use bytes::Bytes;
use http::response::Parts;

use crate::model::Fields;

/// Reads an answer that is one JSON object. An object that names errors is none, whatever
/// its status, and neither is one that `read` finds to be of another kind.
pub(crate) async fn object<T>(
    answer: Response,
    limit: usize,
    read: impl FnOnce(Fields<'_>) -> Result<T, String>,
) -> Result<T> {
    let (head, body) = response::read_body(answer, limit).await?;
    parse(&head, &body, read)
}

/// The same of a body that was read.
pub(crate) fn parse<T>(
    head: &Parts,
    body: &[u8],
    read: impl FnOnce(Fields<'_>) -> Result<T, String>,
) -> Result<T> {
    let wrong = |why: &str| response::not_the_answer(head, body, why);
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|error| {
        // serde's message can quote the document, so only its position is kept.
        let (line, column) = (error.line(), error.column());
        wrong(&format!("the answer is not the expected JSON (line {line}, column {column})"))
    })?;
    if fields.has_errors() {
        return Err(wrong(ERRORS));
    }
    read(fields).map_err(|why| wrong(&why))
}

/// Reads the body of a change that is done by any success: empty, or with something that
/// is no error. A page in HTML is not the registry's word for it.
pub(crate) async fn success(answer: Response, limit: usize) -> Result<(Parts, Bytes)> {
    if !answer.status().is_success() {
        return Err(response::into_error(answer).await);
    }
    let (head, body) = response::read_body(answer, limit).await?;
    refuse_errors(&head, &body)?;
    Ok((head, body))
}

/// Refuses a success whose body is visibly not the registry's, or names errors.
pub(crate) fn refuse_errors(head: &Parts, body: &[u8]) -> Result<()> {
    if response::is_markup(head, body) {
        let why = "the answer is a page in HTML or XML, and no registry's";
        return Err(response::not_the_answer(head, body, why));
    }
    match serde_json::from_slice::<Fields<'_>>(body) {
        Ok(fields) if fields.has_errors() => Err(response::not_the_answer(head, body, ERRORS)),
        _ => Ok(()),
    }
}

const ERRORS: &str = "the answer has a success status and names errors";
