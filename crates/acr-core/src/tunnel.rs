//! Asks a proxy for a tunnel (`CONNECT`, RFC 9110 §9.3.6).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Why there is no tunnel. Carries nothing of the proxy's own words but the status.
#[derive(Debug)]
pub(crate) enum TunnelError {
    Io(io::Error),
    Refused(u16),
    Malformed,
}

/// Sends `CONNECT` and reads the answer's head, and not a byte more.
pub(crate) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &mut S,
    host: &str,
    port: u16,
    authorization: Option<&Secret>,
) -> Result<(), TunnelError> {
    let target = match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    };
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
    let answer = read_head(proxy).await?;
    match status(&answer) {
        Some(200..300) => Ok(()),
        Some(status) => Err(TunnelError::Refused(status)),
        None => Err(TunnelError::Malformed),
    }
}

async fn read_head<S: AsyncRead + Unpin>(proxy: &mut S) -> Result<Vec<u8>, TunnelError> {
    let mut head = Vec::new();
    let mut piece = [0; 512];
    loop {
        let count = proxy.read(&mut piece).await.map_err(TunnelError::Io)?;
        let piece = piece.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Err(TunnelError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        head.extend_from_slice(piece);
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            // In a tunnel the client speaks first; more is a refusal's body or an injection.
            let is_tunnel = matches!(status(&head), Some(200..300));
            if is_tunnel && head.len() > end + 4 {
                return Err(TunnelError::Malformed);
            }
            return Ok(head);
        }
        if head.len() > MAX_HEAD {
            return Err(TunnelError::Malformed);
        }
    }
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

    async fn answer(text: &[u8]) -> (Result<(), TunnelError>, String) {
        let (mut client, mut proxy) = tokio::io::duplex(64 * 1024);
        proxy.write_all(text).await.unwrap();
        proxy.shutdown().await.unwrap();
        let secret = Secret::new("Basic dTpw");
        let result = open(&mut client, "::1", 443, Some(&secret)).await;
        drop(client);
        let mut sent = String::new();
        proxy.read_to_string(&mut sent).await.unwrap();
        (result, sent)
    }

    #[tokio::test]
    async fn answer_table() {
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
        ] {
            let (result, sent) = answer(text).await;
            let got = match &result {
                Ok(()) => "ok".to_owned(),
                Err(TunnelError::Refused(status)) => status.to_string(),
                Err(TunnelError::Malformed) => "malformed".to_owned(),
                Err(TunnelError::Io(_)) => "io".to_owned(),
            };
            assert_eq!(got, expected, "{}", text.escape_ascii());
            assert_eq!(
                sent,
                "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
            );
        }
    }
}
