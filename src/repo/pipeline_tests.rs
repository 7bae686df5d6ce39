use super::*;

/// What comes after it was taken is dropped, so that nothing may end well.
#[test]
fn a_failure_stays_known_when_it_was_taken_and_the_first_one_is_told() {
    let failure = Failure::default();
    assert!(!failure.is_met() && failure.check().is_ok());
    failure.note(Error::NotARepository);
    failure.note(Error::Worker);
    assert!(failure.is_met() && matches!(failure.check(), Err(Error::NotARepository)));
    assert!(failure.is_met() && matches!(failure.check(), Err(Error::Worker)));
    failure.note(Error::NotARepository);
    assert!(failure.is_met() && matches!(failure.take(), Error::Worker));
}
