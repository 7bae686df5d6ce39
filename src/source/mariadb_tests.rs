use super::*;

fn server(container: Option<&str>) -> Server {
    let place = Place { host: Some("db".into()), port: Some(3307), socket: None, user: Some("app".into()) };
    let secret = Some((PASSWORD_VARIABLE, "hidden".to_owned().into()));
    let client = Client { container: container.map(str::to_owned), secret };
    Server { place, client, dumping: "mariadb-dump", asking: "mariadb" }
}

fn words(output: &Output) -> String {
    let words = output.arguments.iter().map(|word| word.to_string_lossy().into_owned());
    [output.program.to_string_lossy().into_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_password_is_never_among_the_arguments() {
    for container in [None, Some("shop-db")] {
        let server = server(container);
        let mut outputs = server.dumps(&["shop".to_owned()], &["--skip-quick".to_owned()]);
        outputs.push(server.users());
        for output in &outputs {
            assert!(!words(output).contains("hidden"), "{}", words(output));
            assert_eq!(output.variables[0].0, "MYSQL_PWD");
        }
        let head = container.map_or("mariadb-dump", |_| "docker exec --interactive --env MYSQL_PWD shop-db sh -c ");
        let dump = words(&outputs[0]);
        assert!(dump.starts_with(head), "{dump}");
        assert!(dump.contains("mariadb-dump --host db --port 3307 --user app "), "{dump}");
        assert!(dump.ends_with(" --skip-quick -- shop"), "{dump}");
    }
}

#[test]
fn names_come_and_go_as_what_they_are() {
    assert_eq!(quoted("a`b"), "`a``b`");
    assert_eq!(named("6D79207368C3B670").unwrap(), "my shöp");
    named("6").unwrap_err();
    named("FF").unwrap_err();
    assert!(making(&["it's".to_owned()]).contains("IN (CONVERT(x'69742773' USING utf8mb4))"));
}

#[test]
fn programs_are_found_under_the_names_they_had_before() {
    let [dumping, asking] =
        programs(|program| if program == "mysqldump" { Ok(()) } else { Err("no".to_owned()) }).unwrap();
    assert_eq!((dumping, asking), ("mysqldump", "mysql"));
    assert_eq!(programs(|_| Ok(())).unwrap(), ["mariadb-dump", "mariadb"]);
    assert_eq!(programs(|program| Err(format!("no {program}"))).unwrap_err(), "no mariadb-dump");
}
