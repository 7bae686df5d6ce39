//! What larder writes for programs, held against `docs/schemas/`.
//!
//! Promise: a field that no schema has, or one that a schema has and larder does not write any more, fails the test that
//! comes upon it.

use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;

/// Whether a document is what its schema says.
#[track_caller]
pub fn holds(schema: &str, document: &Value) {
    let path = format!("{}/docs/schemas/{schema}", env!("CARGO_MANIFEST_DIR"));
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.enable_format_assertions();
    let index = compiler.compile(&path, &mut schemas).unwrap_or_else(|error| panic!("{schema}: {error:#}"));
    let found = schemas.validate(document, index);
    assert!(found.is_ok(), "{schema}: {}\n{document:#}", found.unwrap_err());
}

/// Every status file in a folder, of which there may be none: how many there are.
#[track_caller]
pub fn hold_in(folder: &Path) -> usize {
    let names = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    let schemas = names.iter().filter_map(|name| Some((name, schema_of(name)?)));
    schemas
        .inspect(|(name, schema)| {
            let text = fs::read(folder.join(name)).unwrap();
            holds(schema, &serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}: {error}")));
        })
        .count()
}

fn schema_of(name: &str) -> Option<&str> {
    match name {
        "backup_report.json" | "backup_summary.json" | "webhook_payload.json" => Some(name),
        name if name.ends_with("_last_backup.json") => Some("source_last_backup.json"),
        _ => None,
    }
}

/// What a command answers with `--json`, where there is a schema for it.
#[track_caller]
pub fn answer_holds(command: &str, stdout: &str) {
    let mut words = command.split_whitespace();
    let first = words.next().unwrap_or_default();
    if !words.any(|word| word == "--json") {
        return;
    }
    let schema = match first {
        "run" => "webhook_payload.json",
        "snapshots" | "status" => &format!("{first}.json"),
        _ => return,
    };
    // What failed before it began answers nothing.
    if let Ok(answer) = serde_json::from_str(stdout) {
        holds(schema, &answer);
    }
}
