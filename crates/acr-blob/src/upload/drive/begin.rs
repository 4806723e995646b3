//! How a session begins, or a mount makes one needless.

use acr_core::Result;

use super::Transfer;
use crate::upload::{
    outcome::{Doubt, Event},
    wire::{self, Started, Wire},
};

impl Transfer {
    /// Opens the session now, for a caller who wants to hold one; whether there is one.
    pub(crate) async fn open(&mut self) -> Result<bool> {
        let event = self.start().await?;
        self.machine.on(event);
        if let Event::Mounted = event {
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) async fn start(&mut self) -> Result<Event> {
        // Asked once: another session is not going to be mounted either.
        let from = self.mount.take();
        let mount = self.expected.as_ref().zip(from.as_ref());
        let started = match Wire::start(&self.repository, mount).await {
            // Others read what cannot be mounted as what has to be sent.
            Err(error) if mount.is_some() && wire::is_refusal(&error) => {
                Wire::start(&self.repository, None).await?
            }
            started => started?,
        };
        match started {
            Started::Mounted { named } => {
                self.digest = self.expected.clone();
                // A caller without content has to believe a name.
                if self.feed.is_given()
                    && (named || self.verify(Doubt::Mounted).await? == Event::Present)
                {
                    return Ok(Event::Mounted);
                }
                if self.feed.is_given() {
                    self.digest = None;
                    return Box::pin(self.start()).await;
                }
                Ok(Event::Mounted)
            }
            Started::Opened(wire, min_chunk) => {
                self.wire = Some(*wire);
                self.save();
                Ok(Event::Opened { min_chunk })
            }
        }
    }
}
