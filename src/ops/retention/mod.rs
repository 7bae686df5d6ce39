//! Retention: tiers are tags, and a policy says which of them stay.
//!
//! Promise: order is the order of the log, never the clock's. The newest complete snapshot of a series stays whatever
//! is asked, tags that people named stay until they remove them, and judging what is left changes nothing more. Pure.
//! Left out on purpose: reading and appending log entries (`ops::forget`, `ops::tag`, `ops::backup`).

pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, Zoned};

use crate::format::Time;
use crate::format::objects::WeekStart;
use crate::id::SnapshotId;
use crate::ops::retention::verdict::{Dropped, Kept, Reason, Rule, Verdict};
use crate::repo::commit::Draft;
use crate::repo::state::{Snapshot, State};

/// A tag that larder gives by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Every snapshot.
    Last,
    /// The first complete one of a day.
    Daily,
    /// The first complete one of a week.
    Weekly,
    /// The first complete one of a month.
    Monthly,
    /// The first complete one of a year.
    Yearly,
}

/// All tiers, the finest first.
pub const TIERS: [Tier; 5] = [Tier::Last, Tier::Daily, Tier::Weekly, Tier::Monthly, Tier::Yearly];

impl Tier {
    /// The tag.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Last => "last",
            Tier::Daily => "daily",
            Tier::Weekly => "weekly",
            Tier::Monthly => "monthly",
            Tier::Yearly => "yearly",
        }
    }

    /// The tier of a tag; `None` for a tag that people named.
    pub fn of_tag(tag: &str) -> Option<Self> {
        TIERS.into_iter().find(|tier| tier.name() == tag)
    }
}

/// The repository's time zone is neither in the time zone database of this machine nor in the one built in.
#[derive(Debug, thiserror::Error)]
#[error("the repository's time zone {zone} is not known on this machine")]
pub struct CalendarError {
    /// Its name.
    pub zone: String,
    /// What was said about it.
    #[source]
    pub source: jiff::Error,
}

/// When days, weeks, months and years begin.
#[derive(Debug, Clone)]
pub struct Calendar {
    zone: TimeZone,
    week_start: WeekStart,
}

/// A day, week, month or year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    tier: Tier,
    first: Date,
}

impl Calendar {
    /// The calendar of a time zone, by its IANA name. This machine's rules come first, since they may be newer; but a
    /// repository must not become useless on a machine without them, or with old ones that lack the name.
    pub fn new(zone: &str, week_start: WeekStart) -> Result<Self, CalendarError> {
        match TimeZone::get(zone).or_else(|_| TimeZoneDatabase::bundled().get(zone)) {
            Ok(zone) => Ok(Self { zone, week_start }),
            Err(source) => Err(CalendarError { zone: zone.to_owned(), source }),
        }
    }

    /// The period of a tier that a time lies in. `None` for `last`: there every snapshot has a place of its own.
    pub fn period(&self, tier: Tier, time: Time) -> Option<Period> {
        let day = self.zone.to_datetime(time.timestamp()).date();
        let first = match tier {
            Tier::Last => return None,
            Tier::Daily => day,
            Tier::Weekly => day.saturating_sub(Span::new().days(match self.week_start {
                WeekStart::Monday => day.weekday().to_monday_zero_offset(),
                WeekStart::Sunday => day.weekday().to_sunday_zero_offset(),
            })),
            Tier::Monthly => day.first_of_month(),
            Tier::Yearly => day.first_of_year(),
        };
        Some(Period { tier, first })
    }

    /// The time that lies so long before another one.
    fn before(&self, time: Time, span: Span) -> Timestamp {
        let then = Zoned::new(time.timestamp(), self.zone.clone()).checked_sub(span.abs());
        then.map_or(Timestamp::MIN, |then| then.timestamp())
    }
}

/// The tags of a snapshot about to be committed: `last`, those of the tiers whose place is free, and those given by
/// hand, which may be tiers too. To be asked again whenever the log has grown.
pub fn tags_for_new(state: &State, calendar: &Calendar, draft: &Draft, given: &[String]) -> Vec<String> {
    let others: Vec<&Snapshot> = state.live().filter(|other| other.series == draft.series && is_good(other)).collect();
    let is_free = |tier: Tier| {
        let place = calendar.period(tier, draft.started);
        let mut holders = others.iter().filter(|other| other.tags.contains(tier.name()));
        holders.all(|holder| calendar.period(tier, holder.started) != place)
    };
    let earned = |tier: &Tier| *tier == Tier::Last || (draft.complete && is_free(*tier));
    let mut tags: Vec<String> = TIERS.into_iter().filter(earned).map(|tier| tier.name().to_owned()).collect();
    for tag in given {
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    tags
}

/// What is to stay, for each series alone.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How many snapshots keep `last`.
    pub last: u32,
    /// How many keep `daily`.
    pub daily: u32,
    /// How many keep `weekly`.
    pub weekly: u32,
    /// How many keep `monthly`.
    pub monthly: u32,
    /// How many keep `yearly`.
    pub yearly: u32,
    /// Snapshots begun so shortly before the newest one was keep all their tags.
    pub within: Option<Span>,
    /// Snapshots that have one of these tags keep all their tags.
    pub keep_tags: Vec<String>,
    /// Most snapshots that tiers alone hold; applied last, oldest first.
    pub max_count: Option<u32>,
}

impl Policy {
    /// Keeps only what always stays. What people ask for is filled in.
    pub const NOTHING: Self = Self {
        last: 0,
        daily: 0,
        weekly: 0,
        monthly: 0,
        yearly: 0,
        within: None,
        keep_tags: Vec::new(),
        max_count: None,
    };

    /// How many snapshots keep the tag of a tier.
    pub fn count(&self, tier: Tier) -> u32 {
        match tier {
            Tier::Last => self.last,
            Tier::Daily => self.daily,
            Tier::Weekly => self.weekly,
            Tier::Monthly => self.monthly,
            Tier::Yearly => self.yearly,
        }
    }
}

/// A snapshot as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its name.
    pub id: SnapshotId,
    /// When it was begun.
    pub started: Time,
    /// Whether everything could be read.
    pub complete: bool,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Whether a restore of it was tried last with success.
    pub proven: bool,
}

/// The fact about a snapshot that says how the last try to restore it ended, and what it says after a success.
pub const DRILL: (&str, &str) = ("drill", "proven");
/// The fact that a run has read back what it had stored, and what it says if that is well formed.
pub const VERIFY: (&str, &str) = ("verify", "verified");
/// What a fact begins with that says the opposite; the reason follows.
pub const FAILED: &str = "failed: ";

/// Why a snapshot is not what its source should have given, if a run has found that.
pub fn flaw(snapshot: &Snapshot) -> Option<&str> {
    let (_, verified) = snapshot.notes.iter().rfind(|(name, _)| name == VERIFY.0)?;
    verified.strip_prefix(FAILED)
}

/// Whether a snapshot is one to rely on: all could be read, and nothing was found to be wrong with it. One that is not
/// takes no place from one that is.
pub fn is_good(snapshot: &Snapshot) -> bool {
    snapshot.complete && flaw(snapshot).is_none()
}

impl From<&Snapshot> for Taken {
    fn from(snapshot: &Snapshot) -> Self {
        let Snapshot { id, started, tags, notes, .. } = snapshot;
        let last = notes.iter().rfind(|(name, _)| name == DRILL.0);
        let proven = last.is_some_and(|(_, value)| value == DRILL.1);
        Self { id: *id, started: *started, complete: is_good(snapshot), tags: tags.clone(), proven }
    }
}

/// Says for every snapshot of a series, in the order of the log, which of its tags stay and by which rule. A place is
/// never handed on here: who loses one loses it to age.
pub fn judge(taken: &[Taken], policy: &Policy, calendar: &Calendar) -> Vec<Verdict> {
    let holders: BTreeMap<&str, BTreeSet<usize>> =
        TIERS.into_iter().map(|tier| (tier.name(), holders_kept(taken, tier, policy.count(tier)))).collect();
    let newest = taken.last().zip(policy.within);
    let since = newest.map(|(newest, span)| calendar.before(newest.started, span));
    let newest_complete = newest_complete(taken);
    let newest_proven = taken.iter().rposition(|one| one.proven && !one.tags.is_empty());
    let judge_one = |(at, one): (usize, &Taken)| {
        let recent = since.is_some_and(|since| one.started.timestamp() >= since);
        let beside = policy.keep_tags.iter().find(|tag| one.tags.contains(*tag));
        let mut verdict = Verdict::of(one);
        for tag in in_order(&one.tags) {
            let count = Tier::of_tag(tag).map(|tier| policy.count(tier));
            let rule = match (count, beside) {
                (None, _) => Rule::Own,
                (Some(count), _) if holders[tag].contains(&at) => Rule::Newest(count),
                (Some(_), _) if recent => Rule::Within,
                (Some(_), Some(beside)) => Rule::Beside(beside.clone()),
                (Some(count), None) => {
                    verdict.drops.push(Dropped { tag: tag.to_owned(), reason: Reason::Beyond(count) });
                    continue;
                }
            };
            verdict.keeps.push(Kept { tag: tag.to_owned(), rule });
        }
        if newest_complete == Some(at) {
            verdict.hold(Rule::NewestComplete);
        }
        if newest_proven == Some(at) && !verdict.stays() {
            verdict.hold(Rule::NewestProven);
        }
        verdict
    };
    let mut verdicts: Vec<Verdict> = taken.iter().enumerate().map(judge_one).collect();
    if let Some(count) = policy.max_count {
        let stay: Vec<usize> = [newest_complete, newest_proven].into_iter().flatten().collect();
        limit(&mut verdicts, count, &stay);
    }
    verdicts
}

/// Takes the oldest snapshots away until there are no more than so many, but never one that a name holds, nor those
/// that stay: the newest complete and the newest proven one.
fn limit(verdicts: &mut [Verdict], count: u32, stay: &[usize]) {
    let mut surplus = verdicts.iter().filter(|one| one.stays()).count().saturating_sub(count as usize);
    for (at, verdict) in verdicts.iter_mut().enumerate().filter(|(_, one)| one.stays()) {
        let named = verdict.keeps.iter().any(|kept| kept.rule == Rule::Own);
        if surplus == 0 || named || stay.contains(&at) {
            continue;
        }
        let tags = verdict.keeps.drain(..).map(|kept| Dropped { tag: kept.tag, reason: Reason::TooMany(count) });
        verdict.drops.extend(tags);
        surplus -= 1;
    }
}

/// Which snapshots keep the tag of a tier: the newest complete ones, and as many incomplete ones that take no place
/// from these, because they are newer or because places are left.
fn holders_kept(taken: &[Taken], tier: Tier, count: u32) -> BTreeSet<usize> {
    let (mut complete, mut incomplete) = (0, 0);
    let mut kept = BTreeSet::new();
    for (at, one) in taken.iter().enumerate().rev().filter(|(_, one)| one.tags.contains(tier.name())) {
        if complete == count {
            break;
        }
        let places = if one.complete { &mut complete } else { &mut incomplete };
        if *places < count {
            *places += 1;
            kept.insert(at);
        }
    }
    kept
}

fn newest_complete(taken: &[Taken]) -> Option<usize> {
    taken.iter().rposition(|one| one.complete && !one.tags.is_empty())
}

/// The tags of a snapshot: tiers from fine to coarse, then those that people named.
pub fn in_order(tags: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    let tiers = TIERS.into_iter().filter_map(|tier| tags.get(tier.name()));
    tiers.map(String::as_str).chain(tags.iter().map(String::as_str).filter(|tag| Tier::of_tag(tag).is_none()))
}

/// The newest complete snapshot of a series was to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("snapshot {} is the newest complete one of its series, which always stays", .snapshot.short())]
pub struct AlwaysStays {
    /// The snapshot.
    pub snapshot: SnapshotId,
}

/// Takes all tags from the snapshots named, and hands the places they had in a tier to the next complete snapshot of
/// the same period, unless another one has it too. Returns verdicts on those that change.
pub fn judge_named(
    taken: &[Taken],
    named: &BTreeSet<SnapshotId>,
    calendar: &Calendar,
) -> Result<Vec<Verdict>, AlwaysStays> {
    if let Some(snapshot) = newest_complete(taken).map(|at| taken[at].id).filter(|id| named.contains(id)) {
        return Err(AlwaysStays { snapshot });
    }
    let mut verdicts: Vec<Verdict> = taken.iter().map(Verdict::of).collect();
    for (at, gone) in taken.iter().enumerate().filter(|(_, one)| named.contains(&one.id)) {
        for tag in in_order(&gone.tags) {
            verdicts[at].drops.push(Dropped { tag: tag.to_owned(), reason: Reason::Named });
            let place = Tier::of_tag(tag).and_then(|tier| calendar.period(tier, gone.started));
            let Some(place) = place else { continue };
            let may_hold = |heir: &usize| {
                let one = &taken[*heir];
                one.complete && !named.contains(&one.id) && calendar.period(place.tier, one.started) == Some(place)
            };
            let holds = |heir: usize| taken[heir].tags.contains(tag) || verdicts[heir].gains.iter().any(|t| t == tag);
            let held = (0..taken.len()).filter(may_hold).any(holds);
            if let Some(heir) = (at + 1..taken.len()).find(may_hold).filter(|_| !held) {
                verdicts[heir].gains.push(tag.to_owned());
            }
        }
    }
    for (verdict, one) in verdicts.iter_mut().zip(taken).filter(|(verdict, _)| !verdict.gains.is_empty()) {
        // A snapshot that gains a place was not named, so nothing is taken from it.
        verdict.keeps = in_order(&one.tags).map(|tag| Kept { tag: tag.to_owned(), rule: Rule::NotNamed }).collect();
    }
    Ok(verdicts.into_iter().filter(Verdict::changes).collect())
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod log;
#[cfg(test)]
#[path = "named_tests.rs"]
mod named_tests;
#[cfg(test)]
#[path = "policy_tests.rs"]
mod policy_tests;
#[cfg(test)]
#[path = "property_tests.rs"]
mod property_tests;
#[cfg(test)]
#[path = "mod_tests.rs"]
mod tests;
