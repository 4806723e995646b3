//! Builds requests. Pure: nothing here awaits or sends.

use std::fmt::{self, Write as _};

use http::{HeaderName, HeaderValue, Method, Uri, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{
    http::{
        body::Body,
        endpoint::Endpoint,
        error::{Error, ErrorKind, Result},
        operation::{Effect, FollowRedirects, Operation},
        redact,
    },
    value::scope::Scope,
};

/// The request type of every layer.
pub type Request = http::Request<Body>;

/// Builds a request to a registry, with the facts the layers read. It asks for answers as they
/// are (`Accept-Encoding: identity`).
///
/// ```
/// use acr_core::{http::{Effect, Operation, RequestBuilder}, Endpoint};
/// use http::Method;
///
/// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
/// let request = RequestBuilder::new(Method::GET, &endpoint, &["acr", "v1", "_catalog"])
///     .query("n", 50)
///     .operation(Operation::new("list_repositories"))
///     .effect(Effect::Read)
///     .build()?;
/// assert_eq!(request.uri(), "https://myregistry.azurecr.io/acr/v1/_catalog?n=50");
/// # Ok::<(), acr_core::Error>(())
/// ```
#[must_use]
pub struct RequestBuilder {
    uri: Result<Uri>,
    request: Request,
    query: String,
}

impl RequestBuilder {
    /// A request to a path of the endpoint. Segments may contain `/` (repository
    /// names do); everything a path cannot hold is percent-encoded.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::RequestBuilder};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &["v2", "library/app", "tags list"]).build()?;
    /// assert_eq!(request.uri(), "https://myregistry.azurecr.io/v2/library/app/tags%20list");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn new(method: Method, endpoint: &Endpoint, segments: &[&str]) -> Self {
        // Most segments have nothing to be encoded.
        let len = segments.iter().map(|segment| segment.len().saturating_add(1)).sum();
        let mut path = String::with_capacity(len);
        for segment in segments {
            // Writing to a String cannot fail.
            let _ = write!(path, "/{}", utf8_percent_encode(segment, PATH));
        }
        Self::with_uri(method, endpoint.uri(&path))
    }

    /// A request to a URL that the URL policy has accepted.
    ///
    /// ```
    /// use acr_core::http::RequestBuilder;
    /// use http::{Method, Uri};
    ///
    /// let location = Uri::from_static("https://myregistry.azurecr.io/v2/app/blobs/uploads/u?_state=a%3D");
    /// let request = RequestBuilder::to(Method::PUT, location).query("digest", "sha256:ab").build()?;
    /// assert_eq!(request.uri().query(), Some("_state=a%3D&digest=sha256%3Aab"));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn to(method: Method, uri: Uri) -> Self {
        Self::with_uri(method, Ok(uri))
    }

    fn with_uri(method: Method, uri: Result<Uri>) -> Self {
        let mut request = Request::default();
        *request.method_mut() = method;
        // Nothing here decompresses, and a digest is that of the bytes as they are stored.
        let identity = HeaderValue::from_static("identity");
        request.headers_mut().insert(header::ACCEPT_ENCODING, identity);
        Self { uri, request, query: String::new() }
    }

    /// Adds a query parameter.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::RequestBuilder};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &["v2"]).query("last", "a&b").build()?;
    /// assert_eq!(request.uri().query(), Some("last=a%26b"));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[expect(
        clippy::needless_pass_by_value,
        reason = "`.query(\"n\", 50)` reads better than `&50`"
    )]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        let value = value.to_string();
        let _ = write!(self.query, "&{name}={}", utf8_percent_encode(&value, QUERY));
        self
    }

    /// Adds a query that is encoded already, as a next-page link has it.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::RequestBuilder};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &["v2"]).encoded_query("last=a%26b&n=2");
    /// assert_eq!(request.build()?.uri().query(), Some("last=a%26b&n=2"));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn encoded_query(mut self, query: &str) -> Self {
        self.query.push('&');
        self.query.push_str(query);
        self
    }

    /// Sets a header.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::RequestBuilder};
    /// use http::{HeaderValue, Method, header};
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let json = HeaderValue::from_static("application/json");
    /// let request = RequestBuilder::new(Method::PATCH, &endpoint, &["acr", "v1", "app"])
    ///     .header(header::CONTENT_TYPE, json)
    ///     .build()?;
    /// assert_eq!(request.headers()[header::CONTENT_TYPE], "application/json");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.request.headers_mut().insert(name, value);
        self
    }

    /// Asks for JSON.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::RequestBuilder};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &["acr", "v1", "app"]).accept_json().build()?;
    /// assert_eq!(request.headers()["accept"], "application/json");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn accept_json(self) -> Self {
        self.header(header::ACCEPT, HeaderValue::from_static("application/json"))
    }

    /// Says what the request is for.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::{Operation, RequestBuilder}};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let ping = Operation::new("ping");
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &["v2", ""]).operation(ping).build()?;
    /// assert_eq!(request.extensions().get::<Operation>().map(Operation::name), Some("ping"));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn operation(mut self, operation: Operation) -> Self {
        self.request.extensions_mut().insert(operation);
        self
    }

    /// Says which permission it needs.
    ///
    /// ```
    /// use acr_core::{Action, Endpoint, Scope, http::RequestBuilder};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let pull = Scope::repository(&"library/app".parse()?, &[Action::PULL]);
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &["v2", "library/app", "tags", "list"])
    ///     .scope(pull)
    ///     .build()?;
    /// assert!(request.extensions().get::<Scope>().is_some()); // what the layer that signs in reads
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn scope(mut self, scope: Scope) -> Self {
        self.request.extensions_mut().insert(scope);
        self
    }

    /// Says what happens when it takes effect twice.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::{Effect, RequestBuilder}};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::DELETE, &endpoint, &["acr", "v1", "app"])
    ///     .effect(Effect::Set)
    ///     .build()?;
    /// assert_eq!(request.extensions().get(), Some(&Effect::Set)); // what the retry layer reads
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn effect(mut self, effect: Effect) -> Self {
        self.request.extensions_mut().insert(effect);
        self
    }

    /// Lets the answer come from another origin by redirect.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::{FollowRedirects, RequestBuilder}};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &["v2", "app", "blobs", "sha256:ab"])
    ///     .follow_redirects()
    ///     .build()?;
    /// assert!(request.extensions().get::<FollowRedirects>().is_some()); // what the redirect layer reads
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn follow_redirects(mut self) -> Self {
        self.request.extensions_mut().insert(FollowRedirects);
        self
    }

    /// Sets the body.
    ///
    /// ```
    /// use acr_core::{Endpoint, http::RequestBuilder};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::PUT, &endpoint, &["v2", "app", "manifests", "v1"])
    ///     .body("{}")
    ///     .build()?;
    /// assert!(request.body().try_clone().is_some()); // bytes can be sent again
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// The request.
    ///
    /// ```
    /// use acr_core::{Endpoint, ErrorKind, http::RequestBuilder};
    /// use http::Method;
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let request = RequestBuilder::new(Method::GET, &endpoint, &[&"a".repeat(70_000)]).build();
    /// assert_eq!(request.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the URL cannot be formed.
    pub fn build(self) -> Result<Request> {
        let Self { uri, mut request, query } = self;
        let mut uri = uri?;
        if let Some(query) = query.strip_prefix('&') {
            uri = append_query(&uri, query)?;
        }
        *request.uri_mut() = uri;
        Ok(request)
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No headers and no query: either may hold a secret.
        let url = self.uri.as_ref().ok().map(redact::url_without_query);
        f.debug_struct("RequestBuilder")
            .field("method", self.request.method())
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

/// Adds to a URL's query without touching what stands there: an upload
/// location carries an opaque state that must not be encoded again.
fn append_query(uri: &Uri, query: &str) -> Result<Uri> {
    let joined = match uri.query() {
        None | Some("") => format!("{}?{query}", uri.path()),
        Some(present) => format!("{}?{present}&{query}", uri.path()),
    };
    let invalid = || Error::new(ErrorKind::InvalidInput, "the URL is too long or malformed");
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(joined.parse().map_err(|e| invalid().with_source(e))?);
    Uri::from_parts(parts).map_err(|e| invalid().with_source(e))
}

/// Unreserved characters, and `/` and `:`, which names and digests contain and
/// every registry takes unencoded in a path.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':');

/// Unreserved characters only: a blank becomes `%20`, never `+`.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn endpoint() -> Endpoint {
        "reg.azurecr.io".parse().unwrap()
    }

    #[test]
    fn an_opaque_query_is_kept_byte_for_byte() {
        let location: Uri =
            "https://reg.azurecr.io/v2/a/blobs/uploads/u?_nouploadcache=false&_state=a-b_c%3D%3D"
                .parse()
                .unwrap();
        let request =
            RequestBuilder::to(Method::PUT, location).query("digest", "sha256:ab").build().unwrap();
        assert_eq!(
            request.uri(),
            "https://reg.azurecr.io/v2/a/blobs/uploads/u?_nouploadcache=false&_state=a-b_c%3D%3D&digest=sha256%3Aab"
        );
    }

    proptest! {
        #[test]
        fn a_segment_never_leaves_its_place(text in "\\PC{1,30}") {
            let request = RequestBuilder::new(Method::GET, &endpoint(), &["v2", &text, "end"]).build().unwrap();
            let uri = request.uri();
            prop_assert!(endpoint().is_origin_of(uri));
            prop_assert!(uri.query().is_none());
            let inner = uri.path().strip_prefix("/v2/").unwrap().strip_suffix("/end").unwrap();
            let decoded = percent_encoding::percent_decode_str(inner).decode_utf8().unwrap();
            prop_assert_eq!(decoded, text);
        }

        #[test]
        fn a_query_value_never_becomes_another_parameter(text in "\\PC{0,30}") {
            let request = RequestBuilder::new(Method::GET, &endpoint(), &["v2"]).query("a", &text).query("b", 1).build().unwrap();
            let pairs: Vec<_> = request.uri().query().unwrap().split('&').collect();
            prop_assert_eq!(pairs.len(), 2);
            let value = percent_encoding::percent_decode_str(pairs[0].strip_prefix("a=").unwrap()).decode_utf8().unwrap();
            prop_assert_eq!(value, text);
        }
    }
}
