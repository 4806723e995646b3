//! Which addresses a server may not send us to, and name resolution that keeps to it.
//!
//! Private networks (RFC 1918, `fc00::/7`) stay open: Private Link resolves registry
//! and storage to such addresses.

use std::{io, net::SocketAddr};

use crate::value::host::{Class, Host, without_brackets};

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

/// The addresses of a host, without those the guard refuses: the check stands after name
/// resolution and on the very addresses that are dialled, so no second lookup can differ.
pub(crate) async fn resolve(
    host: &str,
    port: u16,
    guard: Guard,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let found =
        tokio::net::lookup_host((without_brackets(host), port)).await.map_err(ResolveError::Io)?;
    admit(host, found, guard)
}

fn admit(
    host: &str,
    found: impl Iterator<Item = SocketAddr>,
    guard: Guard,
) -> Result<Vec<SocketAddr>, ResolveError> {
    // Secrets go there without TLS, for it is this machine: whatever a resolver says.
    let is_here = Host::of(host) == Host::Localhost;
    let mut refused = None;
    let admitted: Vec<_> = found
        .filter(|address| !is_here || address.ip().is_loopback())
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
            let text = if is_here {
                "the name has no address of this machine; name a loopback address"
            } else {
                "the name has no address"
            };
            let error = io::Error::new(io::ErrorKind::NotFound, text);
            Err(ResolveError::Io(error))
        }
        _ => Ok(admitted),
    }
}

/// Host and port as they stand in a URL, the host without brackets.
pub(crate) fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guard_refuses_is_never_dialled() {
        let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = addresses(&["127.0.0.1:443", "10.0.0.4:443"]);
        let kept = admit("a.example", mixed.iter().copied(), Guard::On).unwrap();
        assert_eq!(kept, addresses(&["10.0.0.4:443"]));
        assert_eq!(admit("a.example", mixed.iter().copied(), Guard::Off).unwrap(), mixed);
        let error = admit("a.example", addresses(&["[::1]:1"]).into_iter(), Guard::On).unwrap_err();
        assert!(matches!(error, ResolveError::Forbidden(Class::Loopback)));
        let error = admit("a.example", std::iter::empty(), Guard::On).unwrap_err();
        assert!(matches!(error, ResolveError::Io(_)));
    }

    #[test]
    fn d4_localhost_is_this_machine_whatever_a_resolver_says() {
        let addresses = ["203.0.113.1:80", "127.0.0.1:80", "[::1]:80", "10.0.0.1:80"];
        let found = || addresses.iter().map(|text| text.parse::<SocketAddr>().unwrap());
        for host in ["localhost", "LocalHost."] {
            let kept = admit(host, found(), Guard::Off).unwrap();
            assert!(kept.len() == 2 && kept.iter().all(|address| address.ip().is_loopback()));
            let error = admit(host, found().take(1), Guard::Off).unwrap_err();
            assert!(
                matches!(error, ResolveError::Io(error) if error.kind() == io::ErrorKind::NotFound)
            );
        }
        assert_eq!(admit("localhost.example", found(), Guard::Off).unwrap().len(), 4);
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
