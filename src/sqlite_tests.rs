use super::*;

const ONE: Schema =
    Schema { application_id: 0x1234, migrations: &["CREATE TABLE a (x INTEGER) STRICT;"], cache_kib: 1024 };
const TWO: Schema =
    Schema { migrations: &["CREATE TABLE a (x INTEGER) STRICT;", "CREATE TABLE b (y INTEGER) STRICT;"], ..ONE };

fn path() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.sqlite");
    (dir, path)
}

#[test]
fn an_older_database_is_brought_to_the_newest_version_and_keeps_its_rows() {
    let (_dir, path) = path();
    open(Place::File(&path), &ONE).unwrap().execute_batch("INSERT INTO a VALUES (7)").unwrap();
    let connection = open(Place::File(&path), &TWO).unwrap();
    let x: i64 = connection.query_row("SELECT x FROM a", [], |row| row.get(0)).unwrap();
    assert_eq!(x, 7);
    connection.execute_batch("INSERT INTO b VALUES (8)").unwrap();
}

#[test]
fn a_newer_database_is_refused() {
    let (_dir, path) = path();
    open(Place::File(&path), &TWO).unwrap();
    let error = open(Place::File(&path), &ONE).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 2, known: 1 }), "{error}");
}

#[test]
fn a_database_of_something_else_is_refused() {
    let (_dir, path) = path();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(open(Place::File(&path), &ONE), Err(Error::Foreign { found: 0 })));
    let theirs = Schema { application_id: 0x5678, ..ONE };
    let (_dir, path) = self::path();
    open(Place::File(&path), &theirs).unwrap();
    assert!(matches!(open(Place::File(&path), &ONE), Err(Error::Foreign { found: 0x5678 })));
}

#[test]
fn faults_say_what_to_do() {
    let (dir, path) = path();
    std::fs::write(&path, [7; 5000]).unwrap();
    assert_eq!(open(Place::File(&path), &ONE).unwrap_err().fault(), Fault::Damaged);
    let below_a_file = path.join("x.sqlite");
    assert_eq!(open(Place::File(&below_a_file), &ONE).unwrap_err().fault(), Fault::Unusable);
    assert_eq!(open(Place::File(dir.path()), &ONE).unwrap_err().fault(), Fault::Unusable);
    let connection = open(Place::Temporary, &ONE).unwrap();
    let error = Error::from(connection.execute_batch("INSERT INTO gone VALUES (1)").unwrap_err());
    assert_eq!(error.fault(), Fault::Damaged);
}

#[test]
fn a_map_holds_the_same_before_and_after_it_spills() {
    for bytes_max in [0, 500, 1 << 20] {
        let mut map = super::SpillMap::new(bytes_max);
        for n in 0..50u8 {
            map.put(&[n % 20], &[n]).unwrap();
        }
        let found: Vec<_> = (0..21u8).map(|n| map.get(&[n]).unwrap()).collect();
        let expected: Vec<_> =
            (0..21u8).map(|n| if n < 10 { Some(vec![n + 40]) } else { (n < 20).then(|| vec![n + 20]) }).collect();
        assert_eq!(found, expected);
    }
}
