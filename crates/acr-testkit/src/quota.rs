//! How many calls a minute the registry takes, as its service tiers have it.

use std::{sync::Mutex, time::Duration};

use http::{Method, StatusCode};

use crate::{answer::Refusal, operation::Operation, sync::lock};

/// The calls that are allowed in each minute since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
}

/// The calls of the current minute.
#[derive(Debug, Default)]
pub(crate) struct Quota(Mutex<Minute>);

#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    reads: u64,
    writes: u64,
}

impl Quota {
    /// Counts a call, or refuses it. Token calls have no part in this quota.
    pub(crate) fn take(
        &self,
        limits: Option<Limits>,
        operation: Operation,
        method: &Method,
        since_start: Duration,
    ) -> Result<(), Refusal> {
        let Some(limits) = limits.filter(|_| !operation.is_token_service()) else {
            return Ok(());
        };
        let mut minute = lock(&self.0);
        let number = since_start.as_secs() / 60;
        if minute.number != number {
            *minute = Minute { number, ..Minute::default() };
        }
        let (count, limit) = match *method {
            Method::GET | Method::HEAD => (&mut minute.reads, limits.reads),
            _ => (&mut minute.writes, limits.writes),
        };
        if *count >= limit {
            return Err(exceeded());
        }
        *count += 1;
        Ok(())
    }
}

/// As reported; no registry was seen to say when to come back.
fn exceeded() -> Refusal {
    let message = "Too many requests. Please visit https://aka.ms/acr/skus#sku-feature-matrix to view limits of all service tiers.";
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
}
