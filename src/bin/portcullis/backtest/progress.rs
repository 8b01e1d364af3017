//! How far it is, on a terminal.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::work::Progress;

/// How often it is drawn.
pub(super) const OFTEN: Duration = Duration::from_millis(200);

/// A bar on standard error; nothing where that is no terminal.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar }
    }

    /// Draws how far it is. The time left is known only where it is known how much there is.
    pub(super) fn draw(&self, progress: &Progress) {
        let (findings, done, total) = (
            progress.findings.load(Relaxed),
            progress.done.load(Relaxed),
            progress.total.load(Relaxed),
        );
        let seconds = self.bar.elapsed().as_secs_f64();
        let rate = if seconds > 0.0 {
            (findings as f64 / seconds) as u64
        } else {
            0
        };
        let template = match total {
            0 => "{spinner} {msg}, {elapsed}",
            _ => "{bar:30} {percent}%  {msg}, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        if total > 0 {
            self.bar.set_length(total);
            self.bar.set_position(done.min(total));
        }
        self.bar
            .set_message(format!("{findings} findings, {rate}/s"));
        self.bar.tick();
    }

    /// Takes it away.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
