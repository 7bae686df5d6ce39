use super::*;

#[test]
fn only_roles_that_are_missing_are_made() {
    let globals = "--\nCREATE ROLE app;\nALTER ROLE app WITH LOGIN PASSWORD 'x';\nCREATE ROLE \"a b\";\n\
        ALTER ROLE \"a b\" WITH NOLOGIN;\nALTER ROLE app2 WITH LOGIN;\n\
        GRANT app TO \"a b\" GRANTED BY postgres;\nGRANT \"a b\" TO app;\n";
    let made = statements_of_missing(globals, &["app".to_owned(), "app2".to_owned()]);
    assert_eq!(
        made,
        "CREATE ROLE \"a b\";\nALTER ROLE \"a b\" WITH NOLOGIN;\nGRANT app TO \"a b\" GRANTED BY postgres;\n"
    );
    assert_eq!(statements_of_missing(globals, &["app".to_owned(), "\"a b\"".to_owned()]), "");
}

#[test]
fn names_are_cut_between_characters() {
    assert_eq!(stem("app"), "app");
    let long = "ä".repeat(31);
    assert!(stem(&long).len() <= STEM_BYTES_MAX && long.starts_with(stem(&long)));
}
