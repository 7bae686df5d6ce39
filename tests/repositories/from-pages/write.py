#!/usr/bin/env python3
"""Writes a repository by the pages of format-spec/ alone, for the program to read: the other direction of reader.py.

    write.py FOLDER      makes FOLDER/repository, FOLDER/password and FOLDER/tree.txt, always the same bytes

It holds what a quiet repository lacks: paged content, index pages, hard links, holes, attributes, entries whose folder
the listing lacks, chunks in several packs, a pack that no entry names; and, as no writer may, one entry below a symlink
and one below a file, which must not be restored. Keys, names and seals are those of reader.py, turned round.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../format-spec"))
import zstandard  # noqa: E402
from reader import (  # noqa: E402
    DATA, TREE, Argon2id, ChaCha20Poly1305, D, Ed25519PrivateKey, H, Keys, X25519PrivateKey, hchacha20, keyed, log_name,
    pack_name, path_order, slot_name)

ROOT = bytes(range(32))
KEYS = Keys(ROOT)
OWNER = Ed25519PrivateKey.from_private_bytes(D("larder v1 owner key", ROOT))
PASSWORD = b"pass word"
made = 0


def random(size):
    """Not random, so that the repository can be made again."""
    global made
    made += 1
    return D("larder test: written from the pages", made.to_bytes(8, "little"), size)


REPOSITORY = random(16)


# Notation

def varint(n):
    low = b""
    while n > 127:
        low, n = low + bytes([n & 127 | 128]), n >> 7
    return low + bytes([n])


def time(seconds, nanos):
    return varint(2 * seconds if seconds >= 0 else -2 * seconds - 1) + varint(nanos)


def sized(data):
    return varint(len(data)) + data


def items(parts):
    return varint(len(parts)) + b"".join(parts)


def seal(key, nonce, plain, associated):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], plain, associated)


def seal_block(key, nonce, salt, ordinal, kinds, length, plain):
    associated = b"larder v1 block\0" + REPOSITORY + salt + ordinal.to_bytes(4, "little") + bytes(kinds)
    return seal(key, nonce, plain, associated + length.to_bytes(4, "little"))


# Objects

class Writer:
    def __init__(self, folder):
        self.folder, self.previous, self.number = folder, bytes(32), 0
        run = X25519PrivateKey.from_private_bytes(random(32))
        self.run = run.public_key().public_bytes_raw()
        shared = run.exchange(KEYS.read.public_key())
        self.run_key = D("larder v1 run", shared + KEYS.pre_shared + self.run + KEYS.read_public + REPOSITORY)

    def put(self, name, data):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            file.write(data)

    def config(self):
        head = b"LARDCONF\1" + bytes(7) + REPOSITORY + time(5, 0) + varint(4096) + varint(16384) + varint(65536)
        head += sized(b"UTC") + b"\1" + KEYS.read_public + KEYS.owner_public + sized(b"")
        data = head + OWNER.sign(b"larder v1 config signature\0" + head)
        self.put("config", data)
        self.put("config.copy", data)

    def slot(self):
        slot, salt = random(16), random(32)
        material = Argon2id(salt=salt, length=32, iterations=1, lanes=1, memory_cost=16384).derive(PASSWORD)
        both = D("larder v1 slot", material, 64)
        head = b"LARDSLOT\1" + bytes(7) + REPOSITORY + slot + time(5, 0) + sized(b"from the pages")
        head += b"\1" + varint(16384) + varint(1) + varint(1) + salt + both[32:] + random(24)
        data = head + seal(both[:32], head[-24:], ROOT, head)
        self.put(slot_name(slot), data)
        self.put(slot_name(slot) + ".copy", data)

    def pack_key(self, salt):
        both = D("larder v1 pack", self.run_key + salt, 64)
        return both[:32], both[32:]

    def pack(self, kind, blocks):
        """Of blocks (kind, codec, chunks); gives what a log entry says of the pack."""
        salt, sealed, listed = random(24), [], []
        key, commitment = self.pack_key(salt)
        for ordinal, (block, codec, chunks) in enumerate(blocks):
            raw, nonce = b"".join(chunks), random(24)
            packed = zstandard.ZstdCompressor().compress(raw) if codec else raw
            sealed.append(seal_block(key, nonce, salt, ordinal, (kind, block, codec), len(raw), packed))
            names = [reference(kind, chunk) for chunk in chunks] if block == 0 else []
            listed.append(bytes([block, codec]) + varint(len(raw)) + varint(len(sealed[-1])) + nonce + items(names))
        directory = items(listed)
        directory += bytes(-len(directory) % 512)
        length = len(directory) + 40
        body = 160 + length + sum(map(len, sealed))
        head = b"LARDPACK\1" + bytes([kind]) + bytes(2) + length.to_bytes(4, "little") + body.to_bytes(8, "little")
        head += REPOSITORY + KEYS.writer + self.run + salt + commitment + bytes(16)
        nonce = random(24)
        data = head + nonce + seal(D("larder v1 directory", KEYS.structure + salt), nonce, directory, head)
        data += b"".join(sealed)
        self.put(pack_name(H(data)), data)
        return H(data) + varint(len(data)) + bytes([kind])

    def envelope(self, record):
        salt, nonce = random(24), random(24)
        key, commitment = self.pack_key(salt)
        head = self.run + salt + commitment + nonce + len(record).to_bytes(4, "little") + bytes(4)
        return head + seal_block(key, nonce, salt, 0, (0, 1, 0), len(record), record)

    def entry(self, action):
        self.number += 1
        number = self.number.to_bytes(8, "little")
        body = self.previous + random(16) + KEYS.writer + time(9, 0) + action + sized(b"\5\5")
        head = b"LARDLOGE\1" + bytes(7) + REPOSITORY + number + random(24)
        signature = OWNER.sign(b"larder v1 log signature\0" + REPOSITORY + number + body)
        data = head + seal(KEYS.log, head[-24:], body + signature, head)
        self.put(log_name(self.number), data)
        self.previous = H(data)


# Listings

def reference(kind, chunk):
    return KEYS.chunk_name(kind, chunk) + varint(len(chunk))


CHUNKS = [random(3000) for _ in range(40)]
SPARSE = 10_000_000
FOLDER, FILE, LINK, FIFO, SOCKET = 2, 1, 3, 4, 5
HOLES, XATTRS, PAGED = 4, 2, 16


def file_node(chunks, length=None):
    length = sum(map(len, chunks)) if length is None else length
    return varint(length) + items([reference(DATA, chunk) for chunk in chunks])


def paged(chunks):
    """A content list of two levels: (node, its pages)."""
    parts = [chunks[at:at + 10] for at in range(0, len(chunks), 10)]
    leaves = [b"\3" + items([reference(DATA, chunk) for chunk in part]) for part in parts]
    under = [reference(TREE, leaf) + varint(30000) + varint(10) for leaf in leaves]
    index = b"\4\1" + items(under)
    return varint(120_000) + b"\1" + reference(TREE, index) + varint(120_000) + varint(40), leaves + [index]


def entry(kind, path, node=b"", mode=0o644, links=1, inode=1, flags=0, tail=b"", mtime=(1000, 5)):
    owner = varint(12) + varint(34) + sized(b"") + sized(b"")
    numbers = varint(inode) + varint(2) + varint(links)
    data = bytes([kind]) + varint(flags) + varint(0) + sized(path) + varint(mode) + owner + time(*mtime) + time(1, 0)
    return path, data + numbers + node + tail


def listing():
    """All entries as (path, bytes), in order, and the pages of content lists."""
    node, pages = paged(CHUNKS)
    holes = items([varint(5_000_000) + varint(1000), varint(7) + varint(5000)])
    attributes = items([sized(b"user.a") + sized(b"\0\xff"), sized(b"user.b") + sized(b"")])
    setuid = {"mode": 0o4755, "links": 2, "inode": 9}
    entries = [
        entry(FOLDER, b"", mode=0o750, mtime=(-77, 3)),
        entry(FOLDER, b"dir", mode=0o700),
        entry(FILE, b"dir/a", file_node(CHUNKS[:2]), **setuid),
        entry(LINK, b"dir/evil", sized(b"/tmp"), mode=0o777, mtime=(2000, 7)),
        entry(FILE, b"dir/evil/larder-must-not-write-this", file_node(CHUNKS[:1])),
        entry(FOLDER, b"dir/sub", mode=0o711, mtime=(3000, 0)),
        entry(FILE, b"dir/sub/z", file_node(CHUNKS[:2]), **setuid),
        entry(FILE, b"dir.txt", file_node([])),
        entry(FIFO, b"fifo", mode=0o622),
        entry(FILE, b"file", file_node(CHUNKS[2:3])),
        entry(FILE, b"file/below", file_node(CHUNKS[2:3])),
        entry(FILE, b"lost/parent/f", file_node([])),
        entry(FILE, b"paged", node, flags=PAGED),
        entry(SOCKET, b"socket", mode=0o600),
        entry(FILE, b"sparse", file_node(CHUNKS[3:5], SPARSE) + holes, flags=HOLES),
        entry(FILE, b"xattr", file_node([]), flags=XATTRS, tail=attributes),
    ]
    return sorted(entries, key=lambda found: path_order(found[0])), pages


def index(entries):
    """Three leaves, and the page above them, last."""
    parts = [entries[:5], entries[5:11], entries[11:]]
    leaves = [b"\1" + items([data for _, data in part]) for part in parts]
    firsts = [varint(0) + sized(part[0][0]) for part in parts]
    under = [first + reference(TREE, leaf) + varint(len(part)) for first, leaf, part in zip(firsts, leaves, parts)]
    return leaves + [b"\2\1" + items(under)]


def tree():
    """What a restore leaves, as the suite describes it: without set-id bits and times of folders that are made up."""
    holed = bytes(5_000_000) + CHUNKS[3][:1000] + bytes(7) + CHUNKS[3][1000:] + CHUNKS[4]
    holed += bytes(SPARSE - len(holed))
    two = CHUNKS[0] + CHUNKS[1]
    said = [("", "folder 750 -77.000000003"), ("dir", "folder 700 1000.000000005"), ("dir.txt", contents(b"")),
            ("dir/a", contents(two, 0o755)), ("dir/evil", "link /tmp 2000.000000007"),
            ("dir/sub", "folder 711 3000.000000000"), ("dir/sub/z", contents(two, 0o755)),
            ("fifo", "fifo 622 1000.000000005"), ("file", contents(CHUNKS[2])), ("lost", "folder 700 now"),
            ("lost/parent", "folder 700 now"), ("lost/parent/f", contents(b"")), ("paged", contents(b"".join(CHUNKS))),
            ("sparse", contents(holed)), ("xattr", contents(b""))]
    return "".join(f"{path or '.'}: {what}\n" for path, what in sorted(said))


def contents(data, mode=0o644):
    return f"file {mode:o} 1000.000000005 {len(data)} {H(data).hex()}"


def main(folder):
    writer = Writer(os.path.join(folder, "repository"))
    writer.config()
    writer.slot()
    entries, pages = listing()
    pages += index(entries)
    started = time(1767323045, 1)
    record = b"\1" + sized(b"src") + sized(b"h\x1b[2J\tost") + sized(b"") + items([]) + sized(b"") + started + started
    record += b"\1\0" + reference(TREE, pages[-1]) + b"\1" + varint(len(entries))
    record += b"".join(map(varint, (10, 3, 3, 10_141_000, 0, 0, 0, 0)))
    record += random(16) + sized(b"the pages") + sized(b"")
    named = [writer.pack(DATA, [(0, 1, CHUNKS[:20]), (0, 0, CHUNKS[20:])]),
             writer.pack(TREE, [(0, 1, pages), (1, 1, [record])])]
    writer.pack(DATA, [(0, 0, CHUNKS[:5])])             # no entry names it
    series = keyed(KEYS.series_id, (3).to_bytes(8, "little") + b"src" + b"h\x1b[2J\tost")
    action = b"\1" + keyed(KEYS.snapshot_id, record) + series + started + b"\1" + items([sized(b"last")])
    writer.entry(action + items(named) + items([]) + sized(writer.envelope(record)))
    for name, data in ("password", PASSWORD + b"\n"), ("tree.txt", tree().encode()):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main(sys.argv[1])
