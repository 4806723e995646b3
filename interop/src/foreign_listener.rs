//! An origin that nobody should ever talk to.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::error::{Attempt as _, Result};

/// A loopback listener that counts connections and closes each without a word.
#[derive(Debug)]
pub struct ForeignListener {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl ForeignListener {
    /// Starts listening.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start() -> Result<Self> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.attempt(|| "bind a foreign origin")?;
        let address = listener.local_addr().attempt(|| "read the foreign origin's address")?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                drop(stream);
            }
        });
        Ok(Self { address, accepted, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops and tells how many connections came.
    ///
    /// # Errors
    ///
    /// When the listener cannot be reached.
    pub async fn finish(self) -> Result<usize> {
        // Connections are accepted in the order they came, so once this last one is
        // closed from the other side every earlier one has been counted.
        let mut last = TcpStream::connect(self.address).await.attempt(|| "reach the origin")?;
        let _closed = last.read(&mut [0; 1]).await;
        Ok(self.accepted.load(Ordering::SeqCst).saturating_sub(1))
    }
}

impl Drop for ForeignListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn counts_every_connection_but_its_own() {
        let listener = ForeignListener::start().await.unwrap();
        for _ in 0..3 {
            TcpStream::connect(listener.address()).await.unwrap();
        }
        assert_eq!(listener.finish().await.unwrap(), 3);
    }
}
