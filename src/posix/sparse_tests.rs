use std::fs::File;
use std::os::unix::fs::FileExt;

use super::{extents, extents_limited, merge_closest, next_data};
use crate::format::listing::Extent;

const MIB: u64 = 1 << 20;

fn sparse_file(bytes: u64, data_at: &[u64]) -> File {
    let file = tempfile::tempfile_in("/var/tmp").unwrap();
    file.set_len(bytes).unwrap();
    for &offset in data_at {
        file.write_all_at(&[1; 4096], offset).unwrap();
    }
    file
}

fn stretches(found: &[(u64, u64)]) -> Vec<Extent> {
    found.iter().map(|&(offset, bytes)| Extent { offset, bytes }).collect()
}

#[test]
fn holes_are_found_at_the_beginning_in_the_middle_and_at_the_end() {
    let file = sparse_file(8 * MIB, &[MIB, 4 * MIB]);
    assert_eq!(extents(&file, 8 * MIB).unwrap(), Some(stretches(&[(MIB, 4096), (4 * MIB, 4096)])));
}

#[test]
fn a_file_without_holes_has_no_extents_and_one_of_nothing_but_hole_has_none() {
    assert_eq!(extents(sparse_file(4096, &[0]), 4096).unwrap(), None);
    assert_eq!(extents(sparse_file(MIB, &[]), MIB).unwrap(), Some(Vec::new()));
    assert_eq!(extents(sparse_file(1 << 43, &[]), 1 << 43).unwrap(), Some(Vec::new()));
}

#[test]
fn extents_end_where_the_length_says() {
    let file = sparse_file(8 * MIB, &[0, MIB, 4 * MIB]);
    assert_eq!(extents(&file, MIB + 100).unwrap(), Some(stretches(&[(0, 4096), (MIB, 100)])));
    assert_eq!(extents(&file, 16 * MIB).unwrap(), Some(stretches(&[(0, 4096), (MIB, 4096), (4 * MIB, 4096)])));
}

#[test]
fn the_next_data_is_found_or_the_end() {
    let file = sparse_file(8 * MIB, &[MIB]);
    assert_eq!(next_data(&file, 0, 8 * MIB), MIB);
    assert_eq!(next_data(&file, 0, 1000), 1000);
    assert_eq!(next_data(&file, MIB + 100, 8 * MIB), MIB + 100);
    assert_eq!(next_data(&file, 2 * MIB, 8 * MIB), 8 * MIB);
    let (pipe, _other) = std::io::pipe().unwrap();
    assert_eq!(next_data(&pipe, 5, 10), 5);
}

#[test]
fn what_has_no_holes_to_ask_for_is_read_whole() {
    let (pipe, _other) = std::io::pipe().unwrap();
    assert_eq!(extents(&pipe, 10).unwrap(), None);
}

#[test]
fn of_too_many_extents_the_closest_are_merged() {
    let file = sparse_file(64 * MIB, &[0, MIB, 2 * MIB, 20 * MIB, 40 * MIB, 41 * MIB]);
    let found = extents_limited(&file, 64 * MIB, 3).unwrap().unwrap();
    assert_eq!(found, stretches(&[(0, 2 * MIB + 4096), (20 * MIB, 4096), (40 * MIB, MIB + 4096)]));
    assert_eq!(extents_limited(&file, 64 * MIB, 1).unwrap().unwrap(), stretches(&[(0, 41 * MIB + 4096)]));
    let mut even = stretches(&[(0, 1), (2, 1), (4, 1), (6, 1)]);
    merge_closest(&mut even, 2);
    assert_eq!(even, stretches(&[(0, 5), (6, 1)]));
}
