#!/usr/bin/env python3
"""An independent reader of larder repositories (format version 1).

It was written from the pages beside it and from nothing else: that shows that the pages suffice. It is no tool for
every day: it keeps no index, and reads the directory of every pack.

    reader.py REPO --password-file F | --key-file F | --recovery-key K  list
    reader.py REPO --password-file F | --key-file F | --recovery-key K  restore SNAPSHOT DEST
    reader.py vectors DIR

Exit status: 0 nothing was amiss, 1 usage, 4 something is damaged (named on stderr), 10 no repository, 12 wrong key.

Memory: about 250 bytes for each chunk in the repository, a cache of blocks, one page of each level.
"""

import argparse
import datetime
import grp
import os
import pwd
import re
import stat
import sys
import unicodedata
from collections import OrderedDict
from types import SimpleNamespace as Fields

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

VERSION = 1
ZEROS = bytes(32)
DATA, TREE = 1, 2
PACK_KINDS = {DATA: "data", TREE: "tree"}
CHUNKS, RECORD = 0, 1
RAW, ZSTD = 0, 1
MAX_CHUNK, MAX_PAGE = 8_388_608, 4_194_304
MAX_CONFIG, MAX_SLOT, MAX_ENTRY = 65_536, 4096, 16_777_216
MAX_SLOTS, MAX_SLOT_IDS = 64, 4096
MAX_NUMBER, MAX_GAP = 2**48, 1024                       # of log entries
MAX_BODY = 67_108_864
CACHE = 48 << 20


class Flaw(Exception):
    """Why something is refused: a word of README.md (or `missing`, `unreadable`), and perhaps a remark."""

    def __init__(self, word, remark=""):
        super().__init__(f"{word} ({remark})" if remark else word)
        self.word = word


class Newer(Flaw):
    def __init__(self, version):
        super().__init__("version", f"it is of version {version}, and newer than this reader")


class Stop(Exception):
    """The program ends with this status."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


def demand(condition, word, remark=""):
    if not condition:
        raise Flaw(word, remark)


# ---------------------------------------------------------------- README.md: notation

class Bytes:
    """Reads fields from bytes, one after the other."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def raw(self, size):
        demand(size <= self.left(), "truncated")
        self.at += size
        return self.data[self.at - size:self.at]

    def u8(self):
        return self.raw(1)[0]

    def u32(self):
        return int.from_bytes(self.raw(4), "little")

    def u64(self):
        return int.from_bytes(self.raw(8), "little")

    def varint(self, limit=2**64 - 1):
        value = 0
        for place in range(10):
            byte = self.u8()
            value |= (byte & 127) << (7 * place)
            if byte < 128:
                demand(byte != 0 or place == 0, "broken", "varint not in its shortest form")
                demand(place < 9 or byte == 1, "broken", "varint above 64 bits")
                demand(value <= limit, "limit")
                return value
        raise Flaw("broken", "varint above 64 bits")

    def signed(self):
        value = self.varint()
        return -(value + 1) // 2 if value & 1 else value // 2

    def time(self):
        return self.signed(), self.varint(999_999_999)

    def bytes(self, limit):
        return self.raw(self.varint(limit))

    def text(self, limit):
        try:
            return self.bytes(limit).decode("utf-8")
        except UnicodeDecodeError:
            raise Flaw("broken", "not UTF-8") from None

    def count(self, limit=2**64 - 1):
        count = self.varint(limit)
        demand(count <= self.left(), "truncated")       # every element takes a byte at least
        return count

    def list(self, limit, element):
        return [element() for _ in range(self.count(limit))]

    def flag(self):
        value = self.u8()
        demand(value <= 1, "unknown")
        return value == 1

    def zeros(self, size):
        demand(not any(self.raw(size)), "broken", "reserved bytes are not zero")

    def start(self, magic):
        """Magic and version, with which every object begins."""
        demand(self.raw(8) == magic, "magic")
        version = self.u8()
        if version != VERSION:
            raise Newer(version) if version > VERSION else Flaw("version", "it is of version 0")

    def end(self):
        demand(self.left() == 0, "trailing")


def H(data):
    return blake3(data).digest()


def keyed(key, data):
    return blake3(data, key=key).digest()


def D(purpose, material, size=32):
    return blake3(material, derive_key_context=purpose).digest(length=size)


# ---------------------------------------------------------------- keys.md

class Keys:
    """Everything that follows from the root key."""

    def __init__(self, root):
        self.data_id = D("larder v1 data id", root)
        self.tree_id = D("larder v1 tree id", root)
        self.snapshot_id = D("larder v1 snapshot id", root)
        self.series_id = D("larder v1 series id", root)
        self.gear = D("larder v1 gear", root)
        self.page = D("larder v1 page", root)
        self.structure = D("larder v1 structure", root)
        self.pre_shared = D("larder v1 pre-shared", root)
        self.log = D("larder v1 log entry", self.structure)
        self.read = X25519PrivateKey.from_private_bytes(D("larder v1 read key", root))
        self.owner = Ed25519PrivateKey.from_private_bytes(D("larder v1 owner key", root)).public_key()
        self.read_public = self.read.public_key().public_bytes_raw()
        self.owner_public = self.owner.public_bytes_raw()
        self.writer = D("larder v1 writer id", self.owner_public, 16)

    def chunk_name(self, kind, data):
        return keyed(self.data_id if kind == DATA else self.tree_id, data)

    def check_signature(self, signature, message):
        try:
            self.owner.verify(signature, message)
        except InvalidSignature:
            raise Flaw("forged", "signature") from None

    def pack_key(self, repository, run_public, salt, commitment):
        try:
            shared = self.read.exchange(X25519PublicKey.from_public_bytes(run_public))
        except ValueError:                              # shared is all zero
            raise Flaw("forged", "run public key") from None
        run = D("larder v1 run", shared + self.pre_shared + run_public + self.read_public + repository)
        both = D("larder v1 pack", run + salt, 64)
        demand(both[32:] == commitment, "wrong-key")
        return both[:32]


def open_seal(key, nonce, sealed, associated):
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, bytes(sealed), associated)
    except InvalidTag:
        raise Flaw("forged") from None


def hchacha20(key, nonce):
    """HChaCha20 by way of one block of ChaCha20, from which the initial state is subtracted again."""
    block = Cipher(algorithms.ChaCha20(key, nonce), mode=None).encryptor().update(bytes(64))
    initial = b"expand 32-byte k" + key + nonce
    words = []
    for at in (0, 4, 8, 12, 48, 52, 56, 60):
        difference = int.from_bytes(block[at:at + 4], "little") - int.from_bytes(initial[at:at + 4], "little")
        words.append((difference % 2**32).to_bytes(4, "little"))
    return b"".join(words)


def open_small(key, nonce, sealed, associated):
    """XChaCha20-Poly1305."""
    return open_seal(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], sealed, associated)


def open_block(key, repository, salt, ordinal, pack_kind, block, sealed):
    """A sealed block of this kind, codec, length and nonce; it is not unpacked yet."""
    associated = b"larder v1 block\0" + repository + salt + ordinal.to_bytes(4, "little")
    associated += bytes([pack_kind, block.kind, block.codec]) + block.length.to_bytes(4, "little")
    return open_small(key, block.nonce, sealed, associated)


def decode_slot(data, repository, slot_id):
    demand(len(data) <= MAX_SLOT, "limit")
    b = Bytes(data)
    b.start(b"LARDSLOT")
    b.zeros(7)
    slot = Fields(repository=b.raw(16), slot=b.raw(16), created=b.time(), label=b.text(256), stretching=b.u8())
    demand(slot.stretching <= 1, "unknown")
    if slot.stretching == 1:
        slot.memory, slot.passes, slot.lanes = b.varint(), b.varint(), b.varint()
        demand(16_384 <= slot.memory <= 1_048_576, "broken")
        demand(1 <= slot.passes <= 64 and 1 <= slot.lanes <= 16, "broken")
    slot.salt, slot.commitment, slot.nonce = b.raw(32), b.raw(32), b.raw(24)
    slot.head = data[:b.at]
    slot.sealed = b.raw(48)
    b.end()
    demand(slot.repository == repository and slot.slot == slot_id, "foreign")
    return slot


def unlock(slot, password=None, key_file=None):
    """The root key that is in a slot."""
    if slot.stretching == 1:
        demand(password is not None, "wrong-key")
        material = Argon2id(salt=slot.salt, length=32, iterations=slot.passes, lanes=slot.lanes,
                            memory_cost=slot.memory).derive(password)
    else:
        demand(key_file is not None, "wrong-key")
        material = D("larder v1 key file", slot.salt + key_file)
    both = D("larder v1 slot", material, 64)
    demand(both[32:] == slot.commitment, "wrong-key")
    return open_small(both[:32], slot.nonce, slot.sealed, slot.head)


def decode_recovery(text):
    """The root key from its text."""
    text, prefix = text.strip(), "larder-recovery-1-"
    demand(text.startswith(prefix), "broken")
    digits = text[len(prefix):].replace("-", "")
    demand(re.fullmatch("[0-9a-fA-F]{64}[0-9a-f]{4}", digits), "broken")
    root = bytes.fromhex(digits[:64])
    demand(D("larder v1 recovery check", root, 2).hex() == digits[64:], "broken")
    return root


# ---------------------------------------------------------------- objects.md

def object_of(name):
    """Which object a name stands for: (kind, id), or a flaw."""
    if name in ("config", "config.copy"):
        return "config", None
    if match := re.fullmatch(r"keys/([0-9a-f]{32})(\.copy)?", name):
        return "slot", bytes.fromhex(match[1])
    if match := re.fullmatch(r"log/([0-9a-f]{16})", name):
        demand(1 <= int(match[1], 16) <= MAX_NUMBER, "unknown")
        return "log", int(match[1], 16)
    if match := re.fullmatch(r"packs/([0-9a-f]{2})/(\1[0-9a-f]{62})", name):
        return "pack", bytes.fromhex(match[2])
    raise Flaw("unknown")


def slot_name(slot):
    return f"keys/{slot.hex()}"


def log_name(number):
    return f"log/{number:016x}"


def pack_name(pack):
    return f"packs/{pack.hex()[:2]}/{pack.hex()}"


def check_sizes(least, average, largest):
    """chunks.md, sizes."""
    demand(64 <= least <= average <= largest <= MAX_CHUNK and 256 <= average <= 4_194_304, "broken", "sizes")
    demand(average & (average - 1) == 0 and least % 2 == 0 and largest % 2 == 0, "broken", "sizes")


def decode_config(data):
    demand(len(data) <= MAX_CONFIG, "limit")
    b = Bytes(data)
    b.start(b"LARDCONF")
    b.zeros(7)
    config = Fields(repository=b.raw(16), created=b.time(), sizes=(b.varint(), b.varint(), b.varint()),
                    zone=b.text(128), week=b.u8())
    check_sizes(*config.sizes)
    demand(config.week in (1, 2), "unknown")
    config.read, config.owner, config.extension = b.raw(32), b.raw(32), b.bytes(4096)
    config.signed = data[:b.at]
    config.signature = b.raw(64)
    b.end()
    return config


def check_config(config, keys):
    demand(config.read == keys.read_public and config.owner == keys.owner_public, "foreign")
    keys.check_signature(config.signature, b"larder v1 config signature\0" + config.signed)


class Store:
    """A folder with objects in it. Only plain files count; nothing is followed and nothing waits."""

    def __init__(self, folder):
        self.folder = folder

    def open(self, name):
        path = os.path.join(self.folder, name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise Flaw("missing") from None
        except OSError as error:
            raise Flaw("unreadable", error.strerror) from None
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        raise Flaw("unreadable", "no plain file")

    def read(self, name, limit):
        """A whole object, which must not be longer than the limit."""
        fd = self.open(name)
        try:
            demand(os.fstat(fd).st_size <= limit, "limit")
            with open(fd, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise Flaw("unreadable", error.strerror) from None
        finally:
            os.close(fd)
        demand(len(data) <= limit, "limit")
        return data

    def names(self, folder):
        try:
            return sorted(os.listdir(os.path.join(self.folder, folder)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def ids(self, folder):
        """Ids of the objects in a folder, ascending; what is no object is ignored."""
        found = set()
        for name in self.names(folder):
            try:
                found.add(object_of(f"{folder}/{name}")[1])
            except Flaw:
                pass
        return sorted(found)

    def packs(self):
        return [pack for first in range(256) for pack in self.ids(f"packs/{first:02x}")]


# ---------------------------------------------------------------- packs.md

PREAMBLE = 160


def decode_preamble(data):
    b = Bytes(data)
    b.start(b"LARDPACK")
    p = Fields(kind=b.u8())
    demand(p.kind in PACK_KINDS, "unknown")
    b.zeros(2)
    p.directory, p.body, p.repository, p.writer = b.u32(), b.u64(), b.raw(16), b.raw(16)
    p.run, p.salt, p.commitment = b.raw(32), b.raw(24), b.raw(32)
    b.zeros(16)
    b.end()
    demand(p.directory <= 16_777_216 and p.body <= MAX_BODY, "limit")
    demand(p.body >= PREAMBLE + p.directory, "broken")
    return p


def decode_directory(data, pack_kind):
    """The blocks of a pack: kind, codec, length, sealed length, nonce, and chunks as (name, length)."""
    b, blocks, chunks = Bytes(data), [], 0
    for _ in range(b.count(65_536)):
        block = Fields(kind=b.u8(), codec=b.u8())
        demand(block.kind in (CHUNKS, RECORD) and block.codec in (RAW, ZSTD), "unknown")
        block.length, block.sealed = b.varint(16_777_216), b.varint(16_777_280)
        demand(block.sealed >= 16, "broken")
        demand(block.codec == ZSTD or block.sealed == block.length + 16, "broken")
        block.nonce, count = b.raw(24), b.varint()
        chunks += count
        demand(chunks <= 262_144, "limit")
        demand(count <= b.left(), "truncated")
        demand(block.kind == CHUNKS or count == 0 and pack_kind == TREE, "broken", "a record block that must not be")
        block.chunks, left = [], block.length
        for _ in range(count):
            block.chunks.append(decode_reference(b, min(left, MAX_CHUNK if pack_kind == DATA else MAX_PAGE)))
            left -= block.chunks[-1][1]
        demand(block.kind == RECORD or left == 0, "broken", "chunks do not fill their block")
        blocks.append(block)
    padding = b.raw(b.left())
    demand(not any(padding), "trailing")
    demand(len(padding) < 512 and len(data) % 512 == 0, "broken", "padding")
    return blocks


def read_exactly(fd, size, at):
    try:
        data = os.pread(fd, size, at)
    except OSError as error:
        raise Flaw("unreadable", error.strerror) from None
    demand(len(data) == size, "truncated")
    return data


def open_pack(fd, keys, repository):
    """Preamble, blocks (each with its place in the pack), and key of a pack, of which the blocks are not read."""
    size = os.fstat(fd).st_size
    head = read_exactly(fd, min(PREAMBLE, size), 0)
    p = decode_preamble(head)
    demand(p.repository == repository, "foreign")
    demand(size >= p.body, "truncated")
    key, sealed = D("larder v1 directory", keys.structure + p.salt), read_exactly(fd, p.directory, PREAMBLE)
    demand(len(sealed) >= 40, "forged")
    blocks, at = decode_directory(open_small(key, sealed[:24], sealed[24:], head), p.kind), PREAMBLE + p.directory
    for block in blocks:
        block.at = at
        at += block.sealed
    demand(at == p.body, "broken", "blocks do not end where the body ends")
    return p, blocks, keys.pack_key(repository, p.run, p.salt, p.commitment)


def unpack_frame(data, length):
    """The content of exactly one Zstandard frame. It is fed bit by bit, so that no frame makes more than it may."""
    demand(data[:4] == b"\x28\xb5\x2f\xfd", "broken", "no frame")
    try:
        asks = zstandard.get_frame_parameters(data)
        demand(asks.content_size == length, "broken", "length of frame")
        demand(asks.window_size <= 1 << 24 and asks.dict_id == 0, "broken", "a large window or a dictionary")
        frame = zstandard.ZstdDecompressor(max_window_size=1 << 24).decompressobj()
        parts, total, at = [], 0, 0
        while at < len(data) and not frame.eof:
            parts.append(frame.decompress(data[at:at + 512]))
            total, at = total + len(parts[-1]), at + 512
            demand(total <= length, "broken", "length of frame")
    except zstandard.ZstdError:
        raise Flaw("broken", "frame") from None
    demand(frame.eof and not frame.unused_data and at >= len(data) and total == length, "broken", "frame")
    return b"".join(parts)


def unpack(block, data):
    if block.codec == ZSTD:
        return unpack_frame(data, block.length)
    demand(len(data) == block.length, "broken", "length of block")
    return data


class Packs:
    """All packs of a repository; finds and opens chunks."""

    def __init__(self, store, keys, repository, state, report):
        self.store, self.keys, self.repository, self.report = store, keys, repository, report
        self.packs = []                                 # (id, preamble, blocks, key), without the names of chunks
        self.places = {DATA: {}, TREE: {}}              # chunk name: pack, block, offset and length in one number
        self.others = {}                                # (kind, name): places of further copies
        self.cache, self.cached, self.bad = OrderedDict(), 0, set()
        order = {"live": 0, None: 1, "condemned": 2, "swept": 3}
        fate = {pack: known.fate for pack, known in state.packs.items()}
        present = store.packs()
        for pack in sorted(present, key=lambda pack: order[fate.get(pack)]):
            if fate.get(pack) != "swept":
                self.add(pack, state.packs.get(pack))
        for pack in sorted(set(fate) - set(present)):
            if fate[pack] == "live":
                report.damage(pack_name(pack), Flaw("missing"))

    def add(self, pack, known):
        try:
            fd = self.store.open(pack_name(pack))
            try:
                preamble, blocks, key = open_pack(fd, self.keys, self.repository)
            finally:
                os.close(fd)
            if known and known.named:
                same = (preamble.body, preamble.kind) == (known.length, known.kind)
                demand(same, "broken", "of another length or kind than the log says")
        except Flaw as flaw:
            self.report.damage(pack_name(pack), flaw)
            return
        places = self.places[preamble.kind]
        for ordinal, block in enumerate(blocks):
            offset = 0
            for name, length in block.chunks:
                place = ((len(self.packs) << 17 | ordinal) << 24 | offset) << 24 | length
                offset += length
                if places.setdefault(name, place) != place:
                    self.others.setdefault((preamble.kind, name), []).append(place)
            block.chunks = None
        self.packs.append((pack, preamble, blocks, key))

    def block(self, number, ordinal):
        """An opened block; those used last are kept."""
        if (number, ordinal) in self.cache:
            self.cache.move_to_end((number, ordinal))
            return self.cache[number, ordinal]
        pack, preamble, blocks, key = self.packs[number]
        block = blocks[ordinal]
        demand((number, ordinal) not in self.bad, "forged")
        try:
            fd = self.store.open(pack_name(pack))
            try:
                sealed = read_exactly(fd, block.sealed, block.at)
            finally:
                os.close(fd)
            plain = open_block(key, self.repository, preamble.salt, ordinal, preamble.kind, block, sealed)
            data = unpack(block, plain)
        except Flaw as flaw:
            self.bad.add((number, ordinal))
            self.report.damage(f"{pack_name(pack)} block {ordinal}", flaw)
            raise
        self.cache[number, ordinal] = data
        self.cached += len(data)
        while self.cached > CACHE and len(self.cache) > 1:
            self.cached -= len(self.cache.popitem(last=False)[1])
        return data

    def chunk(self, kind, reference):
        """The bytes of a chunk, from whichever copy is sound."""
        name, length = reference
        first = self.places[kind].get(name)
        for place in ([] if first is None else [first]) + self.others.get((kind, name), []):
            offset, size = place >> 24 & 0xFFFFFF, place & 0xFFFFFF
            number, ordinal = place >> 65, place >> 48 & 0x1FFFF
            try:
                data = self.block(number, ordinal)[offset:offset + size]
            except Flaw:
                continue
            if self.keys.chunk_name(kind, data) == name:
                demand(size == length, "broken", f"chunk {name.hex()} has another length than its reference says")
                return data
            self.report.damage(f"{pack_name(self.packs[number][0])} block {ordinal}", Flaw("broken", "name of a chunk"))
        raise Flaw("missing", f"chunk {name.hex()}")

    def records(self):
        """Names and bytes of the records in tree packs, for when the log's copy is damaged."""
        for number, (_, preamble, blocks, _) in enumerate(self.packs):
            for ordinal, block in enumerate(blocks if preamble.kind == TREE else ()):
                if block.kind == RECORD:
                    try:
                        data = self.block(number, ordinal)
                    except Flaw:
                        continue
                    yield keyed(self.keys.snapshot_id, data), data


# ---------------------------------------------------------------- listing.md

TYPES = {1: "file", 2: "folder", 3: "symlink", 4: "fifo", 5: "socket", 6: "character", 7: "block"}
OWNER, XATTRS, HOLES, UNSTABLE, PAGED, STAMP, EXTENSION = (1 << bit for bit in range(7))


def check_path(path):
    demand(len(path) <= 65_536, "limit")
    if path:
        components = path.split(b"/")
        demand(len(components) <= 4096, "limit")
        for name in components:
            demand(1 <= len(name) <= 255 and name not in (b".", b"..") and b"\0" not in name, "broken", "path")
    return path


def path_order(path):
    return path.replace(b"/", b"\0")


def decode_path(b, before):
    """A path of which some is shared with the one before (None: there is none), and that comes behind it."""
    shared = b.varint()
    demand(shared <= len(before or b""), "limit")
    path = check_path((before or b"")[:shared] + b.bytes(65_536))
    demand(before is None or path_order(path) > path_order(before), "broken", "order of paths")
    return path


def decode_reference(b, limit=MAX_CHUNK):
    name, length = b.raw(32), b.varint(limit)
    demand(length > 0, "broken", "a chunk of length 0")
    return name, length


def decode_level(b):
    level = b.u8()
    demand(level <= 11, "unknown")
    return level


def decode_page_reference(b):
    item = Fields(page=decode_reference(b, MAX_PAGE), bytes=b.varint(), chunks=b.varint())
    demand(item.chunks > 0, "broken", "a page of no chunks")
    return item


def decode_content(b, entry):
    entry.length = b.varint()
    entry.paged = entry.chunks = entry.extents = None
    if entry.flags & PAGED:
        entry.level, entry.paged = decode_level(b), decode_page_reference(b)
        content = entry.paged.bytes
    else:
        entry.chunks = b.list(1024, lambda: decode_reference(b))
        content = sum(length for _, length in entry.chunks)
    if entry.flags & HOLES:
        entry.extents, end = [], 0
        for index in range(b.count(65_536)):
            gap, length = b.varint(), b.varint()
            demand(length > 0 and (gap > 0 or index == 0), "broken", "extents")
            entry.extents.append((end + gap, length))
            end += gap + length
            demand(end <= entry.length, "broken", "extents")
    whole = entry.length if entry.extents is None else sum(length for _, length in entry.extents)
    demand(content == whole, "broken", "length of content")


def decode_xattr(b, before):
    name, value = b.bytes(255), b.bytes(65_536)
    demand(name and b"\0" not in name and (not before or before[-1][0] < name), "broken", "attributes")
    before.append((name, value))


def decode_entry(b, before):
    entry = Fields(type=b.u8())
    demand(entry.type in TYPES, "unknown")
    entry.kind, entry.flags = TYPES[entry.type], b.varint()
    demand(entry.flags < 128, "unknown")
    demand(entry.kind == "file" or not entry.flags & (HOLES | PAGED), "broken")
    entry.path = decode_path(b, before.path if before else None)
    entry.mode = b.varint(4095)
    if entry.flags & OWNER:
        demand(before, "broken", "no owner before")
        entry.owner = before.owner
    else:
        entry.owner = b.varint(2**32 - 1), b.varint(2**32 - 1), b.bytes(256), b.bytes(256)
    entry.mtime, entry.ctime = b.time(), b.time()
    entry.inode, entry.device, entry.links = b.varint(), b.varint(), b.varint()
    if entry.kind == "file":
        decode_content(b, entry)
    elif entry.kind == "symlink":
        entry.target = b.bytes(4096)
        demand(entry.target and b"\0" not in entry.target, "broken", "target")
    elif entry.kind in ("character", "block"):
        entry.numbers = b.varint(2**32 - 1), b.varint(2**32 - 1)
    entry.xattrs = []
    if entry.flags & XATTRS:
        for _ in range(b.count(1024)):
            decode_xattr(b, entry.xattrs)
    entry.stamp = b.bytes(1024) if entry.flags & STAMP else None
    entry.extension = b.bytes(1024) if entry.flags & EXTENSION else None
    return entry


def decode_listing(data):
    """Yields the level of a listing page, then its entries or items: one at a time, as they can take much room."""
    b = Bytes(data)
    kind, before = b.u8(), None
    demand(kind in (1, 2), "magic")
    level = 0 if kind == 1 else b.u8()
    demand(kind == 1 or 1 <= level <= 11, "unknown")
    yield level
    count = b.count(65_536 if kind == 1 else 1024)
    demand(kind == 1 or count > 0, "broken", "a page without items")
    for _ in range(count):
        if kind == 1:
            before = decode_entry(b, before)
        else:
            path = decode_path(b, before.path if before else None)
            before = Fields(path=path, page=decode_reference(b, MAX_PAGE), entries=b.varint())
        yield before
    b.end()


def decode_content_page(data):
    """Level of a page of a content list, and its chunks or pages."""
    b = Bytes(data)
    kind = b.u8()
    demand(kind in (3, 4), "magic")
    level = 0 if kind == 3 else b.u8()
    demand(kind == 3 or 1 <= level <= 11, "unknown")
    items = b.list(1024, lambda: decode_reference(b) if kind == 3 else decode_page_reference(b))
    demand(items, "broken", "a page without items")
    b.end()
    return level, items


class Listing:
    """Walks the entries of a snapshot, in order; damaged pages are named and left out."""

    def __init__(self, packs, report):
        self.packs, self.report, self.last = packs, report, None

    def check(self, data, level, first):
        """Goes through a page once, so that nothing of a page that is to be refused is used."""
        items = decode_listing(data)
        demand(next(items) == level, "broken", "level of page")
        begins = None
        for item in items:
            begins = item.path if begins is None else begins
        demand(first is None or begins == first, "broken", "page does not begin with its path")
        if level == 0 and begins is not None and self.last is not None:
            demand(path_order(begins) > path_order(self.last), "broken", "order of pages")

    def entries(self, page, level, first=None):
        try:
            data = self.packs.chunk(TREE, page)
            self.check(data, level, first)
        except Flaw as flaw:
            self.report.damage(f"listing page {page[0].hex()} (from {printable(first or b'')})", flaw)
            return
        items = decode_listing(data)
        next(items)
        for item in items:
            if level > 0:
                yield from self.entries(item.page, level - 1, item.path)
            else:
                self.last = item.path
                yield item


def content(packs, entry):
    """The references of the chunks of a file, in order."""
    if entry.paged is None:
        return iter(entry.chunks)
    return paged_content(packs, entry.paged, entry.level)


def paged_content(packs, reference, level):
    found, items = decode_content_page(packs.chunk(TREE, reference.page))
    demand(found == level, "broken", "level of page")
    size = sum(item[1] if level == 0 else item.bytes for item in items)
    count = len(items) if level == 0 else sum(item.chunks for item in items)
    demand((size, count) == (reference.bytes, reference.chunks), "broken", "content page")
    for item in items:
        if level == 0:
            yield item
        else:
            yield from paged_content(packs, item, level - 1)


# ---------------------------------------------------------------- log.md

ACTIONS = {1: "snapshot", 2: "tag", 3: "untag", 4: "note", 5: "condemn", 6: "sweep", 7: "repack", 8: "key"}


def check_tag(data):
    try:
        tag = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Flaw("broken", "not UTF-8") from None
    demand(1 <= len(data) <= 128 and "," not in tag, "broken", "tag")
    demand(not any(c.isspace() or unicodedata.category(c) == "Cc" for c in tag), "broken", "tag")
    return tag


def decode_tags(b):
    return b.list(64, lambda: check_tag(b.bytes(128)))


def decode_packs(b):
    return b.list(262_144, lambda: b.raw(32))


def decode_named(b):
    def named():
        (pack, length), kind = decode_reference(b, MAX_BODY), b.u8()
        demand(kind in PACK_KINDS, "unknown")
        return pack, length, kind
    return b.list(262_144, named)


def decode_body(data):
    b = Bytes(data)
    e = Fields(previous=b.raw(32), token=b.raw(16), writer=b.raw(16), time=b.time(), action=b.u8())
    demand(e.action in ACTIONS, "unknown")
    e.action = ACTIONS[e.action]
    if e.action == "snapshot":
        e.snapshot, e.series, e.started, e.complete = b.raw(32), b.raw(32), b.time(), b.flag()
        e.tags, e.named, e.rescue, e.record = decode_tags(b), decode_named(b), decode_packs(b), b.bytes(1_048_576)
    elif e.action in ("tag", "untag"):
        e.changes = b.list(65_536, lambda: (b.raw(32), decode_tags(b), decode_tags(b)))
        e.rescue = decode_packs(b)
    elif e.action == "note":
        e.snapshot, e.name, e.value = b.raw(32), b.text(65_536), b.text(65_536)
    elif e.action in ("condemn", "sweep"):
        e.packs = decode_packs(b)
    elif e.action == "repack":
        e.named, e.packs = decode_named(b), decode_packs(b)
    else:
        e.slot, e.change = b.raw(16), b.u8()
        demand(e.change in (1, 2), "unknown")
    e.extension = b.bytes(4096)
    b.end()
    return e


def decode_head(data):
    b = Bytes(data)
    b.start(b"LARDLOGE")
    b.zeros(7)
    head = Fields(repository=b.raw(16), number=b.u64(), nonce=b.raw(24))
    b.end()
    return head


def open_entry(data, keys, repository, number):
    demand(len(data) <= MAX_ENTRY, "limit")
    head = decode_head(data[:64])
    demand(head.repository == repository, "foreign")
    demand(head.number == number, "broken", "number")
    plain = open_small(keys.log, head.nonce, data[64:], data[:64])
    demand(len(plain) >= 64, "truncated")
    body, signature = plain[:-64], plain[-64:]
    demand(Bytes(body).raw(64)[48:] == keys.writer, "forged", "writer")
    keys.check_signature(signature, b"larder v1 log signature\0" + repository + data[32:40] + body)
    return decode_body(body)


def decode_record(data):
    b = Bytes(data)
    version = b.u8()
    demand(version == VERSION, "version", f"it is of version {version}")
    r = Fields(source=b.text(4096), host=b.text(4096), user=b.text(4096), paths=b.list(4096, lambda: b.bytes(65_536)),
               description=b.text(4096), started=b.time(), ended=b.time(), complete=b.flag())
    r.parent = b.raw(32) if b.flag() else None
    r.root, r.level, r.entries = decode_reference(b, MAX_PAGE), decode_level(b), b.varint()
    r.counts = [b.varint() for _ in range(8)]
    r.unique, r.program, r.extension = b.raw(16), b.text(4096), b.bytes(4096)
    b.end()
    return r


def open_envelope(data, keys, repository, snapshot):
    b = Bytes(data)
    run, salt, commitment = b.raw(32), b.raw(24), b.raw(32)
    block = Fields(kind=RECORD, codec=RAW, nonce=b.raw(24), length=b.u32())
    b.zeros(4)
    key = keys.pack_key(repository, run, salt, commitment)
    record = unpack(block, open_block(key, repository, salt, 0, 0, block, b.raw(b.left())))
    demand(keyed(keys.snapshot_id, record) == snapshot, "broken", "name of the record")
    return decode_record(record)


def differs(entry, record, keys):
    """Whether the entry of a snapshot says other than its record."""
    source, host = record.source.encode(), record.host.encode()
    series = keyed(keys.series_id, len(source).to_bytes(8, "little") + source + host)
    return (entry.series, entry.started, entry.complete) != (series, record.started, record.complete)


class State:
    """What exists, by the entries applied so far."""

    def __init__(self):
        self.packs, self.snapshots, self.problems = {}, {}, []

    def name(self, named):
        for pack, length, kind in named:
            known = self.packs.setdefault(pack, Fields(fate="live", length=0, kind=DATA, named=False))
            if not known.named:
                known.named, known.length, known.kind = True, length, kind

    def turn(self, packs, before, after):
        for pack in packs:
            if pack in self.packs and self.packs[pack].fate == before:
                self.packs[pack].fate = after

    def condemn(self, packs):
        for pack in packs:
            self.packs.setdefault(pack, Fields(fate="live", length=0, kind=DATA, named=False))
        self.turn(packs, "live", "condemned")

    def apply(self, number, e):
        """False if the name of its snapshot is taken."""
        if e.action in ("snapshot", "repack"):
            self.name(e.named)
        if e.action in ("snapshot", "tag", "untag"):
            self.turn(e.rescue, "condemned", "live")
        if e.action in ("condemn", "repack"):
            self.condemn(e.packs)
        elif e.action == "sweep":
            self.turn(e.packs, "condemned", "swept")
        elif e.action == "snapshot" and e.snapshot in self.snapshots:
            return False
        elif e.action == "snapshot":
            self.snapshots[e.snapshot] = Fields(number=number, tags=set(e.tags))
        elif e.action in ("tag", "untag"):
            for snapshot, add, remove in e.changes:
                if snapshot in self.snapshots:
                    known = self.snapshots[snapshot]
                    known.tags = known.tags - set(remove) | set(add)
        return True


def log_numbers(listed, head):
    """All numbers up to the head, as (first, last): one by one, but for what follows on many that are not listed."""
    number = 1
    for known in sorted({known for known in listed if known < head} | {head} - {0}):
        near = min(known, number + MAX_GAP)
        yield from ((asked, asked) for asked in range(number, near))
        if near < known:
            yield near, known - 1
        yield known, known
        number = known + 1


def read_log(store, keys, repository, report):
    def fetch(number):
        """H of the bytes, and the entry if it is genuine, or else its flaw."""
        found = ZEROS
        try:
            data = store.read(log_name(number), MAX_ENTRY)
            found = H(data)
            return found, open_entry(data, keys, repository, number), None
        except Flaw as flaw:
            return found, None, flaw

    listed = store.ids("log")
    head = next((number for number in reversed(listed) if fetch(number)[1]), 0)
    while head < MAX_NUMBER and str(fetch(head + 1)[2]) != "missing":
        head += 1
    state, before, held = State(), ZEROS, True
    for number, last in log_numbers(listed, head):
        found, entry, flaw = fetch(number) if number == last else (ZEROS, None, Flaw("missing"))
        problem = flaw
        if entry and held and entry.previous != before:
            problem = Flaw("broken", "the entry before it is not the one it was written after")
        if entry and not state.apply(number, entry):
            problem = Flaw("broken", "the name of the snapshot is taken")
        before, held = found, problem is None
        if problem:
            state.problems.append(number)
            report.damage(log_name(number) + (f" to {last:016x}" if last > number else ""), problem)
    for number in listed:
        if head < number <= head + MAX_GAP:
            state.problems.append(number)
            report.damage(log_name(number), Flaw(fetch(number)[2].word, "and entries before it are missing"))
    return state


# ---------------------------------------------------------------- a repository, opened

class Report:
    """Names what is damaged, each once."""

    def __init__(self):
        self.said = set()

    def say(self, text):
        if text not in self.said:
            self.said.add(text)
            print(text, file=sys.stderr)

    def damage(self, what, flaw):
        self.say(f"{what} is missing" if str(flaw) == "missing" else f"{what} is damaged: {flaw}")


def printable(path):
    text = path if isinstance(path, str) else path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Repository:
    def __init__(self, folder, credential, report):
        self.store, self.report = Store(folder), report
        copies, found = {}, {}
        for name in ("config", "config.copy"):
            try:
                copies[name] = decode_config(self.store.read(name, MAX_CONFIG))
            except Flaw as flaw:
                found[name] = flaw
        if all(flaw.word in ("missing", "magic") for flaw in found.values()) and not copies:
            raise Stop(10, "there is no repository")
        if not copies and any(isinstance(flaw, Newer) for flaw in found.values()):
            raise Stop(4, f"config is damaged: {found.get('config', found.get('config.copy'))}")
        root = self.root(credential, dict.fromkeys(config.repository for config in copies.values()))
        self.keys = Keys(root) if root else None
        for name, config in list(copies.items()) if root else ():
            try:
                check_config(config, self.keys)
            except Flaw as flaw:
                found[name] = flaw
                del copies[name]
        foreign = "root" in credential and all(flaw.word == "foreign" for flaw in found.values())
        if copies and root is None or not copies and foreign:
            raise Stop(12, "the key opens nothing here")
        for name, flaw in found.items():
            report.damage(name, flaw)
        if not copies:
            raise Stop(4, "no sound copy of the config is left")
        self.id = next(iter(copies.values())).repository
        self.state = read_log(self.store, self.keys, self.id, report)
        self.all_packs = None

    def root(self, credential, repositories):
        """The root key, from the recovery key or the first slot that opens."""
        if "root" in credential:
            return credential["root"]
        for repository in repositories:
            damaged, root = [], None
            for slot, copies in self.slots(repository, damaged):
                root = self.try_slot(slot, copies, credential, damaged)
                if root:
                    break
            if root is not None or len(repositories) == 1:
                for name, flaw in damaged:
                    self.report.damage(name, flaw)
            if root:
                return root
        return None

    def slots(self, repository, damaged):
        """Every slot that counts, and those of its copies that are well-formed, of this repository and different."""
        ids, taken = self.store.ids("keys"), 0
        for place, slot in enumerate(ids):
            copies = {}
            for name in (slot_name(slot), slot_name(slot) + ".copy") if place < MAX_SLOT_IDS else ():
                try:
                    data = self.store.read(name, MAX_SLOT)
                    copies[name] = data, decode_slot(data, repository, slot)
                except Flaw as flaw:
                    damaged.append((name, flaw))
            taken += bool(copies)
            if taken > MAX_SLOTS or place == MAX_SLOT_IDS:
                self.report.say(f"too many key slots: {len(ids) - place} are ignored")
                return
            if copies:
                yield slot, copies

    def try_slot(self, slot, copies, credential, damaged):
        """Both copies, unless they are equal; the second is tried when the first only seems to be another's, too."""
        tried, root, closed = None, None, []
        for name, (data, decoded) in copies.items():
            if data != tried:
                tried = data
                try:
                    root = unlock(decoded, **credential)
                except Flaw as flaw:
                    (closed if flaw.word == "wrong-key" else damaged).append((name, flaw))
        if root:                                        # so a copy that did not open is not another's
            damaged += closed
        return root

    def packs(self):
        if self.all_packs is None:
            self.all_packs = Packs(self.store, self.keys, self.id, self.state, self.report)
        return self.all_packs

    def record(self, snapshot):
        """A snapshot's record: from its log entry, or else from a tree pack."""
        known = self.state.snapshots.get(snapshot)
        try:
            if known:
                data = self.store.read(log_name(known.number), MAX_ENTRY)
                entry = open_entry(data, self.keys, self.id, known.number)
                record = open_envelope(entry.record, self.keys, self.id, snapshot)
                if differs(entry, record, self.keys):
                    self.report.damage(log_name(known.number), Flaw("broken", "it says other than its record"))
                return record
        except Flaw as flaw:
            self.report.damage(f"{log_name(known.number)}, record of {snapshot.hex()}", flaw)
        for name, data in self.packs().records():
            if name == snapshot:
                return decode_record(data)
        raise Flaw("missing", "no copy of the record")

    def find(self, text):
        """The snapshot of which this is the beginning of the id, or the latest that a tag holds."""
        if text == "latest":
            found = [snapshot for snapshot, known in self.state.snapshots.items() if known.tags][-1:]
        else:
            found = [snapshot for snapshot in self.state.snapshots if text and snapshot.hex().startswith(text)]
            if not found and self.state.problems:       # its entry may be among the damaged ones
                found = sorted({name for name, _ in self.packs().records() if name.hex().startswith(text)})
        if len(found) != 1:
            raise Stop(1, f"{len(found)} snapshots are called {text}")
        return found[0]

    def list(self):
        for snapshot, known in self.state.snapshots.items():
            if known.tags:
                try:
                    record = self.record(snapshot)
                except Flaw as flaw:
                    self.report.damage(f"snapshot {snapshot.hex()}", flaw)
                    continue
                tags = ",".join(sorted(known.tags))
                columns = [snapshot.hex(), iso(record.started), record.source, record.host, tags]
                print("\t".join(map(printable, columns)))


def iso(time):
    try:
        day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=time[0])
    except OverflowError:
        return f"{time[0]} s since 1970"
    return f"{day.isoformat(timespec='seconds')}.{time[1]:09}Z"


# ---------------------------------------------------------------- restore

class Restore:
    """Puts entries below a folder. Folders are opened one by one, never through a link, so nothing leads out."""

    FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

    def __init__(self, packs, destination, report):
        self.packs, self.report = packs, report
        try:
            os.mkdir(destination, 0o700)
        except FileExistsError:
            if not os.path.isdir(destination) or os.listdir(destination):
                raise Stop(1, "the destination is not an empty folder") from None
        self.root = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fchmod(self.root, 0o700)                     # nobody else until everything is in its place
        self.open_folders = []                          # entries whose content is being restored
        self.here = None                                # path and descriptor of the folder opened last
        self.links = {}                                 # (device, inode, kind): path restored first

    def folder(self, path, create=False):
        """A new descriptor of a folder below the root."""
        fd = os.dup(self.root)
        for name in path.split(b"/") if path else ():
            above = fd
            try:
                try:
                    fd = os.open(name, self.FOLDER, dir_fd=above)
                except FileNotFoundError:
                    if not create:
                        raise
                    os.mkdir(name, 0o700, dir_fd=above)
                    print(f"{printable(path)}: the listing lacks {printable(name)}", file=sys.stderr)
                    fd = os.open(name, self.FOLDER, dir_fd=above)
            finally:
                os.close(above)
        return fd

    def parent(self, path):
        """Descriptor (not the caller's to close) of the folder in which a path lies, and its name there."""
        above, _, name = path.rpartition(b"/")
        if self.here is None or self.here[0] != above:
            fd = self.folder(above, create=True)
            if self.here:
                os.close(self.here[1])
            self.here = above, fd
        return self.here[1], name or b"."

    def all(self, entries):
        for entry in entries:
            while self.open_folders and not self.inside(entry.path, self.open_folders[-1].path):
                self.guarded(self.finish, self.open_folders.pop())
            self.guarded(self.one, entry)
        while self.open_folders:
            self.guarded(self.finish, self.open_folders.pop())

    def inside(self, path, folder):
        return folder == b"" or path.startswith(folder + b"/")

    def guarded(self, act, entry):
        """One entry that cannot be restored does not keep the others from it."""
        try:
            act(entry)
        except Flaw as flaw:
            self.report.damage(printable(entry.path) or "root", flaw)
        except (OSError, OverflowError, ValueError) as error:
            self.report.say(f"{printable(entry.path) or 'root'} is not restored: {printable(str(error))}")

    def finish(self, entry):
        parent, name = self.parent(entry.path) if entry.path else (self.root, b".")
        self.dress(entry, parent, name)

    def one(self, entry):
        demand(entry.path or entry.kind == "folder", "broken", "the root is no folder")
        if entry.kind == "folder":
            if entry.path:
                parent, name = self.parent(entry.path)
                os.mkdir(name, 0o700, dir_fd=parent)
            self.open_folders.append(entry)
            return
        if entry.kind in ("character", "block") and os.geteuid() != 0:
            print(f"{printable(entry.path)}: devices are restored by root only", file=sys.stderr)
            return
        if entry.kind == "socket":
            print(f"{printable(entry.path)}: sockets are made by the programs that use them", file=sys.stderr)
            return
        parent, name = self.parent(entry.path)
        inode = entry.device, entry.inode, entry.kind
        if entry.links > 1 and inode in self.links and self.link(self.links[inode], parent, name):
            return
        self.create(entry, parent, name)
        if entry.links > 1:
            self.links[inode] = entry.path
        self.dress(entry, parent, name)

    def link(self, first, parent, name):
        above, _, old = first.rpartition(b"/")
        try:
            fd = self.folder(above)
            try:
                os.link(old, name, src_dir_fd=fd, dst_dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(fd)
        except OSError as error:
            self.report.say(f"{printable(first)} cannot be linked, and is restored again: {error.strerror}")
            return False
        return True

    def create(self, entry, parent, name):
        if entry.kind == "file":
            new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(name, new, 0o600, dir_fd=parent)
            try:
                self.fill(fd, entry)
            except BaseException:
                os.unlink(name, dir_fd=parent)          # no file is better than a wrong one
                raise
            finally:
                os.close(fd)
        elif entry.kind == "symlink":
            os.symlink(entry.target, name, dir_fd=parent)
        elif entry.kind == "fifo":
            os.mkfifo(name, 0o600, dir_fd=parent)
        else:
            kind = stat.S_IFCHR if entry.kind == "character" else stat.S_IFBLK
            os.mknod(name, 0o600 | kind, os.makedev(*entry.numbers), dir_fd=parent)

    def fill(self, fd, entry):
        extents = iter([(0, entry.length)] if entry.extents is None else entry.extents)
        at = room = 0
        for reference in content(self.packs, entry):
            data = memoryview(self.packs.chunk(DATA, reference))
            while data:
                if room == 0:
                    at, room = next(extents)
                written = os.pwrite(fd, data[:room], at)
                at, room, data = at + written, room - written, data[written:]
        os.ftruncate(fd, entry.length)

    def dress(self, entry, parent, name):
        """Owner, attributes, mode, time: in this order, as each may undo those behind it."""
        mode, owner = entry.mode, None
        if os.geteuid() == 0:
            owner = self.attempt(entry, os.chown, name, *owner_here(entry.owner), dir_fd=parent, follow_symlinks=False)
        for key, value in entry.xattrs:
            path = f"/proc/self/fd/{parent}/".encode() + name
            self.attempt(entry, os.setxattr, path, key, value, follow_symlinks=False)
        if entry.kind != "symlink":
            if not owner and entry.kind != "folder":
                mode &= ~0o6000                         # a program must not get the rights of whoever restores it
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                self.attempt(entry, os.chmod, f"/proc/self/fd/{fd}", mode)
            finally:
                os.close(fd)
        time = entry.mtime[0] * 1_000_000_000 + entry.mtime[1]
        self.attempt(entry, os.utime, name, ns=(time, time), dir_fd=parent, follow_symlinks=False)

    def attempt(self, entry, call, *arguments, **options):
        try:
            call(*arguments, **options)
            return True
        except (OSError, OverflowError, ValueError) as error:
            self.report.say(f"{printable(entry.path) or 'root'}: {call.__name__}: {printable(str(error))}")
            return False


def owner_here(owner):
    """Ids by name where this machine knows the name, as they are otherwise."""
    user, group, user_name, group_name = owner
    try:
        user = pwd.getpwnam(os.fsdecode(user_name)).pw_uid if user_name else user
    except (KeyError, ValueError):
        pass
    try:
        group = grp.getgrnam(os.fsdecode(group_name)).gr_gid if group_name else group
    except (KeyError, ValueError):
        pass
    return user, group


def restore(repository, text, destination):
    snapshot = repository.find(text)
    try:
        record = repository.record(snapshot)
    except Flaw as flaw:
        repository.report.damage(f"snapshot {snapshot.hex()}", flaw)
        return
    packs = repository.packs()
    entries = Listing(packs, repository.report).entries(record.root, record.level)
    Restore(packs, destination, repository.report).all(entries)


# ---------------------------------------------------------------- command line

def credential(options):
    """What opens the repository: a password, the 32 bytes of a key file, or the root key itself."""
    if options.recovery_key:
        try:
            return {"root": decode_recovery(options.recovery_key)}
        except Flaw:
            raise Stop(12, "this is no recovery key") from None
    with open(options.password_file or options.key_file, "rb") as file:
        data = file.read(1 << 20)
    if options.password_file:
        return {"password": re.sub(rb"\r?\n\Z", b"", data)}
    if len(data) != 32:
        digits = data.strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{64}", digits):
            raise Stop(12, "this is no key file")
        data = bytes.fromhex(digits.decode())
    return {"key_file": data}


def main(arguments):
    if arguments[:1] == ["vectors"] and len(arguments) == 2:
        import reader_vectors
        return reader_vectors.main(arguments[1])
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("repository")
    key = parser.add_mutually_exclusive_group(required=True)
    for name in ("--password-file", "--key-file", "--recovery-key"):
        key.add_argument(name)
    parser.add_argument("command", choices=("list", "restore"))
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args(arguments)
    if len(options.rest) != (2 if options.command == "restore" else 0):
        parser.error("SNAPSHOT and DEST go with restore")
    report = Report()
    try:
        repository = Repository(options.repository, credential(options), report)
        if options.command == "list":
            repository.list()
        else:
            restore(repository, *options.rest)
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 4 if report.said and stop.status == 1 else stop.status
    except OSError as error:                            # a listing that could not be finished, no key file
        print(printable(str(error)), file=sys.stderr)
        return 4
    return 4 if report.said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
