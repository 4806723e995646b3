//! The address of a registry, as a person gives it.

use acr_core::{Endpoint, Error, ImageReference, Result, value::Given};

/// The address of a registry: text that is read as by [`login_server`](acr_auth::login_server),
/// an [`Endpoint`], or the registry of an [`ImageReference`]. What is wrong with it is said by
/// whoever connects to it.
#[derive(Clone, Debug)]
pub struct LoginServer(Given<Endpoint>);

impl LoginServer {
    pub(crate) fn endpoint(self) -> Result<Endpoint> {
        self.0.get()
    }
}

impl From<&str> for LoginServer {
    fn from(text: &str) -> Self {
        Self(Given::new(Text(text)))
    }
}

impl From<&String> for LoginServer {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<String> for LoginServer {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Endpoint> for LoginServer {
    fn from(endpoint: Endpoint) -> Self {
        Self(Given::new(endpoint))
    }
}

impl From<&Endpoint> for LoginServer {
    fn from(endpoint: &Endpoint) -> Self {
        Self::from(endpoint.clone())
    }
}

impl From<ImageReference> for LoginServer {
    fn from(image: ImageReference) -> Self {
        Self::from(&image)
    }
}

impl From<&ImageReference> for LoginServer {
    fn from(image: &ImageReference) -> Self {
        Self(Given::new(Registry(image)))
    }
}

struct Registry<'a>(&'a ImageReference);

impl TryFrom<Registry<'_>> for Endpoint {
    type Error = Error;

    fn try_from(at: Registry<'_>) -> Result<Self> {
        at.0.endpoint()
    }
}

struct Text<'a>(&'a str);

impl TryFrom<Text<'_>> for Endpoint {
    type Error = Error;

    fn try_from(text: Text<'_>) -> Result<Self> {
        acr_auth::login_server(text.0)
    }
}
