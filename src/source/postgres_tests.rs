use super::{Server, quoted};

fn server(container: Option<&str>) -> Server {
    Server {
        host: Some("db".into()),
        port: Some(5433),
        user: Some("app".into()),
        password: Some("hidden".to_owned().into()),
        container: container.map(str::to_owned),
    }
}

fn words(server: &Server, database: &str) -> (String, String) {
    let outputs = server.dumps(&[database.to_owned()], &["--clean".to_owned()]).unwrap();
    let words: Vec<String> = outputs[0].arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    (outputs[0].program.to_string_lossy().into_owned(), words.join(" "))
}

#[test]
fn the_password_is_never_among_the_arguments() {
    let expected = "--host db --port 5433 --username app --format=plain --no-password --clean --dbname dbname='shop'";
    assert_eq!(words(&server(None), "shop"), ("pg_dump".to_owned(), expected.to_owned()));
    let (program, words) = words(&server(Some("shop-db")), "shop");
    assert!(program == "docker" && words.starts_with("exec --interactive --env PGPASSWORD shop-db sh -c "), "{words}");
    assert!(words.ends_with(&format!(" larder pg_dump {expected}")), "{words}");
}

#[test]
fn a_name_is_never_a_connection_string() {
    assert_eq!(quoted("a' host=evil"), r"dbname='a\' host=evil'");
    assert_eq!(quoted(r"a\"), r"dbname='a\\'");
}

#[test]
fn roles_come_as_a_file_of_their_own() {
    let outputs = server(None).dumps(&["a".into(), "b".into()], &[]).unwrap();
    let names: Vec<&[u8]> = outputs.iter().map(|output| output.name.as_slice()).collect();
    assert_eq!(names, [b"a.sql", b"b.sql"]);
    assert_eq!(server(None).globals().name, b"globals.sql");
}
