use super::*;
use crate::format::content::Content;

const SINCE: Time = Time { seconds: 1000, nanos: 0 };

fn file() -> Entry {
    Entry {
        mtime: Time { seconds: 500, nanos: 7 },
        ctime: Time { seconds: 600, nanos: 8 },
        inode: 42,
        device: 1,
        ..Entry::new(b"a".to_vec(), Node::File { bytes: 5, content: Content::EMPTY, extents: None }, 0o644)
    }
}

fn reused(old: impl Fn(&mut Entry), new: impl Fn(&mut Entry)) -> bool {
    let (mut before, mut now) = (file(), file());
    old(&mut before);
    new(&mut now);
    is_unchanged(&before, &now, SINCE)
}

#[test]
fn a_file_that_nobody_touched_is_reused() {
    assert!(reused(|_| {}, |_| {}));
    assert!(reused(|_| {}, |now| now.device = 9), "devices are renumbered at a restart");
}

#[test]
fn any_difference_means_reading_again() {
    let length = |entry: &mut Entry| {
        if let Node::File { bytes, .. } = &mut entry.node {
            *bytes += 1;
        }
    };
    assert!(!reused(|_| {}, length), "length");
    assert!(!reused(|_| {}, |now| now.mtime.nanos += 1), "mtime");
    assert!(!reused(|_| {}, |now| now.ctime.nanos += 1), "ctime");
    assert!(!reused(|_| {}, |now| now.inode += 1), "inode");
    assert!(!reused(|_| {}, |now| now.mode = 0o600), "mode");
    assert!(!reused(|_| {}, |now| now.owner.uid = 5), "owner");
    assert!(!reused(|_| {}, |now| now.node = Node::Directory), "kind");
    assert!(!reused(|_| {}, |now| now.stamp = b"other".to_vec()), "stamp");
}

#[test]
fn what_changed_while_the_parent_read_it_is_read_again() {
    assert!(!reused(|before| before.unstable = true, |_| {}));
}

/// borg #3536: a file changed in the same tick as the backup's look at it, and was never read again.
#[test]
fn what_was_touched_when_the_parent_began_or_later_is_read_again() {
    let touch_mtime = |entry: &mut Entry| entry.mtime = SINCE;
    let touch_ctime = |entry: &mut Entry| entry.ctime = Time { seconds: i64::MAX, nanos: 0 };
    assert!(!reused(touch_mtime, touch_mtime));
    assert!(!reused(touch_ctime, touch_ctime), "times in the future too");
}
