//! Which digest a manifest has, by the rules of its format and the algorithm of whoever
//! names one.

use http::response::Parts;

use super::signed;
use crate::{
    Algorithm, Digest, Digester, Error, ErrorKind, Result,
    http::{redact::printable, response},
    value::ParseDigestError,
};

/// The bytes that a manifest's digest may be of.
pub(crate) struct Hashed<'a> {
    content: &'a [u8],
    payload: Option<Vec<u8>>,
}

impl<'a> Hashed<'a> {
    pub(crate) fn of(content: &'a [u8]) -> Self {
        Self { content, payload: signed::payload(content) }
    }

    /// The digest where nobody named one.
    pub(crate) fn digest(&self) -> Digest {
        self.by(Algorithm::Sha256)
    }

    /// Whether it has this digest. Registries that know nothing of signatures hash a signed
    /// document whole.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        let is_of = |bytes: &[u8]| hash(bytes, digest.algorithm()) == *digest;
        self.payload.as_deref().is_some_and(is_of) || is_of(self.content)
    }

    fn by(&self, algorithm: Algorithm) -> Digest {
        hash(self.payload.as_deref().unwrap_or(self.content), algorithm)
    }

    /// Checks the digest that was asked for, and the one that the registry names; gives the
    /// first of them that there is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Integrity`] when one is not the content's; [`ErrorKind::Protocol`] when
    /// the registry names one of an algorithm that is not known.
    pub(crate) fn verified(&self, asked: Option<&Digest>, head: &Parts) -> Result<Digest> {
        if let Some(asked) = asked.filter(|asked| !self.has(asked)) {
            let computed = self.by(asked.algorithm());
            let text = format!("asked for `{asked}`, received content with `{computed}`");
            return Err(response::describe(Error::new(ErrorKind::Integrity, text), head));
        }
        let named = self.named(head)?;
        // The digest asked for is the only authority.
        Ok(asked.cloned().or(named).unwrap_or_else(|| self.digest()))
    }

    /// The digest that the registry names, which must be the content's.
    pub(crate) fn named(&self, head: &Parts) -> Result<Option<Digest>> {
        let Some(text) = response::header_text(&head.headers, &response::DOCKER_CONTENT_DIGEST)
        else {
            return Ok(None);
        };
        match text.parse::<Digest>() {
            Ok(named) if self.has(&named) => Ok(Some(named)),
            Err(error @ ParseDigestError::UnsupportedAlgorithm(_)) => {
                let text = format!(
                    "the registry names the digest `{}`, which cannot be checked",
                    printable(text)
                );
                let error = Error::new(ErrorKind::Protocol, text).with_source(error);
                Err(response::describe(error, head))
            }
            other => {
                let algorithm = other.map(|named| named.algorithm()).unwrap_or_default();
                let text = format!(
                    "the registry names the digest `{}`, the content has `{}`",
                    printable(text),
                    self.by(algorithm)
                );
                Err(response::describe(Error::new(ErrorKind::Integrity, text), head))
            }
        }
    }
}

fn hash(bytes: &[u8], algorithm: Algorithm) -> Digest {
    let mut digester = Digester::new(algorithm);
    digester.update(bytes);
    digester.finish()
}
