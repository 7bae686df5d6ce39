use super::*;

#[test]
fn durations_are_a_number_and_a_unit() {
    for (text, days) in [("7d", 7), ("1w", 7), ("3m", 90), ("1y", 365), ("0s", 0), ("48h", 2)] {
        let length: Length = text.parse().unwrap();
        assert_eq!(length.duration(), Duration::from_secs(days * DAY), "{text}");
    }
    assert_eq!("90min".parse::<Length>().unwrap().duration(), Duration::from_secs(5400));
    let months: Length = "3m".parse().unwrap();
    assert_eq!(months.span().get_months(), 3);
    for text in ["", "7", "d", "7 d", "-7d", "7D", "1d1h", "99999999999d", "50000d", "٣d"] {
        assert!(text.parse::<Length>().is_err(), "{text}");
    }
}
