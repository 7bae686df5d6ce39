use super::*;

#[test]
fn what_is_next_is_said_only_when_it_is_known() {
    let beat = |doing, next: &str| Beat { pid: 7, doing, at: String::new(), seconds: 0, next: next.to_owned() };
    assert_eq!(beat(Doing::Running, "").said(), "alive: process 7, running");
    assert_eq!(beat(Doing::Waiting, "a at 2").said(), "alive: process 7, waiting; next: a at 2");
}
