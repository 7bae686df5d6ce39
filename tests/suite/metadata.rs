//! Trees with everything that a file system can hold, backed up and restored by the binary, and compared in full.
//!
//! What only root can make is left out for anybody else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, makedev, mkdirat, mknodat, openat, utimensat,
};

use crate::support::binary::Larder;
use crate::support::damage_repo::noise;

/// Everything about a path that should survive.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    kind: u32,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    bytes: u64,
    device: u64,
    target: OsString,
    xattrs: BTreeMap<OsString, Vec<u8>>,
    content: [u8; 32],
    sparse: bool,
    /// All names of the same file.
    names: BTreeSet<PathBuf>,
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn look(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut inodes: BTreeMap<(u64, u64), BTreeSet<PathBuf>> = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let status = path.symlink_metadata().unwrap();
        let below = path.strip_prefix(root).unwrap().to_owned();
        if status.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            inodes.entry((status.dev(), status.ino())).or_default().insert(below.clone());
        }
        let file = status.is_file();
        let xattrs = xattr::list(&path).unwrap().map(|name| (name.clone(), xattr::get(&path, &name).unwrap().unwrap()));
        seen.insert(
            below,
            Seen {
                kind: status.mode() & 0o170_000,
                mode: status.mode() & 0o7777,
                owner: (status.uid(), status.gid()),
                mtime: (status.mtime(), status.mtime_nsec()),
                bytes: if status.is_dir() { 0 } else { status.size() },
                device: status.rdev(),
                target: if status.is_symlink() { fs::read_link(&path).unwrap().into() } else { OsString::new() },
                xattrs: xattrs.collect(),
                content: if file { hash(&path) } else { [0; 32] },
                sparse: file && status.blocks() * 512 < status.size() / 2,
                names: BTreeSet::new(),
            },
        );
    }
    for names in inodes.into_values() {
        for name in &names {
            seen.get_mut(name).unwrap().names = names.clone();
        }
    }
    seen
}

fn hash(path: &Path) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).unwrap()).unwrap();
    *hasher.finalize().as_bytes()
}

/// Backs a folder up, restores it elsewhere, and compares; then once more from an unchanged rerun.
fn round_trip(larder: &Larder, source: &Path) {
    let before = look(source);
    larder.ok(&["backup", source.to_str().unwrap(), "--source", "nasty"]);
    for target in ["first", "second"] {
        let target = larder.path(target);
        larder.ok(&["restore", "nasty@latest", "--to", target.to_str().unwrap(), "--verify"]);
        compare(&before, &look(&target));
        larder.ok(&["backup", source.to_str().unwrap(), "--source", "nasty"]);
    }
    larder.ok(&["check", "--read-data"]);
    compare(&before, &look(source));
}

fn compare(before: &BTreeMap<PathBuf, Seen>, after: &BTreeMap<PathBuf, Seen>) {
    let mut wrong = Vec::new();
    for (path, seen) in before {
        match after.get(path) {
            Some(found) if found == seen => {}
            found => wrong.push(format!("{path:?}: {seen:?}\n    came back as {found:?}")),
        }
    }
    wrong.extend(after.keys().filter(|path| !before.contains_key(*path)).map(|path| format!("{path:?} is too much")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn set_mtime(path: &Path, seconds: i64, nanos: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn run(program: &str, arguments: &[&OsStr]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

#[test]
fn everything_that_a_file_system_holds_survives() {
    let larder = Larder::new();
    let source = larder.path("source");
    fs::create_dir(&source).unwrap();
    let at = |name: &str| source.join(name);
    fs::write(at("regular"), noise(1, 100_000)).unwrap();
    fs::write(at("empty"), b"").unwrap();
    names(&source);
    holes(&source);
    links(&source);
    modes_and_times(&source);
    attributes(&source);
    if is_root() {
        nodes_and_owners(&source);
    }
    round_trip(&larder, &source);
}

fn names(source: &Path) {
    let folder = source.join("names");
    fs::create_dir(&folder).unwrap();
    let long = [b'n'; 255];
    let names: [&[u8]; 14] = [
        b"new\nline",
        b"tab\tand\x01control",
        b"\xff\xfe\x80 not UTF-8",
        b" leading and trailing ",
        b"-rf",
        b"~",
        b"*?[a]",
        b"\\",
        b"'\"`$(x)",
        "e\u{301}".as_bytes(),
        "\u{e9}".as_bytes(),
        "\u{202e}gpj.exe".as_bytes(),
        b"...",
        &long,
    ];
    for name in names {
        fs::write(folder.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let deep = folder.join(OsString::from_vec(vec![b'd'; 255])).join(OsString::from_vec(vec![0xc3; 255]));
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("x"), b"x").unwrap();
    // The order of a listing is by component: these are where simpler orders go wrong.
    for name in ["a", "a.b", "a-b", "a b", "a\u{1}b"] {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("z"), name).unwrap();
    }
}

fn holes(source: &Path) {
    let sparse = |name: &str, bytes: u64, data: &[(u64, usize)]| {
        let file = File::create(source.join(name)).unwrap();
        file.set_len(bytes).unwrap();
        for &(at, len) in data {
            file.write_all_at(&noise(at, len), at).unwrap();
        }
    };
    sparse("only-a-hole", 10 << 20, &[]);
    sparse("hole-first", 10 << 20, &[(9 << 20, 70_000)]);
    sparse("hole-last", 10 << 20, &[(0, 70_000)]);
    sparse("holes", (8 << 20) + 5, &[(1 << 20, 4096), (3 << 20, 10_000), ((8 << 20) - 1, 6)]);
    fs::write(source.join("zeros"), vec![0; 300_000]).unwrap();
}

fn links(source: &Path) {
    fs::create_dir_all(source.join("links/sub")).unwrap();
    let at = |name: &str| source.join("links").join(name);
    fs::write(at("one"), noise(3, 5000)).unwrap();
    fs::hard_link(at("one"), at("two")).unwrap();
    fs::hard_link(at("one"), at("sub/three")).unwrap();
    fs::write(at("zempty"), b"").unwrap();
    fs::hard_link(at("zempty"), at("aempty")).unwrap();
    for (name, target) in [
        ("dangling", "nowhere/at/all"),
        ("absolute", "/etc/passwd"),
        ("up", "../../../.."),
        ("to-folder", "sub"),
        ("to-itself", "to-itself"),
        ("ugly", "a\nb \u{202e}"),
    ] {
        symlink(target, at(name)).unwrap();
        set_mtime(&at(name), 1_234_567_890, 123_456_789);
    }
    symlink(OsStr::from_bytes(&[b't'; 4095]), at("long-target")).unwrap();
    symlink(OsStr::from_bytes(b"\xff\xfe"), at("not-utf8")).unwrap();
    let fifo = at("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    set_mtime(&fifo, 1_000_000_000, 1);
    // Whatever is no folder can have several names.
    for name in ["dangling", "not-utf8", "fifo"] {
        fs::hard_link(at(name), at("sub").join(name)).unwrap();
        fs::hard_link(at(name), at(&format!("again-{name}"))).unwrap();
    }
}

fn modes_and_times(source: &Path) {
    let folder = source.join("modes");
    fs::create_dir(&folder).unwrap();
    let modes = [0o600, 0o777, 0o444, 0o000, 0o4755, 0o2755, 0o1777, 0o7777, 0o7000];
    for mode in modes.into_iter().filter(|mode| is_root() || mode & 0o400 != 0) {
        let file = folder.join(format!("file-{mode:04o}"));
        fs::write(&file, format!("{mode:o}")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    for (name, seconds, nanos) in [
        ("nanoseconds", 1_700_000_000, 999_999_999),
        ("epoch", 0, 0),
        ("before-1970", -1_000_000_000, 500_000_000),
        ("just-before-1970", -1, 999_999_999),
        ("before-1901", -3_000_000_000, 1),
        ("after-2038", 3_000_000_000, 2),
        ("after-2100", 4_200_000_000, 3),
    ] {
        fs::write(folder.join(name), name).unwrap();
        set_mtime(&folder.join(name), seconds, nanos);
    }
    for mode in [0o500, 0o555, 0o1777, 0o2770, 0o700] {
        let sub = folder.join(format!("folder-{mode:04o}"));
        fs::create_dir(&sub).unwrap();
        fs::write(sub.join("inside"), b"inside").unwrap();
        fs::create_dir(sub.join("deeper")).unwrap();
        set_mtime(&sub.join("deeper"), 77, 7);
        set_mtime(&sub, -55, 5);
        fs::set_permissions(&sub, fs::Permissions::from_mode(mode)).unwrap();
    }
    set_mtime(&folder, 1, 1);
}

fn attributes(source: &Path) {
    let folder = source.join("attributes");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("file");
    fs::write(&file, b"content").unwrap();
    if xattr::set(&file, "user.test", b"value").is_ok() {
        xattr::set(&file, "user.empty", b"").unwrap();
        xattr::set(&file, "user.binary", &noise(8, 2000)).unwrap();
        xattr::set(&folder, "user.on-a-folder", b"\0\xff").unwrap();
    }
    if is_root() && xattr::set(&file, "trusted.test", b"secret").is_ok() {
        xattr::set(&folder, "trusted.folder", b"secret").unwrap();
    }
    let acl = |options: &[&str], path: &Path| {
        let mut arguments: Vec<&OsStr> = options.iter().map(OsStr::new).collect();
        arguments.push(path.as_os_str());
        run("setfacl", &arguments)
    };
    let with_acl = folder.join("with-acl");
    fs::write(&with_acl, b"content").unwrap();
    if acl(&["-m", "u:4321:rw,g:1234:r,m::rw"], &with_acl) {
        let sub = folder.join("default-acl");
        fs::create_dir(&sub).unwrap();
        assert!(acl(&["-m", "u:4321:rwx", "-m", "d:u:4321:rwx", "-m", "d:g::r-x", "-m", "d:o::-"], &sub));
        // It has inherited; and this one has lost what it inherited.
        fs::write(sub.join("heir"), b"content").unwrap();
        fs::write(sub.join("disowned"), b"content").unwrap();
        assert!(acl(&["-b"], &sub.join("disowned")));
        fs::create_dir(sub.join("folder")).unwrap();
        assert!(acl(&["-k"], &sub.join("folder")));
    }
}

fn nodes_and_owners(source: &Path) {
    let folder = source.join("root");
    fs::create_dir(&folder).unwrap();
    let mode = Mode::from_raw_mode(0o660);
    mknodat(CWD, folder.join("null"), FileType::CharacterDevice, mode, makedev(1, 3)).unwrap();
    mknodat(CWD, folder.join("large"), FileType::CharacterDevice, mode, makedev(4000, 1_000_000)).unwrap();
    mknodat(CWD, folder.join("disk"), FileType::BlockDevice, mode, makedev(8, 17)).unwrap();
    for name in ["null", "disk"] {
        fs::hard_link(folder.join(name), folder.join(format!("again-{name}"))).unwrap();
    }
    for (name, uid, gid) in [("nobody-known", 54_321, 65_432), ("highest", u32::MAX - 1, u32::MAX - 1), ("root", 0, 0)]
    {
        let path = folder.join(name);
        fs::write(&path, name).unwrap();
        std::os::unix::fs::chown(&path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o6711)).unwrap();
        symlink(name, folder.join(format!("link-{name}"))).unwrap();
        std::os::unix::fs::lchown(folder.join(format!("link-{name}")), Some(uid), Some(gid)).unwrap();
    }
    let capable = folder.join("capable");
    fs::write(&capable, b"content").unwrap();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let _ = xattr::set(&capable, "security.capability", &capability);
}

#[test]
fn a_path_of_three_thousand_folders_survives() {
    const DEPTH: usize = 3000;
    let larder = Larder::new();
    let source = larder.path("source");
    fs::create_dir(&source).unwrap();
    let read = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let mut folder = openat(CWD, &source, read, Mode::empty()).unwrap();
    for _ in 0..DEPTH {
        mkdirat(&folder, "d", Mode::from_raw_mode(0o755)).unwrap();
        folder = openat(&folder, "d", read, Mode::empty()).unwrap();
    }
    let write = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let bottom = openat(&folder, "bottom", write, Mode::from_raw_mode(0o600)).unwrap();
    File::from(bottom).write_all_at(b"reached", 0).unwrap();
    larder.ok(&["backup", source.to_str().unwrap(), "--source", "deep"]);
    larder.ok(&["check", "--read-data"]);
    let target = larder.path("target");
    larder.ok(&["restore", "deep@latest", "--to", target.to_str().unwrap()]);
    let mut folder = openat(CWD, &target, read, Mode::empty()).unwrap();
    for depth in 0..DEPTH {
        folder = openat(&folder, "d", read, Mode::empty()).unwrap_or_else(|error| panic!("at {depth}: {error}"));
    }
    let bottom = openat(&folder, "bottom", OFlags::RDONLY, Mode::empty()).unwrap();
    assert_eq!(std::io::read_to_string(File::from(bottom)).unwrap(), "reached");
    // Such a tree is too deep for most of what removes trees.
    assert!(run("rm", &[OsStr::new("-rf"), source.as_os_str(), target.as_os_str()]));
}

#[test]
fn a_folder_of_twenty_thousand_files_survives() {
    let larder = Larder::new();
    let source = larder.path("source");
    fs::create_dir(&source).unwrap();
    for file in 0..20_000_u32 {
        fs::write(source.join(format!("{:08x}", file.wrapping_mul(2_654_435_761))), file.to_string()).unwrap();
    }
    larder.ok(&["backup", source.to_str().unwrap(), "--source", "wide"]);
    // One changes, one comes, one goes.
    let some = source.join(format!("{:08x}", 7_u32.wrapping_mul(2_654_435_761)));
    fs::write(&some, b"changed").unwrap();
    fs::write(source.join("new"), b"new").unwrap();
    fs::remove_file(source.join(format!("{:08x}", 9_u32.wrapping_mul(2_654_435_761)))).unwrap();
    larder.ok(&["backup", source.to_str().unwrap(), "--source", "wide"]);
    let target = larder.path("target");
    larder.ok(&["restore", "wide@latest", "--to", target.to_str().unwrap()]);
    compare(&look(&source), &look(&target));
}
