//! The one loop that repeats requests.

use std::time::Duration;

use http_body::Body;
use tokio::time::Instant;
use tower_service::Service;
use tracing::warn;

use super::{copy::CopyBody, outcome::Outcome, policy::RetryPolicy, recheck::Recheck};
use crate::{
    http::{
        error::{BoxError, Error, ErrorKind, Result},
        operation::{Attempt, Effect, Operation, Recoveries},
        patience,
    },
    layer::{
        budget::{Budget, Cost},
        deadline::{DeadlineBody, after},
        drain::drain,
        ready_call,
    },
};

/// One call and its attempts.
pub(super) struct Call<C> {
    pub(super) policy: RetryPolicy,
    pub(super) budget: Budget,
    pub(super) copy: C,
    pub(super) start: Instant,
}

impl<C: Send + Sync> Call<C> {
    pub(super) async fn run<S, B, R>(
        self,
        inner: S,
        request: http::Request<B>,
    ) -> Result<http::Response<DeadlineBody<R>>, BoxError>
    where
        S: Service<
                http::Request<B>,
                Response = http::Response<R>,
                Error: Into<BoxError>,
                Future: Send,
            > + Clone
            + Send,
        C: CopyBody<B>,
        B: Send,
        R: Body + Send,
    {
        let (mut head, mut body) = request.into_parts();
        head.extensions.insert(Recoveries::default());
        let effect = self.effect_of(&mut head);
        let operation = head.extensions.get::<Operation>().map(Operation::name);
        let mut attempt = 1;
        let mut paid = None;
        let mut was_sent = false;
        loop {
            let again = self.copy.copy(&body);
            let mut request = http::Request::from_parts(head.clone(), body);
            request.extensions_mut().insert(Attempt::new(attempt));
            // A service that was not ready, and said so by an error, is not to be used again.
            let result = self.attempt(inner.clone(), request).await;
            let outcome = Outcome::of(&result, effect);
            let wait = if again.is_some() { self.wait(&outcome, attempt) } else { None };
            let (Some((wait, cost)), Some(replay)) = (wait, again) else {
                if !outcome.is_transient {
                    self.budget.deposit(paid);
                }
                return note(result, attempt, was_sent).map(|mut answer| {
                    answer.extensions_mut().insert(Attempt::new(attempt));
                    self.bound(answer)
                });
            };
            let wait_ms = wait.as_millis();
            warn!(operation, attempt, wait_ms, reason = %outcome, "retrying");
            let told = head.extensions.get().map(|marks| outcome.tell(marks, attempt));
            self.pause(wait, result).await;
            drop(told);
            was_sent |= !outcome.is_unsent;
            if let Some(recheck) = head.extensions.get::<Recheck>() {
                let look = self.in_time(recheck.look()).await;
                note(look, attempt, was_sent)?;
            }
            body = replay;
            paid = cost;
            attempt += 1;
        }
    }

    /// Waits, and meanwhile reads the rest of the answer.
    async fn pause<R>(&self, wait: Duration, result: Result<http::Response<R>, BoxError>)
    where
        R: Body + Send,
    {
        let next = after(Instant::now(), wait);
        if let Ok(response) = result {
            let drained = drain(response.into_body());
            match self.policy.deadline {
                None => drained.await,
                // A body that drips must not move the next attempt past the deadline.
                Some(_) => drop(patience::until(next, drained).await),
            }
        }
        tokio::time::sleep_until(next).await;
    }

    /// What happens if the request takes effect twice: as it says, else as its method says.
    /// All attempts carry it then.
    fn effect_of(&self, head: &mut http::request::Parts) -> Effect {
        if let Some(declared) = head.extensions.get() {
            return *declared;
        }
        let effect =
            if self.policy.knows_methods { Effect::of(&head.method) } else { Effect::Append };
        head.extensions.insert(effect);
        effect
    }

    /// Ends the answer's body at the call's deadline, if it has one.
    fn bound<R: Body>(&self, answer: http::Response<R>) -> http::Response<DeadlineBody<R>> {
        answer.map(|body| DeadlineBody::new(body, self.start, self.policy.deadline))
    }

    async fn attempt<S, B>(
        &self,
        mut inner: S,
        request: http::Request<B>,
    ) -> Result<S::Response, BoxError>
    where
        S: Service<http::Request<B>, Error: Into<BoxError>, Future: Send> + Send,
        B: Send,
    {
        self.in_time(ready_call(&mut inner, request)).await
    }

    /// Ends something at the call's deadline, if it has one.
    async fn in_time<T, E: Into<BoxError>>(
        &self,
        what: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, BoxError> {
        let Some(limit) = self.policy.deadline else {
            return what.await.map_err(Into::into);
        };
        let left = limit.saturating_sub(self.start.elapsed());
        match tokio::time::timeout(left, what).await {
            Ok(result) => result.map_err(Into::into),
            Err(_) => {
                let text = format!("the call's deadline of {limit:?} passed");
                Err(Error::new(ErrorKind::Timeout, text).into())
            }
        }
    }

    /// How long to wait before the next attempt, and what it cost this call; `None` for the
    /// end.
    fn wait(&self, outcome: &Outcome, attempt: u32) -> Option<(Duration, Option<Cost>)> {
        if !outcome.is_transient {
            return None;
        }
        let wait = self.policy.wait(outcome.retry_after, attempt, self.start.elapsed())?;
        let withdraw = || self.budget.withdraw(outcome.is_throttled());
        let cost = match &outcome.fare {
            None => Some(withdraw()?),
            Some(fare) => {
                let mut cost = None;
                let is_paid = fare.pay(|| {
                    cost = withdraw();
                    cost.is_some()
                });
                if !is_paid {
                    return None;
                }
                cost
            }
        };
        Some((wait, cost))
    }
}

/// Adds to an error what is known of all attempts.
fn note<T>(
    result: Result<T, BoxError>,
    attempts: u32,
    was_sent_before: bool,
) -> Result<T, BoxError> {
    result.map_err(|error| match error.downcast::<Error>() {
        Ok(ours) if was_sent_before => ours.after_sending().with_attempts(attempts).into(),
        Ok(ours) => ours.with_attempts(attempts).into(),
        // One that says of the last attempt what is not so for all of them.
        Err(other) if was_sent_before && Error::standing_for(&*other).is_unsent() => {
            Error::from(other).after_sending().with_attempts(attempts).into()
        }
        Err(other) => other,
    })
}
