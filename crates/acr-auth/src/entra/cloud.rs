//! Which Azure.

use acr_core::{Endpoint, Error, ErrorKind, Result};

use super::foreign_text::printable;

/// A cloud: whom to ask for tokens, and for which audience.
///
/// ```
/// use acr_auth::{AuthLayer, Credential, entra::Cloud};
///
/// let cloud = Cloud::us_government();
/// assert_eq!(cloud.authority().to_string(), "https://login.microsoftonline.us");
/// assert_eq!(cloud.registry_audience(), "https://containerregistry.azure.net");
///
/// // Registries that refuse the registry audience take the resource manager's.
/// let endpoint = "myregistry.azurecr.us".parse()?;
/// let audience = cloud.arm_audience().unwrap_or_default();
/// let auth = AuthLayer::new(&endpoint, Credential::anonymous()).audience(audience);
/// # let _ = auth;
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    authority: Authority,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Authority {
    Public,
    China,
    UsGovernment,
    Custom(Endpoint),
}

impl Cloud {
    /// The public cloud.
    ///
    /// ```
    /// use acr_auth::entra::Cloud;
    ///
    /// assert_eq!(Cloud::public().authority(), "https://login.microsoftonline.com");
    /// ```
    pub fn public() -> Self {
        Self { authority: Authority::Public }
    }

    /// Azure operated by 21Vianet in China.
    ///
    /// ```
    /// use acr_auth::entra::Cloud;
    ///
    /// assert_eq!(Cloud::china().authority(), "https://login.chinacloudapi.cn");
    /// ```
    pub fn china() -> Self {
        Self { authority: Authority::China }
    }

    /// Azure for the US Government.
    ///
    /// ```
    /// use acr_auth::entra::Cloud;
    ///
    /// assert_eq!(Cloud::us_government().authority(), "https://login.microsoftonline.us");
    /// ```
    pub fn us_government() -> Self {
        Self { authority: Authority::UsGovernment }
    }

    /// Another authority, such as `https://login.example`: a private cloud, an emulator.
    /// Whoever answers there gets the credentials.
    ///
    /// ```
    /// use acr_auth::entra::Cloud;
    ///
    /// let cloud = Cloud::custom("https://login.contoso.example")?;
    /// assert_eq!(cloud.authority(), "https://login.contoso.example");
    /// assert!(Cloud::custom("http://login.contoso.example").is_err());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] unless it is a host, or its `https` URL without
    /// a path.
    pub fn custom(authority: &str) -> Result<Self> {
        let endpoint: Endpoint =
            authority.parse().map_err(|_| no_authority("the authority", authority))?;
        let known = [Self::public(), Self::china(), Self::us_government()];
        Ok(known
            .into_iter()
            .find(|cloud| cloud.authority_text() == endpoint.to_string())
            .unwrap_or(Self { authority: Authority::Custom(endpoint) }))
    }

    /// Who issues tokens: the only host that sees a client secret or an assertion.
    ///
    /// ```
    /// use acr_auth::entra::Cloud;
    ///
    /// assert_eq!(Cloud::public().authority(), "https://login.microsoftonline.com");
    /// ```
    pub fn authority(&self) -> String {
        self.authority_text()
    }

    /// The audience of Azure Container Registry, the same in all clouds. It is what
    /// [`AuthLayer`](crate::AuthLayer) asks for unless told otherwise.
    ///
    /// ```
    /// use acr_auth::entra::Cloud;
    ///
    /// assert_eq!(Cloud::china().registry_audience(), "https://containerregistry.azure.net");
    /// ```
    pub fn registry_audience(&self) -> &'static str {
        "https://containerregistry.azure.net"
    }

    /// The audience of the cloud's resource manager, for [`AuthLayer::audience`]: what
    /// registries took before they had an audience of their own. A token for it opens far
    /// more than registries. `None` for a custom authority, whose audience only its owner
    /// knows.
    ///
    /// [`AuthLayer::audience`]: crate::AuthLayer::audience
    ///
    /// ```
    /// use acr_auth::entra::Cloud;
    ///
    /// assert!(Cloud::public().arm_audience().is_some());
    /// ```
    pub fn arm_audience(&self) -> Option<&'static str> {
        match self.authority {
            Authority::Public => Some("https://management.azure.com"),
            Authority::China => Some("https://management.chinacloudapi.cn"),
            Authority::UsGovernment => Some("https://management.usgovcloudapi.net"),
            Authority::Custom(_) => None,
        }
    }

    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        match &self.authority {
            Authority::Custom(endpoint) => Ok(endpoint.clone()),
            _ => self.authority_text().parse(),
        }
    }

    fn authority_text(&self) -> String {
        match &self.authority {
            Authority::Public => "https://login.microsoftonline.com".to_owned(),
            Authority::China => "https://login.chinacloudapi.cn".to_owned(),
            Authority::UsGovernment => "https://login.microsoftonline.us".to_owned(),
            Authority::Custom(endpoint) => endpoint.to_string(),
        }
    }
}

/// Says that what names the authority, `who`, names none.
pub(super) fn no_authority(who: &str, text: &str) -> Error {
    // What stands before an `@` may be a password.
    let shown = if text.contains('@') { "a URL with a user" } else { text };
    let text = format!(
        "{who} is `{}`, not the https address of an authority, such as \
         `https://login.microsoftonline.com`",
        printable(shown, 100)
    );
    Error::new(ErrorKind::InvalidInput, text)
}

impl Default for Cloud {
    fn default() -> Self {
        Self::public()
    }
}
