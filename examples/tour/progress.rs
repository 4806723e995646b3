//! Progress bars, drawn only when standard error is a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A bar for all files and one for the file in hand.
pub(crate) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
}

/// The bar of one file; removed when it is dropped.
pub(crate) struct FileBar(ProgressBar);

impl Bars {
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(total).with_style(style()).with_message(what));
        Self { all, total }
    }

    pub(crate) fn file(&self, title: &str, size: u64) -> FileBar {
        let bar = ProgressBar::new(size).with_style(style()).with_message(title.to_owned());
        FileBar(self.all.add(bar))
    }

    pub(crate) fn done(&self, size: u64) {
        self.total.inc(size);
    }
}

impl FileBar {
    pub(crate) fn set(&self, transferred: u64) {
        self.0.set_position(transferred);
    }
}

impl Drop for FileBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.total.finish_and_clear();
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {bytes:>11}/{total_bytes:11} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
