//! Which addresses a server may not send us to, and name resolution that keeps to it.
//!
//! Private networks (RFC 1918, `fc00::/7`) stay open: Private Link resolves registry
//! and storage to such addresses.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// A class of addresses that no registry on the internet has a reason to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// This machine.
    Loopback,
    /// This network segment.
    LinkLocal,
    /// The services of the cloud's host: they give out tokens to whoever asks.
    Metadata,
    /// Many machines.
    Multicast,
    /// No machine, which the operating system reads as this one.
    Unspecified,
}

/// Whether name resolution drops the addresses that have a [`Class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// The caller named the host.
    Off,
    /// A server named it.
    On,
}

/// Why a host has no usable address.
#[derive(Debug)]
pub(crate) enum ResolveError {
    Io(io::Error),
    Forbidden(Class),
}

impl Class {
    pub(crate) fn of(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    /// The class of a host that needs no name resolution: an IP address, in brackets or
    /// not, or `localhost`.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        let host = without_brackets(host);
        if let Ok(ip) = host.parse() {
            return Self::of(ip);
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        let last = name.rsplit('.').next().unwrap_or_default();
        last.eq_ignore_ascii_case("localhost").then_some(Self::Loopback)
    }

    fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        if METADATA.contains(&ip) {
            Some(Self::Metadata)
        } else if ip.is_loopback() {
            Some(Self::Loopback)
        } else if ip.is_link_local() {
            Some(Self::LinkLocal)
        } else if ip.is_multicast() || ip.is_broadcast() {
            Some(Self::Multicast)
        } else if ip.octets()[0] == 0 {
            Some(Self::Unspecified)
        } else {
            None
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Option<Self> {
        if ip.is_loopback() {
            Some(Self::Loopback)
        } else if ip.is_unspecified() {
            Some(Self::Unspecified)
        } else if ip.is_multicast() {
            Some(Self::Multicast)
        } else if ip.is_unicast_link_local() {
            Some(Self::LinkLocal)
        } else {
            embedded_v4(ip).and_then(Self::of_v4)
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address of the cloud's host",
            Self::Multicast => "a multicast address",
            Self::Unspecified => "an unspecified address",
        })
    }
}

/// The addresses of a host, without those the guard refuses: the check stands after name
/// resolution and on the very addresses that are dialled, so no second lookup can differ.
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    guard: Guard,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let found =
        tokio::net::lookup_host((without_brackets(host), port)).await.map_err(ResolveError::Io)?;
    admit(found, guard)
}

fn admit(
    found: impl Iterator<Item = SocketAddr>,
    guard: Guard,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut refused = None;
    let admitted: Vec<_> = found
        .filter(|address| match Class::of(address.ip()) {
            Some(class) if guard == Guard::On => {
                refused = Some(class);
                false
            }
            _ => true,
        })
        .collect();
    match refused {
        Some(class) if admitted.is_empty() => Err(ResolveError::Forbidden(class)),
        _ if admitted.is_empty() => {
            let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            Err(ResolveError::Io(error))
        }
        _ => Ok(admitted),
    }
}

/// An IPv6 address without the brackets that it has in a URL.
pub(crate) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The IPv4 address behind a mapped, compatible or NAT64 (`64:ff9b::/96`) address.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let bits = (u32::from(high) << 16) | u32::from(low);
            Some(Ipv4Addr::from_bits(bits))
        }
        _ => None,
    }
}

/// Azure's instance metadata and its platform channel.
const METADATA: [Ipv4Addr; 2] =
    [Ipv4Addr::new(169, 254, 169, 254), Ipv4Addr::new(168, 63, 129, 16)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_table() {
        use Class::{LinkLocal, Loopback, Metadata, Multicast, Unspecified};
        for (host, class) in [
            ("127.0.0.1", Some(Loopback)),
            ("127.8.9.10", Some(Loopback)),
            ("[::1]", Some(Loopback)),
            ("[::ffff:127.0.0.1]", Some(Loopback)),
            ("[::127.0.0.1]", Some(Loopback)),
            ("[64:ff9b::7f00:1]", Some(Loopback)),
            ("localhost", Some(Loopback)),
            ("LOCALHOST.", Some(Loopback)),
            ("a.localhost", Some(Loopback)),
            ("169.254.1.1", Some(LinkLocal)),
            ("[fe80::1]", Some(LinkLocal)),
            ("[febf::1]", Some(LinkLocal)),
            ("169.254.169.254", Some(Metadata)),
            ("[::ffff:169.254.169.254]", Some(Metadata)),
            ("168.63.129.16", Some(Metadata)),
            ("[::ffff:168.63.129.16]", Some(Metadata)),
            ("224.0.0.1", Some(Multicast)),
            ("255.255.255.255", Some(Multicast)),
            ("[ff02::1]", Some(Multicast)),
            ("0.0.0.0", Some(Unspecified)),
            ("0.1.2.3", Some(Unspecified)),
            ("[::]", Some(Unspecified)),
            ("[::ffff:0.0.0.0]", Some(Unspecified)),
            // Private Link, and everybody else
            ("10.0.0.4", None),
            ("172.16.0.4", None),
            ("192.168.1.1", None),
            ("[fd00::1]", None),
            ("[::ffff:10.0.0.4]", None),
            ("20.150.0.1", None),
            ("168.63.129.17", None),
            ("[2603:1030::1]", None),
            ("myregistry.azurecr.io", None),
            ("localhost.example", None),
        ] {
            assert_eq!(Class::of_host(host), class, "{host}");
        }
    }

    #[test]
    fn what_the_guard_refuses_is_never_dialled() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = addresses(&["127.0.0.1:443", "10.0.0.4:443"]);
        let kept = admit(mixed.iter().copied(), Guard::On).unwrap();
        assert_eq!(kept, addresses(&["10.0.0.4:443"]));
        assert_eq!(admit(mixed.iter().copied(), Guard::Off).unwrap(), mixed);
        let error = admit(addresses(&["[::1]:1"]).into_iter(), Guard::On).unwrap_err();
        assert!(matches!(error, ResolveError::Forbidden(Class::Loopback)));
        let error = admit(std::iter::empty(), Guard::On).unwrap_err();
        assert!(matches!(error, ResolveError::Io(_)));
    }

    /// What the operating system reads as an address is a name to the URL parser.
    #[tokio::test]
    async fn odd_spellings_of_loopback_are_caught_after_resolution() {
        for host in ["127.1", "0x7f.1", "2130706433", "127.0.0.1", "localhost"] {
            match resolve(host, 443, Guard::On).await {
                // A resolver that does not know the spelling is as good.
                Err(ResolveError::Forbidden(Class::Loopback) | ResolveError::Io(_)) => {}
                other => panic!("{host}: {other:?}"),
            }
        }
    }
}
