use std::fs;

use super::synthetic::{PlainOpener, chunk, directory, header, pack};
use super::tests::{REPOSITORY, add, anywhere, open};
use super::*;
use crate::format::Kind;

const PACKS: u64 = 4;
const CHUNKS_PER_PACK: u64 = 30;

fn fill(index: &mut Index) {
    for number in 0..PACKS {
        let first = number * CHUNKS_PER_PACK;
        add(index, number, Kind::Data, &(first..first + CHUNKS_PER_PACK).collect::<Vec<_>>());
    }
    index.put_log_entry(1, b"entry").unwrap();
}

fn file(dir: &Path) -> PathBuf {
    dir.join("index.sqlite")
}

fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut index = open(dir.path());
    fill(&mut index);
    index.flush().unwrap();
    dir
}

/// How many chunks are found. Panics if one is found where it is not.
fn found(index: &mut Index) -> u64 {
    let mut found = 0;
    for number in 0..PACKS * CHUNKS_PER_PACK {
        let id = chunk(number);
        match index.locate(Kind::Data, &id, &anywhere) {
            Ok(Some(location)) => {
                let (at, home) = ((number % CHUNKS_PER_PACK) as u32, number / CHUNKS_PER_PACK);
                let expected = Location { pack: location.pack, block: 0, offset: at << 14, bytes: 1 << 14, entry: at };
                assert_eq!(location, expected);
                assert_eq!(index.pack(location.pack).unwrap().id, pack(home));
                assert_eq!(index.directory(location.pack).unwrap().chunks[at as usize].id, id);
                found += 1;
            }
            Ok(None) | Err(Error::Damaged { .. } | Error::Reset) => {}
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }
    found
}

/// What the layer above does: forget packs that do not exist, add those that are missing, refetch damaged headers.
fn catch_up(index: &mut Index) -> Result<(), Error> {
    let expected: Vec<PackId> = (0..PACKS).map(pack).collect();
    let gone: Vec<PackId> = index.packs().map(|row| row.id).filter(|id| !expected.contains(id)).collect();
    index.remove_packs(&gone)?;
    fill(index);
    for number in 0..PACKS {
        let at = index.pack_number(&pack(number)).unwrap();
        if let Err(Error::Damaged { .. }) = index.directory(at) {
            let first = number * CHUNKS_PER_PACK;
            let ids: Vec<_> = (first..first + CHUNKS_PER_PACK).map(chunk).collect();
            let directory = directory(&ids);
            let header = header(REPOSITORY, Kind::Data, &directory);
            index.replace_header(at, &header, Arc::new(directory))?;
        }
    }
    index.flush()
}

#[test]
fn one_changed_byte_anywhere_never_gives_a_wrong_location() {
    let dir = filled();
    let good = fs::read(file(dir.path())).unwrap();
    let mut missed = 0;
    for (at, change) in (0..good.len()).step_by(512).flat_map(|at| [(at, 0xff), (at + 37, 0x01), (at + 3, 0x80)]) {
        let dir = tempfile::tempdir().unwrap();
        let mut bad = good.clone();
        bad[at] ^= change;
        fs::write(file(dir.path()), &bad).unwrap();
        let mut index = open(dir.path());
        assert!(index.packs().all(|row| (0..PACKS).any(|p| pack(p) == row.id)), "byte {at}");
        let _ = index.log_entries();
        missed += PACKS * CHUNKS_PER_PACK - found(&mut index);
        // A second pass may be needed: the first found the damage.
        if catch_up(&mut index).is_err() {
            catch_up(&mut index).unwrap_or_else(|error| panic!("byte {at}: {error}"));
        }
        drop(index);
        let mut index = open(dir.path());
        if found(&mut index) < PACKS * CHUNKS_PER_PACK {
            index.clear().unwrap();
            catch_up(&mut index).unwrap();
            assert_eq!(found(&mut index), PACKS * CHUNKS_PER_PACK, "byte {at}");
        }
        assert!(!index.degraded());
    }
    assert!(missed > 0);
}

#[test]
fn a_short_file_never_gives_a_wrong_location() {
    let dir = filled();
    let good = fs::read(file(dir.path())).unwrap();
    for length in (0..good.len()).step_by(3000) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(file(dir.path()), &good[..length]).unwrap();
        let mut index = open(dir.path());
        found(&mut index);
        if catch_up(&mut index).is_err() {
            catch_up(&mut index).unwrap();
        }
        assert_eq!(found(&mut open(dir.path())), PACKS * CHUNKS_PER_PACK);
    }
}

#[test]
fn another_repositorys_file_is_replaced() {
    let dir = filled();
    let other = RepositoryId::new([9; 16]);
    let index = Index::open(Some(dir.path()), other, Arc::new(PlainOpener)).unwrap();
    assert_eq!((index.packs().count(), index.degraded()), (0, false));
    drop(index);
    assert_eq!(open(dir.path()).packs().count(), 0);
    assert!(!dir.path().join("index.sqlite.aside").exists());
}

#[test]
fn garbage_and_folders_are_put_aside() {
    let dir = filled();
    fs::write(file(dir.path()), vec![b'x'; 100_000]).unwrap();
    let index = open(dir.path());
    assert_eq!((index.packs().count(), index.degraded()), (0, false));
    drop(index);
    let aside = dir.path().join("index.sqlite.aside");
    assert_eq!(fs::read(&aside).unwrap().len(), 100_000);
    fs::remove_file(&aside).unwrap();
    fs::remove_file(file(dir.path())).unwrap();
    fs::create_dir(file(dir.path())).unwrap();
    fs::write(file(dir.path()).join("theirs"), b"keep me").unwrap();
    let mut index = open(dir.path());
    catch_up(&mut index).unwrap();
    assert!(!index.degraded());
    assert_eq!(fs::read(aside.join("theirs")).unwrap(), b"keep me");
    assert_eq!(found(&mut open(dir.path())), PACKS * CHUNKS_PER_PACK);
}

#[test]
fn an_older_copy_lacks_the_newer_packs_and_nothing_else() {
    let dir = filled();
    let old = fs::read(file(dir.path())).unwrap();
    let mut index = open(dir.path());
    add(&mut index, 50, Kind::Data, &[5000]);
    index.flush().unwrap();
    drop(index);
    fs::write(file(dir.path()), old).unwrap();
    let mut index = open(dir.path());
    assert_eq!((index.packs().count() as u64, found(&mut index)), (PACKS, PACKS * CHUNKS_PER_PACK));
    assert_eq!(index.locate(Kind::Data, &chunk(5000), &anywhere).unwrap(), None);
    add(&mut index, 50, Kind::Data, &[5000]);
    index.flush().unwrap();
    assert!(open(dir.path()).locate(Kind::Data, &chunk(5000), &anywhere).unwrap().is_some());
}

#[test]
fn a_newer_larders_file_is_replaced() {
    let dir = filled();
    open(dir.path()).store.connection.execute_batch("PRAGMA user_version = 99").unwrap();
    let index = open(dir.path());
    assert_eq!((index.packs().count(), index.degraded()), (0, false));
}

#[test]
fn where_no_file_can_be_made_the_index_is_temporary() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"").unwrap();
    let mut index = open(&path.join("cache"));
    assert!(index.degraded());
    catch_up(&mut index).unwrap();
    assert_eq!(found(&mut index), PACKS * CHUNKS_PER_PACK);
    index.clear().unwrap();
    assert_eq!(found(&mut index), 0);
}

#[test]
fn a_locked_file_is_copied_and_the_run_goes_on() {
    let dir = filled();
    let mut index = open(dir.path());
    let holder = open(dir.path());
    holder.store.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    index.store.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    add(&mut index, 9, Kind::Data, &[900]);
    index.flush().unwrap();
    assert!(index.degraded());
    assert_eq!(found(&mut index), PACKS * CHUNKS_PER_PACK);
    assert!(index.locate(Kind::Data, &chunk(900), &anywhere).unwrap().is_some());
    assert_eq!(index.log_entries().unwrap(), [(1, b"entry".to_vec())]);
    drop(holder);
    assert_eq!(open(dir.path()).packs().count() as u64, PACKS);
}

#[test]
fn a_full_disk_is_no_reason_to_stop() {
    let dir = filled();
    let mut index = open(dir.path());
    let pages: i64 = index.store.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    index.store.connection.execute_batch(&format!("PRAGMA max_page_count = {pages}")).unwrap();
    let many: Vec<u64> = (1000..5000).collect();
    add(&mut index, 9, Kind::Data, &many);
    index.flush().unwrap();
    assert!(index.degraded());
    assert_eq!(found(&mut index), PACKS * CHUNKS_PER_PACK);
    assert_eq!(index.copies(Kind::Data, &chunk(4999)).unwrap().len(), 1);
}

#[test]
fn a_file_deleted_under_an_open_index_costs_only_the_file() {
    let dir = filled();
    let mut index = open(dir.path());
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(dir.path().join(name));
    }
    add(&mut index, 9, Kind::Data, &[900]);
    index.flush().unwrap();
    assert_eq!(found(&mut index), PACKS * CHUNKS_PER_PACK);
}

#[test]
fn a_damaged_database_found_late_is_made_anew_and_keeps_the_batch_and_the_numbers() {
    let dir = filled();
    let mut index = open(dir.path());
    let before: Vec<PackRow> = index.packs().cloned().collect();
    index.store.connection.execute_batch("DROP TABLE chunk").unwrap();
    let nine = add(&mut index, 9, Kind::Data, &[900]);
    assert!(matches!(index.flush(), Err(Error::Reset)));
    assert_eq!(index.packs().map(|row| row.number).collect::<Vec<_>>(), [nine]);
    fill(&mut index);
    index.flush().unwrap();
    let after: Vec<PackRow> = index.packs().filter(|row| row.number != nine).cloned().collect();
    assert_eq!(after, before);
    let mut index = open(dir.path());
    assert!(index.locate(Kind::Data, &chunk(900), &anywhere).unwrap().is_some());
    assert_eq!(found(&mut index), PACKS * CHUNKS_PER_PACK);
}

#[test]
fn a_database_that_fails_between_many_questions_is_replaced_and_none_stays_open() {
    let dir = filled();
    let mut index = open(dir.path());
    let ids: Vec<_> = (0..PACKS * CHUNKS_PER_PACK).map(chunk).collect();
    // Pending, so that the first questions are answered without a header.
    add(&mut index, 9, Kind::Data, &[0]);
    index.store.connection.execute_batch("DROP TABLE header").unwrap();
    assert!(matches!(index.copies_of_all(Kind::Data, &ids), Err(Error::Reset)));
    fill(&mut index);
    index.flush().unwrap();
    let answers = index.copies_of_all(Kind::Data, &ids).unwrap();
    assert_eq!(answers.iter().map(Vec::len).collect::<Vec<_>>()[..3], [2, 1, 1]);
    assert!(answers.iter().all(|copies| !copies.is_empty()));
    assert!(!index.degraded() && index.store.connection.is_autocommit());
    assert_eq!(found(&mut open(dir.path())), PACKS * CHUNKS_PER_PACK);
}

#[test]
fn a_filter_that_fails_its_checksum_is_made_anew_from_the_rows() {
    let dir = filled();
    let index = open(dir.path());
    let connection = &index.store.connection;
    connection.execute_batch("UPDATE filter SET bits = zeroblob(length(bits))").unwrap();
    drop(index);
    assert_eq!(found(&mut open(dir.path())), PACKS * CHUNKS_PER_PACK);
}

#[test]
fn a_damaged_header_is_reported_unless_another_copy_does() {
    let dir = filled();
    let mut index = open(dir.path());
    add(&mut index, 9, Kind::Data, &[0]);
    index.flush().unwrap();
    index.store.connection.execute_batch("UPDATE header SET header = zeroblob(700) WHERE pack = 1").unwrap();
    drop(index);
    let mut index = open(dir.path());
    let error = index.locate(Kind::Data, &chunk(1), &anywhere).unwrap_err();
    assert!(matches!(error, Error::Damaged { pack: damaged } if damaged == pack(0)));
    let location = index.locate(Kind::Data, &chunk(0), &anywhere).unwrap().unwrap();
    assert_eq!(index.pack(location.pack).unwrap().id, pack(9));
    catch_up(&mut index).unwrap();
    assert!(index.locate(Kind::Data, &chunk(1), &anywhere).unwrap().is_some());
}
