use super::Lexer;
use crate::dump::Dialect::{self, Mariadb, Postgres};

/// The text up to the first place from which on the rest is within something.
fn clean_at_end(dialect: Dialect, sql: &str) -> bool {
    let mut lexer = Lexer::new(dialect);
    lexer.feed(sql.as_bytes());
    let mut bytewise = Lexer::new(dialect);
    sql.bytes().for_each(|byte| bytewise.feed(&[byte]));
    assert_eq!(lexer.is_clean(), bytewise.is_clean(), "{sql}");
    lexer.is_clean()
}

#[test]
fn what_is_closed_is_clean() {
    for sql in [
        "SELECT 1;\n",
        "'it''s'",
        "'\\'",
        "E'\\''",
        "'\\''x'",
        "E'a''\\''",
        "'a\n--\n'",
        "\"a'b\"",
        "\"a\"\"b\"",
        "$$ ' $$",
        "$a$ $$ ' $a $a$",
        "$a$ $a$a$",
        "$1 a$b$ ",
        "/* ' /* \" */ */",
        "-- don't\n",
        "a - - b'c'",
        "/**/",
        "nextval('a.b'::regclass)",
    ] {
        assert!(clean_at_end(Postgres, sql), "{sql}");
    }
    for sql in [
        "'it\\'s'",
        "\"it\\\"s\"",
        "`a``'b`",
        "# don't\n",
        "-- don't\n",
        "/*!40101 SET x='a' */",
        "/*M!100 ' ' */",
        "/* don't */",
        "1--1 + 'a'",
        "'\\\\'",
    ] {
        assert!(clean_at_end(Mariadb, sql), "{sql}");
    }
}

#[test]
fn what_is_open_is_not() {
    for sql in ["'it's'", "E'\\'", "\"a", "$$ '", "$a$ $b$", "/* /* */", "-- a", "xE'a\\'", "$a$ $a"] {
        let clean = clean_at_end(Postgres, sql);
        assert_eq!(clean, sql == "xE'a\\'", "{sql}");
    }
    for sql in ["'it\\'", "`a", "# a", "-- a", "/* a", "--\t'"] {
        assert!(!clean_at_end(Mariadb, sql), "{sql}");
    }
}
