//! Deciding what becomes of each pack. Pure: facts in, plan out.
//!
//! Promise: a plan says of each pack what becomes of it, and when. Left out on purpose: finding the facts, acting, and
//! what repacking makes of packs (`ops/prune/rehearse`).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::format::{Kind, Time};
use crate::id::{PackId, SnapshotId};
use crate::repo::pack::{PACK_BYTES, PACK_CHUNKS_MAX};

/// A pack shorter than this is a small one, unless it is full of tiny chunks.
pub const SMALL_BYTES: u64 = PACK_BYTES / 4;
/// A pack of fewer chunks than this may be a small one.
pub const SMALL_CHUNKS: u64 = PACK_CHUNKS_MAX as u64 / 4;
/// So many small packs of one kind are left alone.
pub const SMALL_PACKS_MAX: usize = 8;
/// Packs that no entry names are spared while the newest of their run is younger than this: it may be under way.
pub const SPARED: Duration = Duration::from_secs(24 * 60 * 60);
/// While the end of the log may be lost, packs that no entry names are spared for this long: until somebody has noticed.
pub const LOST_SPARED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What is known of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The pack.
    pub id: PackId,
    /// What it holds.
    pub kind: Kind,
    /// Length of its object; 0 when there is none.
    pub bytes: u64,
    /// Chunks in it, needed or not; 0 unless it counts.
    pub chunks: u64,
    /// Where it stands.
    pub standing: Standing,
    /// Whether a live snapshot needs anything of it.
    pub needed: bool,
    /// About the bytes in it that nothing needs.
    pub unused_bytes: u64,
}

/// Where a pack stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Live,
    /// It counts, the log says, but it is not there as it should be; and nothing needs it.
    Lost,
    /// No entry names it.
    Unnamed {
        /// When the newest pack of its run was stored.
        stored_at: Time,
        /// When the newest of the packs was stored that look like those of lost entries.
        lost_at: Option<Time>,
    },
    /// It is condemned.
    Condemned {
        /// When it was.
        at: Time,
    },
    /// It is gone for ever; its object is still there.
    Swept,
}

/// What may be decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How long a condemned pack can still be had back.
    pub grace: Duration,
    /// Packs are repacked until no more than this share of the repository is unused.
    pub max_unused_percent: f64,
}

/// Packs and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub packs: u64,
    /// Their length.
    pub bytes: u64,
}

impl Tally {
    /// One pack more.
    pub fn count(&mut self, bytes: u64) {
        self.packs += 1;
        self.bytes += bytes;
    }

    /// All of another tally more.
    pub fn add(&mut self, other: Tally) {
        self.packs += other.packs;
        self.bytes += other.bytes;
    }

    /// Of some packs.
    pub fn of(packs: &[Facts]) -> Self {
        Self { packs: packs.len() as u64, bytes: packs.iter().map(|pack| pack.bytes).sum() }
    }
}

/// What becomes of each pack. Every list is in the order of names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Swept before; their objects go now.
    pub delete: Vec<Facts>,
    /// Condemned long enough: swept and deleted now.
    pub sweep: Vec<Facts>,
    /// Condemned now.
    pub condemn: Vec<Facts>,
    /// What is used of them is written again; then they are condemned.
    pub repack: Vec<Facts>,
    /// Condemned before, and not to go yet.
    pub waiting: Vec<Facts>,
    /// Named by no entry, and too young.
    pub spared: Vec<Facts>,
    /// Snapshots on account of which packs are spared longer: the log may have lost its end.
    pub lost: BTreeSet<SnapshotId>,
    /// They stay as they are.
    pub keep: Vec<Facts>,
    /// Whether what is condemned now is swept and deleted at once.
    pub at_once: bool,
}

impl Plan {
    /// Bytes in packs that stay although nothing needs them.
    pub fn unused_left(&self) -> u64 {
        self.keep.iter().map(|pack| pack.unused_bytes).sum()
    }
}

/// Decides.
pub fn decide(facts: impl IntoIterator<Item = Facts>, limits: &Limits, now: Time) -> Plan {
    let mut plan = Plan { at_once: limits.grace.is_zero(), ..Plan::default() };
    for pack in facts {
        let list = match pack.standing {
            Standing::Swept => &mut plan.delete,
            Standing::Condemned { at } if grace_is_over(at, now, limits.grace) => &mut plan.sweep,
            Standing::Condemned { .. } => &mut plan.waiting,
            Standing::Live if pack.needed => &mut plan.keep,
            Standing::Live | Standing::Lost => &mut plan.condemn,
            Standing::Unnamed { stored_at, lost_at }
                if grace_is_over(stored_at, now, SPARED) && !looks_lost(lost_at, now) =>
            {
                &mut plan.condemn
            }
            Standing::Unnamed { .. } => &mut plan.spared,
        };
        list.push(pack);
    }
    let chosen = choose_repack(&mut plan.keep, limits.max_unused_percent);
    plan.repack = chosen;
    let lists = [&mut plan.delete, &mut plan.sweep, &mut plan.condemn, &mut plan.repack];
    let others = [&mut plan.waiting, &mut plan.spared, &mut plan.keep];
    lists.into_iter().chain(others).for_each(|list| list.sort_by_key(|pack| pack.id));
    plan
}

/// Whether entries at the end of the log may be lost, and it is not too late to salvage what they told of. What was
/// salvageable may rely on any pack that no entry names, whichever run has stored it.
pub fn looks_lost(lost_at: Option<Time>, now: Time) -> bool {
    lost_at.is_some_and(|at| !grace_is_over(at, now, LOST_SPARED))
}

/// Whether so much time has passed. A grace of nothing is over at once, whatever the clocks say.
pub fn grace_is_over(since: Time, now: Time, grace: Duration) -> bool {
    let end = i128::from(since.seconds) * 1_000_000_000 + i128::from(since.nanos) + grace.as_nanos() as i128;
    grace.is_zero() || i128::from(now.seconds) * 1_000_000_000 + i128::from(now.nanos) >= end
}

/// Takes those out of `keep` that are worth repacking: the worst until little enough is unused, and the small ones
/// where there are many.
fn choose_repack(keep: &mut Vec<Facts>, max_unused_percent: f64) -> Vec<Facts> {
    keep.sort_by(|a, b| unused_share(b).total_cmp(&unused_share(a)).then(a.id.cmp(&b.id)));
    let mut unused: u64 = keep.iter().map(|pack| pack.unused_bytes).sum();
    let mut total: u64 = keep.iter().map(|pack| pack.bytes).sum();
    let allowed = |total: u64| total as f64 * max_unused_percent.clamp(0.0, 100.0) / 100.0;
    let mut worst = 0;
    while worst < keep.len() && keep[worst].unused_bytes > 0 && unused as f64 > allowed(total) {
        unused -= keep[worst].unused_bytes;
        total -= keep[worst].unused_bytes;
        worst += 1;
    }
    let mut chosen: Vec<Facts> = keep.drain(..worst).collect();
    for kind in [Kind::Data, Kind::Tree] {
        let small = |pack: &Facts| pack.kind == kind && pack.bytes < SMALL_BYTES && pack.chunks < SMALL_CHUNKS;
        if keep.iter().filter(|pack| small(pack)).count() > SMALL_PACKS_MAX {
            chosen.extend(keep.extract_if(.., |pack| small(pack)));
        }
    }
    chosen
}

fn unused_share(pack: &Facts) -> f64 {
    pack.unused_bytes as f64 / pack.bytes.max(1) as f64
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
