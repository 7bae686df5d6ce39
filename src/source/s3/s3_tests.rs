use proptest::prelude::*;

use super::*;
use crate::format::listing::compare_paths;
use crate::s3::fake::{self, object, page, refusal};

fn source(client: Client, exclude: &[&str]) -> S3Source {
    let exclude: Vec<String> = exclude.iter().map(|&pattern| pattern.to_owned()).collect();
    S3Source::new(Arc::new(client), "", &exclude, Owner::default()).unwrap()
}

/// The paths of entries, and the problems.
fn walked(source: &S3Source) -> (Vec<String>, Vec<Problem>) {
    let (mut paths, mut problems) = (Vec::new(), Vec::new());
    let walk = source.walk(&mut |found| {
        match found {
            Found::Entry(found) => paths.push(String::from_utf8(found.entry.path).unwrap()),
            Found::Problem(problem) => problems.push(problem),
        }
        ControlFlow::Continue(())
    });
    walk.unwrap();
    (paths, problems)
}

#[test]
fn objects_come_in_the_order_of_listings_with_their_folders() {
    let (client, _) = fake::client(|number, _| match number {
        0 => page(&[("a", 1), ("a!", 1), ("a!/x", 1), ("a/", 1), ("a/b", 1), ("a//c", 1)], Some("t")),
        _ => page(&[("b/x/y", 1), ("b/x/z", 1), ("b/xx", 1), ("..", 1), ("z%00", 1)], None),
    });
    let (paths, problems) = walked(&source(client, &[]));
    let expected = [
        "a", "a/^", "a/^/c", "a/^^=", "a/b", "a!", "a!/x", "a!^=", "a^=", "b", "b/x", "b/x/y", "b/x/z", "b/xx", "z^00",
    ];
    assert_eq!(paths, expected);
    assert_eq!((problems.len(), problems[0].severity), (1, Severity::Unreadable));
    assert!(problems[0].message.contains("no address can hold"), "{problems:?}");
}

#[test]
fn what_a_pattern_names_stays_out_with_all_below_it() {
    let objects = [("a.tmp", 1), ("cache/a/b", 1), ("x/cache/y", 1), ("x/keep", 1), ("../cache/x", 1)];
    let paths = |exclude: &[&str]| {
        let (client, _) = fake::client(move |_, _| page(&objects, None));
        walked(&source(client, exclude)).0
    };
    assert_eq!(paths(&["*.tmp", "/cache/"]), ["x", "x/cache", "x/cache/y", "x/keep"]);
    assert_eq!(paths(&["cache"]), ["a.tmp", "x", "x/keep"]);
}

proptest! {
    #[test]
    fn any_keys_make_a_listing_that_rises(keys in prop::collection::btree_set("[a!/^=]{1,6}", 1..60)) {
        let rows = |keys: &std::collections::BTreeSet<String>| {
            let mut sorter = sorter();
            for key in keys {
                let row = Row { path: path_of(key), bytes: 0, modified: Default::default(), etag: Vec::new(), marked: false };
                sorter.push(row).unwrap();
            }
            sorter.finish().unwrap()
        };
        let mut paths: Vec<Vec<u8>> = Vec::new();
        let mut found = std::collections::BTreeSet::new();
        let mut last = Vec::new();
        for row in Marked::new(rows(&keys)) {
            let row = row.unwrap();
            paths.extend(new_folders(&last, &row.path).map(<[u8]>::to_vec));
            paths.push(row.path.clone());
            found.insert(key_of(&row.path).unwrap());
            last = row.path;
        }
        prop_assert_eq!(found, keys);
        prop_assert!(paths.windows(2).all(|pair| compare_paths(&pair[0], &pair[1]).is_lt()), "{:?}", paths);
        for path in &paths {
            if let Some(at) = path.iter().rposition(|&byte| byte == b'/') {
                prop_assert!(paths.contains(&path[..at].to_vec()), "{:?}", paths);
            }
        }
    }
}

const TEXT: &[u8] = b"what an object holds, from its beginning to its very end";

/// The entry of an object of the text's length, read from a server; what was read, and what to think of it.
fn read(client: Client) -> Result<(Vec<u8>, Verdict, Entry), Problem> {
    let source = source(client, &[]);
    let row = Row {
        path: b"a".to_vec(),
        bytes: TEXT.len() as u64,
        modified: crate::format::Time { seconds: 7, nanos: 9 },
        etag: b"tag".to_vec(),
        marked: false,
    };
    let Candidate { mut entry, reader } = source.candidate(row);
    let mut content = reader.open(&mut entry)?;
    let mut bytes = vec![0; 1000];
    match content.read(&mut bytes) {
        Ok(filled) => {
            bytes.truncate(filled);
            let verdict = content.finish(&mut entry, filled as u64);
            Ok((bytes, verdict, entry))
        }
        Err(error) => match content.finish(&mut entry, 0) {
            Verdict::Failed(message) => Ok((Vec::new(), Verdict::Failed(message), entry)),
            _ => Err(Problem::new(b"a", "read", &error)),
        },
    }
}

#[test]
fn an_object_has_its_headers_and_its_tag_with_it() {
    let (client, _) = fake::client(|_, _| object("200 OK", TEXT.len(), "tag", TEXT));
    let (bytes, verdict, entry) = read(client).unwrap();
    assert_eq!((bytes.as_slice(), verdict), (TEXT, Verdict::Steady));
    let attribute = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(
        entry.xattrs,
        [
            attribute("user.s3.content-type", "text/plain"),
            attribute("user.s3.x-amz-meta-a", "one"),
            attribute("user.s3.x-amz-meta-b", "two")
        ]
    );
    assert_eq!(headers(&entry.xattrs).len(), 3);
    // The time of the listing, which is finer.
    assert_eq!((entry.stamp.as_slice(), entry.mtime.nanos, entry.ctime), (&b"tag"[..], 9, entry.mtime));
}

#[test]
fn an_object_that_was_replaced_since_the_listing_is_stored_as_it_is_now() {
    let (client, _) = fake::client(|_, _| object("200 OK", 3, "new", b"new"));
    let (bytes, verdict, entry) = read(client).unwrap();
    assert_eq!((bytes.as_slice(), verdict, entry.stamp.as_slice()), (&b"new"[..], Verdict::Steady, &b"new"[..]));
    assert_eq!(entry.mtime.seconds, 1_606_370_017);
    assert!(matches!(entry.node, Node::File { bytes: 3, .. }));
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_did() {
    let (client, heads) = fake::client(|number, _| match number {
        0 => object("200 OK", TEXT.len(), "tag", &TEXT[..10]),
        1 => object("206 Partial Content", TEXT.len() - 10, "tag", &TEXT[10..30]),
        _ => object("206 Partial Content", TEXT.len() - 30, "tag", &TEXT[30..]),
    });
    let (bytes, verdict, _) = read(client).unwrap();
    assert_eq!((bytes.as_slice(), verdict), (TEXT, Verdict::Steady));
    let heads = heads.lock().unwrap();
    assert!(heads[1].contains("range: bytes=10-") && heads[2].contains("range: bytes=30-"), "{heads:?}");
    assert!(heads[1].contains("if-match: \"tag\"") && heads[2].contains("if-match: \"tag\""), "{heads:?}");
}

#[test]
fn half_an_object_is_never_stored() {
    let (client, heads) = fake::client(|number, _| match number {
        0 => object("200 OK", TEXT.len(), "tag", &TEXT[..10]),
        _ => object("206 Partial Content", TEXT.len() - 10, "tag", b""),
    });
    let problem = read(client).unwrap_err();
    assert_eq!((problem.severity, heads.lock().unwrap().len()), (Severity::Unreadable, 3));
    assert!(problem.message.contains("broke off after 10 of 56 bytes"), "{problem:?}");
    // Replaced meanwhile: the rest would be another's.
    let (client, _) = fake::client(|number, _| match number {
        0 => object("200 OK", TEXT.len(), "tag", &TEXT[..10]),
        _ => refusal("412 Precondition Failed", "PreconditionFailed"),
    });
    let problem = read(client).unwrap_err();
    assert!(problem.severity == Severity::Unreadable && problem.message.contains("PreconditionFailed"), "{problem:?}");
}

#[test]
fn an_object_that_is_gone_is_a_warning_and_one_that_is_refused_is_not() {
    let cases = [
        ("404 Not Found", "NoSuchKey", Severity::Vanished),
        ("403 Forbidden", "AccessDenied", Severity::Unreadable),
        ("403 Forbidden", "InvalidObjectState", Severity::Unreadable),
    ];
    for (status, code, severity) in cases {
        let (client, _) = fake::client(move |_, _| refusal(status, code));
        assert_eq!(read(client).unwrap_err().severity, severity, "{code}");
        let (client, _) = fake::client(move |number, _| match number {
            0 => object("200 OK", TEXT.len(), "tag", &TEXT[..10]),
            _ => refusal(status, code),
        });
        assert_eq!(read(client).unwrap_err().severity, severity, "{code}");
    }
}

#[test]
fn a_server_that_is_gone_or_forgot_the_key_fails_the_backup() {
    let gone = fake::at("http://127.0.0.1:1");
    assert!(matches!(read(gone).unwrap().1, Verdict::Failed(message) if message.contains("no answer")));
    let (client, _) = fake::client(|_, _| refusal("403 Forbidden", "ExpiredToken"));
    assert!(matches!(read(client).unwrap().1, Verdict::Failed(message) if message.contains("not good any more")));
    let (client, _) = fake::client(|number, _| match number {
        0 => object("200 OK", TEXT.len(), "tag", &TEXT[..10]),
        // Closes without a word.
        _ => Vec::new(),
    });
    let verdict = read(client).unwrap().1;
    assert!(
        matches!(&verdict, Verdict::Failed(message) if message.contains("a: the download broke off")),
        "{verdict:?}"
    );
}
