//! Key slots: unlocking, adding, removing. Every slot is stored twice.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zeroize::Zeroizing;

use crate::crypto;
use crate::crypto::hash;
use crate::crypto::keys::RootKey;
use crate::crypto::random;
use crate::crypto::seal::{open_object, seal_object};
use crate::crypto::secret::Secret;
use crate::crypto::slot::{SlotKey, Stretch};
use crate::format::log::{Action, KeyChange};
use crate::format::slots::{SLOT_BYTES_MAX, SLOTS_MAX, SLOTS_READ_MAX, Slot};
use crate::format::{Time, objects};
use crate::id::{RepositoryId, SlotId};
use crate::repo::error::Error;
use crate::repo::{Repository, object};
use crate::storage::Storage;

/// What opens a repository.
pub enum Credential {
    /// What a person remembers.
    Password(Zeroizing<String>),
    /// The 32 bytes of a key file.
    KeyFile(Secret),
    /// The root key itself, from the recovery key.
    Recovery(RootKey),
}

const RECOVERY_PREFIX: &str = "larder-recovery-1";
const GROUP_DIGITS: usize = 8;

/// The recovery key as people keep it: groups of digits, the last a check.
pub fn recovery_text(root: &RootKey) -> Zeroizing<String> {
    let digits = Zeroizing::new(hex::encode(root.expose()));
    let mut text = Zeroizing::new(RECOVERY_PREFIX.to_owned());
    for at in (0..digits.len()).step_by(GROUP_DIGITS) {
        text.push('-');
        text.push_str(&digits[at..at + GROUP_DIGITS]);
    }
    let _ = write!(text, "-{}", recovery_check(root.expose()));
    text
}

/// Reads a key file: 32 bytes, or as many in hexadecimal digits; `None` when it is none.
pub fn parse_key_file(bytes: &[u8]) -> Option<Secret> {
    let mut key = Zeroizing::new([0; 32]);
    if bytes.len() == key.len() {
        key.copy_from_slice(bytes);
    } else {
        hex::decode_to_slice(bytes.trim_ascii(), key.as_mut_slice()).ok()?;
    }
    Some(Secret::new(*key))
}

fn recovery_check(bytes: &[u8; 32]) -> String {
    hex::encode(hash::derive::<2>("larder v1 recovery check", &[bytes]))
}

/// Reads a recovery key; `None` when it is not one, or mistyped.
pub fn parse_recovery(text: &str) -> Option<RootKey> {
    let rest = text.trim().strip_prefix(RECOVERY_PREFIX)?.strip_prefix('-')?;
    // Dashes are for the eye, wherever they were typed.
    let digits = Zeroizing::new(rest.replace('-', ""));
    let mut bytes = Zeroizing::new([0; 32]);
    let (root, check) = digits.split_at_checked(2 * bytes.len())?;
    hex::decode_to_slice(root.as_bytes(), bytes.as_mut_slice()).ok()?;
    (recovery_check(&bytes) == check).then(|| RootKey::new(Secret::new(*bytes)))
}

/// Locks the root key into a new slot.
pub fn lock_root(
    repository: RepositoryId,
    root: &RootKey,
    credential: &Credential,
    stretch: Stretch,
    label: &str,
    now: Time,
) -> Result<Slot, Error> {
    let (bytes, stretch): (&[u8], Stretch) = match credential {
        Credential::Password(password) => (password.as_bytes(), stretch),
        Credential::KeyFile(secret) => (secret.expose(), Stretch::None),
        Credential::Recovery(_) => return Err(Error::SlotRefused("the recovery key needs no slot")),
    };
    let salt = random::bytes()?;
    let key = SlotKey::new(bytes, stretch, &salt)?;
    let mut slot = Slot {
        repository,
        slot: SlotId::new(random::bytes()?),
        created: now,
        label: label.to_owned(),
        stretch,
        salt,
        commitment: key.commitment(),
        nonce: random::bytes()?,
        sealed: [0; 48],
    };
    let mut sealed = root.expose().to_vec();
    seal_object(key.unlock(&slot.commitment)?, &slot.nonce, &slot.head(), &mut sealed)?;
    slot.sealed.copy_from_slice(&sealed);
    let decoded = Slot::decode(&slot.encode()).map_err(|_| Error::SelfCheck { what: "key slot" })?;
    let opened = open_slot(&decoded, &key).map_err(|_| Error::SelfCheck { what: "key slot" })?;
    if opened.expose() == root.expose() { Ok(slot) } else { Err(Error::SelfCheck { what: "key slot" }) }
}

fn open_slot(slot: &Slot, key: &SlotKey) -> Result<RootKey, crypto::Error> {
    let unlocked = key.unlock(&slot.commitment)?;
    let mut bytes = slot.sealed.to_vec();
    open_object(unlocked, &slot.nonce, &slot.head(), &mut bytes)?;
    let bytes = bytes.first_chunk::<32>().ok_or(crypto::Error::Forged)?;
    Ok(RootKey::new(Secret::new(*bytes)))
}

/// Damaged copies of slots that are named one by one.
const ODDITIES_MAX: usize = 64;

/// What was found under `keys/`.
#[derive(Debug, Default)]
pub struct Slots {
    /// Slots of which at least one copy is sound.
    pub slots: Vec<Slot>,
    /// Copies that are missing or damaged, and how many slots were ignored.
    pub oddities: Vec<String>,
    /// Slot ids that were not looked at, as there are too many.
    pub ignored: usize,
}

/// Reads the slots: the first 64 ids, in their order, of which a copy is a slot of this repository. What is none does
/// not count, so that junk hides no slot; see "Key slots" in `format-spec/keys.md`.
pub fn read_slots(storage: &dyn Storage, repository: RepositoryId) -> Result<Slots, Error> {
    let mut ids = BTreeSet::new();
    storage.list(objects::SLOTS, &mut |info| {
        ids.extend(objects::slot_of_name(info.name.as_str()));
    })?;
    let mut found = Slots::default();
    let (mut read, mut sound, mut unnamed) = (0, 0, 0);
    for &id in ids.iter().take(SLOTS_READ_MAX) {
        if sound == SLOTS_MAX {
            break;
        }
        read += 1;
        let (slots, oddities) = read_slot(storage, repository, id)?;
        let usable = !slots.is_empty();
        sound += usize::from(usable);
        found.slots.extend(slots);
        // A damaged copy of a slot that can be used is always named: junk must not hide it either.
        if usable || found.oddities.len() < ODDITIES_MAX {
            found.oddities.extend(oddities);
        } else {
            unnamed += oddities.len();
        }
    }
    if unnamed > 0 {
        found.oddities.push(format!("{unnamed} more copies of key slots are damaged or missing"));
    }
    found.ignored = ids.len() - read;
    if found.ignored > 0 {
        found.oddities.push(format!("{} of {} key slots were ignored: there are too many", found.ignored, ids.len()));
    }
    Ok(found)
}

/// Reads both copies of a slot: what can be used, both if they differ, and what is wrong with them.
fn read_slot(storage: &dyn Storage, repository: RepositoryId, id: SlotId) -> Result<(Vec<Slot>, Vec<String>), Error> {
    let (mut slots, mut oddities, mut refused) = (Vec::<Slot>::new(), Vec::new(), None);
    for name in objects::slot_names(&id) {
        match read_copy(storage, repository, id, &name) {
            // Either may be the damaged one: both are tried.
            Ok(slot) if slots.first().is_some_and(|first| *first != slot) => {
                oddities.push(format!("{name} and its other copy differ"));
                slots.insert(0, slot);
            }
            Ok(slot) if slots.is_empty() => slots.push(slot),
            Ok(_) => {}
            Err(error) => {
                oddities.push(error.to_string());
                refused = refused.or(Some(error).filter(|error| !error.is_damage()));
            }
        }
    }
    match refused.filter(|_| slots.is_empty()) {
        Some(error) => Err(error),
        None => Ok((slots, oddities)),
    }
}

fn read_copy(storage: &dyn Storage, repository: RepositoryId, id: SlotId, name: &str) -> Result<Slot, Error> {
    let bytes = storage.get_whole(&object(name.to_owned())?, SLOT_BYTES_MAX)?;
    let slot = Slot::decode(&bytes).map_err(|reject| Error::reject(name, reject))?;
    if slot.repository == repository && slot.slot == id {
        Ok(slot)
    } else {
        Err(Error::Damaged { object: name.to_owned(), reason: "belongs to another repository or slot".into() })
    }
}

/// Finds the slot that the credential opens.
pub fn unlock(slots: &Slots, credential: &Credential) -> Result<RootKey, Error> {
    let (bytes, file): (&[u8], bool) = match credential {
        Credential::Password(password) => (password.as_bytes(), false),
        Credential::KeyFile(secret) => (secret.expose(), true),
        Credential::Recovery(root) => return Ok(RootKey::new(Secret::new(*root.expose()))),
    };
    if slots.slots.is_empty() {
        let first = slots.oddities.first().cloned().unwrap_or_else(|| "there is none".into());
        let reason = if slots.ignored == 0 {
            first
        } else {
            format!("{first}; {} more ignored: there are too many", slots.ignored)
        };
        return Err(Error::NoSlot { reason });
    }
    let mut forged = None;
    for slot in slots.slots.iter().filter(|slot| (slot.stretch == Stretch::None) == file) {
        match open_slot(slot, &SlotKey::new(bytes, slot.stretch, &slot.salt)?) {
            Ok(root) => return Ok(root),
            Err(crypto::Error::WrongKey) => {}
            Err(error) => forged = Some(Error::forged(objects::slot_names(&slot.slot)[0].clone(), error)),
        }
    }
    // The right one may be among those that nobody looked at.
    let unknown = (slots.ignored > 0).then(|| Error::NoSlot {
        reason: format!("{} were tried, and {} more ignored: there are too many", slots.slots.len(), slots.ignored),
    });
    Err(forged.or(unknown).unwrap_or(Error::WrongKey))
}

/// Stores both copies of a slot.
pub fn store_slot(storage: &dyn Storage, slot: &Slot) -> Result<(), Error> {
    let bytes = slot.encode();
    for name in objects::slot_names(&slot.slot) {
        storage.put_new(&object(name)?, &[&bytes])?;
    }
    Ok(storage.barrier()?)
}

/// Adds a slot to a repository.
pub fn add(
    repo: &Repository,
    root: &RootKey,
    credential: &Credential,
    stretch: Stretch,
    label: &str,
    now: Time,
) -> Result<SlotId, Error> {
    let present = read_slots(repo.storage().as_ref(), repo.config().repository)?;
    if present.slots.len() >= SLOTS_MAX {
        return Err(Error::SlotRefused("there are 64 key slots already; remove one first"));
    }
    let slot = lock_root(repo.config().repository, root, credential, stretch, label, now)?;
    store_slot(repo.storage().as_ref(), &slot)?;
    note_change(repo, slot.slot, KeyChange::Added, now)?;
    Ok(slot.slot)
}

/// Removes a slot; the last one stays.
pub fn remove(repo: &Repository, slot: SlotId, now: Time) -> Result<(), Error> {
    let present = read_slots(repo.storage().as_ref(), repo.config().repository)?;
    if !present.slots.iter().any(|other| other.slot != slot) {
        return Err(Error::SlotRefused("the last key slot cannot be removed; add another first"));
    }
    note_change(repo, slot, KeyChange::Removed, now)?;
    for name in objects::slot_names(&slot) {
        repo.storage().delete(&object(name)?)?;
    }
    Ok(repo.storage().barrier()?)
}

fn note_change(repo: &Repository, slot: SlotId, change: KeyChange, now: Time) -> Result<(), Error> {
    repo.append::<Error>(now, &mut |_| Ok(Some(Action::Key { slot, change })))?;
    Ok(())
}
