//! The whole name of an image: registry, repository, tag, digest.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::{
    http::{
        endpoint::Endpoint,
        error::{Error, ErrorKind, Result},
    },
    value::{
        digest::Digest,
        host::Host,
        name::{RepositoryName, Tag},
        reference::Reference,
    },
};

/// The whole name of an image: `host[:port]/repository[:tag][@digest]`.
///
/// Parsing is strict: the registry is named, so one text means one image to every reader. A host
/// has a dot, a port or brackets, or is `localhost`; it is kept in lower case, and an IPv6 address
/// in its canonical form. No tag is made up: without tag and digest, it names a repository.
/// Docker's short forms are read by [`ImageReference::parse_docker`] alone.
///
/// ```
/// use acr_core::{Digest, ImageReference};
///
/// let image: ImageReference = "myregistry.azurecr.io/library/app:v1".parse()?;
/// assert_eq!(image.registry(), "myregistry.azurecr.io");
/// assert_eq!(image.repository(), "library/app");
/// assert_eq!(image.tag().unwrap(), "v1");
/// assert_eq!(image.to_string(), "myregistry.azurecr.io/library/app:v1");
/// assert_eq!((image.host(), image.port(), image.digest()), ("myregistry.azurecr.io", None, None));
/// assert_eq!(image.endpoint()?, "myregistry.azurecr.io".parse()?);
/// assert_eq!(image.reference(), Some("v1".parse()?));
/// let other = image.with_tag(&"v2".parse()?).with_digest(&Digest::sha256(b"{}"));
/// assert_eq!(other.reference(), Some(Digest::sha256(b"{}").into()));
///
/// assert!("library/app:v1".parse::<ImageReference>().is_err());
/// assert_eq!(ImageReference::parse_docker("alpine:3.22")?, "docker.io/library/alpine:3.22");
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageReference {
    /// Host and port in the one form that this type prints.
    registry: String,
    repository: RepositoryName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

/// The text is not the whole name of an image; the message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{message}")]
pub struct ParseImageReferenceError {
    message: String,
}

impl ImageReference {
    /// Reads what one types for Docker: as strict parsing, and a name without a host is one of
    /// Docker Hub.
    ///
    /// The first part is a host if it has a dot or a port, or is `localhost`; else the image is at
    /// `docker.io`, below `library/` if its name has one part: `alpine`, `user/app`,
    /// `localhost/app`. Refused is what Docker alone can tell: a first part in upper case
    /// without a dot, and 64 hexadecimal digits, which may be the id of an image. `latest` is not added.
    ///
    /// ```
    /// use acr_core::ImageReference;
    ///
    /// for (typed, meant) in [
    ///     ("alpine", "docker.io/library/alpine"),
    ///     ("user/app:v1", "docker.io/user/app:v1"),
    ///     ("localhost/app", "localhost/app"),
    ///     ("ghcr.io/user/app", "ghcr.io/user/app"),
    /// ] {
    ///     assert_eq!(ImageReference::parse_docker(typed)?, meant);
    /// }
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`FromStr`], but for names without a host.
    pub fn parse_docker(text: &str) -> Result<Self, ParseImageReferenceError> {
        read(text, Rules::Docker)
    }

    /// The repository of this name at a registry: host and port, as strict parsing takes
    /// them, or those of most [`Endpoint`]s ([`Endpoint::authority`]).
    ///
    /// The language of image references is the smaller one. It has no word for `http`: what
    /// [`endpoint`](Self::endpoint) gives back speaks https. Its hosts have letters, digits and `-`
    /// between single dots, so one with `_` or a dot at the end cannot be said at all. And a host of one
    /// part, such as `registry`, needs its port, since it would be a repository without: `registry:443`.
    ///
    /// ```
    /// use acr_core::{Endpoint, ImageReference};
    ///
    /// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
    /// let image = ImageReference::new(endpoint.authority(), "library/app")?;
    /// assert_eq!(image.with_tag(&"v1".parse()?), "myregistry.azurecr.io/library/app:v1");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for what is no host with or without a port, or no repository
    /// name; for a name that Docker takes for another one (`docker.io/alpine`), too.
    pub fn new(
        registry: &str,
        repository: impl TryInto<RepositoryName, Error: Into<Error>>,
    ) -> Result<Self> {
        let repository = repository.try_into().map_err(Into::into)?;
        if registry.contains('@') {
            // As below: what stands before it may be a password.
            let why = "the registry of an image reference must not carry user information: \
                       leave out all up to the `@`";
            return Err(refused(why.to_owned()).into());
        }
        if registry.contains('/') || !is_host(registry) {
            let is_name = !registry.is_empty() && registry.split('.').all(is_label);
            let is_odd =
                !registry.contains('/') && (registry.contains('_') || registry.ends_with('.'));
            let registry = crate::http::redact::printable(registry);
            let remedy = if is_name {
                format!("without a dot it needs its port, mostly `{registry}:443`")
            } else if is_odd {
                "write a host without `_` or a dot at the end, with a dot within or a port"
                    .to_owned()
            } else {
                "write a host that has a dot or a port, or `localhost`, without a scheme or path: \
                 `myregistry.azurecr.io`"
                    .to_owned()
            };
            let why = format!("`{registry}` is no registry of an image reference: {remedy}");
            return Err(refused(why).into());
        }
        Ok(read(&format!("{registry}/{repository}"), Rules::Strict)?)
    }

    /// Host and port, as the name has them.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The host without the port; an IPv6 address stands in brackets.
    pub fn host(&self) -> &str {
        let port = self.registry.rfind(':').filter(|_| self.port().is_some());
        port.and_then(|at| self.registry.get(..at)).unwrap_or(&self.registry)
    }

    /// The port, if the name has one.
    pub fn port(&self) -> Option<u16> {
        let (host, port) = self.registry.rsplit_once(':')?;
        let is_inside_of_brackets = host.starts_with('[') && !host.ends_with(']');
        if is_inside_of_brackets { None } else { port.parse().ok() }
    }

    /// The repository.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// The tag, if the name has one.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if the name has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What to ask the registry for: the digest if there is one, for it names one content; else
    /// the tag. `None` where the name is only that of a repository.
    pub fn reference(&self) -> Option<Reference> {
        let digest = self.digest.as_ref().map(Reference::from);
        digest.or_else(|| self.tag.as_ref().map(Reference::from))
    }

    /// The same repository, and what this tag stands for; a digest is left out, for it is that
    /// of something else.
    #[must_use]
    pub fn with_tag(self, tag: &Tag) -> Self {
        Self { tag: Some(tag.clone()), digest: None, ..self }
    }

    /// The same name without the tag: pinned, if it has a digest, else that of the repository.
    ///
    /// ```
    /// use acr_core::{Digest, ImageReference};
    ///
    /// let image: ImageReference = "myregistry.azurecr.io/app:v1".parse()?;
    /// let pinned = image.with_digest(&Digest::sha256(b"{}")).without_tag();
    /// let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    /// assert_eq!(pinned.to_string(), format!("myregistry.azurecr.io/app@sha256:{digest}"));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    #[must_use]
    pub fn without_tag(self) -> Self {
        Self { tag: None, ..self }
    }

    /// The same name, pinned to one content. The tag stays: it tells people what was pinned.
    #[must_use]
    pub fn with_digest(self, digest: &Digest) -> Self {
        Self { digest: Some(digest.clone()), ..self }
    }

    /// The address of the registry, over https: what the name says, and for Docker Hub
    /// `registry-1.docker.io`, where its API is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a host that is no endpoint.
    pub fn endpoint(&self) -> Result<Endpoint> {
        if self.registry == DOCKER_HUB { DOCKER_HUB_API } else { &self.registry }.parse()
    }
}

impl FromStr for ImageReference {
    type Err = ParseImageReferenceError;

    /// Reads a name that has its registry in it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text, Rules::Strict)
    }
}

impl TryFrom<&str> for ImageReference {
    type Error = ParseImageReferenceError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for ImageReference {
    type Error = ParseImageReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<&String> for ImageReference {
    type Error = ParseImageReferenceError;

    fn try_from(text: &String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<&Self> for ImageReference {
    fn from(image: &Self) -> Self {
        image.clone()
    }
}

impl From<ImageReference> for String {
    fn from(image: ImageReference) -> Self {
        image.to_string()
    }
}

impl PartialEq<str> for ImageReference {
    fn eq(&self, text: &str) -> bool {
        let shown = self.to_string();
        shown == text
    }
}

impl PartialEq<&str> for ImageReference {
    fn eq(&self, text: &&str) -> bool {
        self == *text
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl From<ParseImageReferenceError> for Error {
    fn from(error: ParseImageReferenceError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    Strict,
    Docker,
}

fn read(text: &str, rules: Rules) -> Result<ImageReference, ParseImageReferenceError> {
    let refuse = |why: &str| {
        let text = crate::http::redact::printable(text);
        refused(format!("`{text}` is no image reference: {why}"))
    };
    let (named, digest) = text.split_once('@').map_or((text, None), |(n, d)| (n, Some(d)));
    if digest.is_some_and(|digest| !is_like_a_digest(digest)) {
        // The text itself is left out: what stands before the `@` may be a password.
        let why = "what stands after the `@` of an image reference is not a sha256 or sha512 digest; \
                   it must not carry user information either: leave out all up to the `@`";
        return Err(refused(why.to_owned()));
    }
    if let Some((scheme, _)) = named.split_once("://") {
        let scheme = crate::http::redact::printable(scheme);
        return Err(refuse(&format!("it has no scheme: leave out `{scheme}://`")));
    }
    let digest = match digest.map(str::parse::<Digest>).transpose() {
        Ok(digest) => digest,
        Err(error) => return Err(refuse(&error.to_string())),
    };
    // A `:` before the last `/` is that of a port.
    let last = named.rfind('/').map_or(0, |at| at.saturating_add(1));
    let (name, tag) = match named.get(last..).and_then(|part| part.split_once(':')) {
        Some((part, tag)) => {
            let end = last.saturating_add(part.len());
            (named.get(..end).unwrap_or_default(), Some(tag))
        }
        None => (named, None),
    };
    let tag = match tag.map(str::parse::<Tag>).transpose() {
        Ok(tag) => tag,
        Err(error) => return Err(refuse(&error.to_string())),
    };
    let (registry, path) = place(name, rules).map_err(|why| refuse(&why))?;
    let repository =
        path.parse().map_err(|error: super::ParseNameError| refuse(&error.to_string()))?;
    Ok(ImageReference { registry, repository, tag, digest })
}

/// Whether a text is a digest, if not one of those that are known, or well formed: it is no host, not
/// even one with a port, nor a whole name that ends with a digest.
fn is_like_a_digest(text: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+._-".contains(&b);
    !text.contains(['/', '@'])
        && text.split_once(':').is_some_and(|(algorithm, hex)| {
            let is_long = hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            matches!(algorithm, "sha256" | "sha512") || is_long && algorithm.bytes().all(is_name)
        })
}

/// Host with port, and path, of a name; or what to write instead.
fn place(name: &str, rules: Rules) -> Result<(String, String), String> {
    let hosted = name.split_once('/').filter(|(first, _)| is_host(first));
    let Some((first, path)) = hosted else {
        let path = on_docker_hub(name);
        return match rules {
            Rules::Docker if is_clear(name) => Ok((DOCKER_HUB.to_owned(), path)),
            Rules::Docker => {
                Err("only Docker itself can tell whether it begins with a host, or is \
                 the id of an image: write the host with a dot or a port, or `docker.io/` before it"
                    .to_owned())
            }
            Rules::Strict if path.parse::<RepositoryName>().is_ok() => Err(format!(
                "it names no registry: write `myregistry.azurecr.io/{name}`, or for Docker Hub \
                 `{DOCKER_HUB}/{path}` (`parse_docker` reads its short forms)"
            )),
            Rules::Strict => {
                Err("it names no registry: it begins with a host that has a dot or a \
                 port, or is `localhost`, and `/`"
                    .to_owned())
            }
        };
    };
    let registry = registry(first)?;
    let is_hub = registry == DOCKER_HUB || registry == DOCKER_HUB_INDEX;
    match rules {
        Rules::Docker if is_hub => Ok((DOCKER_HUB.to_owned(), on_docker_hub(path))),
        // Docker reads another name than the one that is written.
        Rules::Strict if registry == DOCKER_HUB_INDEX || (is_hub && !path.contains('/')) => {
            let path = on_docker_hub(path);
            Err(format!("Docker takes it for `{DOCKER_HUB}/{path}`: write that"))
        }
        _ => Ok((registry, path.to_owned())),
    }
}

/// Docker's rule, without the one that takes upper case for the mark of a host.
fn is_host(first: &str) -> bool {
    first.contains(['.', ':', '[']) || first.eq_ignore_ascii_case("localhost")
}

/// Whether a name without a host can be nothing else: Docker takes a first part in upper case
/// for a host, and 64 hexadecimal digits for the id of an image.
fn is_clear(name: &str) -> bool {
    let is_id = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    !is_id && !name.bytes().any(|b| b.is_ascii_uppercase())
}

fn on_docker_hub(path: &str) -> String {
    if path.contains('/') { path.to_owned() } else { format!("library/{path}") }
}

/// Host and port in the one form in which they are kept, so that equal places are equal.
fn registry(text: &str) -> Result<String, String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let address: Ipv6Addr = address
                .parse()
                .map_err(|_| "what stands in brackets is no IPv6 address".to_owned())?;
            let port = rest.strip_prefix(':');
            if port.is_none() && !rest.is_empty() {
                return Err("after the brackets comes `:port` or `/`".to_owned());
            }
            (format!("[{address}]"), port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
            if port.is_some_and(|port| port.contains(':')) {
                return Err("an IPv6 address stands in brackets: `[::1]:5000/app`".to_owned());
            }
            if Host::of(host) == Host::Odd || !host.split('.').all(is_label) {
                return Err(
                    "its host is neither a name nor an address in its usual form: letters, \
                     digits and `-` in parts that one dot separates, without `_` or a dot at the end"
                        .to_owned(),
                );
            }
            (host.to_ascii_lowercase(), port)
        }
    };
    match port {
        None => Ok(host),
        Some(port) if is_port(port) => Ok(format!("{host}:{port}")),
        Some(_) => Err("its port is no number from 1 to 65535".to_owned()),
    }
}

fn is_label(label: &str) -> bool {
    let is_edge = |letter: char| letter.is_ascii_alphanumeric();
    label.starts_with(is_edge)
        && label.ends_with(is_edge)
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// As it is printed: no sign, no leading zero.
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0 && port.to_string() == text)
}

fn refused(message: String) -> ParseImageReferenceError {
    ParseImageReferenceError { message }
}

/// What people call Docker Hub.
const DOCKER_HUB: &str = "docker.io";

/// Its first name, which old files still have.
const DOCKER_HUB_INDEX: &str = "index.docker.io";

/// Where its registry answers.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

#[cfg(test)]
mod tests;
