//! The map in `src/lib.rs` and the rules of the house, held against the source.
//!
//! Promise: a broken rule is named with file and line. Left out on purpose: what clippy sees better.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tokens::{Token, tokens};

mod tokens;

/// Lines with code in them; comments and blank lines are free.
const CODE_LINES_MAX: usize = 500;

/// Crates that stay in one place: name, and where below `src/` it may be named.
const QUARANTINE: &[(&str, &[&str])] = &[
    ("aes", &["run/services/n8n/"]),
    ("cbc", &["run/services/n8n/"]),
    ("boon", &["schema.rs"]),
    ("crc", &["ops/rdb.rs"]),
    ("rusqlite", &["sqlite.rs", "sqlite/", "index.rs", "index/"]),
    ("toml", &["config.rs", "config/"]),
    ("ureq", &["http.rs", "http/"]),
    ("base64", &["http.rs", "http/", "mail/smtp.rs", "run/services/n8n/"]),
    ("lettre", &["mail/smtp.rs"]),
    ("md5", &["run/services/n8n/", "run/services/s3/"]),
    ("sha2", &["run/notify/over_http.rs", "run/services/qdrant/"]),
    ("percent_encoding", &["http.rs", "http/"]),
    ("rusty_s3", &["s3.rs", "s3/"]),
    ("strsim", &["config.rs", "config/"]),
    ("chacha20poly1305", &["crypto.rs", "crypto/"]),
    ("argon2", &["crypto.rs", "crypto/"]),
    ("x25519_dalek", &["crypto.rs", "crypto/"]),
    ("ed25519_dalek", &["crypto.rs", "crypto/"]),
    ("getrandom", &["crypto.rs", "crypto/"]),
    ("clap", &["main.rs", "cli/"]),
    ("clap_complete", &["main.rs", "cli/"]),
    ("indicatif", &["main.rs", "cli/"]),
    (
        "serde_json",
        &["main.rs", "cli/", "run.rs", "run/", "ops/json.rs", "dump/sidecar.rs", "schema.rs", "config/schema.rs"],
    ),
    ("signal_hook", &["cli/"]),
    ("tar", &["ops/entries/archive.rs"]),
];

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

const CLOCKS: &[&str] = &["SystemTime", "Instant", "Timestamp", "Zoned"];

/// A source file, by its path below `src/`.
struct Source {
    path: String,
    text: String,
}

/// The layer of every module.
type Layers = BTreeMap<String, u32>;

#[test]
fn the_source_keeps_to_the_map() {
    let sources: Vec<Source> = read_sources(&root().join("src"));
    let (layers, mut broken) = read_map(&sources);
    for source in &sources {
        broken.extend(check(source, &layers));
    }
    broken.extend(unlisted_unit_tests(&sources));
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_test_file_is_listed_and_there_is_one_integration_binary() {
    let tests = root().join("tests");
    let mut broken = unlisted(&tests.join("suite"), &tests.join("suite/main.rs"));
    for path in entries(&tests) {
        let binary = if path.is_dir() { path.join("main.rs") } else { path.clone() };
        let suite = path.file_name().is_some_and(|name| name == "suite");
        if !suite && binary.exists() && binary.extension().is_some_and(|extension| extension == "rs") {
            broken.push(format!("{}: the suite is the one integration binary; list it there", binary.display()));
        }
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

fn read_sources(src: &Path) -> Vec<Source> {
    let mut ahead = vec![src.to_owned()];
    let mut sources = Vec::new();
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(entries(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
            sources.push(Source { path: below, text: fs::read_to_string(&path).unwrap() });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// The layers that `lib.rs` declares, and what it says beyond them.
fn read_map(sources: &[Source]) -> (Layers, Vec<String>) {
    let lib = sources.iter().find(|source| source.path == "lib.rs").expect("src/lib.rs");
    let (mut layers, mut broken, mut layer) = (Layers::new(), Vec::new(), 0);
    for (at, line) in lib.text.lines().enumerate() {
        let module = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
        if let Some(rest) = line.strip_prefix("// Layer ") {
            let number = rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
            if number != Some(layer + 1) {
                broken.push(complaint(lib, at + 1, "layers are numbered one after the other"));
            }
            layer += 1;
        } else if let Some(module) = module.filter(|_| layer > 0) {
            layers.insert(module.to_owned(), layer);
        } else if !line.is_empty() && !line.starts_with("//") {
            broken.push(complaint(lib, at + 1, "lib.rs declares modules, each below a `// Layer n`, and nothing else"));
        }
    }
    assert!(layers.len() > 3, "src/lib.rs has no `// Layer n` comments with modules below them");
    (layers, broken)
}

fn complaint(source: &Source, line: usize, rule: &str) -> String {
    format!("src/{}:{line}: {rule}", source.path)
}

/// What one file breaks.
fn check(source: &Source, layers: &Layers) -> Vec<String> {
    let tokens = tokens(&source.text);
    let in_binary = source.path == "main.rs" || source.path.starts_with("cli/") || source.path == "cli.rs";
    let in_tests = source.path.ends_with("_tests.rs");
    let mut broken = no_unsafe(&tokens);
    if !in_tests {
        broken.extend(no_unwrap(&tokens));
        broken.extend(quarantine(&source.path, &tokens));
        broken.extend(too_long(&tokens));
    }
    if !in_tests && !in_binary {
        broken.extend(layering(&source.path, &tokens, layers));
        broken.extend(manners(&tokens));
    }
    broken.into_iter().map(|(line, rule)| complaint(source, line, &rule)).collect()
}

/// A line and the rule it breaks.
type Broken = (usize, String);

/// Where these tokens stand one after the other.
fn sequences<'a>(tokens: &'a [Token<'_>], wanted: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
    let windows = tokens.windows(wanted.len());
    windows
        .filter(move |window| window.iter().zip(wanted).all(|(token, text)| token.text == *text))
        .map(|found| found[0].line)
}

/// Tests may, in the files `*_tests.rs`.
fn no_unwrap(tokens: &[Token<'_>]) -> Vec<Broken> {
    let rule = "what cannot be is an error of its own, or says why with `expect`";
    sequences(tokens, &[".", "unwrap", "("]).map(|line| (line, rule.to_owned())).collect()
}

fn no_unsafe(tokens: &[Token<'_>]) -> Vec<Broken> {
    sequences(tokens, &["unsafe"]).map(|line| (line, "nothing here is `unsafe`".to_owned())).collect()
}

fn too_long(tokens: &[Token<'_>]) -> Option<Broken> {
    let lines: BTreeSet<usize> = tokens.iter().map(|token| token.line).collect();
    let line = *lines.iter().nth(CODE_LINES_MAX)?;
    Some((line, format!("{} lines of code, and a file has {CODE_LINES_MAX} at most", lines.len())))
}

fn quarantine(path: &str, tokens: &[Token<'_>]) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Some((name, places)) = QUARANTINE.iter().find(|(name, _)| *name == token.text) else { continue };
        let before = |back: usize| at.checked_sub(back).map_or("", |at| tokens[at].text);
        // `crypto::argon2` would be a module of ours, `::argon2` the crate.
        let ours = before(1) == "::" && before(2).starts_with(|c: char| c.is_alphabetic()) && before(2) != "use";
        let path_begins = tokens.get(at + 1).is_some_and(|next| next.text == "::");
        let imported = matches!(before(1), "use" | "crate") || (before(1) == "::" && before(2) == "use");
        let allowed = places.iter().any(|place| path == *place || (place.ends_with('/') && path.starts_with(place)));
        if (path_begins || imported) && !ours && !allowed {
            broken.push((token.line, format!("`{name}` is used in {} only", places.join(", "))));
        }
    }
    broken
}

fn layering(path: &str, tokens: &[Token<'_>], layers: &Layers) -> Vec<Broken> {
    let own = path.split(['/', '.']).next().unwrap_or("");
    let mut broken = Vec::new();
    if own != "lib" && !layers.contains_key(own) {
        broken.push((1, format!("`{own}` is no module of lib.rs")));
    }
    for window in tokens.windows(3).filter(|window| window[0].text == "crate" && window[1].text == "::") {
        let Token { line, text: other } = window[2];
        let rule = match (layers.get(own), layers.get(other)) {
            _ if other == "*" => "a glob import hides what is used".to_owned(),
            _ if other == "{" => "one `use` for each module".to_owned(),
            (_, None) => format!("`crate::{other}` is no module of lib.rs"),
            (Some(mine), Some(its)) if its > mine => {
                format!("`{own}` (layer {mine}) uses `{other}`, which is above it (layer {its})")
            }
            (Some(mine), Some(its)) if its == mine && own != other => {
                format!("`{own}` uses `{other}`, which is of the same layer ({its})")
            }
            _ => continue,
        };
        broken.push((line, rule));
    }
    broken
}

/// What a library does not do.
fn manners(tokens: &[Token<'_>]) -> Vec<Broken> {
    let mut broken = Vec::new();
    let mut forbid = |wanted: &[&str], rule: &str| {
        broken.extend(sequences(tokens, wanted).map(|line| (line, rule.to_owned())));
    };
    for name in PRINTING {
        forbid(&[name, "!"], &format!("the library prints nothing, `{name}!` neither"));
    }
    for name in CLOCKS {
        forbid(&[name, "::", "now"], &format!("time is an argument; `{name}::now` is for the binary"));
    }
    forbid(&["std", "::", "env"], "the library does not read its environment");
    forbid(&["super", "::"], "`super::` is for tests; begin with `crate::`");
    forbid(&["mod", "tests", "{"], "unit tests live in a file beside: `#[path = \"x_tests.rs\"] mod tests;`");
    broken
}

/// Files of unit tests that no file beside them includes.
fn unlisted_unit_tests(sources: &[Source]) -> Vec<String> {
    let folder = |path: &str| path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let mut broken = Vec::new();
    for tests in sources.iter().filter(|source| source.path.ends_with("_tests.rs")) {
        let file = tests.path.rsplit('/').next().unwrap_or(&tests.path);
        let attribute = format!("#[path = \"{file}\"]");
        let beside = |source: &&Source| folder(&source.path) == folder(&tests.path);
        if !sources.iter().filter(beside).any(|source| source.text.contains(&attribute)) {
            broken.push(complaint(tests, 1, &format!("no file beside it says `{attribute}`, so it never runs")));
        }
    }
    broken
}

/// Files and folders of the suite that the file which should list them does not.
fn unlisted(folder: &Path, list: &Path) -> Vec<String> {
    let text = fs::read_to_string(list).unwrap_or_default();
    let tokens = tokens(&text);
    let mut broken = Vec::new();
    for path in entries(folder).into_iter().filter(|path| path != list) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let holds_sources = path.is_dir() && !read_sources(&path).is_empty();
        if (is_source || holds_sources) && sequences(&tokens, &["mod", name, ";"]).next().is_none() {
            broken.push(format!("{}: {} does not say `mod {name};`, so it never runs", path.display(), list.display()));
        }
        if holds_sources {
            let inside = path.join("mod.rs");
            broken.extend(unlisted(&path, &if inside.exists() { inside } else { path.with_extension("rs") }));
        }
    }
    broken
}

/// Holds one file against a map of two layers, and names what it breaks: `line: a part of the rule`.
fn checked(path: &str, text: &str) -> Vec<String> {
    let layers = [("id", 1), ("crypto", 2), ("storage", 3), ("index", 3)].map(|(name, layer)| (name.to_owned(), layer));
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    check(&source, &layers.into_iter().collect())
}

#[test]
fn each_rule_fires_on_what_breaks_it() {
    for (path, text, complaint) in [
        ("crypto/mod.rs", "\nuse crate::storage::Storage;", ":2: `crypto` (layer 2) uses `storage`, which is above"),
        ("id.rs", "fn f() { crate::crypto::hash() }", ":1: `id` (layer 1) uses `crypto`, which is above"),
        ("index/rebuild.rs", "use crate::storage::Storage;", "which is of the same layer (3)"),
        ("index/mod.rs", "use crate::{id, storage};", "one `use` for each module"),
        ("index/mod.rs", "use crate::*;", "a glob import"),
        ("index/mod.rs", "use crate::Error;", "`crate::Error` is no module"),
        ("util.rs", "", "`util` is no module"),
        ("index/mod.rs", "use super::id;", "`super::` is for tests"),
        ("storage/local.rs", "use rusqlite::Connection;", "`rusqlite` is used in sqlite.rs"),
        ("storage/local.rs", "type C = ::rusqlite::Connection;", "`rusqlite` is used in"),
        ("storage/local.rs", "use getrandom;", "`getrandom` is used in"),
        ("cli/backup.rs", "use rusqlite::Connection;", "`rusqlite` is used in"),
        ("index/mod.rs", "#[derive(clap::Parser)]", "`clap` is used in main.rs, cli/ only"),
        ("id.rs", "fn f() { println!(\"\") }", "`println!` neither"),
        ("id.rs", "fn f() { std::eprintln!(\"\") }", "`eprintln!` neither"),
        ("id.rs", "use std::env;", "does not read its environment"),
        ("id.rs", "let now = std::time::SystemTime::now();", "`SystemTime::now` is for the binary"),
        ("id.rs", "let now = map(Instant::now);", "`Instant::now` is for the binary"),
        ("id.rs", "unsafe { f() }", "nothing here is `unsafe`"),
        ("id_tests.rs", "unsafe { f() }", "nothing here is `unsafe`"),
        ("id.rs", "#[cfg(test)]\nmod tests {}", ":2: unit tests live in a file beside"),
        ("id.rs", &"f();\n".repeat(501), ":501: 501 lines of code"),
    ] {
        let broken = checked(path, text);
        assert!(broken.len() == 1 && broken[0].contains(complaint), "{path}: {text}: {broken:?}");
    }
}

#[test]
fn no_rule_fires_on_what_keeps_to_it() {
    for (path, text) in [
        ("index/mod.rs", "use crate::crypto::open;\nuse crate::index::rows::Row;\npub(crate) fn f() {}"),
        ("index/mod.rs", "// use crate::storage; unsafe println!\nconst A: &str = \"crate::storage::x\";"),
        ("index/rows.rs", "use rusqlite::Row;"),
        ("crypto/mod.rs", "mod argon2;\nuse crate::crypto::argon2::stretch;\nlet clap = getrandom(1);"),
        ("index/mod_tests.rs", "use super::*;\nuse crate::storage::memory::Memory;\nfn f() { println!(\"\") }"),
        (
            "cli/backup.rs",
            "use larder::storage;\nuse crate::cli::report;\nfn f() { println!(\"{}\", Timestamp::now()) }",
        ),
        ("id.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\");\n#[cfg(test)]\n#[path = \"id_tests.rs\"]\nmod tests;"),
        ("id.rs", &"// note\n\n".repeat(900)),
    ] {
        let broken = checked(path, text);
        assert!(broken.is_empty(), "{path}: {text}: {broken:?}");
    }
}
