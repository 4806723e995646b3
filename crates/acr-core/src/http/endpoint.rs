//! The address of a registry and the question whether a URL belongs to it.

use std::{fmt, net::SocketAddr, str::FromStr};

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::{
    http::{
        error::{Error, ErrorKind, Result},
        redact::printable,
    },
    value::host::{self, Host},
};

/// A registry's address: scheme, host and port, nothing else.
///
/// Read from the login server (`myregistry.azurecr.io`) or its `https` URL.
/// User information, a path, a query or a fragment is refused, because a
/// credential hidden in an address ends up in logs. Plain `http` exists only for
/// loopback tests, through [`Endpoint::insecure_loopback`], and for the services of this
/// machine's own platform, through [`Endpoint::insecure_link_local`] and
/// [`Endpoint::insecure_private`].
///
/// ```
/// use acr_core::Endpoint;
///
/// let endpoint: Endpoint = "MyRegistry.azurecr.io".parse()?;
/// assert_eq!(endpoint.to_string(), "https://myregistry.azurecr.io");
/// assert!(endpoint.is_origin_of(&"https://myregistry.azurecr.io:443/v2/".parse().unwrap()));
/// assert!(!endpoint.is_origin_of(&"http://myregistry.azurecr.io/v2/".parse().unwrap()));
/// assert!("http://myregistry.azurecr.io".parse::<Endpoint>().is_err());
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
}

impl Endpoint {
    /// A registry on this machine without TLS: `http://127.0.0.1:port`. For tests.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint = Endpoint::insecure_loopback(([127, 0, 0, 1], 5000).into())?;
    /// assert_eq!(endpoint.to_string(), "http://127.0.0.1:5000");
    /// assert!(Endpoint::insecure_loopback(([10, 0, 0, 1], 5000).into()).is_err());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] unless the address is a loopback address.
    pub fn insecure_loopback(address: SocketAddr) -> Result<Self> {
        if !address.ip().is_loopback() {
            let text =
                format!("`{address}` is not a loopback address; only those may do without TLS");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(Self { scheme: Scheme::HTTP, authority: parse_http_authority(&address.to_string())? })
    }

    /// A service of this machine or its host without TLS, such as a cloud's identity
    /// service: `169.254.169.254`, `127.0.0.1:41056`, `localhost:42356`.
    ///
    /// Such packets never pass a router: the host must be a loopback or link-local IP
    /// address, or the name `localhost`, which stands for loopback by RFC 6761. Not for
    /// registries: no Entra token is ever sent to such an endpoint.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let identity = Endpoint::insecure_link_local("169.254.169.254")?;
    /// assert_eq!(identity.to_string(), "http://169.254.169.254");
    /// assert!(Endpoint::insecure_link_local("10.0.0.1").is_err());
    /// assert!(Endpoint::insecure_link_local("metadata.example").is_err());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for any other host and for everything but host and port.
    pub fn insecure_link_local(authority: &str) -> Result<Self> {
        Self::insecure(authority, Host::is_on_this_segment, "loopback or link-local")
    }

    /// As [`Endpoint::insecure_link_local`], and private addresses too: for a service that the
    /// program's own platform named, as App Service names its identity service at
    /// `172.16.5.3:8081`.
    ///
    /// Private are `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `100.64.0.0/10` and
    /// `fc00::/7`. No public address, and no name but `localhost`, since what it stands for is
    /// not known. Not for registries: no Entra token is ever sent to such an endpoint.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let identity = Endpoint::insecure_private("172.16.5.3:8081")?;
    /// assert_eq!(identity.to_string(), "http://172.16.5.3:8081");
    /// assert!(Endpoint::insecure_private("172.32.0.1").is_err());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for any other host and for everything but host and port.
    pub fn insecure_private(authority: &str) -> Result<Self> {
        Self::insecure(authority, Host::is_in_a_private_network, "loopback, link-local or private")
    }

    fn insecure(authority: &str, is_near: impl Fn(Host) -> bool, near: &str) -> Result<Self> {
        let parsed = parse_http_authority(&authority.to_ascii_lowercase());
        match parsed {
            Ok(authority) if is_near(Host::of(authority.host())) => {
                Ok(Self { scheme: Scheme::HTTP, authority })
            }
            _ if authority.contains('@') => {
                // The text itself is left out: what stands before the `@` may be a password.
                let text = "a local service's address must not carry user information";
                Err(Error::new(ErrorKind::InvalidInput, text))
            }
            _ => {
                let text = format!(
                    "`{}` is not a {near} address; only those may do without TLS",
                    printable(authority)
                );
                Err(Error::new(ErrorKind::InvalidInput, text))
            }
        }
    }

    /// The host in lower case, without the port; an IPv6 address stands in brackets.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert_eq!(endpoint.host(), "myregistry.azurecr.io");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port that is dialled.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert_eq!(endpoint.port(), 443);
    /// assert_eq!("localhost:5000".parse::<Endpoint>()?.port(), 5000);
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn port(&self) -> u16 {
        effective_port(&self.scheme, &self.authority)
    }

    /// Host and port as dialled, the default port left out: the `service` of the token calls.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert_eq!(endpoint.authority(), "myregistry.azurecr.io");
    /// assert_eq!("localhost:5000".parse::<Endpoint>()?.authority(), "localhost:5000");
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// Whether the connection is encrypted.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert!(endpoint.is_https());
    /// assert!(!Endpoint::insecure_loopback(([127, 0, 0, 1], 80).into())?.is_https());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Whether the host is certainly this machine: a loopback address, or `localhost`.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert!(!endpoint.is_this_machine());
    /// assert!("localhost:5000".parse::<Endpoint>()?.is_this_machine());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn is_this_machine(&self) -> bool {
        Host::of(self.host()).is_this_machine()
    }

    /// Whether the host belongs to Azure Container Registry by its name:
    /// `*.azurecr.io`, `.cn`, `.us` or `.de`.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert!(endpoint.is_azure_registry());
    /// assert!(!"azurecr.io.example".parse::<Endpoint>()?.is_azure_registry());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn is_azure_registry(&self) -> bool {
        host::is_azure_registry(self.host())
    }

    /// Whether a URL has this scheme, this host and this effective port.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert!(endpoint.is_origin_of(&endpoint.uri("/v2/")?));
    /// assert!(!endpoint.is_origin_of(&"https://elsewhere.example/v2/".parse().unwrap()));
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn is_origin_of(&self, uri: &Uri) -> bool {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return false;
        };
        if *scheme == self.scheme && authority == &self.authority {
            // Written as we write it, as nearly all are: no user information, same port.
            return true;
        }
        *scheme == self.scheme
            && !authority.as_str().contains('@')
            && authority.host().eq_ignore_ascii_case(self.authority.host())
            && host::port(uri) == Some(self.port())
    }

    /// The URL of a path on this registry.
    ///
    /// ```
    /// use acr_core::Endpoint;
    ///
    /// let endpoint: Endpoint = "MyRegistry.azurecr.io:443".parse()?;
    /// assert_eq!(endpoint.uri("/v2/?n=1")?, "https://myregistry.azurecr.io/v2/?n=1");
    /// assert!(endpoint.uri("not a path").is_err());
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the text is not a path with an optional query.
    pub fn uri(&self, path_and_query: &str) -> Result<Uri> {
        let path: PathAndQuery = path_and_query
            .parse()
            .map_err(|e| Error::new(ErrorKind::InvalidInput, "not a URL path").with_source(e))?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|e| Error::new(ErrorKind::InvalidInput, "not a URL path").with_source(e))
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            let text = format!("`{}` is not a registry endpoint: {why}", printable(text));
            Err(Error::new(ErrorKind::InvalidInput, text))
        };
        if text.contains('@') {
            // The text itself is left out: what stands before the `@` may be a password.
            let why = "a registry endpoint must not carry user information";
            return Err(Error::new(ErrorKind::InvalidInput, why));
        }
        let host = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") => {
                return refuse(
                    "https is required; `Endpoint::insecure_loopback` is for one on this machine",
                );
            }
            Some(_) => return refuse("unknown scheme"),
        };
        let host = host.strip_suffix('/').unwrap_or(host);
        if host.contains(['/', '?', '#', '\\']) {
            return refuse("only a host and a port are allowed");
        }
        match parse_authority(&host.to_ascii_lowercase()) {
            Ok(authority) => Ok(Self { scheme: Scheme::HTTPS, authority }),
            Err(_) => refuse("the host or the port is malformed"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({self})")
    }
}

/// As [`parse_authority`] for plain http, whose default port is another.
fn parse_http_authority(text: &str) -> Result<Authority> {
    parse_authority_without(text, ":80")
}

/// Host with port, without a default port, so that equal endpoints compare equal.
fn parse_authority(text: &str) -> Result<Authority> {
    parse_authority_without(text, ":443")
}

fn parse_authority_without(text: &str, default_port: &str) -> Result<Authority> {
    let malformed = || Error::new(ErrorKind::InvalidInput, "malformed host");
    let text = text.strip_suffix(default_port).unwrap_or(text);
    let authority: Authority = text.parse().map_err(|_| malformed())?;
    let port = text.get(authority.host().len()..).unwrap_or_default();
    let port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|p| {
            p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok_and(|p| p > 0)
        });
    if Host::of(authority.host()) != Host::Odd && port { Ok(authority) } else { Err(malformed()) }
}

fn effective_port(scheme: &Scheme, authority: &Authority) -> u16 {
    let default = if *scheme == Scheme::HTTPS { 443 } else { 80 };
    authority.port_u16().unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_login_servers_and_https_urls() {
        for (text, printed) in [
            ("myreg.azurecr.io", "https://myreg.azurecr.io"),
            ("https://MYREG.azurecr.io/", "https://myreg.azurecr.io"),
            ("https://myreg.azurecr.io:443", "https://myreg.azurecr.io"),
            ("localhost:5000", "https://localhost:5000"),
            ("[::1]:5000", "https://[::1]:5000"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn refuses_everything_that_is_not_a_bare_https_origin() {
        for bad in [
            "",
            "http://x.azurecr.io",
            "ftp://x",
            "https://x/y",
            "x?y",
            "x#y",
            "user:pass@x",
            "https://",
            "x:0",
            "x:99999",
            "x:+5",
            "x y",
            "x\\y",
            "é.azurecr.io",
            "[::1",
            "https://x:",
            "%41.azurecr.io",
            "127.1",
            "0x7f000001",
            "2130706433:5000",
            "0177.0.0.1",
            "127.0.0.1.",
            "a..b",
        ] {
            let error = bad.parse::<Endpoint>().expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!error.to_string().contains("pass"), "{error}");
        }
    }

    #[test]
    fn only_loopback_may_do_without_tls() {
        assert!(Endpoint::insecure_loopback("127.0.0.1:80".parse().unwrap()).is_ok());
        assert!(Endpoint::insecure_loopback("[::1]:80".parse().unwrap()).is_ok());
        assert!(Endpoint::insecure_loopback("10.0.0.1:80".parse().unwrap()).is_err());
        let odd = Endpoint::insecure_loopback("127.0.0.1:443".parse().unwrap()).unwrap();
        assert_eq!((odd.port(), odd.to_string().as_str()), (443, "http://127.0.0.1:443"));
    }

    #[test]
    fn plain_http_reaches_this_machine_and_its_segment_only() {
        for (text, printed) in [
            ("169.254.169.254", "http://169.254.169.254"),
            ("169.254.169.254:80", "http://169.254.169.254"),
            ("169.254.129.3:8081", "http://169.254.129.3:8081"),
            ("127.0.0.1:443", "http://127.0.0.1:443"),
            ("LocalHost:42356", "http://localhost:42356"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("[fe80::1]", "http://[fe80::1]"),
        ] {
            let endpoint = Endpoint::insecure_link_local(text).expect(text);
            assert_eq!(endpoint.to_string(), printed);
            assert!(!endpoint.is_https());
        }
        for bad in [
            "",
            "10.0.0.1",
            "192.168.1.1:80",
            "168.63.129.16",
            "0.0.0.0",
            "8.8.8.8",
            "[::]",
            "[::ffff:169.254.169.254]",
            "[fd00::1]",
            "localhost.evil.example",
            "evil.localhost",
            "metadata.example",
            "0x7f.1",
            "2130706433",
            "169.254.169.254.evil.example",
            "user:pass@127.0.0.1",
            "http://127.0.0.1",
            "127.0.0.1/x",
            "127.0.0.1:0",
            "127.0.0.1:99999",
        ] {
            let error = Endpoint::insecure_link_local(bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!error.to_string().contains("pass"), "{error}");
        }
    }

    #[test]
    fn what_the_platform_names_may_be_private_and_never_public() {
        for text in [
            "169.254.169.254",
            "127.0.0.1:41056",
            "localhost:42356",
            "10.0.0.1",
            "172.16.5.3:8081",
            "172.31.255.255",
            "192.168.1.1:80",
            "100.100.0.7",
            "[fd00::1]:8080",
        ] {
            assert!(!Endpoint::insecure_private(text).expect(text).is_https(), "{text}");
        }
        for bad in [
            "",
            "8.8.8.8",
            "168.63.129.16",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "0.0.0.0",
            "[::]",
            "[::ffff:10.0.0.1]",
            "[2001:db8::1]",
            "10.1",
            "0x0a.0.0.1",
            "10.0.0.1.evil.example",
            "metadata.example",
            "user:pass@10.0.0.1",
            "10.0.0.1/x",
            "10.0.0.1:0",
        ] {
            let error = Endpoint::insecure_private(bad).expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!error.to_string().contains("pass"), "{error}");
        }
    }

    #[test]
    fn origin_is_scheme_host_and_effective_port() {
        let endpoint: Endpoint = "reg.azurecr.io".parse().unwrap();
        for (uri, same) in [
            ("https://reg.azurecr.io/v2/", true),
            ("https://REG.azurecr.io:443/v2/", true),
            ("http://reg.azurecr.io/v2/", false),
            ("https://reg.azurecr.io:444/v2/", false),
            ("https://reg.azurecr.io.evil.com/", false),
            ("https://evil.azurecr.io/", false),
            ("https://reg.azurecr.io@evil.com/", false),
            ("https://user@reg.azurecr.io/", false),
            ("/v2/", false),
        ] {
            assert_eq!(endpoint.is_origin_of(&uri.parse().unwrap()), same, "{uri}");
        }
    }
}
