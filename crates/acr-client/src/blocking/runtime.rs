//! The runtime behind it all: one thread that serves sockets and timers. Calls are worked on by the
//! threads that make them.

use std::{
    fmt,
    future::IntoFuture,
    sync::Arc,
    thread::{self, JoinHandle},
};

use acr_core::{Error, ErrorKind, Result};
use tokio::{
    runtime::{Builder, EnterGuard, Handle},
    sync::oneshot,
};

/// A reference to the thread, which ends with the last one.
#[derive(Clone)]
pub(crate) struct Runtime(Arc<Thread>);

struct Thread {
    handle: Handle,
    /// Dropped to end the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    pub(crate) fn start() -> Result<Self> {
        refuse_async()?;
        let unusable = |error: std::io::Error| {
            let text = "the thread of the blocking client cannot be started";
            Error::new(ErrorKind::Source, text).with_source(error)
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(unusable)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            // Ends when the sender is dropped.
            let _ = runtime.block_on(stopped);
            // Without waiting for threads that still look up a name or write a file.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("acr-blocking".to_owned()).spawn(serve);
        let thread = Some(thread.map_err(unusable)?);
        Ok(Self(Arc::new(Thread { handle, stop: Some(stop), thread })))
    }

    /// Where a layer that starts a task can be built.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.0.handle.enter()
    }

    /// Waits for a future on this thread, while the runtime's own serves its sockets and timers.
    pub(crate) fn run<T>(&self, future: impl IntoFuture<Output = Result<T>>) -> Result<T> {
        refuse_async()?;
        self.0.handle.block_on(Box::pin(future.into_future()))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            // A layer of the caller's may hold the last reference in a task there.
            && thread.thread().id() != thread::current().id()
        {
            // It does nothing that could panic, and there is nobody to tell.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Runtime")
    }
}

/// Waiting inside of a runtime would stop its tasks, perhaps the very one that is waited for.
pub(super) fn refuse_async() -> Result<()> {
    if Handle::try_current().is_err() {
        return Ok(());
    }
    let text = "the blocking client was called inside of a tokio runtime: use `acr_client::Registry` \
                there, whose calls are awaited";
    Err(Error::new(ErrorKind::InvalidInput, text))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    /// Something that a task on the thread holds.
    fn held(runtime: &Runtime) -> Arc<()> {
        let held = Arc::new(());
        let task = Arc::clone(&held);
        runtime.0.handle.spawn(async move {
            std::future::pending::<()>().await;
            drop(task);
        });
        held
    }

    #[test]
    fn the_thread_has_ended_when_the_last_reference_is_dropped() {
        let runtime = Runtime::start().unwrap();
        let held = held(&runtime);
        let clone = runtime.clone();
        drop(runtime);
        clone.run(async { Ok(()) }).unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        drop(clone);
        // Its tasks are gone with it, at once.
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn timers_run_while_nobody_but_the_caller_waits() {
        let runtime = Runtime::start().unwrap();
        let waited = runtime.run(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(7)
        });
        assert_eq!(waited.unwrap(), 7);
    }

    #[test]
    fn the_last_reference_may_be_dropped_on_the_thread_itself() {
        let runtime = Runtime::start().unwrap();
        let held = held(&runtime);
        let (done, is_done) = mpsc::channel();
        let (go, gone) = oneshot::channel::<()>();
        let last = runtime.clone();
        runtime.0.handle.spawn(async move {
            let _ = gone.await;
            drop(last);
            let _ = done.send(());
        });
        drop(runtime);
        go.send(()).unwrap();
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
        // Nobody joins the thread then, but it ends.
        while Arc::strong_count(&held) > 1 {
            thread::yield_now();
        }
    }
}
