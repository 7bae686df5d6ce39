//! The one integration binary. A file that is not listed here fails the test in `architecture`.

#[path = "../support/mod.rs"]
mod support;

mod architecture;
mod concurrency;
mod crash;
mod fail;
mod model;
mod protocol_model;
mod recording;
mod storage_contract;
mod vectors;
