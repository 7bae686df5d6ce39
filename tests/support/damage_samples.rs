//! The repositories that the damage tests start from.

use larder::crypto::keys::RootKey;
use larder::crypto::slot::Stretch;
use larder::format::packs::Preamble;
use larder::format::{Kind, objects};
use larder::repo::Repository;
use larder::repo::catalog::Catalog;
use larder::repo::slots;
use larder::storage::memory::Memory;

use crate::support::damage_repo::{
    Leaf, Made, NOW, SECOND_KEY, Tree, back_up, forget, key_file, make, name, names, noise, open_memory, prose, tree,
};

/// A repository with everything in it: two slots, two series, packs shared and not, content lists inline and paged,
/// listings of several pages, a forgotten snapshot. Every call makes another repository with the same content.
pub fn rich() -> Made {
    let mut making = Making::new();
    let [first, second, third] = [1, 2, 3].map(docs);
    let photos = tree((0..6).map(|n| (format!("photo-{n}.jpg"), Leaf::File(noise(500 + n, 3000)))));
    making.back_up("docs", first);
    slots::add(&making.repo, &making.root, &key_file(SECOND_KEY), Stretch::None, "second", NOW).unwrap();
    making.back_up("photos", photos);
    making.back_up("docs", second);
    let (gone, _) = making.made.live.remove(1);
    making.made.packs.remove(1);
    forget(&making.repo, gone);
    making.finish(third)
}

/// The smallest repository in which every kind of object occurs.
pub fn tiny() -> Made {
    let mut making = Making::new();
    let letter = |text: u64, len: usize| Leaf::File(prose(text, len));
    making.back_up(
        "docs",
        tree([
            ("a/letter.txt".to_owned(), letter(1, 1500)),
            ("a/photo.jpg".to_owned(), Leaf::File(noise(2, 700))),
            ("link".to_owned(), Leaf::Link(b"a/letter.txt".to_vec())),
        ]),
    );
    making.back_up("docs", tree([("a/letter.txt".to_owned(), letter(1, 1500)), ("b".to_owned(), letter(3, 600))]));
    making.finish(tree([("b".to_owned(), letter(3, 600)), ("c".to_owned(), letter(4, 500))]))
}

struct Making {
    memory: Memory,
    repo: Repository,
    root: RootKey,
    made: Made,
}

impl Making {
    fn new() -> Self {
        let memory = Memory::new();
        let root = make(&memory);
        Self { repo: open_memory(&memory, None).unwrap(), root, memory, made: Made::default() }
    }

    fn back_up(&mut self, series: &str, tree: Tree) {
        let before = self.memory.snapshot();
        let at = 10 * self.made.live.len() as i64;
        let snapshot = back_up(&self.repo, series, &tree, at).unwrap().snapshot.unwrap();
        let after = self.memory.snapshot();
        let new = |kind: Kind| {
            let packs = names(&after, objects::PACKS).into_iter().filter(|name| !before.contains_key(name));
            let mut of_kind = packs.filter(|name| Preamble::decode(&after[name].bytes).unwrap().kind == kind);
            of_kind.next().unwrap()
        };
        self.made.packs.push([new(Kind::Data), new(Kind::Tree)]);
        self.made.live.push((snapshot, tree));
    }

    fn finish(self, next: Tree) -> Made {
        let repo = self.repo;
        Catalog::survey(&repo).unwrap();
        let rows: Vec<_> = repo.index().packs().map(|row| (row.id, row.number)).collect();
        let mut made = Made { image: self.memory.snapshot(), next, ..self.made };
        for (id, number) in rows {
            let directory = repo.index().directory(number).unwrap();
            let chunks = directory.chunks.iter().map(|chunk| chunk.id.to_string()).collect();
            made.inside.insert(name(objects::pack_name(&id)), chunks);
        }
        made
    }
}

/// Documents on a day: most stay, some change, some come.
fn docs(day: u64) -> Tree {
    let stay = (0..48).map(|n| (format!("notes/2024/note-{n:02}.txt"), Leaf::File(prose(n, 40 + 5 * n as usize))));
    let change = (0..3).map(move |n| (format!("work/draft-{n}.odt"), Leaf::File(noise(100 * day + n, 2500))));
    let come = (0..day).map(|n| (format!("inbox/mail-{n}.eml"), Leaf::File(prose(1000 + n, 4000))));
    let long = [
        ("archive/dump.sql".to_owned(), Leaf::File(prose(77, 60_000))),
        ("archive/today".to_owned(), Leaf::Link(format!("../inbox/mail-{day}.eml").into_bytes())),
        ("empty".to_owned(), Leaf::File(Default::default())),
    ];
    tree(stay.chain(change).chain(come).chain(long))
}
