//! Running what is due, for as long as nobody ends it.
//!
//! Promise: what became due at the same moment is one run; what was missed, however often, is made up for once; what
//! failed counts as done at its moment and waits for the next, or with `retry` for the end of a pause, as long as it can
//! be remembered how often it failed. A clock that is set back makes nothing due again: what was
//! done in what is the future now counts as done when that was noticed. Without the repository nothing is done, and that
//! is told once; then it is tried again, at most a quarter of an hour later. Nothing here keeps memory from run to run
//! but times and names.
//! Left out on purpose: the clock, waiting, signals, locks and how a repository is opened: that is the `Place`. The binary
//! has one that waits, tests have one whose `wait` moves a clock: thirty days pass in the time that their runs take.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::config::sources::Source;
use crate::format::Time;
use crate::repo::Repository;
use crate::run::agenda::{self, Job, Last, Lasts, What, jobs};
use crate::run::due::{Clock, STEP_SECONDS_MAX};
use crate::run::memory::Memory;
use crate::run::report::{Report, Status};
use crate::run::{self, Request, Why, World, notify, status};

/// Pauses before a repository that cannot be opened is tried again; the last one from then on.
const PAUSES: [Duration; 5] = [minutes(1), minutes(2), minutes(4), minutes(8), minutes(15)];
/// Pause before it is looked again whether another run has ended.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
/// From when on something is late enough for a word.
const LATE_MIN: SignedDuration = SignedDuration::from_mins(2);

const fn minutes(number: u64) -> Duration {
    Duration::from_secs(60 * number)
}

/// Where a daemon lives: its clock, its signals, its repository.
pub trait Place {
    /// What the clock on the wall says.
    fn now(&self) -> Time;

    /// The name of this machine, as worlds have it.
    fn host(&self) -> String;

    /// Waits until the clock on the wall says this; for ever without. May return earlier for no reason, and has to look at
    /// the clock every minute at least: it may be set, and the machine may have slept. A time that has passed is no reason
    /// not to say that something else is to be done.
    fn wait(&self, until: Option<Timestamp>) -> Wake;

    /// Reads the configuration anew. An error says what is wrong with it.
    fn reload(&self) -> Result<Config, String>;

    /// Makes sure that no other run of this configuration is under way, opens the repository, and calls `work` once with
    /// it, or with why it cannot be opened.
    fn turn(&self, config: &Config, work: Work<'_>) -> Result<(), Busy>;

    /// Hears what happens, in the order in which it does.
    fn hear(&self, event: Event<'_>);
}

/// What is done in a turn.
pub type Work<'w> = &'w mut dyn FnMut(Result<&Repository, String>, &mut World<'_>);

/// Another run of this configuration is under way.
#[derive(Debug)]
pub struct Busy;

/// Why waiting is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// It may be time.
    Time,
    /// The configuration is to be read again.
    Reload,
    /// It is to end.
    End,
}

/// What happens.
#[derive(Debug)]
pub enum Event<'e> {
    /// What is due next, and when. Said at the beginning, after each turn and after a new configuration.
    Next {
        /// What comes first; nothing if nothing has a schedule.
        next: Option<(&'e What, Timestamp)>,
    },
    /// A run begins.
    Begins {
        /// What is due.
        due: &'e [What],
        /// When it should have begun, if that is minutes ago.
        missed: Option<Timestamp>,
    },
    /// A run ended.
    Ran(&'e Report),
    /// Another run is under way; it is waited for.
    Waiting,
    /// The repository cannot be opened. Who was told is in the report.
    Unreachable {
        /// Why.
        report: &'e Report,
        /// When it is tried again.
        again: Timestamp,
    },
    /// The repository can be opened again.
    Reachable,
    /// The clock was set back.
    SetBack {
        /// From this.
        from: Time,
        /// To this.
        to: Time,
    },
    /// The configuration was read again.
    Reloaded,
    /// The configuration has mistakes; the one before goes on.
    Refused(&'e str),
    /// It ends.
    Ends,
}

/// Runs what is due until it is ended.
pub fn run(place: &dyn Place, config: Config) {
    let now = place.now();
    let mut daemon = Daemon {
        place,
        config: Rc::new(config),
        host: place.host(),
        done: BTreeMap::new(),
        lasts: None,
        started: now,
        seen: now,
        set_back: None,
        again: None,
        outage: 0,
        untold: Vec::new(),
        waiting: false,
    };
    loop {
        daemon.look_at_the_clock();
        if daemon.wake().is_some_and(|moment| moment <= daemon.seen.timestamp()) {
            daemon.turn();
        }
        match place.wait(daemon.wake()) {
            Wake::Time => {}
            Wake::Reload => daemon.reload(),
            Wake::End => return place.hear(Event::Ends),
        }
    }
}

struct Daemon<'p> {
    place: &'p dyn Place,
    config: Rc<Config>,
    host: String,
    /// What this daemon did, and when last.
    done: BTreeMap<What, Time>,
    /// When everything was done last, as far as is known; nothing before the repository was looked at.
    lasts: Option<Lasts>,
    started: Time,
    /// What the clock said last.
    seen: Time,
    /// From what to what the clock was set back, until it says again what it said before.
    set_back: Option<(Time, Time)>,
    /// When to try again what could not be done.
    again: Option<Timestamp>,
    /// How often the repository could not be opened.
    outage: usize,
    /// Who could not be told of it.
    untold: Vec<String>,
    waiting: bool,
}

impl Daemon<'_> {
    fn clock(&self) -> Clock<'_> {
        Clock { now: self.seen, booted: Some(self.started), host: &self.host }
    }

    fn look_at_the_clock(&mut self) {
        let (from, now) = (self.seen, self.place.now());
        self.seen = now;
        if self.clock().denies(from) {
            self.place.hear(Event::SetBack { from, to: now });
            let before = self.set_back.map_or(from, |(before, _)| before.max(from));
            self.set_back = Some((before, now));
            self.started = self.started.min(now);
            self.again = None;
            if let Some(lasts) = &mut self.lasts {
                lasts.values_mut().for_each(|last| last.time = now.min(last.time));
                self.done = lasts.iter().map(|(what, last)| (what.clone(), last.time)).collect();
            }
        }
        if self.set_back.is_some_and(|(before, _)| before.seconds.saturating_add(STEP_SECONDS_MAX) < now.seconds) {
            self.set_back = None;
        }
    }

    /// When there is something to do; nothing if never.
    fn wake(&self) -> Option<Timestamp> {
        let soonest = || match &self.lasts {
            None => Some(self.seen.timestamp()),
            Some(lasts) => self.next(lasts).map(|(_, moment)| moment),
        };
        self.again.or_else(soonest)
    }

    fn next(&self, lasts: &Lasts) -> Option<(What, Timestamp)> {
        let all = jobs(&self.config).into_iter().filter_map(|job| {
            let moment = self.moment(&job, lasts)?;
            Some((job.what, moment))
        });
        all.min_by_key(|(_, moment)| *moment)
    }

    fn moment(&self, job: &Job<'_>, lasts: &Lasts) -> Option<Timestamp> {
        agenda::next(job, lasts.get(&job.what).copied(), &self.clock())
    }

    fn turn(&mut self) {
        let (place, config) = (self.place, self.config.clone());
        let turned = place.turn(&config, &mut |opened, world| {
            world.booted = Some(self.started);
            self.again = None;
            match opened {
                Ok(repo) => self.work(repo, &config, world),
                Err(error) => self.cannot_open(error, &config, world),
            }
        });
        match turned {
            Ok(()) => self.waiting = false,
            Err(Busy) => {
                if !self.waiting {
                    place.hear(Event::Waiting);
                }
                self.waiting = true;
                self.again = later(place.now(), BUSY_PAUSE);
            }
        }
        self.say_next();
    }

    fn say_next(&self) {
        // Then it was said what is waited for.
        let Some(lasts) = self.lasts.as_ref().filter(|_| self.again.is_none()) else { return };
        let next = self.next(lasts);
        self.place.hear(Event::Next { next: next.as_ref().map(|(what, moment)| (what, *moment)) });
    }

    /// Looks what is due, and does it.
    fn work(&mut self, repo: &Repository, config: &Config, world: &World<'_>) {
        if self.outage > 0 {
            self.outage = 0;
            self.place.hear(Event::Reachable);
            remember_failure(world);
        }
        self.look_at_the_clock();
        self.learn(repo, config, world);
        let Some(lasts) = &self.lasts else { return };
        let now = self.seen.timestamp();
        let due: Vec<(What, Timestamp)> = jobs(config)
            .into_iter()
            .filter_map(|job| Some((self.moment(&job, lasts)?, job.what)))
            .filter_map(|(moment, what)| (moment <= now).then_some((what, moment)))
            .collect();
        let Some(since) = due.iter().map(|(_, moment)| *moment).min() else { return };
        let due: Vec<What> = due.into_iter().map(|(what, _)| what).collect();
        let missed = (now.duration_since(since) >= LATE_MIN).then_some(since);
        self.place.hear(Event::Begins { due: &due, missed });
        self.done.extend(due.iter().map(|what| (what.clone(), self.seen)));
        let is_due = |source: &&Source| due.contains(&What::Source(source.name.clone()));
        let sources: Vec<&Source> = config.sources.iter().filter(is_due).collect();
        let request = Request { why: Why::Due, ..Request::default() };
        let ran = run::run(repo, config, &sources, &request, world);
        let report = ran.unwrap_or_else(|error| Report::without_a_run((world.now)(), error.to_string()));
        self.place.hear(Event::Ran(&report));
        self.look_at_the_clock();
        self.learn(repo, config, world);
    }

    /// Learns when everything was done last.
    fn learn(&mut self, repo: &Repository, config: &Config, world: &World<'_>) {
        let clock = self.clock();
        let jobs = jobs(config);
        let mut lasts = agenda::lasts(&jobs, repo, &clock, world);
        if let Some((_, to)) = self.set_back {
            // Of what is later than the clock was then, nobody can tell by which clock it was.
            lasts.values_mut().for_each(|last| last.time = to.min(last.time));
        }
        for (what, time) in &self.done {
            let last = lasts.entry(what.clone()).or_insert(Last { time: *time, failures: 0, counted: None });
            let known = Some(last.time).filter(|_| self.set_back.is_none());
            last.time = agenda::latest([known, Some(*time)], &clock).unwrap_or(*time);
            if last.counted.is_none_or(|counted| counted.seconds < time.seconds) {
                last.failures = 0;
            }
        }
        self.lasts = Some(lasts);
    }

    fn cannot_open(&mut self, error: String, config: &Config, world: &World<'_>) {
        let mut report = Report::without_a_run((world.now)(), error);
        report.host.clone_from(&world.host);
        let pause = PAUSES[self.outage.min(PAUSES.len() - 1)];
        // Told once; whoever could not be told is told later.
        let wanted = config.notify.iter().filter(|notify| self.outage == 0 || self.untold.contains(&notify.name));
        report.told = notify::tell(&wanted.cloned().collect::<Vec<_>>(), &report, None, world);
        let untold = report.told.iter().filter(|told| told.error.is_some());
        self.untold = untold.map(|told| told.name.clone()).collect();
        report.unwritten = status::files::write_alone(config, &report);
        self.outage += 1;
        self.again = later((world.now)(), pause);
        let again = self.again.unwrap_or(Timestamp::MAX);
        self.place.hear(Event::Unreachable { report: &report, again });
    }

    fn reload(&mut self) {
        match self.place.reload() {
            Ok(config) => {
                if config.repository.path != self.config.repository.path {
                    // What was done there is not done here.
                    self.done.clear();
                }
                self.config = Rc::new(config);
                self.place.hear(Event::Reloaded);
                // There may be sources of which nothing is known yet, and another repository.
                (self.lasts, self.again) = (None, None);
            }
            Err(error) => self.place.hear(Event::Refused(&error)),
        }
    }
}

fn later(now: Time, pause: Duration) -> Option<Timestamp> {
    now.timestamp().checked_add(SignedDuration::try_from(pause).ok()?).ok()
}

/// Somebody was told of a failure, so that they have to be told of the recovery, too.
fn remember_failure(world: &World<'_>) {
    let failed = |memory: &mut Memory| memory.own_mut(world).status = Some(Status::Failed);
    let (_, _nobody_is_told) = Memory::change(world.memory.as_deref(), failed);
}
