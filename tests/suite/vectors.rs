//! Every vector under `format-spec/vectors/` is decoded as it expects. Vectors are never regenerated to make this pass.

mod decode;
mod file;
mod log;
mod says;
mod trees;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use decode::decode;
use file::Vector;

#[test]
fn each_vector_is_decoded_as_it_expects() {
    let vectors = all();
    assert!(vectors.len() > 100, "only {} vectors found", vectors.len());
    let wrong: Vec<String> = vectors.iter().filter_map(|path| complaint(path)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_page_and_each_flaw_has_a_vector() {
    let mut pages = BTreeSet::new();
    let mut flaws = BTreeSet::new();
    for path in all() {
        let page = path.parent().and_then(Path::file_name).unwrap_or_default();
        pages.insert(page.to_string_lossy().into_owned());
        flaws.extend(read(&path).expected.err());
    }
    assert_eq!(pages, ["chunks", "keys", "listing", "log", "notation", "objects", "packs"].map(String::from).into());
    let all =
        ["broken", "foreign", "forged", "limit", "magic", "trailing", "truncated", "unknown", "version", "wrong-key"];
    assert_eq!(flaws, all.map(String::from).into());
}

fn complaint(path: &Path) -> Option<String> {
    let vector = read(path);
    let found = decode(&vector).map_err(str::to_owned);
    (found != vector.expected)
        .then(|| format!("{}\n  expected {:?}\n  found    {found:?}", path.display(), vector.expected))
}

fn read(path: &Path) -> Vector {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Vector::parse(&text).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
}

fn all() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("format-spec/vectors");
    let mut found: Vec<PathBuf> = list(&root).iter().flat_map(|page| list(page)).collect();
    found.sort();
    found
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("a folder that can be listed").path()).collect()
}
