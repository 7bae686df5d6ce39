//! `[schedule]`: when something is due.

use std::time::Duration;

use crate::config::reading::Section;
use crate::duration::Length;
use crate::schedule::{Expression, Zone};

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    /// The calendar expression.
    pub cron: Expression,
    /// Whose clock it means.
    pub zone: Zone,
    /// Whether it counts at all.
    pub enabled: bool,
    /// By how much it may be later, so that not all machines begin at once.
    pub jitter: Duration,
    /// What becomes of moments that passed while nothing could run.
    pub missed: Missed,
    /// Whether it is due, too, when the machine was started since.
    pub on_start: OnStart,
    /// After which pause something that failed is tried again; only at its next moment, if nothing is said.
    pub retry: Option<Duration>,
}

/// Shortest pause before something is tried again.
const RETRY_MIN: Duration = Duration::from_secs(60);

/// What becomes of moments that passed while nothing could run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// One run makes up for all of them.
    Run,
    /// They are passed over.
    Skip,
}

/// Whether a start of the machine makes something due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStart {
    /// It does.
    Run,
    /// It does not.
    Wait,
}

impl Timetable {
    /// Reads a table over what holds without it.
    pub fn read(section: Section<'_, '_>, general: Option<&Self>) -> Option<Self> {
        let retry = section.parsed::<Length>("retry").map(Length::duration);
        if retry.is_some_and(|retry| retry < RETRY_MIN) {
            section.mistake("retry", "must be a minute at least");
        }
        let mut timetable = Self::of(&section, general);
        section.finish();
        if let Some(timetable) = &mut timetable {
            timetable.retry = retry.or(general.and_then(|general| general.retry));
        }
        timetable
    }

    /// The same, of a table that has other keys, too.
    pub fn of(section: &Section<'_, '_>, general: Option<&Self>) -> Option<Self> {
        let (cron, zone) = (section.parsed("cron"), section.parsed("timezone"));
        let enabled = section.flag("enabled");
        let jitter = section.parsed::<Length>("jitter").map(Length::duration);
        let missed = section.flag("run_missed").map(|run| if run { Missed::Run } else { Missed::Skip });
        let on_start = section.flag("run_on_start").map(|run| if run { OnStart::Run } else { OnStart::Wait });
        if section.exists() && cron.is_none() && general.is_none() && !section.has("cron") {
            section.mistake("cron", "is missing: five fields, such as \"0 2 * * *\"");
        }
        Some(Self {
            cron: cron.or_else(|| general.map(|general| general.cron.clone()))?,
            zone: zone.or_else(|| general.map(|general| general.zone.clone())).unwrap_or(Zone::UTC),
            enabled: enabled.or(general.map(|general| general.enabled)).unwrap_or(true),
            jitter: jitter.or(general.map(|general| general.jitter)).unwrap_or_default(),
            missed: missed.or(general.map(|general| general.missed)).unwrap_or(Missed::Run),
            on_start: on_start.or(general.map(|general| general.on_start)).unwrap_or(OnStart::Wait),
            retry: None,
        })
    }

    /// When something is due that a run does beside its sources: at its own moments, by the general clock.
    pub fn upkeep(section: &Section<'_, '_>, general: Option<&Self>) -> Option<Self> {
        let mut own = Self::of(section, None)?;
        if let Some(general) = general.filter(|_| !section.has("timezone")) {
            own.zone = general.zone.clone();
        }
        Some(own)
    }
}
