"""Checks reader.py against the test vectors, which README.md of the pages describes. Written from the pages, too."""

import os
import sys

import reader
from reader import DATA, D, H, TREE, Bytes, Fields, Flaw, demand, keyed

BLOCK_KINDS, CODECS = {0: "chunks", 1: "record"}, {0: "raw", 1: "zstd"}
YES = {False: "no", True: "yes"}


def parse(path):
    """The fields of a vector; each value is a list of lines."""
    fields, lines = {}, None
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file.read().split("\n"):
            if line.startswith("  "):
                lines.append(line[2:])
            elif line and not line.startswith("#"):
                name, _, value = line.partition(":")
                lines = fields[name] = [value.strip(" ")] if value.strip(" ") else []
    return fields


class Vector:
    def __init__(self, fields):
        self.fields = fields
        self.data = self.hex("bytes") if "bytes" in fields else None

    def text(self, name):
        return "".join(self.fields[name])

    def hex(self, name):
        return bytes.fromhex(self.text(name))

    def number(self, name):
        return int(self.text(name))

    def keys(self):
        return reader.Keys(self.hex("root"))


def h(data):
    return data.hex() or "-"


def t(text):
    return text or "-"


def when(time):
    return f"{time[0]}.{time[1]:09}"


def plain(read, name="value"):
    """For a kind that is one field of the notation."""
    def say(v):
        b = Bytes(v.data)
        value = read(b)
        b.end()
        return [f"{name} {value}"]
    return say


def say_time(v):
    b = Bytes(v.data)
    seconds, nanos = b.time()
    b.end()
    return [f"seconds {seconds}", f"nanos {nanos}"]


# ---------------------------------------------------------------- objects, keys, chunks

def say_config(v):
    c = reader.decode_config(v.data)
    reader.check_config(c, v.keys())
    return [f"repository {h(c.repository)}", f"created {when(c.created)}", "sizes {} {} {}".format(*c.sizes),
            f"zone {t(c.zone)}", "week " + ("monday", "sunday")[c.week - 1], f"read {h(c.read)}", f"owner {h(c.owner)}",
            f"extension {h(c.extension)}"]


def say_name(v):
    try:
        kind, value = reader.object_of(v.data.decode("ascii"))
    except UnicodeDecodeError:
        raise Flaw("unknown") from None
    return [kind if value is None else f"{kind} {h(value) if isinstance(value, bytes) else value}"]


def say_hierarchy(v):
    k = reader.Keys(v.data)
    series = (6).to_bytes(8, "little") + b"larder" + b"host"
    said = {"data-id": k.data_id, "tree-id": k.tree_id, "snapshot-id": k.snapshot_id, "series-id": k.series_id,
            "gear": k.gear, "page": k.page, "structure": k.structure, "pre-shared": k.pre_shared,
            "read-public": k.read_public, "owner-public": k.owner_public, "writer": k.writer,
            "data-chunk": k.chunk_name(DATA, b"larder"), "tree-chunk": k.chunk_name(TREE, b"larder"),
            "snapshot": keyed(k.snapshot_id, b"larder"), "series": keyed(k.series_id, series)}
    return [f"{name} {h(value)}" for name, value in said.items()]


def say_recovery(v):
    try:
        return [f"root {h(reader.decode_recovery(v.data.decode('utf-8')))}"]
    except UnicodeDecodeError:
        raise Flaw("broken") from None


def say_slot(v):
    password = v.hex("password") if "password" in v.fields else None
    key_file = v.hex("keyfile") if "keyfile" in v.fields else None
    s = reader.decode_slot(v.data, v.hex("repository"), v.hex("slot"))
    root = reader.unlock(s, password, key_file)
    stretching = f"argon2id {s.memory} {s.passes} {s.lanes}" if s.stretching else "none"
    return [f"repository {h(s.repository)}", f"slot {h(s.slot)}", f"created {when(s.created)}", f"label {t(s.label)}",
            f"stretching {stretching}", f"salt {h(s.salt)}", f"commitment {h(s.commitment)}", f"nonce {h(s.nonce)}",
            f"root {h(root)}"]


def say_block(v):
    repository, salt = v.hex("repository"), v.hex("salt")
    key = v.keys().pack_key(repository, v.hex("run_public"), salt, v.hex("commitment"))
    block = Fields(kind=v.number("block_kind"), codec=v.number("codec"), length=v.number("raw_bytes"),
                   nonce=v.hex("nonce"))
    opened = reader.open_block(key, repository, salt, v.number("ordinal"), v.number("pack_kind"), block, v.data)
    return [f"plaintext {h(opened)}"]


def say_small(v):
    return [f"plaintext {h(reader.open_small(v.hex('key'), v.hex('nonce'), v.data, v.hex('associated')))}"]


def gear_table(root):
    table = D("larder v1 gear table", reader.Keys(root).gear, 2048)
    return table, [int.from_bytes(table[at:at + 8], "little") for at in range(0, 2048, 8)]


def say_gear(v):
    table, words = gear_table(v.data)
    return [f"first {words[0]:016x}", f"last {words[255]:016x}", f"hash {h(H(table))}"]


MASKS = dict(enumerate((
    0x0000000018035100, 0x0000001800035300, 0x0000019000353000, 0x0000590003530000, 0x0000d90003530000,
    0x0000d90103530000, 0x0000d90303530000, 0x0000d90313530000, 0x0000d90f03530000, 0x0000d90303537000,
    0x0000d90703537000, 0x0000d90707537000, 0x0000d91707537000, 0x0000d91747537000, 0x0000d91767537000,
    0x0000d93767537000, 0x0000d93777537000), start=7))


def cut(s, least, average, largest, gear):
    """The length of the first chunk of s."""
    bits = average.bit_length() - 1
    small, large = MASKS[bits + 1], MASKS[bits - 1]
    n = min(len(s), largest)
    if len(s) <= least:
        return len(s)
    centre, value = min(average, n) // 2 * 2, 0
    for a in range(least, n - 1, 2):
        mask = small if a < centre else large
        value = (value << 2) + (gear[s[a]] << 1) & 2**64 - 1
        if value & (mask << 1) == 0:
            return a
        value = value + gear[s[a + 1]] & 2**64 - 1
        if value & mask == 0:
            return a + 1
    return n


def say_cuts(v):
    sizes = v.number("min"), v.number("avg"), v.number("max")
    reader.check_sizes(*sizes)
    _, gear = gear_table(v.hex("root"))
    rest, said = v.data, []
    while rest:
        length = cut(rest, *sizes, gear)
        said.append(f"cut {length}")
        rest = rest[length:]
    return said


def say_chunk(v):
    kind = {"data": DATA, "tree": TREE}[v.text("chunk")]
    demand(v.keys().chunk_name(kind, v.data) == v.hex("id"), "broken")
    return [f"bytes {len(v.data)}"]


# ---------------------------------------------------------------- packs

def say_preamble(v):
    p = reader.decode_preamble(v.data)
    return [f"kind {reader.PACK_KINDS[p.kind]}", f"directory {p.directory}", f"body {p.body}",
            f"repository {h(p.repository)}", f"writer {h(p.writer)}", f"run {h(p.run)}", f"salt {h(p.salt)}",
            f"commitment {h(p.commitment)}"]


def block_line(block):
    return f"block {BLOCK_KINDS[block.kind]} {CODECS[block.codec]} {block.length} {block.sealed} {h(block.nonce)}"


def chunk_lines(chunks):
    return [f"chunk {h(name)} {length}" for name, length in chunks]


def say_directory(v):
    blocks = reader.decode_directory(v.data, {"data": DATA, "tree": TREE}[v.text("pack")])
    return [line for block in blocks for line in [block_line(block)] + chunk_lines(block.chunks)]


def say_pack(v):
    keys, repository = v.keys(), v.hex("repository")
    fd = os.memfd_create("pack")
    try:
        os.write(fd, v.data)
        p, blocks, key = reader.open_pack(fd, keys, repository)
    finally:
        os.close(fd)
    said = [f"id {h(H(v.data[:p.body]))}", f"kind {reader.PACK_KINDS[p.kind]}"]
    for ordinal, block in enumerate(blocks):
        sealed = v.data[block.at:block.at + block.sealed]
        data = reader.unpack(block, reader.open_block(key, repository, p.salt, ordinal, p.kind, block, sealed))
        said += [block_line(block), f"hash {h(H(data))}"] + chunk_lines(block.chunks)
        at = 0
        for name, length in block.chunks:
            demand(keys.chunk_name(p.kind, data[at:at + length]) == name, "broken")
            at += length
    return said


def say_frame(v):
    return [f"hash {h(H(reader.unpack_frame(v.data, v.number('length'))))}"]


# ---------------------------------------------------------------- listings

def page_line(level, reference):
    name, length = reference.page
    return f"page {level} {h(name)} {length} {reference.bytes} {reference.chunks}"


def entry_lines(e):
    user, group, user_name, group_name = e.owner
    yield f"entry {e.kind} {h(e.path)}"
    yield f"mode {e.mode:o}"
    yield f"owner {user} {group} {h(user_name)} {h(group_name)}"
    yield f"mtime {when(e.mtime)}"
    yield f"ctime {when(e.ctime)}"
    yield f"inode {e.inode} {e.device} {e.links}"
    if e.kind == "file":
        yield f"length {e.length}"
        yield from chunk_lines(e.chunks) if e.paged is None else [page_line(e.level, e.paged)]
        if e.extents is not None:
            yield "sparse yes"
            yield from (f"extent {at} {length}" for at, length in e.extents)
    elif e.kind == "symlink":
        yield f"target {h(e.target)}"
    elif e.kind in ("character", "block"):
        yield "device {} {}".format(*e.numbers)
    yield from (f"xattr {h(name)} {h(value)}" for name, value in e.xattrs)
    if e.stamp is not None:
        yield f"stamp {h(e.stamp)}"
    if e.flags & reader.UNSTABLE:
        yield "unstable yes"


def say_listing(v):
    items = reader.decode_listing(v.data)
    level = next(items)
    if level == 0:
        return [line for entry in items for line in entry_lines(entry)]
    return [f"level {level}"] + [f"item {h(i.path)} {h(i.page[0])} {i.page[1]} {i.entries}" for i in items]


def say_content(v):
    level, items = reader.decode_content_page(v.data)
    return chunk_lines(items) if level == 0 else [page_line(level - 1, item) for item in items]


class Shelf:
    """The pages of a vector, in the place of a repository; whatever is amiss with one is said at once."""

    def __init__(self, v):
        self.pages = {v.keys().chunk_name(TREE, page): page for page in map(bytes.fromhex, v.fields["pages"])}
        for page in self.pages.values():
            list(reader.decode_listing(page)) if page[0] < 3 else reader.decode_content_page(page)

    def chunk(self, kind, reference):
        demand(len(self.pages[reference[0]]) == reference[1], "broken")
        return self.pages[reference[0]]

    def damage(self, what, flaw):
        raise flaw


def say_listing_tree(v):
    shelf = Shelf(v)
    entries = reader.Listing(shelf, shelf).entries((v.hex("page"), v.number("length")), v.number("level"))
    return [f"path {h(entry.path)}" for entry in entries]


def say_content_tree(v):
    root = Fields(page=(v.hex("page"), v.number("length")), bytes=v.number("bytes"), chunks=v.number("chunks"))
    return chunk_lines(reader.paged_content(Shelf(v), root, v.number("level")))


def say_path(v):
    return [f"path {h(reader.check_path(v.data))}"]


def say_order(v):
    paths = sorted(map(bytes.fromhex, v.fields["paths"]), key=reader.path_order)
    return [f"path {h(path)}" for path in paths]


def say_page_end(v):
    ends = int.from_bytes(keyed(v.keys().page, v.data)[:8], "little") % 32 == 0
    return [f"ends {YES[ends]}"]


# ---------------------------------------------------------------- log

def say_head(v):
    head = reader.decode_head(v.data)
    return [f"repository {h(head.repository)}", f"number {head.number}", f"nonce {h(head.nonce)}"]


def body_lines(e):
    yield from (f"previous {h(e.previous)}", f"token {h(e.token)}", f"writer {h(e.writer)}", f"time {when(e.time)}")
    yield f"action {e.action}"
    if e.action == "snapshot":
        yield from (f"snapshot {h(e.snapshot)}", f"series {h(e.series)}", f"started {when(e.started)}")
        yield from (f"complete {YES[e.complete]}", f"tags {t(','.join(e.tags))}")
    for snapshot, add, remove in getattr(e, "changes", ()):
        yield from (f"snapshot {h(snapshot)}", f"add {t(','.join(add))}", f"remove {t(','.join(remove))}")
    if e.action == "note":
        yield from (f"snapshot {h(e.snapshot)}", f"name {t(e.name)}", f"value {t(e.value)}")
    if e.action == "key":
        yield from (f"slot {h(e.slot)}", "change " + ("added", "removed")[e.change - 1])
    yield from (f"named {h(pack)} {length} {reader.PACK_KINDS[kind]}" for pack, length, kind in getattr(e, "named", ()))
    yield from (f"rescue {h(pack)}" for pack in getattr(e, "rescue", ()))
    yield from (f"{'condemned' if e.action == 'repack' else 'pack'} {h(pack)}" for pack in getattr(e, "packs", ()))
    if e.action == "snapshot":
        yield f"record {h(e.record)}"
    yield f"extension {h(e.extension)}"


def say_body(v):
    return list(body_lines(reader.decode_body(v.data)))


def say_entry(v):
    return list(body_lines(reader.open_entry(v.data, v.keys(), v.hex("repository"), v.number("number"))))


def record_lines(r):
    yield from (f"source {t(r.source)}", f"host {t(r.host)}", f"user {t(r.user)}")
    yield from (f"path {h(path)}" for path in r.paths)
    yield from (f"description {t(r.description)}", f"started {when(r.started)}", f"ended {when(r.ended)}")
    yield from (f"complete {YES[r.complete]}", f"parent {h(r.parent or b'')}")
    yield f"root {h(r.root[0])} {r.root[1]} {r.level} {r.entries}"
    yield "entries {} {} {}".format(*r.counts[:3])
    yield "bytes {} {} {}".format(*r.counts[3:6])
    yield "troubles {} {}".format(*r.counts[6:])
    yield from (f"unique {h(r.unique)}", f"program {t(r.program)}", f"extension {h(r.extension)}")


def say_record(v):
    return list(record_lines(reader.decode_record(v.data)))


def say_envelope(v):
    return list(record_lines(reader.open_envelope(v.data, v.keys(), v.hex("repository"), v.hex("snapshot"))))


def say_snapshot(v):
    keys, repository = v.keys(), v.hex("repository")
    entry = reader.open_entry(v.data, keys, repository, v.number("number"))
    record = reader.open_envelope(entry.record, keys, repository, entry.snapshot)
    demand(not reader.differs(entry, record, keys), "broken")
    return list(record_lines(record))


def say_tag(v):
    return [f"tag {reader.check_tag(v.data)}"]


class Entries:
    """The entries of a vector, in the place of a storage; what is amiss is said by the state."""

    def __init__(self, lines):
        self.entries = {n: bytes.fromhex(line) for n, line in enumerate(lines, start=1) if line != "missing"}

    def ids(self, folder):
        return sorted(self.entries)

    def read(self, name, limit):
        number = reader.object_of(name)[1]
        demand(number in self.entries, "missing")
        return self.entries[number]

    def damage(self, what, flaw):
        pass


def say_log(v):
    entries = Entries(v.fields["entries"])
    return state_lines(reader.read_log(entries, v.keys(), v.hex("repository"), entries))


def say_fold(v):
    state = reader.State()
    for number, line in enumerate(v.fields["bodies"], start=1):
        if line == "missing":
            state.problems.append(number)
        else:
            if not state.apply(number, reader.decode_body(bytes.fromhex(line))):
                state.problems.append(number)
    return state_lines(state)


def state_lines(state):
    said = [f"snapshot {h(name)} {t(','.join(sorted(s.tags)))}" for name, s in state.snapshots.items()]
    for pack, p in sorted(state.packs.items()):
        said.append(f"pack {h(pack)} {p.fate} {p.length} {reader.PACK_KINDS[p.kind]}")
    return said + [f"problem {number}" for number in state.problems]


SAY = {"varint": plain(Bytes.varint), "signed": plain(Bytes.signed), "time": say_time, "config": say_config, "name":
       say_name, "hierarchy": say_hierarchy, "recovery": say_recovery, "slot": say_slot, "block": say_block, "small":
       say_small, "gear": say_gear, "cuts": say_cuts, "chunk": say_chunk, "preamble": say_preamble, "directory":
       say_directory, "pack": say_pack, "frame": say_frame, "path": say_path, "order": say_order, "listing":
       say_listing, "content": say_content, "listing-tree": say_listing_tree, "content-tree": say_content_tree,
       "page-end": say_page_end, "head": say_head, "body": say_body, "record": say_record, "envelope": say_envelope,
       "entry": say_entry, "snapshot": say_snapshot, "tag": say_tag, "log": say_log, "fold": say_fold}


def check(path):
    """What the reader and the vector disagree about, or None."""
    fields = parse(path)
    kind, expect = fields["kind"][0], fields["expect"][0]
    if kind not in SAY:
        return f"unknown kind {kind}"
    try:
        said = SAY[kind](Vector(fields))
        got = "ok"
    except Flaw as flaw:
        said, got = [], f"refuse {flaw.word}"
    if got != expect:
        return f"expected {expect}, got {got}"
    wanted = fields.get("says", [])
    for mine, theirs in zip(said + ["(nothing)"] * len(wanted), wanted + ["(nothing)"] * len(said)):
        if mine != theirs:
            return f"expected `{theirs}`, got `{mine}`"
    return None


def main(folder):
    paths = sorted(os.path.join(above, name) for above, _, names in os.walk(folder) for name in names
                   if name.endswith(".txt"))
    wrong = 0
    for path in paths:
        disagreement = check(path)
        if disagreement:
            wrong += 1
            print(f"{os.path.relpath(path, folder)}: {disagreement}")
    print(f"{len(paths) - wrong} of {len(paths)} vectors agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
