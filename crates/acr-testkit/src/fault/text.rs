//! The text of faults: one line that prints and reads back.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;
use thiserror::Error as ThisError;

use super::{
    Fault, Selector,
    effect::{ChallengeKind, CutEnd, Effect, JsonKind, MAX_COUNT, STATUSES, TlsFault},
};
use crate::{form::encode, operation::Target};

/// The text is not a fault, or not a plan of faults.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("`{text}` is not a fault: {why}")]
pub struct ParseFaultError {
    text: String,
    why: Cow<'static, str>,
}

/// Words `key=value` after the first; values are percent-encoded.
struct Words(Vec<(String, String)>);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { operation, repository, item, path, header, authorized } = &self.selector;
        write!(f, "{} op={operation}", kind(&self.effect))?;
        print(&self.effect, f)?;
        let conditions = [("repo", repository), ("item", item), ("path", path), ("header", header)];
        for (key, value) in conditions {
            if let Some(value) = value {
                write!(f, " {key}={}", encode(value))?;
            }
        }
        if let Some(authorized) = authorized {
            write!(f, " authorized={authorized}")?;
        }
        write!(f, " nth={}", self.nth)?;
        match self.times {
            u32::MAX => f.write_str(" times=forever"),
            times => write!(f, " times={times}"),
        }
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).map_err(|why| ParseFaultError::new(text, why))
    }
}

impl ParseFaultError {
    pub(super) fn new(text: &str, why: impl Into<Cow<'static, str>>) -> Self {
        let text = text.escape_debug().take(MAX_TEXT).collect();
        Self { text, why: why.into() }
    }
}

fn kind(effect: &Effect) -> &'static str {
    match effect {
        Effect::Status { .. } => "status",
        Effect::EarlyStatus { .. } => "early_status",
        Effect::Challenge(_) => "challenge",
        Effect::DropRequest => "drop_request",
        Effect::CutRequest { .. } => "cut_request",
        Effect::Stall => "stall",
        Effect::Delay { .. } => "delay",
        Effect::LoseResponse => "lose_response",
        Effect::LoseSession => "lose_session",
        Effect::Rival => "rival",
        Effect::Lag { .. } => "lag",
        Effect::RevokeRefresh => "revoke_refresh",
        Effect::TokenLifetime { .. } => "token_lifetime",
        Effect::TokenSkew { .. } => "token_skew",
        Effect::TokenText { .. } => "token_text",
        Effect::TokenGrantsNothing => "token_grants_nothing",
        Effect::Json(_) => "json",
        Effect::Corrupt { .. } => "corrupt",
        Effect::Truncate { .. } => "truncate",
        Effect::StallBody { .. } => "stall_body",
        Effect::Trickle { .. } => "trickle",
        Effect::Extend { .. } => "extend",
        Effect::SetHeader { .. } => "set_header",
        Effect::AddHeader { .. } => "add_header",
        Effect::RemoveHeader { .. } => "remove_header",
        Effect::HeaderFlood { .. } => "header_flood",
        Effect::Cut { .. } => "cut",
        Effect::Length { .. } => "length",
        Effect::CloseDelimited => "close_delimited",
        Effect::GarbageChunk { .. } => "garbage_chunk",
        Effect::Informational { .. } => "informational",
        Effect::CloseIdle { .. } => "close_idle",
        Effect::Refuse => "refuse",
        Effect::UnknownHost => "unknown_host",
        Effect::TlsFailure(_) => "tls",
    }
}

fn print(effect: &Effect, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match effect {
        Effect::Status { status, retry_after } => {
            write!(f, " status={status}")?;
            match retry_after {
                Some(value) => write!(f, " retry_after={}", encode(value)),
                None => Ok(()),
            }
        }
        Effect::EarlyStatus { status } => write!(f, " status={status}"),
        Effect::Challenge(kind) => write!(f, " kind={}", kind.word()),
        Effect::Json(kind) => write!(f, " kind={}", kind.word()),
        Effect::TlsFailure(kind) => write!(f, " kind={}", kind.word()),
        Effect::CutRequest { after }
        | Effect::Truncate { after }
        | Effect::StallBody { after }
        | Effect::GarbageChunk { after } => write!(f, " after={after}"),
        Effect::Delay { time } => write!(f, " ms={}", time.as_millis()),
        Effect::CloseIdle { after } => write!(f, " ms={}", after.as_millis()),
        Effect::Lag { reads } => write!(f, " reads={reads}"),
        Effect::TokenLifetime { seconds } | Effect::TokenSkew { seconds } => {
            write!(f, " seconds={seconds}")
        }
        Effect::TokenText { text } => write!(f, " text={}", encode(text)),
        Effect::Corrupt { at } => write!(f, " at={at}"),
        Effect::Trickle { rate } => write!(f, " rate={rate}"),
        Effect::Extend { bytes } => write!(f, " bytes={bytes}"),
        Effect::SetHeader { name, value } | Effect::AddHeader { name, value } => {
            write!(f, " name={} value={}", encode(name), encode(value))
        }
        Effect::RemoveHeader { name } => write!(f, " name={}", encode(name)),
        Effect::HeaderFlood { count } | Effect::Informational { count } => {
            write!(f, " count={count}")
        }
        Effect::Cut { at, end } => write!(f, " at={at} end={}", end.word()),
        Effect::Length { by } => write!(f, " by={by}"),
        Effect::DropRequest
        | Effect::Stall
        | Effect::LoseResponse
        | Effect::LoseSession
        | Effect::Rival
        | Effect::RevokeRefresh
        | Effect::TokenGrantsNothing
        | Effect::CloseDelimited
        | Effect::Refuse
        | Effect::UnknownHost => Ok(()),
    }
}

fn read(text: &str) -> Result<Fault, Cow<'static, str>> {
    let mut words = text.split_ascii_whitespace();
    let kind = words.next().ok_or("it is empty")?;
    if !KINDS.contains(&kind) {
        return Err(format!("its kind is none of {}", KINDS.join(", ")).into());
    }
    let mut words = Words::read(words)?;
    let operation = words.take("op").ok_or("`op=` is missing")?;
    let operation = operation.parse::<Target>().map_err(|error| error.to_string())?;
    let effect = effect(kind, &mut words)?;
    if !effect.acts_on(operation) {
        return Err(format!("`{kind}` does nothing to `op={operation}`").into());
    }
    let selector = Selector {
        operation,
        repository: words.take("repo"),
        item: words.take("item"),
        path: words.take("path"),
        header: words.take("header"),
        authorized: words.optional("authorized")?,
    };
    let nth: u32 = words.optional("nth")?.unwrap_or(1);
    let times = match words.take("times").as_deref() {
        None => 1,
        Some("forever") => u32::MAX,
        Some(text) => text.parse().map_err(|_| "`times=` is no number")?,
    };
    if let Some((key, _)) = words.0.first() {
        return Err(format!("`{key}=` comes twice, or `{kind}` has no such key").into());
    }
    Ok(Fault { selector, effect, nth: nth.max(1), times })
}

fn effect(kind: &str, words: &mut Words) -> Result<Effect, Cow<'static, str>> {
    Ok(match kind {
        "status" => {
            let (status, retry_after) = (words.number("status")?, words.take("retry_after"));
            Effect::Status { status: status_code(status)?, retry_after }
        }
        "early_status" => Effect::EarlyStatus { status: status_code(words.number("status")?)? },
        "challenge" => {
            Effect::Challenge(words.word("kind", ChallengeKind::ALL, ChallengeKind::word)?)
        }
        "drop_request" => Effect::DropRequest,
        "cut_request" => Effect::CutRequest { after: words.number("after")? },
        "stall" => Effect::Stall,
        "delay" => Effect::Delay { time: Duration::from_millis(words.number("ms")?) },
        "lose_response" => Effect::LoseResponse,
        "lose_session" => Effect::LoseSession,
        "rival" => Effect::Rival,
        "lag" => Effect::Lag { reads: words.number("reads")? },
        "revoke_refresh" => Effect::RevokeRefresh,
        "token_lifetime" => Effect::TokenLifetime { seconds: words.number("seconds")? },
        "token_skew" => Effect::TokenSkew { seconds: words.number("seconds")? },
        "token_text" => Effect::TokenText { text: words.text("text")? },
        "token_grants_nothing" => Effect::TokenGrantsNothing,
        "json" => Effect::Json(words.word("kind", JsonKind::ALL, JsonKind::word)?),
        "corrupt" => Effect::Corrupt { at: words.number("at")? },
        "truncate" => Effect::Truncate { after: words.number("after")? },
        "stall_body" => Effect::StallBody { after: words.number("after")? },
        "trickle" => match words.number("rate")? {
            0 => return Err("a rate of 0 is a stall".into()),
            rate => Effect::Trickle { rate },
        },
        "extend" => Effect::Extend { bytes: words.small("bytes")?.into() },
        "set_header" => Effect::SetHeader { name: words.header()?, value: words.text("value")? },
        "add_header" => Effect::AddHeader { name: words.header()?, value: words.text("value")? },
        "remove_header" => Effect::RemoveHeader { name: words.header()? },
        "header_flood" => Effect::HeaderFlood { count: words.small("count")? },
        "cut" => Effect::Cut {
            at: words.number("at")?,
            end: words.word("end", CutEnd::ALL, CutEnd::word)?,
        },
        "length" => Effect::Length { by: words.number("by")? },
        "close_delimited" => Effect::CloseDelimited,
        "garbage_chunk" => Effect::GarbageChunk { after: words.number("after")? },
        "informational" => Effect::Informational { count: words.small("count")? },
        "close_idle" => Effect::CloseIdle { after: Duration::from_millis(words.number("ms")?) },
        "refuse" => Effect::Refuse,
        "unknown_host" => Effect::UnknownHost,
        "tls" => Effect::TlsFailure(words.word("kind", TlsFault::ALL, TlsFault::word)?),
        _ => return Err("its kind is unknown".into()),
    })
}

fn status_code(status: u16) -> Result<u16, &'static str> {
    if STATUSES.contains(&status) { Ok(status) } else { Err("a status is 200 to 999") }
}

impl Words {
    fn read(words: std::str::SplitAsciiWhitespace<'_>) -> Result<Self, &'static str> {
        let fields = words.map(|word| {
            let (key, value) = word.split_once('=').ok_or("a word is not `key=value`")?;
            let value = percent_decode_str(value).decode_utf8();
            let value = value.map_err(|_| "a value is not UTF-8")?;
            Ok((key.to_owned(), value.into_owned()))
        });
        fields.collect::<Result<_, _>>().map(Self)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let index = self.0.iter().position(|(own, _)| own == key)?;
        Some(self.0.remove(index).1)
    }

    fn text(&mut self, key: &str) -> Result<String, String> {
        self.take(key).ok_or_else(|| format!("`{key}=` is missing"))
    }

    fn header(&mut self) -> Result<String, String> {
        Ok(self.text("name")?.to_ascii_lowercase())
    }

    fn number<T: FromStr>(&mut self, key: &str) -> Result<T, String> {
        self.optional(key)?.ok_or_else(|| format!("`{key}=` is missing"))
    }

    /// A number of things that are made in memory.
    fn small(&mut self, key: &str) -> Result<u32, String> {
        match self.number(key)? {
            count if count <= MAX_COUNT => Ok(count),
            _ => Err(format!("`{key}=` is above {MAX_COUNT}")),
        }
    }

    fn optional<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, String> {
        let parse = |text: String| {
            text.parse().map_err(|_| format!("the value of `{key}=` is malformed or too large"))
        };
        self.take(key).map(parse).transpose()
    }

    fn word<T: Copy>(
        &mut self,
        key: &str,
        known: &[T],
        word: fn(T) -> &'static str,
    ) -> Result<T, String> {
        let text = self.text(key)?;
        known.iter().copied().find(|own| word(*own) == text).ok_or_else(|| {
            let words: Vec<_> = known.iter().map(|own| word(*own)).collect();
            format!("`{key}=` is none of {}", words.join(", "))
        })
    }
}

/// The words that a fault can begin with.
const KINDS: &[&str] = &[
    "status",
    "early_status",
    "challenge",
    "drop_request",
    "cut_request",
    "stall",
    "delay",
    "lose_response",
    "lose_session",
    "rival",
    "lag",
    "revoke_refresh",
    "token_lifetime",
    "token_skew",
    "token_text",
    "token_grants_nothing",
    "json",
    "corrupt",
    "truncate",
    "stall_body",
    "trickle",
    "extend",
    "set_header",
    "add_header",
    "remove_header",
    "header_flood",
    "cut",
    "length",
    "close_delimited",
    "garbage_chunk",
    "informational",
    "close_idle",
    "refuse",
    "unknown_host",
    "tls",
];

/// How much of a text stands in the error about it.
const MAX_TEXT: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::operation::Operation;

    fn effects() -> impl Strategy<Value = Effect> {
        let text = || "\\PC{0,12}|[ \\r\\n;#%=]{1,4}";
        let name = || "[a-z-]{1,10}";
        let retry_after = proptest::option::of(text());
        let requests = prop_oneof![
            (200u16..1000, retry_after)
                .prop_map(|(status, retry_after)| Effect::Status { status, retry_after }),
            (200u16..1000).prop_map(|status| Effect::EarlyStatus { status }),
            proptest::sample::select(ChallengeKind::ALL).prop_map(Effect::Challenge),
            Just(Effect::DropRequest),
            any::<u64>().prop_map(|after| Effect::CutRequest { after }),
            Just(Effect::Stall),
            any::<u64>().prop_map(|ms| Effect::Delay { time: Duration::from_millis(ms) }),
            Just(Effect::LoseResponse),
            Just(Effect::LoseSession),
            Just(Effect::Rival),
            any::<u32>().prop_map(|reads| Effect::Lag { reads }),
            Just(Effect::RevokeRefresh),
            any::<i64>().prop_map(|seconds| Effect::TokenLifetime { seconds }),
            any::<i64>().prop_map(|seconds| Effect::TokenSkew { seconds }),
            text().prop_map(|text| Effect::TokenText { text }),
            Just(Effect::TokenGrantsNothing),
        ];
        let answers = prop_oneof![
            proptest::sample::select(JsonKind::ALL).prop_map(Effect::Json),
            any::<u64>().prop_map(|at| Effect::Corrupt { at }),
            any::<u64>().prop_map(|after| Effect::Truncate { after }),
            any::<u64>().prop_map(|after| Effect::StallBody { after }),
            (1..u64::MAX).prop_map(|rate| Effect::Trickle { rate }),
            (0..u64::from(MAX_COUNT)).prop_map(|bytes| Effect::Extend { bytes }),
            (name(), text()).prop_map(|(name, value)| Effect::SetHeader { name, value }),
            (name(), text()).prop_map(|(name, value)| Effect::AddHeader { name, value }),
            name().prop_map(|name| Effect::RemoveHeader { name }),
            (0..MAX_COUNT).prop_map(|count| Effect::HeaderFlood { count }),
            (any::<u64>(), proptest::sample::select(CutEnd::ALL))
                .prop_map(|(at, end)| Effect::Cut { at, end }),
            any::<i64>().prop_map(|by| Effect::Length { by }),
            Just(Effect::CloseDelimited),
            any::<u64>().prop_map(|after| Effect::GarbageChunk { after }),
            (0..MAX_COUNT).prop_map(|count| Effect::Informational { count }),
            any::<u64>().prop_map(|ms| Effect::CloseIdle { after: Duration::from_millis(ms) }),
            Just(Effect::Refuse),
            Just(Effect::UnknownHost),
            proptest::sample::select(TlsFault::ALL).prop_map(Effect::TlsFailure),
        ];
        prop_oneof![requests, answers]
    }

    fn faults() -> impl Strategy<Value = Fault> {
        let text = || proptest::option::of("\\PC{0,12}");
        let one = proptest::sample::select(Operation::ALL).prop_map(Target::One);
        let operation = prop_oneof![Just(Target::Any), one];
        let selector = (operation, text(), text(), text(), text(), any::<Option<bool>>());
        let selector =
            selector.prop_map(|(operation, repository, item, path, header, authorized)| Selector {
                operation,
                repository,
                item,
                path,
                header,
                authorized,
            });
        let times = prop_oneof![any::<u32>(), Just(u32::MAX)];
        (selector, effects(), 1..u32::MAX, times).prop_map(|(mut selector, effect, nth, times)| {
            if !effect.acts_on(selector.operation) {
                let targets = Operation::ALL.iter().copied().map(Target::One);
                selector.operation =
                    targets.chain([Target::Any]).find(|own| effect.acts_on(*own)).unwrap();
            }
            Fault { selector, effect, nth, times }
        })
    }

    proptest! {
        #[test]
        fn every_fault_is_one_line_that_reads_back(fault in faults()) {
            let line = fault.to_string();
            prop_assert!(!line.contains(['\n', ';', '#']), "{line}");
            prop_assert_eq!(line.parse::<Fault>().unwrap(), fault, "{}", line);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,60}|(status|cut|lag) op=any [a-z=0-9 %]{0,40}") {
            if let Ok(fault) = text.parse::<Fault>() {
                prop_assert_eq!(fault.to_string().parse::<Fault>().unwrap(), fault);
            }
        }
    }

    #[test]
    fn lines_are_short_and_fixed() {
        let line = Fault::corrupt(Operation::DownloadBlob, 1000).to_string();
        assert_eq!(line, "corrupt op=download_blob at=1000 nth=1 times=1");
        let fault = Fault::cut(Target::Any, 9, CutEnd::Reset)
            .in_repository("a/b")
            .if_authorized()
            .forever();
        let line = "cut op=any at=9 end=reset repo=a%2Fb authorized=true nth=1 times=forever";
        assert_eq!(fault.to_string(), line);
    }

    #[test]
    fn e4_a_typo_is_no_fault() {
        // In a program a typo does not compile; in a text the way out is told: all the names.
        for typo in ["get_manfest", "", "ANY", "unrouted", "write_chunk"] {
            let error = format!("status op={typo} status=503").parse::<Fault>().unwrap_err();
            let error = error.to_string();
            assert!(error.contains(&format!("`{typo}` is no operation")), "{error}");
            assert!(Operation::ALL.iter().all(|known| error.contains(known.name())), "{error}");
        }
        for operation in Operation::ALL.iter().copied() {
            assert_eq!(operation.name().parse(), Ok(operation));
            if operation == Operation::Connect {
                continue;
            }
            let fault = Fault::status(operation, 1, 503);
            assert_eq!(fault.to_string().parse(), Ok(fault));
        }
    }

    #[test]
    fn e4_what_cannot_strike_is_no_fault() {
        for text in [
            "refuse op=ping",
            "unknown_host op=any",
            "tls op=list_tags kind=expired",
            "status op=connect status=503",
            "token_lifetime op=ping seconds=1",
            "lose_session op=start_upload",
            "rival op=upload_chunk",
            "lag op=get_manifest reads=1",
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains("does nothing to `op="), "{error}");
        }
        let built = std::panic::catch_unwind(|| Fault::status(Operation::Connect, 1, 503));
        assert!(built.is_err());
    }

    #[test]
    fn what_is_wrong_with_a_fault_is_named() {
        for (text, told) in [
            ("statsu op=ping status=503", "its kind is none of status, early_status, "),
            ("status op=ping", "`status=` is missing"),
            ("set_header op=ping name=a", "`value=` is missing"),
            ("status op=ping status=many", "`status=` is malformed"),
            ("status op=ping status=503 ntn=2", "`ntn=` comes twice, or `status` has no such key"),
            ("cut op=ping at=1 end=soft", "`end=` is none of fin, reset, stall"),
            ("extend op=ping bytes=99999999", "`bytes=` is above 1000000"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
        for kind in KINDS {
            let error = format!("{kind} op=x").parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains("`x` is no operation"), "{error}");
        }
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
            "status op=ping status=99",
            "stall op=ping nth=99999999999",
            "stall op=ping times=always",
            "trickle op=ping rate=0",
            "extend op=ping bytes=99999999",
            "json op=ping kind=xml",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
