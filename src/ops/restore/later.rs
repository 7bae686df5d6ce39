//! What is left to do when the files are there, kept from the first pass over the listing if it is little.
//!
//! Promise: bounded. When it is much, it is let go of, and the listing is gone through once more instead: one file out
//! of a large snapshot costs one pass, and a large restore costs no memory.

use crate::ops::restore::select::Step;
use crate::ops::restore::window::weight;

/// What a step costs beside its path and attributes.
const STEP_BYTES: usize = 512;

/// Folders, links and devices in the order of the listing.
#[derive(Debug)]
pub struct Later {
    /// `None`: there were too many.
    steps: Option<Vec<Step>>,
    bytes_left: usize,
}

impl Later {
    /// Keeps steps of so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { steps: Some(Vec::new()), bytes_left: bytes_max }
    }

    /// Keeps a step.
    pub fn keep(&mut self, step: Step) {
        let bytes = match &step {
            Step::Entry(chosen) | Step::Leave(chosen) => STEP_BYTES + weight(&chosen.entry),
            Step::Astray(_) | Step::Damaged(_) => return,
        };
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                if let Some(steps) = &mut self.steps {
                    steps.push(step);
                }
            }
            None => {
                self.bytes_left = 0;
                self.steps = None;
            }
        }
    }

    /// All steps, if they could be kept.
    pub fn steps(self) -> Option<Vec<Step>> {
        self.steps
    }
}
