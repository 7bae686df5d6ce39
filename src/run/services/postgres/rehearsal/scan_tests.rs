use super::*;

#[test]
fn what_a_dump_needs_is_found_however_it_comes() {
    let dump = "-- Dumped from database version 15.4 (Debian)\nCREATE TABLE t (a int);\nALTER TABLE public.t OWNER TO clerk;\n\
        GRANT SELECT ON TABLE public.t TO \"a \"\"b\"\"\" WITH GRANT OPTION;\nREVOKE ALL ON SCHEMA s FROM PUBLIC;\n\
        ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO reader;\n\
        CREATE POLICY p ON public.t TO guard USING (true);\nCREATE TRIGGER x TO nobody;\nSELECT 1 TO nothing;\n\
        GRANT pg_monitor TO pg_database_owner;\n";
    for piece in [1, 7, 1000] {
        let mut scan = Scan::default();
        for bytes in dump.as_bytes().chunks(piece) {
            scan.write_all(bytes).unwrap();
        }
        assert_eq!(scan.version(), 15);
        assert_eq!(scan.roles().collect::<Vec<_>>(), ["a \"b\"", "clerk", "guard", "maker", "reader"]);
    }
    let mut scan = Scan::default();
    scan.write_all(&vec![b'x'; 3 * LINE_BYTES_MAX]).unwrap();
    scan.write_all(b"\nALTER TABLE t OWNER TO clerk;\n").unwrap();
    assert_eq!((scan.version(), scan.roles().count()), (0, 1));
}
