use super::manner;

#[test]
fn a_database_is_made_as_it_was() {
    let making = "CREATE DATABASE IF NOT EXISTS `a` CHARACTER SET latin1 COLLATE latin1_swedish_ci;\n\
        CREATE DATABASE IF NOT EXISTS `a``b` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;\n";
    assert_eq!(manner(making, "a"), " CHARACTER SET latin1 COLLATE latin1_swedish_ci");
    assert_eq!(manner(making, "a`b"), " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    assert_eq!(manner(making, "b"), "");
}
