"""Decodes the test vectors with `reader.py`, and says what was decoded in the words of the vectors."""

import pathlib
import struct

from reader import (
    KINDS, Bytes, D, H, Keys, Pack, Refused, Repository, State, check_path, cut, decode_body, decode_config, decode_content,
    decode_directory, decode_head, decode_listing, decode_preamble, decode_record, decode_slot, entry_differs, is_tag,
    object_of_name, open_block, open_entry, open_envelope, open_slot, open_small, order, read_recovery, refuse_if, sizes_allowed, unpack,
    utf8)


def hexed(data):
    return data.hex() or "-"


def when(time):
    return f"{time[0]}.{time[1]:09}"


def yes(flag):
    return "yes" if flag else "no"


def joined(tags):
    return ",".join(tags) or "-"


def say_block(block):
    kind, codec, length, sealed, _, _, nonce = block
    return f"block {('chunks', 'record')[kind]} {('raw', 'zstd')[codec]} {length} {sealed} {nonce.hex()}"


def say_chunks(chunks):
    return [f"chunk {name.hex()} {length}" for name, length in chunks]


def say_page(p):
    return f"page {p['level']} {p['name'].hex()} {p['length']} {p['bytes']} {p['chunks']}"


def say_entry(e):
    uid, gid, user, group = e["owner"]
    lines = [f"entry {e['type']} {hexed(e['path'])}", f"mode {e['mode']:o}",
             f"owner {uid} {gid} {hexed(user)} {hexed(group)}", f"mtime {when(e['mtime'])}",
             f"ctime {when(e['ctime'])}", f"inode {e['inode']} {e['device']} {e['links']}"]
    if e["type"] == "file":
        lines.append(f"length {e['length']}")
        lines += say_chunks(e["chunks"]) if "chunks" in e else [say_page(e["pages"])]
        if e["extents"] is not None:
            lines += ["sparse yes"] + [f"extent {offset} {size}" for offset, size in e["extents"]]
    lines += [f"target {hexed(e['target'])}"] if "target" in e else []
    lines += ["device {} {}".format(*e["number"])] if "number" in e else []
    lines += [f"xattr {hexed(name)} {hexed(value)}" for name, value in e["xattrs"]]
    lines += [f"stamp {hexed(e['stamp'])}"] if e["stamp"] else []
    return lines + (["unstable yes"] if e["unstable"] else [])


def say_listing(level, found):
    if level == 0:
        return [line for e in found for line in say_entry(e)]
    return [f"level {level}"] + [
        f"item {hexed(i['path'])} {i['page'][0].hex()} {i['page'][1]} {i['entries']}" for i in found]


def say_body(b):
    lines = [f"{name} {b[name].hex()}" for name in ("previous", "token", "writer")]
    lines += [f"time {when(b['time'])}", f"action {b['action']}"]
    lines += [f"{name} {b[name].hex()}" for name in ("snapshot", "series", "slot") if name in b]
    if b["action"] == "snapshot":
        lines += [f"started {when(b['started'])}", f"complete {yes(b['complete'])}", f"tags {joined(b['tags'])}"]
    for snapshot, add, remove in b.get("changes", []):
        lines += [f"snapshot {snapshot.hex()}", f"add {joined(add)}", f"remove {joined(remove)}"]
    lines += [f"{name} {b[name] or '-'}" for name in ("name", "value", "change") if name in b]
    lines += [f"named {pack.hex()} {length} {kind}" for pack, length, kind in b.get("packs", [])]
    lines += [f"rescue {pack.hex()}" for pack in b.get("rescue", [])]
    word = "condemned" if b["action"] == "repack" else "pack"
    lines += [f"{word} {pack.hex()}" for pack in b.get("condemned", []) + b.get("swept", [])]
    lines += [f"record {hexed(b['record'])}"] if "record" in b else []
    return lines + [f"extension {hexed(b['extension'])}"]


def say_record(r):
    c = r["counts"]
    lines = [f"{name} {r[name] or '-'}" for name in ("source", "host", "user")]
    lines += [f"path {hexed(path)}" for path in r["paths"]] + [f"description {r['description'] or '-'}"]
    lines += [f"started {when(r['started'])}", f"ended {when(r['ended'])}", f"complete {yes(r['complete'])}"]
    lines += [f"parent {hexed(r['parent'])}", f"root {r['page'][0].hex()} {r['page'][1]} {r['level']} {r['entries']}"]
    lines += [f"entries {c[0]} {c[1]} {c[2]}", f"bytes {c[3]} {c[4]} {c[5]}", f"troubles {c[6]} {c[7]}"]
    return lines + [f"unique {r['unique'].hex()}", f"program {r['program'] or '-'}", f"extension {hexed(r['extension'])}"]


class Shelf:
    """The pages of a vector, in the place of a repository."""

    def __init__(self, vector):
        pages, key = map(bytes.fromhex, vector.fields["pages"].splitlines()), vector.keys().id["tree"]
        self.pages = {H(page, key): page for page in pages}
        for page in self.pages.values():
            (decode_listing if page[:1] in (b"\1", b"\2") else decode_content)(page)

    def chunk(self, _, name, length):
        refuse_if(len(self.pages[name]) != length, "broken")
        return self.pages[name]

    def entries(self, *page):
        return Repository.entries(self, *page)

    def chunks_under(self, page):
        return Repository.chunks_under(self, page)


class Vector:
    def __init__(self, path):
        self.fields, last = {}, None
        for line in path.read_text().splitlines():
            if line.startswith("  "):
                self.fields[last] += line[2:] + "\n"
            elif line and not line.startswith("#"):
                last, value = line.split(":", 1)
                self.fields[last] = value.strip()
        self.says = self.fields.pop("says", "").splitlines()
        self.expect = self.fields.pop("expect")

    def __getitem__(self, name):
        return bytes.fromhex(self.fields[name])

    def number(self, name):
        return int(self.fields[name])

    def decode(self):
        return getattr(self, "kind_" + self.fields["kind"].replace("-", "_"))()

    def outcome(self):
        try:
            return "ok", self.decode()
        except Refused as flaw:
            return f"refuse {flaw}", []

    def keys(self):
        return Keys(self["root"])

    def whole(self, take):
        b = Bytes(self["bytes"])
        value = take(b)
        b.end()
        return value

    def kind_varint(self):
        return [f"value {self.whole(Bytes.varint)}"]

    def kind_signed(self):
        return [f"value {self.whole(Bytes.signed)}"]

    def kind_time(self):
        return ["seconds {}".format((t := self.whole(Bytes.time))[0]), f"nanos {t[1]}"]

    def kind_config(self):
        c = decode_config(self["bytes"], self.keys())
        return [f"repository {c['repository'].hex()}", f"created {when(c['created'])}", "sizes {} {} {}".format(*c["sizes"]),
                f"zone {c['zone'] or '-'}", f"week {c['week']}", f"read {c['read'].hex()}", f"owner {c['owner'].hex()}",
                f"extension {hexed(c['extension'])}"]

    def kind_name(self):
        return [" ".join(map(str, object_of_name(utf8(self["bytes"]))))]

    def kind_hierarchy(self):
        k = Keys(self["bytes"])
        named = {"data-id": k.id["data"], "tree-id": k.id["tree"], "snapshot-id": k.snapshot_id, "series-id": k.series_id,
                 "gear": k.gear, "page": k.page, "structure": k.structure, "pre-shared": k.shared,
                 "read-public": k.read_public, "owner-public": k.owner_public, "writer": k.writer,
                 "data-chunk": H(b"larder", k.id["data"]), "tree-chunk": H(b"larder", k.id["tree"]),
                 "snapshot": H(b"larder", k.snapshot_id),
                 "series": H(struct.pack("<Q", 6) + b"larder" + b"host", k.series_id)}
        return [f"{name} {value.hex()}" for name, value in named.items()]

    def kind_recovery(self):
        return [f"root {read_recovery(utf8(self['bytes'])).hex()}"]

    def kind_slot(self):
        s = decode_slot(self["bytes"])
        refuse_if((s["repository"], s["slot"]) != (self["repository"], self["slot"]), "foreign")
        root = open_slot(s, self["password" if "password" in self.fields else "keyfile"])
        stretching = "argon2id {} {} {}".format(*s["stretching"]) if s["stretching"] else "none"
        return [f"repository {s['repository'].hex()}", f"slot {s['slot'].hex()}", f"created {when(s['created'])}",
                f"label {s['label'] or '-'}", f"stretching {stretching}"] + [
                f"{name} {s[name].hex()}" for name in ("salt", "commitment", "nonce")] + [f"root {root.hex()}"]

    def kind_block(self):
        key = self.keys().pack_key(self["repository"], self["run_public"], self["salt"], self["commitment"])
        kinds = [self.number(name) for name in ("pack_kind", "block_kind", "codec")]
        plain = open_block(key, self["repository"], self["salt"], self.number("ordinal"), self["nonce"], kinds,
                           self.number("raw_bytes"), self["bytes"])
        return [f"plaintext {hexed(plain)}"]

    def kind_small(self):
        return [f"plaintext {hexed(open_small(self['key'], self['nonce'], self['associated'], self['bytes']))}"]

    def kind_gear(self):
        table = Keys(self["bytes"]).gear_table()
        whole = struct.pack("<256Q", *table)
        return [f"first {table[0]:016x}", f"last {table[255]:016x}", f"hash {H(whole).hex()}"]

    def kind_cuts(self):
        sizes, lines, data = [self.number(name) for name in ("min", "avg", "max")], [], self["bytes"]
        refuse_if(not sizes_allowed(*sizes), "broken")
        gear = self.keys().gear_table()
        while data:
            lines.append(f"cut {cut(data, *sizes, gear)}")
            data = data[int(lines[-1][4:]):]
        return lines

    def kind_chunk(self):
        refuse_if(H(self["bytes"], self.keys().id[self.fields["chunk"]]) != self["id"], "broken")
        return [f"bytes {len(self['bytes'])}"]

    def kind_preamble(self):
        p = decode_preamble(self["bytes"])
        return [f"kind {KINDS[p['kind']]}", f"directory {p['directory']}", f"body {p['body']}"] + [
            f"{name} {p[name].hex()}" for name in ("repository", "writer", "run", "salt", "commitment")]

    def kind_directory(self):
        return [line for b in decode_directory(self["bytes"], self.fields["pack"]) for line in [say_block(b)] + say_chunks(b[5])]

    def kind_pack(self):
        data = self["bytes"]
        pack = Pack(self.keys(), self["repository"], len(data), lambda at, n: data[at:at + n])
        lines = [f"id {H(data[:pack.preamble['body']]).hex()}", f"kind {pack.kind}"]
        for ordinal, block in enumerate(pack.blocks):
            lines += [say_block(block), f"hash {H(pack.block(ordinal)).hex()}"] + say_chunks(block[5])
        return lines

    def kind_frame(self):
        return [f"hash {H(unpack(self['bytes'], self.number('length'))).hex()}"]

    def kind_path(self):
        return [f"path {hexed(check_path(self['bytes']))}"]

    def kind_order(self):
        paths = map(bytes.fromhex, self.fields["paths"].splitlines())
        return [f"path {hexed(path)}" for path in sorted(paths, key=order)]

    def kind_listing(self):
        return say_listing(*decode_listing(self["bytes"]))

    def kind_content(self):
        level, found = decode_content(self["bytes"])
        return list(map(say_page, found)) if level else say_chunks(found)

    def kind_listing_tree(self):
        lines, last = [], None
        for e in Repository.entries(Shelf(self), (self["page"], self.number("length")), self.number("level")):
            refuse_if(last is not None and order(last) >= order(e["path"]), "broken")
            last = e["path"]
            lines.append(f"path {hexed(last)}")
        return lines

    def kind_content_tree(self):
        page = {"name": self["page"]} | {n: self.number(n) for n in ("length", "level", "bytes", "chunks")}
        return say_chunks(Repository.chunks_under(Shelf(self), page))

    def kind_page_end(self):
        return [f"ends {yes(struct.unpack('<Q', H(self['bytes'], self.keys().page)[:8])[0] % 32 == 0)}"]

    def kind_head(self):
        h = decode_head(self["bytes"])
        return [f"repository {h['repository'].hex()}", f"number {h['number']}", f"nonce {h['nonce'].hex()}"]

    def kind_body(self):
        return say_body(decode_body(self["bytes"]))

    def kind_record(self):
        return say_record(decode_record(self["bytes"]))

    def kind_envelope(self):
        return say_record(open_envelope(self["bytes"], self.keys(), self["repository"], self["snapshot"]))

    def kind_entry(self):
        return say_body(open_entry(self["bytes"], self.keys(), self["repository"], self.number("number")))

    def kind_snapshot(self):
        keys, repository = self.keys(), self["repository"]
        body = open_entry(self["bytes"], keys, repository, self.number("number"))
        record = open_envelope(body["record"], keys, repository, body["snapshot"])
        refuse_if(entry_differs(body, record, keys), "broken")
        return say_record(record)

    def kind_tag(self):
        tag = utf8(self["bytes"])
        refuse_if(not is_tag(tag), "broken")
        return [f"tag {tag}"]

    def kind_fold(self):
        state = State()
        for number, line in enumerate(self.fields["bodies"].splitlines(), 1):
            if line == "missing":
                state.problems.append(number)
            else:
                state.apply(number, decode_body(bytes.fromhex(line)))
        lines = [f"snapshot {s.hex()} {joined(sorted(tags))}" for s, (_, tags) in state.snapshots.items()]
        for pack, (fate, length, kind) in sorted(state.packs.items()):
            lines.append(f"pack {pack.hex()} {fate} {length or 0} {kind or 'data'}")
        return lines + [f"problem {number}" for number in state.problems]


def check(folder):
    """Compares every vector with what it expects; gives the exit code."""
    paths, wrong = sorted(pathlib.Path(folder).glob("*/*.txt")), 0
    for path in paths:
        vector = Vector(path)
        expected, found = (vector.expect, vector.says), vector.outcome()
        if expected != found:
            wrong += 1
            print(f"{path}\n  expected {expected}\n  found    {found}")
    print(f"{len(paths)} vectors, {wrong} disagree")
    return 4 if wrong or not paths else 0
