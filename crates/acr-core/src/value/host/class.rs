//! Which hosts a server may not send us to.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::Host;

/// A class of hosts that no registry on the internet has a reason to name.
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
    /// Neither a name nor an address in its usual form: others might read an address.
    Odd,
}

impl Host {
    /// The class of what may stand behind this host: for refusing it.
    pub(crate) fn class(self) -> Option<Class> {
        match self {
            Self::Address(ip) => Class::of(ip),
            Self::Localhost | Self::OwnName => Some(Class::Loopback),
            Self::Odd => Some(Class::Odd),
            Self::Name => None,
        }
    }
}

impl Class {
    pub(crate) fn of(ip: IpAddr) -> Option<Self> {
        match ip {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    /// The class of a host that needs no name resolution.
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        Host::of(host).class()
    }

    fn of_v4(ip: Ipv4Addr) -> Option<Self> {
        if METADATA_V4.contains(&ip) {
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
        if METADATA_V6.contains(&ip) {
            Some(Self::Metadata)
        } else if ip.is_loopback() {
            Some(Self::Loopback)
        } else if ip.is_unspecified() {
            Some(Self::Unspecified)
        } else if ip.is_multicast() {
            Some(Self::Multicast)
        } else if ip.is_unicast_link_local() {
            Some(Self::LinkLocal)
        } else {
            embedded_v4(ip).into_iter().flatten().find_map(Self::of_v4)
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
            Self::Odd => "a host that is neither a name nor an address in its usual form",
        })
    }
}

/// The IPv4 addresses that a router or the operating system may read out of an IPv6 address.
fn embedded_v4(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 4] {
    let v4 =
        |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    match ip.segments() {
        // Compatible and mapped (RFC 4291 §2.5.5), translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [v4(high, low), None, None, None],
        // NAT64 of one network (RFC 8215): how long its prefix is, only the network knows.
        [0x64, 0xff9b, 1, d, e, f, g, h] => [
            v4(d, (e << 8) | (f >> 8)),
            v4((d << 8) | (e & 0xff), f),
            v4((e << 8) | (f >> 8), (f << 8) | (g >> 8)),
            v4(g, h),
        ]
        // Zeros are the padding of another length.
        .map(|ip| ip.filter(|ip| ip.octets()[0] != 0)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [v4(high, low), None, None, None],
        // Teredo (RFC 4380): its server, and the client with all bits turned.
        [0x2001, 0, high, low, _, _, g, h] => [v4(high, low), v4(!g, !h), None, None],
        // ISATAP (RFC 5214), below any prefix.
        [.., 0 | 0x200, 0x5efe, high, low] => [v4(high, low), None, None, None],
        _ => [None; 4],
    }
}

/// Azure's instance metadata and its platform channel, and what other clouds have.
pub(super) const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];
