//! Actions of log entries, as bytes.

use crate::format::log::{
    Action, CHANGES_MAX, KeyChange, NOTE_BYTES_MAX, PACKS_MAX, PackUse, RECORD_BYTES_MAX, SnapshotAction,
    TAG_BYTES_MAX, TAGS_MAX, TagAction, TagChange, tag_allowed,
};
use crate::format::packs::take_body_bytes;
use crate::format::wire::{Reader, Writer};
use crate::format::{Kind, Reject};
use crate::id::{PackId, SeriesId, SlotId, SnapshotId};

/// Writes an action.
pub fn put_action(w: &mut Writer, action: &Action) {
    match action {
        Action::Snapshot(snapshot) => {
            w.u8(1);
            put_snapshot(w, snapshot);
        }
        Action::Tag(tags) => {
            w.u8(2);
            put_tags(w, tags);
        }
        Action::Untag(tags) => {
            w.u8(3);
            put_tags(w, tags);
        }
        Action::Note { snapshot, name, value } => {
            w.u8(4);
            w.raw(snapshot.as_bytes());
            w.bytes(name.as_bytes());
            w.bytes(value.as_bytes());
        }
        Action::Condemn { packs } => {
            w.u8(5);
            put_packs(w, packs);
        }
        Action::Sweep { packs } => {
            w.u8(6);
            put_packs(w, packs);
        }
        Action::Repack { packs, condemned } => {
            w.u8(7);
            put_uses(w, packs);
            put_packs(w, condemned);
        }
        Action::Key { slot, change } => {
            w.u8(8);
            w.raw(slot.as_bytes());
            w.u8(match change {
                KeyChange::Added => 1,
                KeyChange::Removed => 2,
            });
        }
    }
}

/// Reads an action.
pub fn take_action(r: &mut Reader<'_>) -> Result<Action, Reject> {
    Ok(match r.u8()? {
        1 => Action::Snapshot(take_snapshot(r)?),
        2 => Action::Tag(take_tags(r)?),
        3 => Action::Untag(take_tags(r)?),
        4 => Action::Note {
            snapshot: SnapshotId::new(r.array()?),
            name: r.text("note name length", NOTE_BYTES_MAX)?,
            value: r.text("note length", NOTE_BYTES_MAX)?,
        },
        5 => Action::Condemn { packs: take_packs(r)? },
        6 => Action::Sweep { packs: take_packs(r)? },
        7 => Action::Repack { packs: take_uses(r)?, condemned: take_packs(r)? },
        8 => Action::Key {
            slot: SlotId::new(r.array()?),
            change: match r.u8()? {
                1 => KeyChange::Added,
                2 => KeyChange::Removed,
                other => return Err(Reject::Unknown { field: "key change", value: other.into() }),
            },
        },
        other => return Err(Reject::Unknown { field: "log entry kind", value: other.into() }),
    })
}

fn put_snapshot(w: &mut Writer, snapshot: &SnapshotAction) {
    w.raw(snapshot.snapshot.as_bytes());
    w.raw(snapshot.series.as_bytes());
    w.time(snapshot.started);
    w.u8(snapshot.complete.into());
    put_texts(w, &snapshot.tags);
    put_uses(w, &snapshot.packs);
    put_packs(w, &snapshot.rescue);
    w.bytes(&snapshot.record);
}

fn take_snapshot(r: &mut Reader<'_>) -> Result<SnapshotAction, Reject> {
    Ok(SnapshotAction {
        snapshot: SnapshotId::new(r.array()?),
        series: SeriesId::new(r.array()?),
        started: r.time()?,
        complete: r.flag("completeness")?,
        tags: take_texts(r)?,
        packs: take_uses(r)?,
        rescue: take_packs(r)?,
        record: r.bytes("record length", RECORD_BYTES_MAX)?.to_vec(),
    })
}

fn put_tags(w: &mut Writer, tags: &TagAction) {
    w.varint(tags.changes.len() as u64);
    for change in &tags.changes {
        w.raw(change.snapshot.as_bytes());
        put_texts(w, &change.add);
        put_texts(w, &change.remove);
    }
    put_packs(w, &tags.rescue);
}

fn take_tags(r: &mut Reader<'_>) -> Result<TagAction, Reject> {
    let count = r.count("number of changes", CHANGES_MAX)?;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(TagChange { snapshot: SnapshotId::new(r.array()?), add: take_texts(r)?, remove: take_texts(r)? });
    }
    Ok(TagAction { changes, rescue: take_packs(r)? })
}

fn put_texts(w: &mut Writer, texts: &[String]) {
    w.varint(texts.len() as u64);
    texts.iter().for_each(|text| w.bytes(text.as_bytes()));
}

fn take_texts(r: &mut Reader<'_>) -> Result<Vec<String>, Reject> {
    let count = r.count("number of tags", TAGS_MAX)?;
    let mut texts = Vec::new();
    for _ in 0..count {
        let tag = r.text("tag length", TAG_BYTES_MAX)?;
        if !tag_allowed(&tag) {
            return Err(Reject::Broken("impossible tag"));
        }
        texts.push(tag);
    }
    Ok(texts)
}

fn put_packs(w: &mut Writer, packs: &[PackId]) {
    w.varint(packs.len() as u64);
    packs.iter().for_each(|pack| w.raw(pack.as_bytes()));
}

fn take_packs(r: &mut Reader<'_>) -> Result<Vec<PackId>, Reject> {
    let count = r.count("number of packs", PACKS_MAX)?;
    (0..count).map(|_| Ok(PackId::new(r.array()?))).collect()
}

fn put_uses(w: &mut Writer, packs: &[PackUse]) {
    w.varint(packs.len() as u64);
    for pack in packs {
        w.raw(pack.id.as_bytes());
        w.varint(pack.bytes);
        w.u8(pack.kind.code());
    }
}

fn take_uses(r: &mut Reader<'_>) -> Result<Vec<PackUse>, Reject> {
    let count = r.count("number of packs", PACKS_MAX)?;
    (0..count)
        .map(|_| {
            let id = PackId::new(r.array()?);
            Ok(PackUse { id, bytes: take_body_bytes(r)?, kind: Kind::from_code(r.u8()?)? })
        })
        .collect()
}
