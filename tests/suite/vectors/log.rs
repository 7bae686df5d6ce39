//! Vectors of the log's page.

use std::sync::Arc;

use larder::chunking::Sizes;
use larder::crypto::keys::RootKey;
use larder::crypto::seal::{Opener, Place, open_object};
use larder::crypto::secret::Secret;
use larder::crypto::{hash, sign};
use larder::format::Time;
use larder::format::log::{Action, Body, HEAD_BYTES, Head, KEY_PURPOSE, SIGNATURE_DOMAIN, tag_allowed};
use larder::format::objects::{self, Config, WeekStart};
use larder::format::record::{Claims, Envelope, Record};
use larder::id::SnapshotId;
use larder::repo::open::open;
use larder::repo::slots::Credential;
use larder::repo::state::State;
use larder::storage::ObjectName;
use larder::storage::memory::Memory;

use super::decode::{Flaw, crypto_flaw, flaw, keys, repository};
use super::file::Vector;
use super::says::{self, Lines, hexed};

pub fn head(bytes: &[u8]) -> Result<Lines, Flaw> {
    let head = Head::decode(bytes).map_err(flaw)?;
    Ok(vec![
        format!("repository {}", head.repository),
        format!("number {}", head.seq),
        format!("nonce {}", hexed(head.nonce)),
    ])
}

pub fn envelope(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    let snapshot = SnapshotId::new(vector.array("snapshot"));
    Ok(says::record(&open_envelope(vector, bytes, snapshot)?))
}

fn open_envelope(vector: &Vector, bytes: &[u8], snapshot: SnapshotId) -> Result<Record, Flaw> {
    let keys = Arc::new(keys(vector));
    let envelope = Envelope::decode(bytes).map_err(flaw)?;
    let opener = Opener::new(keys.clone(), repository(vector));
    let key = opener.pack_key(envelope.run_public, envelope.salt, &envelope.commitment).map_err(crypto_flaw)?;
    let place = Place { pack_kind: 0, block_kind: 1, codec: 0, raw_bytes: envelope.raw_bytes };
    let mut record = envelope.sealed;
    key.open(0, &envelope.nonce, place, &mut record).map_err(crypto_flaw)?;
    if keys.snapshot_id(&record) != snapshot {
        return Err("broken");
    }
    Record::decode(&record).map_err(flaw)
}

pub fn entry(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    Ok(says::body(&open_entry(vector, bytes)?))
}

fn open_entry(vector: &Vector, bytes: &[u8]) -> Result<Body, Flaw> {
    let keys = keys(vector);
    let head = Head::decode(bytes).map_err(flaw)?;
    if head.repository != repository(vector) {
        return Err("foreign");
    }
    if head.seq != vector.number("number") {
        return Err("broken");
    }
    let log_key = Secret::new(hash::derive(KEY_PURPOSE, &[keys.structure().expose()]));
    let (plain, sealed) = bytes.split_at(HEAD_BYTES);
    let mut opened = sealed.to_vec();
    open_object(&log_key, &head.nonce, plain, &mut opened).map_err(crypto_flaw)?;
    let (signed, signature) = opened.split_last_chunk::<64>().ok_or("truncated")?;
    let body = Body::decode(signed).map_err(flaw)?;
    if body.writer != keys.writer() {
        return Err("forged");
    }
    let message: [&[u8]; 3] = [head.repository.as_bytes(), &head.seq.to_le_bytes(), signed];
    sign::verify(&keys.signer().public(), SIGNATURE_DOMAIN, &message, signature).map_err(crypto_flaw)?;
    Ok(body)
}

pub fn snapshot(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    let Action::Snapshot(action) = open_entry(vector, bytes)?.action else { panic!("not the entry of a snapshot") };
    let record = open_envelope(vector, &action.record, action.snapshot)?;
    let series = keys(vector).series_id(&record.source, &record.host);
    let claims = Claims { series: action.series, started: action.started, complete: action.complete };
    if record.differs(series, &claims).is_some() {
        return Err("broken");
    }
    Ok(says::record(&record))
}

pub fn tag(bytes: &[u8]) -> Result<Lines, Flaw> {
    let tag = str::from_utf8(bytes).map_err(|_| "broken")?;
    if tag_allowed(tag) { Ok(vec![format!("tag {tag}")]) } else { Err("broken") }
}

/// A repository that has these entries and nothing else is opened.
pub fn whole(vector: &Vector) -> Lines {
    let keys = keys(vector);
    let config = Config {
        repository: repository(vector),
        created: Time::default(),
        sizes: Sizes::DEFAULT,
        time_zone: "UTC".into(),
        week_start: WeekStart::Monday,
        read_public: keys.read_public(),
        owner_public: keys.signer().public(),
        extension: Vec::new(),
    };
    let encoded = config.encode();
    let signature = keys.signer().sign(objects::SIGNATURE_DOMAIN, &[&encoded]);
    let memory = Memory::new();
    let put = |name: &str, bytes: &[u8]| memory.put_raw(&ObjectName::new(name).expect("a name"), bytes);
    put("config", &[&encoded[..], &signature].concat());
    for (seq, line) in (1..).zip(vector.text("entries").lines()).filter(|(_, line)| *line != "missing") {
        put(&objects::log_name(seq), &hex::decode(line).expect("entries in hexadecimal"));
    }
    let root = Credential::Recovery(RootKey::new(Secret::new(vector.array("root"))));
    let (repo, _) = open(Arc::new(memory), &root, None).expect("opens");
    says::state(&repo.state())
}

pub fn fold(vector: &Vector) -> Result<Lines, Flaw> {
    let mut state = State::default();
    for (seq, line) in (1..).zip(vector.text("bodies").lines()) {
        if line == "missing" {
            state.apply_damaged(seq, [0; 32], "missing".into());
        } else {
            let body = Body::decode(&hex::decode(line).expect("bodies in hexadecimal")).map_err(flaw)?;
            state.apply(seq, [0; 32], &body);
        }
    }
    Ok(says::state(&state))
}
