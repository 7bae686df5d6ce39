use std::cell::RefCell;
use std::rc::Rc;

use super::*;

/// The server lets the second go only when it is asked for it again.
#[test]
fn one_database_that_stays_keeps_no_other_and_each_that_is_left_is_named() {
    let asked = Rc::new(RefCell::new(Vec::new()));
    let (heard, in_use) = (Rc::clone(&asked), Rc::new(RefCell::new(true)));
    let still = Rc::clone(&in_use);
    let mut databases = Databases::new(move |name| {
        heard.borrow_mut().push(name.to_owned());
        if *still.borrow() && name != "d_1" { Err(format!("{name} is in use")) } else { Ok(()) }
    });
    (0..3).for_each(|at| databases.add(&format!("app{at}"), &format!("d_{at}")));
    let said = "the database d_2 is left over: d_2 is in use\nthe database d_0 is left over: d_0 is in use";
    assert_eq!(databases.end(), Err(said.to_owned()));
    assert_eq!(*asked.borrow(), ["d_2", "d_1", "d_0"]);
    *in_use.borrow_mut() = false;
    drop(databases);
    assert_eq!(*asked.borrow(), ["d_2", "d_1", "d_0", "d_2", "d_0"]);
}

#[test]
fn what_an_earlier_drill_left_goes_in_the_same_way() {
    let names = ["a".to_owned(), "b".to_owned()];
    let said = "the database b is left over: no\nthe database a is left over: no";
    assert_eq!(Databases::clear(&names, &|_| Err("no".to_owned())), Err(said.to_owned()));
    assert_eq!(Databases::clear(&names, &|_| Ok(())), Ok(()));
}
