use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::{class::METADATA_V4, *};

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
fn d3_addresses_inside_of_addresses_have_the_class_of_what_is_inside() {
    use Class::{LinkLocal, Loopback, Metadata, Multicast, Unspecified};
    for (host, class) in [
        ("[2002:7f00:1::]", Some(Loopback)),
        ("[2002:a9fe:a9fe::1]", Some(Metadata)),
        ("[2002:a00:1::1]", None),
        ("[64:ff9b::127.0.0.1]", Some(Loopback)),
        ("[64:ff9b::169.254.169.254]", Some(Metadata)),
        ("[64:ff9b::10.0.0.1]", None),
        // RFC 8215, with prefixes of 48, 56, 64 and 96 bits (RFC 6052 §2.2)
        ("[64:ff9b:1:7f00:0:100::]", Some(Loopback)),
        ("[64:ff9b:1:7f:0:1::]", Some(Loopback)),
        ("[64:ff9b:1:0:7f:0:100::]", Some(Loopback)),
        ("[64:ff9b:1::127.0.0.1]", Some(Loopback)),
        ("[64:ff9b:1:5::169.254.169.254]", Some(Metadata)),
        ("[64:ff9b:1::10.0.0.1]", None),
        ("[64:ff9b:1:a00:0:100::]", None),
        ("[::ffff:0:127.0.0.1]", Some(Loopback)),
        ("[::ffff:0:169.254.1.1]", Some(LinkLocal)),
        ("[::ffff:0:10.0.0.1]", None),
        ("[::224.0.0.1]", Some(Multicast)),
        ("[::ffff:0.1.2.3]", Some(Unspecified)),
        // Teredo: server 127.0.0.1; client 127.0.0.1
        ("[2001:0:7f00:1::]", Some(Loopback)),
        ("[2001:0:4136:e378:8000:63bf:80ff:fffe]", Some(Loopback)),
        ("[2001:0:4136:e378:8000:63bf:3fff:fdd2]", None),
        // ISATAP
        ("[2603:1030::5efe:127.0.0.1]", Some(Loopback)),
        ("[fd00::200:5efe:169.254.169.254]", Some(Metadata)),
        ("[fd00:ec2::254]", Some(Metadata)),
        ("100.100.100.200", Some(Metadata)),
    ] {
        assert_eq!(Class::of_host(host), class, "{host}");
    }
}

#[test]
fn d3_what_is_no_canonical_literal_is_no_name() {
    for host in [
        "127.1",
        "127.0.1",
        "0x7f000001",
        "0X7F.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "127.0.0.0x1",
        "0x",
        "1.2.3.4.5",
        "256.0.0.1",
        "a.1",
        "a..b",
        ".a",
        "localhost..",
        ".",
        "",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "127\u{3002}0.0.1",
        "\u{24db}ocalhost",
        "%31",
        "a b",
        "[::1",
        "::1]",
        "[::1%25eth0]",
        "[127.0.0.1]",
        "[v1.x]",
        "[]",
    ] {
        assert_eq!(Host::of(host), Host::Odd, "{host}");
        assert_eq!(Class::of_host(host), Some(Class::Odd), "{host}");
    }
    for host in ["a.example", "a.example.", "1.example", "0x7f.example", "a_b.c-d.x1", "xn--a.io"] {
        assert_eq!(Host::of(host), Host::Name, "{host}");
    }
}

/// To refuse, "may be local" is enough; to trust, it must be certain.
#[test]
fn d3_one_answer_for_localhost() {
    for (host, refused, trusted, on_segment) in [
        ("localhost", true, true, true),
        ("LOCALHOST.", true, true, true),
        ("127.8.9.10", true, true, true),
        ("[::1]", true, true, true),
        ("169.254.169.254", true, false, true),
        ("[fe80::1]", true, false, true),
        ("evil.localhost", true, false, false),
        ("localhost.localdomain", true, false, false),
        ("ip6-loopback", true, false, false),
        ("[::ffff:127.0.0.1]", true, false, false),
        ("127.1", true, false, false),
        ("localhost.evil.example", false, false, false),
        ("10.0.0.1", false, false, false),
    ] {
        let host_of = Host::of(host);
        let got =
            (host_of.class().is_some(), host_of.is_this_machine(), host_of.is_on_this_segment());
        assert_eq!(got, (refused, trusted, on_segment), "{host}");
    }
}

#[test]
fn d3_a_port_is_a_number_or_absent() {
    for (uri, expected) in [
        ("https://a", Some(443)),
        ("http://a/", Some(80)),
        ("https://a:1/", Some(1)),
        ("https://[::1]:65535/", Some(65535)),
        ("https://[::1]/", Some(443)),
        ("https://u@a/", Some(443)),
        ("https://u:1@a/", Some(443)),
        ("https://a:65536/", None),
        ("https://a:99999/", None),
        ("https://a:0/", None),
        ("https://a:/", None),
        ("/x", None),
    ] {
        let uri: Uri = uri.parse().unwrap();
        assert_eq!(port(&uri), expected, "{uri}");
    }
}

proptest! {
    /// However a name resolver of the C library may read it: what it takes for an address
    /// without asking anybody is an address for us, or odd.
    #[test]
    fn d3_no_spelling_of_an_address_is_a_name(
        ip in any::<u32>(),
        parts in 1_usize..=4,
        forms in any::<[u8; 4]>(),
        padding in 0_usize..3,
        dot in any::<bool>(),
    ) {
        let octets = ip.to_be_bytes();
        let mut values: Vec<u32> = octets.iter().take(parts - 1).map(|o| u32::from(*o)).collect();
        values.push(octets.iter().skip(parts - 1).fold(0, |sum, o| (sum << 8) | u32::from(*o)));
        let zeros = "0".repeat(padding);
        let written: Vec<String> = values.iter().zip(forms).map(|(value, form)| match form % 4 {
            0 => value.to_string(),
            1 => format!("0x{zeros}{value:x}"),
            2 => format!("0X{zeros}{value:X}"),
            _ => format!("0{zeros}{value:o}"),
        }).collect();
        let text = format!("{}{}", written.join("."), if dot { "." } else { "" });
        match text.parse::<Ipv4Addr>() {
            Ok(canonical) => {
                prop_assert_eq!(canonical, Ipv4Addr::from_bits(ip));
                prop_assert_eq!(Host::of(&text), Host::Address(canonical.into()));
            }
            Err(_) => prop_assert_eq!(Host::of(&text), Host::Odd),
        }
    }

    /// Every way to put a refused IPv4 address into an IPv6 one is refused as well, and with
    /// the same class.
    #[test]
    fn d3_no_wrapping_hides_a_class(
        ip in prop_oneof![
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(127, b, c, d)),
            any::<[u8; 2]>().prop_map(|[c, d]| Ipv4Addr::new(169, 254, c, d)),
            any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(224, b, c, d)),
            prop::sample::select(METADATA_V4.to_vec()),
        ],
        prefix in any::<[u16; 4]>(),
    ) {
        let class = Class::of(ip.into());
        prop_assert!(class.is_some());
        let [a, b, c, d] = ip.octets().map(u16::from);
        let (high, low) = ((a << 8) | b, (c << 8) | d);
        let [p, q, r, s] = prefix;
        for wrapped in [
            [0, 0, 0, 0, 0, 0, high, low],
            [0, 0, 0, 0, 0, 0xffff, high, low],
            [0, 0, 0, 0, 0xffff, 0, high, low],
            [0x64, 0xff9b, 0, 0, 0, 0, high, low],
            [0x64, 0xff9b, 1, 0, 0, 0, high, low],
            [0x64, 0xff9b, 1, high, c, d << 8, 0, 0],
            [0x64, 0xff9b, 1, a, b, low, 0, 0],
            [0x64, 0xff9b, 1, 0, a, (b << 8) | c, d << 8, 0],
            [0x2002, high, low, p, q, r, s, 1],
            [0x2001, 0, high, low, p, q, 0xf5ff, 0xfffe],
            [0x2001, 0, 0x0a00, 1, p, q, !high, !low],
            [0x2603, p, q, r, 0, 0x5efe, high, low],
            [0xfd00, p, q, r, 0x200, 0x5efe, high, low],
        ] {
            let ip = Ipv6Addr::from(wrapped);
            prop_assert_eq!(Class::of(ip.into()), class, "{}", ip);
            prop_assert_eq!(Class::of_host(&format!("[{ip}]")), class);
        }
    }
}
