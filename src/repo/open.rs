//! Making and opening repositories.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};

use crate::chunking::Sizes;
use crate::crypto::keys::{Keys, RootKey};
use crate::crypto::random;
use crate::crypto::seal::Opener;
use crate::crypto::sign;
use crate::crypto::slot::Stretch;
use crate::format::objects::{CONFIG_BYTES_MAX, CONFIGS, Config, SIGNATURE_DOMAIN, WeekStart};
use crate::format::{Reject, Time};
use crate::id::RepositoryId;
use crate::index::Index;
use crate::repo::catalog::{Catalog, HeaderOpener};
use crate::repo::error::Error;
use crate::repo::read::BlockCache;
use crate::repo::seal::Level;
use crate::repo::slots::{self, Credential};
use crate::repo::state::State;
use crate::repo::{Repository, object};
use crate::storage::{ErrorKind, Storage};

/// What a new repository is given.
pub struct NewRepository<'a> {
    /// IANA name of the time zone in which its days begin.
    pub time_zone: String,
    /// When its weeks begin.
    pub week_start: WeekStart,
    /// Sizes of its chunks.
    pub sizes: Sizes,
    /// What opens it.
    pub credential: &'a Credential,
    /// How a password is stretched.
    pub stretch: Stretch,
    /// When it is made.
    pub now: Time,
}

/// Makes a repository in an empty storage and returns its name and root key, which nobody else ever sees.
pub fn create(storage: &dyn Storage, new: &NewRepository<'_>) -> Result<(RepositoryId, RootKey), Error> {
    let root = RootKey::random()?;
    let keys = Keys::new(&root);
    let grease: [u8; 8] = random::bytes()?;
    let config = Config {
        repository: RepositoryId::new(random::bytes()?),
        created: new.now,
        sizes: new.sizes,
        time_zone: new.time_zone.clone(),
        week_start: new.week_start,
        read_public: keys.read_public(),
        owner_public: keys.signer().public(),
        extension: grease[..usize::from(grease[0] % 8)].to_vec(),
    };
    let mut bytes = config.encode();
    bytes.extend_from_slice(&keys.signer().sign(SIGNATURE_DOMAIN, &[&config.encode()]));
    if Config::decode(&bytes).map(|decoded| decoded.0) != Ok(config.clone()) {
        return Err(Error::SelfCheck { what: "config" });
    }
    // The slot first: a folder without a config is no repository, and one with it can be opened.
    let slot = slots::lock_root(config.repository, &root, new.credential, new.stretch, "first", new.now)?;
    slots::store_slot(storage, &slot)?;
    for name in CONFIGS.iter().rev() {
        storage.put_new(&object((*name).to_owned())?, &[&bytes])?;
    }
    storage.barrier()?;
    Ok((config.repository, root))
}

/// Opens a repository and reads its log. `caches` is the folder below which each repository has one of its own.
pub fn open(
    storage: Arc<dyn Storage>,
    credential: &Credential,
    caches: Option<&Path>,
) -> Result<(Repository, RootKey), Error> {
    let (candidates, mut oddities) = read_config(storage.as_ref())?;
    let mut unlocked = Err(Error::NotARepository);
    for candidate in candidates {
        unlocked = unlock(storage.as_ref(), candidate, credential);
        if unlocked.is_ok() {
            break;
        }
    }
    let Unlocked { config, keys, root, oddities: mut more } = unlocked?;
    oddities.append(&mut more);
    let repository = config.repository;
    let folder = caches.map(|caches| caches.join(repository.to_string()));
    let folder = folder.filter(|folder| std::fs::create_dir_all(folder).is_ok());
    let opener = Arc::new(HeaderOpener { keys: keys.clone(), repository });
    let index = Index::open(folder.as_deref(), repository, opener)?;
    let repo = Repository {
        storage,
        log_key: Repository::log_key(&keys),
        opener: Arc::new(Opener::new(keys.clone(), repository)),
        config,
        keys,
        index: Arc::new(Mutex::new(index)),
        state: RwLock::new(Arc::new(State::default())),
        blocks: BlockCache::default(),
        resurveyed: AtomicBool::new(false),
        memory: folder,
        level: Level::DEFAULT,
        oddities,
    };
    repo.refresh()?;
    Ok((repo, root))
}

struct Unlocked {
    config: Config,
    keys: Arc<Keys>,
    root: RootKey,
    oddities: Vec<String>,
}

/// Unlocks the repository that one copy of the config describes.
fn unlock(storage: &dyn Storage, candidate: Unchecked, credential: &Credential) -> Result<Unlocked, Error> {
    let recovering = matches!(credential, Credential::Recovery(_));
    let found =
        if recovering { slots::Slots::default() } else { slots::read_slots(storage, candidate.config.repository)? };
    let root = slots::unlock(&found, credential)?;
    let keys = Arc::new(Keys::new(&root));
    let config = candidate.check(&keys, credential)?;
    Ok(Unlocked { config, keys, root, oddities: found.oddities })
}

/// A config whose signature has not been checked yet, because the keys are not known yet.
struct Unchecked {
    config: Config,
    signed: Vec<u8>,
    signature: [u8; 64],
}

impl Unchecked {
    fn check(self, keys: &Keys, credential: &Credential) -> Result<Config, Error> {
        let own = keys.signer().public();
        if self.config.owner_public != own && matches!(credential, Credential::Recovery(_)) {
            return Err(Error::WrongKey);
        }
        self.genuine(keys)
    }

    fn genuine(self, keys: &Keys) -> Result<Config, Error> {
        let own = keys.signer().public();
        // The public keys come from the root key; the config only repeats them.
        let same = self.config.owner_public == own && self.config.read_public == keys.read_public();
        let signed = sign::verify(&own, SIGNATURE_DOMAIN, &[&self.signed], &self.signature);
        if same && signed.is_ok() {
            Ok(self.config)
        } else {
            let reason = "not signed by the owner of this repository".into();
            Err(Error::Damaged { object: CONFIGS[0].into(), reason })
        }
    }
}

/// Reads both copies of the config, equal ones once, and says what is wrong with them. Either may be the damaged one.
fn read_config(storage: &dyn Storage) -> Result<(Vec<Unchecked>, Vec<String>), Error> {
    let mut found: Vec<Unchecked> = Vec::new();
    let mut oddities = Vec::new();
    let (mut damage, mut refused) = (None, None);
    for name in CONFIGS {
        match read_config_copy(storage, name) {
            Ok(copy) => match found.first() {
                Some(first) if first.signed == copy.signed && first.signature == copy.signature => {}
                Some(_) => {
                    oddities.push(format!("{} and {} differ", CONFIGS[0], CONFIGS[1]));
                    found.push(copy);
                }
                None => found.push(copy),
            },
            Err(Error::Storage(error)) if error.kind == ErrorKind::NotFound => {
                oddities.push(format!("{name} is missing"));
            }
            Err(error) if error.is_damage() => {
                oddities.push(error.to_string());
                // A newer larder may have written what looks damaged beside it, so that comes first.
                let first = matches!(error, Error::Newer { .. }) && !matches!(damage, Some(Error::Newer { .. }));
                if first || damage.is_none() {
                    damage = Some(error);
                }
            }
            // One copy that cannot be read is what the other is for.
            Err(error) => {
                oddities.push(error.to_string());
                refused.get_or_insert(error);
            }
        }
    }
    if found.is_empty() { Err(refused.or(damage).unwrap_or(Error::NotARepository)) } else { Ok((found, oddities)) }
}

/// Reads both copies of an open repository's config again, and says which has something wrong with it, and what.
pub fn check_config(repo: &Repository) -> Vec<(&'static str, String)> {
    let mut oddities = Vec::new();
    for name in CONFIGS {
        match read_config_copy(repo.storage.as_ref(), name).and_then(|copy| copy.genuine(&repo.keys)) {
            Ok(config) if config == repo.config => {}
            Ok(_) => oddities.push((name, "it is another repository's, or an older one".to_owned())),
            Err(Error::Damaged { reason, .. }) => oddities.push((name, reason)),
            Err(error) => oddities.push((name, error.to_string())),
        }
    }
    oddities
}

fn read_config_copy(storage: &dyn Storage, name: &str) -> Result<Unchecked, Error> {
    let bytes = storage.get_whole(&object(name.to_owned())?, CONFIG_BYTES_MAX)?;
    let (config, signature) = Config::decode(&bytes).map_err(|reject| Error::reject_config(name, reject))?;
    let (signed, _) = bytes.split_last_chunk::<64>().ok_or(Error::reject(name, Reject::Truncated))?;
    Ok(Unchecked { config, signed: signed.to_vec(), signature })
}

impl Repository {
    /// Makes the index know every pack that the log names, and returns those that could not be read.
    pub fn catch_up(&self) -> Result<Vec<(crate::id::PackId, String)>, Error> {
        Catalog::catch_up(self)
    }
}
