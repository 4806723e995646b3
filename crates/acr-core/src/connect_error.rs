//! Why there is no connection, by phase, and whether trying again can help.

use std::{io, time::Duration};

use rustls::{AlertDescription, CertificateError};
use thiserror::Error as ThisError;

use crate::{
    address::Class,
    error::{BoxError, Error, ErrorKind},
};

/// Why there is no connection. `peer` is the host, or the proxy on the way to it.
#[derive(Debug, ThisError)]
pub(crate) enum ConnectError {
    #[error("no connection to {peer}: name resolution failed")]
    Dns { peer: String, source: io::Error },
    #[error("no connection to {peer}: TCP failed")]
    Tcp { peer: String, source: BoxError },
    #[error("no tunnel from {peer}: it broke the connection")]
    Tunnel { peer: String, source: io::Error },
    #[error("no tunnel from {peer}: it answered {status}{meaning}")]
    Refused { peer: String, status: u16, meaning: &'static str },
    #[error("no tunnel from {peer}: its answer is not that of a proxy")]
    NoProxy { peer: String },
    #[error("no connection to {peer}: TLS failed: {}", failure.text)]
    Tls { peer: String, failure: TlsFailure, source: io::Error },
    #[error("no connection to {peer}: {phase} took longer than {limit:?}")]
    Timeout { peer: String, phase: &'static str, limit: Duration },
    #[error("the server sent a redirect to {class}: `{host}`")]
    Forbidden { host: String, class: Class },
    #[error("no connection: the URL has no usable host")]
    Host,
}

/// What a failure of TLS means.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TlsFailure {
    pub(crate) text: &'static str,
    /// Trying again cannot help.
    pub(crate) is_permanent: bool,
}

impl ConnectError {
    pub(crate) fn forbidden(host: &str, class: Class) -> Self {
        Self::Forbidden { host: host.to_owned(), class }
    }

    pub(crate) fn refused(peer: &str, status: u16) -> Self {
        let meaning = match status {
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
            _ => ErrorKind::Connect,
        };
        let error = Error::new(kind, self.to_string());
        let is_permanent = match self {
            Self::Tls { failure, .. } => failure.is_permanent,
            Self::Refused { status, .. } => matches!(status, 400..=407 | 501),
            Self::NoProxy { .. } | Self::Host | Self::Forbidden { .. } => true,
            _ => false,
        };
        if is_permanent { error.permanent() } else { error }
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
        let permanent = |text| Some(Self { text, is_permanent: true });
        match error.get_ref()?.downcast_ref::<rustls::Error>()? {
            rustls::Error::InvalidCertificate(why) => permanent(certificate(why)),
            rustls::Error::AlertReceived(alert) => permanent(refusal(*alert)?),
            rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
                permanent("the server and this client have no version or algorithm in common")
            }
            _ => None,
        }
    }
}

fn certificate(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::UnknownIssuer => "the certificate's authority is not trusted",
        CertificateError::Revoked => "the certificate has been revoked",
        _ => "the certificate is not valid",
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

const TRANSIENT: TlsFailure = TlsFailure { text: "the handshake broke", is_permanent: false };
