//! From a vector to what the program makes of it.

use std::sync::Arc;

use larder::chunking::{Chunker, Sizes};
use larder::crypto::keys::{Keys, RootKey};
use larder::crypto::seal::{Fingerprint, Opener, Place, Run, open_directory, open_object};
use larder::crypto::secret::Secret;
use larder::crypto::slot::{SlotKey, Stretch};
use larder::crypto::{self, hash, sign};
use larder::format::listing::{check_path, compare_paths};
use larder::format::log::Body;
use larder::format::objects::{self, Config};
use larder::format::packs::{BlockEntry, BlockKind, Codec, Directory, PREAMBLE_BYTES, Preamble, TAG_BYTES};
use larder::format::record::Record;
use larder::format::slots::Slot;
use larder::format::wire::Reader;
use larder::format::{Kind, Reject, content, pages};
use larder::id::{ChunkId, PackId, RepositoryId, SlotId};
use larder::repo::seal::{Unpacker, place};
use larder::repo::slots::parse_recovery;

use super::file::Vector;
use super::log;
use super::says::{self, Lines, hexed};
use super::trees;

/// A word of "Flaws" in `format-spec/README.md`.
pub type Flaw = &'static str;

/// What the program makes of a vector.
pub fn decode(vector: &Vector) -> Result<Lines, Flaw> {
    let bytes = || vector.bytes("bytes");
    match vector.text("kind") {
        "varint" => number(&bytes()),
        "signed" => signed(&bytes()),
        "time" => time(&bytes()),
        "config" => config(vector, &bytes()),
        "name" => name(&bytes()),
        "hierarchy" => Ok(hierarchy(vector.array("bytes"))),
        "recovery" => recovery(&bytes()),
        "slot" => slot(vector, &bytes()),
        "block" => block(vector, bytes()),
        "small" => small(vector, bytes()),
        "gear" => Ok(gear(vector.array("bytes"))),
        "cuts" => cuts(vector, &bytes()),
        "chunk" => chunk(vector, &bytes()),
        "preamble" => Ok(says::preamble(&Preamble::decode(&bytes()).map_err(flaw)?)),
        "directory" => directory(vector, &bytes()),
        "pack" => pack(vector, &bytes()),
        "frame" => frame(vector, bytes()),
        "path" => check_path(&bytes()).map(|()| vec![format!("path {}", hexed(bytes()))]).map_err(flaw),
        "order" => Ok(order(vector)),
        "listing" => listing_page(&bytes()),
        "listing-tree" => trees::listing(vector),
        "content" => content_page(&bytes()),
        "content-tree" => trees::content(vector),
        "page-end" => Ok(page_end(vector, &bytes())),
        "head" => log::head(&bytes()),
        "body" => Ok(says::body(&Body::decode(&bytes()).map_err(flaw)?)),
        "record" => Ok(says::record(&Record::decode(&bytes()).map_err(flaw)?)),
        "envelope" => log::envelope(vector, &bytes()),
        "entry" => log::entry(vector, &bytes()),
        "snapshot" => log::snapshot(vector, &bytes()),
        "tag" => log::tag(&bytes()),
        "log" => Ok(log::whole(vector)),
        "fold" => log::fold(vector),
        other => panic!("unknown kind {other}"),
    }
}

/// The word for what a decoder found.
pub fn flaw(reject: Reject) -> Flaw {
    match reject {
        Reject::Truncated => "truncated",
        Reject::TrailingBytes(_) => "trailing",
        Reject::Magic(_) => "magic",
        Reject::Version(_) => "version",
        Reject::TooLarge { .. } => "limit",
        Reject::Unknown { .. } => "unknown",
        Reject::Broken(_) => "broken",
        Reject::Foreign => "foreign",
    }
}

pub fn crypto_flaw(error: crypto::Error) -> Flaw {
    match error {
        crypto::Error::Forged | crypto::Error::DegenerateKey => "forged",
        crypto::Error::WrongKey => "wrong-key",
        other => panic!("{other}"),
    }
}

/// The keys of a vector's root key.
pub fn keys(vector: &Vector) -> Keys {
    Keys::new(&RootKey::new(Secret::new(vector.array("root"))))
}

pub fn repository(vector: &Vector) -> RepositoryId {
    RepositoryId::new(vector.array("repository"))
}

fn number(bytes: &[u8]) -> Result<Lines, Flaw> {
    let mut r = Reader::new(bytes);
    let value = r.varint().map_err(flaw)?;
    r.end().map_err(flaw)?;
    Ok(vec![format!("value {value}")])
}

fn signed(bytes: &[u8]) -> Result<Lines, Flaw> {
    let mut r = Reader::new(bytes);
    let value = r.signed().map_err(flaw)?;
    r.end().map_err(flaw)?;
    Ok(vec![format!("value {value}")])
}

fn time(bytes: &[u8]) -> Result<Lines, Flaw> {
    let mut r = Reader::new(bytes);
    let time = r.time().map_err(flaw)?;
    r.end().map_err(flaw)?;
    Ok(vec![format!("seconds {}", time.seconds), format!("nanos {}", time.nanos)])
}

fn config(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    let (config, signature) = Config::decode(bytes).map_err(flaw)?;
    let keys = keys(vector);
    let owner = keys.signer().public();
    if config.owner_public != owner || config.read_public != keys.read_public() {
        return Err("foreign");
    }
    let signed = &bytes[..bytes.len() - signature.len()];
    sign::verify(&owner, objects::SIGNATURE_DOMAIN, &[signed], &signature).map_err(crypto_flaw)?;
    Ok(says::config(&config))
}

fn name(bytes: &[u8]) -> Result<Lines, Flaw> {
    let name = str::from_utf8(bytes).map_err(|_| "unknown")?;
    let line = if objects::CONFIGS.contains(&name) {
        "config".to_owned()
    } else if let Some(slot) = objects::slot_of_name(name) {
        format!("slot {slot}")
    } else if let Some(seq) = objects::seq_of_name(name) {
        format!("log {seq}")
    } else {
        format!("pack {}", objects::pack_of_name(name).ok_or("unknown")?)
    };
    Ok(vec![line])
}

fn hierarchy(root: [u8; 32]) -> Lines {
    let keys = Keys::new(&RootKey::new(Secret::new(root)));
    let derived = |purpose: &str| hexed(hash::derive::<32>(purpose, &[&root]));
    let mut lines: Lines = ["data id", "tree id", "snapshot id", "series id", "gear", "page"]
        .map(|name| format!("{} {}", name.replace(' ', "-"), derived(&format!("larder v1 {name}"))))
        .into();
    lines.push(format!("structure {}", hexed(keys.structure().expose())));
    lines.push(format!("pre-shared {}", hexed(keys.shared().expose())));
    lines.push(format!("read-public {}", hexed(keys.read_public())));
    lines.push(format!("owner-public {}", hexed(keys.signer().public())));
    lines.push(format!("writer {}", keys.writer()));
    lines.push(format!("data-chunk {}", keys.data_id(b"larder")));
    lines.push(format!("tree-chunk {}", keys.tree_id(b"larder")));
    lines.push(format!("snapshot {}", keys.snapshot_id(b"larder")));
    lines.push(format!("series {}", keys.series_id("larder", "host")));
    lines
}

fn recovery(bytes: &[u8]) -> Result<Lines, Flaw> {
    let text = str::from_utf8(bytes).map_err(|_| "broken")?;
    Ok(vec![format!("root {}", hexed(parse_recovery(text).ok_or("broken")?.expose()))])
}

fn slot(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    let slot = Slot::decode(bytes).map_err(flaw)?;
    if slot.repository != repository(vector) || slot.slot != SlotId::new(vector.array("slot")) {
        return Err("foreign");
    }
    if vector.has("password") == (slot.stretch == Stretch::None) {
        return Err("wrong-key");
    }
    let credential = vector.bytes(if vector.has("password") { "password" } else { "keyfile" });
    let key = SlotKey::new(&credential, slot.stretch, &slot.salt).map_err(crypto_flaw)?;
    let mut root = slot.sealed.to_vec();
    let unlocked = key.unlock(&slot.commitment).map_err(crypto_flaw)?;
    open_object(unlocked, &slot.nonce, &slot.head(), &mut root).map_err(crypto_flaw)?;
    let mut lines = says::slot(&slot);
    lines.push(format!("root {}", hexed(root)));
    Ok(lines)
}

fn block(vector: &Vector, mut bytes: Vec<u8>) -> Result<Lines, Flaw> {
    let opener = Opener::new(Arc::new(keys(vector)), repository(vector));
    let commitment = vector.array("commitment");
    let key = opener.pack_key(vector.array("run_public"), vector.array("salt"), &commitment).map_err(crypto_flaw)?;
    let place = Place {
        pack_kind: vector.number("pack_kind") as u8,
        block_kind: vector.number("block_kind") as u8,
        codec: vector.number("codec") as u8,
        raw_bytes: vector.number("raw_bytes") as u32,
    };
    key.open(vector.number("ordinal") as u32, &vector.array("nonce"), place, &mut bytes).map_err(crypto_flaw)?;
    Ok(vec![format!("plaintext {}", hexed(bytes))])
}

fn small(vector: &Vector, mut bytes: Vec<u8>) -> Result<Lines, Flaw> {
    let key = Secret::new(vector.array("key"));
    open_object(&key, &vector.array("nonce"), &vector.bytes("associated"), &mut bytes).map_err(crypto_flaw)?;
    Ok(vec![format!("plaintext {}", hexed(bytes))])
}

fn gear(root: [u8; 32]) -> Lines {
    let table = Keys::new(&RootKey::new(Secret::new(root))).gear();
    let bytes: Vec<u8> = table.iter().flat_map(|word| word.to_le_bytes()).collect();
    vec![
        format!("first {:016x}", table[0]),
        format!("last {:016x}", table[255]),
        format!("hash {}", hexed(hash::plain(&bytes))),
    ]
}

fn cuts(vector: &Vector, mut bytes: &[u8]) -> Result<Lines, Flaw> {
    let size = |name| vector.number(name) as u32;
    let sizes = Sizes { min: size("min"), average: size("avg"), max: size("max") };
    if !sizes.allowed() {
        return Err("broken");
    }
    let chunker = Chunker::new(sizes, keys(vector).gear());
    let mut lines = Vec::new();
    while !bytes.is_empty() {
        let len = chunker.cut(bytes);
        lines.push(format!("cut {len}"));
        bytes = &bytes[len..];
    }
    Ok(lines)
}

fn chunk(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    let keys = keys(vector);
    let id = match vector.text("chunk") {
        "data" => keys.data_id(bytes),
        _ => keys.tree_id(bytes),
    };
    let same = id == ChunkId::new(vector.array("id"));
    if same { Ok(vec![format!("bytes {}", bytes.len())]) } else { Err("broken") }
}

fn directory(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    let pack = if vector.text("pack") == "tree" { Kind::Tree } else { Kind::Data };
    let directory = Directory::decode(pack, bytes).map_err(flaw)?;
    let mut lines = Vec::new();
    for block in &directory.blocks {
        lines.push(says::block(block));
        lines.extend(says::chunks(&directory, block));
    }
    Ok(lines)
}

fn pack(vector: &Vector, bytes: &[u8]) -> Result<Lines, Flaw> {
    let keys = Arc::new(keys(vector));
    let preamble = Preamble::decode(bytes).map_err(flaw)?;
    if preamble.repository != repository(vector) {
        return Err("foreign");
    }
    // What follows the body is not looked at.
    let bytes = bytes.get(..preamble.body_bytes as usize).ok_or("truncated")?;
    let (plain, rest) = bytes.split_at(PREAMBLE_BYTES);
    let (sealed, blocks) = rest.split_at(preamble.directory_bytes as usize);
    let opened = open_directory(&keys, &preamble.salt, plain, sealed).map_err(crypto_flaw)?;
    let directory = Directory::decode(preamble.kind, &opened).map_err(flaw)?;
    if directory.blocks_bytes() != blocks.len() as u64 {
        return Err("broken");
    }
    let opener = Opener::new(keys.clone(), preamble.repository);
    let key = opener.pack_key(preamble.run_public, preamble.salt, &preamble.commitment).map_err(crypto_flaw)?;
    let mut unpacker = Unpacker::new().expect("an unpacker");
    let mut lines = vec![format!("id {}", PackId::new(hash::plain(bytes))), format!("kind {}", preamble.kind)];
    for (ordinal, entry) in (0..).zip(&directory.blocks) {
        let sealed = blocks[entry.offset as usize..][..entry.sealed_bytes as usize].to_vec();
        let place = place(preamble.kind, entry.kind, entry.codec, entry.raw_bytes);
        key.open(ordinal, &entry.nonce, place, &mut sealed.clone()).map_err(crypto_flaw)?;
        let raw = unpacker.open(&key, preamble.kind, ordinal, entry, sealed).map_err(flaw)?;
        lines.push(says::block(entry));
        lines.push(format!("hash {}", hexed(hash::plain(&raw))));
        verify(&keys, preamble.kind, &directory, entry, &raw)?;
        lines.extend(says::chunks(&directory, entry));
    }
    Ok(lines)
}

fn verify(keys: &Keys, kind: Kind, directory: &Directory, entry: &BlockEntry, raw: &[u8]) -> Result<(), Flaw> {
    let named = directory.chunks_of(entry).iter().all(|chunk| {
        let bytes = &raw[chunk.offset as usize..][..chunk.bytes as usize];
        let id = match kind {
            Kind::Data => keys.data_id(bytes),
            Kind::Tree => keys.tree_id(bytes),
        };
        id == chunk.id
    });
    if named { Ok(()) } else { Err("broken") }
}

/// Unpacking has no door of its own, so the frame is sealed and opened again.
fn frame(vector: &Vector, mut bytes: Vec<u8>) -> Result<Lines, Flaw> {
    let keys = Arc::new(Keys::new(&RootKey::new(Secret::new([1; 32]))));
    let repository = RepositoryId::new([2; 16]);
    let run = Run::from_secret(&keys, repository, &Secret::new([3; 32])).expect("a run");
    let mut sealer = run.sealer().expect("a sealer");
    let (salt, commitment) = (sealer.salt(), sealer.commitment());
    let raw_bytes = vector.number("length") as u32;
    let place = place(Kind::Data, BlockKind::Chunks, Codec::Zstd, raw_bytes);
    let content = Fingerprint::of_bytes(&bytes);
    let sealed = sealer.reserve().expect("a place").seal(place, &content, &mut bytes).expect("a seal");
    let key = Opener::new(keys, repository).pack_key(run.public(), salt, &commitment).expect("a key");
    let mut directory = Directory::default();
    directory.push(BlockKind::Chunks, Codec::Zstd, raw_bytes, bytes.len() as u32, sealed.nonce(), &[]);
    assert!(bytes.len() >= TAG_BYTES);
    let mut unpacker = Unpacker::new().expect("an unpacker");
    let raw = unpacker.open(&key, Kind::Data, 0, &directory.blocks[0], bytes).map_err(flaw)?;
    Ok(vec![format!("hash {}", hexed(hash::plain(&raw)))])
}

fn order(vector: &Vector) -> Lines {
    let paths = vector.text("paths").lines().map(|line| hex::decode(line).expect("paths in hexadecimal"));
    let mut paths: Vec<Vec<u8>> = paths.collect();
    paths.sort_by(|a, b| compare_paths(a, b));
    paths.iter().map(|path| format!("path {}", hexed(path))).collect()
}

fn listing_page(bytes: &[u8]) -> Result<Lines, Flaw> {
    Ok(match pages::Page::decode(bytes).map_err(flaw)? {
        pages::Page::Leaf(entries) => entries.iter().flat_map(says::entry).collect(),
        pages::Page::Index { level, items } => {
            std::iter::once(format!("level {level}")).chain(items.iter().map(says::item)).collect()
        }
    })
}

fn content_page(bytes: &[u8]) -> Result<Lines, Flaw> {
    Ok(match content::Page::decode(bytes).map_err(flaw)? {
        content::Page::Leaf(chunks) => chunks.iter().map(says::chunk).collect(),
        content::Page::Index { items, .. } => items.iter().map(says::root).collect(),
    })
}

fn page_end(vector: &Vector, path: &[u8]) -> Lines {
    let ends = keys(vector).ends_page(path, 32);
    vec![format!("ends {}", if ends { "yes" } else { "no" })]
}
