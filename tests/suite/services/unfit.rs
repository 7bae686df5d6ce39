//! Snapshots that a service cannot take: refused before anything is asked of it, stored or stopped.
//!
//! Nobody serves here: whoever asked the service first would say that there is no answer, and nothing else.

use std::fs;
use std::path::PathBuf;

use crate::support::binary::Larder;
use crate::support::web::nobody;

/// All files of the repository.
fn objects(larder: &Larder) -> Vec<PathBuf> {
    let (mut folders, mut objects) = (vec![larder.path("repository")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().is_dir() { folders.push(entry.path()) } else { objects.push(entry.path()) }
        }
    }
    objects.sort();
    objects
}

/// A source with these keys refuses a snapshot of these files, its own or that of another source, and says so.
#[track_caller]
fn refuses(keys: &str, files: &[&str], said: &str) {
    let larder = Larder::new();
    let password = larder.file("password", "s3cret");
    let log = larder.path("log").display().to_string();
    let hooks = ["before", "after", "stop", "start"].map(|name| format!("{name} = \"echo {name} >>{log}\"\n")).concat();
    let keys = keys.replace("SECRET", &password);
    larder.configure(&format!("[source.own]\n{keys}\n[source.own.hooks]\n{hooks}"));
    let given = larder.path("given");
    for file in files {
        fs::create_dir_all(given.join(file).parent().unwrap()).unwrap();
        fs::write(given.join(file), "{}").unwrap();
    }
    for source in ["own", "other"] {
        larder.ok(&["backup", given.to_str().unwrap(), "--source", source]);
    }
    let before = objects(&larder);
    for (source, more) in [("own", ""), ("other", "\n  the snapshot is of other; of own there is own@latest")] {
        for how in [&["--yes"][..], &["--dry-run"], &["--yes", "--no-safety-snapshot"]] {
            let snapshot = format!("{source}@latest");
            let done = larder.configured(&[&["restore", &snapshot, "--into", "own"], how].concat());
            let expected = format!("error: cannot put it back into own\n  {said}{more}\n  hint: nothing was changed\n");
            assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (Some(1), "", expected.as_str()), "{done:?}");
        }
    }
    assert!(!larder.path("log").exists(), "{}", fs::read_to_string(&log).unwrap_or_default());
    assert_eq!(objects(&larder), before);
}

#[test]
fn postgres_takes_dumps_of_its_databases_only() {
    let keys = "kind = \"postgres\"\nhost = \"/none\"\nuser = \"app\"\npassword_file = \"SECRET\"";
    refuses(keys, &["globals.sql", "notes"], "the snapshot holds no dump of a database; restore it with --to");
    refuses(
        &format!("{keys}\ndatabases = [\"shop\", \"stock\"]"),
        &["globals.sql", "books.sql", "shop.sql"],
        "the snapshot holds no dump of the database stock, but of books, shop: correct `database`, or restore it with --to",
    );
}

#[test]
fn mariadb_takes_dumps_of_its_databases_only() {
    let keys = "kind = \"mariadb\"\nsocket = \"/none\"\nuser = \"app\"\npassword_file = \"SECRET\"";
    refuses(keys, &["shop.sql"], "there is no file _databases.sql in the snapshot; restore it with --to");
    refuses(keys, &["_databases.sql", "_users.sql"], "the snapshot holds no dump of a database; restore it with --to");
    refuses(
        &format!("{keys}\ndatabase = \"stock\""),
        &["_databases.sql", "_users.sql", "shop.sql"],
        "the snapshot holds no dump of the database stock, but of shop: correct `database`, or restore it with --to",
    );
}

#[test]
fn redis_takes_its_dump_only() {
    let keys = "kind = \"redis\"\npassword_file = \"SECRET\"\nsocket = \"/none\"\ndata_file = \"/none/dump.rdb\"";
    refuses(keys, &["folder/dump.rdb"], "there is no file dump.rdb in the snapshot; restore it with --to");
    refuses(keys, &["dump.rdb/file"], "there is no file dump.rdb in the snapshot; restore it with --to");
}

#[test]
fn http_takes_its_export_only() {
    let (url, file) = (nobody(), "file = \"export.json\"");
    let keys = format!(
        "kind = \"http\"\nurl = \"{url}/a\"\nrestore_url = \"{url}/b\"\nuser = \"app\"\npassword_file = \"SECRET\"\n{file}"
    );
    refuses(&keys, &["old.json"], "there is no file export.json in the snapshot; restore it with --to");
}

#[test]
fn rabbitmq_takes_definitions_or_its_data_folder_only() {
    let keys = format!("kind = \"rabbitmq\"\nurl = \"{}\"\nuser = \"root\"\npassword_file = \"SECRET\"", nobody());
    refuses(&keys, &["data/file"], "there is no file definitions.json in the snapshot; restore it with --to");
    refuses(
        &format!("{keys}\ndata_directory = \"/none\""),
        &["definitions.json"],
        "the snapshot has definitions only: leave out `data_directory` to import them",
    );
}

#[test]
fn qdrant_takes_snapshots_of_its_collections_only() {
    let keys = format!("kind = \"qdrant\"\nurl = \"{}\"\napi_key_file = \"SECRET\"", nobody());
    refuses(&keys, &["aliases.json"], "in the snapshot, there are no collections; restore it with --to");
    refuses(
        &format!("{keys}\ncollections = [\"new\"]"),
        &["aliases.json", "old.snapshot"],
        "in the snapshot, there is no collection \"new\", but old; restore it with --to",
    );
}
