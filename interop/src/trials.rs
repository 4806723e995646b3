//! Tries the operations of one foreign program, one after the other, and keeps what became of each.

use std::{error::Error as StdError, pin::Pin};

use crate::{
    error::{Error, Result},
    matrix::{Outcome, Row},
};

/// Boxed, so that the futures of tests stay small.
pub type Trial<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// The operations tried with one peer. A failure does not keep the others from being tried.
#[derive(Debug)]
pub struct Trials {
    suite: &'static str,
    peer: String,
    version: String,
    failures: Vec<String>,
    tried: usize,
}

impl Trials {
    /// None yet.
    pub fn new(suite: &'static str, peer: impl Into<String>, version: impl Into<String>) -> Self {
        let (peer, version) = (peer.into(), version.into());
        Self { suite, peer, version, failures: Vec::new(), tried: 0 }
    }

    /// Tries an operation, which passes if it ends well.
    ///
    /// # Errors
    ///
    /// When the row cannot be written. A failed operation is an error of [`Trials::finish`].
    pub fn pass<'a, E: Into<BoxError>>(
        &'a mut self,
        operation: &'a str,
        attempt: impl Future<Output = Result<(), E>> + Send + 'a,
    ) -> Trial<'a> {
        Box::pin(async move {
            let outcome = attempt.await.map_err(Into::into);
            self.record(operation, outcome, Outcome::Pass, "")
        })
    }

    /// Tries an operation of which it is known that the other side gets it wrong. The attempt
    /// ends well if it went wrong as the evidence says.
    ///
    /// # Errors
    ///
    /// As [`Trials::pass`].
    pub fn defect<'a, E: Into<BoxError>>(
        &'a mut self,
        operation: &'a str,
        evidence: &'a str,
        attempt: impl Future<Output = Result<(), E>> + Send + 'a,
    ) -> Trial<'a> {
        Box::pin(async move {
            let outcome = attempt.await.map_err(Into::into);
            self.record(operation, outcome, Outcome::Defect, evidence)
        })
    }

    /// Keeps that the other side does not have an operation. The attempt ends well if the other
    /// side was seen to lack it.
    ///
    /// # Errors
    ///
    /// As [`Trials::pass`].
    pub fn unsupported<'a, E: Into<BoxError>>(
        &'a mut self,
        operation: &'a str,
        evidence: &'a str,
        attempt: impl Future<Output = Result<(), E>> + Send + 'a,
    ) -> Trial<'a> {
        Box::pin(async move {
            let outcome = attempt.await.map_err(Into::into);
            self.record(operation, outcome, Outcome::Unsupported, evidence)
        })
    }

    /// Ends the trials.
    ///
    /// # Errors
    ///
    /// When an operation failed, or none was tried.
    pub fn finish(self) -> Result<()> {
        let Self { peer, failures, tried, .. } = self;
        if tried == 0 {
            return Err(Error::new(format!("nothing was tried with {peer}")));
        }
        if failures.is_empty() {
            return Ok(());
        }
        Err(Error::new(format!(
            "{peer}: {} of {tried} failed\n{}",
            failures.len(),
            failures.join("\n")
        )))
    }

    fn record(
        &mut self,
        operation: &str,
        outcome: Result<(), BoxError>,
        expected: Outcome,
        evidence: &str,
    ) -> Result<()> {
        self.tried += 1;
        let (result, evidence) = match outcome {
            Ok(()) => (expected, evidence.to_owned()),
            Err(error) => {
                let text = with_sources(error.as_ref());
                self.failures.push(format!("{operation}: {text}"));
                (Outcome::Fail, text)
            }
        };
        let row = Row {
            suite: self.suite.to_owned(),
            peer: self.peer.clone(),
            version: self.version.clone(),
            operation: operation.to_owned(),
            result,
            evidence,
        };
        row.record()
    }
}

fn with_sources(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_failure_is_told_at_the_end_and_stops_nothing() {
        let mut trials = Trials::new("servers", "a registry", "1");
        trials.pass("push", async { Err("no room") }).await.unwrap();
        trials.pass("pull", async { Ok::<_, Error>(()) }).await.unwrap();
        let text = trials.finish().unwrap_err().to_string();
        assert_eq!(text, "a registry: 1 of 2 failed\npush: no room");
    }

    #[tokio::test]
    async fn a_defect_that_is_gone_is_a_failure() {
        let mut trials = Trials::new("servers", "a registry", "1");
        trials.defect("push", "issue 1", async { Err("it took it") }).await.unwrap();
        assert!(trials.finish().is_err());
        assert!(Trials::new("servers", "a registry", "1").finish().is_err());
    }
}
