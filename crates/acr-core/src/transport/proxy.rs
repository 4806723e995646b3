//! Which proxy to use for which host.

use std::{ffi::OsString, fmt};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::uri::Authority;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::{
    http::error::{Error, ErrorKind, Result},
    transport::{address, no_proxy::NoProxy},
    value::{host::without_brackets, secret::Secret},
};

/// A proxy, and the hosts that are reached without it.
///
/// The connection to the registry goes through a tunnel (`CONNECT`) and is encrypted
/// from end to end: the proxy sees host names and amounts. Name and password are sent
/// to the proxy only, and stand in no error, log or `Debug` output.
///
/// Plain-http targets are never proxied: this library knows them only as loopback
/// addresses, which a proxy could not reach, and as the platform's identity services,
/// which none may see. A name that goes to the proxy is resolved
/// there, so the address guard of [`TransportBuilder`](crate::TransportBuilder) sees
/// only literal addresses.
///
/// ```
/// use acr_core::Proxy;
///
/// let proxy = Proxy::new("http://user:hunter2@proxy.example:3128")?.no_proxy("10.0.0.0/8, .internal");
/// assert!(!format!("{proxy:?}").contains("hunter2"));
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Proxy {
    server: Option<std::result::Result<Server, Unusable>>,
    direct: NoProxy,
}

/// Where the proxy listens.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) is_tls: bool,
    /// Without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authorization: Option<Secret>,
}

/// Why a proxy cannot be used. Says nothing of its URL, in which a password may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable(pub(crate) &'static str);

impl Proxy {
    /// A proxy for every https target: `http://[user:password@]host[:port]`, or `https://`
    /// when the proxy itself speaks TLS.
    ///
    /// User and password are percent-decoded. As with curl, it is `http` without a scheme,
    /// and port 1080 (`https`: 443) without a port; what follows the port is not looked at.
    ///
    /// ```
    /// use acr_core::{ErrorKind, Proxy};
    ///
    /// assert!(Proxy::new("http://user:pass%40word@proxy.example:3128").is_ok());
    /// assert!(Proxy::new("proxy.example").is_ok(), "port 1080");
    /// let error = Proxy::new("socks5://proxy.example").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for another scheme (SOCKS is not supported) or a host
    /// that is none. The error does not repeat the URL, since a password may stand in it.
    pub fn new(url: &str) -> Result<Self> {
        let server = Server::parse(url).map_err(|why| invalid(why.0))?;
        Ok(Self { server: Some(Ok(server)), direct: NoProxy::default() })
    }

    /// What the environment says, as curl reads it: the proxy of `https_proxy`,
    /// `HTTPS_PROXY`, `all_proxy` or `ALL_PROXY`, the first that is not empty, and the
    /// exceptions of `no_proxy` or else `NO_PROXY`. Without a proxy there, every connection is
    /// direct.
    ///
    /// A proxy that cannot be used (SOCKS, a malformed address) is an
    /// [`ErrorKind::Connect`] when a host is to be reached through it, and never a direct
    /// connection instead; hosts that are excepted are not concerned.
    ///
    /// `HTTP_PROXY` concerns plain-http targets, which are never proxied, so it is not read.
    /// In a CGI program, where a request's `Proxy` header would set it, it can therefore do
    /// no harm.
    ///
    /// ```
    /// use acr_core::{Proxy, TlsConfig, TransportBuilder};
    ///
    /// // What the environment says, and one more exception.
    /// let proxy = Proxy::from_env().no_proxy("registry.internal");
    /// let transport = TransportBuilder::new().tls(TlsConfig::no_roots()).proxy(proxy).build()?;
    /// # let _ = transport;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn from_env() -> Self {
        Self::from_lookup(&|name| std::env::var_os(name))
    }

    /// Hosts that are reached directly: a list separated by commas or blanks, as curl reads
    /// it.
    ///
    /// | entry | matches |
    /// |---|---|
    /// | `example.com`, `.example.com` | the name and all names below it |
    /// | `192.0.2.1`, `::1` | this address, where the URL has it literally |
    /// | `10.0.0.0/8`, `fd00::/8` | literal addresses of the network |
    /// | `*`, as the whole list | everything |
    ///
    /// An entry of another form matches nothing, and so the proxy is used: one with a port
    /// (`example.com:8443`), with brackets (`[::1]`) or with a wildcard (`*.example.com`).
    ///
    /// ```
    /// use acr_core::Proxy;
    ///
    /// let proxy = Proxy::new("http://proxy.example:3128")?.no_proxy("10.0.0.0/8, .internal").no_proxy("::1");
    /// assert!(format!("{proxy:?}").contains("proxy.example:3128"));
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn no_proxy(mut self, list: &str) -> Self {
        self.direct.add(list);
        self
    }

    fn from_lookup(lookup: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let first = |names: &[&str]| {
            names.iter().filter_map(|name| lookup(name)).find(|value| !value.is_empty())
        };
        let url = first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]);
        let server = url.map(|url| match url.into_string() {
            Ok(url) => Server::parse(&Zeroizing::new(url)),
            Err(_) => Err(Unusable("its URL is not UTF-8")),
        });
        let list = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        // What is not UTF-8 matches no host, so the proxy is used.
        Self { server, direct: NoProxy::default() }.no_proxy(&list.to_string_lossy())
    }

    /// The proxy for a host (without brackets), unless it is to be reached directly.
    pub(crate) fn server_for(&self, host: &str) -> Option<std::result::Result<&Server, Unusable>> {
        let server = self.server.as_ref().filter(|_| !self.direct.matches(host))?;
        Some(server.as_ref().map_err(|why| *why))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server.as_ref().map(|server| match server {
            Ok(server) => server.to_string(),
            Err(why) => format!("unusable: {}", why.0),
        });
        f.debug_struct("Proxy").field("server", &server).field("direct", &self.direct).finish()
    }
}

impl Server {
    fn parse(url: &str) -> std::result::Result<Self, Unusable> {
        const NO_ADDRESS: Unusable = Unusable("a proxy's address must be a host and a port");
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            scheme if scheme.starts_with("socks") => {
                return Err(Unusable(
                    "SOCKS proxies are not supported; name an `http://` or `https://` proxy",
                ));
            }
            _ => return Err(Unusable("a proxy's scheme must be `http` or `https`")),
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user_info, address) = match rest.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info), address),
            None => (None, rest),
        };
        if user_info.is_some_and(|text| text.contains('@')) {
            return Err(Unusable("an `@` in a proxy's user or password is written `%40`"));
        }
        let authority: Authority = address.parse().map_err(|_| NO_ADDRESS)?;
        if authority.host().is_empty() {
            return Err(NO_ADDRESS);
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") => None,
            _ => match authority.port_u16() {
                Some(port) => Some(port),
                None => return Err(Unusable("a proxy's port must be a number up to 65535")),
            },
        };
        Ok(Self {
            is_tls,
            host: without_brackets(authority.host()).to_owned(),
            port: port.unwrap_or(if is_tls { 443 } else { 1080 }),
            authorization: user_info.map(basic).transpose()?,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&address::authority(&self.host, self.port))
    }
}

/// `Basic` of RFC 7617.
fn basic(user_info: &str) -> std::result::Result<Secret, Unusable> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let user = Zeroizing::new(percent_decode_str(user).collect::<Vec<u8>>());
    if user.contains(&b':') {
        return Err(Unusable("a proxy's user must not contain a colon"));
    }
    let password = Zeroizing::new(percent_decode_str(password).collect::<Vec<u8>>());
    let pair = Zeroizing::new([user.as_slice(), b":", password.as_slice()].concat());
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
    Ok(Secret::new(format!("Basic {}", *encoded)))
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_table() {
        for (url, expected) in [
            ("http://proxy.example:3128", Some("proxy.example:3128 plain -")),
            ("proxy.example:3128", Some("proxy.example:3128 plain -")),
            ("http://proxy.example/", Some("proxy.example:1080 plain -")),
            ("http://proxy.example:", Some("proxy.example:1080 plain -")),
            ("HTTPS://proxy.example", Some("proxy.example:443 tls -")),
            ("http://[::1]:8080", Some("[::1]:8080 plain -")),
            ("http://u:p@h:1", Some("h:1 plain Basic dTpw")),
            ("http://u:p@h:1/path?a#b", Some("h:1 plain Basic dTpw")),
            ("http://u@h:1", Some("h:1 plain Basic dTo=")),
            // RFC 7617 §2: the first colon ends the user
            ("http://u:p:q@h:1", Some("h:1 plain Basic dTpwOnE=")),
            ("http://u:p%40q@h:1", Some("h:1 plain Basic dTpwQHE=")),
            ("http://u:hunter2@q@h:1", None),
            ("http://u%3Av:hunter2@h:1", None),
            ("socks5://u:hunter2@h:1", None),
            ("http://u:hunter2@h:99999", None),
            ("http://u:hunter2@h:x", None),
            ("http://u:hunter2@", None),
            ("http://u:hunter2@a b", None),
            (" ", None),
            ("", None),
        ] {
            let got = Server::parse(url);
            let text = got.as_ref().ok().map(|server| {
                let scheme = if server.is_tls { "tls" } else { "plain" };
                let authorization = server.authorization.as_ref().map_or("-", Secret::expose);
                format!("{server} {scheme} {authorization}")
            });
            assert_eq!(text.as_deref(), expected, "{url}");
            if expected.is_none() {
                let error = Proxy::new(url).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(!format!("{error} {error:?}").contains("hunter2"));
            }
        }
    }

    #[test]
    fn c12_environment_table() {
        let read = |variables: &[(&str, &str)]| {
            let proxy = Proxy::from_lookup(&|name: &str| {
                let pair = variables.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| OsString::from(value))
            });
            assert!(!format!("{proxy:?}").contains("hunter2"));
            match proxy.server_for("r.example") {
                None => "direct".to_owned(),
                Some(Ok(server)) => server.to_string(),
                Some(Err(_)) => "unusable".to_owned(),
            }
        };
        for (variables, expected) in [
            (&[][..], "direct"),
            (&[("HTTPS_PROXY", "http://a:1")][..], "a:1"),
            (&[("https_proxy", "a:1")], "a:1"),
            (&[("ALL_PROXY", "a:1")], "a:1"),
            (&[("all_proxy", "a:1")], "a:1"),
            (&[("HTTPS_PROXY", "a:1"), ("ALL_PROXY", "b:1")], "a:1"),
            (&[("HTTPS_PROXY", "a:1"), ("https_proxy", "b:1")], "b:1"),
            (&[("ALL_PROXY", "a:1"), ("all_proxy", "b:1")], "b:1"),
            (&[("HTTPS_PROXY", "a:1"), ("all_proxy", "b:1")], "a:1"),
            (&[("HTTPS_PROXY", "a:1"), ("https_proxy", "")], "a:1"),
            (&[("https_proxy", " "), ("HTTPS_PROXY", "a:1")], "unusable"),
            (&[("HTTP_PROXY", "a:1"), ("http_proxy", "a:1")], "direct"),
            (&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil:1")], "direct"),
            (&[("ALL_PROXY", "a:1"), ("NO_PROXY", "example")], "direct"),
            (&[("ALL_PROXY", "a:1"), ("no_proxy", "r.example")], "direct"),
            (&[("ALL_PROXY", "a:1"), ("no_proxy", "x"), ("NO_PROXY", "r.example")], "a:1"),
            (&[("ALL_PROXY", "a:1"), ("no_proxy", ""), ("NO_PROXY", "r.example")], "direct"),
            (&[("ALL_PROXY", "a:1"), ("NO_PROXY", "other/path,r.example")], "direct"),
            (&[("ALL_PROXY", "a:1"), ("NO_PROXY", "other")], "a:1"),
            (&[("ALL_PROXY", "socks5://u:hunter2@h")], "unusable"),
            (&[("ALL_PROXY", "socks5h://u:hunter2@h"), ("NO_PROXY", "r.example")], "direct"),
            (&[("ALL_PROXY", "socks5://u:hunter2@h"), ("HTTPS_PROXY", "a:1")], "a:1"),
        ] {
            assert_eq!(read(variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn debug_shows_where_but_not_who() {
        let proxy = Proxy::new("http://user:hunter2@h:1").unwrap();
        let text = format!("{proxy:?}");
        assert!(text.contains("h:1") && !text.contains("user") && !text.contains("hunter2"));
    }
}
