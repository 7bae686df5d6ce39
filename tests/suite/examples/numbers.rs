//! What the examples say by themselves: when, and how many stay, as the systems had it that they replace.

use std::fs;

use jiff::civil::date;
use larder::config::variables::Variables;
use larder::config::{self, Config};
use larder::ops::retention::Policy;

use super::file;

fn read(name: &str) -> Config {
    let text = fs::read_to_string(file(name)).unwrap();
    config::read(&text, &Variables::default()).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}"))
}

#[test]
fn all_can_be_read_as_they_are() {
    let folder = file("").parent().unwrap().to_owned();
    // Beside them lies what is for other programs.
    let entries =
        fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.path().join("larder.toml").exists());
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["alan", "arasul", "gofr-plot", "hoppybrew", "schedgen"]);
    names.iter().for_each(|name| drop(read(name)));
}

#[test]
fn the_numbers_are_those_of_the_systems_that_they_replace() {
    let days = |days: i64| Some(jiff::Span::new().days(days));
    let expected = [
        ("alan", "03:00 in UTC", Policy { daily: 7, weekly: 4, ..Policy::NOTHING }),
        ("arasul", "02:00 in Europe/Berlin", Policy { daily: 30, weekly: 12, ..Policy::NOTHING }),
        (
            "gofr-plot",
            "02:00 in UTC",
            Policy { within: days(30), weekly: 8, monthly: 12, max_count: Some(90), ..Policy::NOTHING },
        ),
        ("hoppybrew", "02:00 in UTC", Policy { within: days(30), ..Policy::NOTHING }),
        ("schedgen", "02:00 in UTC", Policy { daily: 7, ..Policy::NOTHING }),
    ];
    for (name, when, policy) in expected {
        let config = read(name);
        let timetable = config.timetable.unwrap();
        let (hour, zone) = when.split_once(":00 in ").unwrap();
        // The same on a day in summer.
        for day in [date(2026, 1, 20), date(2026, 7, 20)] {
            let noon = day.at(12, 0, 0, 0).in_tz(zone).unwrap().timestamp();
            let next =
                timetable.cron.next(noon, &timetable.zone).unwrap().to_zoned(jiff::tz::TimeZone::get(zone).unwrap());
            let expected = day.tomorrow().unwrap().at(hour.parse().unwrap(), 0, 0, 0);
            assert_eq!(next.datetime(), expected, "{name}");
        }
        assert!(timetable.jitter.is_zero() && timetable.enabled, "{name}");
        assert_eq!(format!("{:?}", config.retention.unwrap()), format!("{policy:?}"), "{name}");
    }
}
