use crate::dump::tests::{MARIADB_DUMP, entry, names, scan, written};

const DATABASES: &str = include_str!("../../tests/samples/mariadb-dump-databases.sql");

#[test]
fn a_dump_has_the_entries_that_the_database_had_and_no_forged_ones() {
    let entries = scan(MARIADB_DUMP.as_bytes()).unwrap();
    assert_eq!(
        names(&entries),
        [
            "SEQUENCE s",
            "VIEW names",
            "TABLE order `items",
            "TABLE orgs",
            "EVENTS events:shop",
            "ROUTINES routines:shop"
        ]
    );
    let several = names(&scan(DATABASES.as_bytes()).unwrap());
    assert_eq!(several, ["SEQUENCE shop.s", "VIEW shop.names", "TABLE shop.order `items", "TABLE shop.orgs"]);
}

#[test]
fn an_entry_has_front_structure_data_triggers_and_end() {
    for (dump, name) in [(MARIADB_DUMP, "order `items"), (DATABASES, "shop.order `items")] {
        let entries = scan(dump.as_bytes()).unwrap();
        let text = written(dump, entry(&entries, name));
        for part in [
            "/*M!999999\\- enable the sandbox mode */",
            "/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;",
            "DROP TABLE IF EXISTS `order ``items`;",
            "CREATE TABLE `order ``items`",
            "INSERT INTO `order ``items`",
            "TRIGGER touch",
            "DELIMITER ;\n",
            "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;",
            "-- Dump completed",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        for part in ["CREATE TABLE `orgs`", "VIEW", "SEQUENCE", "PROCEDURE", "CREATE DATABASE", "USE `"] {
            assert!(!text.contains(part), "{part} is in\n{text}");
        }
    }
    let entries = scan(MARIADB_DUMP.as_bytes()).unwrap();
    let view = written(MARIADB_DUMP, entry(&entries, "names"));
    assert!(view.contains("NULL AS `name`") && view.contains("select `orgs`.`name`"), "{view}");
    assert!(written(MARIADB_DUMP, entry(&entries, "routines:shop")).contains("PROCEDURE `p`"));
}

/// A routine keeps its comments, and people write anything into them.
#[test]
fn a_heading_in_a_routine_is_none() {
    let forged = "SET NEW.note = 'x'; -- don't\n\n--\n-- Table structure for table `forged`\n--\n\nDROP TABLE orgs;\n";
    let dump = MARIADB_DUMP.replace("SET NEW.note =", &format!("{forged} SET NEW.note ="));
    assert_ne!(dump, MARIADB_DUMP);
    let entries = scan(dump.as_bytes()).unwrap();
    assert_eq!(names(&entries), names(&scan(MARIADB_DUMP.as_bytes()).unwrap()));
    assert!(written(&dump, entry(&entries, "order `items")).contains(forged));
}

/// MySQL with replication writes into the front what only a restore of everything may do.
#[test]
fn positions_of_a_replication_are_not_written_with_an_entry() {
    let front = "SET @MYSQLDUMP_TEMP_LOG_BIN = @@SESSION.SQL_LOG_BIN;\nSET @@SESSION.SQL_LOG_BIN= 0;\n\n--\n-- GTID state at the \
                 beginning of the backup \n--\n\nSET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ 'a:1-5';\n\n--\n-- Sequence structure for `s`";
    let end = "SET @@SESSION.SQL_LOG_BIN = @MYSQLDUMP_TEMP_LOG_BIN;\n/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE";
    let dump = MARIADB_DUMP.replace("--\n-- Sequence structure for `s`", front);
    let dump = dump.replace("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE", end);
    for entry in scan(dump.as_bytes()).unwrap().entries {
        let text = written(&dump, &entry);
        assert!(
            !text.contains("GTID_PURGED") && !text.contains("LOG_BIN") && text.contains("SQL_MODE=@OLD_SQL_MODE"),
            "{text}"
        );
    }
}
