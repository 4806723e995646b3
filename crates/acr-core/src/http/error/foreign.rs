//! Somebody else's errors: which of their words are kept.

use std::{error::Error as StdError, fmt, iter::successors};

/// The known words of somebody else's error and its causes, and nothing else of it.
///
/// HTTP clients print URLs with signature and all, headers, what a server sent. No list of
/// what is secret is ever complete, so this is a list of what is not: the words that such
/// errors are made of. Whatever else stood there is one `…`.
#[derive(Debug)]
pub(crate) struct ForeignError(String);

impl ForeignError {
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let causes: Vec<String> =
            chain(error).take(MAX_CAUSES).map(|cause| known_words(&cause.to_string())).collect();
        Self(causes.join(": "))
    }
}

impl fmt::Display for ForeignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for ForeignError {}

/// The error and its causes.
pub(crate) fn chain<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    successors(Some(error), |cause| (*cause).source())
}

fn known_words(text: &str) -> String {
    let mut shown: Vec<&str> = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || "()[],;\"`'".contains(c)) {
        let bare = word.trim_matches([':', '.']);
        if bare.is_empty() {
            continue;
        }
        if is_known(bare) {
            shown.push(word);
        } else if shown.last() != Some(&UNKNOWN) {
            shown.push(UNKNOWN);
        }
        if shown.len() == MAX_WORDS {
            break;
        }
    }
    shown.join(" ")
}

/// The number of a system's error has three digits; a secret has more.
fn is_known(word: &str) -> bool {
    let is_number = word.len() <= 3 && word.bytes().all(|b| b.is_ascii_digit());
    is_number || WORDS.contains(&word.to_ascii_lowercase().as_str())
}

const UNKNOWN: &str = "…";

const MAX_CAUSES: usize = 8;

/// Of one error: eight of them stay below a kilobyte.
const MAX_WORDS: usize = 24;

/// What the errors of HTTP clients, TLS libraries and operating systems are made of.
const WORDS: &[&str] = &[
    "a",
    "aborted",
    "accept",
    "access",
    "address",
    "after",
    "already",
    "an",
    "and",
    "argument",
    "as",
    "at",
    "authority",
    "bad",
    "before",
    "being",
    "block",
    "body",
    "broke",
    "broken",
    "builder",
    "by",
    "bytes",
    "canceled",
    "cancelled",
    "cannot",
    "cause",
    "certificate",
    "channel",
    "chunk",
    "chunked",
    "client",
    "close",
    "closed",
    "complete",
    "completed",
    "connect",
    "connecting",
    "connection",
    "content",
    "could",
    "data",
    "deadline",
    "decode",
    "decoding",
    "denied",
    "descriptors",
    "did",
    "directory",
    "dns",
    "does",
    "during",
    "early",
    "elapsed",
    "empty",
    "encoding",
    "end",
    "eof",
    "error",
    "exceeded",
    "exchange",
    "exchanges",
    "expired",
    "failed",
    "failure",
    "file",
    "files",
    "finished",
    "flow",
    "flush",
    "for",
    "frame",
    "from",
    "garbage",
    "goaway",
    "h2",
    "handler",
    "handshake",
    "has",
    "header",
    "headers",
    "host",
    "http",
    "http/1.1",
    "http/2",
    "hyper",
    "in",
    "incoming",
    "incomplete",
    "information",
    "input",
    "interrupted",
    "invalid",
    "io",
    "is",
    "issuer",
    "it",
    "keep-alive",
    "kind",
    "large",
    "length",
    "limit",
    "line",
    "local",
    "lookup",
    "lost",
    "malformed",
    "many",
    "message",
    "method",
    "missing",
    "name",
    "network",
    "no",
    "nodename",
    "none",
    "not",
    "number",
    "of",
    "on",
    "open",
    "operation",
    "option",
    "or",
    "os",
    "out",
    "output",
    "overflow",
    "overloaded",
    "panic",
    "parse",
    "parsing",
    "peer",
    "permission",
    "permitted",
    "pipe",
    "please",
    "pool",
    "port",
    "premature",
    "proper",
    "protocol",
    "proxy",
    "reached",
    "read",
    "reading",
    "received",
    "redirect",
    "redirects",
    "refused",
    "remote",
    "request",
    "requests",
    "reset",
    "resolution",
    "resolve",
    "resolved",
    "resource",
    "response",
    "retry",
    "route",
    "runtime",
    "send",
    "sending",
    "sent",
    "server",
    "service",
    "servname",
    "shut",
    "shutdown",
    "size",
    "socket",
    "socks",
    "source",
    "ssl",
    "stalled",
    "status",
    "stopped",
    "stream",
    "such",
    "system",
    "task",
    "tcp",
    "temporarily",
    "temporary",
    "the",
    "time",
    "time-out",
    "timed",
    "timeout",
    "timer",
    "timers",
    "tls",
    "to",
    "too",
    "trailer",
    "trailers",
    "transfer",
    "transport",
    "trust",
    "trusted",
    "try",
    "tunnel",
    "unable",
    "unavailable",
    "unexpected",
    "unexpectedly",
    "unknown",
    "unreachable",
    "unsupported",
    "uri",
    "url",
    "usable",
    "user",
    "valid",
    "version",
    "waiting",
    "was",
    "while",
    "with",
    "within",
    "without",
    "would",
    "write",
    "writing",
    "wrong",
    "zero",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d2_only_known_words_survive() {
        for (text, shown) in [
            ("connection refused (os error 111)", "connection refused os error 111"),
            (
                "error sending request for url (https://user:CANARY@host/x?sig=CANARY): reset",
                "error sending request for url … reset",
            ),
            ("cookie: CANARY; refresh_token: CANARY", "…"),
            ("Negotiate CANARY was refused", "… was refused"),
            ("CA\u{200b}NARY timed out", "… timed out"),
            ("Connection:CANARY", "…"),
            ("", ""),
        ] {
            assert_eq!(known_words(text), shown);
        }
    }

    #[test]
    fn words_are_sorted_and_lower_case() {
        assert!(WORDS.is_sorted());
        assert!(WORDS.iter().all(|word| *word == word.to_ascii_lowercase()));
    }

    #[test]
    fn d1_long_errors_are_short() {
        let long = std::io::Error::other("connection refused ".repeat(10_000));
        assert!(ForeignError::of(&long).to_string().len() < 1024);
    }
}
