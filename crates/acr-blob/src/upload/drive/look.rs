//! Whether the blob is there, where no answer said so.

use acr_core::{Digest, Result};
use tokio::time::Instant;

use super::Transfer;
use crate::{
    look,
    progress::Phase,
    upload::{
        outcome::{Doubt, Event},
        patience,
    },
};

impl Transfer {
    /// Looks once, or, where all would be sent again, for a while.
    pub(super) async fn verify(&mut self, doubt: Doubt) -> Result<Event> {
        let Some(digest) = self.digest.clone() else {
            return Ok(Event::Absent);
        };
        if doubt == Doubt::Restart {
            return self.look_patiently(&digest).await;
        }
        match look::find(&self.repository, &digest).await {
            Ok(Some(info)) if self.machine.len().is_none_or(|len| len == info.size) => {
                if doubt == Doubt::Mounted {
                    self.mounted = Some(info);
                }
                Ok(Event::Present)
            }
            Ok(_) => Ok(Event::Absent),
            // A commit that failed for another reason: that one is told.
            Err(error) if self.error.is_none() => Err(error),
            Err(_) => Ok(Event::Absent),
        }
    }

    /// Looks again and again, for as long as the registry may be storing the content still.
    async fn look_patiently(&mut self, digest: &Digest) -> Result<Event> {
        let (took, was_timeout) = self.waited;
        let (size, chunk) = (self.machine.available(), self.machine.chunk());
        let end = Instant::now() + patience::patience(took, was_timeout, size, chunk);
        for number in 0.. {
            let pause = patience::pause(number);
            if Instant::now() + pause > end {
                break;
            }
            self.tell(Phase::Committing);
            tokio::time::sleep(pause).await;
            match look::find(&self.repository, digest).await {
                Ok(Some(info)) if info.size == size => return Ok(Event::Present),
                Ok(Some(_)) => break,
                // Whatever the look met, the next one may be answered.
                Ok(None) | Err(_) => {}
            }
        }
        Ok(Event::Absent)
    }
}
