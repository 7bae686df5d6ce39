//! What is started when: one group for each timetable.

use std::time::Duration;

use crate::config::variables::name_of;
use crate::config::{Config, Missed, Timetable};
use crate::deploy::{Error, line};

/// What is looked for when nothing more exact can be said.
pub const LOOK: &str = "look";
/// A jitter that leaves time before something missed is passed over for good (an hour).
const JITTER_MAX: Duration = Duration::from_secs(50 * 60);

/// What is due at the same moments.
#[derive(Debug)]
pub struct Group<'c> {
    /// A name that is good for files.
    pub name: String,
    /// What is due, by names.
    pub members: Vec<&'c str>,
    /// When.
    pub timetable: &'c Timetable,
    /// The variables that turn larder's own jitter off.
    pub jitters: Vec<String>,
}

/// All groups, in the order of the sources; the upkeep comes last.
pub fn groups(config: &Config) -> Result<Vec<Group<'_>>, Error> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let sources = config.sources.iter().filter(|source| source.enabled);
    let sources = sources.filter_map(|source| {
        let path = ["source".to_owned(), source.name.clone(), "schedule".to_owned()];
        Some((source.name.as_str(), source.timetable.as_ref()?, name_of(&path, "jitter")))
    });
    let upkeep = of_upkeep(config);
    for (member, timetable, jitter) in sources.chain(upkeep).filter(|one| one.1.enabled) {
        if let Some(group) = groups.iter_mut().find(|group| group.timetable == timetable) {
            group.members.push(member);
            group.jitters.push(jitter);
        } else {
            let name = name(member, &groups);
            groups.push(Group { name, members: vec![member], timetable, jitters: vec![jitter] });
        }
    }
    if groups.is_empty() { Err(Error::NoSchedule) } else { Ok(groups) }
}

fn of_upkeep(config: &Config) -> impl Iterator<Item = (&str, &Timetable, String)> {
    let prune = config.upkeep.prune.as_ref().map(|prune| ("prune", &prune.timetable));
    let check = config.upkeep.check.as_ref().map(|check| ("check", &check.timetable));
    let drill = config.drill.timetable.as_ref().map(|timetable| ("drill", timetable));
    let named = |(name, timetable): (&'static str, _)| (name, timetable, name_of(&[name.to_owned()], "jitter"));
    [prune, check, drill].into_iter().flatten().map(named)
}

/// Letters, digits and dashes that no other group has.
fn name(member: &str, groups: &[Group<'_>]) -> String {
    let plain: String = member.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let taken = |name: &str| name == LOOK || groups.iter().any(|group| group.name == name);
    let numbered = (2..).map(|number| format!("{plain}-{number}"));
    [plain.clone()].into_iter().chain(numbered).find(|name| !taken(name)).unwrap_or(plain)
}

impl Group<'_> {
    /// What it is, for people.
    pub fn said(&self) -> String {
        line(&self.members.join(", "))
    }

    /// Why it cannot be started by somebody else at its moments, later by a random time.
    pub fn is_looked_for(&self) -> Option<&'static str> {
        let long = self.timetable.missed == Missed::Skip && self.timetable.jitter > JITTER_MAX;
        if self.timetable.retry.is_some() {
            return Some("what failed is tried again before its next moment (retry)");
        }
        long.then_some("its jitter is so long that larder must know it to tell what was missed")
    }
}
