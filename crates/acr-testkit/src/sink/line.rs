//! A connection of limited speed, each way.

use std::{
    io,
    num::NonZeroU64,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Lets so many bytes a second through.
pub(super) struct Line<S> {
    stream: S,
    reads: Gate,
    writes: Gate,
}

/// One direction.
struct Gate {
    rate: NonZeroU64,
    /// When the next bytes may pass.
    next: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Line<S> {
    pub(super) fn new(stream: S, rate: NonZeroU64) -> Self {
        Self { stream, reads: Gate::new(rate), writes: Gate::new(rate) }
    }
}

impl Gate {
    fn new(rate: NonZeroU64) -> Self {
        let next = Instant::now();
        Self { rate, next, timer: Box::pin(sleep_until(next)) }
    }

    /// Waits until bytes may pass; how many at once.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.next > Instant::now() {
            if self.timer.deadline() != self.next {
                self.timer.as_mut().reset(self.next);
            }
            ready!(self.timer.as_mut().poll(cx));
        }
        // Few enough that the line looks even, many enough that the timer costs nothing.
        let most = self.rate.get() / PORTIONS_A_SECOND;
        Poll::Ready(usize::try_from(most).unwrap_or(usize::MAX).max(LEAST))
    }

    fn passed(&mut self, bytes: usize) {
        let takes = Duration::from_secs_f64(bytes as f64 / self.rate.get() as f64);
        // A timer is late by up to a millisecond or two: what that costs is caught up with, and no
        // more, or a line that was idle would have a rush.
        let earliest = Instant::now().checked_sub(SLACK).unwrap_or(self.next);
        self.next = self.next.max(earliest) + takes;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Line<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let most = ready!(this.reads.poll_open(cx)).min(buffer.remaining());
        // The rest of the buffer is not shown to the stream, and so not written to.
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        this.reads.passed(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Line<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let most = ready!(this.writes.poll_open(cx)).min(bytes.len());
        let part = bytes.get(..most).unwrap_or_default();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
        this.writes.passed(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

const PORTIONS_A_SECOND: u64 = 200;

/// A head in one portion, however slow the line is.
const LEAST: usize = 1024;

const SLACK: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_takes_the_time_that_its_rate_asks_for_each_way() {
        for (rate, bytes, seconds) in [(1_000_000, 3_000_000, 3.0), (50_000_000, 25_000_000, 0.5)] {
            let (near, mut far) = duplex(64 * 1024);
            let mut line = Line::new(near, NonZeroU64::new(rate).unwrap());
            let content = vec![7; bytes];
            let start = Instant::now();
            let mut came = vec![0; bytes];
            let (written, read) = tokio::join!(line.write_all(&content), far.read_exact(&mut came));
            written.unwrap();
            read.unwrap();
            let took = start.elapsed().as_secs_f64();
            assert!((took - seconds).abs() < 0.05 * seconds, "{took} s for {seconds}");

            let start = Instant::now();
            let (written, read) = tokio::join!(far.write_all(&content), line.read_exact(&mut came));
            written.unwrap();
            read.unwrap();
            let took = start.elapsed().as_secs_f64();
            assert!((took - seconds).abs() < 0.05 * seconds, "{took} s for {seconds}, read");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_line_saves_nothing_up() {
        let (near, mut far) = duplex(64 * 1024);
        let mut line = Line::new(near, NonZeroU64::new(1_000_000).unwrap());
        tokio::time::sleep(Duration::from_secs(60)).await;
        let (start, content, mut came) = (Instant::now(), vec![7; 500_000], vec![0; 500_000]);
        let (written, read) = tokio::join!(line.write_all(&content), far.read_exact(&mut came));
        written.unwrap();
        read.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    }
}
