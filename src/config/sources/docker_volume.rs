//! `kind = "docker_volume"`: volumes of a Docker engine.

use crate::config::reading::Section;
use crate::config::sources::Kind;

/// Volumes of a Docker engine.
#[derive(Debug, Clone)]
pub struct DockerVolume {
    /// Which ones.
    pub which: Which,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
    /// What is done to the containers that use them.
    pub while_running: WhileRunning,
}

/// Which volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// These.
    Named(Vec<String>),
    /// All that have this label.
    Labelled(String),
}

/// What is done to the running containers that can write to a volume while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileRunning {
    /// Nothing.
    Leave,
    /// They are paused.
    Pause,
    /// They are stopped.
    Stop,
}

const WHILE_RUNNING: &[(&str, WhileRunning)] =
    &[("leave", WhileRunning::Leave), ("pause", WhileRunning::Pause), ("stop", WhileRunning::Stop)];

/// Reads it.
pub fn read(section: &Section<'_, '_>) -> Option<Kind> {
    let (one, several, label) = (section.text("volume"), section.texts("volumes"), section.text("label"));
    let given = ["volume", "volumes", "label"].map(|key| section.has(key));
    match given.into_iter().filter(|given| *given).count() {
        0 => section.mistake("volume", "is missing: give volume, volumes or label"),
        1 => {}
        _ => section.mistake("volume", "is one too many: give one of volume, volumes and label"),
    }
    let which = match (label, several.unwrap_or_else(|| one.into_iter().collect())) {
        (Some(label), _) => {
            if label.is_empty() || label.starts_with('=') {
                section.mistake("label", "must be NAME=VALUE, or NAME");
            }
            Which::Labelled(label)
        }
        (None, names) => {
            let key = if given[1] { "volumes" } else { "volume" };
            if given[1] && names.is_empty() {
                section.mistake(key, "names no volume");
            }
            for name in names.iter().filter(|name| !is_name(name)) {
                section.mistake(key, format!("{name:?} cannot be the name of a volume"));
            }
            Which::Named(names)
        }
    };
    Some(Kind::DockerVolume(DockerVolume {
        which,
        exclude: section.texts("exclude").unwrap_or_default(),
        while_running: section.choice("while_running", WHILE_RUNNING).unwrap_or(WhileRunning::Leave),
    }))
}

/// What Docker takes as a name.
fn is_name(name: &str) -> bool {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.len() > 1 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(ordinary)
}
