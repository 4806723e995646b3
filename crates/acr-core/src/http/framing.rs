//! How the end of an answer's body is told from a connection that broke. Pure.

use http::{HeaderMap, Response, Version, header};
use http_body::Body;

use crate::http::{
    error::{Error, ErrorKind, Result},
    headers::{header_text, header_u64},
};

/// What says where the body of an answer ends.
///
/// A body that just goes on until the connection closes looks the same whole and cut off:
/// nothing in HTTP/1.x can tell. Such a body is an answer only if a digest proves it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// So many bytes: `Content-Length`, or a transport that knows the size.
    Length(u64),
    /// The protocol marks the end: chunks, or HTTP/2's end of stream.
    Marked,
    /// The end of the connection.
    Close,
}

impl Framing {
    /// How an answer is framed.
    pub fn of<B: Body>(answer: &Response<B>) -> Self {
        let headers = answer.headers();
        let is_coded = headers.contains_key(header::TRANSFER_ENCODING);
        // RFC 9112, 6.3: a length beside a transfer coding counts for nothing.
        let announced = if is_coded { None } else { header_u64(headers, &header::CONTENT_LENGTH) };
        if let Some(length) = announced.or_else(|| answer.body().size_hint().exact()) {
            Self::Length(length)
        } else if answer.version() > Version::HTTP_11
            || (answer.version() == Version::HTTP_11 && is_chunked(headers))
        {
            Self::Marked
        } else {
            Self::Close
        }
    }

    /// Whether a body of this length is all of the answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Protocol`] when it is not, and when nothing tells.
    pub fn confirm(self, read: u64) -> Result<()> {
        let text = match self {
            Self::Length(length) if length == read => return Ok(()),
            Self::Marked => return Ok(()),
            Self::Length(length) => {
                format!("the answer announced {length} bytes and has {read}")
            }
            Self::Close => format!(
                "nothing tells whether the {read} bytes of the answer are all of it: it has \
                 neither a length nor chunks"
            ),
        };
        Err(Error::new(ErrorKind::Protocol, text))
    }
}

/// Whether the last of the transfer codings is `chunked`, so that the end is marked.
fn is_chunked(headers: &HeaderMap) -> bool {
    header_text(headers, &header::TRANSFER_ENCODING)
        .and_then(|codings| codings.rsplit(',').next())
        .is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use super::*;
    use crate::http::body::Body as OurBody;

    #[test]
    fn a5_only_what_has_an_end_is_framed() {
        let unsized_body = || {
            OurBody::stream(StreamBody::new(stream::iter([Ok::<_, Error>(Frame::data(
                Bytes::from_static(b"{}"),
            ))])))
        };
        let length = header::CONTENT_LENGTH;
        let coding = header::TRANSFER_ENCODING;
        for (version, headers, expected) in [
            (Version::HTTP_11, vec![], Framing::Close),
            (Version::HTTP_10, vec![], Framing::Close),
            (Version::HTTP_09, vec![], Framing::Close),
            (Version::HTTP_2, vec![], Framing::Marked),
            (Version::HTTP_3, vec![], Framing::Marked),
            (Version::HTTP_11, vec![(&length, "2")], Framing::Length(2)),
            (Version::HTTP_10, vec![(&length, "2")], Framing::Length(2)),
            (Version::HTTP_2, vec![(&length, "2")], Framing::Length(2)),
            (Version::HTTP_11, vec![(&length, "two")], Framing::Close),
            (Version::HTTP_11, vec![(&coding, "chunked")], Framing::Marked),
            (Version::HTTP_11, vec![(&coding, "gzip, Chunked ")], Framing::Marked),
            (Version::HTTP_11, vec![(&coding, "chunked, gzip")], Framing::Close),
            (Version::HTTP_11, vec![(&coding, "gzip"), (&length, "2")], Framing::Close),
            // HTTP/1.0 knows no chunks: whoever says so may mean anything.
            (Version::HTTP_10, vec![(&coding, "chunked")], Framing::Close),
        ] {
            let mut answer = Response::new(unsized_body());
            *answer.version_mut() = version;
            for (name, value) in &headers {
                answer.headers_mut().insert(*name, value.parse().unwrap());
            }
            assert_eq!(Framing::of(&answer), expected, "{version:?} {headers:?}");
        }
        assert_eq!(Framing::of(&Response::new(OurBody::from("{}"))), Framing::Length(2));
        assert_eq!(Framing::of(&Response::new(OurBody::empty())), Framing::Length(0));
    }

    #[test]
    fn a5_a_body_must_have_the_length_announced() {
        for (framing, fits) in [
            (Framing::Length(3), true),
            (Framing::Length(2), false),
            (Framing::Length(4), false),
            (Framing::Marked, true),
            (Framing::Close, false),
        ] {
            let result = framing.confirm(3);
            assert_eq!(result.is_ok(), fits, "{framing:?}");
            assert!(result.err().is_none_or(|error| error.kind() == ErrorKind::Protocol));
        }
    }
}
