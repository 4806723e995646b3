//! Docker's schema 1 with signatures (`…manifest.v1+prettyjws`): a document whose digest
//! is that of the part which is signed.
//!
//! The signatures stand within the document, as its last field, and registries sign
//! anew whenever they are asked. Each signature says how many bytes from the beginning
//! belong to what is signed (`formatLength`), and with which ones that ends (`formatTail`).
//! Whose signature it is does not matter here: the digest is what a manifest is known by.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

/// What is signed, if the document is a signed schema 1 image and holds nothing else.
pub(crate) fn payload(content: &[u8]) -> Option<Vec<u8>> {
    let first = read::<Signed>(content)?.signatures.into_iter().next()?;
    let protected = first.protected()?;
    if protected.format_tail.trim_ascii() != b"}" {
        return None;
    }
    let (head, rest) = content.split_at_checked(protected.format_length)?;
    // Of a document that goes on with anything but its signatures, the digest of the
    // payload proves nothing.
    let rest = rest.trim_ascii_start().strip_prefix(b",")?;
    let signatures = read::<OnlySignatures>(&[b"{", rest].concat())?.signatures;
    if signatures.iter().any(|signature| signature.protected().as_ref() != Some(&protected)) {
        return None;
    }
    let payload = [head, &protected.format_tail].concat();
    // Nor of one that is another kind of manifest without its signatures.
    let is_schema1 = read::<Payload>(&payload)?.schema_version == 1;
    is_schema1.then_some(payload)
}

fn read<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    serde_json::from_slice(content).ok()
}

#[derive(Deserialize)]
struct Signed {
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlySignatures {
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    protected: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protected {
    format_length: usize,
    format_tail: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    schema_version: u64,
    #[allow(dead_code, reason = "has to be there")]
    fs_layers: Vec<IgnoredAny>,
}

/// Where what is signed ends, and with which bytes.
#[derive(PartialEq, Eq)]
struct End {
    format_length: usize,
    format_tail: Vec<u8>,
}

impl Signature {
    fn protected(&self) -> Option<End> {
        let protected: Protected = read(&decode(&self.protected)?)?;
        let format_tail = decode(&protected.format_tail)?;
        Some(End { format_length: protected.format_length, format_tail })
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use crate::Digest;

    use super::*;

    const PAYLOAD: &str = "{\n   \"schemaVersion\": 1,\n   \"fsLayers\": []\n}";

    fn protected(length: usize, tail: &str) -> String {
        let tail = BASE64_URL_SAFE_NO_PAD.encode(tail);
        let text = format!(r#"{{"formatLength":{length},"formatTail":"{tail}","time":"now"}}"#);
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn signed(payload: &str, rest: &str) -> String {
        let head = payload.strip_suffix("\n}").unwrap();
        let protected = protected(head.len(), "\n}");
        let signature = format!(r#"{{"header":{{}},"signature":"x","protected":"{protected}"}}"#);
        format!("{head},\n   \"signatures\": [{}]\n{rest}", [signature.as_str()].join(","))
    }

    #[test]
    fn a10_what_is_signed_is_the_document_without_its_signatures() {
        let document = signed(PAYLOAD, "}");
        assert_eq!(payload(document.as_bytes()).unwrap(), PAYLOAD.as_bytes());
        let spaced = document.replacen("\"signatures\"", "\n\n  \"signatures\"", 1);
        let found = payload(spaced.as_bytes()).unwrap();
        assert_eq!(Digest::sha256(&found), Digest::sha256(PAYLOAD.as_bytes()));
    }

    #[test]
    fn a10_nothing_but_signatures_may_follow_and_only_in_schema_1() {
        let image = "{\n   \"schemaVersion\": 2,\n   \"fsLayers\": []\n}";
        let artifact = "{\n   \"schemaVersion\": 1,\n   \"layers\": []\n}";
        for document in [
            PAYLOAD.to_owned(),
            signed(PAYLOAD, ",\"fsLayers\":[{\"blobSum\":\"sha256:evil\"}]}"),
            signed(PAYLOAD, ",\"signatures\":[]}"),
            signed(PAYLOAD, "} {}"),
            signed(PAYLOAD, "").replacen("]", "", 1),
            signed(PAYLOAD, "}").replacen("\"schemaVersion\"", "\"x\":1,\"schemaVersion\"", 1),
            signed(image, "}"),
            signed(artifact, "}"),
            format!("{{\"signatures\":[{{\"protected\":\"{}\"}}]}}", protected(usize::MAX, "\n}")),
            "{\"signatures\":[{\"protected\":\"####\"}]}".to_owned(),
            "{\"signatures\":[]}".to_owned(),
            "{\"signatures\":1}".to_owned(),
            String::new(),
        ] {
            assert!(payload(document.as_bytes()).is_none(), "{document}");
        }
        // Two signatures that disagree on where it ends.
        let document = signed(PAYLOAD, "}");
        let other = format!(",{{\"protected\":\"{}\"}}]", protected(1, "}"));
        let two = document.replacen("}]", &format!("}}{other}"), 1);
        assert!(serde_json::from_str::<IgnoredAny>(&two).is_ok());
        assert!(payload(two.as_bytes()).is_none());
    }
}
