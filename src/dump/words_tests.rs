use proptest::prelude::{any, prop, proptest};

use super::{Name, first_name, name_after, names, text, words};

fn found(sql: &str) -> Vec<String> {
    names(&words(sql.as_bytes()), 100).into_iter().map(|name| format!("{}|{}", name.schema, name.name)).collect()
}

#[test]
fn names_with_a_schema_are_found_in_sql_and_in_texts_that_are_names() {
    assert_eq!(found("ALTER TABLE ONLY shop.\"order \"\"items\" ADD x"), ["shop|order \"items"]);
    assert_eq!(found("DEFAULT nextval('shop.\"a b\"'::regclass)"), ["shop|a b"]);
    assert_eq!(found("OWNED BY public.users.id; x"), ["public|users"]);
    assert_eq!(found("'see public.users' -- public.a\n $$ public.b $$ $1 E'\\'public.c' 1.5"), ["1|5"]);
    assert_eq!(found("a.b a.b c.d"), ["a|b", "c|d"]);
}

#[test]
fn a_name_is_found_behind_a_word() {
    let after = |sql: &str, word: &str| name_after(&words(sql.as_bytes()), word);
    let index = "CREATE INDEX \"ON\" ON ONLY public.users USING btree (a)";
    assert_eq!(after(index, "ON"), Some(Name::new("public", "users")));
    assert_eq!(after("CREATE STATISTICS s.t ON a, b FROM public.users", "FROM"), Some(Name::new("public", "users")));
    assert_eq!(after("ON a", "ON"), Some(Name::new("", "a")));
    assert_eq!(after("ON", "ON"), None);
    assert_eq!(first_name(&words(b"GRANT a ON TABLE p.t TO x")), Some(Name::new("p", "t")));
    assert_eq!(text(b"a\xffb"), "a\\xffb");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = names(&words(&bytes), 5);
    }

    #[test]
    fn no_signs_panic(bytes in "[-'\"$aE.\\\\\n ]{0,40}") {
        let _ = names(&words(bytes.as_bytes()), 5);
    }
}
