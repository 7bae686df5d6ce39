use super::{Filter, Step, Steps, implied_folder};
use crate::format::listing::Node;
use crate::repo::error::Error;

/// The steps through a listing: folders end with a slash, and `!` is a part that cannot be read.
fn steps(root: &str, include: &[&str], exclude: &[&str], listing: &str) -> String {
    let list = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
    let filter = Filter::new(root.as_bytes(), &list(include), &list(exclude)).unwrap();
    let entries = listing.split(' ').map(|word| {
        if word == "!" {
            return Err(Error::Worker);
        }
        let mut entry = implied_folder(word.trim_end_matches('/').as_bytes());
        if !word.ends_with('/') {
            entry.node = Node::Fifo;
        }
        Ok(entry)
    });
    let steps = Steps::over(Box::new(entries), &filter);
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let step = |step| match step {
        Step::Entry(chosen) if chosen.implied => format!("{}?", text(&chosen.entry.path)),
        Step::Entry(chosen) => format!("{}={}", text(&chosen.entry.path), chosen.ordinal),
        Step::Leave(chosen) => format!("-{}", text(&chosen.entry.path)),
        Step::Astray(path) => format!("astray:{}", text(&path)),
        Step::Damaged(_) => "!".into(),
    };
    steps.map(step).collect::<Vec<_>>().join(" ")
}

#[test]
fn folders_come_before_and_after_what_is_in_them() {
    assert_eq!(steps("", &[], &[], "/ a/ a/b/ a/b/c a/d e"), "=0 a=1 a/b=2 a/b/c=3 -a/b a/d=4 -a e=5 -");
    assert_eq!(steps("", &[], &[], "a/ a/b c"), "a=0 a/b=1 -a c=2");
    assert_eq!(steps("x/f", &[], &[], "x/f"), "x/f=0");
}

#[test]
fn folders_on_the_way_come_only_if_something_in_them_does() {
    assert_eq!(steps("", &["c"], &[], "a/ a/b/ a/b/c a/d e/ e/f"), "a=0 a/b=1 a/b/c=2 -a/b -a");
    assert_eq!(steps("", &["b"], &["c"], "a/ a/b/ a/b/c a/b/d a/e"), "a=0 a/b=1 a/b/d=3 -a/b -a");
}

#[test]
fn what_was_named_is_not_excluded_and_stands_for_everything_in_it() {
    assert_eq!(steps("x", &["x"], &["x"], "x/ x/a"), "x=0 x/a=1 -x");
    assert_eq!(steps("x/y", &["/x"], &[], "x/y/ x/y/a"), "x/y=0 x/y/a=1 -x/y");
}

#[test]
fn an_entry_in_what_is_no_folder_goes_astray() {
    assert_eq!(steps("", &[], &[], "a a/b a/b/c d"), "a=0 astray:a/b astray:a/b/c d=3");
    assert_eq!(steps("", &[], &["a"], "a a/b c"), "astray:a/b c=2");
    assert_eq!(steps("", &[], &[], "a ! a/b c"), "a=0 ! astray:a/b c=2");
}

#[test]
fn folders_that_the_listing_lacks_are_made_up() {
    assert_eq!(steps("", &[], &[], "a/ a/x/y b"), "a=0 a/x? a/x/y=1 -a/x -a b=2");
    assert_eq!(steps("", &["y"], &["b"], "a/b a/x/y"), "a? a/x? a/x/y=1 -a/x -a");
}

#[test]
fn folders_lost_with_a_page_are_made_up() {
    assert_eq!(
        steps("", &[], &[], "/ a/ ! a/x/y/z b/c d"),
        "=0 a=1 ! a/x? a/x/y? a/x/y/z=2 -a/x/y -a/x -a b? b/c=3 -b d=4 -"
    );
    assert_eq!(steps("r", &[], &[], "! r/s"), "! r? r/s=0 -r");
}
