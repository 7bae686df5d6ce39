//! What packs there are: the storage's listing, the log's view and the index, brought together.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use crate::crypto::keys::Keys;
use crate::crypto::seal::open_directory;
use crate::format::packs::{DIRECTORY_BYTES_MAX, Directory, PREAMBLE_BYTES, Preamble};
use crate::format::{Reject, objects};
use crate::id::{PackId, RepositoryId};
use crate::index::{self, DirectoryOpener, Index, PackNumber};
use crate::repo::error::Error;
use crate::repo::state::{Fate, State};
use crate::repo::{Repository, object};
use crate::storage::ErrorKind;
use std::sync::Arc;

/// The first read of a pack that the index does not know: most directories end within it.
const HEADER_GUESS_BYTES: u64 = 64 << 10;

/// A pack as the storage lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its length.
    pub bytes: u64,
    /// When it was stored, by the storage's clock.
    pub stored_at: SystemTime,
}

impl Listed {
    /// Whether a body of this length can be there. What follows a body is none of this version's business: see "Room
    /// for parity" in `format-spec/packs.md`.
    pub fn holds(&self, body_bytes: u64) -> bool {
        self.bytes >= body_bytes
    }
}

/// The front of a pack, as it was read.
#[derive(Debug)]
pub struct Front {
    /// Preamble and sealed directory, as stored.
    pub header: Vec<u8>,
    /// What the directory says.
    pub directory: Directory,
    /// Length of the body, as the preamble says. The object may be longer.
    pub body_bytes: u64,
}

/// The packs in the storage, with the index brought up to date.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Every pack listed.
    pub listed: HashMap<PackId, Listed>,
    /// Packs that should be there and are not, or are not as they should be.
    pub faults: Vec<(PackId, String)>,
    /// Packs that are there, but in which a check found damage.
    pub distrusted: BTreeSet<PackId>,
}

impl Catalog {
    /// Lists all packs, without looking into them.
    pub fn list(repo: &Repository) -> Result<HashMap<PackId, Listed>, Error> {
        let mut listed = HashMap::new();
        repo.storage.list(objects::PACKS, &mut |info| {
            if let Some(pack) = objects::pack_of_name(info.name.as_str()) {
                listed.insert(pack, Listed { bytes: info.bytes, stored_at: info.stored_at });
            }
        })?;
        Ok(listed)
    }

    /// Lists all packs, reads the directories of those that the index does not know, and drops from the index what
    /// is gone.
    pub fn survey(repo: &Repository) -> Result<Self, Error> {
        for _ in 0..MENDS_MAX {
            let emptied_before = repo.index().times_emptied();
            let catalog = Self::survey_once(repo)?;
            // The packs learnt before the index proved damaged are not in it any more.
            if repo.index().times_emptied() == emptied_before {
                return Ok(catalog);
            }
        }
        Self::survey_once(repo)
    }

    fn survey_once(repo: &Repository) -> Result<Self, Error> {
        let state = repo.state();
        let listed = Self::list(repo)?;
        let mut distrusted = repo.distrusted();
        distrusted.retain(|id| listed.contains_key(id) && state.fate(id) != Some(Fate::Swept));
        let mut catalog = Self { listed, faults: Vec::new(), distrusted };
        let rows: Vec<(PackId, u64)> = repo.index().packs().map(|row| (row.id, row.bytes)).collect();
        let mut gone = Vec::new();
        for (id, bytes) in rows {
            if !catalog.still_holds(repo, &id, bytes)? {
                gone.push(id);
            }
        }
        if !gone.is_empty() {
            repo.index().remove_packs(&gone)?;
        }
        let unknown: Vec<(PackId, u64)> = catalog
            .listed
            .iter()
            .filter(|(id, _)| state.fate(id) != Some(Fate::Swept) && repo.index().pack_number(id).is_none())
            .map(|(id, info)| (*id, info.bytes))
            .collect();
        for (id, bytes) in unknown {
            catalog.learn(repo, &state, id, bytes)?;
        }
        for (id, pack) in state.packs().filter(|(_, pack)| pack.fate == Fate::Live) {
            let index = repo.index();
            let known = index.pack_number(id).and_then(|number| index.pack(number)).map(|row| row.bytes);
            drop(index);
            match (catalog.listed.get(id), known) {
                (None, _) => catalog.faults.push((*id, "missing".into())),
                (Some(info), _) if !info.holds(pack.bytes) => {
                    catalog.faults.push((*id, format!("{} bytes long instead of {}", info.bytes, pack.bytes)));
                }
                (Some(_), Some(body)) if body != pack.bytes => {
                    catalog.faults.push((*id, other_length(body, pack.bytes)));
                }
                (Some(_), _) => {}
            }
        }
        catalog.faults.sort();
        catalog.faults.dedup_by_key(|fault| fault.0);
        Ok(catalog)
    }

    /// Whether a pack that the index knows may be what it was. A longer object may have a trailer, or be another in its
    /// place: its front tells.
    fn still_holds(&self, repo: &Repository, id: &PackId, body_bytes: u64) -> Result<bool, Error> {
        let Some(info) = self.listed.get(id) else { return Ok(false) };
        if info.bytes <= body_bytes {
            return Ok(info.bytes == body_bytes);
        }
        match read_header(repo, id, info.bytes) {
            Ok(front) => Ok(front.body_bytes == body_bytes),
            Err(error) if is_of_one_pack(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the index knows every pack that the log says is there. Cheaper than a survey: nothing is
    /// listed.
    pub fn catch_up(repo: &Repository) -> Result<Vec<(PackId, String)>, Error> {
        let state = repo.state();
        let mut catalog = Self::default();
        let named = state.packs().filter(|(_, pack)| pack.fate != Fate::Swept);
        let unknown: Vec<(PackId, u64)> = named
            .filter(|(id, _)| repo.index().pack_number(id).is_none())
            .map(|(id, pack)| (*id, pack.bytes))
            .collect();
        for (id, bytes) in unknown {
            catalog.learn(repo, &state, id, bytes)?;
        }
        Ok(catalog.faults)
    }

    fn learn(&mut self, repo: &Repository, state: &State, id: PackId, bytes: u64) -> Result<(), Error> {
        match read_header(repo, &id, bytes) {
            Ok(front) => {
                repo.index().add_pack(id, front.body_bytes, &front.header, Arc::new(front.directory))?;
            }
            // What no entry names may be what a killed run left: no fault.
            Err(error) if is_of_one_pack(&error) => {
                if matches!(state.fate(&id), Some(Fate::Live)) {
                    self.faults.push((id, error.to_string()));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The packs whose chunks may be taken as stored: listed and not shorter than their body, neither condemned nor
    /// swept, and not known to be damaged. With a damaged log none may: it might have said that they are to go.
    pub fn sound<'a>(&'a self, state: &'a State, index: &'a Index) -> impl Iterator<Item = PackNumber> + 'a {
        let trusted = state.problems.is_empty();
        index.packs().filter_map(move |row| {
            let listed = self.listed.get(&row.id).is_some_and(|info| info.holds(row.bytes));
            let counts = matches!(state.fate(&row.id), None | Some(Fate::Live));
            let named_so = state.pack(&row.id).is_none_or(|pack| pack.bytes == row.bytes);
            let damaged = self.distrusted.contains(&row.id);
            (trusted && listed && counts && named_so && !damaged).then_some(row.number)
        })
    }
}

/// How often in a row the index may prove damaged before that counts as an error.
const MENDS_MAX: u32 = 64;

/// Asks the index, and mends it from the repository when it proves damaged: it is a cache.
pub fn ask<T>(repo: &Repository, question: &mut dyn FnMut(&mut Index) -> Result<T, index::Error>) -> Result<T, Error> {
    for _ in 0..MENDS_MAX {
        let result = question(&mut repo.index());
        match result {
            Err(index::Error::Damaged { pack }) => mend(repo, &pack)?,
            Err(index::Error::Reset) => drop(Catalog::survey(repo)?),
            result => return Ok(result?),
        }
    }
    Ok(question(&mut repo.index())?)
}

/// Whether an error at the front of a pack concerns that pack alone. One that cannot be read, for whatever reason, must
/// not keep anyone from the others.
fn is_of_one_pack(error: &Error) -> bool {
    error.is_damage() || matches!(error, Error::Storage(_))
}

/// Fetches a pack's header again.
fn mend(repo: &Repository, pack: &PackId) -> Result<(), Error> {
    let row = {
        let index = repo.index();
        index.pack_number(pack).and_then(|number| index.pack(number).cloned())
    };
    let Some(row) = row else { return Ok(()) };
    let front = read_header(repo, pack, row.bytes)?;
    Ok(repo.index().replace_header(row.number, &front.header, Arc::new(front.directory))?)
}

/// What is wrong with a pack whose preamble and log entry disagree.
pub fn other_length(body_bytes: u64, named_bytes: u64) -> String {
    format!("its preamble says that its body has {body_bytes} bytes, and the log says {named_bytes}")
}

/// Reads and opens the directory at the front of a pack. `bytes`: the length of its object, or of its body.
pub fn read_header(repo: &Repository, id: &PackId, bytes: u64) -> Result<Front, Error> {
    let name = object(objects::pack_name(id))?;
    let mut header = repo.storage.get(&name, 0..HEADER_GUESS_BYTES.min(bytes))?;
    let preamble = Preamble::decode(&header).map_err(|reject| Error::reject(name.as_str(), reject))?;
    let len = PREAMBLE_BYTES as u64 + u64::from(preamble.directory_bytes.min(DIRECTORY_BYTES_MAX));
    if preamble.body_bytes > bytes {
        return Err(Error::reject(name.as_str(), Reject::Truncated));
    }
    if len > header.len() as u64 {
        match repo.storage.get(&name, header.len() as u64..len) {
            Ok(rest) => header.extend_from_slice(&rest),
            Err(error) if error.kind == ErrorKind::TooShort => {
                return Err(Error::reject(name.as_str(), Reject::Truncated));
            }
            Err(error) => return Err(error.into()),
        }
    }
    header.truncate(len as usize);
    let opener = HeaderOpener { keys: repo.keys.clone(), repository: repo.config.repository };
    let directory = opener.open(&header).map_err(|reject| Error::reject(name.as_str(), reject))?;
    Ok(Front { header, directory, body_bytes: preamble.body_bytes })
}

/// Opens the directories that the index keeps as they were stored.
pub struct HeaderOpener {
    /// The keys.
    pub keys: Arc<Keys>,
    /// The repository they must belong to.
    pub repository: RepositoryId,
}

impl DirectoryOpener for HeaderOpener {
    fn open(&self, header: &[u8]) -> Result<Directory, Reject> {
        let preamble = Preamble::decode(header)?;
        if preamble.repository != self.repository {
            return Err(Reject::Foreign);
        }
        let (plain, sealed) = header.split_at_checked(PREAMBLE_BYTES).ok_or(Reject::Truncated)?;
        let sealed = sealed.get(..preamble.directory_bytes as usize).ok_or(Reject::Truncated)?;
        let bytes = open_directory(&self.keys, &preamble.salt, plain, sealed)
            .map_err(|_| Reject::Broken("directory does not open: its bytes were changed"))?;
        let directory = Directory::decode(preamble.kind, &bytes)?;
        let body = PREAMBLE_BYTES as u64 + u64::from(preamble.directory_bytes) + directory.blocks_bytes();
        if body == preamble.body_bytes { Ok(directory) } else { Err(Reject::Broken("blocks do not fill the pack")) }
    }
}
