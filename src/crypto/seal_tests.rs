use std::collections::HashSet;

use super::*;
use crate::crypto::keys::RootKey;

const PLACE: Place = Place { pack_kind: 1, block_kind: 0, codec: 1, raw_bytes: 100 };
const REPOSITORY: RepositoryId = RepositoryId::new([5; 16]);

fn keys(root: u8) -> Arc<Keys> {
    Arc::new(Keys::new(&RootKey::new(Secret::new([root; 32]))))
}

/// A pack of one block: what its preamble says, and the block.
struct Sealed1 {
    run_public: [u8; 32],
    salt: [u8; 24],
    commitment: [u8; 32],
    nonce: Nonce,
    block: Vec<u8>,
}

fn seal_one() -> Sealed1 {
    let run = Run::new(&keys(1), REPOSITORY).unwrap();
    let mut sealer = run.sealer().unwrap();
    let (salt, commitment) = (sealer.salt(), sealer.commitment());
    let mut block = b"some content".to_vec();
    let content = Fingerprint::of_bytes(&block);
    let nonce = sealer.reserve().unwrap().seal(PLACE, &content, &mut block).unwrap().nonce();
    Sealed1 { run_public: run.public(), salt, commitment, nonce, block }
}

fn open_one(sealed: &Sealed1, ordinal: u32, place: Place) -> Result<Vec<u8>, Error> {
    open_as(&keys(1), REPOSITORY, sealed, ordinal, place)
}

fn open_as(
    keys: &Arc<Keys>,
    repository: RepositoryId,
    sealed: &Sealed1,
    ordinal: u32,
    place: Place,
) -> Result<Vec<u8>, Error> {
    let opener = Opener::new(keys.clone(), repository);
    let key = opener.pack_key(sealed.run_public, sealed.salt, &sealed.commitment)?;
    let mut bytes = sealed.block.clone();
    key.open(ordinal, &sealed.nonce, place, &mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_block_opens_where_it_was_sealed() {
    let sealed = seal_one();
    assert_eq!(sealed.block.len(), b"some content".len() + TAG_BYTES);
    assert_eq!(open_one(&sealed, 0, PLACE), Ok(b"some content".to_vec()));
}

#[test]
fn a_block_opens_in_no_other_place() {
    let sealed = seal_one();
    assert_eq!(open_one(&sealed, 1, PLACE), Err(Error::Forged));
    for place in [
        Place { pack_kind: 2, ..PLACE },
        Place { block_kind: 1, ..PLACE },
        Place { codec: 0, ..PLACE },
        Place { raw_bytes: 101, ..PLACE },
    ] {
        assert_eq!(open_one(&sealed, 0, place), Err(Error::Forged), "{place:?}");
    }
}

#[test]
fn the_commitment_tells_another_key_from_damage() {
    let other_root = open_as(&keys(2), REPOSITORY, &seal_one(), 0, PLACE);
    assert_eq!(other_root, Err(Error::WrongKey));
    let other_repository = open_as(&keys(1), RepositoryId::new([6; 16]), &seal_one(), 0, PLACE);
    assert_eq!(other_repository, Err(Error::WrongKey));
    let mut sealed = seal_one();
    sealed.salt[0] ^= 1;
    assert_eq!(open_one(&sealed, 0, PLACE), Err(Error::WrongKey));
    let mut sealed = seal_one();
    sealed.commitment[31] ^= 1;
    assert_eq!(open_one(&sealed, 0, PLACE), Err(Error::WrongKey));
}

#[test]
fn every_bit_of_a_block_is_authenticated() {
    let mut sealed = seal_one();
    for at in 0..sealed.block.len() * 8 {
        sealed.block[at / 8] ^= 1 << (at % 8);
        assert_eq!(open_one(&sealed, 0, PLACE), Err(Error::Forged), "bit {at}");
        sealed.block[at / 8] ^= 1 << (at % 8);
    }
    for at in 0..sealed.nonce.len() * 8 {
        sealed.nonce[at / 8] ^= 1 << (at % 8);
        assert_eq!(open_one(&sealed, 0, PLACE), Err(Error::Forged), "bit {at} of the nonce");
        sealed.nonce[at / 8] ^= 1 << (at % 8);
    }
    sealed.block.truncate(TAG_BYTES - 1);
    assert_eq!(open_one(&sealed, 0, PLACE), Err(Error::Forged));
}

#[test]
fn a_run_public_key_that_gives_no_secret_is_refused() {
    let mut sealed = seal_one();
    sealed.run_public = [0; 32];
    assert_eq!(open_one(&sealed, 0, PLACE), Err(Error::DegenerateKey));
}

#[test]
fn packs_of_one_run_have_keys_of_their_own() {
    let run = Run::new(&keys(1), REPOSITORY).unwrap();
    let packs: Vec<Sealer> = (0..50).map(|_| run.sealer().unwrap()).collect();
    let salts: HashSet<[u8; 24]> = packs.iter().map(Sealer::salt).collect();
    let commitments: HashSet<[u8; 32]> = packs.iter().map(Sealer::commitment).collect();
    assert_eq!((salts.len(), commitments.len()), (50, 50));
}

#[test]
fn each_ordinal_is_handed_out_once() {
    let mut sealer = Run::new(&keys(1), REPOSITORY).unwrap().sealer().unwrap();
    let ordinals: Vec<u32> = (0..5).map(|_| sealer.reserve().unwrap().ordinal()).collect();
    assert_eq!(ordinals, [0, 1, 2, 3, 4]);
    sealer.next = u32::MAX;
    assert!(sealer.reserve().is_err(), "the counter must not begin again");
}

#[test]
fn what_sealing_returns_opens_the_same_block() {
    let mut sealer = Run::new(&keys(1), REPOSITORY).unwrap().sealer().unwrap();
    let mut bytes = b"some content".to_vec();
    let content = Fingerprint::of_bytes(&bytes);
    let sealed = sealer.reserve().unwrap().seal(PLACE, &content, &mut bytes).unwrap();
    sealed.open(&mut bytes).unwrap();
    assert_eq!(bytes, b"some content");
}

#[test]
fn a_directory_opens_with_its_own_preamble_and_salt_only() {
    let keys = keys(1);
    let (salt, other) = ([1; 24], [2; 24]);
    let sealed = seal_directory(&keys, &salt, b"its preamble", b"a directory").unwrap();
    assert_eq!(sealed.len(), b"a directory".len() + DIRECTORY_SEAL_BYTES);
    let open = |salt: &[u8; 24], preamble: &[u8]| open_directory(&keys, salt, preamble, &sealed);
    assert_eq!(open(&salt, b"its preamble"), Ok(b"a directory".to_vec()));
    assert_eq!(open(&other, b"its preamble"), Err(Error::Forged));
    assert_eq!(open(&salt, b"a preamble"), Err(Error::Forged));
    assert_eq!(open_directory(&keys, &salt, b"its preamble", &sealed[..23]), Err(Error::Forged));
}

/// A machine that was cloned in the middle of a pack goes on twice with the same key, the same ordinals and, if it is
/// unlucky, the same random numbers.
#[test]
fn clones_that_share_key_ordinal_and_randomness_share_no_nonce_unless_they_seal_the_same() {
    let sealer = Run::new(&keys(1), REPOSITORY).unwrap().sealer().unwrap();
    let ids = |n: u8| [(ChunkId::new([n; 32]), 7), (ChunkId::new([9; 32]), 8)];
    let nonce = |fresh: u8, ordinal: u32, place: Place, content: &Fingerprint, packed: &[u8]| {
        sealer.key.seal_with(&[fresh; 32], ordinal, place, content, &mut packed.to_vec()).unwrap()
    };
    let content = Fingerprint::of_chunks(&ids(1));
    let first = nonce(1, 0, PLACE, &content, b"some content");
    let others = [
        nonce(2, 0, PLACE, &content, b"some content"),
        nonce(1, 1, PLACE, &content, b"some content"),
        nonce(1, 0, Place { codec: 0, ..PLACE }, &content, b"some content"),
        nonce(1, 0, PLACE, &Fingerprint::of_chunks(&ids(2)), b"some content"),
        nonce(1, 0, PLACE, &Fingerprint::of_chunks(&ids(1)[..1]), b"some content"),
        nonce(1, 0, PLACE, &content, b"some content, longer"),
    ];
    assert_eq!(nonce(1, 0, PLACE, &content, b"some content"), first, "the same message may have the same nonce");
    assert_eq!(others.iter().chain([&first]).collect::<HashSet<_>>().len(), others.len() + 1);
}

#[test]
fn chunks_of_other_lengths_have_another_fingerprint() {
    let id = ChunkId::new([1; 32]);
    let all = [&[(id, 1), (id, 2)][..], &[(id, 2), (id, 1)], &[(id, 3)], &[]];
    let fingerprints = all.map(|chunks| Fingerprint::of_chunks(chunks).0);
    assert_eq!(fingerprints.iter().collect::<HashSet<_>>().len(), all.len());
}

#[test]
fn the_same_block_sealed_twice_has_another_nonce() {
    let mut sealer = Run::new(&keys(1), REPOSITORY).unwrap().sealer().unwrap();
    let nonces: HashSet<Nonce> = (0..50)
        .map(|_| {
            let place = sealer.reserve().unwrap();
            place.seal(PLACE, &Fingerprint::of_bytes(b"some content"), &mut b"some content".to_vec()).unwrap().nonce()
        })
        .collect();
    assert_eq!(nonces.len(), 50);
}

#[test]
fn a_small_object_opens_with_its_own_head_and_nonce_only() {
    let key = Secret::new([3; 32]);
    let mut sealed = b"an entry".to_vec();
    seal_object(&key, &[4; 24], b"its head", &mut sealed).unwrap();
    let open = |key: &Secret, nonce: &[u8; 24], head: &[u8]| {
        let mut bytes = sealed.clone();
        open_object(key, nonce, head, &mut bytes).map(|()| bytes)
    };
    assert_eq!(open(&key, &[4; 24], b"its head"), Ok(b"an entry".to_vec()));
    assert_eq!(open(&Secret::new([9; 32]), &[4; 24], b"its head"), Err(Error::Forged));
    assert_eq!(open(&key, &[5; 24], b"its head"), Err(Error::Forged));
    assert_eq!(open(&key, &[4; 24], b"a head"), Err(Error::Forged));
}

#[test]
fn no_secret_is_printed() {
    let run = Run::new(&keys(1), REPOSITORY).unwrap();
    let text = format!("{run:?} {:?} {:?} {:?}", run.sealer().unwrap(), keys(1), RootKey::new(Secret::new([1; 32])));
    for secret in [run.key.expose(), &[1; 32], keys(1).structure().expose(), keys(1).shared().expose()] {
        assert!(!text.contains(&format!("{secret:?}")) && !text.contains(&hex::encode(secret)), "{text}");
    }
}
