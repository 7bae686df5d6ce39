//! `larder next`

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use larder::progress::Silent;
use larder::run::agenda::{self, Last, Lasts, What};
use larder::run::due::Clock;

use crate::cli::config::Which;
use crate::cli::output::{Align, Form, Outcome, Table, escaped, local_moment, zone};
use crate::cli::report::Exit;
use crate::cli::session::Session;

/// Show when each source is due next, and what is done for the repository
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    which: Which,
    /// So many moments of each
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
}

#[derive(Serialize)]
struct Coming {
    /// `source`, or for the repository.
    what: &'static str,
    name: String,
    when: String,
    /// Whether it is due now.
    due: bool,
    #[serde(skip)]
    moment: Timestamp,
}

/// Shows it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    let found = arguments.which.read()?;
    let jobs = agenda::jobs(&found.config);
    let repo = found.open(session).map_err(|failure| {
        let why = failure.message();
        session.out.warning(format!("{why}\nwhat was missed is not known; these are the moments from now on"));
    });
    let world = found.world(session, &Silent, repo.as_ref().ok());
    let clock = Clock::of(&world);
    let lasts: Lasts = match &repo {
        Ok(repo) => agenda::lasts(&jobs, repo, &clock, &world),
        Err(()) => {
            jobs.iter().map(|job| (job.what.clone(), Last { time: clock.now, failures: 0, counted: None })).collect()
        }
    };
    let now = clock.now.timestamp();
    let mut all = Vec::new();
    for job in &jobs {
        let last = lasts.get(&job.what).copied();
        let what = match job.what {
            What::Source(_) => "source",
            What::Upkeep(_) => "repository",
        };
        all.extend(agenda::coming(job, last, &clock, arguments.count.into()).into_iter().map(|moment| Coming {
            what,
            name: job.what.name().to_owned(),
            when: moment.to_string(),
            due: moment <= now,
            moment,
        }));
    }
    all.sort_by_key(|coming| coming.moment);
    if session.out.form() == Form::Json {
        session.out.json(&all)?;
        return Ok(Exit::Done);
    }
    let when = format!("WHEN ({})", zone());
    let mut table = Table::new(&[(&when, Align::Left), ("WHAT", Align::Left), ("", Align::Left)]);
    for coming in &all {
        let due = if coming.due { "due now" } else { "" };
        table.row(vec![local_moment(coming.moment), escaped(coming.name.as_bytes()), due.to_owned()]);
    }
    for line in table.lines().filter(|_| !all.is_empty()) {
        session.out.line(line)?;
    }
    let without = found.config.sources.iter().filter(|source| !is_scheduled(&jobs, &source.name));
    for source in without {
        session.out.note(format!("{} has no schedule, or is not enabled", escaped(source.name.as_bytes())));
    }
    Ok(Exit::Done)
}

fn is_scheduled(jobs: &[agenda::Job<'_>], name: &str) -> bool {
    jobs.iter().any(|job| matches!(&job.what, What::Source(source) if source == name))
}
