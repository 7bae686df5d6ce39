//! Looking, before anything is backed up, whether it could be.

use serde::Serialize;

use crate::config::sources::Source;
use crate::run::World;
use crate::run::services::service;

/// What was found about a source.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The source.
    pub source: String,
    /// What is wrong; empty if nothing is.
    pub troubles: Vec<Said>,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
pub struct Said {
    /// What.
    pub what: String,
    /// How to mend it.
    pub hint: String,
}

/// Looks at sources, which changes nothing.
pub fn look(sources: &[&Source], world: &World<'_>) -> Vec<Finding> {
    let said = |source: &Source| {
        let troubles = service(&source.kind).troubles(world);
        troubles.into_iter().map(|trouble| Said { what: trouble.what, hint: trouble.hint }).collect()
    };
    sources.iter().map(|source| Finding { source: source.name.clone(), troubles: said(source) }).collect()
}
