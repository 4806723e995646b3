//! Which hosts may see an Entra token.
//!
//! An Entra token is not bound to a registry: whoever receives it can spend it
//! on every registry its owner may reach. It therefore goes only to hosts that
//! belong to Azure Container Registry, compared label by label, or to hosts the
//! caller named. Sharing a parent domain is no trust: `azurecr.io` has many tenants.

use acr_core::{Endpoint, Error, ErrorKind, Result};

/// Refuses an endpoint that must not see an Entra token.
pub(crate) fn check(endpoint: &Endpoint, trusted: &[String]) -> Result<()> {
    if !endpoint.is_https() {
        let text = "an Entra token is never sent without TLS; use https or another credential";
        return Err(Error::new(ErrorKind::Policy, text));
    }
    let host = endpoint.host();
    let named = trusted.iter().any(|name| is_host(name, host));
    if named || (endpoint.is_azure_registry() && endpoint.port() == 443) {
        return Ok(());
    }
    // A registry's bare name, as the portal shows it.
    let meant = if host.contains(['.', ':']) || host == "localhost" {
        String::new()
    } else {
        format!(" (`{host}.azurecr.io` is)")
    };
    let text = format!(
        "`{host}` is not a host of Azure Container Registry{meant}, so no Entra token is sent to it; \
         if it is yours, name it with `AuthLayer::trust_entra_for`"
    );
    Err(Error::new(ErrorKind::Policy, text))
}

/// Refuses an endpoint that must not see a password or a refresh token: without TLS they go
/// to this machine only.
pub(crate) fn check_secret(endpoint: &Endpoint) -> Result<()> {
    if endpoint.is_https() || endpoint.is_this_machine() {
        return Ok(());
    }
    let host = endpoint.host();
    let text = format!(
        "`{host}` is reached without TLS, so no password and no token is sent to it; use https"
    );
    Err(Error::new(ErrorKind::Policy, text))
}

/// Whether what the caller named, perhaps with a scheme or a port, is this host.
fn is_host(name: &str, host: &str) -> bool {
    name.eq_ignore_ascii_case(host)
        || name.parse::<Endpoint>().is_ok_and(|named| named.host() == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_may_and_hosts_that_may_not() {
        for (host, allowed) in [
            ("myreg.azurecr.io", true),
            ("MyReg.AzureCR.io", true),
            ("myreg-abc123.azurecr.io", true),
            ("myreg.westeurope.azurecr.cn", true),
            ("myreg.azurecr.us", true),
            ("myreg.azurecr.io.", true),
            ("azurecr.io", false),
            (".azurecr.io", false),
            ("xazurecr.io", false),
            ("x.azurecr.io.evil.com", false),
            ("x.azurecr.io.azurecr.com", false),
            ("x.azurecr.com", false),
            ("x.azurecr.io..", false),
            ("x..azurecr.io", false),
            ("-x.azurecr.io", false),
            ("x_y.azurecr.io", false),
            ("x.azurecr.io:8443", false),
            ("evil.com", false),
            ("127.0.0.1", false),
            ("localhost", false),
            ("[::1]", false),
        ] {
            let got = host.parse::<Endpoint>().and_then(|endpoint| check(&endpoint, &[]));
            assert_eq!(got.is_ok(), allowed, "{host}");
        }
    }

    #[test]
    fn c10_the_login_server_of_a_bare_name_is_named() {
        let text = |host: &str| check(&host.parse().unwrap(), &[]).unwrap_err().to_string();
        assert!(text("myreg").contains("(`myreg.azurecr.io` is)"));
        for host in ["localhost", "reg.example", "[::1]"] {
            assert!(!text(host).contains("azurecr.io` is"), "{host}");
        }
    }

    #[test]
    fn a_named_host_is_trusted_exactly_and_only_with_tls() {
        let named = ["registry.example".to_owned()];
        let check = |host: &str| check(&host.parse().unwrap(), &named);
        assert!(check("registry.example:5000").is_ok());
        assert!(check("sub.registry.example").is_err());
        for name in ["registry.example:5000", "https://Registry.example", "REGISTRY.EXAMPLE"] {
            let endpoint = "registry.example:5000".parse().unwrap();
            assert!(super::check(&endpoint, &[name.to_owned()]).is_ok(), "{name}");
            let other = "registry.example.evil".parse().unwrap();
            assert!(super::check(&other, &[name.to_owned()]).is_err(), "{name}");
        }
        let plain = Endpoint::insecure_loopback("127.0.0.1:80".parse().unwrap()).unwrap();
        let error = super::check(&plain, &["127.0.0.1".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
    }

    #[test]
    fn d4_secrets_go_without_tls_to_this_machine_only() {
        for host in ["reg.azurecr.io", "registry.example:5000", "https://10.0.0.1"] {
            assert!(check_secret(&host.parse().unwrap()).is_ok(), "{host}");
        }
        for address in ["127.0.0.1:80", "127.9.9.9:80", "[::1]:80"] {
            let endpoint = Endpoint::insecure_loopback(address.parse().unwrap()).unwrap();
            assert!(check_secret(&endpoint).is_ok(), "{address}");
        }
        let endpoint = Endpoint::insecure_link_local("169.254.169.254").unwrap();
        let error = check_secret(&endpoint).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(error.to_string().contains("169.254.169.254"), "{error}");
    }
}
