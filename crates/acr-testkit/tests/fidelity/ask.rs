//! Recorded requests, with what must be replaced replaced.

use serde_json::Value;

use crate::{
    recording::{Exchange, parameter},
    registry::{Asked, asked},
};

/// The recorded request without its headers.
pub(crate) fn plain(exchange: &Exchange) -> Asked {
    let body = exchange.request_bytes().unwrap_or_default();
    let query = match exchange.query.as_str() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    asked(&exchange.method, &format!("{}{query}", exchange.path), &[], body)
}

/// As [`plain`], with another last segment of the path.
pub(crate) fn with_item(exchange: &Exchange, item: &str) -> Asked {
    let mut asked = plain(exchange);
    let (front, _) = exchange.path.rsplit_once('/').unwrap();
    let written = match exchange.path.contains("%3A") {
        true => item.replace(':', "%3A"),
        false => item.to_owned(),
    };
    asked.target = asked.target.replacen(&exchange.path, &format!("{front}/{written}"), 1);
    asked
}

/// As [`plain`], with another value in the query.
pub(crate) fn with_parameter(mut asked: Asked, name: &str, value: &str) -> Asked {
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let mut pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    let pair = format!("{name}={}", encode(value));
    match pairs.iter().position(|pair| pair.split('=').next() == Some(name)) {
        Some(at) => pairs[at] = &pair,
        None => pairs.push(&pair),
    }
    asked.target = format!("{path}?{}", pairs.join("&"));
    asked
}

/// A list of the recorded answer; empty where it is `null`.
pub(crate) fn list(exchange: &Exchange, key: &str) -> Vec<Value> {
    exchange.json().unwrap_or_default()[key].as_array().cloned().unwrap_or_default()
}

/// The order that a list was asked for in.
pub(crate) fn order(exchange: &Exchange) -> String {
    let in_link = || parameter(link_query(exchange)?, "orderby");
    exchange.parameter("orderby").or_else(in_link).unwrap_or_default()
}

fn link_query(exchange: &Exchange) -> Option<&str> {
    let link = exchange.answered("link")?;
    link.split_once('?')?.1.split_once('>').map(|(query, _)| query)
}

/// A list request: with what the recorder lost of the query, and with a marker that suits the
/// times of this registry.
pub(crate) fn paged(exchange: &Exchange) -> Asked {
    let mut asked = plain(exchange);
    if let Some(query) = link_query(exchange) {
        for name in ["n", "orderby"] {
            if let Some(value) = parameter(query, name).filter(|value| !value.is_empty())
                && exchange.parameter(name).is_none()
            {
                asked = with_parameter(asked, name, &value);
            }
        }
    }
    let timed = exchange.parameter("last").filter(|last| last.contains('&'));
    if timed.is_some() {
        let ticks = if order(exchange) == "timedesc" { "9000000000000000000" } else { "1" };
        asked = with_parameter(asked, "last", &format!("{ticks}&x"));
    }
    asked
}

pub(crate) fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

pub(crate) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
