use super::*;

fn row(number: u64) -> Row {
    // Neither in order of the numbers nor in that of keys: `a/` and `a!` change places.
    let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    Row {
        path: format!("a{}{scattered}", ["/", "!", "", "."][(number % 4) as usize]).into_bytes(),
        bytes: number,
        modified: Time { seconds: -5 + number as i64, nanos: 999 },
        etag: vec![b'e'; (number % 40) as usize],
        marked: number.is_multiple_of(3),
    }
}

fn sorted_with(memory_bytes_max: usize, rows: &[Row]) -> Vec<Row> {
    let mut sorter = Sorter::new(Path::new("/var/tmp"), memory_bytes_max);
    rows.iter().for_each(|row| sorter.push(row.clone()).unwrap());
    sorter.finish().unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_goes_through_a_file_comes_back_in_the_order_of_listings() {
    let rows: Vec<Row> = (0..5000).map(row).collect();
    let memory = sorted_with(MEMORY_BYTES_MAX, &rows);
    assert_eq!(memory.len(), 5000);
    assert!(memory.windows(2).all(|pair| compare_paths(&pair[0].path, &pair[1].path).is_lt()));
    for memory_bytes_max in [1, 5000, 100_000] {
        assert_eq!(sorted_with(memory_bytes_max, &rows[..4000]), sorted_with(MEMORY_BYTES_MAX, &rows[..4000]));
    }
}

#[test]
fn what_is_listed_twice_comes_once() {
    let rows: Vec<Row> = (0..300).chain(0..300).map(row).collect();
    for memory_bytes_max in [MEMORY_BYTES_MAX, 2000] {
        assert_eq!(sorted_with(memory_bytes_max, &rows).len(), 300);
    }
    assert!(sorted_with(1, &[]).is_empty());
}

#[test]
fn there_is_an_end_to_what_a_temporary_file_takes() {
    let mut sorter = Sorter::new(Path::new("/var/tmp"), 0);
    let failed = (0..5000).map(row).find_map(|row| sorter.push(row).err());
    assert!(failed.unwrap().to_string().contains("too many objects"));
}
