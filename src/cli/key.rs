//! `larder key`

use clap::{Args, Subcommand};
use serde::Serialize;

use larder::crypto::keys::RootKey;
use larder::crypto::slot::Stretch;
use larder::format::slots::{LABEL_BYTES_MAX, Slot};
use larder::id::SlotId;
use larder::repo::Repository;
use larder::repo::slots::{self, Credential, Slots, read_slots};

use crate::cli::init::Kdf;
use crate::cli::output::{Align, Form, Outcome, Table, escaped, local_time, rfc3339};
use crate::cli::report::{Exit, Failure};
use crate::cli::session::{self, Session};
use crate::cli::unlock::{NewPassword, new_key_file};

/// Fewest digits of a slot's id that count as one.
const PREFIX_DIGITS_MIN: usize = 4;

/// Passwords and key files that open the repository
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a password, or with --key-file a key file, which is made if it does not exist
    Add(Add),
    /// List key slots
    List,
    /// Remove a key slot; the last one stays
    Remove {
        /// The slot: the beginning of its id
        slot: String,
    },
    /// Replace the password that opens the repository
    ChangePassword(Change),
}

#[derive(Debug, Args)]
struct Add {
    #[command(flatten)]
    new: NewPassword,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    label: String,
    /// How much a password is stretched
    #[arg(long, value_name = "HOW", default_value = "standard")]
    kdf: Kdf,
}

#[derive(Debug, Args)]
struct Change {
    #[command(flatten)]
    new: NewPassword,
    /// How much the password is stretched
    #[arg(long, value_name = "HOW", default_value = "standard")]
    kdf: Kdf,
}

#[derive(Serialize)]
struct Answer {
    id: String,
    kind: &'static str,
    created: String,
    label: String,
}

/// Does it.
pub fn run(session: &mut Session, arguments: &Arguments) -> Outcome {
    match &arguments.command {
        Command::Add(arguments) => add(session, arguments),
        Command::List => list(session),
        Command::Remove { slot } => remove(session, slot),
        Command::ChangePassword(arguments) => change_password(session, arguments),
    }
}

/// Opens the repository for somebody who needs its root key.
fn open(session: &Session, credential: &Credential) -> Result<(Repository, RootKey), Failure> {
    session.open_with(session.storage()?, credential)
}

fn add(session: &mut Session, arguments: &Add) -> Outcome {
    if arguments.label.len() as u64 > LABEL_BYTES_MAX {
        return Err(Failure::usage(format!("--label is longer than {LABEL_BYTES_MAX} bytes")));
    }
    let given = session.global.given.clone();
    let (repo, root) = open(session, &given.unlocking_otherwise()?)?;
    let credential = match &given.key_file {
        Some(file) => new_key_file(file)?,
        None => arguments.new.locking()?,
    };
    let stretch = arguments.kdf.stretch();
    let slot = slots::add(&repo, &root, &credential, stretch, &arguments.label, session::now())?;
    added(session, &repo, slot)
}

/// Says which slot is new.
pub fn added(session: &mut Session, repo: &Repository, slot: SlotId) -> Outcome {
    let slots = read_slots(repo.storage().as_ref(), repo.config().repository)?;
    if let Some(slot) = slots.slots.iter().find(|other| other.slot == slot) {
        match session.out.form() {
            Form::Json => session.out.json(&answer(slot))?,
            Form::Text => session.out.say(format!("added key slot {} ({})", slot.slot.short(), kind(slot)))?,
        }
    }
    Ok(Exit::Done)
}

fn list(session: &mut Session) -> Outcome {
    let repo = session.open()?;
    let slots = read_slots(repo.storage().as_ref(), repo.config().repository)?.slots;
    if session.out.form() == Form::Json {
        session.out.json(&slots.iter().map(answer).collect::<Vec<_>>())?;
        return Ok(Exit::Done);
    }
    let left = Align::Left;
    let mut table = Table::new(&[("id", left), ("kind", left), ("created", left), ("label", left)]);
    for slot in &slots {
        let label = escaped(slot.label.as_bytes());
        table.row(vec![slot.slot.short(), kind(slot).into(), local_time(slot.created), label]);
    }
    for line in table.lines() {
        session.out.line(line)?;
    }
    Ok(Exit::Done)
}

fn kind(slot: &Slot) -> &'static str {
    match slot.stretch {
        Stretch::None => "key file",
        Stretch::Argon2id { .. } => "password",
    }
}

fn answer(slot: &Slot) -> Answer {
    Answer { id: slot.slot.to_string(), kind: kind(slot), created: rfc3339(slot.created), label: slot.label.clone() }
}

fn remove(session: &mut Session, text: &str) -> Outcome {
    let repo = session.open()?;
    let slots = read_slots(repo.storage().as_ref(), repo.config().repository)?.slots;
    let fitting: Vec<SlotId> =
        slots.iter().map(|slot| slot.slot).filter(|slot| slot.to_string().starts_with(text)).collect();
    match fitting.as_slice() {
        [slot] if text.len() >= PREFIX_DIGITS_MIN => {
            slots::remove(&repo, *slot, session::now())?;
            session.out.say(format!("removed key slot {}", slot.short()))?;
            Ok(Exit::Done)
        }
        [] => {
            Err(Failure::new(Exit::Failed, format!("there is no key slot {text:?}")).hint("larder key list shows them"))
        }
        _ => Err(Failure::new(Exit::Failed, format!("{text:?} fits {} key slots", fitting.len()))
            .hint("give more digits of its id")),
    }
}

fn change_password(session: &mut Session, arguments: &Change) -> Outcome {
    let credential = session.global.given.unlocking()?;
    if !matches!(credential, Credential::Password(_)) {
        return Err(Failure::usage("this changes a password, and a key file was given")
            .hint("larder key add adds a password; larder key remove removes what is not needed any more"));
    }
    let (repo, root) = open(session, &credential)?;
    let slots = read_slots(repo.storage().as_ref(), repo.config().repository)?.slots;
    let opens = |slot: &&Slot| {
        let alone = Slots { slots: vec![(*slot).clone()], ..Slots::default() };
        slots::unlock(&alone, &credential).is_ok()
    };
    let old = slots.iter().find(opens).ok_or_else(|| Failure::new(Exit::Failed, "that password opens no slot now"))?;
    let new = arguments.new.locking()?;
    // Added before the old one goes: at no time is there none.
    let slot = slots::add(&repo, &root, &new, arguments.kdf.stretch(), &old.label, session::now())?;
    slots::remove(&repo, old.slot, session::now())?;
    session.out.note(format!("key slot {} with the old password was removed", old.slot));
    session.out.note("who knows the old password and kept a copy of the repository can still open that copy");
    added(session, &repo, slot)
}
