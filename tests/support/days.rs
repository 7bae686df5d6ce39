//! Simulated days of a daemon: a place for `run::daemon` whose `wait` moves a clock instead of waiting.
//!
//! Promise: what the daemon does is real: sources, hooks, repository, retention. Only the clock is not, and what the
//! script says happens meanwhile: the clock is set, the machine sleeps, the daemon is ended.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use larder::chunking::Sizes;
use larder::config::variables::Variables;
use larder::config::{self, Config};
use larder::crypto::secret::Secret;
use larder::crypto::slot::Stretch;
use larder::format::Time;
use larder::format::listing::Owner;
use larder::format::objects::WeekStart;
use larder::progress::Silent;
use larder::repo::Repository;
use larder::repo::open::{self, NewRepository};
use larder::repo::slots::Credential;
use larder::run::World;
use larder::run::daemon::{self, Busy, Event, Place, Wake, Work};
use larder::run::report::Report;
use larder::storage::Storage;
use larder::storage::local::Local;
use larder::storage::memory::Memory;

use crate::support::schemas;

/// Where the repository is.
pub enum Store {
    /// In memory, where objects are as old as the simulated clock says.
    Memory(Memory),
    /// In a folder, where another process sees it, too.
    Folder(PathBuf),
    /// Anywhere.
    Any(Arc<dyn Storage>),
}

/// What happens at some time.
pub enum Action {
    /// The clock is set by so many seconds.
    Set(i64),
    /// The machine sleeps for so many seconds.
    Sleep(i64),
    /// The daemon is asked to read its configuration again: this one.
    Reload(String),
    /// The daemon is ended.
    End,
    /// Anything else.
    Do(Box<dyn Fn(&Days)>),
}

/// A machine with a daemon on it.
pub struct Days {
    pub store: Store,
    pub credential: Credential,
    /// The folder for the cache and for what is remembered.
    pub cache: PathBuf,
    pub variables: Variables,
    pub host: String,
    /// What `larder.toml` says.
    pub text: RefCell<String>,
    /// Why the repository cannot be opened, if it cannot.
    pub broken: RefCell<Option<String>>,
    /// What is remembered, from when on nothing can be written where it is.
    pub frozen: RefCell<Option<File>>,
    /// Whether another run is under way.
    pub busy: Cell<bool>,
    /// Every report of a run, in order.
    pub reports: RefCell<Vec<Report>>,
    /// Every event in a line, with the time that the clock shows.
    pub log: RefCell<Vec<String>>,
    /// How often the daemon asked for the repository.
    pub turns: Cell<usize>,
    /// How often the daemon waited.
    pub waits: Cell<usize>,
    /// Seconds that really passed since the beginning.
    passed: Cell<i64>,
    start: i64,
    /// What the clock shows is this and what has passed.
    offset: Cell<i64>,
    script: RefCell<BTreeMap<i64, VecDeque<Action>>>,
}

/// A time as it is written.
pub fn at(text: &str) -> Time {
    let time: Timestamp = text.parse().unwrap();
    Time { seconds: time.as_second(), nanos: 0 }
}

/// The key file of repositories made here.
pub fn key() -> Credential {
    Credential::KeyFile(Secret::new([7; 32]))
}

impl Days {
    /// On a machine whose clock shows this time, with an empty repository in memory, in this time zone.
    pub fn new(folder: &Path, start: &str, zone: &str) -> Self {
        let memory = Memory::new();
        memory.set_time(UNIX_EPOCH + Duration::from_secs(at(start).seconds as u64));
        let new = NewRepository {
            time_zone: zone.into(),
            week_start: WeekStart::Monday,
            sizes: Sizes { min: 256, average: 1024, max: 4096 },
            credential: &key(),
            stretch: Stretch::None,
            now: at(start),
        };
        open::create(&memory, &new).unwrap();
        Self::with(Store::Memory(memory), key(), folder, start)
    }

    /// The same, with a repository that is there.
    pub fn with(store: Store, credential: Credential, folder: &Path, start: &str) -> Self {
        Self {
            store,
            credential,
            cache: folder.join("cache"),
            variables: Variables::default(),
            host: "here".into(),
            text: RefCell::default(),
            broken: RefCell::default(),
            frozen: RefCell::default(),
            busy: Cell::new(false),
            reports: RefCell::default(),
            log: RefCell::default(),
            turns: Cell::new(0),
            waits: Cell::new(0),
            passed: Cell::new(0),
            start: at(start).seconds,
            offset: Cell::new(at(start).seconds),
            script: RefCell::default(),
        }
    }

    /// At this time, as the clock would show it if nobody set it, this happens.
    pub fn when(&self, time: &str, action: Action) {
        self.script.borrow_mut().entry(at(time).seconds - self.start).or_default().push_back(action);
    }

    /// A daemon is started, and runs until the script or this time ends it, as the clock would show it if nobody set it.
    pub fn live_until(&self, time: &str) {
        self.when(time, Action::End);
        let config = self.config().unwrap();
        daemon::run(self, config);
    }

    /// No daemon runs for so many seconds.
    pub fn off(&self, seconds: i64) {
        self.pass(seconds);
    }

    /// Opens the repository.
    pub fn open(&self) -> Result<Repository, String> {
        if let Some(why) = &*self.broken.borrow() {
            return Err(why.clone());
        }
        let storage: Arc<dyn Storage> = match &self.store {
            Store::Memory(memory) => Arc::new(memory.clone()),
            Store::Folder(folder) => Arc::new(Local::open(folder).map_err(|error| error.to_string())?),
            Store::Any(storage) => storage.clone(),
        };
        let opened = open::open(storage, &self.credential, Some(&self.cache)).map_err(|error| error.to_string());
        Ok(opened?.0)
    }

    /// Where is remembered what runs did.
    pub fn memory(&self) -> PathBuf {
        match &*self.frozen.borrow() {
            // Can be read, but nobody can make a file beside it, not even root.
            Some(file) => format!("/proc/self/fd/{}", file.as_raw_fd()).into(),
            None => self.cache.join("upkeep.json"),
        }
    }

    /// Each run as `when: source status, source status`, with the names of what was done for the repository.
    pub fn runs(&self) -> Vec<String> {
        let one = |report: &Report| {
            let sources = report.sources.iter().map(|source| format!("{} {}", source.name, source.status.word()));
            let upkeep = report.upkeep.iter().map(|upkeep| upkeep.what.to_owned());
            format!("{}: {}", report.started, sources.chain(upkeep).collect::<Vec<_>>().join(", "))
        };
        self.reports.borrow().iter().map(one).collect()
    }

    /// When each live snapshot of a source was begun, with its tags, in the order of the log.
    pub fn snapshots(&self, source: &str) -> Vec<String> {
        let repo = self.open().unwrap();
        let series = repo.keys().series_id(source, &self.host);
        let state = repo.state();
        let live = state.live().filter(|snapshot| snapshot.series == series);
        live.map(|snapshot| {
            let tags: Vec<&str> = snapshot.tags.iter().map(String::as_str).collect();
            format!("{} {}", snapshot.started.rfc3339(), tags.join("+"))
        })
        .collect()
    }

    /// What is configured.
    pub fn config(&self) -> Result<Config, String> {
        config::read(&self.text.borrow(), &self.variables)
            .map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn pass(&self, seconds: i64) {
        self.passed.set(self.passed.get() + seconds);
        self.show();
    }

    fn show(&self) {
        if let Store::Memory(memory) = &self.store {
            memory.set_time(UNIX_EPOCH + Duration::from_secs(self.seconds() as u64));
        }
    }

    fn seconds(&self) -> i64 {
        self.offset.get() + self.passed.get()
    }

    /// What the script has next, and when.
    fn next_action(&self) -> Option<(i64, Action)> {
        let mut script = self.script.borrow_mut();
        let mut first = script.first_entry()?;
        let time = *first.key();
        let action = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        Some((time, action?))
    }
}

impl Place for Days {
    fn now(&self) -> Time {
        Time { seconds: self.seconds(), nanos: 0 }
    }

    fn host(&self) -> String {
        self.host.clone()
    }

    fn wait(&self, until: Option<Timestamp>) -> Wake {
        self.waits.set(self.waits.get() + 1);
        assert!(self.waits.get() < 200_000, "it never rests: {:?}", self.log.borrow().iter().rev().take(9));
        let until = until.map(|until| until.as_second() - self.offset.get());
        let scripted = self.script.borrow().keys().next().copied();
        let scripted = scripted.expect("waits for ever");
        if let Some(until) = until.filter(|until| *until < scripted) {
            self.pass((until - self.passed.get()).max(0));
            return Wake::Time;
        }
        self.pass((scripted - self.passed.get()).max(0));
        match self.next_action().unwrap().1 {
            Action::Set(by) => {
                self.offset.set(self.offset.get() + by);
                self.show();
            }
            Action::Sleep(seconds) => self.pass(seconds),
            Action::Do(action) => action(self),
            Action::End => return Wake::End,
            Action::Reload(text) => {
                self.text.replace(text);
                return Wake::Reload;
            }
        }
        Wake::Time
    }

    fn reload(&self) -> Result<Config, String> {
        self.config()
    }

    fn turn(&self, _: &Config, work: Work<'_>) -> Result<(), Busy> {
        self.turns.set(self.turns.get() + 1);
        if self.busy.get() {
            return Err(Busy);
        }
        std::fs::create_dir_all(&self.cache).unwrap();
        let now = || Place::now(self);
        let mut world = World {
            now: &now,
            variables: &self.variables,
            host: self.host.clone(),
            owner: Owner { uid: 0, gid: 0, user: b"root"[..].into(), group: b"root"[..].into() },
            threads: 1,
            booted: None,
            memory: Some(self.memory()),
            configuration: String::new(),
            own: Vec::new(),
            skip: Vec::new(),
            observer: &Silent,
        };
        match self.open() {
            Ok(repo) => work(Ok(&repo), &mut world),
            Err(why) => work(Err(why), &mut world),
        }
        Ok(())
    }

    fn hear(&self, event: Event<'_>) {
        if let Event::Ran(report) = &event {
            schemas::holds("webhook_payload.json", &serde_json::to_value(report).unwrap());
            if let Some(folder) = self.config().ok().and_then(|config| config.status.directory) {
                assert!(schemas::hold_in(&folder) >= 3, "{}", folder.display());
            }
            self.reports.borrow_mut().push((*report).clone());
        }
        let text = match event {
            Event::Next { next: Some((what, moment)) } => format!("next {} {moment}", what.name()),
            Event::Next { next: None } => "next nothing".to_owned(),
            Event::Begins { missed, .. } => format!("begins {}", missed.map_or_else(String::new, |at| at.to_string())),
            Event::Ran(report) => format!("ran {}", report.status.word()),
            Event::Unreachable { again, report } => format!("unreachable {} again {again}", report.errors.join(" ")),
            other => format!("{other:?}"),
        };
        self.log.borrow_mut().push(format!("{} {text}", Place::now(self).rfc3339()));
    }
}
