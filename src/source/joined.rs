//! Several sources as one, each in a folder of its own or at the root.
//!
//! Promise: entries come in listing order, if the parts are given in the order of what they hold.
//! Left out on purpose: parts whose entries would have to be mixed.

use std::ops::ControlFlow;

use crate::source::{Candidate, Error, Found, Problem, Source};

/// A source, and the folder that it becomes; no folder if that is empty.
pub struct Part {
    /// The path of the folder.
    pub below: &'static [u8],
    /// The source.
    pub source: Box<dyn Source>,
}

/// Sources, one after the other.
pub struct Joined {
    parts: Vec<Part>,
}

impl Joined {
    /// These.
    pub fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }
}

impl Source for Joined {
    fn walk(&self, visit: &mut dyn FnMut(Found) -> ControlFlow<()>) -> Result<(), Error> {
        let mut flow = ControlFlow::Continue(());
        for part in &self.parts {
            part.source.walk(&mut |found| {
                flow = visit(moved(found, part.below));
                flow
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn replayable(&self) -> bool {
        self.parts.iter().all(|part| part.source.replayable())
    }
}

fn moved(found: Found, below: &'static [u8]) -> Found {
    if below.is_empty() {
        return found;
    }
    match found {
        Found::Entry(Candidate { mut entry, reader }) => {
            entry.path = path(below, &entry.path);
            Found::Entry(Candidate { entry, reader })
        }
        Found::Problem(problem) => Found::Problem(Problem { path: path(below, &problem.path), ..problem }),
    }
}

fn path(below: &[u8], path: &[u8]) -> Vec<u8> {
    if path.is_empty() { below.to_vec() } else { [below, b"/", path].concat() }
}

#[cfg(test)]
#[path = "joined_tests.rs"]
mod tests;
