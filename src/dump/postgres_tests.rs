use crate::dump::tests::{PG_DUMP, PG_DUMP_OPTIONS, PG_DUMPALL, entry, names, scan, written};

/// The sample was made from tables, views and functions that have headings in their texts, bodies and data.
#[test]
fn a_dump_has_the_entries_that_the_database_had_and_no_forged_ones() {
    let entries = scan(PG_DUMP.as_bytes()).unwrap();
    assert_eq!(
        names(&entries),
        [
            "SCHEMA shop",
            "DOMAIN public.positive",
            "TYPE shop.mood",
            "FUNCTION public.add(integer, integer)",
            "FUNCTION shop.touch()",
            "SEQUENCE public.free_seq",
            "TABLE shop.order items",
            "VIEW public.happy",
            "MATERIALIZED VIEW public.mat",
            "TABLE public.orgs",
            "SEQUENCE public.orgs_id_seq",
            "TABLE public.parts",
            "TABLE public.parts_1",
            "TABLE public.sub",
            "TABLE public.uses",
            "SEQUENCE shop.order items_id_seq",
        ]
    );
    // Whatever the options: they change the text and not what there is.
    let database = ["DATABASE a".to_owned()].into_iter().chain(names(&entries)).collect::<Vec<_>>();
    assert_eq!(names(&scan(PG_DUMP_OPTIONS.as_bytes()).unwrap()), database);
}

#[test]
fn an_entry_of_a_table_has_all_that_it_needs_and_nothing_of_other_tables() {
    let entries = scan(PG_DUMP.as_bytes()).unwrap();
    let table = entry(&entries, "shop.order items");
    let text = written(PG_DUMP, table);
    for part in [
        "\\restrict ",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "CREATE SCHEMA shop;",
        "CREATE TYPE shop.mood",
        "CREATE FUNCTION shop.touch()",
        "COMMENT ON FUNCTION shop.touch()",
        "SET default_table_access_method = heap;",
        "CREATE TABLE shop.\"order items\"",
        "CREATE SEQUENCE shop.\"order items_id_seq\"",
        "ALTER SEQUENCE shop.\"order items_id_seq\" OWNED BY",
        "SEQUENCE NAME shop.\"order items_n_seq\"",
        "SET DEFAULT nextval(",
        "COPY shop.\"order items\"",
        "3\t\\N\t3\tok",
        "SELECT pg_catalog.setval('shop.\"order items_id_seq\"', 3, true)",
        "SELECT pg_catalog.setval('shop.\"order items_n_seq\"', 3, true)",
        "PRIMARY KEY (id)",
        "CREATE INDEX \"by mood\"",
        "COMMENT ON INDEX shop.\"by mood\"",
        "CREATE STATISTICS shop.st",
        "CREATE TRIGGER touching",
        "REFERENCES shop.\"order items\"(id)",
        "CREATE POLICY everyone",
        "ENABLE ROW LEVEL SECURITY",
        "GRANT USAGE ON SCHEMA shop",
        "GRANT SELECT ON TABLE shop.\"order items\"",
        "\\unrestrict ",
        "-- PostgreSQL database dump complete",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    for part in ["CREATE TABLE public.", "COPY public.", "REFERENCES public.orgs", "positive", "VIEW", "add("] {
        assert!(!text.contains(part), "{part} is in\n{text}");
    }
    assert_eq!(table.left_out, ["foreign key order items order items_org_fkey, which refers to public.orgs"]);
    assert_eq!(table.bytes(), text.len() as u64);
}

#[test]
fn what_is_left_out_is_said() {
    let entries = scan(PG_DUMP.as_bytes()).unwrap();
    assert_eq!(entry(&entries, "public.parts").left_out, ["partition parts_1"]);
    assert_eq!(entry(&entries, "public.sub").left_out, ["public.orgs, which it needs"]);
    assert_eq!(entry(&entries, "public.happy").left_out, ["shop.order items, which it needs"]);
    assert_eq!(entry(&entries, "public.orgs").left_out, [""; 0]);
    let text = |name: &str| written(PG_DUMP, entry(&entries, name));
    assert!(text("public.sub").contains("CREATE DOMAIN public.positive"));
    assert!(
        text("public.sub").contains("CREATE SEQUENCE public.orgs_id_seq") && !text("public.sub").contains("OWNED BY")
    );
    assert!(
        text("public.uses").contains("CREATE FUNCTION public.add(")
            && text("public.uses").contains("setval('public.free_seq'")
    );
    assert!(text("public.mat").contains("REFRESH MATERIALIZED VIEW public.mat"));
    assert!(text("public.orgs").contains("CREATE RULE r"));
    assert!(!text("public.orgs").contains("CREATE SCHEMA"));
}

/// The front of a dump made with `--clean` drops everything there is.
#[test]
fn nothing_that_drops_is_written_with_an_entry() {
    assert!(PG_DUMP_OPTIONS.contains("DROP DATABASE"));
    for entry in scan(PG_DUMP_OPTIONS.as_bytes()).unwrap().entries {
        let text = written(PG_DUMP_OPTIONS, &entry);
        assert!(!text.contains("DROP ") && !text.contains("\\connect"), "{text}");
    }
    let front = PG_DUMP.find("--\n-- Name: shop;").unwrap();
    let clean = PG_DUMP[..front].to_owned() + "DROP TABLE public.orgs;\nDROP SCHEMA shop;\n" + &PG_DUMP[front..];
    let entries = scan(clean.as_bytes()).unwrap();
    let text = written(&clean, entry(&entries, "public.orgs"));
    assert!(!text.contains("DROP") && text.contains("SET row_security = off;"), "{text}");
}

#[test]
fn of_several_databases_each_has_its_own_entries() {
    let entries = scan(PG_DUMPALL.as_bytes()).unwrap();
    assert!(names(&entries).contains(&"TABLE a.shop.order items".to_owned()), "{:?}", names(&entries));
    let text = written(PG_DUMPALL, entry(&entries, "a.public.orgs"));
    assert!(!text.contains("CREATE ROLE") && !text.contains("\\connect") && text.contains("SET row_security = off;"));
    assert_eq!(text.matches("PostgreSQL database dump complete").count(), 1);
}

#[test]
fn settings_that_count_for_a_table_are_written_before_it() {
    let table = |name: &str| {
        format!(
            "--\n-- Name: {name}; Type: TABLE; Schema: public; Owner: -\n--\n\nCREATE TABLE public.{name} ();\n\n\n"
        )
    };
    let dump = PG_DUMP[..PG_DUMP.find("--\n-- Name: shop;").unwrap()].to_owned()
        + &table("first")
        + "SET default_tablespace = fast;\n\n"
        + &table("second")
        + "SET default_tablespace = '';\n\n"
        + &table("third");
    let entries = scan(dump.as_bytes()).unwrap();
    let has = |name: &str| {
        let text = written(&dump, entry(&entries, name));
        text.lines().filter(|line| line.starts_with("SET default_tablespace")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(has("public.first"), [""; 0]);
    assert_eq!(has("public.second"), ["SET default_tablespace = fast;"]);
    assert_eq!(has("public.third"), ["SET default_tablespace = '';"]);
}

#[test]
fn a_dump_of_data_alone_has_tables_too() {
    let data = PG_DUMP.find("--\n-- Data for Name: orgs").unwrap();
    let end = PG_DUMP.find("--\n-- Name: orgs orgs_pkey").unwrap();
    let dump = PG_DUMP[..PG_DUMP.find("--\n-- Name: shop;").unwrap()].to_owned() + &PG_DUMP[data..end];
    let entries = scan(dump.as_bytes()).unwrap();
    assert!(written(&dump, entry(&entries, "shop.order items")).contains("COPY shop.\"order items\""));
    assert_eq!(entry(&entries, "public.free_seq").kind, "SEQUENCE SET");
}

/// Names may contain what separates names, and headings say them without quotes.
#[test]
fn names_with_dots_and_quotes_stay_apart() {
    let table = |schema: &str, name: &str| {
        format!("--\n-- Name: {name}; Type: TABLE; Schema: {schema}; Owner: a; b\n--\n\nSELECT;\n\n")
    };
    let dump = PG_DUMP[..1000].to_owned()
        + "\n\n"
        + &table("a.b", "c")
        + &table("a", "b.c")
        + &table("a", "x\"y; Type: VIEW; Schema: z");
    let found = names(&scan(dump.as_bytes()).unwrap());
    assert_eq!(
        found[found.len() - 3..],
        ["TABLE \"a.b\".c", "TABLE a.\"b.c\"", "TABLE a.\"x\"\"y; Type: VIEW; Schema: z\""]
    );
}
