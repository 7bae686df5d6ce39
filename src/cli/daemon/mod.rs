//! `larder daemon`

mod first;
mod heart;
mod signals;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write as _};
use std::panic;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use larder::config::Config;
use larder::duration::Length;
use larder::format::Time;
use larder::run::agenda;
use larder::run::daemon::{self, Busy, Event, Place, Wake, Work};
use larder::run::report::Report;

use crate::cli::config::{Found, Which};
use crate::cli::daemon::heart::{Doing, Heart, Pulse};
use crate::cli::daemon::signals::Signals;
use crate::cli::output::{Form, Outcome, Voice, elapsed, harmless, local_moment, local_time};
use crate::cli::report::{Exit, Failure};
use crate::cli::run::summary;
use crate::cli::session::{self, Session, this_host};

/// How long to wait before the clock is looked at again.
const SLICE: Duration = Duration::from_secs(20);

/// As much as the first thread has.
const STACK_BYTES: usize = 8 << 20;

/// Run what larder.toml says is due, whenever it is, until it is ended
///
/// Says on standard error what it does. SIGTERM and Ctrl-C end it; SIGHUP makes it read the configuration again. What was
/// missed is made up for once. Only one daemon runs with one configuration; `larder run` can be used beside it.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Say whether the daemon of this configuration lives and its loop turns: ends with 0 then, else with 1
    #[arg(long)]
    health: bool,
    /// How long nothing may move in a run before it counts as hung
    #[arg(long, value_name = "LENGTH", default_value = "24h", requires = "health")]
    hung_after: Length,
}

/// Runs it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let config = arguments.which.place()?;
    let place = heart::place(session, &config)?;
    if arguments.health {
        return health(session, &place, arguments.hung_after.duration());
    }
    let found = arguments.which.read()?;
    if agenda::jobs(&found.config).is_empty() {
        return Err(Failure::usage("nothing in the configuration has a schedule")
            .hint("add cron = \"0 2 * * *\" to [schedule], or to [source.NAME.schedule]"));
    }
    if !found.unlocks(session)? {
        return Err(Failure::usage("a daemon can ask nobody for the password of the repository")
            .hint("say in [repository] where it is: password_file, password_env, password_command or key_file"));
    }
    first::stand_aside()?;
    let heart = Heart::start(&place)?;
    let voice = session.out.voice();
    let last_words = move |signal: &str| Log(voice).problem(&format!("{signal}: ended in the middle of a run"));
    let signals = Signals::hear(last_words).map_err(|error| Failure::io("cannot listen to signals", &error))?;
    let log = Log(voice);
    log.say(&format!("larder {} watches {}", env!("CARGO_PKG_VERSION"), config.display()));
    let global = session.global.clone();
    let live = || {
        let here = Here {
            log,
            which: &arguments.which,
            config,
            session: RefCell::new(Session::new(global)),
            found: RefCell::new(found),
            signals,
            heart,
            heart_failed: Cell::new(false),
            next: RefCell::default(),
        };
        let config = here.found.borrow().config.clone();
        daemon::run(&here, config);
    };
    // Not on the first thread: the kernel gives it the signals, and one that waits for a disk that does not answer would
    // not hear them.
    thread::scope(|scope| {
        let living = thread::Builder::new().name("daemon".into()).stack_size(STACK_BYTES).spawn_scoped(scope, live);
        let living = living.map_err(|error| Failure::io("cannot start a thread", &error))?;
        living.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
        Ok(Exit::Done)
    })
}

fn health(session: &mut Session, place: &Path, hung_after: Duration) -> Outcome {
    let beat = heart::look(place, hung_after)?;
    if session.out.form() == Form::Json {
        session.out.json(&beat)?;
    } else {
        session.out.say(beat.said())?;
    }
    Ok(Exit::Done)
}

/// Lines on standard error, each with the time.
#[derive(Clone, Copy)]
struct Log(Voice);

impl Log {
    fn say(self, text: &str) {
        if self.0 == Voice::Normal {
            self.problem(text);
        }
    }

    /// What is said even when quiet. Lines after the first are its details.
    fn problem(self, text: &str) {
        let text = harmless(text).replace('\n', "\n  ");
        let _nobody_listens = writeln!(io::stderr(), "{} {text}", local_time(session::now()));
    }
}

/// Where the daemon lives.
struct Here<'a> {
    log: Log,
    which: &'a Which,
    /// The file of the configuration.
    config: PathBuf,
    session: RefCell<Session>,
    found: RefCell<Found>,
    signals: Signals,
    heart: Heart,
    heart_failed: Cell<bool>,
    /// What is due next, for who asks.
    next: RefCell<String>,
}

impl Here<'_> {
    fn beat(&self, doing: Doing) {
        let failed = self.heart.beat(doing, &self.next.borrow());
        // Said once, not three times a minute.
        if let (Err(error), false) = (&failed, self.heart_failed.get()) {
            self.log.problem(&format!("warning: cannot show that it lives (larder daemon --health): {error}"));
        }
        self.heart_failed.set(failed.is_err());
    }

    /// The file that runs lock, as it is now: editors put a new one in its place.
    fn file(&self) -> io::Result<File> {
        File::open(&self.config).or_else(|_| self.found.borrow().file.try_clone())
    }

    fn ran(&self, report: &Report) {
        for source in &report.sources {
            let name = &source.name;
            self.log.say(&format!("{name}: {}: {}", source.status.word(), summary(report, source)));
            source.warnings.iter().for_each(|warning| self.log.problem(&format!("{name}: warning: {warning}")));
            source.errors.iter().for_each(|error| self.log.problem(&format!("{name}: error: {error}")));
        }
        for upkeep in &report.upkeep {
            match &upkeep.error {
                Some(error) => self.log.problem(&format!("{}: error: {error}", upkeep.what)),
                None => self.log.say(&format!("{}: done: {}", upkeep.what, upkeep.outcome)),
            }
        }
        report.errors.iter().for_each(|error| self.log.problem(&format!("error: {error}")));
        let (run, status) = (&report.run, report.status.word());
        self.log.say(&format!("run {run}: {status} in {}", elapsed(report.duration_seconds)));
        self.told(report);
    }

    /// What is done with every report.
    fn told(&self, report: &Report) {
        for told in &report.told {
            if let Some(error) = &told.error {
                self.log.problem(&format!("warning: {} could not be told: {error}", told.name));
            }
        }
        for unwritten in &report.unwritten {
            self.log.problem(&format!("warning: [status] cannot write {unwritten}"));
        }
    }
}

impl Place for Here<'_> {
    fn now(&self) -> Time {
        session::now()
    }

    fn host(&self) -> String {
        this_host()
    }

    fn wait(&self, until: Option<Timestamp>) -> Wake {
        self.beat(Doing::Waiting);
        let left = until.map(|until| until.duration_since(session::now().timestamp()));
        let left = left.map_or(SLICE, |left| Duration::try_from(left).unwrap_or_default());
        self.signals.wait(left.min(SLICE))
    }

    fn reload(&self) -> Result<Config, String> {
        let found = self.which.read().map_err(|failure| failure.message())?;
        let config = found.config.clone();
        if !found.unlocks(&self.session.borrow()).map_err(|failure| failure.message())? {
            return Err("[repository] does not say what unlocks it".to_owned());
        }
        self.found.replace(found);
        Ok(config)
    }

    fn turn(&self, _: &Config, work: Work<'_>) -> Result<(), Busy> {
        // Else it is to end, which `wait` says.
        let Some(_running) = self.signals.begin() else { return Ok(()) };
        self.beat(Doing::Running);
        let found = self.found.borrow();
        let lock = self.file().and_then(|file| {
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            Ok(file)
        });
        let locked = match lock {
            Err(error) if error.raw_os_error() == Some(Errno::WOULDBLOCK.raw_os_error()) => return Err(Busy),
            locked => locked.map_err(|error| Failure::io("cannot lock the configuration", &error)),
        };
        let pulse = Pulse::of(&self.heart, self.next.borrow().clone(), self.log);
        let mut session = self.session.borrow_mut();
        let opened = locked.and_then(|lock| Ok((lock, found.open(&mut session)?)));
        match opened {
            Ok((_lock, repo)) => {
                let mut world = found.world(&session, &pulse, Some(&repo));
                work(Ok(&repo), &mut world);
            }
            Err(failure) => {
                let mut world = found.world(&session, &pulse, None);
                work(Err(failure.message()), &mut world);
            }
        }
        Ok(())
    }

    fn hear(&self, event: Event<'_>) {
        match event {
            Event::Next { next } => {
                let next = next.map(|(what, moment)| format!("{} at {}", what.name(), local_moment(moment)));
                let next = next.unwrap_or_else(|| "nothing has a schedule".to_owned());
                self.log.say(&format!("next: {next}"));
                self.next.replace(next);
            }
            Event::Begins { due, missed } => {
                let names: Vec<&str> = due.iter().map(agenda::What::name).collect();
                let missed = missed.map(|moment| format!("; due since {}", local_moment(moment)));
                self.log.say(&format!("run of {}{}", names.join(", "), missed.unwrap_or_default()));
            }
            Event::Ran(report) => self.ran(report),
            Event::Waiting => self.log.say("another run of this configuration is under way: waiting for its end"),
            Event::Unreachable { report, again } => {
                let why = report.errors.join("\n");
                let again = local_moment(again);
                self.log.problem(&format!("error: cannot open the repository, tried again at {again}: {why}"));
                self.told(report);
            }
            Event::Reachable => self.log.say("the repository can be opened again"),
            Event::SetBack { from, to } => {
                let (from, to) = (local_time(from), local_time(to));
                self.log
                    .problem(&format!("warning: the clock was set back from {from} to {to}; nothing is done twice"));
            }
            Event::Reloaded => self.log.say("the configuration was read again"),
            Event::Refused(error) => {
                self.log.problem(&format!("error: the configuration was read again; the one before goes on: {error}"));
            }
            Event::Ends => self.log.say("ended"),
        }
    }
}
