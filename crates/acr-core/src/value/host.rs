//! What the host of a URL is: the one table for "is it this machine", "is it written as we
//! read it" and "is it a registry of Azure".

#[cfg(feature = "_transport")]
mod class;

use std::net::IpAddr;

use http::Uri;

#[cfg(feature = "_transport")]
pub(crate) use self::class::Class;

/// The host of a URL, read once and in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    /// `localhost`, which is loopback by RFC 6761 and in every hosts file.
    Localhost,
    /// A name that many machines give themselves. Where it leads is the resolver's word.
    OwnName,
    Name,
    Odd,
}

impl Host {
    /// Reads a host, an IPv6 address with or without brackets.
    ///
    /// A name whose last label is a number is no name: resolvers and proxies read `127.1`,
    /// `0x7f000001` and `0177.0.0.1` as addresses (WHATWG URL §3.5).
    pub(crate) fn of(text: &str) -> Self {
        if text.contains([':', '[', ']']) {
            let literal = without_brackets(text).parse();
            return literal.map_or(Self::Odd, |ip| Self::Address(IpAddr::V6(ip)));
        }
        if let Ok(ip) = text.parse() {
            return Self::Address(IpAddr::V4(ip));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        if name.len() > MAX_NAME || !name.split('.').all(is_label) || is_number(last) {
            Self::Odd
        } else if name == "localhost" {
            Self::Localhost
        } else if last == "localhost" || OWN_NAMES.contains(&name.as_str()) {
            Self::OwnName
        } else {
            Self::Name
        }
    }

    /// Whether this is certainly this machine: for trusting it. An IPv4 address inside of an
    /// IPv6 one is not.
    pub(crate) fn is_this_machine(self) -> bool {
        match self {
            Self::Address(ip) => ip.is_loopback(),
            Self::Localhost => true,
            Self::OwnName | Self::Name | Self::Odd => false,
        }
    }

    /// Whether packets to it certainly stay on this machine or its own network segment.
    pub(crate) fn is_on_this_segment(self) -> bool {
        let is_link_local = match self {
            Self::Address(IpAddr::V4(ip)) => ip.is_link_local(),
            Self::Address(IpAddr::V6(ip)) => ip.is_unicast_link_local(),
            _ => false,
        };
        is_link_local || self.is_this_machine()
    }

    /// Whether packets to it certainly stay in a private network, or closer.
    pub(crate) fn is_in_a_private_network(self) -> bool {
        let is_private = match self {
            // What lies between a provider and its customers (RFC 6598) is not routed either.
            Self::Address(IpAddr::V4(ip)) => {
                ip.is_private() || matches!(ip.octets(), [100, 64..=127, ..])
            }
            Self::Address(IpAddr::V6(ip)) => ip.is_unique_local(),
            _ => false,
        };
        is_private || self.is_on_this_segment()
    }
}

/// The port that a URL is dialled at. `None` for `:99999`, `:0` and `:`, which are no ports:
/// whoever dials might read them as the default.
pub(crate) fn port(uri: &Uri) -> Option<u16> {
    let authority = uri.authority()?;
    let address = authority.as_str().rsplit('@').next().unwrap_or_default();
    match address.strip_prefix(authority.host())? {
        "" if uri.scheme_str() == Some("http") => Some(80),
        "" => Some(443),
        _ => authority.port_u16().filter(|port| *port > 0),
    }
}

/// `<label>(.<label>)*.azurecr.{io,cn,us,de}`, with at most one dot at the end. Compared label
/// by label, in lower case: `azurecr.io` has many tenants, and lookalikes.
pub(crate) fn is_azure_registry(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut labels = host.rsplit('.');
    let cloud = labels.next().is_some_and(|tld| CLOUDS.contains(&tld));
    let azurecr = labels.next() == Some("azurecr");
    let mut names = labels.peekable();
    cloud && azurecr && names.peek().is_some() && names.all(is_registry_label)
}

/// An IPv6 address without the brackets that it has in a URL.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_registry_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Decimal, octal or hexadecimal.
fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => label.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// From the hosts files of the usual distributions.
const OWN_NAMES: [&str; 7] = [
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
];

/// Public, China, US Government, and the closed German cloud.
const CLOUDS: &[&str] = &["io", "cn", "us", "de"];

/// RFC 1035 §2.3.4.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

#[cfg(all(test, feature = "_transport"))]
mod tests;
