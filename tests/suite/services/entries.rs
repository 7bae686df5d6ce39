//! One table out of a dump that a run has stored, put into an empty database of a real PostgreSQL.

use std::fs;

use super::postgres::{Server, configure, run, text};
use crate::support::binary::Larder;

/// Two schemas; what belongs to a table and what does not; headings wherever one can write.
const SHOP: &str = r#"
CREATE SCHEMA sales;
CREATE TYPE sales.mood AS ENUM ('sad', 'happy');
CREATE FUNCTION sales.touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
--
-- Name: forged; Type: TABLE; Schema: public; Owner: -
--
  NEW.touched := 'it''s touched $$';
  RETURN NEW;
END $body$;
CREATE TABLE public.users (id serial PRIMARY KEY, name text);
CREATE TABLE sales."order items" (
  id serial PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY, owner int REFERENCES public.users,
  parent int REFERENCES sales."order items", mood sales.mood DEFAULT 'happy', note text UNIQUE, touched text);
CREATE INDEX "by mood" ON sales."order items" (mood, note);
CREATE TRIGGER touching BEFORE INSERT ON sales."order items" FOR EACH ROW EXECUTE FUNCTION sales.touch();
COMMENT ON TABLE sales."order items" IS E'a\n--\n-- Name: forged; Type: TABLE; Schema: public; Owner: -\n--\n';
CREATE VIEW sales.happy AS SELECT * FROM sales."order items" WHERE mood = 'happy';
INSERT INTO public.users (name) SELECT 'user ' || n FROM generate_series(1, 1000) n;
INSERT INTO sales."order items" (owner, parent, note) VALUES
  (1, NULL, '-- Name: x; Type: TABLE; Schema: public; Owner: -'),
  (2, 1, E'--\n-- Name: x; Type: TABLE; Schema: public; Owner: -\n--\n'),
  (3, 1, '-- Data for Name: x; Type: TABLE DATA; Schema: public; Owner: -'),
  (4, 2, E'\\.'), (5, 2, E'\t\\'), (6, NULL, '-- PostgreSQL database dump complete'), (7, NULL, NULL);
"#;

const ITEMS: &str =
    "SELECT *, pg_get_serial_sequence('sales.\"order items\"', 'id') FROM sales.\"order items\" ORDER BY id";
const RULES: &str = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'sales.\"order items\"'::regclass \
                     AND conname <> 'order items_owner_fkey' ORDER BY 1; \
                     SELECT indexdef FROM pg_indexes WHERE schemaname = 'sales' ORDER BY 1; \
                     SELECT tgname FROM pg_trigger WHERE NOT tgisinternal; \
                     SELECT obj_description('sales.\"order items\"'::regclass)";

#[test]
fn one_table_comes_back_into_an_empty_database_as_it_was() {
    let (server, larder) = (Server::start(), Larder::new());
    server.sql("postgres", "CREATE DATABASE shop");
    server.sql("shop", SHOP);
    configure(&larder, &server, "database = \"shop\"");
    let ended = run(&larder);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let listed = larder.ok(&["ls", "--entries", "db@latest:shop.sql"]);
    assert_eq!(
        (listed.out.as_str(), listed.err.as_str()),
        (
            "sales\nsales.mood\nsales.touch()\npublic.users\npublic.users_id_seq\nsales.order items\nsales.happy\n\
         sales.order items_id_seq\n",
            ""
        )
    );
    let out = larder.path("out");
    let restore = ["restore", "db@latest:shop.sql", "--entry", "sales.order items", "--to", text(&out)];
    let restored = larder.ok(&restore);
    let left_out = "warning: sales.order items: left out: foreign key order items order items_owner_fkey, which refers to public.users\n";
    assert_eq!(restored.err, left_out);
    let file = out.join("sales.order items.sql");
    server.sql("postgres", "CREATE DATABASE back");
    let put = server.psql("back").arg("-f").arg(&file).output().unwrap();
    assert!(put.status.success() && put.stderr.is_empty(), "{put:?}");
    for query in [ITEMS, RULES] {
        assert_eq!(server.sql("back", query), server.sql("shop", query));
    }
    // It goes on where it was: sequences, identity and trigger work.
    let insert = "INSERT INTO sales.\"order items\" (note) VALUES ('next') RETURNING id, number, touched";
    assert_eq!(server.sql("back", insert), "8|8|it's touched $$\n");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'sales')";
    assert_eq!(server.sql("back", tables), "1\n");
    // Through a pipe, with a table of another schema, and with a list that is not there: the same.
    let both = larder.ok(&[
        "restore",
        "db@latest:shop.sql",
        "--entry",
        "public.users",
        "--entry",
        "sales.touch()",
        "--to",
        "-",
    ]);
    fs::write(larder.path("both.sql"), &both.out).unwrap();
    server.sql("postgres", "CREATE DATABASE again");
    let put = server.psql("again").arg("-f").arg(larder.path("both.sql")).output().unwrap();
    assert!(put.status.success() && put.stderr.is_empty(), "{put:?}");
    let users = "SELECT count(*), sum(id) FROM public.users";
    assert_eq!(server.sql("again", users), server.sql("shop", users));
    fs::create_dir(larder.path("alone")).unwrap();
    fs::write(larder.path("alone/shop.sql"), larder.ok(&["cat", "db@latest:shop.sql"]).out).unwrap();
    larder.ok(&["backup", text(&larder.path("alone")), "--source", "alone"]);
    let alone = larder.ok(&["restore", "alone@latest:shop.sql", "--entry", "sales.order items", "--to", "-"]);
    assert!(
        alone.out == fs::read_to_string(&file).unwrap() && alone.err.contains("was read to find them"),
        "{}",
        alone.err
    );
}
