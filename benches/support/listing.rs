//! Entries and listings that nobody walked.

use larder::format::content::Content;
use larder::format::listing::{Entry, Node};
use larder::format::record::{Counts, ListingRoot, Record};
use larder::repo::Repository;
use larder::repo::catalog::Catalog;
use larder::repo::pages::ListingWriter;
use larder::repo::write::{Mode, Writer, Written};

use crate::support::NOW;

/// A file last touched long ago.
pub fn file(path: String, bytes: u64, content: Content) -> Entry {
    let long_ago = larder::format::Time { seconds: NOW.seconds - 1_000_000, nanos: 1 };
    Entry {
        mtime: long_ago,
        ctime: long_ago,
        inode: 7,
        device: 1,
        ..Entry::new(path.into_bytes(), Node::File { bytes, content, extents: None }, 0o644)
    }
}

/// Stores a listing of these entries, which are in order, and its record.
pub fn store(repo: &Repository, entries: impl Iterator<Item = Entry>) -> (Record, Written) {
    let catalog = Catalog::survey(repo).expect("surveys");
    let mut writer = Writer::new(repo, &catalog, 2, Mode::Store).expect("writer");
    let mut listing = ListingWriter::new();
    for entry in entries {
        listing.push(repo, &mut writer, &entry).expect("entry");
    }
    let record = record(listing.finish(&mut writer).expect("listing"));
    let written = writer.drain().expect("drains").finish(Some(&record.encode())).expect("finishes");
    (record, written)
}

fn record(root: ListingRoot) -> Record {
    Record {
        source: "bench".into(),
        host: "bench".into(),
        user: String::new(),
        paths: Vec::new(),
        description: String::new(),
        started: NOW,
        ended: NOW,
        complete: true,
        parent: None,
        root,
        counts: Counts::default(),
        unique: [1; 16],
        program: String::new(),
        extension: Vec::new(),
    }
}
