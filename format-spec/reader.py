#!/usr/bin/env python3
"""An independent reader of larder repositories, written from the pages beside it and nothing else.

    reader.py REPO --password-file F | --key-file F | --recovery-key K   list
    reader.py REPO ...                                                   restore SNAPSHOT DEST
    reader.py vectors DIR

It is meant to be read, and to be there when larder is not: it trusts nothing, keeps no index, and is slow. Restored are
content, modes, mtimes, symlinks, hard links, holes, FIFOs, attributes and, as root, owners and devices.
"""

import argparse
import datetime
import os
import pathlib
import struct
import sys

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

U32, U64 = 2**32 - 1, 2**64 - 1
KINDS = {1: "data", 2: "tree"}
TYPES = {1: "file", 2: "folder", 3: "symlink", 4: "fifo", 5: "socket", 6: "character", 7: "block"}
MASKS = [int(m, 16) for m in """18035100 1800035300 19000353000 590003530000 d90003530000 d90103530000 d90303530000
    d90313530000 d90f03530000 d90303537000 d90703537000 d90707537000 d91707537000 d91747537000 d91767537000
    d93767537000 d93777537000""".split()]  # MASKS[i - 7] is MASK[i] of chunks.md


class Refused(Exception):
    """Bytes that are not what they should be; says which flaw."""


def refuse_if(condition, flaw):
    if condition:
        raise Refused(flaw)


# Notation (README.md)


class Bytes:
    """Takes fields from bytes."""

    def __init__(self, data):
        self.data, self.at = bytes(data), 0

    def left(self):
        return len(self.data) - self.at

    def raw(self, n):
        refuse_if(n > self.left(), "truncated")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.raw(1)[0]

    def u32(self):
        return struct.unpack("<I", self.raw(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.raw(8))[0]

    def varint(self, limit=U64):
        value = 0
        for n in range(10):
            byte = self.u8()
            refuse_if(n == 9 and byte > 1, "broken")
            value |= (byte & 127) << 7 * n
            if byte < 128:
                refuse_if(byte == 0 and n > 0, "broken")
                refuse_if(value > limit, "limit")
                return value
        raise Refused("broken")

    def signed(self):
        v = self.varint()
        return v // 2 if v % 2 == 0 else -(v + 1) // 2

    def bytes(self, limit):
        return self.raw(self.varint(limit))

    def text(self, limit):
        return utf8(self.bytes(limit))

    def time(self):
        return self.signed(), self.varint(999_999_999)

    def count(self, limit):
        n = self.varint(limit)
        refuse_if(n > self.left(), "truncated")
        return n

    def list(self, limit, take):
        return [take() for _ in range(self.count(limit))]

    def choice(self, allowed):
        value = self.u8()
        refuse_if(value not in allowed, "unknown")
        return value

    def flag(self):
        return self.choice((0, 1)) == 1

    def head(self, magic):
        refuse_if(self.raw(8) != magic, "magic")
        refuse_if(self.u8() != 1, "version")

    def zeros(self, n):
        refuse_if(any(self.raw(n)), "broken")

    def end(self):
        refuse_if(self.left() > 0, "trailing")


def utf8(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refused("broken") from None


# Keys (keys.md)


def H(data, key=None):
    return blake3(data, key=key).digest() if key else blake3(data).digest()


def D(purpose, material, n=32):
    return blake3(material, derive_key_context=purpose).digest(length=n)


def open_aead(key, nonce, associated, sealed):
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise Refused("forged") from None


def hchacha20(key, nonce):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def turn(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & U32
            s[z] ^= s[x]
            s[z] = (s[z] << n | s[z] >> 32 - n) & U32

    for _ in range(10):
        for i in range(4):
            turn(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            turn(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def open_small(key, nonce, associated, sealed):
    """XChaCha20-Poly1305."""
    return open_aead(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], associated, sealed)


def check_signature(public, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Refused("forged") from None


class Keys:
    def __init__(self, root):
        def key(name):
            return D("larder v1 " + name, root)
        self.id = {"data": key("data id"), "tree": key("tree id")}
        self.snapshot_id, self.series_id, self.gear, self.page = map(key, ("snapshot id", "series id", "gear", "page"))
        self.structure, self.shared = key("structure"), key("pre-shared")
        self.read = X25519PrivateKey.from_private_bytes(key("read key"))
        self.read_public = self.read.public_key().public_bytes_raw()
        self.owner_public = Ed25519PrivateKey.from_private_bytes(key("owner key")).public_key().public_bytes_raw()
        self.writer = D("larder v1 writer id", self.owner_public, 16)
        self.log = D("larder v1 log entry", self.structure)
        self.runs = {}

    def pack_key(self, repository, run_public, salt, commitment):
        if (repository, run_public) not in self.runs:
            try:
                shared = self.read.exchange(X25519PublicKey.from_public_bytes(run_public))
            except ValueError:  # a shared secret of zeros
                raise Refused("forged") from None
            material = shared + self.shared + run_public + self.read_public + repository
            self.runs[repository, run_public] = D("larder v1 run", material)
        both = D("larder v1 pack", self.runs[repository, run_public] + salt, 64)
        refuse_if(both[32:] != commitment, "wrong-key")
        return both[:32]

    def gear_table(self):
        return struct.unpack("<256Q", D("larder v1 gear table", self.gear, 2048))


def open_block(key, repository, salt, ordinal, nonce, kinds, length, sealed):
    """`kinds`: codes of pack kind, block kind, codec."""
    associated = b"larder v1 block\0" + repository + salt + struct.pack("<I3BI", ordinal, *kinds, length)
    return open_small(key, nonce, associated, sealed)


def decode_slot(data):
    b = Bytes(data)
    b.head(b"LARDSLOT")
    b.zeros(7)
    slot = {"repository": b.raw(16), "slot": b.raw(16), "created": b.time(), "label": b.text(256)}
    slot["stretching"] = None
    if b.choice((0, 1)) == 1:
        memory, passes, lanes = slot["stretching"] = b.varint(U32), b.varint(U32), b.varint(U32)
        fine = 16_384 <= memory <= 1_048_576 and 1 <= passes <= 64 and 1 <= lanes <= 16
        refuse_if(not fine, "broken")
    slot |= {"salt": b.raw(32), "commitment": b.raw(32), "nonce": b.raw(24)}
    slot |= {"head": b.data[:b.at], "sealed": b.raw(48)}
    b.end()
    return slot


def open_slot(slot, credential):
    if slot["stretching"]:
        memory, passes, lanes = slot["stretching"]
        kdf = Argon2id(salt=slot["salt"], length=32, iterations=passes, lanes=lanes, memory_cost=memory)
        material = kdf.derive(credential)
    else:
        material = D("larder v1 key file", slot["salt"] + credential)
    both = D("larder v1 slot", material, 64)
    refuse_if(both[32:] != slot["commitment"], "wrong-key")
    return open_small(both[:32], slot["nonce"], slot["head"], slot["sealed"])


def read_recovery(text):
    prefix, text = "larder-recovery-1-", text.strip()
    refuse_if(not text.startswith(prefix), "broken")
    digits, _, check = text[len(prefix):].rpartition("-")
    try:
        root = bytes.fromhex(digits.replace("-", ""))
    except ValueError:
        raise Refused("broken") from None
    refuse_if(len(root) != 32 or D("larder v1 recovery check", root, 2).hex() != check, "broken")
    return root


# Objects (objects.md)


def sizes_allowed(low, average, high):
    return (64 <= low <= average <= high <= 8_388_608 and 256 <= average <= 4_194_304
            and average & (average - 1) == 0 and low % 2 == 0 and high % 2 == 0)


def decode_config(data, keys):
    b = Bytes(data)
    b.head(b"LARDCONF")
    b.zeros(7)
    config = {"repository": b.raw(16), "created": b.time(), "sizes": (b.varint(U32), b.varint(U32), b.varint(U32))}
    refuse_if(not sizes_allowed(*config["sizes"]), "broken")
    config |= {"zone": b.text(128), "week": {1: "monday", 2: "sunday"}[b.choice((1, 2))]}
    config |= {"read": b.raw(32), "owner": b.raw(32), "extension": b.bytes(4096)}
    signed, signature = b.data[:b.at], b.raw(64)
    b.end()
    if keys:
        refuse_if((config["read"], config["owner"]) != (keys.read_public, keys.owner_public), "foreign")
        check_signature(keys.owner_public, b"larder v1 config signature\0" + signed, signature)
    return config


def is_hex(text, n):
    return len(text) == n and all(c in "0123456789abcdef" for c in text)


def object_of_name(name):
    parts = name.split("/")
    if name in ("config", "config.copy"):
        return ("config",)
    if len(parts) == 2 and parts[0] == "keys" and is_hex(parts[1].removesuffix(".copy"), 32):
        return "slot", parts[1].removesuffix(".copy")
    if len(parts) == 2 and parts[0] == "log" and is_hex(parts[1], 16) and 1 <= int(parts[1], 16) <= 2**48:
        return "log", int(parts[1], 16)
    if len(parts) == 3 and parts[0] == "packs" and is_hex(parts[2], 64) and parts[1] == parts[2][:2]:
        return "pack", parts[2]
    raise Refused("unknown")


# Chunks (chunks.md)


def cut(s, low, average, high, gear):
    n, bits = min(len(s), high), average.bit_length() - 1
    if len(s) <= low:
        return len(s)
    small, large = MASKS[bits + 1 - 7], MASKS[bits - 1 - 7]
    centre, value = min(average, n), 0
    for a in range(low, n - 1, 2):
        mask = small if a < centre // 2 * 2 else large
        value = ((value << 2) + (gear[s[a]] << 1)) & U64
        if value & (mask << 1 & U64) == 0:
            return a
        value = (value + gear[s[a + 1]]) & U64
        if value & mask == 0:
            return a + 1
    return n


# Packs (packs.md)


def decode_preamble(data):
    b = Bytes(data)
    b.head(b"LARDPACK")
    p = {"kind": b.choice(KINDS)}
    b.zeros(2)
    p |= {"directory": b.u32(), "body": b.u64(), "repository": b.raw(16), "writer": b.raw(16)}
    p |= {"run": b.raw(32), "salt": b.raw(24), "commitment": b.raw(32)}
    b.zeros(16)
    refuse_if(p["directory"] > 16_777_216 or p["body"] > 67_108_864, "limit")
    refuse_if(p["body"] < 160 + p["directory"], "broken")
    return p


def decode_directory(data, pack):
    """Blocks: (kind, codec, length, sealed length, offset behind the directory, [(name, length)], nonce)."""
    b, blocks, total, offset = Bytes(data), [], 0, 0
    longest = 8_388_608 if pack == "data" else 4_194_304
    for _ in range(b.count(65_536)):
        kind, codec = b.choice((0, 1)), b.choice((0, 1))
        length, sealed = b.varint(16_777_216), b.varint(16_777_280)
        refuse_if(sealed < 16 or (codec == 0 and sealed != length + 16), "broken")
        nonce, chunks, left = b.raw(24), [], length
        for _ in range(b.count(262_144 - total)):
            chunks.append(take_chunk(b, min(left, longest)))
            left -= chunks[-1][1]
        refuse_if((kind == 0 and left > 0) or (kind == 1 and (chunks or pack == "data")), "broken")
        blocks.append((kind, codec, length, sealed, offset, chunks, nonce))
        total, offset = total + len(chunks), offset + sealed
    refuse_if(b.left() >= 512 or len(data) % 512 != 0, "broken")
    refuse_if(any(b.raw(b.left())), "trailing")
    return blocks


def unpack(data, length):
    """Exactly one zstd frame that states its length."""
    try:
        refuse_if(data[:4] != b"\x28\xb5\x2f\xfd", "broken")
        refuse_if(zstandard.frame_content_size(data) != length, "broken")
        one = zstandard.ZstdDecompressor(max_window_size=2**24).decompressobj()
        out = one.decompress(data)
    except zstandard.ZstdError:
        raise Refused("broken") from None
    refuse_if(not one.eof or one.unused_data or len(out) != length, "broken")
    return out


class Pack:
    """An object of `length` bytes, read through `read(offset, n)`; blocks are opened one by one."""

    def __init__(self, keys, repository, length, read):
        self.keys, self.repository, self.read = keys, repository, read
        head = read(0, 160)
        self.preamble = p = decode_preamble(head)
        refuse_if(p["repository"] != repository, "foreign")
        refuse_if(length < p["body"], "truncated")
        self.kind = KINDS[p["kind"]]
        key, sealed = D("larder v1 directory", keys.structure + p["salt"]), read(160, p["directory"])
        refuse_if(len(sealed) < 24, "forged")
        self.blocks = decode_directory(open_small(key, sealed[:24], head, sealed[24:]), self.kind)
        self.start = 160 + p["directory"]
        refuse_if(self.start + sum(block[3] for block in self.blocks) != p["body"], "broken")
        self.key = keys.pack_key(repository, p["run"], p["salt"], p["commitment"])

    def block(self, ordinal):
        """The content of a block, every chunk's name checked."""
        kind, codec, length, sealed, offset, chunks, nonce = self.blocks[ordinal]
        kinds = self.preamble["kind"], kind, codec
        sealed = self.read(self.start + offset, sealed)
        data = open_block(self.key, self.repository, self.preamble["salt"], ordinal, nonce, kinds, length, sealed)
        data = unpack(data, length) if codec == 1 else data
        at = 0
        for name, n in chunks:
            refuse_if(H(data[at:at + n], self.keys.id[self.kind]) != name, "broken")
            at += n
        return data


# Listings (listing.md)


def check_path(path):
    names = path.split(b"/") if path else []
    refuse_if(len(path) > 65_536, "limit")
    bad = any(n in (b"", b".", b"..") or len(n) > 255 or 0 in n for n in names)
    refuse_if(bad, "broken")
    refuse_if(len(names) > 4096, "limit")
    return path


def order(path):
    return path.replace(b"/", b"\0")


def take_path(b, before):
    shared = b.varint(len(before))
    return check_path(before[:shared] + b.bytes(65_536))


def take_chunk(b, limit=8_388_608):
    name, length = b.raw(32), b.varint(limit)
    refuse_if(length == 0, "broken")
    return name, length


def take_page(b, level):
    name, length = take_chunk(b, 4_194_304)
    return {"level": level, "name": name, "length": length, "bytes": b.varint(), "chunks": b.varint()}


def take_extents(b, length):
    extents, at = [], 0
    for n in range(b.count(65_536)):
        gap, size = b.varint(), b.varint()
        refuse_if(at + gap + size > length or size == 0 or (n > 0 and gap == 0), "broken")
        extents.append((at + gap, size))
        at += gap + size
    return extents


def take_file(b, flags, e):
    e["length"] = b.varint()
    if flags & 16:
        level = b.u8()
        refuse_if(level > 11, "unknown")
        e["pages"] = take_page(b, level)
        have = e["pages"]["bytes"]
    else:
        e["chunks"] = b.list(1024, lambda: take_chunk(b))
        have = sum(length for _, length in e["chunks"])
    e["extents"] = take_extents(b, e["length"]) if flags & 4 else None
    extents = [(0, e["length"])] if e["extents"] is None else e["extents"]
    refuse_if(have != sum(size for _, size in extents), "broken")


def take_xattrs(b):
    xattrs = b.list(1024, lambda: (b.bytes(255), b.bytes(65_536)))
    names = [name for name, _ in xattrs]
    refuse_if(names != sorted(set(names)) or any(not name or 0 in name for name in names), "broken")
    return xattrs


def take_entry(b, before):
    code, flags = b.u8(), b.varint()
    refuse_if(flags > 127, "unknown")
    e = {"path": take_path(b, before["path"] if before else b""), "mode": b.varint(0o7777)}
    if flags & 1:
        refuse_if(before is None, "broken")
        e["owner"] = before["owner"]
    else:
        e["owner"] = b.varint(U32), b.varint(U32), b.bytes(256), b.bytes(256)
    e |= {"mtime": b.time(), "ctime": b.time(), "inode": b.varint(), "device": b.varint(), "links": b.varint()}
    refuse_if(code != 1 and flags & 20, "broken")
    refuse_if(code not in TYPES, "unknown")
    e["type"] = TYPES[code]
    if code == 1:
        take_file(b, flags, e)
    elif code == 3:
        e["target"] = b.bytes(4096)
        refuse_if(not e["target"] or 0 in e["target"], "broken")
    elif code in (6, 7):
        e["number"] = b.varint(U32), b.varint(U32)
    e["xattrs"] = take_xattrs(b) if flags & 2 else []
    e["stamp"] = b.bytes(1024) if flags & 32 else b""
    if flags & 64:
        b.bytes(1024)
    e["unstable"] = bool(flags & 8)
    return e


def take_level(b):
    level = b.u8()
    refuse_if(not 1 <= level <= 11, "unknown")
    return level


def decode_listing(data):
    """(level, entries or items)."""
    b, found, level = Bytes(data), [], 0
    kind = b.u8()
    refuse_if(kind not in (1, 2), "magic")
    if kind == 2:
        level = take_level(b)
    for _ in range(b.count(1024 if level else 65_536)):
        before = found[-1] if found else None
        if level:
            item = {"path": take_path(b, before["path"] if before else b""), "page": take_chunk(b, 4_194_304)}
            item["entries"] = b.varint()
        else:
            item = take_entry(b, before)
        refuse_if(before and order(before["path"]) >= order(item["path"]), "broken")
        found.append(item)
    b.end()
    return level, found


def decode_content(data):
    """(level, chunks or pages)."""
    b, level = Bytes(data), 0
    kind = b.u8()
    refuse_if(kind not in (3, 4), "magic")
    if kind == 4:
        level = take_level(b)
    found = b.list(1024, lambda: take_page(b, level - 1) if level else take_chunk(b))
    b.end()
    return level, found


# The log (log.md)


def decode_head(data):
    b = Bytes(data)
    b.head(b"LARDLOGE")
    b.zeros(7)
    return {"repository": b.raw(16), "number": b.u64(), "nonce": b.raw(24)}


def is_tag(tag):
    control = any(ord(c) < 32 or 127 <= ord(c) < 160 for c in tag)
    # str.isspace counts U+001C to U+001F, which are control characters anyway.
    return 0 < len(tag.encode()) <= 128 and "," not in tag and not control and not any(c.isspace() for c in tag)


def take_tags(b):
    def take():
        tag = b.text(128)
        refuse_if(not is_tag(tag), "broken")
        return tag
    return b.list(64, take)


def decode_body(data):
    b = Bytes(data)

    def packs():
        return b.list(262_144, lambda: b.raw(32))

    def named():
        return b.list(262_144, lambda: (*take_chunk(b, 67_108_864), KINDS[b.choice(KINDS)]))

    body = {"previous": b.raw(32), "token": b.raw(16), "writer": b.raw(16), "time": b.time()}
    code = b.choice(range(1, 9))
    body["action"] = (None, "snapshot", "tag", "untag", "note", "condemn", "sweep", "repack", "key")[code]
    if code == 1:
        body |= {"snapshot": b.raw(32), "series": b.raw(32), "started": b.time(), "complete": b.flag()}
        body |= {"tags": take_tags(b), "packs": named(), "rescue": packs(), "record": b.bytes(1_048_576)}
    elif code in (2, 3):
        changes = b.list(65_536, lambda: (b.raw(32), take_tags(b), take_tags(b)))
        body |= {"changes": changes, "rescue": packs()}
    elif code == 4:
        body |= {"snapshot": b.raw(32), "name": b.text(65_536), "value": b.text(65_536)}
    elif code in (5, 6):
        body["condemned" if code == 5 else "swept"] = packs()
    elif code == 7:
        body |= {"packs": named(), "condemned": packs()}
    else:
        body |= {"slot": b.raw(16), "change": {1: "added", 2: "removed"}[b.choice((1, 2))]}
    body["extension"] = b.bytes(4096)
    b.end()
    return body


def open_entry(data, keys, repository, number):
    head = decode_head(data)
    refuse_if(head["repository"] != repository, "foreign")
    refuse_if(head["number"] != number, "broken")
    opened = open_small(keys.log, head["nonce"], data[:64], data[64:])
    refuse_if(len(opened) < 64, "truncated")
    body = decode_body(opened[:-64])
    refuse_if(body["writer"] != keys.writer, "forged")
    message = b"larder v1 log signature\0" + repository + struct.pack("<Q", number) + opened[:-64]
    check_signature(keys.owner_public, message, opened[-64:])
    return body


def decode_record(data):
    b = Bytes(data)
    refuse_if(b.u8() != 1, "version")
    r = {"source": b.text(4096), "host": b.text(4096), "user": b.text(4096)}
    r |= {"paths": b.list(4096, lambda: b.bytes(65_536)), "description": b.text(4096)}
    r |= {"started": b.time(), "ended": b.time(), "complete": b.flag()}
    r["parent"] = b.raw(32) if b.flag() else b""
    r["page"] = take_chunk(b, 4_194_304)
    r["level"] = b.u8()
    refuse_if(r["level"] > 11, "unknown")
    r |= {"entries": b.varint(), "counts": [b.varint() for _ in range(8)], "unique": b.raw(16)}
    r |= {"program": b.text(4096), "extension": b.bytes(4096)}
    b.end()
    return r


def open_envelope(data, keys, repository, snapshot):
    b = Bytes(data)
    run, salt, commitment, nonce, length = b.raw(32), b.raw(24), b.raw(32), b.raw(24), b.u32()
    b.zeros(4)
    key = keys.pack_key(repository, run, salt, commitment)
    record = open_block(key, repository, salt, 0, nonce, (0, 1, 0), length, b.raw(b.left()))
    refuse_if(len(record) != length or H(record, keys.snapshot_id) != snapshot, "broken")
    return decode_record(record)


def entry_differs(body, record, keys):
    """Whether an entry says other than the record of its snapshot."""
    source, host = record["source"].encode(), record["host"].encode()
    series = H(struct.pack("<Q", len(source)) + source + host, keys.series_id)
    own = series, record["started"], record["complete"]
    return own != (body["series"], body["started"], body["complete"])


class State:
    """What exists, as the log says."""

    def __init__(self):
        self.snapshots, self.packs, self.problems = {}, {}, []  # id -> (entry, tags); id -> [fate, length, kind]

    def name(self, packs):
        for pack, length, kind in packs:
            fate, known, _ = self.packs.get(pack, ("live", None, None))
            if known is None:
                self.packs[pack] = [fate, length, kind]

    def move(self, packs, before, after):
        for pack in packs:
            if pack in self.packs and self.packs[pack][0] == before:
                self.packs[pack][0] = after

    def apply(self, number, body):
        self.name(body.get("packs", []))
        self.move(body.get("rescue", []), "condemned", "live")
        for pack in body.get("condemned", []):
            self.packs.setdefault(pack, ["live", None, None])
        self.move(body.get("condemned", []), "live", "condemned")
        self.move(body.get("swept", []), "condemned", "swept")
        if body["action"] == "snapshot":
            if body["snapshot"] in self.snapshots:
                self.problems.append(number)
            else:
                self.snapshots[body["snapshot"]] = body, set(body["tags"])
        for snapshot, add, remove in body.get("changes", []):
            if snapshot in self.snapshots:
                tags = self.snapshots[snapshot][1]
                tags.difference_update(remove)
                tags.update(add)


# A repository in a folder


class Repository:
    def __init__(self, folder, credential):
        self.folder, self.cache = pathlib.Path(folder), {}
        self.unlock(*credential)
        self.read_log()
        self.read_packs()

    def copies(self, names, decode):
        """What each copy that is there and sound holds."""
        found = []
        for name in names:
            try:
                found.append(decode((self.folder / name).read_bytes()))
            except FileNotFoundError:
                complain(f"{name} is missing")
            except Refused as flaw:
                complain(f"{name} is damaged: {flaw}")
        return found

    def unlock(self, means, credential):
        names = ("config", "config.copy")
        for config in self.copies(names, lambda data: decode_config(data, None)):
            self.id = config["repository"]
            for root in [credential] if means == "recovery" else self.open_slots(means, credential):
                self.keys = Keys(root)
                if self.copies(names, lambda data: decode_config(data, self.keys)):
                    return
        raise SystemExit("no config, or nothing that this opens")

    def open_slots(self, means, credential):
        slots = {path.name.removesuffix(".copy") for path in (self.folder / "keys").iterdir()}
        slots, taken = sorted(name for name in slots if is_hex(name, 32)), 0
        for slot in slots[:4096]:
            copies = self.copies((f"keys/{slot}", f"keys/{slot}.copy"), decode_slot)
            own = [found for found in copies if found["repository"] == self.id and found["slot"].hex() == slot]
            taken += bool(own)
            if taken > 64:
                complain(f"key slots from {slot} on are ignored: there are too many")
                return
            for found in own:
                if (means == "password") != bool(found["stretching"]):
                    continue
                try:
                    yield open_slot(found, credential)
                except Refused as flaw:
                    if str(flaw) != "wrong-key":
                        complain(f"key slot {slot} is damaged: {flaw}")
        if len(slots) > 4096:
            complain(f"{len(slots) - 4096} key slots are ignored: there are too many")

    def fetch_log(self):
        """Number -> (hash, body, flaw), and the head."""
        fetched, head = {}, 0
        for path in (self.folder / "log").iterdir():
            try:
                number = object_of_name(f"log/{path.name}")[1]
            except Refused:
                continue
            data = path.read_bytes()
            try:
                refuse_if(len(data) > 16_777_216, "limit")
                fetched[number] = H(data), open_entry(data, self.keys, self.id, number), None
                head = max(head, number)
            except Refused as flaw:
                fetched[number] = H(data), None, str(flaw)
        while head + 1 in fetched:
            head += 1
        return fetched, head

    def read_log(self):
        self.state, previous, after_problem = State(), bytes(32), False
        fetched, head = self.fetch_log()
        for number in range(1, head + 1):
            here, body, flaw = fetched.get(number, (bytes(32), None, "missing"))
            if flaw:
                complain(f"log entry {number}: {flaw}")
            else:
                if body["previous"] != previous and not after_problem:
                    complain(f"log entry {number} does not follow the one before")
                self.state.apply(number, body)
            previous, after_problem = here, bool(flaw)
        for number in sorted(number for number in fetched if head < number <= head + 1024):
            complain(f"log entry {number}: {fetched[number][2]}, and entries before it are missing")

    def read_packs(self):
        """Reads all directories: where each chunk is."""
        self.packs, self.places = {}, {}
        for path in sorted((self.folder / "packs").glob("*/*")):
            try:
                object_of_name(f"packs/{path.parent.name}/{path.name}")
            except Refused:
                continue
            pack = bytes.fromhex(path.name)
            if self.state.packs.get(pack, ["live"])[0] == "swept":
                continue
            try:
                self.packs[pack] = found = Pack(self.keys, self.id, path.stat().st_size, reader_of(path))
            except Refused as flaw:
                complain(f"pack {path.name}: {flaw}")
                continue
            for ordinal, block in enumerate(found.blocks):
                at = 0
                for name, length in block[5]:
                    self.places.setdefault((found.kind, name), []).append((pack, ordinal, at, length))
                    at += length

    def chunk(self, kind, name, length):
        flaw = "missing"
        for pack, ordinal, at, found in self.places.get((kind, name), []):
            try:
                if (pack, ordinal) not in self.cache:
                    while len(self.cache) >= 8:
                        self.cache.pop(next(iter(self.cache)))
                    self.cache[pack, ordinal] = self.packs[pack].block(ordinal)
                refuse_if(found != length, "broken")
                return self.cache[pack, ordinal][at:at + length]
            except Refused as refused:
                flaw = str(refused)
        raise Refused(f"{kind} chunk {name.hex()}: {flaw}")

    def entries(self, page, level, first=None):
        found, items = decode_listing(self.chunk("tree", *page))
        refuse_if(found != level, "broken")
        refuse_if(first is not None and (not items or items[0]["path"] != first), "broken")
        for item in items:
            if level == 0:
                yield item
            else:
                yield from self.entries(item["page"], level - 1, item["path"])

    def chunks(self, entry):
        if "chunks" in entry:
            yield from entry["chunks"]
        else:
            yield from self.chunks_under(entry["pages"])

    def chunks_under(self, page):
        level, items = decode_content(self.chunk("tree", page["name"], page["length"]))
        refuse_if(level != page["level"], "broken")
        have = [(i["bytes"], i["chunks"]) if level else (i[1], 1) for i in items]
        refuse_if([sum(column) for column in zip(*have)] != [page["bytes"], page["chunks"]], "broken")
        for item in items:
            if level == 0:
                yield item
            else:
                yield from self.chunks_under(item)

    def records(self):
        """(id, tags, record) of every snapshot, in the order of the log."""
        for snapshot, (body, tags) in self.state.snapshots.items():
            try:
                record = open_envelope(body["record"], self.keys, self.id, snapshot)
            except Refused as flaw:
                complain(f"snapshot {snapshot.hex()}: {flaw}")
                continue
            if entry_differs(body, record, self.keys):
                complain(f"snapshot {snapshot.hex()}: its log entry says other than its record")
            yield snapshot.hex(), tags, record


complaints = []


def complain(text):
    complaints.append(text)
    print(text, file=sys.stderr)


def reader_of(path):
    def read(offset, n):
        with open(path, "rb") as file:
            file.seek(offset)
            data = file.read(n)
        refuse_if(len(data) < n, "truncated")
        return data
    return read


# Restoring


def restore(repository, record, target):
    """Puts a snapshot into an empty folder."""
    target, links, folders, linkless, last = os.fsencode(target), {}, [], set(), None
    os.makedirs(target, exist_ok=True)
    if os.listdir(target):
        raise SystemExit("the target is not empty")
    for e in repository.entries(record["page"], record["level"]):
        path = os.path.join(target, e["path"]) if e["path"] else target
        key = e["device"], e["inode"]
        try:
            refuse_if(last is not None and order(last) >= order(e["path"]), "broken")
            last = e["path"]
            # Folders may be missing from a listing, and what is no folder is never gone through.
            above = b""
            for name in e["path"].split(b"/")[:-1]:
                above = os.path.join(above, name)
                refuse_if(above in linkless, "broken")
                os.makedirs(os.path.join(target, above), exist_ok=True)
            if e["type"] == "folder":
                os.makedirs(path, exist_ok=True)
                folders.append((path, e))
                continue
            linkless.add(e["path"])
            if e["links"] > 1 and key in links:
                os.link(links[key], path, follow_symlinks=False)
                continue
            if make(repository, path, e):
                links[key] = path
                put_metadata(path, e)
        except (Refused, OSError) as error:
            complain(f"{os.fsdecode(e['path'])}: {error}")
    for path, e in reversed(folders):
        put_metadata(path, e)


def make(repository, path, e):
    if e["type"] == "file":
        with open(path, "xb") as file:
            write_content(repository, file, e)
    elif e["type"] == "symlink":
        os.symlink(e["target"], path)
    elif e["type"] == "fifo":
        os.mkfifo(path)
    elif e["type"] in ("character", "block") and os.geteuid() == 0:
        os.mknod(path, 0o020000 if e["type"] == "character" else 0o060000, os.makedev(*e["number"]))
    else:
        complain(f"{os.fsdecode(e['path'])}: a {e['type']} is not restored")
        return False
    return True


def write_content(repository, file, e):
    extents = iter([(0, e["length"])] if e["extents"] is None else e["extents"])
    left = 0
    for name, length in repository.chunks(e):
        data = memoryview(repository.chunk("data", name, length))
        while data:
            if left == 0:
                offset, left = next(extents)
                file.seek(offset)
            n = file.write(data[:left])
            data, left = data[n:], left - n
    file.truncate(e["length"])


def put_metadata(path, e):
    link = e["type"] == "symlink"
    for name, value in e["xattrs"]:
        try:
            os.setxattr(path, name, value, follow_symlinks=False)
        except OSError as error:
            complain(f"{os.fsdecode(e['path'])}: {os.fsdecode(name)}: {error}")
    if os.geteuid() == 0:
        os.chown(path, e["owner"][0], e["owner"][1], follow_symlinks=False)
    if not link:
        os.chmod(path, e["mode"])
    mtime = e["mtime"][0] * 1_000_000_000 + e["mtime"][1]
    os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


# The command line


def main():
    if sys.argv[1:2] == ["vectors"] and len(sys.argv) == 3:
        import reader_vectors
        return reader_vectors.check(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo")
    means = parser.add_mutually_exclusive_group(required=True)
    means.add_argument("--password-file", type=pathlib.Path)
    means.add_argument("--key-file", type=pathlib.Path)
    means.add_argument("--recovery-key")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="one line for each snapshot that a tag holds")
    verb = verbs.add_parser("restore", help="put a snapshot into an empty folder")
    verb.add_argument("snapshot", help="the beginning of its id, or `latest`")
    verb.add_argument("target")
    options = parser.parse_args()
    repository = Repository(options.repo, credential_of(options))
    if options.verb == "list":
        for snapshot, tags, r in repository.records():
            if tags:
                time = datetime.datetime.fromtimestamp(r["started"][0], datetime.timezone.utc).isoformat()
                print(snapshot, time, r["source"] or "-", r["host"] or "-", ",".join(sorted(tags)), sep="\t")
    else:
        live = [(snapshot, record) for snapshot, tags, record in repository.records() if tags]
        wanted = live[-1:] if options.snapshot == "latest" else [s for s in live if s[0].startswith(options.snapshot)]
        if len(wanted) != 1:
            raise SystemExit(f"{len(wanted)} snapshots of that name")
        restore(repository, wanted[0][1], options.target)


def credential_of(options):
    if options.recovery_key:
        return "recovery", read_recovery(options.recovery_key)
    if options.key_file:
        data = options.key_file.read_bytes()
        return "keyfile", data if len(data) == 32 else bytes.fromhex(data.decode().strip())
    return "password", options.password_file.read_bytes().removesuffix(b"\n").removesuffix(b"\r")


if __name__ == "__main__":
    sys.exit(main() or (4 if complaints else 0))
