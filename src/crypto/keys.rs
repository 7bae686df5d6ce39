//! The root key and everything that follows from it. See `format-spec/keys.md`.

use x25519_dalek::{PublicKey, StaticSecret};

use crate::crypto::Error;
use crate::crypto::hash;
use crate::crypto::secret::Secret;
use crate::crypto::sign::Signer;
use crate::id::{ChunkId, SeriesId, SnapshotId, WriterId};

/// The 32 random bytes from which all other keys follow.
#[derive(Debug)]
pub struct RootKey(Secret);

impl RootKey {
    /// A new repository's root key.
    pub fn random() -> Result<Self, Error> {
        Ok(Self(Secret::random()?))
    }

    /// From a key slot or the recovery key.
    pub fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The bytes, for a key slot or the recovery key.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// A key for one purpose. The purposes are listed in `format-spec/keys.md`.
    fn derive(&self, purpose: &str) -> Secret {
        Secret::new(hash::derive(purpose, &[self.0.expose()]))
    }
}

/// All keys of an owner.
pub struct Keys {
    data_id: Secret,
    tree_id: Secret,
    snapshot_id: Secret,
    series_id: Secret,
    gear: Secret,
    page: Secret,
    structure: Secret,
    shared: Secret,
    read: StaticSecret,
    read_public: PublicKey,
    signer: Signer,
}

impl Keys {
    /// Derives all of them.
    pub fn new(root: &RootKey) -> Self {
        let read = StaticSecret::from(*root.derive("larder v1 read key").expose());
        Self {
            data_id: root.derive("larder v1 data id"),
            tree_id: root.derive("larder v1 tree id"),
            snapshot_id: root.derive("larder v1 snapshot id"),
            series_id: root.derive("larder v1 series id"),
            gear: root.derive("larder v1 gear"),
            page: root.derive("larder v1 page"),
            structure: root.derive("larder v1 structure"),
            shared: root.derive("larder v1 pre-shared"),
            read_public: PublicKey::from(&read),
            read,
            signer: Signer::new(&root.derive("larder v1 owner key")),
        }
    }

    /// The name of a chunk of file content.
    pub fn data_id(&self, bytes: &[u8]) -> ChunkId {
        ChunkId::new(hash::keyed(&self.data_id, bytes))
    }

    /// The name of a page.
    pub fn tree_id(&self, bytes: &[u8]) -> ChunkId {
        ChunkId::new(hash::keyed(&self.tree_id, bytes))
    }

    /// The name of a snapshot, from its record.
    pub fn snapshot_id(&self, record: &[u8]) -> SnapshotId {
        SnapshotId::new(hash::keyed(&self.snapshot_id, record))
    }

    /// The name of a series. The source's length goes first, so that no two pairs run together.
    pub fn series_id(&self, source: &str, host: &str) -> SeriesId {
        let mut bytes = Vec::with_capacity(8 + source.len() + host.len());
        bytes.extend_from_slice(&(source.len() as u64).to_le_bytes());
        bytes.extend_from_slice(source.as_bytes());
        bytes.extend_from_slice(host.as_bytes());
        SeriesId::new(hash::keyed(&self.series_id, &bytes))
    }

    /// The Gear table of this repository's chunker.
    pub fn gear(&self) -> [u64; 256] {
        let bytes: [u8; 2048] = hash::derive("larder v1 gear table", &[self.gear.expose()]);
        let mut table = [0; 256];
        for (word, bytes) in table.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        table
    }

    /// Whether a listing page may end behind this path: about once in `one_in` (a power of two) paths.
    pub fn ends_page(&self, path: &[u8], one_in: u64) -> bool {
        let hash = hash::keyed(&self.page, path);
        let word = u64::from_le_bytes(*hash.first_chunk().unwrap_or(&[0; 8]));
        word & (one_in - 1) == 0
    }

    /// Seals pack directories and log entries: what a client needs that writes but cannot read.
    pub fn structure(&self) -> &Secret {
        &self.structure
    }

    /// Mixed into every seal, and not known to the storage.
    pub fn shared(&self) -> &Secret {
        &self.shared
    }

    /// Opens what is sealed to the read key.
    pub(in crate::crypto) fn read(&self) -> &StaticSecret {
        &self.read
    }

    /// What everything is sealed to.
    pub fn read_public(&self) -> [u8; 32] {
        *self.read_public.as_bytes()
    }

    /// Signs as the owner.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The owner's name as a writer: the first half of the hash of its public key.
    pub fn writer(&self) -> WriterId {
        writer_id(&self.signer.public())
    }
}

/// The name of the writer with this signing key.
pub fn writer_id(public: &[u8; 32]) -> WriterId {
    WriterId::new(hash::derive("larder v1 writer id", &[public]))
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}
