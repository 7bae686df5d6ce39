//! Thirty days of each example under the daemon, with a clock that the test moves: days on which its services are used,
//! two of them with one that fails, three that the machine sleeps, and a Sunday that clocks are changed on: where they are
//! put forward on 29 March, its hour is skipped; where they are put back on 5 April, it comes twice.
//!
//! Promise: which snapshots have to be there in the end is reckoned here, from what the policy says, day by day, without
//! the code that keeps or forgets them; and the newest of each source is put back and compared.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use larder::chunking::Sizes;
use larder::config;
use larder::crypto::slot::Stretch;
use larder::format::objects::WeekStart;
use larder::repo::open::{self, NewRepository};
use larder::run::daemon::Place as _;
use larder::run::into::{self, Safety};
use larder::storage::memory::Memory;

use super::alan::Alan;
use super::arasul::Arasul;
use super::gofr_plot::GofrPlot;
use super::hoppybrew::Hoppybrew;
use super::schedgen::Schedgen;
use super::{Site, Stage, file};
use crate::services::n8n::N8n;
use crate::support::days::{Action, Days, Store, at, key};
use crate::support::docker::Engine;

/// Noon of the first day, in universal time like all that the script says, and that of the last.
const FIRST: Date = date(2026, 3, 10);
const DAYS: u32 = 30;
/// The day at whose noon the machine falls asleep, and for how many days.
const SLEEP: (Date, i32) = (date(2026, 3, 15), 3);
/// The day after whose runs a service breaks, and that after whose runs it is mended.
const BROKEN: (Date, Date) = (date(2026, 3, 20), date(2026, 3, 22));

/// Takes the place of an example's time zone, where it has no variable of its own for that.
const ZONE: &str = "LARDER__SCHEDULE__TIMEZONE";

/// What an example says, once more: when, and how many stay.
#[derive(Clone, Copy)]
struct Expected {
    zone: &'static str,
    hour: i8,
    week_start: WeekStart,
    within: Option<i32>,
    daily: usize,
    weekly: usize,
    monthly: usize,
    most: usize,
}

const NOTHING: Expected = Expected {
    zone: "UTC",
    hour: 2,
    week_start: WeekStart::Monday,
    within: None,
    daily: 0,
    weekly: 0,
    monthly: 0,
    most: usize::MAX,
};

/// A snapshot, and whether it is the first of its day, week, month.
#[derive(Debug, Clone)]
struct Kept {
    begun: Timestamp,
    day: Date,
    firsts: [bool; 3],
}

impl Expected {
    fn zone(&self) -> TimeZone {
        TimeZone::get(self.zone).unwrap()
    }

    /// When runs begin, if the machine is awake: at once, then every day.
    fn runs(&self) -> Vec<Timestamp> {
        let noon = |day: Date| day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let (asleep, awake) = (noon(SLEEP.0), noon(SLEEP.0 + SLEEP.1.days()));
        let days = (1..=DAYS).map(|n| FIRST + i64::from(n).days());
        let moments = days.map(|day| day.at(self.hour, 0, 0, 0).to_zoned(self.zone()).unwrap().timestamp());
        let mut runs = vec![noon(FIRST)];
        // What it slept through is made up for once.
        runs.extend(moments.map(|moment| if (asleep..awake).contains(&moment) { awake } else { moment }));
        runs.dedup();
        runs
    }

    /// Those of the runs that leave a snapshot of the source that a service breaks for.
    fn runs_while_one_is_broken(&self) -> Vec<Timestamp> {
        let day = |run: &Timestamp| run.to_zoned(TimeZone::UTC).date();
        self.runs().into_iter().filter(|run| !(BROKEN.0 < day(run) && day(run) <= BROKEN.1)).collect()
    }

    /// What is left of these snapshots, if each run keeps what the policy says.
    fn left(&self, runs: &[Timestamp]) -> Vec<Timestamp> {
        let mut kept: Vec<Kept> = Vec::new();
        for run in runs {
            let day = Zoned::new(*run, self.zone()).date();
            let is_first =
                |period: usize| !kept.iter().any(|one| self.period(one.day, period) == self.period(day, period));
            let firsts = [0, 1, 2].map(is_first);
            kept.push(Kept { begun: *run, day, firsts });
            kept = self.kept(kept);
        }
        kept.into_iter().map(|one| one.begun).collect()
    }

    fn period(&self, day: Date, period: usize) -> Date {
        let into_week = match self.week_start {
            WeekStart::Monday => day.weekday().to_monday_zero_offset(),
            WeekStart::Sunday => day.weekday().to_sunday_zero_offset(),
        };
        [day, day - i32::from(into_week).days(), day.first_of_month()][period]
    }

    fn kept(&self, snapshots: Vec<Kept>) -> Vec<Kept> {
        let newest = snapshots.last().unwrap().begun;
        let since = self.within.map(|days| newest.to_zoned(self.zone()).checked_sub(days.days()).unwrap().timestamp());
        let mut places = [self.daily, self.weekly, self.monthly];
        let mut kept = Vec::new();
        for one in snapshots.into_iter().rev() {
            let mut stays = one.begun == newest || since.is_some_and(|since| one.begun >= since);
            for (first, places) in one.firsts.iter().zip(&mut places).filter(|(first, _)| **first) {
                stays |= *first && *places > 0;
                *places = places.saturating_sub(1);
            }
            if stays && kept.len() < self.most {
                kept.push(one);
            }
        }
        kept.reverse();
        kept
    }
}

/// A daemon, whose repository in memory is as the example wants it.
fn days_of<S: Stage>(site: &Site<S>, expected: &Expected, more: &[(&str, &str)]) -> Days {
    let noon = format!("{FIRST}T12:00:00Z");
    let memory = Memory::new();
    memory.set_time(UNIX_EPOCH + Duration::from_secs(u64::try_from(at(&noon).seconds).unwrap()));
    let new = NewRepository {
        time_zone: expected.zone.into(),
        week_start: expected.week_start,
        sizes: Sizes { min: 256, average: 1024, max: 4096 },
        credential: &key(),
        stretch: Stretch::None,
        now: at(&noon),
    };
    open::create(&memory, &new).unwrap();
    let mut days = Days::with(Store::Memory(memory), key(), site.folder.path(), &noon);
    let variables = site.stage.variables(site.folder.path());
    let variables = variables.iter().map(|(name, value)| (*name, value.as_str())).chain(more.iter().copied());
    days.variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    days.text.replace(std::fs::read_to_string(file(S::NAME)).unwrap());
    days
}

/// Thirty days, of which all snapshots are there that the policy allows, and no others.
fn thirty_days<S: Stage + 'static>(stage: S, expected: &Expected, more: &[(&str, &str)]) -> (Rc<Site<S>>, Days) {
    let site = Rc::new(Site::new(stage));
    let days = days_of(&site, expected, more);
    site.stage.live_a_day(0);
    for n in 1..DAYS {
        let day = FIRST + i64::from(n).days();
        meanwhile(&days, &site, &format!("{day}T13:00:00Z"), move |stage| stage.live_a_day(n));
    }
    days.when(&format!("{}T12:00:00Z", SLEEP.0), Action::Sleep(i64::from(SLEEP.1) * 24 * 60 * 60));
    meanwhile(&days, &site, &format!("{}T20:00:00Z", BROKEN.0), S::break_one);
    meanwhile(&days, &site, &format!("{}T20:00:00Z", BROKEN.1), S::mend_it);
    days.live_until(&format!("{}T12:00:00Z", FIRST + i64::from(DAYS).days()));

    let (all, fewer) = (expected.runs(), expected.runs_while_one_is_broken());
    assert_eq!((all.len(), fewer.len()), (29, 27), "three runs were slept through and made up for once");
    let zone = expected.zone();
    assert!(zone.to_offset(all[0]) != zone.to_offset(all[28]), "clocks are not changed in {}", expected.zone);
    let text = |times: Vec<Timestamp>| times.iter().map(Timestamp::to_string).collect::<Vec<_>>();
    let content = site.stage.content();
    for source in content.keys() {
        let runs = if *source == S::BREAKS { &fewer } else { &all };
        let found: Vec<String> =
            days.snapshots(source).iter().map(|one| one.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(found, text(expected.left(runs)), "{source}");
    }
    let ran: Vec<String> = days.runs().into_iter().filter(|run| run.contains(S::BREAKS)).collect();
    assert_eq!(ran.len(), all.len(), "{ran:#?}");
    let failed: Vec<&str> = ran.iter().filter(|run| run.contains(" failed")).map(|run| &run[..10]).collect();
    assert_eq!(failed, ["2026-03-21", "2026-03-22"], "{ran:#?}");
    for what in ["prune", "check"] {
        assert!(days.runs().iter().filter(|run| run.contains(what)).count() > 3, "{:#?}", days.runs());
    }
    site.stage.destroy();
    put_back(&days, content.keys());
    assert!(site.stage.content() == content, "{:#?}\n{content:#?}", site.stage.content());
    (site, days)
}

/// Something that happens to the services at this time.
fn meanwhile<S: Stage + 'static>(days: &Days, site: &Rc<Site<S>>, time: &str, act: impl Fn(&S) + 'static) {
    let site = site.clone();
    days.when(time, Action::Do(Box::new(move |_| act(&site.stage))));
}

/// The newest snapshot of each of these sources, back into it.
fn put_back<'s>(days: &Days, sources: impl Iterator<Item = &'s &'static str>) {
    let config = config::read(&days.text.borrow(), &days.variables).unwrap();
    for name in sources {
        let source = config.sources.iter().find(|source| source.name == **name).unwrap();
        let turned = days.turn(&config, &mut |repo, world| {
            let repo = repo.unwrap();
            let state = repo.state();
            let newest = state.newest_of(repo.keys().series_id(name, &world.host)).unwrap();
            let record = repo.record(newest).unwrap();
            let outcome = into::put_back(repo, source, &record, Safety::Skip, world).unwrap();
            assert_eq!(outcome.errors, [""; 0], "{name}");
        });
        turned.unwrap();
    }
}

/// larder's library hands the variables of its process on to `docker`. So this test is run again, as a process that has
/// the right ones.
fn with_an_engine(test: &str, run: impl FnOnce(Engine)) {
    const FOLDER: &str = "LARDER_TEST_ENGINE";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let engine = Engine::start();
        symlink(engine.path("socket"), std::path::Path::new(&folder).join("socket")).unwrap();
        return run(engine);
    }
    let folder = tempfile::Builder::new().prefix("dk").tempdir_in("/tmp").unwrap();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", &format!("examples::thirty_days::{test}")]).env(FOLDER, folder.path());
    let output = again.env("DOCKER_HOST", format!("unix://{}/socket", folder.path().display())).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn alan() {
    with_an_engine("alan", |engine| {
        let zone = "Europe/Athens";
        let expected = Expected { zone, hour: 3, week_start: WeekStart::Sunday, daily: 7, weekly: 4, ..NOTHING };
        // Containers that stop and start take seconds each time; that they do is seen where the example is run once.
        let leave = ["GRAFANA", "LOKI", "RABBITMQ"].map(|source| format!("LARDER__SOURCE__{source}__WHILE_RUNNING"));
        let leave = leave.iter().map(|name| (name.as_str(), "leave"));
        let variables: Vec<(&str, &str)> = leave.chain([(ZONE, zone)]).collect();
        thirty_days(Alan::with_the_broker_beside(engine), &expected, &variables);
    });
}

#[test]
fn arasul() {
    with_an_engine("arasul", |engine| {
        let calendar = Expected { zone: "Europe/Berlin", week_start: WeekStart::Sunday, ..NOTHING };
        let fewer = [("BACKUP_RETENTION_DAYS", "10"), ("BACKUP_RETENTION_WEEKLY", "3")];
        let expected = Expected { daily: 10, weekly: 3, ..calendar };
        thirty_days(Arasul::start(engine, N8n::fixture()), &expected, &fewer);
    });
}

#[test]
fn gofr_plot() {
    let zone = "Australia/Sydney";
    let variables = [
        (ZONE, zone),
        ("GOFR_PLOT_BACKUP_RETENTION_DAYS", "9"),
        ("GOFR_PLOT_BACKUP_WEEKLY_RETENTION_WEEKS", "4"),
        ("GOFR_PLOT_BACKUP_MONTHLY_RETENTION_MONTHS", "2"),
        ("GOFR_PLOT_BACKUP_MAX_COUNT", "11"),
    ];
    let expected = Expected { zone, within: Some(9), weekly: 4, monthly: 2, most: 11, ..NOTHING };
    thirty_days(GofrPlot::start(), &expected, &variables);
}

#[test]
fn hoppybrew() {
    // By half an hour.
    let zone = "Australia/Lord_Howe";
    let expected = Expected { zone, within: Some(12), ..NOTHING };
    thirty_days(Hoppybrew::start(), &expected, &[(ZONE, zone), ("BACKUP_RETENTION_DAYS", "12")]);
}

#[test]
fn schedgen() {
    let zone = "Australia/Adelaide";
    let expected = Expected { zone, daily: 7, ..NOTHING };
    let (site, _days) = thirty_days(Schedgen::start(), &expected, &[("TZ", zone)]);
    let told: BTreeMap<bool, usize> = site.stage.told().iter().fold(BTreeMap::new(), |mut told, text| {
        *told.entry(text.contains("database: failed")).or_default() += 1;
        told
    });
    assert_eq!(
        told,
        BTreeMap::from([(true, 2), (false, 1)]),
        "two failures, and one recovery: {:?}",
        site.stage.told()
    );
}
