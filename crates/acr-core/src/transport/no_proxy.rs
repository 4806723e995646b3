//! Which hosts are reached without a proxy: the list of `NO_PROXY`, as curl reads it.

use std::net::IpAddr;

/// The exceptions. What is in doubt goes to the proxy, for that is what the operator set up.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoProxy {
    is_everything: bool,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Network(IpAddr, u32),
    /// In lower case, without a dot at either end.
    Domain(String),
}

impl NoProxy {
    pub(crate) fn add(&mut self, list: &str) {
        // Only alone: within a list an asterisk is a name that no host has.
        self.is_everything |= list == "*";
        self.entries.extend(list.split([',', ' ', '\t']).flat_map(Entry::parse));
    }

    /// Whether this host, an IPv6 address without brackets, is on the list.
    pub(crate) fn matches(&self, host: &str) -> bool {
        let ip: Option<IpAddr> = host.parse().ok();
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.is_everything || self.entries.iter().any(|entry| entry.matches(&name, ip))
    }
}

impl Entry {
    /// What the entry stands for: with addresses and with names, since curl compares names
    /// letter by letter, whatever the entry looks like.
    fn parse(text: &str) -> impl Iterator<Item = Self> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let name = name.strip_prefix('.').unwrap_or(name);
        let domain = (!name.is_empty()).then(|| Self::Domain(name.to_ascii_lowercase()));
        domain.into_iter().chain(network(text))
    }

    fn matches(&self, name: &str, ip: Option<IpAddr>) -> bool {
        match (self, ip) {
            (Self::Network(network, length), Some(ip)) => {
                prefix(*network, *length) == prefix(ip, *length)
            }
            (Self::Domain(domain), None) => name
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            _ => false,
        }
    }
}

/// An address or a network in CIDR notation. A length of 0 stands for the address alone.
fn network(text: &str) -> Option<Entry> {
    let (address, length) = match text.split_once('/') {
        Some((address, "")) => (address, 0),
        Some((address, length)) if length.bytes().all(|b| b.is_ascii_digit()) => {
            (address, length.parse().ok()?)
        }
        Some(_) => return None,
        None => (text, 0),
    };
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = if length == 0 { bits } else { length };
    (length <= bits).then_some(Entry::Network(address, length))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c12_no_proxy_table() {
        for (list, host, is_direct) in [
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com.", true),
            ("EXAMPLE.com.", "example.com", true),
            ("example.com", "a.example.com", true),
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", true),
            ("..example.com", "example.com", false),
            ("*.example.com", "a.example.com", false),
            ("example.com", "notexample.com", false),
            ("example.com", "example.com.evil", false),
            ("a.example, b.example", "b.example", true),
            ("a.example b.example", "b.example", true),
            (",, a.example\t,", "a.example", true),
            ("example.com:8443", "example.com", false),
            ("example.com/8", "example.com", false),
            ("example.com/8,a.example", "a.example", true),
            ("*", "anything.example", true),
            ("*", "192.0.2.1", true),
            ("*", "::1", true),
            ("y,*", "anything.example", false),
            ("*,", "anything.example", false),
            (" *", "anything.example", false),
            ("*:8443", "anything.example", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/", "10.0.0.0", true),
            ("10.0.0.0/+8", "10.1.0.0", false),
            ("0.0.0.0/0", "203.0.113.9", false),
            ("0.0.0.0/1", "2001:db8::1", false),
            ("10.0.0.0/8", "10.example", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:5000", "10.1.2.3", false),
            ("10.1.2.3", "::ffff:10.1.2.3", false),
            ("fd00::/8", "fd12::1", true),
            ("::1", "::1", true),
            ("0:0::1", "::1", true),
            ("[::1]", "::1", false),
            ("[::1]:8443", "::1", false),
            (".", "example.com", false),
            ("", "example.com", false),
        ] {
            let mut direct = NoProxy::default();
            direct.add(list);
            assert_eq!(direct.matches(host), is_direct, "`{list}` for {host}");
        }
    }
}
