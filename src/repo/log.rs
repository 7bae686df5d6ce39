//! The commit log: reading it, and appending to it by creating the next entry if it is absent.
//!
//! Promise: an entry is valid only directly after the head it was computed against; whoever loses a slot computes
//! again. See `format-spec/log.md` and `format-spec/ordering.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use crate::crypto::{hash, random, seal, sign};
use crate::format::log::{Action, Body, ENTRY_BYTES_MAX, HEAD_BYTES, Head, SIGNATURE_DOMAIN};
use crate::format::{Reject, Time, objects};
use crate::repo::error::Error;
use crate::repo::state::State;
use crate::repo::{Repository, object};
use crate::storage::{self, ErrorKind};

/// How often an append tries the next slot before it gives up.
pub const ATTEMPTS_MAX: u32 = 64;
/// Longest run of missing entries that is listed one by one.
const GAP_MAX: u64 = 1024;

/// An entry's bytes and whether this client has checked its signature before.
struct Found {
    bytes: Vec<u8>,
    known: bool,
}

impl Repository {
    /// Looks at the log again and returns what exists now.
    pub fn refresh(&self) -> Result<Arc<State>, Error> {
        let mut state = (*self.state()).clone();
        let listed = self.list_log()?;
        let opening = state.head == 0;
        let newest = listed.last_key_value().map_or(0, |(&seq, _)| seq);
        let seen = self.seen();
        if state.head == 0 {
            self.apply_cached(&mut state, &listed)?;
        }
        self.apply_listed(&mut state, &listed)?;
        if let Some((seq, hash)) = seen.filter(|_| opening || seen != Some((state.head, state.head_hash))) {
            self.check_memory(seq, hash, newest, &state)?;
        }
        if seen.is_none_or(|(seq, _)| seq < state.head) {
            self.remember(&state);
        }
        let state = Arc::new(state);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state.clone();
        Ok(state)
    }

    /// Reads the whole log again from the storage, trusting nothing that the index has kept.
    pub fn reread_log(&self) -> Result<State, Error> {
        let mut state = State::default();
        self.apply_listed(&mut state, &self.list_log()?)?;
        Ok(state)
    }

    fn list_log(&self) -> Result<BTreeMap<u64, u64>, Error> {
        let mut listed = BTreeMap::new();
        self.storage.list(objects::LOG, &mut |info| {
            if let Some(seq) = objects::seq_of_name(info.name.as_str()) {
                listed.insert(seq, info.bytes);
            }
        })?;
        Ok(listed)
    }

    /// Takes from the index what it has kept, as far as the storage still lists it at the same length.
    fn apply_cached(&self, state: &mut State, listed: &BTreeMap<u64, u64>) -> Result<(), Error> {
        let cached = self.index().log_entries().unwrap_or_default();
        for (seq, bytes) in cached {
            if seq != state.head + 1 || listed.get(&seq) != Some(&(bytes.len() as u64)) {
                break;
            }
            let Ok(body) = self.open_entry(seq, &Found { bytes: bytes.clone(), known: true }) else { break };
            if body.previous != state.head_hash {
                break;
            }
            state.apply(seq, hash::plain(&bytes), &body);
        }
        Ok(())
    }

    fn apply_listed(&self, state: &mut State, listed: &BTreeMap<u64, u64>) -> Result<(), Error> {
        for &seq in listed.range(state.head + 1..).map(|(seq, _)| seq) {
            let missing = seq - state.head - 1;
            for gap in (state.head + 1..seq).take(GAP_MAX as usize) {
                state.apply_damaged(gap, [0; 32], "missing".into());
            }
            if missing > GAP_MAX {
                state.apply_damaged(seq - 1, [0; 32], format!("missing, with {missing} before it"));
            }
            match self.storage.get_whole(&object(objects::log_name(seq))?, ENTRY_BYTES_MAX) {
                Ok(bytes) => self.apply_found(state, seq, bytes)?,
                Err(error) if error.kind == ErrorKind::NotFound => {
                    state.apply_damaged(seq, [0; 32], "missing".into());
                }
                Err(error) if error.kind == ErrorKind::TooLong => {
                    state.apply_damaged(seq, [0; 32], error.reason);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn apply_found(&self, state: &mut State, seq: u64, bytes: Vec<u8>) -> Result<(), Error> {
        let hash = hash::plain(&bytes);
        let found = Found { bytes, known: false };
        match self.open_entry(seq, &found) {
            Ok(body) => {
                let after_gap = state.problems.last().is_some_and(|problem| problem.seq == state.head);
                let follows = body.previous == state.head_hash || after_gap;
                state.apply(seq, hash, &body);
                if follows {
                    self.index().put_log_entry(seq, &found.bytes)?;
                } else {
                    // It is genuine, so what it says counts; but the history before it is not what it was.
                    state.note_problem(seq, "does not follow the entry before".into());
                }
            }
            Err(newer @ Error::Newer { .. }) => return Err(newer),
            Err(error) => state.apply_damaged(seq, hash, error.to_string()),
        }
        Ok(())
    }

    fn open_entry(&self, seq: u64, found: &Found) -> Result<Body, Error> {
        let name = objects::log_name(seq);
        let reject = |reject| Error::reject(name.clone(), reject);
        let head = Head::decode(&found.bytes).map_err(reject)?;
        if head.repository != self.config.repository {
            return Err(reject(Reject::Foreign));
        }
        if head.seq != seq {
            return Err(reject(Reject::Broken("entry under another entry's name")));
        }
        let mut body = found.bytes[HEAD_BYTES..].to_vec();
        seal::open_object(&self.log_key, &head.nonce, &found.bytes[..HEAD_BYTES], &mut body)
            .map_err(|error| Error::forged(name.clone(), error))?;
        let (signed, signature) = body.split_last_chunk::<64>().ok_or(reject(Reject::Truncated))?;
        let body = Body::decode(signed).map_err(reject)?;
        // What came from the index was checked when it was put there; its seal shows that it is unchanged.
        if !found.known {
            self.check_signature(seq, &body, signed, signature).map_err(|error| Error::forged(name.clone(), error))?;
        }
        Ok(body)
    }

    fn check_signature(
        &self,
        seq: u64,
        body: &Body,
        signed: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), crate::crypto::Error> {
        // Version 1 knows one writer, the owner. Its key comes from the root key, never from the storage.
        if body.writer != self.keys.writer() {
            return Err(crate::crypto::Error::Forged);
        }
        let message: [&[u8]; 3] = [self.config.repository.as_bytes(), &seq.to_le_bytes(), signed];
        sign::verify(&self.keys.signer().public(), SIGNATURE_DOMAIN, &message, signature)
    }

    /// Appends an entry. `decide` is asked again with the newest state whenever another writer was faster; `None`
    /// from it means that there is nothing to append. Returns the state after the entry.
    pub fn append<E: From<Error>>(
        &self,
        now: Time,
        decide: &mut dyn FnMut(&State) -> Result<Option<Action>, E>,
    ) -> Result<Arc<State>, E> {
        for _ in 0..ATTEMPTS_MAX {
            let state = self.state();
            let Some(action) = decide(&state)? else { return Ok(state) };
            let token = random::bytes().map_err(Error::from)?;
            let (seq, bytes) = self.seal_entry(&state, now, token, action)?;
            if self.put_entry(seq, &bytes)? {
                return Ok(self.refresh()?);
            }
            self.refresh()?;
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX }.into())
    }

    fn seal_entry(&self, state: &State, now: Time, token: [u8; 16], action: Action) -> Result<(u64, Vec<u8>), Error> {
        let seq = state.head + 1;
        let grease: [u8; 8] = random::bytes()?;
        let extension = grease[..usize::from(grease[0] % 8)].to_vec();
        let body = Body { previous: state.head_hash, token, writer: self.keys.writer(), time: now, action, extension };
        let signed = body.encode();
        if Body::decode(&signed).as_ref() != Ok(&body) {
            return Err(Error::SelfCheck { what: "log entry" });
        }
        let message: [&[u8]; 3] = [self.config.repository.as_bytes(), &seq.to_le_bytes(), &signed];
        let signature = self.keys.signer().sign(SIGNATURE_DOMAIN, &message);
        let head = Head { repository: self.config.repository, seq, nonce: random::bytes()? }.encode();
        let mut sealed = signed;
        sealed.extend_from_slice(&signature);
        let nonce = head.last_chunk().copied().unwrap_or_default();
        seal::seal_object(&self.log_key, &nonce, &head, &mut sealed)?;
        let mut bytes = head.to_vec();
        bytes.append(&mut sealed);
        if bytes.len() as u64 > ENTRY_BYTES_MAX {
            return Err(Error::SelfCheck { what: "log entry of a possible length" });
        }
        Ok((seq, bytes))
    }

    /// Puts an entry; `false` when another writer has the slot. A lost reply is resolved by reading back: the entry
    /// carries a random token, so equal bytes are one's own.
    fn put_entry(&self, seq: u64, bytes: &[u8]) -> Result<bool, Error> {
        let name = object(objects::log_name(seq))?;
        if let Err(error) = self.storage.put_new(&name, &[bytes]) {
            match self.storage.get_whole(&name, ENTRY_BYTES_MAX) {
                Ok(stored) if stored == bytes => {}
                Ok(_) if error.kind == ErrorKind::AlreadyExists => return Ok(false),
                _ => return Err(error.into()),
            }
        }
        self.storage.barrier()?;
        Ok(true)
    }

    fn seen(&self) -> Option<(u64, [u8; 32])> {
        let text = fs::read_to_string(self.memory.as_ref()?).ok()?;
        let (seq, digits) = text.trim().split_once(' ')?;
        let mut hash = [0; 32];
        hex::decode_to_slice(digits, &mut hash).ok()?;
        Some((seq.parse().ok()?, hash))
    }

    fn check_memory(&self, seq: u64, hash: [u8; 32], newest: u64, state: &State) -> Result<(), Error> {
        let Some(memory) = self.memory.clone() else { return Ok(()) };
        if newest < seq {
            let found = format!("now the newest is {newest}");
            return Err(Error::RolledBack { expected: seq, found, memory });
        }
        // A damaged or missing entry is named as such elsewhere; here only a different history counts.
        let damaged = state.problems.iter().any(|problem| problem.seq == seq);
        // The state may have come from the index, which knows nothing of what was done to the storage meanwhile.
        let other = match self.storage.get_whole(&object(objects::log_name(seq))?, ENTRY_BYTES_MAX) {
            Ok(bytes) => hash::plain(&bytes) != hash && self.is_genuine(seq, bytes),
            Err(storage::Error { kind: ErrorKind::NotFound, .. }) => true,
            Err(storage::Error { kind: ErrorKind::TooLong, .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if other && !damaged {
            return Err(Error::RolledBack { expected: seq, found: "another entry is in its place".into(), memory });
        }
        Ok(())
    }

    /// Whether these bytes are an entry of this repository. If not, they are damaged rather than another history.
    fn is_genuine(&self, seq: u64, bytes: Vec<u8>) -> bool {
        self.open_entry(seq, &Found { bytes, known: false }).is_ok()
    }

    /// Writes the client's memory. It is a safeguard, so failing to write it is no failure.
    fn remember(&self, state: &State) {
        let Some(path) = &self.memory else { return };
        let damaged = state.problems.last().is_some_and(|problem| problem.seq == state.head);
        if damaged || state.head == 0 {
            return;
        }
        let text = format!("{} {}\n", state.head, hex::encode(state.head_hash));
        let _ = write_beside(path, text.as_bytes());
    }
}

fn write_beside(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
