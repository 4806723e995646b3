//! What an operator counts, as two layers that tell an observer.

mod call;
mod counted;
mod events;
mod exchange;
mod marks;
mod observer;
mod reporter;

pub use self::{
    call::{ObserveCall, ObserveCallFuture, ObserveCallLayer},
    counted::CountedBody,
    events::{
        AttemptEnded, BodyEnd, CallEnded, CallStarted, Connected, Connection, Direction, Ending,
        Observed, Target, Throttled, TokenCallEnded, Transferred, Waited,
    },
    exchange::{ObserveExchange, ObserveExchangeFuture, ObserveExchangeLayer},
    observer::Observer,
};
pub(crate) use self::{
    counted::Meter,
    marks::{Marks, Waiting},
};
