//! Which server a key means.

use acr_core::Endpoint;

/// Whether a key of the file means this registry.
///
/// Keys are written as `host`, `host:port`, `https://host`, and by old versions of
/// Docker as `https://host/v1/`. Host and port must be equal. Everything else is
/// another server's: a key with a longer path is for a part of a registry, and a
/// key that is no address, such as one with a wildcard, means nothing.
pub(crate) fn is_for(key: &str, endpoint: &Endpoint) -> bool {
    let (scheme, rest) = match key.split_once("://") {
        None => (None, key),
        Some((scheme, rest)) => (Some(scheme), rest),
    };
    let scheme_fits = match scheme {
        None => true,
        Some(scheme) if endpoint.is_https() => scheme.eq_ignore_ascii_case("https"),
        Some(scheme) => scheme.eq_ignore_ascii_case("http"),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_root = matches!(path, "" | "v1" | "v1/" | "v2" | "v2/");
    // One grammar for hosts and ports: that of the endpoint itself.
    let is_same = || {
        authority
            .parse::<Endpoint>()
            .is_ok_and(|key| key.host() == endpoint.host() && key.port() == endpoint.port())
    };
    scheme_fits && is_root && is_same()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_means_one_host_and_port() {
        let registry: Endpoint = "reg.azurecr.io".parse().unwrap();
        let other_port: Endpoint = "reg.azurecr.io:5000".parse().unwrap();
        for (key, means_registry, means_other_port) in [
            ("reg.azurecr.io", true, false),
            ("Reg.AzureCR.io", true, false),
            ("reg.azurecr.io:443", true, false),
            ("reg.azurecr.io:5000", false, true),
            ("https://reg.azurecr.io", true, false),
            ("HTTPS://reg.azurecr.io/", true, false),
            ("https://reg.azurecr.io:5000/v2/", false, true),
            ("https://reg.azurecr.io/v1/", true, false),
            ("https://reg.azurecr.io/v1", true, false),
            ("https://reg.azurecr.io/v2/", true, false),
            ("reg.azurecr.io/v1/", true, false),
            ("http://reg.azurecr.io", false, false),
            ("ftp://reg.azurecr.io", false, false),
            ("https://https://reg.azurecr.io", false, false),
            ("reg.azurecr.io/namespace", false, false),
            ("reg.azurecr.io/v1/x", false, false),
            ("reg.azurecr.io//", false, false),
            ("reg.azurecr.io?x", false, false),
            ("reg.azurecr.io.", false, false),
            ("reg.azurecr.io.evil.com", false, false),
            ("user@reg.azurecr.io", false, false),
            ("*.azurecr.io", false, false),
            ("*", false, false),
            ("", false, false),
            ("azurecr.io", false, false),
            (".azurecr.io", false, false),
            ("https://index.docker.io/v1/", false, false),
        ] {
            assert_eq!(is_for(key, &registry), means_registry, "{key}");
            assert_eq!(is_for(key, &other_port), means_other_port, "{key}");
        }
    }

    #[test]
    fn only_a_plain_loopback_endpoint_takes_a_key_without_tls() {
        let plain = Endpoint::insecure_loopback("127.0.0.1:5000".parse().unwrap()).unwrap();
        assert!(is_for("127.0.0.1:5000", &plain));
        assert!(is_for("http://127.0.0.1:5000", &plain));
        assert!(!is_for("https://127.0.0.1:5000", &plain));
        assert!(!is_for("127.0.0.1", &plain));
        let tls: Endpoint = "[::1]:5000".parse().unwrap();
        assert!(is_for("[::1]:5000", &tls));
        assert!(is_for("https://[::1]:5000/v2/", &tls));
        assert!(!is_for("http://[::1]:5000", &tls));
        assert!(!is_for("[::1]", &tls));
    }

    proptest! {
        #[test]
        fn any_text_is_a_key_of_nothing_else(key in "\\PC{0,40}") {
            let registry: Endpoint = "reg.azurecr.io".parse().unwrap();
            prop_assert!(!is_for(&key, &registry) || key.to_ascii_lowercase().contains("reg.azurecr.io"));
        }
    }
}
