//! Faults that act while a request is handled: on the registry's state, its tokens, its answers.

use acr_core::{Digest, http::Body};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::{
    access::{self, Challenge, Grant},
    answer::{Answer, Refusal, empty, set, text},
    damage,
    exchange::Exchange,
    fault::{ChallengeKind, Effect},
    journal::Origin,
    manifest::{self, OCI_INDEX},
    operation::Operation,
    reference::is_digest,
    routes::{Document, manifest_record},
    state::Push,
    storage,
    sync::lock,
};

/// Acts before a request is handled; with an answer or an error it is not handled at all.
pub(crate) async fn before(x: &mut Exchange<'_>, origin: Origin) -> Option<io::Result<Answer>> {
    for effect in x.effects {
        match effect {
            Effect::DropRequest => return Some(Err(damage::broken())),
            Effect::Stall => std::future::pending().await,
            Effect::Delay { time } => tokio::time::sleep(*time).await,
            Effect::Status { status, retry_after } => {
                return Some(Ok(status_answer(origin, *status, retry_after.as_deref())));
            }
            Effect::EarlyStatus { status } => {
                let answer = status_answer(origin, *status, None);
                return Some(Ok(crate::answer::with(answer, header::CONNECTION, "close")));
            }
            Effect::Challenge(kind) => return Some(Ok(challenge(x, *kind))),
            Effect::LoseSession => x.shared.uploads.lose(&x.route.item),
            Effect::RevokeRefresh => x.shared.revoke_refresh_tokens(),
            Effect::Rival => push_as_rival(x),
            _ => {}
        }
    }
    None
}

/// The answer of a lagging replica, which does not know yet what was written.
pub(crate) fn missed(x: &Exchange<'_>) -> Option<Answer> {
    let item = x.route.item.as_str();
    let mut faults = lock(&x.shared.faults);
    let mut misses = |is_it: &dyn Fn(&str) -> bool| faults.misses(&x.route.repository, is_it);
    let (status, code, message) = match x.route.operation {
        Operation::GetManifest | Operation::Resolve | Operation::ManifestProperties => {
            misses(&|lagging| lagging == item)?;
            (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown")
        }
        Operation::TagProperties => {
            misses(&|lagging| lagging == item)?;
            (StatusCode::NOT_FOUND, "TAG_UNKNOWN", "the specified tag does not exist")
        }
        Operation::BlobProperties | Operation::DownloadBlob => {
            misses(&|lagging| lagging == item)?;
            (StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
        }
        Operation::PutManifest => {
            let digest = misses(&|lagging| is_digest(lagging) && lagging != item)?;
            let (status, code) = (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN");
            let refusal = Refusal::new(status, code, "blob unknown to registry");
            return Some(refusal.detail(&digest).answer());
        }
        _ => return None,
    };
    Some(Refusal::new(status, code, message).answer())
}

/// Acts after a request was handled with success.
pub(crate) fn after(x: &Exchange<'_>, answer: &Answer) {
    for effect in x.effects {
        if let Effect::Lag { reads } = effect {
            let digest = answer.headers().get(crate::answer::DOCKER_CONTENT_DIGEST);
            let digest = digest.and_then(|value| value.to_str().ok());
            let tag =
                Some(x.route.item.as_str()).filter(|_| x.route.operation == Operation::PutManifest);
            let tag = tag.filter(|tag| Some(*tag) != digest);
            for item in digest.into_iter().chain(tag) {
                lock(&x.shared.faults).lag(&x.route.repository, item, *reads);
            }
        }
    }
}

impl Exchange<'_> {
    /// The time and lifetime that a token gets.
    pub(crate) fn spoiled_times(&self, now: i64, lifetime: i64) -> (i64, i64) {
        self.effects.iter().fold((now, lifetime), |(now, lifetime), effect| match effect {
            Effect::TokenLifetime { seconds } => (now, *seconds),
            Effect::TokenSkew { seconds } => (now.saturating_add(*seconds), lifetime),
            _ => (now, lifetime),
        })
    }

    /// What a token grants.
    pub(crate) fn spoiled_grants(&self, grants: Vec<Grant>) -> Vec<Grant> {
        if self.effects.contains(&Effect::TokenGrantsNothing) { Vec::new() } else { grants }
    }

    /// The text of a token.
    pub(crate) fn spoiled_token(&self, token: String) -> String {
        let text = self.effects.iter().find_map(|effect| match effect {
            Effect::TokenText { text } => Some(text.clone()),
            _ => None,
        });
        text.unwrap_or(token)
    }
}

/// The answer of a status fault, in the clothes such answers wear.
fn status_answer(origin: Origin, status: u16, retry_after: Option<&str>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = match (origin, status.as_u16()) {
        (Origin::Storage, _) => storage::error(status, "ServerBusy", "The server is busy."),
        (_, 429) => Refusal::new(status, "TOOMANYREQUESTS", "Too many requests.").answer(),
        (_, 503) => Refusal::new(status, "UNAVAILABLE", "service unavailable").answer(),
        (_, 502 | 504) => text(status, "text/html", "<html><body>Bad gateway</body></html>\n"),
        (_, 401) => empty(status),
        _ => Refusal::new(status, "UNKNOWN", "unknown error").answer(),
    };
    if let Some(value) = retry_after {
        set(&mut answer, header::RETRY_AFTER, value);
    }
    answer
}

fn challenge(x: &Exchange<'_>, kind: ChallengeKind) -> Answer {
    let needed = access::required(x.route, x.query.get("from"));
    let (realm, service) = (x.site.realm(x.authority), x.authority);
    let make = |why| access::challenge(why, &realm, service, &needed, x.shared.coin());
    let mut answer = match kind {
        ChallengeKind::InvalidToken => return make(Challenge::InvalidToken),
        ChallengeKind::InsufficientScope => return make(Challenge::InsufficientScope),
        _ => make(Challenge::NoToken),
    };
    let text = match kind {
        ChallengeKind::ForeignRealm => format!(
            "Bearer realm=\"https://token.evil.example/oauth2/token\",service=\"{service}\",scope=\"repository:a:pull\""
        ),
        ChallengeKind::WiderScope => format!(
            "Bearer realm=\"{realm}\",service=\"{service}\",scope=\"repository:*:* registry:catalog:*\""
        ),
        ChallengeKind::Two => format!(
            "Basic realm=\"Azure Container Registry\", Bearer realm=\"{realm}\",service=\"{service}\""
        ),
        ChallengeKind::Garbage => "Bearer realm=\"https://, =,\"scope".to_owned(),
        _ => {
            answer.headers_mut().remove(header::WWW_AUTHENTICATE);
            return answer;
        }
    };
    if let Ok(value) = HeaderValue::from_str(&text) {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    answer
}

/// Moves the request's tag to an index that nobody else pushed.
fn push_as_rival(x: &Exchange<'_>) {
    let tag = x.route.item.as_str();
    if !x.route.operation.names_a_tag() || is_digest(tag) {
        return;
    }
    let id = x.shared.uuid();
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[],"annotations":{{"rival":"{id}"}}}}"#
    );
    let (bytes, name) = (Bytes::from(index), x.route.repository.as_str());
    let Ok((form, parsed)) = manifest::parse(OCI_INDEX, &bytes, false) else { return };
    let digest = Digest::sha256(&bytes);
    let mut state = lock(&x.shared.state);
    let now = state.stamp(&x.shared.clock);
    let (media_type, share) = (OCI_INDEX.to_owned(), x.shared.manifests.owe(bytes.len()));
    let document = Document { form, parsed, media_type, bytes, share };
    let record = manifest_record(&state, now, name, document);
    // A lock holds for rivals too.
    let _ = state.put_manifest(name, &digest, &Push::to(tag), record);
}

/// A request's body that breaks after some bytes.
pub(crate) struct CutBody {
    pub(crate) inner: Body,
    pub(crate) left: u64,
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(Some(Err(damage::broken())));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let Some(frame) = frame.transpose().map_err(io::Error::other)? else {
            return Poll::Ready(None);
        };
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let frame = frame.map_data(|mut piece| {
            piece.truncate(left);
            piece
        });
        let len = frame.data_ref().map_or(0, Bytes::len) as u64;
        self.left = self.left.saturating_sub(len);
        Poll::Ready(Some(Ok(frame)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}
