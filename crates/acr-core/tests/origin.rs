//! Which URLs belong to a registry. A credential goes where the answer is yes, so
//! every row that says no is a leak that does not happen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use acr_core::Endpoint;
use http::Uri;

const PUBLIC: &str = "reg.azurecr.io";
const PORT: &str = "reg.azurecr.io:8443";
const IPV4: &str = "127.0.0.1:5000";
const IPV6: &str = "[::1]:5000";

/// Endpoint, URL, whether the URL has the endpoint's origin.
const ROWS: &[(&str, &str, bool)] = &[
    // the same origin, however it is written
    (PUBLIC, "https://reg.azurecr.io", true),
    (PUBLIC, "https://reg.azurecr.io/", true),
    (PUBLIC, "https://reg.azurecr.io/v2/", true),
    (PUBLIC, "https://reg.azurecr.io/v2/a/manifests/b?x=1", true),
    (PUBLIC, "https://reg.azurecr.io?x=1", true),
    (PUBLIC, "https://reg.azurecr.io:443/", true),
    (PUBLIC, "https://REG.AZURECR.IO/", true),
    (PUBLIC, "HTTPS://reg.azurecr.io/", true),
    (PUBLIC, "https://reg.azurecr.io//evil.example/", true),
    (PUBLIC, "https://reg.azurecr.io/@evil.example/", true),
    (PUBLIC, "https://reg.azurecr.io/%2e%2e/", true),
    ("REG.azurecr.io", "https://reg.azurecr.io/", true),
    ("https://reg.azurecr.io:443", "https://reg.azurecr.io/", true),
    (PORT, "https://reg.azurecr.io:8443/", true),
    (IPV4, "https://127.0.0.1:5000/", true),
    (IPV6, "https://[::1]:5000/", true),
    // another scheme
    (PUBLIC, "http://reg.azurecr.io/", false),
    (PUBLIC, "http://reg.azurecr.io:443/", false),
    (PUBLIC, "ftp://reg.azurecr.io/", false),
    (PUBLIC, "ws://reg.azurecr.io/", false),
    (PUBLIC, "httpss://reg.azurecr.io/", false),
    (PORT, "http://reg.azurecr.io:8443/", false),
    // another port
    (PUBLIC, "https://reg.azurecr.io:80/", false),
    (PUBLIC, "https://reg.azurecr.io:444/", false),
    (PUBLIC, "https://reg.azurecr.io:4430/", false),
    (PUBLIC, "https://reg.azurecr.io:8443/", false),
    (PORT, "https://reg.azurecr.io/", false),
    (PORT, "https://reg.azurecr.io:443/", false),
    (PORT, "https://reg.azurecr.io:844/", false),
    (IPV4, "https://127.0.0.1/", false),
    (IPV4, "https://127.0.0.1:5001/", false),
    (IPV6, "https://[::1]/", false),
    (PUBLIC, "https://reg.azurecr.io:99999/", false),
    (PUBLIC, "https://reg.azurecr.io:65536/", false),
    // another host that looks alike
    (PUBLIC, "https://evil.azurecr.io/", false),
    (PUBLIC, "https://azurecr.io/", false),
    (PUBLIC, "https://www.reg.azurecr.io/", false),
    (PUBLIC, "https://reg.azurecr.io.evil.example/", false),
    (PUBLIC, "https://reg.azurecr.ioo/", false),
    (PUBLIC, "https://reg.azurecr.i/", false),
    (PUBLIC, "https://xreg.azurecr.io/", false),
    (PUBLIC, "https://reg-azurecr.io/", false),
    (PUBLIC, "https://reg.azurecr.io./", false),
    (PUBLIC, "https://reg.azurecr.com/", false),
    (PUBLIC, "https://reg.westeurope.data.azurecr.io/", false),
    (PUBLIC, "https://reg.blob.core.windows.net/", false),
    (PUBLIC, "https://xn--reg.azurecr.io/", false),
    (PUBLIC, "https://localhost/", false),
    (PUBLIC, "https://127.0.0.1/", false),
    (PUBLIC, "https://169.254.169.254/", false),
    (PUBLIC, "https://[::1]/", false),
    (IPV4, "https://127.0.0.2:5000/", false),
    (IPV4, "https://localhost:5000/", false),
    (IPV4, "https://0x7f.1:5000/", false),
    (IPV4, "https://2130706433:5000/", false),
    (IPV4, "https://[::ffff:127.0.0.1]:5000/", false),
    (IPV6, "https://[::2]:5000/", false),
    (IPV6, "https://127.0.0.1:5000/", false),
    // user information in front
    (PUBLIC, "https://user@reg.azurecr.io/", false),
    (PUBLIC, "https://user:pass@reg.azurecr.io/", false),
    (PUBLIC, "https://reg.azurecr.io@evil.example/", false),
    (PUBLIC, "https://reg.azurecr.io:443@evil.example/", false),
    (PUBLIC, "https://evil.example@reg.azurecr.io/", false),
    // no origin at all
    (PUBLIC, "/v2/", false),
    (PUBLIC, "reg.azurecr.io", false),
    (PUBLIC, "reg.azurecr.io:443", false),
    (PUBLIC, "*", false),
];

/// Not URLs, for any of our parsers.
const NO_URLS: &[&str] = &[
    "https://",
    "https:///v2/",
    "https://reg.azurecr.io\\@evil.example/",
    "https://reg.azurecr.io /",
    "https://reg.azurecr.io\t/",
    "https://reg.azurecr.io\r\nHost: evil/",
    "//reg.azurecr.io\u{0}/",
    "https://[::1/",
];

#[test]
fn every_row_of_the_origin_table() {
    assert!(ROWS.len() >= 60, "{} rows", ROWS.len());
    for (endpoint, url, expected) in ROWS {
        let parsed: Endpoint = endpoint.parse().unwrap();
        // What is no URL for the parser whose output is dialled is not dialled.
        let is_origin = url.parse::<Uri>().is_ok_and(|uri| parsed.is_origin_of(&uri));
        assert_eq!(is_origin, *expected, "{endpoint}: {url}");
    }
}

#[test]
fn what_is_no_url_has_no_origin() {
    let endpoint: Endpoint = PUBLIC.parse().unwrap();
    for text in NO_URLS {
        let is_origin = text.parse::<Uri>().is_ok_and(|uri| endpoint.is_origin_of(&uri));
        assert!(!is_origin, "{text:?}");
    }
}

#[test]
fn plain_http_has_an_origin_of_its_own() {
    let plain = Endpoint::insecure_loopback("127.0.0.1:5000".parse().unwrap()).unwrap();
    for (url, expected) in [
        ("http://127.0.0.1:5000/", true),
        ("https://127.0.0.1:5000/", false),
        ("http://127.0.0.1/", false),
        ("http://localhost:5000/", false),
    ] {
        assert_eq!(plain.is_origin_of(&url.parse().unwrap()), expected, "{url}");
    }
}
