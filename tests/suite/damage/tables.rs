//! The tables. Columns: list, backup, check, check --read-data, reading chunk by chunk, restore, prune; in each,
//! with the cache of before and without any. The letters are explained at `Cell`.

use super::check;
use super::damages::Target;

#[test]
fn config() {
    check(
        Target::Config,
        "
        delete     nn nn nn nn nn nn nn
        empty      nn nn nn nn nn nn nn
        halve      nn nn nn nn nn nn nn
        shorten    nn nn nn nn nn nn nn
        flip-first nn nn nn nn nn nn nn
        flip-mid   nn nn nn nn nn nn nn
        flip-last  nn nn nn nn nn nn nn
        version-2  nn nn nn nn nn nn nn
        version-0  nn nn nn nn nn nn nn
        zero       nn nn nn nn nn nn nn
        foreign    nn nn nn nn nn nn nn
        twin       nn nn nn nn nn nn nn
        append     nn nn nn nn nn nn nn
        other-kind nn nn nn nn nn nn nn
        ",
    );
}

#[test]
fn config_copy() {
    check(
        Target::ConfigCopy,
        "
        delete     nn nn nn nn nn nn nn
        empty      nn nn nn nn nn nn nn
        halve      nn nn nn nn nn nn nn
        shorten    nn nn nn nn nn nn nn
        flip-first nn nn nn nn nn nn nn
        flip-mid   nn nn nn nn nn nn nn
        flip-last  nn nn nn nn nn nn nn
        version-2  nn nn nn nn nn nn nn
        version-0  nn nn nn nn nn nn nn
        zero       nn nn nn nn nn nn nn
        foreign    nn nn nn nn nn nn nn
        twin       nn nn nn nn nn nn nn
        append     nn nn nn nn nn nn nn
        other-kind nn nn nn nn nn nn nn
        ",
    );
}

#[test]
fn slot() {
    check(
        Target::Slot,
        "
        delete     nn nn nn nn nn nn nn
        empty      nn nn nn nn nn nn nn
        halve      nn nn nn nn nn nn nn
        shorten    nn nn nn nn nn nn nn
        flip-first nn nn nn nn nn nn nn
        flip-mid   nn nn nn nn nn nn nn
        flip-last  nn nn nn nn nn nn nn
        version-2  nn nn nn nn nn nn nn
        version-0  nn nn nn nn nn nn nn
        swap       nn nn nn nn nn nn nn
        zero       nn nn nn nn nn nn nn
        foreign    nn nn nn nn nn nn nn
        twin       nn nn nn nn nn nn nn
        append     nn nn nn nn nn nn nn
        duplicate  nn nn nn nn nn nn nn
        other-kind nn nn nn nn nn nn nn
        ",
    );
}

#[test]
fn slot_copy() {
    check(
        Target::SlotCopy,
        "
        delete     nn nn nn nn nn nn nn
        empty      nn nn nn nn nn nn nn
        halve      nn nn nn nn nn nn nn
        shorten    nn nn nn nn nn nn nn
        flip-first nn nn nn nn nn nn nn
        flip-mid   nn nn nn nn nn nn nn
        flip-last  nn nn nn nn nn nn nn
        version-2  nn nn nn nn nn nn nn
        version-0  nn nn nn nn nn nn nn
        swap       nn nn nn nn nn nn nn
        zero       nn nn nn nn nn nn nn
        foreign    nn nn nn nn nn nn nn
        twin       nn nn nn nn nn nn nn
        append     nn nn nn nn nn nn nn
        duplicate  nn nn nn nn nn nn nn
        other-kind nn nn nn nn nn nn nn
        ",
    );
}

#[test]
fn first_log_entry() {
    check(
        Target::FirstEntry,
        "
        delete     pp nn nn nn pp pp xx
        empty      pp nn nn nn pp pp xx
        halve      pp nn nn nn pp pp xx
        shorten    pp nn nn nn pp pp xx
        flip-first .p .n nn nn .p .p .x
        flip-mid   .p .n nn nn .p .p .x
        flip-last  .p .n nn nn .p .p .x
        version-2  .p .n nn nn .p .p .x
        version-0  .p .n nn nn .p .p .x
        swap       pp nn nn nn pp pp xx
        zero       .p .n nn nn .p .p .x
        foreign    pp nn nn nn pp pp xx
        twin       pp nn nn nn pp pp xx
        append     pp nn nn nn pp pp xx
        duplicate  nn nn nn nn nn nn xx
        other-kind pp nn nn nn pp pp xx
        ",
    );
}

#[test]
fn middle_log_entry() {
    check(
        Target::MiddleEntry,
        "
        delete     nn nn nn nn nn nn xx
        empty      nn nn nn nn nn nn xx
        halve      nn nn nn nn nn nn xx
        shorten    nn nn nn nn nn nn xx
        flip-first .n .n nn nn .n .n .x
        flip-mid   .n .n nn nn .n .n .x
        flip-last  .n .n nn nn .n .n .x
        version-2  .n .n nn nn .n .n .x
        version-0  .n .n nn nn .n .n .x
        swap       nn nn nn nn nn nn xx
        zero       .n .n nn nn .n .n .x
        foreign    nn nn nn nn nn nn xx
        twin       nn nn nn nn nn nn xx
        append     nn nn nn nn nn nn xx
        duplicate  nn nn nn nn nn nn xx
        other-kind nn nn nn nn nn nn xx
        ",
    );
}

#[test]
fn newest_log_entry() {
    check(
        Target::NewestEntry,
        "
        delete     x. x. x. x. x. x. x.
        empty      nn nn nn nn nn nn xx
        halve      nn nn nn nn nn nn xx
        shorten    nn nn nn nn nn nn xx
        flip-first .n .n nn nn .n .n .x
        flip-mid   .n .n nn nn .n .n .x
        flip-last  .n .n nn nn .n .n .x
        version-2  .n .n nn nn .n .n .x
        version-0  .n .n nn nn .n .n .x
        swap       nn nn nn nn nn nn xx
        zero       .n .n nn nn .n .n .x
        foreign    nn nn nn nn nn nn xx
        twin       nn nn nn nn nn nn xx
        append     nn nn nn nn nn nn xx
        duplicate  nn nn nn nn nn nn xx
        other-kind nn nn nn nn nn nn xx
        ",
    );
}

#[test]
fn data_pack() {
    check(
        Target::DataPack,
        "
        delete     .. nn nn nn pp pp xx
        empty      .. nn nn nn pp pp xx
        halve      .. nn nn nn pp pp xx
        shorten    .. nn nn nn pp pp xx
        flip-first .. in nn nn .p .p .x
        flip-mid   .. ii .. nn pp pp ..
        flip-last  .. ii .. nn pp pp ..
        version-2  .. in nn nn .p .p .x
        version-0  .. in nn nn .p .p .x
        swap       .. nn nn nn p. pp xx
        zero       .. in nn nn pp pp .x
        foreign    .. nn nn nn pp pp xx
        twin       .. nn nn nn pp pp xx
        append     .. .. .. .. .. .. ..
        duplicate  .. .. .. .. .. .. ..
        other-kind .. nn nn nn pp pp xx
        ",
    );
}

#[test]
fn tree_pack() {
    check(
        Target::TreePack,
        "
        delete     .. nn nn nn pp pp xx
        empty      .. nn nn nn pp pp xx
        halve      .. nn nn nn pp pp xx
        shorten    .. nn nn nn .p .p xx
        flip-first .. .n nn nn .p .p .x
        flip-mid   .. .. nn nn pp pp xx
        flip-last  .. .. .. nn .. .. ..
        version-2  .. .n nn nn .p .p .x
        version-0  .. .n nn nn .p .p .x
        swap       .. nn nn nn p. pp xx
        zero       .. .n nn nn pp pp xx
        foreign    .. nn nn nn pp pp xx
        twin       .. nn nn nn pp pp xx
        append     .. .. .. .. .. .. ..
        duplicate  .. .. .. .. .. .. ..
        other-kind .. nn nn nn pp pp xx
        ",
    );
}
