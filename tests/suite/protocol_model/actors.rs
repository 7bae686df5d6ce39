//! What each actor may do next.

use crate::protocol_model::rules::{Packs, Pruning, Rules, SNAPSHOT, State, Writing, each, repacked, upload};

/// Who did what, for a trace.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub who: &'static str,
    pub what: &'static str,
}

type Steps = Vec<(State, Step)>;

/// Every step that can be taken from a state.
pub fn steps(state: &State, rules: &Rules, next: &mut Steps) {
    (0..rules.writers).for_each(|writer| writer_steps(state, writer, rules, next));
    (0..rules.pruners).for_each(|pruner| pruner_steps(state, pruner, rules, next));
    forget_and_tag(state, next);
    // What is swept may be deleted at any time, by anyone.
    for pack in each(state.stored & state.swept) {
        let after = State { stored: state.stored & !pack, ..*state };
        next.push((after, Step { who: "anyone", what: "deletes what is swept" }));
    }
}

/// Both are decided at the head and land directly after it, or are decided again: one step.
fn forget_and_tag(state: &State, next: &mut Steps) {
    let head = state.head + 1;
    if !state.forgot {
        let after = State { head, live: state.live & !SNAPSHOT, forgot: true, ..*state };
        next.push((after, Step { who: "keeper", what: "forgets the first snapshot" }));
    }
    if state.forgot && !state.tagged {
        for pack in each(state.stored & !state.swept) {
            let (live, named) = (state.live | SNAPSHOT, state.named | pack);
            let condemned = state.condemned & !pack;
            let after = State { head, live, named, condemned, tagged: true, ..*state };
            next.push((after, Step { who: "keeper", what: "brings it back" }));
        }
    }
}

fn writer_steps(state: &State, at: usize, rules: &Rules, next: &mut Steps) {
    let who = ["writer", "stream"][at];
    let writer = state.writers[at];
    let mut go = |mut after: State, to: Writing, what: &'static str| {
        if to == Writing::MayLand && !rules.writes_may_land_late {
            return;
        }
        after.writers[at].at = to;
        next.push((after, Step { who, what }));
    };
    let again = if at == 1 { Writing::Failed } else { Writing::Looks };
    match writer.at {
        Writing::Looks => {
            for pack in each(state.sound()) {
                let mut after = *state;
                after.writers[at].on = pack;
                go(after, Writing::AtTheGate, "finds its content stored");
            }
            go(*state, Writing::Uploads, "finds its content nowhere");
        }
        Writing::Uploads if writer.uploads < rules.uploads => {
            let pack = upload(at, writer.uploads);
            let mut after = State { stored: state.stored | pack, ..*state };
            after.writers[at].uploads += 1;
            after.writers[at].on = pack;
            after.writers[at].own |= pack;
            go(after, Writing::AtTheGate, "uploads");
        }
        Writing::Uploads => go(*state, Writing::Failed, "gives up"),
        Writing::AtTheGate if state.stored & writer.on == 0 => go(*state, again, "misses a pack"),
        Writing::AtTheGate => go(*state, Writing::Decides, "sees that all is listed"),
        Writing::Decides => {
            let checked = rules.own_packs_are_checked || writer.own & writer.on == 0;
            if checked && state.swept & writer.on != 0 {
                return go(*state, again, "sees that its pack was swept");
            }
            let mut after = *state;
            after.writers[at].head = state.head;
            after.writers[at].rescues = checked && state.condemned & writer.on != 0;
            go(after, Writing::Puts, "decides at the head");
        }
        Writing::Puts if rules.snapshot_is_fenced && state.head != writer.head => {
            go(*state, Writing::Decides, "loses the slot");
        }
        Writing::Puts if writer.rescues && !rules.rescue_is_atomic => {
            let mut after = State { head: state.head + 1, condemned: state.condemned & !writer.on, ..*state };
            after.writers[at].rescues = false;
            go(after, Writing::PutsAfterRescue, "rescues in an entry of its own");
        }
        Writing::Puts => {
            go(committed(state, at), Writing::Succeeded, "commits");
            go(committed(state, at), Writing::Failed, "commits, and hears of a failure");
            go(*state, Writing::MayLand, "puts, hears of a failure and finds nothing");
        }
        Writing::PutsAfterRescue => go(committed(state, at), Writing::Succeeded, "commits after its rescue"),
        Writing::MayLand if state.head == writer.head => {
            go(committed(state, at), Writing::Failed, "had put what lands now");
        }
        Writing::MayLand | Writing::Failed | Writing::Succeeded => {}
    }
}

fn committed(state: &State, at: usize) -> State {
    let writer = state.writers[at];
    let rescued = if writer.rescues { writer.on } else { 0 };
    State {
        head: state.head + 1,
        live: state.live | SNAPSHOT << (at + 1),
        named: state.named | writer.on,
        condemned: state.condemned & !rescued,
        ..*state
    }
}

fn pruner_steps(state: &State, at: usize, rules: &Rules, next: &mut Steps) {
    let who = ["pruner", "second pruner"][at];
    let pruner = state.pruners[at];
    let mut go = |mut after: State, to: Pruning, what: &'static str| {
        let late = matches!(to, Pruning::MayLandCondemn | Pruning::MayLandSweep | Pruning::MayLandRepack);
        if late && !rules.writes_may_land_late {
            return;
        }
        after.pruners[at].at = to;
        if to == Pruning::Plans {
            after.pruners[at].packs = 0;
            after.pruners[at].head = 0;
        }
        next.push((after, Step { who, what }));
    };
    let fenced = |rule: bool| rule && state.head != pruner.head;
    let over = |mut after: State| {
        after.pruners[at].rounds += 1;
        after
    };
    match pruner.at {
        Pruning::Plans if pruner.rounds < rules.rounds => plan(state, at, &mut go),
        Pruning::Plans => {}
        Pruning::Condemns if fenced(rules.condemn_is_fenced) => go(*state, Pruning::Plans, "loses the slot"),
        Pruning::Condemns => {
            go(over(condemned(state, pruner.packs)), Pruning::Plans, "condemns");
            go(over(*state), Pruning::MayLandCondemn, "puts what may land later");
        }
        Pruning::Sweeps if fenced(rules.sweep_is_fenced) => go(*state, Pruning::Plans, "loses the slot"),
        Pruning::Sweeps => {
            go(over(swept(state, pruner.packs, rules)), Pruning::Plans, "sweeps");
            go(over(*state), Pruning::MayLandSweep, "puts what may land later");
        }
        Pruning::Repacks => {
            let mut after = State { stored: state.stored | repacked(at), ..*state };
            after.pruners[at].repacked = true;
            go(after, Pruning::PublishesRepack, "writes again what is used");
        }
        Pruning::PublishesRepack => publish(state, at, rules, &mut go),
        Pruning::NamesRepacked => {
            let after = State { head: state.head + 1, named: state.named | repacked(at), ..*state };
            go(over(after), Pruning::Plans, "names the new pack");
        }
        Pruning::MayLandCondemn if state.head == pruner.head => {
            go(condemned(state, pruner.packs), Pruning::Plans, "had put what lands now");
        }
        Pruning::MayLandSweep if state.head == pruner.head => {
            go(swept(state, pruner.packs, rules), Pruning::Plans, "had put what lands now");
        }
        Pruning::MayLandRepack if state.head == pruner.head => {
            go(replaced(state, at), Pruning::Plans, "had put what lands now");
        }
        // Too late: the slot is taken.
        Pruning::MayLandCondemn | Pruning::MayLandSweep | Pruning::MayLandRepack => {
            go(*state, Pruning::Plans, "begins anew");
        }
    }
}

/// What a pruner may decide at the head.
fn plan(state: &State, at: usize, go: &mut dyn FnMut(State, Pruning, &'static str)) {
    let decided = |packs: Packs| {
        let mut after = *state;
        after.pruners[at].packs = packs;
        after.pruners[at].head = state.head;
        after
    };
    let unnamed = state.sound() & !state.named;
    // Of several copies one stays; packs that nobody names may be young enough to be spared.
    let keeps = if state.live == 0 { vec![0] } else { each(state.counting()).collect() };
    for keep in keeps {
        let idle = state.sound() & !keep;
        for packs in [idle, idle & !unnamed] {
            if packs != 0 {
                go(decided(packs), Pruning::Condemns, "decides what to condemn");
            }
        }
    }
    let proven = state.live == 0 || state.counting() != 0;
    if state.condemned != 0 && proven {
        go(decided(state.condemned), Pruning::Sweeps, "decides to sweep");
    }
    if state.live != 0 && !state.pruners[at].repacked {
        for old in each(state.counting()) {
            go(decided(old), Pruning::Repacks, "decides to repack");
        }
    }
}

/// Of what was repacked, condemns what the new pack still replaces.
fn publish(state: &State, at: usize, rules: &Rules, go: &mut dyn FnMut(State, Pruning, &'static str)) {
    let replaces = state.counting() & state.pruners[at].packs != 0;
    let new_is_sound = state.sound() & !state.named & repacked(at) != 0;
    let mut over = *state;
    over.pruners[at].rounds += 1;
    over.pruners[at].head = state.head;
    if !replaces || !new_is_sound {
        return go(over, Pruning::Plans, "finds that the new pack replaces nothing");
    }
    if !rules.repack_is_atomic {
        let packs = state.pruners[at].packs;
        return go(condemned(state, packs), Pruning::NamesRepacked, "condemns the old pack first");
    }
    // Decided and landed at one head, or decided again: one step.
    go(replaced(&over, at), Pruning::Plans, "names the new pack and condemns the old");
    go(over, Pruning::MayLandRepack, "puts what may land later");
}

fn condemned(state: &State, packs: Packs) -> State {
    State { head: state.head + 1, condemned: state.condemned | (packs & !state.swept), ..*state }
}

fn swept(state: &State, packs: Packs, rules: &Rules) -> State {
    let packs = if rules.sweep_takes_condemned_only { packs & state.condemned } else { packs };
    State { head: state.head + 1, condemned: state.condemned & !packs, swept: state.swept | packs, ..*state }
}

fn replaced(state: &State, at: usize) -> State {
    let after = condemned(state, state.pruners[at].packs);
    State { named: after.named | repacked(at), ..after }
}
