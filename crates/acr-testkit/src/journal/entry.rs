//! One request and what became of it.

use std::fmt;

use http::Method;
use serde::Serialize;

use crate::operation::Operation;

/// One request and what became of it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// When it arrived, by the registry's clock: RFC 3339.
    pub time: String,
    /// Which of the two servers was asked.
    pub origin: Origin,
    /// The method.
    #[serde(serialize_with = "method")]
    pub method: Method,
    /// The path as it was sent, without the query.
    pub path: String,
    /// The names in the query, in order, without their values.
    pub query: Vec<String>,
    /// The names of the request's headers in lower case, without their values.
    pub headers: Vec<String>,
    /// The status of the answer; 0 when none was sent, or none yet.
    pub status: u16,
    /// The operation; `None` for a request without a route, which is `unrouted` in JSON.
    #[serde(serialize_with = "operation")]
    pub operation: Option<Operation>,
    /// Whether the request carried an `Authorization` header.
    pub authorized: bool,
    /// How many bytes of the request's body arrived.
    pub body_bytes: u64,
    /// How many of them were sent for nothing: those of a request that was refused, or that was
    /// never handled.
    pub wasted_bytes: u64,
    /// Whether the answer was a 401 with a challenge.
    pub challenged: bool,
    /// The scopes that a call of `/oauth2/token` asked for.
    pub scopes: Vec<String>,
    /// Why it was refused, where the answer itself does not say: what was wrong with a manifest,
    /// what the disk did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// The login server.
    Registry,
    /// The storage that blob downloads are redirected to.
    Storage,
}

/// What an [`Entry`] is about, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An answer 401 with `WWW-Authenticate` outside the token service.
    Challenge,
    /// A call of `/oauth2/exchange`.
    Exchange,
    /// A call of `/oauth2/token`.
    Token,
    /// Anything else.
    Other,
}

impl Entry {
    pub(super) fn reason_line(&self) -> Option<String> {
        let reason = self.reason.as_ref()?;
        let (method, path, status) = (&self.method, self.path.escape_debug(), self.status);
        Some(format!("{method} {path}: {status}, {reason}\n"))
    }

    /// Cuts what a client can make as long as it likes.
    pub(super) fn shorten(&mut self) {
        let mut left = MAX_NAMES;
        for names in [&mut self.query, &mut self.headers, &mut self.scopes] {
            names.truncate(left);
            names.iter_mut().for_each(cut);
            names.shrink_to_fit();
            left = left.saturating_sub(names.len());
        }
        cut(&mut self.path);
        self.reason.iter_mut().for_each(cut);
    }

    /// How many bytes it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        let lists = [&self.query, &self.headers, &self.scopes];
        let texts = lists.into_iter().flatten().chain(&self.reason);
        let sum = texts.fold(0, |sum: usize, text| sum + text.capacity() + TEXT);
        size_of::<Self>() + self.time.capacity() + self.path.capacity() + sum
    }

    /// What this entry is about.
    pub fn kind(&self) -> Kind {
        match self.operation {
            Some(Operation::ExchangeEntraToken) => Kind::Exchange,
            Some(Operation::FetchAccessToken) => Kind::Token,
            _ if self.challenged => Kind::Challenge,
            _ => Kind::Other,
        }
    }
}

/// `registry download_blob GET /v2/app/blobs/sha256:… 307`, with control characters escaped.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.escape_debug();
        write!(f, "{} {} {} {path}", self.origin, name(self.operation), self.method)?;
        if !self.query.is_empty() {
            write!(f, "?{}", self.query.join("&").escape_debug())?;
        }
        write!(f, " {}", self.status)?;
        if self.authorized {
            f.write_str(" authorized")?;
        }
        if self.body_bytes > 0 {
            write!(f, " body={}", self.body_bytes)?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "registry",
            Self::Storage => "storage",
        })
    }
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde hands it out so")]
fn operation<S: serde::Serializer>(
    operation: &Option<Operation>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name(*operation))
}

fn name(operation: Option<Operation>) -> &'static str {
    operation.map_or(UNROUTED, Operation::name)
}

fn method<S: serde::Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

/// Cuts a text, and gives back what it took.
fn cut(text: &mut String) {
    if text.len() > MAX_TEXT {
        // Room for the ellipsis, so that what was cut is not cut again.
        let end = (0..=MAX_TEXT - 3).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text.shrink_to_fit();
}

/// What stands for the operation of a request without a route.
const UNROUTED: &str = "unrouted";

/// What is kept of a text.
const MAX_TEXT: usize = 2048;

/// How many names an entry keeps: of query, headers and scopes together.
pub(super) const MAX_NAMES: usize = 256;

/// What a text takes beside its bytes.
const TEXT: usize = size_of::<String>() + 16;
