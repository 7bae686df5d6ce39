//! Rules that span several pages: a listing or a content list is read from its root page on.

use std::collections::HashMap;

use larder::format::content::{self, ChunkRef, Content, ContentRoot};
use larder::format::pages;
use larder::format::record::ListingRoot;
use larder::id::ChunkId;
use larder::repo::error::Error;
use larder::repo::listing::{Chunks, Entries, PageReader};

use super::decode::{Flaw, flaw, keys};
use super::file::Vector;
use super::says::{self, Lines, hexed};

/// The pages of a vector, in the place of a repository.
struct Shelf(HashMap<ChunkId, Vec<u8>>);

impl PageReader for Shelf {
    fn read_page(&self, page: &ChunkRef) -> Result<Vec<u8>, Error> {
        let bytes = self.0[&page.id].clone();
        let same = bytes.len() as u32 == page.bytes;
        if same { Ok(bytes) } else { Err(Error::Damaged { object: "page".into(), reason: "length".into() }) }
    }
}

/// The paths of a listing.
pub fn listing(vector: &Vector) -> Result<Lines, Flaw> {
    let shelf = shelf(vector, |bytes| pages::Page::decode(bytes).map(drop).map_err(flaw))?;
    let root = ListingRoot { page: root_page(vector), level: vector.number("level") as u8, entries: 0 };
    Entries::new(&shelf, &root).map(|entry| Ok(format!("path {}", hexed(entry.map_err(broken)?.path)))).collect()
}

/// The chunks of a content list.
pub fn content(vector: &Vector) -> Result<Lines, Flaw> {
    let shelf = shelf(vector, |bytes| content::Page::decode(bytes).map(drop).map_err(flaw))?;
    let root = ContentRoot {
        page: root_page(vector),
        level: vector.number("level") as u8,
        bytes: vector.number("bytes"),
        chunks: vector.number("chunks"),
    };
    Chunks::new(&shelf, &Content::Paged(root)).map(|chunk| Ok(says::chunk(&chunk.map_err(broken)?))).collect()
}

fn shelf(vector: &Vector, decode: impl Fn(&[u8]) -> Result<(), Flaw>) -> Result<Shelf, Flaw> {
    let keys = keys(vector);
    let mut pages = HashMap::new();
    for line in vector.text("pages").lines() {
        let bytes = hex::decode(line).expect("pages in hexadecimal");
        decode(&bytes)?;
        pages.insert(keys.tree_id(&bytes), bytes);
    }
    Ok(Shelf(pages))
}

fn root_page(vector: &Vector) -> ChunkRef {
    ChunkRef { id: ChunkId::new(vector.array("page")), bytes: vector.number("length") as u32 }
}

/// Pages decode, so whatever else is wrong is a rule that is broken.
fn broken(error: Error) -> Flaw {
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    "broken"
}
