//! The state that is searched, and the rules that can be taken away.

/// How many actors there are, and which rules they keep.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// At most 2. The second is a stream: it cannot read again.
    pub writers: usize,
    /// At most 2.
    pub pruners: usize,
    /// How often each writer can upload; at most 2.
    pub uploads: u8,
    /// How many entries each pruner tries.
    pub rounds: u8,
    /// A put that reported failure may take effect later, while its slot is free.
    pub writes_may_land_late: bool,
    /// A snapshot entry is valid only directly after the head it was computed against.
    pub snapshot_is_fenced: bool,
    pub condemn_is_fenced: bool,
    pub sweep_is_fenced: bool,
    /// A sweep entry means nothing for a pack that is not condemned.
    pub sweep_takes_condemned_only: bool,
    /// The rescue is part of the snapshot entry.
    pub rescue_is_atomic: bool,
    /// A writer looks at what became of its own packs, too.
    pub own_packs_are_checked: bool,
    /// One entry names the new packs and condemns the old.
    pub repack_is_atomic: bool,
}

impl Rules {
    /// The protocol as it is.
    pub const ALL: Self = Self {
        writers: 2,
        pruners: 1,
        uploads: 1,
        rounds: 2,
        writes_may_land_late: true,
        snapshot_is_fenced: true,
        condemn_is_fenced: true,
        sweep_is_fenced: true,
        sweep_takes_condemned_only: true,
        rescue_is_atomic: true,
        own_packs_are_checked: true,
        repack_is_atomic: true,
    };
}

/// A set of packs, one bit each.
pub type Packs = u8;

/// The pack that the first snapshot uses.
pub const FIRST: Packs = 1;

/// The name of a writer's upload: each is used once.
pub fn upload(writer: usize, nth: u8) -> Packs {
    2 << (writer as u8 * 2 + nth)
}

/// The name of what a pruner repacks into.
pub fn repacked(pruner: usize) -> Packs {
    32 << pruner
}

/// The first snapshot's bit; a writer's is `SNAPSHOT << (writer + 1)`.
pub const SNAPSHOT: u8 = 1;

/// Where a writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Writing {
    Looks,
    Uploads,
    /// It has what it needs, and makes sure that it is listed.
    AtTheGate,
    Decides,
    Puts,
    /// Its rescue landed on its own, and the snapshot is yet to follow.
    PutsAfterRescue,
    /// The put failed as far as anybody knows, and may land later.
    MayLand,
    Failed,
    Succeeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Writer {
    pub at: Writing,
    /// The pack it relies on.
    pub on: Packs,
    pub own: Packs,
    pub uploads: u8,
    /// The head it decided at.
    pub head: u8,
    pub rescues: bool,
}

/// Where a pruner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pruning {
    Plans,
    Condemns,
    Sweeps,
    Repacks,
    PublishesRepack,
    /// Control: it condemned the old pack, and is yet to name the new.
    NamesRepacked,
    MayLandCondemn,
    MayLandSweep,
    MayLandRepack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pruner {
    pub at: Pruning,
    pub packs: Packs,
    pub rounds: u8,
    pub head: u8,
    pub repacked: bool,
}

/// The storage, what the log says, and the actors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub head: u8,
    pub stored: Packs,
    pub named: Packs,
    pub condemned: Packs,
    pub swept: Packs,
    pub live: u8,
    pub writers: [Writer; 2],
    pub pruners: [Pruner; 2],
    pub forgot: bool,
    pub tagged: bool,
}

impl State {
    /// One snapshot, one pack, everybody at the beginning.
    pub fn first() -> Self {
        let writer = Writer { at: Writing::Looks, on: 0, own: 0, uploads: 0, head: 0, rescues: false };
        let pruner = Pruner { at: Pruning::Plans, packs: 0, rounds: 0, head: 0, repacked: false };
        Self {
            head: 0,
            stored: FIRST,
            named: FIRST,
            condemned: 0,
            swept: 0,
            live: SNAPSHOT,
            writers: [writer; 2],
            pruners: [pruner; 2],
            forgot: false,
            tagged: false,
        }
    }

    /// Packs that no entry says anything bad of.
    pub fn sound(&self) -> Packs {
        self.stored & !self.condemned & !self.swept
    }

    /// Packs that count for snapshots.
    pub fn counting(&self) -> Packs {
        self.sound() & self.named
    }

    /// What must not be.
    pub fn wrong(&self) -> Option<&'static str> {
        if self.live != 0 && self.counting() == 0 {
            return Some("a live snapshot has no copy that counts");
        }
        for (at, writer) in self.writers.iter().enumerate() {
            if writer.at == Writing::Succeeded && self.live & SNAPSHOT << (at + 1) == 0 {
                return Some("a writer reported success and its snapshot is not there");
            }
        }
        None
    }
}

/// Every pack of a set, alone.
pub fn each(packs: Packs) -> impl Iterator<Item = Packs> {
    (0..8).map(|at| 1 << at).filter(move |pack| packs & pack != 0)
}
