//! The verbs: functions over a repository. The only place where source and repository meet.

pub mod backup;
pub mod bits;
pub mod browse;
pub mod cat;
pub mod check;
pub mod diff;
pub mod entries;
pub mod forget;
pub mod json;
pub mod note;
pub mod prune;
mod rdb;
pub mod rescue;
pub mod restore;
pub mod retention;
pub mod runs;
pub mod salvage;
pub mod select;
pub mod snapshots;
pub mod stats;
pub mod tag;
pub mod usage;
pub mod verify;
pub mod walk;

#[cfg(test)]
#[path = "history_tests.rs"]
mod history;
#[cfg(test)]
#[path = "sample_tests.rs"]
mod sample;
