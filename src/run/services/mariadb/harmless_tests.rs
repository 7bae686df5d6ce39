use super::*;

fn through(dump: &str, piece: usize) -> String {
    let mut out = Vec::new();
    let mut harmless = Harmless::new(&mut out, "my `shop");
    for piece in dump.as_bytes().chunks(piece) {
        harmless.write_all(piece).unwrap();
    }
    harmless.flush().unwrap();
    String::from_utf8(out).unwrap()
}

const BEFORE: &str = "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump\nCREATE TABLE `t` (\n  `a` int\n);\n\
    INSERT INTO `t` VALUES\n(1,'ALTER DATABASE `my ``shop` '),\n(2,'-- Dumping events for database');\n";
const CHANGE: &str = "ALTER DATABASE `my ``shop` CHARACTER SET latin1 COLLATE latin1_swedish_ci ;\n";
const TRIGGER: &str =
    "/*!50003 TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1 */;;\nALTER DATABASE other ;\n--\n";
const EVENTS: &str = "-- Dumping events for database 'my `shop'\n--\nDELIMITER ;;\nALTER DATABASE `my ``shop` X ;;\n\
    /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO DELETE FROM t */ ;;\nDELIMITER ;\n\
    /*!50106 SET TIME_ZONE= @save_time_zone */ ;\n\n--\n";
const ROUTINES: &str = "-- Dumping routines for database 'my `shop'\n--\nCREATE PROCEDURE p() BEGIN END ;;\n";
const END: &str = "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n-- Dump completed";

#[test]
fn events_and_changes_of_the_database_by_its_name_are_left_out_and_nothing_else() {
    let dump = [BEFORE, CHANGE, TRIGGER, CHANGE, EVENTS, ROUTINES, CHANGE, END].concat();
    let expected = [BEFORE, TRIGGER, ROUTINES, END].concat();
    for piece in [1, 2, 7, 50, HEAD_BYTES, 10_000] {
        assert_eq!(through(&dump, piece), expected, "{piece}");
    }
    // Without routines.
    assert_eq!(through(&[BEFORE, EVENTS, END].concat(), 100), [BEFORE, END].concat());
}

#[test]
fn lines_of_any_length_go_through_as_they_are() {
    for bytes in [0, 1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 3 * HEAD_BYTES] {
        let line = "x".repeat(bytes);
        let dump = format!("{line}\n{line}\n{line}");
        for piece in [1, 100, HEAD_BYTES, 10_000] {
            assert_eq!(through(&dump, piece), dump, "{bytes} {piece}");
        }
    }
    // A long line that stays, and one after it that goes.
    let long = format!("ALTER DATABASE `my ``shop` {}\n", "x".repeat(3 * HEAD_BYTES));
    assert_eq!(through(&[&long, BEFORE, END].concat(), 10), [BEFORE, END].concat());
}
