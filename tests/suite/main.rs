//! The one integration binary. A file that is not listed here fails the test in `architecture`.

#[path = "../support/mod.rs"]
mod support;

mod append;
mod architecture;
mod cli;
mod concurrency;
mod crash;
mod daemon;
mod damage;
mod deploy;
mod entries;
mod examples;
mod fail;
mod flips;
mod from_pages;
mod healing;
mod hostile;
mod index_swap;
mod library;
mod log;
mod metadata;
mod model;
mod old_repositories;
mod processes;
mod protocol_model;
mod reader;
mod recording;
mod services;
mod slots;
mod storage_contract;
mod vectors;
mod versions;
