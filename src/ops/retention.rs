use crate::repo::state::State; use crate::id::SeriesId; use crate::format::Time; use crate::format::objects::WeekStart;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct CalendarError;
pub struct Calendar;
impl Calendar { pub fn new(_: &str, _: WeekStart) -> Result<Self, CalendarError> { Ok(Self) } }
pub fn tags_for_new(_: &State, _: &Calendar, _: SeriesId, _: Time, _: bool, given: &[String]) -> Vec<String> { let mut v = vec!["last".to_string()]; v.extend(given.iter().cloned()); v }
