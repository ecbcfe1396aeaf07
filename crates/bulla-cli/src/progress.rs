//! A progress bar on stderr, for people who wait.
//!
//! It appears only on a terminal, which indicatif sees to, and only once the work has taken a second.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(1);

/// Bytes done out of bytes to do.
pub(crate) struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to count the second.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), bar: None }
    }

    /// `done` of `total` bytes are dealt with; `None` if nobody knows how many there will be.
    pub(crate) fn update(&mut self, done: u64, total: Option<u64>) {
        if self.bar.is_none() && self.started.elapsed() < PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let template = if total.is_some() {
                "{wide_bar} {bytes} of {total_bytes}, {eta} left"
            } else {
                "{bytes}, {bytes_per_sec}"
            };
            let style = ProgressStyle::with_template(template).expect("BUG: the template of the progress bar is wrong");
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            bar.with_style(style)
        });
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
