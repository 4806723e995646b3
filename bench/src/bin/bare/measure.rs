//! What a run took, as one line of JSON.

use std::fs;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

/// A run that has begun.
pub(crate) struct Measured {
    wall: Instant,
    processor: f64,
}

impl Measured {
    pub(crate) fn begin() -> Self {
        Self { wall: Instant::now(), processor: processor() }
    }

    /// The processor's seconds are those of all threads; the peak of memory is in KiB.
    pub(crate) fn end(self, bytes: u64, requests: u64) -> String {
        let (wall, processor) = (self.wall.elapsed().as_secs_f64(), processor() - self.processor);
        let peak = peak().map_or_else(|| "null".to_owned(), |peak| peak.to_string());
        format!(
            r#"{{"wall":{wall:.6},"processor":{processor:.6},"peak_kib":{peak},"bytes":{bytes},"requests":{requests}}}"#
        )
    }
}

/// Seconds that this process ran, start-up included.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Of this process's memory, in KiB (Linux).
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
