use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// A docker that does this.
pub fn fake(folder: &Path, script: &str) -> PathBuf {
    let program = folder.join("docker");
    // By another process: no child of this one may hold the file open for writing while it is started.
    let mut writing = Command::new("sh");
    writing.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\""]).arg(&program).arg(script);
    assert!(writing.status().unwrap().success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn an_engine_that_does_not_answer_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let program = fake(folder.path(), "echo looking >&2; sleep 600");
    let engine = Engine { program: program.to_str().unwrap(), limit: Duration::from_secs(1) };
    let asks: [&dyn Fn() -> Result<(), String>; 4] = [
        &|| engine.volumes("label=a").map(drop),
        &|| engine.inspect(&["a"]).map(drop),
        &|| engine.create("a", None),
        &|| engine.address().map(drop),
    ];
    for (ask, doing) in asks.into_iter().zip(["volume ls", "inspect --type", "volume create", "context inspect"]) {
        let error = ask().unwrap_err();
        assert_eq!(error, format!("docker {doing} took longer than 1 seconds and was ended\nlooking"));
    }
}

#[test]
fn what_docker_complains_of_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let program = fake(folder.path(), "echo no such thing >&2; exit 1");
    let engine = Engine { program: program.to_str().unwrap(), limit: Duration::from_secs(60) };
    assert_eq!(engine.volumes("a").unwrap_err(), "docker volume ls failed: exit status: 1\nno such thing");
    let none = Engine { program: "docker-that-is-not-there", ..engine };
    assert!(none.volumes("a").unwrap_err().starts_with("cannot start docker"));
}

#[test]
fn a_container_has_its_own_time_to_stop() {
    let container = |own: &str| -> Container {
        let state = "{\"Status\": \"running\", \"ExitCode\": 0}";
        let text = format!(
            "{{\"Name\": \"/a\", \"State\": {state}, \"Config\": {{{own}}}, \"HostConfig\": {{\"AutoRemove\": false}}, \
             \"Mounts\": []}}"
        );
        serde_json::from_str(&text).unwrap()
    };
    for (own, seconds) in
        [("", 10), ("\"StopTimeout\": null", 10), ("\"StopTimeout\": 300", 300), ("\"StopTimeout\": -1", 900)]
    {
        assert_eq!(container(own).stopping().as_secs(), seconds, "{own}");
    }
}
