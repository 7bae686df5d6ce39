use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Entries, Entry, Flaw, Scanner, joined, recognise};

pub const PG_DUMP: &str = include_str!("../../tests/samples/pg_dump.sql");
pub const PG_DUMPALL: &str = include_str!("../../tests/samples/pg_dumpall.sql");
pub const PG_DUMP_OPTIONS: &str = include_str!("../../tests/samples/pg_dump-clean-create-verbose-inserts.sql");
pub const MARIADB_DUMP: &str = include_str!("../../tests/samples/mariadb-dump.sql");

pub fn scan(dump: &[u8]) -> Result<Entries, Flaw> {
    scan_in(dump, dump.len().max(1))
}

fn scan_in(dump: &[u8], piece: usize) -> Result<Entries, Flaw> {
    let mut scanner = Scanner::new();
    dump.chunks(piece).for_each(|piece| scanner.feed(piece));
    scanner.finish()
}

pub fn names(entries: &Entries) -> Vec<String> {
    entries.entries.iter().map(|entry| format!("{} {}", entry.kind, entry.name)).collect()
}

pub fn entry<'e>(entries: &'e Entries, name: &str) -> &'e Entry {
    let found: Vec<&Entry> = entries.entries.iter().filter(|entry| entry.name == name).collect();
    assert_eq!(found.len(), 1, "{name} is not one of {:?}", names(entries));
    found[0]
}

/// What is written for an entry.
pub fn written(dump: &str, entry: &Entry) -> String {
    entry.ranges.iter().map(|range| &dump[range.start as usize..range.end as usize]).collect()
}

#[test]
fn only_dumps_are_dumps() {
    for text in ["", "--\n", "-- PostgreSQL database dump\n", "PGDMP", "CREATE TABLE users ();", "{}"] {
        assert_eq!(recognise(text.as_bytes()), None, "{text}");
        assert_eq!(scan(text.as_bytes()), Err(Flaw::NoDump), "{text}");
    }
    let mut scanner = Scanner::new();
    scanner.feed(&[b'x'; 1000]);
    assert!(!scanner.is_dump());
}

#[test]
fn how_the_bytes_come_in_does_not_matter() {
    for dump in [PG_DUMP, PG_DUMPALL, PG_DUMP_OPTIONS, MARIADB_DUMP] {
        let expected = scan(dump.as_bytes()).unwrap();
        assert!(expected.entries.len() > 5);
        for piece in [1, 2, 3, 7, 100, 127, 128, 129, 4096] {
            assert!(scan_in(dump.as_bytes(), piece).unwrap() == expected, "pieces of {piece} bytes");
        }
    }
}

#[test]
fn what_is_cut_off_anywhere_still_gives_entries_of_what_is_there() {
    for dump in [PG_DUMP, PG_DUMPALL, PG_DUMP_OPTIONS, MARIADB_DUMP] {
        for len in (HEAD..dump.len()).step_by(97) {
            let entries = scan(&dump.as_bytes()[..len]).unwrap();
            check(&entries, len as u64);
        }
    }
}

const HEAD: usize = 200;

/// What holds for any list.
fn check(entries: &Entries, len: u64) {
    assert_eq!(entries.bytes, len);
    for entry in &entries.entries {
        assert!(entry.ranges.iter().all(|range| range.start < range.end && range.end <= len), "{entry:?}");
        assert!(entry.ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "{entry:?}");
    }
}

/// A line without an end takes no memory, and hides nothing behind it.
#[test]
fn lines_of_any_length_are_passed() {
    let heading = "--\n-- Name: users; Type: TABLE; Schema: public; Owner: -\n--\n\n";
    let row = "INSERT INTO x VALUES ('".to_owned() + &"x".repeat(1 << 20) + "');\n";
    let dump = PG_DUMP[..1000].to_owned() + "\n" + &row + heading + "CREATE TABLE public.users ();\n";
    assert!(names(&scan(dump.as_bytes()).unwrap()).contains(&"TABLE public.users".to_owned()));
    let data = "COPY public.users (a) FROM stdin;\n".to_owned() + &"x".repeat(1 << 20) + "\n\\.\n";
    let dump = PG_DUMP[..1000].to_owned() + "\n" + &data + heading + "CREATE TABLE public.users ();\n";
    assert!(names(&scan(dump.as_bytes()).unwrap()).contains(&"TABLE public.users".to_owned()));
}

#[test]
fn more_entries_than_fit_into_memory_are_an_error() {
    let mut scanner = Scanner::new();
    scanner.feed(&PG_DUMP.as_bytes()[..1000]);
    let section = "\n--\n-- Name: users; Type: TABLE; Schema: public; Owner: -\n--\n\nCREATE TABLE;\n".repeat(1000);
    (0..200).for_each(|_| scanner.feed(section.as_bytes()));
    assert_eq!(scanner.finish(), Err(Flaw::TooMany));
}

#[test]
fn ranges_are_joined() {
    let ranges = |pairs: &[(u64, u64)]| pairs.iter().map(|&(start, end)| start..end).collect::<Vec<_>>();
    assert_eq!(
        joined(ranges(&[(5, 9), (0, 3), (3, 4), (7, 8), (9, 9), (20, 21)])),
        ranges(&[(0, 4), (5, 9), (20, 21)])
    );
}

/// Pieces of which dumps consist, and of which things that look like dumps could.
const PIECES: &[&str] = &[
    "--\n",
    "-- Name: users; Type: TABLE; Schema: public; Owner: -\n",
    "-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: -\n",
    "-- Name: users k; Type: CONSTRAINT; Schema: public; Owner: -\n",
    "\n",
    "COPY public.users (a) FROM stdin;\n",
    "\\.\n",
    "'",
    "\"",
    "`",
    "$$",
    "$a$",
    "/*",
    "*/",
    "E'\\",
    "\\connect x\n",
    "\\restrict x\n",
    "SET default_tablespace = '';\n",
    "CREATE TABLE public.users ();\n",
    "ALTER TABLE ONLY public.users ADD REFERENCES shop.x(id);\n",
    "-- PostgreSQL database dump complete\n",
    "-- PostgreSQL database dump\n",
    "-- Table structure for table `users`\n",
    "DELIMITER ;;\n",
    "DELIMITER ;\n",
    "/*!40101 SET TIME_ZONE=@OLD_TIME_ZONE */;\n",
    "-- Current Database: `x`\n",
    "-- Dumping data for table `a``b`\n",
    "-- Name: s; Type: SCHEMA; Schema: -; Owner: -\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic_and_pieces_do_not_matter(
        which in any::<bool>(),
        parts in prop::collection::vec((0..PIECES.len(), prop::collection::vec(any::<u8>(), 0..8)), 0..60),
        piece in 1usize..50,
    ) {
        let mut dump = if which { b"--\n-- PostgreSQL database dump\n--\n\n".to_vec() } else { b"-- MariaDB dump 10.19\n".to_vec() };
        for (at, noise) in &parts {
            dump.extend_from_slice(PIECES[*at].as_bytes());
            if noise.len() > 5 {
                dump.extend_from_slice(noise);
            }
        }
        let entries = scan(&dump);
        prop_assert_eq!(&entries, &scan_in(&dump, piece));
        prop_assert!(entries.is_ok());
        check(&entries.unwrap(), dump.len() as u64);
    }
}
