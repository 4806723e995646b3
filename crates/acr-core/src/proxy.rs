//! Which proxy to use for which host.

use std::{ffi::OsString, fmt, net::IpAddr};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::uri::Authority;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::{
    address::without_brackets,
    error::{Error, ErrorKind, Result},
    secret::Secret,
};

/// A proxy, and the hosts that are reached without it.
///
/// The connection to the registry goes through a tunnel (`CONNECT`) and is encrypted
/// from end to end: the proxy sees host names and amounts. Name and password are sent
/// to the proxy only, and stand in no error, log or `Debug` output.
///
/// Plain-http targets are never proxied: this library knows them only as loopback
/// addresses, which a proxy could not reach. A name that goes to the proxy is resolved
/// there, so the address guard of [`TransportBuilder`](crate::TransportBuilder) sees
/// only literal addresses.
///
/// ```
/// use acr_core::Proxy;
///
/// let proxy = Proxy::new("http://user:hunter2@proxy.example:3128")?.no_proxy("10.0.0.0/8, .internal:8443")?;
/// assert!(!format!("{proxy:?}").contains("hunter2"));
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Proxy {
    server: Option<Server>,
    direct: Vec<Entry>,
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

impl Proxy {
    /// A proxy for every https target: `http://[user:password@]host[:port]`, or `https://`
    /// when the proxy itself speaks TLS.
    ///
    /// User and password are percent-decoded. Without a scheme it is `http`; without a port
    /// 80 or 443.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for another scheme (SOCKS is not supported), a path, or a
    /// host that is none. The error does not repeat the URL, since a password may stand in it.
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { server: Some(Server::parse(url)?), direct: Vec::new() })
    }

    /// What the environment says, as curl reads it: the proxy of `HTTPS_PROXY`, else of
    /// `ALL_PROXY`, and the exceptions of `NO_PROXY`; each also in lower case, and an empty
    /// variable counts as absent. Without a proxy there, every connection is direct.
    ///
    /// `HTTP_PROXY` concerns plain-http targets, which are never proxied, so it is not read.
    /// In a CGI program, where a request's `Proxy` header would set it, it can therefore do
    /// no harm.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a variable that [`Proxy::new`] or
    /// [`Proxy::no_proxy`] would refuse. Never connects directly instead.
    pub fn from_env() -> Result<Self> {
        Self::from_lookup(&|name| std::env::var_os(name))
    }

    /// Hosts that are reached directly: a list separated by commas or blanks.
    ///
    /// | entry | matches |
    /// |---|---|
    /// | `example.com`, `.example.com`, `*.example.com` | the name and all names below it |
    /// | `192.0.2.1`, `::1` | this address, where the URL has it literally |
    /// | `10.0.0.0/8`, `fd00::/8` | literal addresses of the network |
    /// | any of the names and addresses with `:8443` | only with this port |
    /// | `*` | everything |
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for an entry with `/` that is no network.
    pub fn no_proxy(mut self, list: &str) -> Result<Self> {
        for entry in list.split([',', ' ', '\t']).filter(|e| !e.is_empty()) {
            self.direct.push(Entry::parse(entry)?);
        }
        Ok(self)
    }

    fn from_lookup(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let first = |names: [&str; 2]| -> Result<Option<Zeroizing<String>>> {
            for name in names {
                let text = lookup(name).unwrap_or_default().into_string();
                let text = text.map_err(|_| invalid(format!("`{name}` is not UTF-8")))?;
                if !text.trim().is_empty() {
                    return Ok(Some(Zeroizing::new(text)));
                }
            }
            Ok(None)
        };
        let url = match first(["HTTPS_PROXY", "https_proxy"])? {
            Some(url) => Some(url),
            None => first(["ALL_PROXY", "all_proxy"])?,
        };
        let server = url.map(|url| Server::parse(url.trim())).transpose()?;
        let proxy = Self { server, direct: Vec::new() };
        match first(["NO_PROXY", "no_proxy"])? {
            Some(list) => proxy.no_proxy(&list),
            None => Ok(proxy),
        }
    }

    /// The proxy for a host (without brackets), unless it is to be reached directly.
    pub(crate) fn server_for(&self, host: &str, port: u16) -> Option<&Server> {
        let is_direct = || self.direct.iter().any(|entry| entry.matches(host, port));
        self.server.as_ref().filter(|_| !is_direct())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("server", &self.server.as_ref().map(ToString::to_string))
            .field("direct", &self.direct)
            .finish()
    }
}

impl Server {
    fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(invalid("a proxy's scheme must be `http` or `https`")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user_info, address) = match rest.rsplit_once('@') {
            Some((user_info, address)) => (Some(user_info), address),
            None => (None, rest),
        };
        let authority: Authority =
            address.parse().map_err(|_| invalid("a proxy's address must be a host and a port"))?;
        if authority.host().is_empty() {
            return Err(invalid("a proxy's address must be a host and a port"));
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") => None,
            _ => match authority.port_u16() {
                Some(port) => Some(port),
                None => return Err(invalid("a proxy's port must be a number up to 65535")),
            },
        };
        Ok(Self {
            is_tls,
            host: without_brackets(authority.host()).to_owned(),
            port: port.unwrap_or(if is_tls { 443 } else { 80 }),
            authorization: user_info.map(basic).transpose()?,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (&self.host, self.port);
        match host.contains(':') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

/// `Basic` of RFC 7617.
fn basic(user_info: &str) -> Result<Secret> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let user = Zeroizing::new(percent_decode_str(user).collect::<Vec<u8>>());
    if user.contains(&b':') {
        return Err(invalid("a proxy's user must not contain a colon"));
    }
    let password = Zeroizing::new(percent_decode_str(password).collect::<Vec<u8>>());
    let pair = Zeroizing::new([user.as_slice(), b":", password.as_slice()].concat());
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
    Ok(Secret::new(format!("Basic {}", *encoded)))
}

/// One entry of the list of hosts without proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Any,
    Network(IpAddr, u32),
    /// In lower case, without a leading or trailing dot.
    Domain(String),
}

impl Entry {
    fn parse(text: &str) -> Result<Self> {
        if let Some(network) = network(text) {
            return Ok(Self { host: network, port: None });
        }
        if text.contains('/') {
            return Err(invalid(
                "an entry of `NO_PROXY` has a `/` but is no network such as `10.0.0.0/8`",
            ));
        }
        let (host, port) = match text.rsplit_once(':').map(|(h, p)| (h, p.parse())) {
            Some((host, Ok(port))) => (host, Some(port)),
            _ => (text, None),
        };
        let host = match host {
            "*" => Pattern::Any,
            _ => network(without_brackets(host)).unwrap_or_else(|| {
                let name = host.strip_prefix('*').unwrap_or(host);
                Pattern::Domain(name.trim_matches('.').to_ascii_lowercase())
            }),
        };
        Ok(Self { host, port })
    }

    fn matches(&self, host: &str, port: u16) -> bool {
        if self.port.is_some_and(|only| only != port) {
            return false;
        }
        let ip: Option<IpAddr> = host.parse().ok();
        match (&self.host, ip) {
            (Pattern::Any, _) => true,
            (Pattern::Network(network, length), Some(ip)) => {
                prefix(*network, *length) == prefix(ip.to_canonical(), *length)
            }
            (Pattern::Domain(domain), None) => {
                let host = host.trim_end_matches('.').to_ascii_lowercase();
                !domain.is_empty()
                    && host
                        .strip_suffix(domain.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            _ => false,
        }
    }
}

/// An address or a network in CIDR notation.
fn network(text: &str) -> Option<Pattern> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) if length.bytes().all(|b| b.is_ascii_digit()) => {
            (address, Some(length.parse().ok()?))
        }
        Some(_) => return None,
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = length.unwrap_or(bits);
    (length <= bits).then_some(Pattern::Network(address, length))
}

/// The family and the leading bits of an address.
fn prefix(address: IpAddr, length: u32) -> (bool, u128) {
    let (bits, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let dropped = u32::saturating_sub(width, length);
    (address.is_ipv4(), bits.checked_shr(dropped).unwrap_or_default())
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
            ("http://proxy.example/", Some("proxy.example:80 plain -")),
            ("HTTPS://proxy.example", Some("proxy.example:443 tls -")),
            ("http://[::1]:8080", Some("[::1]:8080 plain -")),
            ("http://u:p@h:1", Some("h:1 plain Basic dTpw")),
            ("http://u@h:1", Some("h:1 plain Basic dTo=")),
            // RFC 7617 §2: the first colon ends the user; an at sign in a password
            ("http://u:p:q@h:1", Some("h:1 plain Basic dTpwOnE=")),
            ("http://u:p%40q@h:1", Some("h:1 plain Basic dTpwQHE=")),
            ("http://u:p@q@h:1", Some("h:1 plain Basic dTpwQHE=")),
            ("http://u%3Av:hunter2@h:1", None),
            ("socks5://u:hunter2@h:1", None),
            ("http://u:hunter2@h:1/path", None),
            ("http://u:hunter2@h:99999", None),
            ("http://u:hunter2@h:x", None),
            ("http://u:hunter2@", None),
            ("http://u:hunter2@a b", None),
            ("", None),
        ] {
            let got = Server::parse(url);
            let text = got.as_ref().ok().map(|server| {
                let scheme = if server.is_tls { "tls" } else { "plain" };
                let authorization = server.authorization.as_ref().map_or("-", Secret::expose);
                format!("{server} {scheme} {authorization}")
            });
            assert_eq!(text.as_deref(), expected, "{url}");
            if let Err(error) = got {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(!format!("{error} {error:?}").contains("hunter2"));
            }
        }
    }

    #[test]
    fn no_proxy_table() {
        for (list, host, port, is_direct) in [
            ("example.com", "example.com", 443, true),
            ("example.com", "EXAMPLE.com.", 443, true),
            ("example.com", "a.example.com", 443, true),
            (".example.com", "a.example.com", 443, true),
            (".example.com", "example.com", 443, true),
            ("*.example.com", "a.example.com", 443, true),
            ("example.com", "notexample.com", 443, false),
            ("example.com", "example.com.evil", 443, false),
            ("a.example, b.example", "b.example", 443, true),
            ("a.example b.example", "b.example", 443, true),
            ("example.com:8443", "example.com", 8443, true),
            ("example.com:8443", "example.com", 443, false),
            ("*", "anything.example", 443, true),
            ("*", "192.0.2.1", 443, true),
            ("*:8443", "anything.example", 443, false),
            ("10.0.0.0/8", "10.255.0.1", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, false),
            ("0.0.0.0/0", "203.0.113.9", 443, true),
            ("0.0.0.0/0", "2001:db8::1", 443, false),
            ("10.0.0.0/8", "10.example", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("10.1.2.3:5000", "10.1.2.3", 443, false),
            ("10.1.2.3", "::ffff:10.1.2.3", 443, true),
            ("fd00::/8", "fd12::1", 443, true),
            ("::1", "::1", 443, true),
            ("[::1]:8443", "::1", 8443, true),
            ("[::1]:8443", "::1", 443, false),
            (".", "example.com", 443, false),
            ("", "example.com", 443, false),
        ] {
            let proxy = Proxy::new("proxy.example").unwrap().no_proxy(list).unwrap();
            let got = proxy.server_for(host, port).is_none();
            assert_eq!(got, is_direct, "`{list}` for {host}:{port}");
        }
        for list in ["10.0.0.0/33", "10.0.0.0/+8", "10.0.0.0/", "example.com/8"] {
            let error = Proxy::default().no_proxy(list).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{list}");
        }
    }

    #[test]
    fn environment_table() {
        let read = |variables: &[(&str, &str)]| {
            let found = |name: &str| {
                let pair = variables.iter().find(|(key, _)| *key == name);
                pair.map(|(_, value)| OsString::from(value))
            };
            let proxy = Proxy::from_lookup(&found)?;
            let server = proxy.server_for("r.example", 443).map(ToString::to_string);
            Ok::<_, Error>(server)
        };
        for (variables, expected) in [
            (&[][..], None),
            (&[("HTTPS_PROXY", "http://a:1")][..], Some("a:1")),
            (&[("https_proxy", "a:1")], Some("a:1")),
            (&[("ALL_PROXY", "a:1")], Some("a:1")),
            (&[("all_proxy", "a:1")], Some("a:1")),
            (&[("HTTPS_PROXY", "a:1"), ("ALL_PROXY", "b:1")], Some("a:1")),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "b:1")], Some("b:1")),
            (&[("HTTP_PROXY", "a:1"), ("http_proxy", "a:1")], None),
            (&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil:1")], None),
            (&[("ALL_PROXY", "a:1"), ("NO_PROXY", "example")], None),
            (&[("ALL_PROXY", "a:1"), ("no_proxy", "r.example")], None),
            (&[("ALL_PROXY", "a:1"), ("NO_PROXY", "other")], Some("a:1")),
        ] {
            assert_eq!(read(variables).unwrap().as_deref(), expected, "{variables:?}");
        }
        let error = read(&[("ALL_PROXY", "socks5://u:hunter2@h")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    #[test]
    fn debug_shows_where_but_not_who() {
        let proxy = Proxy::new("http://user:hunter2@h:1").unwrap();
        let text = format!("{proxy:?}");
        assert!(text.contains("h:1") && !text.contains("user") && !text.contains("hunter2"));
    }
}
