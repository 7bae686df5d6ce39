use std::path::PathBuf;

use larder::format::Kind;
use larder::id::{ChunkId, PackId, SnapshotId};

use super::*;

fn storage_error(kind: ErrorKind, call: &'static str) -> storage::Error {
    storage::Error { kind, call, object: "packs/00".into(), reason: "so it is".into() }
}

#[test]
fn each_kind_of_error_has_its_exit_code_and_what_can_be_done_has_a_hint() {
    use repo::error::Error;
    let pack = PackId::new([0; 32]);
    let chunk = Error::MissingChunk { kind: Kind::Data, id: ChunkId::new([0; 32]) };
    let memory = PathBuf::from("/cache/seen");
    for (error, code) in [
        (Error::NotARepository, 10),
        (Error::WrongKey, 12),
        (Error::Newer { object: "config".into(), version: 2 }, 12),
        (Error::NoSlot { reason: "there is none".into() }, 12),
        (Error::Busy { attempts: 64 }, 11),
        (storage_error(ErrorKind::NoSpace, "write").into(), 11),
        (storage_error(ErrorKind::Denied, "write").into(), 11),
        (storage_error(ErrorKind::NotFound, "open").into(), 10),
        (storage_error(ErrorKind::NotFound, "read").into(), 4),
        (storage_error(ErrorKind::TooShort, "read").into(), 4),
        (Error::Damaged { object: "config".into(), reason: "ends too early".into() }, 4),
        (chunk, 4),
        (Error::PackLost { pack, problem: "missing".into() }, 4),
        (Error::LogDamaged { seq: 3, reason: "missing".into() }, 4),
        (Error::RolledBack { expected: 3, found: "nothing".into(), memory }, 4),
        (Error::PackSwept { pack }, 1),
        (Error::SelfCheck { what: "block" }, 1),
        (Error::NoSnapshot(SnapshotId::new([0; 32])), 1),
    ] {
        let text = error.to_string();
        let failure = Failure::from(error);
        assert_eq!(failure.exit().code(), code, "{text}");
        assert!(failure.text().contains("\n  hint: "), "{text}");
    }
}

#[test]
fn an_ambiguous_prefix_names_what_it_fits() {
    let matches = vec![SnapshotId::new([0xab; 32]), SnapshotId::new([0xac; 32])];
    let failure = Failure::from(select::Error::Ambiguous { text: "abcd".into(), matches });
    let text = failure.text();
    assert_eq!(failure.exit(), Exit::Failed);
    assert!(
        text.contains(&"ab".repeat(32)) && text.contains(&"ac".repeat(32)) && text.contains("more digits"),
        "{text}"
    );
}

#[test]
fn a_message_is_one_line_with_details_and_a_hint_below() {
    let failure = Failure::usage("no").detail("first\nsecond").hint("do this");
    assert_eq!(failure.text(), "error: no\n  first\n  second\n  hint: do this\n");
}

#[test]
fn what_a_failed_command_said_is_shown() {
    let failure = Failure::from(backup::Error::Failed("sh failed: exit status: 3\noops".into()));
    assert_eq!(failure.text(), "error: sh failed: exit status: 3\n  oops\n  hint: no snapshot was made\n");
}
