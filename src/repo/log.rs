//! The commit log: reading it, and appending to it by creating the next entry if it is absent.
//!
//! Promise: an entry is valid only directly after the head it was computed against; whoever loses a slot computes
//! again. See `format-spec/log.md` and `format-spec/ordering.md`.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::crypto::{hash, random, seal, sign};
use crate::format::log::{Action, Body, ENTRY_BYTES_MAX, HEAD_BYTES, Head, SIGNATURE_DOMAIN};
use crate::format::objects::{self, SEQ_MAX};
use crate::format::{Reject, Time};
use crate::repo::error::Error;
use crate::repo::state::State;
use crate::repo::{Repository, object};
use crate::storage::{self, ErrorKind};

/// How often an append tries the next slot before it gives up.
pub const ATTEMPTS_MAX: u32 = 64;
/// Most missing entries of a gap that are asked for, and listed, one by one; and how far beyond the head an object that
/// cannot be read may still be an entry. See "Gaps and strays" in `format-spec/log.md`.
const GAP_MAX: u64 = 1024;

/// An entry's bytes and whether this client has checked its signature before.
struct Found {
    bytes: Vec<u8>,
    known: bool,
}

/// An entry as the storage has it: what it says, or why it cannot be read.
struct Fetched {
    bytes: Vec<u8>,
    hash: [u8; 32],
    body: Result<Body, String>,
}

impl Repository {
    /// Looks at the log again and returns what exists now.
    pub fn refresh(&self) -> Result<Arc<State>, Error> {
        self.refresh_with(None)
    }

    /// Does so, and asks for one entry by name: it is known to be there, whatever the listing shows.
    fn refresh_with(&self, known: Option<u64>) -> Result<Arc<State>, Error> {
        let mut state = (*self.state()).clone();
        let mut listed = self.list_log()?;
        let opening = state.head == 0;
        let seen = self.seen();
        for seq in known.into_iter().chain(seen.map(|(seq, _)| seq)).filter(|&seq| seq <= SEQ_MAX) {
            // Of no length, so that it is read rather than taken from the index.
            listed.entry(seq).or_insert(0);
        }
        if state.head == 0 {
            self.apply_cached(&mut state, &listed)?;
        }
        self.apply_listed(&mut state, &listed)?;
        if let Some((seq, hash)) = seen.filter(|_| opening || seen != Some((state.head, state.head_hash))) {
            self.check_memory(seq, hash, &state)?;
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

    /// Applies what is there beyond the head. An object that cannot be read counts only if it follows directly, or if
    /// an entry that can be read comes after it: a stray object must not use up all numbers before its own.
    fn apply_listed(&self, state: &mut State, listed: &BTreeMap<u64, u64>) -> Result<(), Error> {
        // Strays of an earlier look may have become entries, or be gone.
        let head = state.head;
        state.problems.retain(|problem| problem.seq <= head);
        let mut strays = Vec::new();
        for &seq in listed.range(state.head + 1..).map(|(seq, _)| seq) {
            if seq <= state.head {
                continue;
            }
            let Some(found) = self.fetch(seq)? else { continue };
            match &found.body {
                Ok(_) => self.fill_gap(state, listed, seq)?,
                Err(_) => self.follow(state, seq)?,
            }
            match found.body {
                Err(reason) if seq != state.head + 1 => strays.push((seq, reason)),
                _ => self.apply_fetched(state, seq, found)?,
            }
        }
        for (seq, reason) in strays {
            if (state.head + 1..=state.head + GAP_MAX).contains(&seq) {
                state.note_problem(seq, format!("{reason}; entries before it are missing, or it is none"));
            }
        }
        Ok(())
    }

    /// Applies all entries before one that can be read. A listing made while others append may show an entry and not
    /// the one before, so none counts as missing before it was asked for by name.
    fn fill_gap(&self, state: &mut State, listed: &BTreeMap<u64, u64>, end: u64) -> Result<(), Error> {
        let mut unlisted = 0;
        while state.head + 1 < end {
            let seq = state.head + 1;
            unlisted += u64::from(!listed.contains_key(&seq));
            if unlisted > GAP_MAX {
                let last = listed.range(seq..end).next().map_or(end, |(&next, _)| next) - 1;
                if last >= seq {
                    state.apply_damaged(last, [0; 32], format!("missing, with {} before it", last - seq));
                    continue;
                }
            }
            match self.fetch(seq)? {
                Some(found) => self.apply_fetched(state, seq, found)?,
                None => state.apply_damaged(seq, [0; 32], "missing".into()),
            }
        }
        Ok(())
    }

    /// Applies the entries that follow the head without a gap, asked for by name.
    fn follow(&self, state: &mut State, end: u64) -> Result<(), Error> {
        while state.head + 1 < end {
            let seq = state.head + 1;
            match self.fetch(seq)? {
                Some(found) => self.apply_fetched(state, seq, found)?,
                None => break,
            }
        }
        Ok(())
    }

    /// Reads an entry; `None` when there is none.
    fn fetch(&self, seq: u64) -> Result<Option<Fetched>, Error> {
        match self.storage.get_whole(&object(objects::log_name(seq))?, ENTRY_BYTES_MAX) {
            Ok(bytes) => {
                let hash = hash::plain(&bytes);
                let found = Found { bytes, known: false };
                let body = self.open_entry(seq, &found).map_err(|error| error.to_string());
                Ok(Some(Fetched { bytes: found.bytes, hash, body }))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind == ErrorKind::TooLong => {
                Ok(Some(Fetched { bytes: Vec::new(), hash: [0; 32], body: Err(error.reason) }))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn apply_fetched(&self, state: &mut State, seq: u64, found: Fetched) -> Result<(), Error> {
        let Fetched { bytes, hash, body } = found;
        let body = match body {
            Ok(body) => body,
            Err(reason) => {
                state.apply_damaged(seq, hash, reason);
                return Ok(());
            }
        };
        let after_gap = state.problems.last().is_some_and(|problem| problem.seq == state.head);
        let follows = body.previous == state.head_hash || after_gap;
        state.apply(seq, hash, &body);
        if follows {
            self.index().put_log_entry(seq, &bytes)?;
        } else {
            // It is genuine, so what it says counts; but the history before it is not what it was.
            state.note_problem(seq, "does not follow the entry before".into());
        }
        Ok(())
    }

    /// Names of objects beside the log's entries that are none of them, as a look at the storage shows them now.
    pub fn strangers_in_log(&self, state: &State) -> Result<Vec<String>, Error> {
        let mut strangers = Vec::new();
        self.storage.list(objects::LOG, &mut |info| {
            let reach = state.head.saturating_add(GAP_MAX);
            if objects::seq_of_name(info.name.as_str()).is_none_or(|seq| seq > reach) {
                strangers.push(info.name.to_string());
            }
        })?;
        Ok(strangers)
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
            let ours = self.put_entry(seq, &bytes)?;
            let state = self.refresh_with(Some(seq))?;
            if ours {
                return Ok(state);
            }
        }
        Err(Error::Busy { attempts: ATTEMPTS_MAX }.into())
    }

    fn seal_entry(&self, state: &State, now: Time, token: [u8; 16], action: Action) -> Result<(u64, Vec<u8>), Error> {
        let seq = state.head + 1;
        if seq > SEQ_MAX {
            let reason = "it is the last that there can be, and no entry can follow it".into();
            return Err(Error::Damaged { object: objects::log_name(state.head), reason });
        }
        let grease: [u8; 8] = random::bytes()?;
        let extension = grease[..usize::from(grease[0] % 8)].to_vec();
        let body = Body { previous: state.head_hash, token, writer: self.keys.writer(), time: now, action, extension };
        let signed = body.encode();
        if Body::decode(&signed).as_ref() != Ok(&body) {
            return Err(Error::SelfCheck { what: "log entry" });
        }
        let message: [&[u8]; 3] = [self.config.repository.as_bytes(), &seq.to_le_bytes(), &signed];
        let signature = self.keys.signer().sign(SIGNATURE_DOMAIN, &message);
        let head = Head { repository: self.config.repository, seq, nonce: seal::object_nonce(&self.log_key, &signed)? }
            .encode();
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
        let mut tried_again = false;
        while let Err(error) = self.storage.put_new(&name, &[bytes]) {
            match self.storage.get_whole(&name, ENTRY_BYTES_MAX) {
                Ok(stored) if stored == bytes => break,
                Ok(_) => return Ok(false),
                // The same bytes once more, and not sealed anew: the first may still land.
                Err(none) if none.kind == ErrorKind::NotFound && !tried_again => tried_again = true,
                Err(_) => return Err(error.into()),
            }
        }
        self.storage.barrier()?;
        Ok(true)
    }

    fn check_memory(&self, seq: u64, hash: [u8; 32], state: &State) -> Result<(), Error> {
        let Some(memory) = self.seen_path() else { return Ok(()) };
        let newest = state.problems.last().map_or(state.head, |problem| problem.seq.max(state.head));
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
}
