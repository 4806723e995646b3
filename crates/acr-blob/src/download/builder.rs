//! Downloads: verified while they are read.

use std::{future::IntoFuture, pin::Pin};

use acr_core::{
    Action, ByteRange, ContentRange, DataStream, Digest, Effect, Error, ErrorKind, Operation,
    Result, Scope, response,
};
use http::{HeaderValue, Method, StatusCode, header};

use crate::{
    client::BlobClient,
    download::{
        checkpoint::DownloadCheckpoint,
        machine::{Answer, Machine},
        reader::BlobReader,
    },
    progress::{Observer, Progress},
};

/// Downloads a blob when awaited.
///
/// # Errors
///
/// [`ErrorKind::NotFound`]; [`ErrorKind::Policy`] when the registry redirects to a
/// place that is refused.
///
/// # Cancellation
///
/// Dropping the future sends nothing more.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Download<'a> {
    client: &'a BlobClient,
    digest: Digest,
    size: Option<u64>,
    max_size: Option<u64>,
    checkpoint: Option<DownloadCheckpoint>,
    observer: Observer,
}

impl<'a> Download<'a> {
    pub(crate) fn new(client: &'a BlobClient, digest: Digest) -> Self {
        Self {
            client,
            digest,
            size: None,
            max_size: None,
            checkpoint: None,
            observer: Observer::default(),
        }
    }

    /// Expects exactly this many bytes, as a manifest's descriptor says. Another length
    /// is an [`ErrorKind::Integrity`] error, before the content where the server
    /// announces it, and at the first byte too many where not.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Refuses more than this many bytes with [`ErrorKind::TooLarge`]. Without either
    /// bound a hostile server decides how much is read before the digest tells.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// Goes on after the bytes that were read before a checkpoint; the reader gives only
    /// what comes after them, and verifies the whole.
    pub fn resume(mut self, checkpoint: DownloadCheckpoint) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// Calls a function whenever a piece has been delivered.
    pub fn on_progress(mut self, function: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(function);
        self
    }

    /// Downloads into a file, which appears only when its content is verified.
    ///
    /// The content goes to a temporary file (mode 0600) in the same directory, is
    /// synced to disk and then moved into place, over an older file if there is one.
    /// Gives the size in bytes.
    ///
    /// # Errors
    ///
    /// Those of the download, and [`ErrorKind::Source`] when the file cannot be
    /// written. In every case nothing is left behind.
    ///
    /// # Cancellation
    ///
    /// Dropping the future removes the temporary file. A checkpoint has no effect.
    #[cfg(feature = "fs")]
    pub async fn to_file(mut self, path: impl AsRef<std::path::Path> + Send) -> Result<u64> {
        self.checkpoint = None;
        // Boxed, so that the futures of callers stay small.
        let reader = Box::pin(self.send()).await?;
        Box::pin(crate::file::store(reader, path.as_ref())).await
    }

    async fn send(self) -> Result<BlobReader> {
        let Self { client, digest, size, max_size, checkpoint, observer } = self;
        let digester = match checkpoint {
            Some(checkpoint) => checkpoint.open(&client.repository, &digest)?,
            None => digest.digester(),
        };
        let mut machine = Machine::new(digest.clone(), digester).bounds(size, max_size);
        let mut body = None;
        if (!machine.is_complete() || machine.position() == 0)
            && let Some((answer, stream)) = ask_rest(client, &digest, Rest::of(&machine)).await?
        {
            let described = |error: Error| error.with_operation(Some(&operation(client, &digest)));
            machine.answered(answer).map_err(described)?;
            body = Some(stream);
        }
        Ok(BlobReader::new(client.clone(), digest, machine, body, observer))
    }
}

impl<'a> IntoFuture for Download<'a> {
    type Output = Result<BlobReader>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Names what is done, for errors.
pub(crate) fn operation(client: &BlobClient, digest: &Digest) -> Operation {
    Operation::new("download_blob").on(format_args!("{}@{digest}", client.repository))
}

/// What a download lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    range: Option<ByteRange>,
    /// What is there may be all of a blob whose length nobody told.
    matches: bool,
}

impl Rest {
    pub(crate) fn of(machine: &Machine) -> Self {
        Self { range: machine.range(), matches: machine.matches() }
    }
}

/// Asks the registry for the rest of a blob; `None` if there is none. Where it does not
/// understand the range, everything is asked for, and what is there already passed over.
pub(crate) async fn ask_rest(
    client: &BlobClient,
    digest: &Digest,
    rest: Rest,
) -> Result<Option<(Answer, DataStream)>> {
    match ask(client, digest, rest.range).await {
        Err(error) if rest.range.is_some() && is_no_such_range(&error) => {
            if rest.matches {
                return Ok(None);
            }
            ask(client, digest, None).await.map(Some)
        }
        answer => answer.map(Some),
    }
}

fn is_no_such_range(error: &Error) -> bool {
    error.status() == Some(StatusCode::RANGE_NOT_SATISFIABLE)
}

/// Asks the registry for a blob, or for a part of it; the redirect is followed below.
pub(crate) async fn ask(
    client: &BlobClient,
    digest: &Digest,
    range: Option<ByteRange>,
) -> Result<(Answer, DataStream)> {
    let mut request = client
        .blob_request(Method::GET, digest, "download_blob")
        .header(header::ACCEPT, HeaderValue::from_static("application/octet-stream, */*"))
        // A digest is over the bytes as they are stored; nothing here decompresses.
        .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
        .scope(Scope::repository(&client.repository, &[Action::PULL]))
        .effect(Effect::Read)
        .follow_redirects();
    if let Some(range) = range {
        let text = HeaderValue::from_str(&range.to_string());
        let unusable = |error| Error::new(ErrorKind::InvalidInput, "no range").with_source(error);
        request = request.header(header::RANGE, text.map_err(unusable)?);
    }
    let answer = client.pipeline.send(request.build()?).await?;
    let expected = [StatusCode::OK, StatusCode::PARTIAL_CONTENT];
    let expected = if range.is_some() { &expected[..] } else { &expected[..1] };
    let (head, body) = response::expect(answer, expected).await?.into_parts();
    check_head(&head, digest)?;
    let answer = if head.status == StatusCode::PARTIAL_CONTENT {
        let text = response::header_text(&head.headers, &header::CONTENT_RANGE);
        let part = text.and_then(|text| text.parse::<ContentRange>().ok()).ok_or_else(|| {
            let error =
                Error::new(ErrorKind::Protocol, "the answer does not say which part it has");
            response::describe(error, &head)
        })?;
        Answer::Part(part)
    } else {
        Answer::Whole(response::header_u64(&head.headers, &header::CONTENT_LENGTH))
    };
    Ok((answer, body.into_data_stream()))
}

/// What the head alone can refuse: a compressed body, or the digest of something else.
fn check_head(head: &http::response::Parts, digest: &Digest) -> Result<()> {
    let encoding = response::header_text(&head.headers, &header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let error =
            Error::new(ErrorKind::Protocol, "the blob came compressed though that was ruled out");
        return Err(response::describe(error, head));
    }
    response::check_digest_header(head, digest)
}
