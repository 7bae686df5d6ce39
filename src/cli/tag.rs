//! `larder tag`

use clap::{ArgGroup, Args};
use serde::Serialize;

use larder::ops::select::{self, Forgotten};
use larder::ops::tag;

use crate::cli::output::{self, Form, Outcome, plural};
use crate::cli::report::Exit;
use crate::cli::session::{self, Session};

/// Set and take tags of a snapshot; also brings back a forgotten one
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("tags").args(["add", "remove"]).required(true).multiple(true)))]
pub struct Arguments {
    /// The snapshot
    snapshot: String,
    /// A tag to set. May be given again
    #[arg(long, value_name = "TAG")]
    add: Vec<String>,
    /// A tag to take. May be given again
    #[arg(long, value_name = "TAG")]
    remove: Vec<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: String,
    tags: Vec<&'a str>,
    brought_back: bool,
    forgotten: bool,
    rescued_packs: usize,
}

/// Sets and takes them.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let repo = session.open()?;
    let id = select::named(&repo, &arguments.snapshot, Forgotten::Allow)?.id;
    let report = tag::run(&repo, id, &arguments.add, &arguments.remove, session::now())?;
    let out = &mut session.out;
    if out.form() == Form::Json {
        out.json(&Answer {
            id: id.to_string(),
            tags: output::sorted_tags(&report.tags),
            brought_back: report.brought_back,
            forgotten: report.tags.is_empty(),
            rescued_packs: report.rescued,
        })?;
        return Ok(Exit::Done);
    }
    for tag in &report.not_there {
        out.note(format!("snapshot {} did not have the tag {}", id.short(), output::escaped(tag.as_bytes())));
    }
    let back = if report.brought_back { " is back" } else { "" };
    if report.tags.is_empty() {
        out.say(format!("snapshot {} has no tag any more and is forgotten", id.short()))?;
        out.say(format!("  until a prune sweeps it: larder tag {} --add TAG", id.short()))?;
    } else {
        out.say(format!("snapshot {}{back}: {}", id.short(), output::tags(&report.tags)))?;
    }
    for (heir, tags) in &report.handed_on {
        out.say(format!("  snapshot {} takes over: {}", heir.short(), tags.join(", ")))?;
    }
    if report.rescued > 0 {
        out.say(format!("  {} rescued from the next prune", plural(report.rescued as u64, "pack")))?;
    }
    Ok(Exit::Done)
}
