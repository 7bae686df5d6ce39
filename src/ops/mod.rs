//! The verbs: functions over a repository. The only place where source and repository meet.

pub mod backup;
pub mod cat;
pub mod restore;
pub mod retention;
