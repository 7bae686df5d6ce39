//! The damage matrix: every kind of damage to every kind of object, met by every command, with and without a cache.
//!
//! Promise: the expected outcome stands in a table. Whatever the table says, these always hold: no panic; what comes
//! back is what went in or is reported; whatever is reported names the damaged object (or what was in it); nothing is
//! deleted that an undamaged copy would have made whole again.

use std::fmt::Write as _;

use crate::support::damage_repo::Made;
use crate::support::damage_samples;

pub mod cell;
pub mod commands;
mod damages;
mod tables;

use cell::Caches;
use commands::COMMANDS;
use damages::{Damage, Harmed, Others, Target};

/// The repositories of one table, and the cache of the first.
pub struct World {
    made: Made,
    others: Others,
    caches: Caches,
}

impl World {
    fn new() -> Self {
        let made = damage_samples::rich();
        let caches = Caches::of(&made);
        Self { others: Others::of(&made), made, caches }
    }
}

/// Runs a row of the matrix for every kind of damage, and compares with the table.
fn check(target: Target, expected: &str) {
    let world = World::new();
    let mut table = String::new();
    let mut broken = Vec::new();
    for damage in Damage::ALL {
        let Some(harmed) = Harmed::new(&world.made, &world.others, target, damage) else { continue };
        let _ = write!(table, "{:10}", damage.word());
        for command in COMMANDS {
            table.push(' ');
            for cache in [Some(&world.caches), None] {
                let found = cell::run(&world.made, &harmed, command, cache);
                table.push(found.letter);
                broken.extend(found.broken.into_iter().map(|what| {
                    let cache = if cache.is_some() { "with its cache" } else { "without a cache" };
                    format!("{} {target:?}, {} {cache}: {what}", damage.word(), command.word)
                }));
            }
        }
        table.push('\n');
    }
    assert!(broken.is_empty(), "\n{table}\n{}\n", broken.join("\n"));
    let tidy = |text: &str| text.trim().lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    assert!(tidy(&table) == tidy(expected), "{target:?}: the table should be\n{expected}\nand is\n{table}\n");
}
