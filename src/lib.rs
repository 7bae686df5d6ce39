//! larder: an encrypted, deduplicating backup repository.
//!
//! The map, in layer order. A module may import only from layers above it in this file; the suite checks that.

// Layer 1: names; knows nothing.
pub mod id;

// Layer 2: tools that know nothing of backups.
pub mod child;
pub mod chunking;
pub mod crypto;
pub mod dump;
pub mod duration;
pub mod http;
pub mod mail;
pub mod progress;
pub mod schedule;
pub mod schema;
pub mod size;
pub mod sqlite;

// Layer 3: what the bytes mean; pure.
pub mod format;

// Layer 4: the outside world, one system per module.
pub mod index;
pub mod posix;
pub mod s3;
pub mod storage;

// Layer 5: where a backup goes, what it comes from.
pub mod repo;
pub mod source;

// Layer 6: the verbs; the only place where source and repo meet.
pub mod ops;

// Layer 7: larder.toml, as typed values.
pub mod config;

// Layer 8: one run of what larder.toml says, and what starts it.
pub mod deploy;
pub mod run;
