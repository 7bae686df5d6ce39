use super::*;

/// In a run nobody sees but the report.
#[test]
fn warnings_stand_in_the_report_of_a_run() {
    let warnings = vec!["the database larder_drill_x is left over:\nbusy".to_owned()];
    let mut drilled = Drilled { verdict: Verdict::Proven, warnings, ..Drilled::new("db") };
    let said = "the database larder_drill_x is left over: busy";
    drilled.checks = 1;
    let upkeep = drilled.upkeep();
    assert!(upkeep.outcome.contains(", 1 check; warning: "), "{}", upkeep.outcome);
    assert!(upkeep.outcome.ends_with(said) && upkeep.error.is_none(), "{}", upkeep.outcome);
    drilled.errors.push("no".to_owned());
    assert!(drilled.upkeep().error.is_some_and(|error| error.contains("no; warning: ") && error.ends_with(said)));
}
