//! Why there is no connection, by phase, and whether trying again can help.

use std::{borrow::Cow, io, time::Duration};

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use thiserror::Error as ThisError;

use crate::{
    http::{
        error::{BoxError, Error, ErrorKind},
        redact::printable,
    },
    transport::proxy::Unusable,
    value::host::Class,
};

/// Why there is no connection. `peer` is the host with its port, or the proxy on the way to it.
#[derive(Debug, ThisError)]
pub(crate) enum ConnectError {
    #[error("no connection to {peer}: name resolution failed: {}", dns_cause(source))]
    Dns { peer: String, source: io::Error },
    #[error("no connection to {peer}: TCP failed: {}", tcp_cause(source.as_ref()))]
    Tcp { peer: String, source: BoxError },
    #[error("no tunnel from {peer}: it broke the connection")]
    Tunnel { peer: String, source: io::Error },
    #[error("no tunnel from {peer}: it answered {status}{meaning}")]
    Refused { peer: String, status: u16, meaning: &'static str },
    #[error("no tunnel from {peer}: its answer is not that of a proxy{hint}")]
    NoProxy { peer: String, hint: &'static str },
    #[error(
        "no connection to {peer}: the proxy that the environment names cannot be used: {}; \
         set `HTTPS_PROXY`, or except the host with `NO_PROXY`", why.0
    )]
    UnusableProxy { peer: String, why: Unusable },
    #[error("no connection to {peer}: {text}")]
    UnusableTls { peer: String, text: &'static str, source: rustls::Error },
    #[error("no connection to {peer}: TLS failed: {}", failure.text)]
    Tls { peer: String, failure: TlsFailure, source: io::Error },
    #[error("no connection to {peer}: {phase} took longer than {limit:?}")]
    Timeout { peer: String, phase: &'static str, limit: Duration },
    #[error("the server sent a redirect to {class}: `{}`", printable(host))]
    Forbidden { host: String, class: Class },
    #[error("no connection: the URL has no usable host or port")]
    Host,
}

/// What a failure of TLS means.
#[derive(Clone, Debug)]
pub(crate) struct TlsFailure {
    pub(crate) text: Cow<'static, str>,
    /// Trying again cannot help.
    pub(crate) is_permanent: bool,
}

impl ConnectError {
    pub(crate) fn forbidden(host: &str, class: Class) -> Self {
        Self::Forbidden { host: host.to_owned(), class }
    }

    pub(crate) fn refused(peer: &str, status: u16) -> Self {
        let meaning = match status {
            100..200 => " and no answer after it",
            300..400 => {
                ", a redirect, which opens no tunnel: this is not a proxy, or it wants a \
                        sign-in in a browser"
            }
            407 => ": it wants a user and a password, or others than were given",
            403 => ": it does not allow this host",
            _ => "",
        };
        Self::Refused { peer: peer.to_owned(), status, meaning }
    }

    /// The library's error for it, without a source.
    pub(crate) fn to_error(&self) -> Error {
        let kind = match self {
            Self::Forbidden { .. } => ErrorKind::Policy,
            // A setting to be changed, by whomever it is found.
            Self::UnusableTls { .. } => ErrorKind::InvalidInput,
            _ => ErrorKind::Connect,
        };
        let error = Error::new(kind, self.to_string());
        let is_permanent = match self {
            Self::Tls { failure, .. } => failure.is_permanent,
            // What passes by itself; every other answer would come again.
            Self::Refused { status, .. } => {
                !matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
            }
            Self::NoProxy { .. }
            | Self::UnusableProxy { .. }
            | Self::UnusableTls { .. }
            | Self::Host
            | Self::Forbidden { .. } => true,
            Self::Dns { .. } | Self::Tcp { .. } | Self::Tunnel { .. } | Self::Timeout { .. } => {
                false
            }
        };
        if is_permanent { error.permanent() } else { error }
    }
}

/// The words of the resolver: they tell a wrong name from a resolver that is away.
fn dns_cause(source: &io::Error) -> String {
    let words = source.to_string();
    let words = words.strip_prefix("failed to lookup address information: ").unwrap_or(&words);
    printable(words).to_string()
}

/// The first I/O error below hyper-util's, in one word where there is one.
fn tcp_cause(source: &(dyn std::error::Error + 'static)) -> String {
    let mut causes = std::iter::successors(Some(source), |cause| cause.source());
    let Some(cause) = causes.find_map(|cause| cause.downcast_ref::<io::Error>()) else {
        return "no address could be reached".to_owned();
    };
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => {
            "the connection was refused; nothing listens there".to_owned()
        }
        io::ErrorKind::TimedOut => "it timed out".to_owned(),
        io::ErrorKind::ConnectionReset => "the connection was reset".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network is unreachable".to_owned(),
        io::ErrorKind::HostUnreachable => "the host is unreachable".to_owned(),
        io::ErrorKind::PermissionDenied => "the system does not permit it".to_owned(),
        _ => printable(&cause.to_string()).to_string(),
    }
}

impl TlsFailure {
    /// Of a failed handshake.
    pub(crate) fn of(error: &io::Error) -> Self {
        Self::known(error).unwrap_or(TRANSIENT)
    }

    /// Of an I/O error that carries one of rustls. With TLS 1.3 the server refuses a client
    /// certificate only when the client takes the handshake for finished.
    pub(crate) fn known(error: &io::Error) -> Option<Self> {
        let permanent = |text: Cow<'static, str>| Some(Self { text, is_permanent: true });
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(why) => permanent(certificate(why)),
            rustls::Error::AlertReceived(alert) => permanent(refusal(*alert)?.into()),
            rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => permanent(
                "the server and this client have no version or algorithm in common".into(),
            ),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                permanent("what answers there does not speak TLS; is the port right?".into())
            }
            rustls::Error::InvalidMessage(_)
            | rustls::Error::PeerMisbehaved(_)
            | rustls::Error::InappropriateMessage { .. }
            | rustls::Error::InappropriateHandshakeMessage { .. } => {
                permanent("what answers there does not keep to TLS".into())
            }
            _ => None,
        }
    }
}

/// What is wrong with the server's certificate, and what one can do.
fn certificate(why: &CertificateError) -> Cow<'static, str> {
    match why {
        CertificateError::NotValidForName => {
            "the certificate is for another name; is the host right?".into()
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let mut names =
                presented.iter().take(MAX_NAMES).map(|name| printable(name).to_string());
            let first = names.next().unwrap_or_else(|| "none".to_owned());
            let names = names.fold(first, |all, name| format!("{all}, {name}"));
            format!("the certificate is for another name (it has: {names}); is the host right?")
                .into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired; renew it, or check this machine's clock".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet; check this machine's clock".into()
        }
        CertificateError::UnknownIssuer => {
            format!("the certificate's authority is not trusted, or it is self-signed; {ADD}")
                .into()
        }
        CertificateError::Revoked => "the certificate has been revoked".into(),
        // webpki's word for a server that shows the certificate of an authority.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            format!("the certificate is self-signed, an authority's own; {ISSUE}").into()
        }
        CertificateError::Other(other) => {
            format!("the certificate is not valid: {}", printable(&other.to_string())).into()
        }
        other => format!("the certificate is not valid: {}", printable(&other.to_string())).into(),
    }
}

/// Alerts that mean the same however often one asks.
fn refusal(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server wants a client certificate"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => "the server refuses the client certificate",
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity
        | AlertDescription::UnrecognisedName
        | AlertDescription::NoApplicationProtocol => "the server refuses the handshake",
        _ => return None,
    })
}

const TRANSIENT: TlsFailure =
    TlsFailure { text: Cow::Borrowed("the handshake broke"), is_permanent: false };

const ADD: &str = "if you trust it, add it with `TlsConfig::add_roots` (PEM), or on Linux with \
    the variable `SSL_CERT_FILE`";

const ISSUE: &str = "let the server show one that an authority has issued for its name, and trust \
    the authority with `TlsConfig::add_roots` (PEM), or on Linux with the variable `SSL_CERT_FILE`";

/// Of a certificate, in an error.
const MAX_NAMES: usize = 4;
