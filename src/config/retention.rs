//! What is kept of each source.

use crate::config::reading::Section;
use crate::duration::Length;
use crate::ops::retention::Policy;
use crate::ops::tag;

/// The keys of a table of retention, in the order of the tiers.
const TIERS: [&str; 5] = ["last", "daily", "weekly", "monthly", "yearly"];

/// Reads a table of retention over what holds without it. `None` when neither says what to keep: then all is kept.
pub fn read(section: Section<'_, '_>, general: Option<&Policy>) -> Option<Policy> {
    let counts = TIERS.map(|key| section.number(key, 0).map(|number| u32::try_from(number).unwrap_or(u32::MAX)));
    let within = section.parsed::<Length>("within").map(Length::span);
    let max_count = section.number("max_count", 1).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let keep_tags = section.texts("keep_tags");
    if let Err(error) = tag::check(keep_tags.iter().flatten()) {
        section.mistake("keep_tags", error.to_string());
    }
    section.finish();
    let said = counts.iter().any(Option::is_some) || within.is_some() || max_count.is_some() || keep_tags.is_some();
    if !said {
        return general.cloned();
    }
    // With only a most number of snapshots, every one is kept until there are more.
    let only_count = counts.iter().all(Option::is_none) && within.is_none() && general.is_none();
    let all = if only_count { u32::MAX } else { 0 };
    let base = general.cloned().unwrap_or(Policy { last: all, ..Policy::NOTHING });
    let [last, daily, weekly, monthly, yearly] = counts;
    Some(Policy {
        last: last.unwrap_or(base.last),
        daily: daily.unwrap_or(base.daily),
        weekly: weekly.unwrap_or(base.weekly),
        monthly: monthly.unwrap_or(base.monthly),
        yearly: yearly.unwrap_or(base.yearly),
        within: within.or(base.within),
        keep_tags: keep_tags.unwrap_or(base.keep_tags),
        max_count: max_count.or(base.max_count),
    })
}
