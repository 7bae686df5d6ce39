use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::{After, Error, Open, cat, schedule};
use crate::format::{Kind, objects};
use crate::id::ChunkId;
use crate::index::PackNumber;
use crate::ops::restore::bench::{backup_of, noise, repository};
use crate::ops::restore::window::Placement;
use crate::storage::ObjectName;

fn placements(blocks: &[u32]) -> Vec<Placement> {
    let id = ChunkId::new([0; 32]);
    let place =
        |&block: &u32| Placement { id, content_at: 0, pack: PackNumber(0), block, offset: 0, bytes: 1, file: 0 };
    blocks.iter().map(place).collect()
}

/// For each run: its block, and a letter: opened or cached, kept or dropped.
fn runs(blocks: &[u32], cached_max: usize) -> String {
    let schedule = schedule(&placements(blocks), cached_max);
    let run = |run: &super::Run| {
        let open = if run.open == Open::Next { 'o' } else { 'c' };
        let after = if run.after == After::Keep { 'k' } else { 'd' };
        format!("{}{open}{after}", run.block.1)
    };
    schedule.runs.iter().map(run).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_block_is_opened_once_if_it_fits_into_the_cache() {
    assert_eq!(runs(&[1, 1, 2, 3], 2), "1od 2od 3od");
    assert_eq!(runs(&[1, 2, 1, 2], 2), "1ok 2ok 1cd 2cd");
    assert_eq!(runs(&[1, 2, 3, 1, 2], 1), "1ok 2ok 3od 1od 2od");
}

#[test]
fn a_file_comes_out_as_it_was_holes_and_all() {
    let (_, repo) = repository();
    let source = tempfile::tempdir().unwrap();
    let mut repeating = noise(1, 1_500_000);
    repeating.extend_from_within(..);
    repeating.extend(noise(2, 2_500_000));
    repeating.extend_from_within(..1_000_000);
    fs::write(source.path().join("large"), &repeating).unwrap();
    let sparse = File::create(source.path().join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(b"text", 1 << 20).unwrap();
    fs::write(source.path().join("empty"), "").unwrap();
    let root = backup_of(&repo, source.path());
    for name in ["large", "sparse", "empty"] {
        let expected = fs::read(source.path().join(name)).unwrap();
        for threads in [1, 3] {
            let mut out = Vec::new();
            assert_eq!(cat(&repo, &root, name.as_bytes(), &mut out, threads).unwrap(), expected.len() as u64);
            assert!(out == expected, "{name}");
        }
    }
    assert!(matches!(cat(&repo, &root, b"", &mut Vec::new(), 1), Err(Error::NotAFile { .. })));
    assert!(matches!(cat(&repo, &root, b"x", &mut Vec::new(), 1), Err(Error::NoSuchPath { .. })));
}

#[test]
fn a_damaged_file_comes_out_up_to_the_damage() {
    let (storage, repo) = repository();
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("f"), noise(1, 2_500_000)).unwrap();
    let root = backup_of(&repo, source.path());
    let pack = repo.index().packs().find(|pack| pack.kind == Kind::Data).cloned().unwrap();
    let name = ObjectName::new(objects::pack_name(&pack.id)).unwrap();
    storage.damage(&name, |bytes| {
        let at = bytes.len() - 2000;
        bytes[at] ^= 1;
    });
    let mut out = Vec::new();
    let Err(Error::Lost { at, .. }) = cat(&repo, &root, b"f", &mut out, 2) else { panic!("not noticed") };
    assert!(at > 1_000_000 && out == noise(1, 2_500_000)[..at as usize]);
}
