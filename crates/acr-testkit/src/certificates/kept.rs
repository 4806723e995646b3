//! An authority that outlives its process, so that clients need to be told of it once.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{Issuer, KeyPair};
use rustls::{
    CertificateError, Error, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};

use super::{AUTHORITY, Authority, authority, leaf};
use crate::disk::named;

/// The files of a folder that hold an authority.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// The authority of a folder; made there if the folder has none. Blocks.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let files = Files { certificate: folder.join(CERTIFICATE), key: folder.join(KEY) };
        fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
        let (key, pem) = files.take().map_err(|error| {
            // Of rights and of the disk the error says enough, and nothing need be removed.
            if !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound) {
                return error;
            }
            let text = format!(
                "{error}; put back what was there, or remove `{}` and `{}` for a new authority, which clients must then be told to trust",
                files.certificate.display(),
                files.key.display(),
            );
            io::Error::new(error.kind(), text)
        })?;
        let authority = authority(AUTHORITY).map_err(io::Error::other)?;
        Ok(Self { issuer: Issuer::new(authority, key), pem })
    }
}

impl Files {
    /// Reads what is there and makes what is not. Two processes may do so at once: whatever is
    /// there first is what both take.
    fn take(&self) -> io::Result<(KeyPair, String)> {
        // Before the key, which is made first: what another process makes meanwhile is complete.
        let has_certificate = self.certificate.exists();
        let key = match read(&self.key)? {
            Some(text) => text,
            None if has_certificate => {
                let (certificate, key) = (self.certificate.display(), self.key.display());
                let text = format!("`{certificate}` is there without its key `{key}`");
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
            None => {
                let key = KeyPair::generate().map_err(io::Error::other)?;
                add(&self.key, &key.serialize_pem(), PRIVATE)?
            }
        };
        let key = KeyPair::from_pem(&key).map_err(|error| damaged(&self.key, &error))?;
        let pem = match read(&self.certificate)? {
            Some(text) => text,
            None => {
                let own = authority(AUTHORITY).and_then(|authority| authority.self_signed(&key));
                add(&self.certificate, &own.map_err(io::Error::other)?.pem(), PUBLIC)?
            }
        };
        self.check(&key, &pem)?;
        Ok((key, pem))
    }

    /// Whether clients that trust the certificate will trust what the key signs, and go on so
    /// for a while.
    fn check(&self, key: &KeyPair, pem: &str) -> io::Result<()> {
        let path = &self.certificate;
        let own = CertificateDer::from_pem_slice(pem.as_bytes());
        let own = own.map_err(|error| damaged(path, &error))?;
        let mut roots = RootCertStore::empty();
        roots.add(own.clone()).map_err(|error| damaged(path, &error))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let verify = |certificate: &CertificateDer<'_>, time| {
            let certificate = ParsedCertificate::try_from(certificate)?;
            let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
            let time = UnixTime::since_unix_epoch(time);
            verify_server_cert_signed_by_trust_anchor(&certificate, &roots, &[], time, algorithms)
        };
        // Of the anchor itself nobody looks at the dates; as a server's certificate it fails at
        // them first, and else because it is an authority's.
        let why = match verify(&own, now.saturating_add(LEAST_LIFE)) {
            Err(Error::InvalidCertificate(error)) if is_about_time(&error) => {
                Some("expires within a week, or has".to_owned())
            }
            _ => None,
        };
        let signed = || {
            let authority = authority(AUTHORITY)?;
            leaf(&["localhost"])?.signed_by(&KeyPair::generate()?, &Issuer::new(authority, key))
        };
        let signed = signed().map_err(io::Error::other)?;
        let fits = verify(signed.der(), now).map_err(|error| {
            format!("is not the certificate of the key `{}`: {error}", self.key.display())
        });
        let Some(why) = why.or(fits.err()) else { return Ok(()) };
        let text = format!("`{}` {why}", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}

fn is_about_time(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// The text of a file; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(path, &error)),
    }
}

/// Of a file with this mode, where files have modes.
#[cfg(unix)]
fn builder(mode: u32) -> tempfile::Builder<'static, 'static> {
    use std::os::unix::fs::PermissionsExt as _;

    let mut builder = tempfile::Builder::new();
    builder.permissions(fs::Permissions::from_mode(mode));
    builder
}

#[cfg(not(unix))]
fn builder(_: u32) -> tempfile::Builder<'static, 'static> {
    tempfile::Builder::new()
}

/// Adds a file as a whole, unless somebody was faster; gives what is there.
fn add(path: &Path, text: &str, mode: u32) -> io::Result<String> {
    let write = || {
        let mut file = builder(mode).tempfile_in(path.parent().unwrap_or(path))?;
        file.write_all(text.as_bytes())?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => Err(error.error),
            _ => fs::read_to_string(path),
        }
    };
    write().map_err(|error| named(path, &error))
}

/// Of a key the reason says nothing of what stands there.
fn damaged(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {error}", path.display()))
}

const CERTIFICATE: &str = "ca.pem";
const KEY: &str = "ca-key.pem";

const PRIVATE: u32 = 0o600;
/// Less what the process's mask takes.
const PUBLIC: u32 = 0o666;

/// A test run must not be the one in which the authority ends.
const LEAST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
