//! Progress on standard error: a bar on a terminal, a plain line now and then otherwise.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use larder::progress::{Event, Observer, Silent, Units};

use crate::cli::output::{self, Voice};

/// How often a bar is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What watches long work.
pub fn observer(voice: Voice) -> Box<dyn Observer> {
    if voice == Voice::Quiet {
        return Box::new(Silent);
    }
    let terminal = io::stderr().is_terminal();
    let bar = terminal.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)));
    Box::new(Progress {
        bar,
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        phase: Mutex::new(Phase::new("", None)),
    })
}

struct Progress {
    bar: Option<ProgressBar>,
    files: AtomicU64,
    bytes: AtomicU64,
    phase: Mutex<Phase>,
}

struct Phase {
    name: String,
    total: Option<Units>,
    problems: u64,
    begun: Instant,
    shown: Instant,
}

impl Phase {
    fn new(name: &str, total: Option<Units>) -> Self {
        let now = Instant::now();
        Self { name: name.to_owned(), total, problems: 0, begun: now, shown: now }
    }
}

impl Progress {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, name: &str, total: Option<Units>) {
        let mut phase = self.phase();
        *phase = Phase { problems: phase.problems, ..Phase::new(name, total) };
        self.files.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            let length = total.map(|total| if total.bytes > 0 { total.bytes } else { total.files });
            let template = match length {
                Some(_) => "{spinner} {msg} [{bar:24}] {percent:>3} %",
                None => "{spinner} {msg}",
            };
            bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_length(length.unwrap_or(0));
            bar.set_position(0);
            bar.enable_steady_tick(DRAW_EVERY);
            bar.set_message(name.to_owned());
        }
    }

    fn advance(&self, units: Units) {
        let files = self.files.fetch_add(units.files, Ordering::Relaxed) + units.files;
        let bytes = self.bytes.fetch_add(units.bytes, Ordering::Relaxed) + units.bytes;
        // Who finds the lock taken has nothing to add: somebody shows it just now.
        let Ok(mut phase) = self.phase.try_lock() else { return };
        let every = if self.bar.is_some() { DRAW_EVERY } else { LINE_EVERY };
        if phase.shown.elapsed() < every {
            return;
        }
        phase.shown = Instant::now();
        let text = status(&phase, Units { files, bytes });
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                let by_bytes = phase.total.is_some_and(|total| total.bytes > 0);
                bar.set_position(if by_bytes { bytes } else { files });
            }
            None => {
                let _ = writeln!(io::stderr(), "{text}");
            }
        }
    }
}

/// What is done, how much of it, how fast.
fn status(phase: &Phase, done: Units) -> String {
    let seconds = phase.begun.elapsed().as_secs_f64();
    let mut parts = Vec::new();
    let total = phase.total.unwrap_or_default();
    match (done.files, total.files) {
        (0, 0) => {}
        (files, 0) => parts.push(output::count(files)),
        (files, total) => parts.push(format!("{} of {}", output::count(files), output::count(total))),
    }
    if done.bytes > 0 {
        parts.push(output::size(done.bytes));
        parts.push(format!("{}/s", output::size((done.bytes as f64 / seconds.max(0.1)) as u64)));
    }
    if phase.problems > 0 {
        parts.push(output::plural(phase.problems, "problem"));
    }
    parts.push(output::elapsed(seconds));
    format!("{}: {}", phase.name, parts.join(", "))
}

impl Observer for Progress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Phase { name, total } => self.begin(name, total),
            Event::Advanced(units) => self.advance(units),
            // The report names them all; here they would be named twice.
            Event::Problem { .. } => self.phase().problems += 1,
            Event::Note(text) => {
                let print = || {
                    let _ = writeln!(io::stderr(), "note: {text}");
                };
                match &self.bar {
                    Some(bar) => bar.suspend(print),
                    None => print(),
                }
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
