//! The file by which others see that a daemon lives, and that its loop turns.
//!
//! Promise: the file is locked for as long as the daemon lives, so that there is one of each configuration, and whatever
//! ends it, nobody takes it for alive. Written in place, always the same length: a full disk does not stop the heart.
//! In a run it beats when something moves: a run that hangs is known by that.
//! Left out on purpose: whether backups succeed (`max_age` and the reports say that).

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use larder::progress::{Event, Observer};

use crate::cli::daemon::Log;
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{Session, now};

/// How long a heart may rest. The loop turns three times a minute at least.
const REST_SECONDS_MAX: i64 = 180;
/// How often it beats in a run in which something moves.
const BEAT_SECONDS: i64 = 20;
/// Length of the file.
const BYTES: usize = 512;
/// Who looks whether it is locked holds the lock for a moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// What a daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doing {
    /// It waits for what is due next.
    Waiting,
    /// It runs what is due, or opens the repository.
    Running,
}

/// One beat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Beat {
    /// The process.
    pub pid: u32,
    /// What it does.
    pub doing: Doing,
    /// When it beat, in RFC 3339.
    pub at: String,
    /// The same, by a clock that nobody sets and that rests while the machine sleeps.
    pub seconds: i64,
    /// What is due next, for people.
    pub next: String,
}

impl Beat {
    /// For people. In the first run nobody knows yet what is next.
    pub fn said(&self) -> String {
        let doing = match self.doing {
            Doing::Waiting => "waiting",
            Doing::Running => "running",
        };
        let next = if self.next.is_empty() { String::new() } else { format!("; next: {}", self.next) };
        format!("alive: process {}, {doing}{next}", self.pid)
    }
}

/// Where the file of a configuration is.
pub fn place(session: &Session, config: &Path) -> Result<PathBuf, Failure> {
    let caches = session.caches().ok_or_else(|| {
        Failure::usage("there is no folder in which a daemon could show that it lives")
            .hint("give --cache DIR, or set LARDER_CACHE")
    })?;
    let config = fs::canonicalize(config).unwrap_or_else(|_| config.to_owned());
    let mut hasher = DefaultHasher::new();
    config.hash(&mut hasher);
    Ok(caches.join("daemon").join(format!("{:016x}.json", hasher.finish())))
}

fn seconds() -> i64 {
    clock_gettime(ClockId::Monotonic).tv_sec
}

/// The heart of a living daemon.
pub struct Heart(File);

impl Heart {
    /// Makes it the only one of its configuration.
    pub fn start(place: &Path) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::io(format!("cannot write {}", place.display()), error)
                .hint("a daemon shows there that it lives; --cache or LARDER_CACHE chooses another folder")
        };
        fs::create_dir_all(place.parent().unwrap_or(place)).map_err(|error| failed(&error))?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(place);
        let file = file.map_err(|error| failed(&error))?;
        let mut tries = 0..TRIES;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::WOULDBLOCK) if tries.next().is_some() => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    return Err(Failure::new(Exit::Refused, "a daemon of this configuration runs already")
                        .hint("larder daemon --health says how it is; SIGHUP makes it read its configuration again"));
                }
                Err(error) => return Err(failed(&error.into())),
            }
        }
    }

    /// Beats.
    pub fn beat(&self, doing: Doing, next: &str) -> Result<(), String> {
        let next = next.chars().take(80).collect();
        let beat = Beat { pid: std::process::id(), doing, at: now().rfc3339(), seconds: seconds(), next };
        let mut bytes = serde_json::to_vec(&beat).map_err(|error| error.to_string())?;
        bytes.resize(BYTES - 1, b' ');
        bytes.push(b'\n');
        self.0.write_all_at(&bytes, 0).map_err(|error| error.to_string())
    }
}

/// Beats as long as something moves in a run, and passes on what is worth a line.
pub struct Pulse<'h> {
    heart: &'h Heart,
    next: String,
    last: AtomicI64,
    log: Log,
}

impl<'h> Pulse<'h> {
    /// Of a run that begins now.
    pub(super) fn of(heart: &'h Heart, next: String, log: Log) -> Self {
        Self { heart, next, last: AtomicI64::new(seconds()), log }
    }
}

impl Observer for Pulse<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::Note(text) = event {
            self.log.say(text);
        }
        let (now, last) = (seconds(), self.last.load(Ordering::Relaxed));
        let is_mine = || self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if now - last >= BEAT_SECONDS && is_mine() {
            // Between runs it is said that it cannot be.
            let _taken_for_hung = self.heart.beat(Doing::Running, &self.next);
        }
    }
}

/// The last beat of the daemon, which lives and whose loop turns, or in whose run something moved that lately; or why that
/// is not so.
pub fn look(place: &Path, hung_after: Duration) -> Result<Beat, Failure> {
    let none = || {
        Failure::new(Exit::Failed, "no daemon of this configuration runs")
            .hint("larder daemon starts it; give the same --config and --cache (or variables) as to the daemon")
    };
    let file = File::open(place).map_err(|_| none())?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => return Err(none()),
        Err(Errno::WOULDBLOCK) => {}
        Err(error) => return Err(Failure::io(format!("cannot lock {}", place.display()), &error.into())),
    }
    let text = fs::read(place).map_err(|error| Failure::io(format!("cannot read {}", place.display()), &error))?;
    let beat: Beat = serde_json::from_slice(&text)
        .map_err(|_| Failure::new(Exit::Failed, "a daemon runs, and has not said yet how it is"))?;
    let rest = seconds() - beat.seconds;
    let stands = |what: &str, hint: &str| {
        let failure = Failure::new(Exit::Failed, format!("{what} for {rest} seconds"));
        Err(failure.detail(format!("process {}", beat.pid)).hint(hint))
    };
    let hung = i64::try_from(hung_after.as_secs()).unwrap_or(i64::MAX);
    match beat.doing {
        Doing::Waiting if rest > REST_SECONDS_MAX => {
            stands("the daemon stands still", "start it again; what was missed is made up for")
        }
        // A run may take as long as it takes.
        Doing::Running if rest > hung => stands(
            "nothing has moved in the run",
            "its log says which sources; a command may hang. Started again, the daemon makes up for it",
        ),
        _ => Ok(beat.clone()),
    }
}

#[cfg(test)]
#[path = "heart_tests.rs"]
mod tests;
