//! The tables. Columns: list, backup, check, check --read-data, reading chunk by chunk, restore, prune; in each,
//! with the cache of before and without any. The letters are explained at `Cell`.

use super::check;
use super::damages::Target;

#[test]
fn config() {
    check(Target::Config, "");
}

#[test]
fn config_copy() {
    check(Target::ConfigCopy, "");
}

#[test]
fn slot() {
    check(Target::Slot, "");
}

#[test]
fn slot_copy() {
    check(Target::SlotCopy, "");
}

#[test]
fn first_log_entry() {
    check(Target::FirstEntry, "");
}

#[test]
fn middle_log_entry() {
    check(Target::MiddleEntry, "");
}

#[test]
fn newest_log_entry() {
    check(Target::NewestEntry, "");
}

#[test]
fn data_pack() {
    check(Target::DataPack, "");
}

#[test]
fn tree_pack() {
    check(Target::TreePack, "");
}
