//! POSIX file systems: what an entry is on disk, taken down and put back.
//!
//! Promise: everything goes by descriptors and single names; no path is ever resolved that somebody else could swap
//! under us. Nothing that happens to one entry is fatal to the others.
//! Left out on purpose: walking, filtering, and deciding what to overwrite. No policy here beyond [`apply::Options`].

pub mod apply;
pub mod beneath;
pub mod capture;
pub mod open;
pub mod owners;
pub mod place;
pub mod sparse;
pub mod xattrs;
