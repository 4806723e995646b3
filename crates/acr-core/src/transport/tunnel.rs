//! Asks a proxy for a tunnel (`CONNECT`, RFC 9110 §9.3.6).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::{transport::address, value::secret::Secret};

/// Why there is no tunnel. Carries nothing of the proxy's own words but the status.
#[derive(Debug)]
pub(crate) enum TunnelError {
    Io(io::Error),
    Refused(u16),
    /// Not the answer of a proxy, with a hint at what it may be.
    Malformed(&'static str),
}

/// Sends `CONNECT` and reads the final answer's head, and not a byte more. `interim` keeps the
/// status of the last answer before it (1xx, RFC 9110 §15.2).
pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &mut S,
    host: &str,
    port: u16,
    authorization: Option<&Secret>,
    interim: &mut Option<u16>,
) -> Result<(), TunnelError> {
    let target = address::authority(host, port);
    let mut head = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some(secret) = authorization {
        // Room for all of it at once: a growing string leaves copies behind.
        head.reserve(secret.expose().len() + 64);
        head.push_str("Proxy-Authorization: ");
        head.push_str(secret.expose());
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    proxy.write_all(head.as_bytes()).await.map_err(TunnelError::Io)?;
    proxy.flush().await.map_err(TunnelError::Io)?;
    match read_status(proxy, interim).await? {
        200..300 => Ok(()),
        status => Err(TunnelError::Refused(status)),
    }
}

async fn read_status<S: AsyncRead + Unpin>(
    proxy: &mut S,
    interim: &mut Option<u16>,
) -> Result<u16, TunnelError> {
    let mut received = Vec::new();
    let mut piece = [0; 512];
    let mut room = MAX_HEAD;
    loop {
        let count = proxy.read(&mut piece).await.map_err(TunnelError::Io)?;
        let piece = piece.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Err(TunnelError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        received.extend_from_slice(piece);
        room = room.checked_sub(count).ok_or(TunnelError::Malformed(""))?;
        while let Some(end) = received.windows(4).position(|w| w == b"\r\n\r\n") {
            let status = status(&received).ok_or(TunnelError::Malformed(""))?;
            let rest = received.split_off(end + 4);
            match status {
                // No protocol was asked for that could be switched to.
                100..200 if status != 101 => *interim = Some(status),
                // In a tunnel the client speaks first.
                200..300 if !rest.is_empty() => return Err(TunnelError::Malformed("")),
                _ => return Ok(status),
            }
            received = rest;
        }
        check_start(&received)?;
    }
}

/// Whoever does not speak HTTP/1 may wait for more from us, or break off: told by its first
/// bytes, neither is taken for a passing fault.
fn check_start(received: &[u8]) -> Result<(), TunnelError> {
    let expected = b"HTTP/1.";
    if received.iter().zip(expected).all(|(got, want)| got == want) {
        return Ok(());
    }
    // A record of TLS: an alert or a handshake, version 3.
    let is_tls = matches!(received, [0x15 | 0x16, 3, ..]);
    let hint = if is_tls { " but TLS; if it is one, its URL begins with `https://`" } else { "" };
    Err(TunnelError::Malformed(hint))
}

/// The status of `HTTP/1.x nnn …`: three digits, nothing else is looked at.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    let [b'0' | b'1', b' ', digits @ ..] = rest else {
        return None;
    };
    let (number, rest) = digits.split_at_checked(3)?;
    if !matches!(rest.first(), Some(b' ' | b'\r')) || !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// A proxy has little to say.
const MAX_HEAD: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(text: &[u8]) -> (Result<(), TunnelError>, Option<u16>, String) {
        let (mut client, mut proxy) = tokio::io::duplex(64 * 1024);
        proxy.write_all(text).await.unwrap();
        proxy.shutdown().await.unwrap();
        let secret = Secret::new("Basic dTpw");
        let mut interim = None;
        let result = open(&mut client, "::1", 443, Some(&secret), &mut interim).await;
        drop(client);
        let mut sent = String::new();
        proxy.read_to_string(&mut sent).await.unwrap();
        (result, interim, sent)
    }

    #[tokio::test]
    async fn d4_answer_table() {
        let endless = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'y'; 20_000]].concat();
        for (text, expected) in [
            (&b"HTTP/1.1 200 OK\r\n\r\n"[..], "ok"),
            (b"HTTP/1.0 200\r\nvia: x\r\n\r\n", "ok"),
            (b"HTTP/1.1 299 Fine\r\n\r\n", "ok"),
            (b"HTTP/1.1 407 Secret words\r\n\r\nbody", "407"),
            (b"HTTP/1.1 502 \r\n\r\n", "502"),
            (b"HTTP/1.1 200 OK\r\n\r\nTLS?", "malformed"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", "malformed"),
            (b"HTTP/1.1 +20 OK\r\n\r\n", "malformed"),
            (b"HTTP/2 200\r\n\r\n", "malformed"),
            (b"SSH-2.0\r\n\r\n", "malformed"),
            (&endless, "malformed"),
            (b"HTTP/1.1 200 OK\r\n", "io"),
            (b"", "io"),
            // interim answers, and one that ends the exchange
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "ok"),
            (b"HTTP/1.1 103 \r\na: b\r\n\r\nHTTP/1.1 100 \r\n\r\nHTTP/1.1 407 No\r\n\r\n", "407"),
            (b"HTTP/1.1 100 Continue\r\n\r\n", "io after 100"),
            (b"HTTP/1.1 101 Switch\r\n\r\n", "101"),
            (b"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK\r\n\r\nTLS?", "malformed"),
            (&b"HTTP/1.1 100 \r\n\r\n".repeat(1_000), "malformed"),
            (b"HTTP/1.1 301 Moved\r\nlocation: https://x/\r\n\r\n", "301"),
            // no HTTP: known by the first bytes, also when the connection ends
            (b"\x15\x03\x03\x00\x02\x02\x16", "tls"),
            (b"\x15\x03", "tls"),
            (b"<html>", "malformed"),
            (b"\x00", "malformed"),
            (b"HTTQ", "malformed"),
        ] {
            let (result, interim, sent) = answer(text).await;
            let got = match &result {
                Ok(()) => "ok".to_owned(),
                Err(TunnelError::Refused(status)) => status.to_string(),
                Err(TunnelError::Malformed("")) => "malformed".to_owned(),
                Err(TunnelError::Malformed(_)) => "tls".to_owned(),
                Err(TunnelError::Io(_)) => {
                    interim.map_or("io".to_owned(), |status| format!("io after {status}"))
                }
            };
            assert_eq!(got, expected, "{}", text.escape_ascii());
            assert_eq!(
                sent,
                "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
            );
        }
    }
}
