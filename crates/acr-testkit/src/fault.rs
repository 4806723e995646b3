//! What shall go wrong: one line of text for each fault.

use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use thiserror::Error as ThisError;

use crate::{form, operation::Operation};

/// Something that shall go wrong with a certain request.
///
/// A fault counts the requests of its operation from the moment it is injected and
/// strikes on the first, unless told otherwise. It prints as one line that reads back
/// as the same fault, so a failing plan can be copied from a log:
///
/// ```
/// use acr_testkit::Fault;
///
/// let fault = Fault::status("get_manifest", 2, 503).retry_after("2");
/// assert_eq!(fault.to_string(), "status op=get_manifest status=503 retry_after=2 nth=2 times=1");
/// assert_eq!(fault.to_string().parse::<Fault>()?, fault);
///
/// let fault: Fault = "corrupt op=get_storage at=1000".parse()?;
/// assert_eq!(fault, Fault::corrupt("get_storage", 1000));
/// # Ok::<_, acr_testkit::ParseFaultError>(())
/// ```
///
/// The content of a redirected download comes from `get_storage`; the answer of
/// `get_blob` is then only the redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    operation: String,
    effect: Effect,
    nth: u32,
    times: u32,
}

/// The text is not a fault.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{text}` is not a fault: {why}")]
pub struct ParseFaultError {
    text: String,
    why: &'static str,
}

/// What happens to the request or its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Status { status: u16, retry_after: Option<String> },
    DropRequest,
    LoseResponse,
    Stall,
    Corrupt { at: u64 },
    Truncate { after: u64 },
    SetHeader { name: String, value: String },
    RemoveHeader { name: String },
}

/// The faults of a registry that have not struck for the last time.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: u32,
}

impl Fault {
    /// Answers the `nth` request of an operation with a status instead of handling it.
    pub fn status(operation: &str, nth: u32, status: u16) -> Self {
        Self::new(operation, Effect::Status { status, retry_after: None }).on_nth(nth)
    }

    /// Flips the bits of one byte of the answer's body, counted from 0.
    pub fn corrupt(operation: &str, byte_index: u64) -> Self {
        Self::new(operation, Effect::Corrupt { at: byte_index })
    }

    /// Breaks the connection after some bytes of the answer's body.
    pub fn truncate(operation: &str, after_bytes: u64) -> Self {
        Self::new(operation, Effect::Truncate { after: after_bytes })
    }

    /// Handles the request, then breaks the connection without an answer.
    pub fn lose_response(operation: &str) -> Self {
        Self::new(operation, Effect::LoseResponse)
    }

    /// Breaks the connection without handling the request.
    pub fn drop_request(operation: &str) -> Self {
        Self::new(operation, Effect::DropRequest)
    }

    /// Never answers.
    pub fn stall(operation: &str) -> Self {
        Self::new(operation, Effect::Stall)
    }

    /// Sets a header of the answer, in place of those with the same name.
    pub fn set_header(operation: &str, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_ascii_lowercase(), value.to_owned());
        Self::new(operation, Effect::SetHeader { name, value })
    }

    /// Removes a header of the answer.
    pub fn remove_header(operation: &str, name: &str) -> Self {
        Self::new(operation, Effect::RemoveHeader { name: name.to_ascii_lowercase() })
    }

    /// Adds `Retry-After` to a status fault; no effect on other faults.
    #[must_use]
    pub fn retry_after(mut self, value: &str) -> Self {
        if let Effect::Status { retry_after, .. } = &mut self.effect {
            *retry_after = Some(value.to_owned());
        }
        self
    }

    /// Strikes first on this request of the operation, counted from 1.
    #[must_use]
    pub fn on_nth(mut self, nth: u32) -> Self {
        self.nth = nth.max(1);
        self
    }

    /// Strikes on so many requests in a row; `u32::MAX` for ever.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn new(operation: &str, effect: Effect) -> Self {
        Self { operation: operation.to_owned(), effect, nth: 1, times: 1 }
    }
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.0.push(Armed { fault, seen: 0 });
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Counts a request and returns what strikes it.
    pub(crate) fn strike(&mut self, operation: Operation) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.0.retain_mut(|armed| {
            let Fault { operation: wanted, effect, nth, times } = &armed.fault;
            if wanted != operation.name() {
                return true;
            }
            armed.seen = armed.seen.saturating_add(1);
            let end = nth.saturating_add(*times);
            if armed.seen >= *nth && (armed.seen < end || end == u32::MAX) {
                effects.push(effect.clone());
            }
            armed.seen.saturating_add(1) < end || end == u32::MAX
        });
        effects
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = &self.operation;
        let quote = form::encode;
        match &self.effect {
            Effect::Status { status, retry_after } => {
                write!(f, "status op={operation} status={status}")?;
                if let Some(value) = retry_after {
                    write!(f, " retry_after={}", quote(value))?;
                }
            }
            Effect::DropRequest => write!(f, "drop_request op={operation}")?,
            Effect::LoseResponse => write!(f, "lose_response op={operation}")?,
            Effect::Stall => write!(f, "stall op={operation}")?,
            Effect::Corrupt { at } => write!(f, "corrupt op={operation} at={at}")?,
            Effect::Truncate { after } => write!(f, "truncate op={operation} after={after}")?,
            Effect::SetHeader { name, value } => {
                write!(f, "set_header op={operation} name={} value={}", quote(name), quote(value))?;
            }
            Effect::RemoveHeader { name } => {
                write!(f, "remove_header op={operation} name={}", quote(name))?;
            }
        }
        write!(f, " nth={} times={}", self.nth, self.times)
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).map_err(|why| ParseFaultError { text: text.escape_debug().to_string(), why })
    }
}

fn read(text: &str) -> Result<Fault, &'static str> {
    let mut words = text.split_ascii_whitespace();
    let kind = words.next().ok_or("it is empty")?;
    let mut fields = Vec::new();
    for word in words {
        let (key, value) = word.split_once('=').ok_or("a word is not `key=value`")?;
        let value = percent_decode_str(value).decode_utf8().map_err(|_| "a value is not UTF-8")?;
        fields.push((key, value.into_owned()));
    }
    let mut take = |key: &str| {
        let index = fields.iter().position(|(k, _)| *k == key)?;
        Some(fields.remove(index).1)
    };
    let operation = take("op").ok_or("`op=` is missing")?;
    operation.parse::<Operation>().map_err(|()| "the operation is unknown")?;
    let effect = match kind {
        "status" => Effect::Status {
            status: number(take("status").or_else(|| take("n")))?,
            retry_after: take("retry_after"),
        },
        "drop_request" => Effect::DropRequest,
        "lose_response" => Effect::LoseResponse,
        "stall" => Effect::Stall,
        "corrupt" => Effect::Corrupt { at: number(take("at"))? },
        "truncate" => Effect::Truncate { after: number(take("after"))? },
        "set_header" => Effect::SetHeader {
            name: take("name").ok_or("`name=` is missing")?,
            value: take("value").ok_or("`value=` is missing")?,
        },
        "remove_header" => Effect::RemoveHeader { name: take("name").ok_or("`name=` is missing")? },
        _ => return Err("the kind is unknown"),
    };
    let nth = take("nth").map_or(Ok(1), |text| number(Some(text)))?;
    let times = take("times").map_or(Ok(1), |text| number(Some(text)))?;
    if !fields.is_empty() {
        return Err("a key is unknown or repeated");
    }
    Ok(Fault { operation, effect, nth: u32::max(nth, 1), times })
}

fn number<T: FromStr>(text: Option<String>) -> Result<T, &'static str> {
    let text = text.ok_or("a number is missing")?;
    text.parse().map_err(|_| "a number is malformed or too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_reads_back() {
        for fault in [
            Fault::status("get_blob", 3, 429).retry_after("Wed, 21 Oct 2015 07:28:00 GMT").times(2),
            Fault::status("token", 1, 500),
            Fault::corrupt("get_storage", 1000).on_nth(4),
            Fault::truncate("get_manifest", 7).times(u32::MAX),
            Fault::lose_response("write_chunk"),
            Fault::drop_request("write_chunk"),
            Fault::stall("ping"),
            Fault::set_header("put_manifest", "Location", "/a b\r\n%"),
            Fault::remove_header("get_blob", "docker-content-digest"),
        ] {
            let line = fault.to_string();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(line.parse::<Fault>().unwrap(), fault, "{line}");
        }
        let line = Fault::corrupt("get_blob", 1000).to_string();
        assert_eq!(line, "corrupt op=get_blob at=1000 nth=1 times=1");
    }

    #[test]
    fn malformed_faults_are_refused() {
        for text in [
            "",
            "corrupt",
            "corrupt op=x at=1",
            "corrupt op=ping",
            "corrupt op=ping at=-1",
            "boom op=ping",
            "stall op=ping at=1",
            "stall op=ping op=ping",
            "stall op=ping x",
            "status op=ping status=99999",
            "stall op=ping nth=99999999999",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }

    #[test]
    fn strikes_on_the_nth_and_then_retires() {
        let mut faults = Faults::default();
        faults.arm(Fault::stall("ping").on_nth(2).times(2));
        let mut struck = Vec::new();
        for _ in 0..5 {
            assert!(faults.strike(Operation::Token).is_empty());
            struck.push(!faults.strike(Operation::Ping).is_empty());
        }
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(faults.len(), 0);
        faults.arm(Fault::stall("ping").times(u32::MAX));
        assert!((0..10).all(|_| !faults.strike(Operation::Ping).is_empty()));
    }
}
