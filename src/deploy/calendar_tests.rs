use super::*;

fn parsed(text: &str) -> Expression {
    text.parse().unwrap()
}

#[test]
fn fields_are_written_as_numbers_and_ranges() {
    for (text, expected) in [
        ("@daily", "0 0 * * *"),
        ("5/20 1-3 * jan,feb,mar,may mon-fri", "5,25,45 1-3 * 1-3,5 1-5"),
        ("0 0 1-31 * 7", "0 0 1-31 * 0"),
        ("0 0 */2 * 1", "0 0 */2 * 1"),
        ("0 0 1 * */2", "0 0 1 * */2"),
        ("0-59 0-23 * 1-12 0-7", "* * * * *"),
    ] {
        assert_eq!(crontab(&parsed(text)).as_deref(), Some(expected), "{text}");
        let again = parsed(expected);
        assert_eq!(parsed(text).fields(), again.fields(), "{text}");
    }
    assert_eq!(crontab(&parsed("0 0 */2,4 * 1")), None);
}

#[test]
fn either_kind_of_days_is_two_values() {
    let values = on_calendar(&parsed("0 3 13 * fri,sun"), &Zone::UTC, Timestamp::UNIX_EPOCH).always;
    assert_eq!(values, ["*-*-13 3:0:00 UTC", "Fri,Sun *-*-* 3:0:00 UTC"]);
}
