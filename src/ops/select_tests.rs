use super::*;

fn check(text: &str, snapshot: &str, path: &str) {
    assert_eq!(split(text), (snapshot.to_owned(), path.as_bytes().to_vec()), "{text}");
}

#[test]
fn a_path_stands_behind_the_first_colon() {
    check("latest", "latest", "");
    check("3f2a91c7:etc/hosts", "3f2a91c7", "etc/hosts");
    check("3f2a91c7:/etc/", "3f2a91c7", "etc");
    check("latest:a:b", "latest", "a:b");
    check("latest:", "latest", "");
}

#[test]
fn a_source_may_hold_a_colon() {
    check("db:app@latest:dump.sql", "db:app@latest", "dump.sql");
    check("db:app@latest", "db:app@latest", "");
    check("a@b@latest:x", "a@b@latest", "x");
}
