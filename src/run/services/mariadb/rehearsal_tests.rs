use super::*;

#[test]
fn the_number_of_an_error_is_found() {
    let said = "database a: it cannot be loaded: mariadb failed: exit status: 1\nERROR 1114 (HY000) at line 3: The table is full";
    assert_eq!(number(said), Some(1114));
    assert!(OF_THE_SERVER.contains(&1114) && OF_THE_SERVER.is_sorted());
    for error in ["mariadb failed: exit status: 1", "ERROR x (1)", "pack 1 is damaged"] {
        assert_eq!(number(error), None, "{error}");
    }
}
