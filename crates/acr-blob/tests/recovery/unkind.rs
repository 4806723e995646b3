//! A registry that keeps to little but never stores what a digest does not name.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_blob::BlobClient;
use acr_core::{
    Digest, Endpoint, Error, ErrorKind, Pipeline, Transport,
    http::{Body, Request, Response},
    layer::RetryPolicy,
};
use bytes::Bytes;
use http::{Method, Response as HttpResponse, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tower::service_fn;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Nothing,
    /// So many bytes of its body arrive, and no answer comes back.
    Cut(usize),
    /// It is done, and the answer is lost.
    Unanswered,
    /// It is not done, and this is the answer.
    Status(u16),
    /// The session is forgotten first.
    Forgotten,
}

/// What the answers look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    pub(crate) patch: u16,
    pub(crate) names_range: bool,
    pub(crate) names_place: bool,
    pub(crate) put: u16,
    pub(crate) names_digest: bool,
    /// How a `PUT` with a body is refused, if it is the first request of its session.
    pub(crate) first_put: Option<u16>,
    /// How a request to mount is answered; 202 opens a session, 201 lies.
    pub(crate) mount: u16,
    /// Longer bodies are refused with 413.
    pub(crate) most: usize,
    pub(crate) least: Option<u64>,
    /// How long a blob of more than a chunk is being stored, and how long the front end waits.
    pub(crate) storing: Duration,
    pub(crate) front_end: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            patch: 202,
            names_range: true,
            names_place: true,
            put: 201,
            names_digest: true,
            first_put: None,
            mount: 202,
            most: usize::MAX,
            least: None,
            storing: Duration::ZERO,
            front_end: Duration::MAX,
        }
    }
}

#[derive(Clone)]
pub(crate) struct Unkind(Arc<Mutex<State>>);

struct State {
    manners: Manners,
    wrong: VecDeque<Wrong>,
    sessions: BTreeMap<String, Vec<u8>>,
    opened: u32,
    blobs: BTreeMap<String, Vec<u8>>,
    storing: BTreeMap<String, (Instant, Vec<u8>)>,
    seen: Vec<String>,
    sent: u64,
    before: Box<dyn FnMut(&str) + Send>,
}

impl Unkind {
    pub(crate) fn new(manners: Manners) -> Self {
        Self(Arc::new(Mutex::new(State {
            manners,
            wrong: VecDeque::new(),
            sessions: BTreeMap::new(),
            opened: 0,
            blobs: BTreeMap::new(),
            storing: BTreeMap::new(),
            seen: Vec::new(),
            sent: 0,
            before: Box::new(|_| {}),
        })))
    }

    /// What goes wrong with the next requests.
    pub(crate) fn wrong(&self, wrong: impl IntoIterator<Item = Wrong>) {
        self.0.lock().unwrap().wrong = wrong.into_iter().collect();
    }

    /// Runs before each request is looked at, with its line.
    pub(crate) fn before(&self, function: impl FnMut(&str) + Send + 'static) {
        self.0.lock().unwrap().before = Box::new(function);
    }

    pub(crate) fn client(&self) -> BlobClient {
        let this = self.clone();
        let transport = Transport::new(service_fn(move |request: Request| {
            let this = this.clone();
            async move { this.answer(request).await }
        }));
        let endpoint: Endpoint = "r.azurecr.io".parse().unwrap();
        let retry = RetryPolicy::default().retries(0);
        let pipeline = Pipeline::builder(endpoint)
            .transport(transport)
            .retry(retry)
            .hashing(crate::modes::hashing());
        BlobClient::new(pipeline.build().unwrap(), "a".parse().unwrap())
    }

    /// `METHOD length` of all requests since the last call.
    pub(crate) fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().seen)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.0.lock().unwrap().sent
    }

    pub(crate) fn blobs(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().blobs.values().cloned().collect()
    }

    pub(crate) fn open(&self) -> usize {
        self.0.lock().unwrap().sessions.len()
    }

    pub(crate) fn forget_sessions(&self) {
        self.0.lock().unwrap().sessions.clear();
    }

    async fn answer(&self, request: Request) -> Result<Response, Error> {
        let (head, mut body) = request.into_parts();
        let mut arrived = Vec::new();
        let mut broken = None;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => arrived.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(error) => broken = Some(error),
            }
        }
        let (answer, pause) = {
            let mut state = self.0.lock().unwrap();
            let line = format!("{} {}", head.method, arrived.len());
            (state.before)(&line);
            state.seen.push(line);
            state.sent += arrived.len() as u64;
            let mut wrong = state.wrong.pop_front().unwrap_or(Wrong::Nothing);
            if broken.is_some() {
                wrong = Wrong::Cut(arrived.len());
            }
            state.meet(&head, arrived, wrong)
        };
        tokio::time::sleep(pause).await;
        broken.map_or(answer, Err)
    }
}

impl State {
    fn meet(
        &mut self,
        head: &http::request::Parts,
        mut arrived: Vec<u8>,
        wrong: Wrong,
    ) -> (Result<Response, Error>, Duration) {
        let lost = || Err(Error::new(ErrorKind::Transport, "the connection broke"));
        match wrong {
            Wrong::Nothing => self.obey(head, &arrived),
            Wrong::Status(status) => (Ok(plain(status)), Duration::ZERO),
            Wrong::Unanswered => {
                let (_, pause) = self.obey(head, &arrived);
                (lost(), pause)
            }
            Wrong::Forgotten => {
                self.sessions.clear();
                self.obey(head, &arrived)
            }
            Wrong::Cut(at) => {
                arrived.truncate(at);
                if matches!(head.method, Method::PATCH | Method::PUT)
                    && let Some(session) = self.sessions.get_mut(head.uri.path())
                    && is_next(head, session)
                {
                    session.extend_from_slice(&arrived);
                }
                (lost(), Duration::ZERO)
            }
        }
    }

    fn obey(
        &mut self,
        head: &http::request::Parts,
        arrived: &[u8],
    ) -> (Result<Response, Error>, Duration) {
        let manners = self.manners;
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default();
        let answer = match head.method {
            _ if arrived.len() > manners.most => plain(413),
            Method::POST if query.contains("mount=") && manners.mount != 202 => {
                plain(manners.mount)
            }
            Method::POST => {
                self.opened += 1;
                let place = format!("/v2/a/blobs/uploads/{}", self.opened);
                self.sessions.insert(place.clone(), Vec::new());
                self.at(&place, 202, true, true)
            }
            Method::HEAD => self.stat(&path),
            Method::GET if self.sessions.contains_key(&path) => self.at(&path, 204, true, true),
            Method::DELETE if self.sessions.remove(&path).is_some() => plain(204),
            Method::PATCH | Method::PUT => {
                let Some(session) = self.sessions.get_mut(&path) else {
                    return (Ok(plain(404)), Duration::ZERO);
                };
                if !is_next(head, session) {
                    return (Ok(self.at(&path, 416, true, true)), Duration::ZERO);
                }
                if let (&Method::PUT, Some(status), true, true) =
                    (&head.method, manners.first_put, session.is_empty(), !arrived.is_empty())
                {
                    return (Ok(plain(status)), Duration::ZERO);
                }
                session.extend_from_slice(arrived);
                if head.method == Method::PUT {
                    return self.store(&path, query);
                }
                self.at(&path, manners.patch, manners.names_range, manners.names_place)
            }
            _ => plain(404),
        };
        (Ok(answer), Duration::ZERO)
    }

    fn store(&mut self, path: &str, query: &str) -> (Result<Response, Error>, Duration) {
        let content = self.sessions.remove(path).unwrap();
        let digest = Digest::sha256(&content);
        let wanted = query.split('&').find_map(|pair| pair.strip_prefix("digest=")).unwrap();
        if wanted.replace("%3A", ":") != digest.as_str() {
            return (Ok(refuse(400, "DIGEST_INVALID")), Duration::ZERO);
        }
        let manners = self.manners;
        if manners.storing > manners.front_end && content.len() > 2048 {
            let end = Instant::now() + manners.storing;
            self.storing.insert(digest.to_string(), (end, content));
            return (Ok(plain(504)), manners.front_end);
        }
        self.blobs.insert(digest.to_string(), content);
        let mut answer = HttpResponse::builder().status(manners.put);
        if manners.names_digest {
            answer = answer.header("docker-content-digest", digest.as_str());
        }
        (Ok(answer.body(Body::empty()).unwrap()), Duration::ZERO)
    }

    fn stat(&mut self, path: &str) -> Response {
        let digest = path.rsplit('/').next().unwrap().to_owned();
        if self.storing.get(&digest).is_some_and(|(end, _)| *end <= Instant::now()) {
            let (_, content) = self.storing.remove(&digest).unwrap();
            self.blobs.insert(digest.clone(), content);
        }
        match self.blobs.get(&digest) {
            Some(blob) => HttpResponse::builder()
                .status(200)
                .header(header::CONTENT_LENGTH, blob.len())
                .body(Body::empty())
                .unwrap(),
            None => plain(404),
        }
    }

    fn at(&self, place: &str, status: u16, names_range: bool, names_place: bool) -> Response {
        let mut answer = HttpResponse::builder().status(status);
        if names_place {
            answer = answer.header(header::LOCATION, place);
        }
        if names_range {
            let len = self.sessions[place].len();
            answer = answer.header(header::RANGE, format!("0-{}", len.saturating_sub(1)));
        }
        if let Some(least) = self.manners.least.filter(|_| self.sessions[place].is_empty()) {
            answer = answer.header("oci-chunk-min-length", least);
        }
        answer.body(Body::empty()).unwrap()
    }
}

fn is_next(head: &http::request::Parts, session: &[u8]) -> bool {
    let range = head.headers.get(header::CONTENT_RANGE);
    let start = range.and_then(|range| range.to_str().ok()?.split('-').next()?.parse().ok());
    start.is_none_or(|start: usize| start == session.len())
}

pub(crate) fn plain(status: u16) -> Response {
    HttpResponse::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .body(Body::empty())
        .unwrap()
}

fn refuse(status: u16, code: &str) -> Response {
    let text = format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
    HttpResponse::builder().status(status).body(Body::from(Bytes::from(text))).unwrap()
}
