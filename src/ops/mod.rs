//! The verbs: functions over a repository. The only place where source and repository meet.

pub mod backup;
pub mod bits;
pub mod prune;
pub mod restore;
pub mod retention;
pub mod usage;
pub mod walk;

#[cfg(test)]
#[path = "sample_tests.rs"]
mod sample;
