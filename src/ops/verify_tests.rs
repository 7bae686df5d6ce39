use std::io::Write as _;

use super::*;

fn sql(text: &str) -> Result<(), Flaw> {
    let mut tail = Tail::default();
    for piece in text.as_bytes().chunks(1000) {
        tail.write_all(piece).unwrap();
    }
    tail.ends_a_dump()
}

#[test]
fn a_dump_has_to_have_its_last_line_at_its_end() {
    let body = "INSERT INTO t VALUES (1);\n".repeat(10_000);
    sql(&format!("{body}--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict abc\n")).unwrap();
    sql(&format!("{body}-- Dump completed on 2026-11-26  2:00:00\n")).unwrap();
    sql("").unwrap_err();
    sql(&body).unwrap_err();
    // One that begins with another.
    sql(&format!("-- PostgreSQL database dump complete\n{body}")).unwrap_err();
}
