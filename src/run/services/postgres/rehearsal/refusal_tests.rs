use super::*;

#[test]
fn only_what_the_dump_says_wrongly_is_its_fault() {
    let said =
        |lines: &str| is_of_the_dump(&format!("database a: it cannot be loaded: psql failed: exit status: 3\n{lines}"));
    for lines in [
        "psql:<stdin>:7: ERROR:  42883: function f() does not exist\nLOCATION:  ParseFuncOrColumn, parse_func.c:629",
        "psql:<stdin>:9: FEHLER:  22P02: invalid input syntax\nCONTEXT:  COPY a, line 1, column b: \"x:  53100: y\"",
        "psql:<stdin>:3: invalid command \\x",
    ] {
        assert_eq!(said(lines), Some(true), "{lines}");
    }
    for lines in [
        "psql:<stdin>:7: WARNING:  01000: so what\npsql:<stdin>:8: ERROR:  53100: could not extend file: No space left on device",
        "psql:<stdin>:7: FATAL:  57P01: terminating connection due to administrator command\nserver closed the connection",
        "psql:<stdin>:7: ERROR:  42501: permission denied to create event trigger \"a\"",
        "psql:<stdin>:7: ERROR:  XX000: could not write to file \"base/1\": File too large\npsql:<stdin>:9: NOTICE:  00000: x",
    ] {
        assert_eq!(said(lines), Some(false), "{lines}");
    }
    for error in ["psql failed: exit status: 2\nserver closed the connection unexpectedly", "pack 1 is damaged", ""] {
        assert_eq!(is_of_the_dump(error), None, "{error}");
    }
}
