//! The image: built by a real Docker engine, and the only thing that runs in its containers is larder.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::binary::{Larder, write_day};
use crate::support::docker::Engine;
use crate::support::waiting::wait_for;

const IMAGE: &str = "larder/larder";
const INIT: [&str; 7] =
    ["init", "--repo", "/repository", "--password-file", "/run/secrets/larder", "--timezone", "UTC"];
/// Who larder is in there.
const USER: u32 = 65_532;

/// A place in the folder that this is compiled from.
fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(here(name)).unwrap()
}

/// Builds the image of the static binary that `scripts/test` made.
fn build(engine: &Engine) {
    let folder = engine.path("context");
    fs::create_dir_all(folder.join("empty")).unwrap();
    let binary = here("target/static/larder");
    fs::copy(&binary, folder.join("larder"))
        .unwrap_or_else(|error| panic!("{}: {error}: run scripts/test", binary.display()));
    let dockerfile = here("Dockerfile");
    let words = ["build", "--quiet", "--tag", IMAGE, "--target", "prebuilt", "--file", dockerfile.to_str().unwrap()];
    let mut command = engine.command(&words);
    let output = command.arg(&folder).env("DOCKER_BUILDKIT", "0").output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// An image that stands for the one with the toolchain: its `cargo` checks what it is asked for, and makes a file.
fn import_toolchain(engine: &Engine, asked: &str) {
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let root = engine.path("toolchain");
    let put = |name: &str, text: &str| {
        fs::write(root.join(name), text).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is not installed: run scripts/test");
    for name in ["cat", "mkdir", "sh", "touch"] {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    let words = "[ \"cargo $*\" = \"$(cat /asked)\" ] || { echo \"cargo $*\"; exit 1; }";
    put("bin/cargo", &format!("#!/bin/sh\n{words}\nmkdir -p target/release && touch target/release/larder\n"));
    put("asked", asked);
    engine.import(&root, &format!("rust:{version}-bookworm"));
}

/// Nothing can be pulled, so the toolchain is a stand-in. What the stage has of a clone is all that cargo needs to begin, and
/// what it asks cargo for is what `scripts/test` does, but for the profile. This engine has no BuildKit, which passes over
/// the stage `prebuilt` by itself.
#[test]
fn all_stages_of_the_dockerfile_make_the_image_of_a_clone() {
    let (engine, larder) = (Engine::start(), Larder::new());
    let script = read("scripts/test");
    let compiles = script.lines().find(|line| line.starts_with("cargo rustc ")).unwrap();
    import_toolchain(&engine, &compiles.replace("cargo rustc ", "cargo rustc --release "));
    let whole = read("Dockerfile");
    let stages: Vec<&str> = whole.split("\nFROM ").filter(|stage| !stage.starts_with("bare AS prebuilt\n")).collect();
    let dockerfile = larder.file("Dockerfile", &stages.join("\nFROM "));
    let build = |more: &[&str]| {
        let mut command = engine.command(&["build", "--quiet", "--network", "none", "--file", &dockerfile]);
        let output = command.args(more).arg(here("")).env("DOCKER_BUILDKIT", "0").output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    build(&["--tag", "compiled", "--target", "build"]);
    let container = engine.ok(&["create", "compiled", "/bin/sh"]);
    let copy = larder.path("copy");
    engine.ok(&["cp", &format!("{container}:/larder"), copy.to_str().unwrap()]);
    let names = |folder: &Path| {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&copy), ["Cargo.lock", "Cargo.toml", "benches", "empty", "src", "target"]);
    assert_eq!(names(&copy.join("target/release")), ["larder"]);
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]).current_dir(&copy);
    let metadata = metadata.output().unwrap();
    assert!(metadata.status.success(), "{metadata:?}");

    build(&["--tag", IMAGE]);
    let container = engine.ok(&["create", IMAGE]);
    let archive = larder.path("image.tar").display().to_string();
    engine.ok(&["export", "--output", &archive, &container]);
    let listed = Command::new("tar").args(["--numeric-owner", "-tvf", &archive]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for (owner, name) in [("0/0", "larder"), ("65532/65532", "repository/"), ("65532/65532", "cache/")] {
        let found = listed.lines().any(|line| line.contains(owner) && line.ends_with(&format!(" {name}")));
        assert!(found, "{name} of {owner}:\n{listed}");
    }
    let image =
        engine.ok(&["image", "inspect", "--format", "{{.Config.User}} {{.Config.Entrypoint}} {{.Config.Cmd}}", IMAGE]);
    assert_eq!(image, "65532:65532 [/larder] [daemon]");
}

/// A sidecar: volumes for the repository and its cache, and this folder, which it may only read.
struct Sidecar<'e> {
    engine: &'e Engine,
    mounts: Vec<String>,
}

impl<'e> Sidecar<'e> {
    fn new(engine: &'e Engine, larder: &Larder, data: &Path) -> Self {
        let password = larder.path("password");
        fs::write(&password, "correct horse battery\n").unwrap();
        chown(&password, Some(USER), Some(USER)).unwrap();
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
        let config = larder.path("larder.toml");
        let text = "[repository]\npath = \"/repository\"\npassword_file = \"/run/secrets/larder\"\n\
                    [schedule]\ncron = \"@hourly\"\n[source.data]\nkind = \"directory\"\npaths = [\"/data\"]\n";
        fs::write(&config, text).unwrap();
        let bind = |from: &Path, to: &str| format!("type=bind,source={},target={to},readonly", from.display());
        let mounts = vec![
            bind(data, "/data"),
            bind(&config, "/larder.toml"),
            bind(&password, "/run/secrets/larder"),
            "type=volume,source=repository,target=/repository".to_owned(),
            "type=volume,source=cache,target=/cache".to_owned(),
        ];
        Self { engine, mounts }
    }

    /// `docker run` with these words before and behind the image.
    fn command(&self, before: &[&str], behind: &[&str]) -> Command {
        let hardened =
            ["run", "--hostname", "shop", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"];
        let mut command = self.engine.command(&hardened);
        command.args(["--security-opt", "no-new-privileges"]).args(before);
        for mount in &self.mounts {
            command.args(["--mount", mount]);
        }
        command.arg(IMAGE).args(behind);
        command
    }

    fn ok(&self, words: &[&str]) -> String {
        let output = self.command(&["--rm"], words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn owners(folder: &Path) -> Vec<(u32, PathBuf)> {
    let mut ahead = vec![folder.to_owned()];
    let mut owners = Vec::new();
    while let Some(path) = ahead.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        owners.push((found.uid(), path.clone()));
        if found.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    owners
}

#[test]
fn a_sidecar_without_rights_stores_what_it_may_only_read() {
    let (engine, larder) = (Engine::start(), Larder::new());
    build(&engine);
    let (data, back) = (larder.path("data"), larder.path("back"));
    write_day(&data, 1, 20, 3000);
    // All may read it, and nobody in the container may write it.
    ok_tree(&data);
    let sidecar = Sidecar::new(&engine, &larder, &data);
    sidecar.ok(&INIT);
    let report: serde_json::Value = serde_json::from_str(&sidecar.ok(&["run", "--due", "--json"])).unwrap();
    assert_eq!(
        (report["status"].as_str(), report["sources"][0]["files"].as_u64()),
        (Some("done"), Some(26)),
        "{report}"
    );
    // Another container of the same name goes on where the last one was: nothing is due.
    let report: serde_json::Value = serde_json::from_str(&sidecar.ok(&["run", "--due", "--json"])).unwrap();
    assert_eq!(report["sources"].as_array().map(Vec::len), Some(0), "{report}");
    let stored = engine.mountpoint("repository");
    let foreign: Vec<_> = owners(&stored).into_iter().filter(|(owner, _)| *owner != USER).collect();
    assert!(foreign.is_empty() && owners(&stored).len() > 3, "{foreign:?}");
    // From outside, by somebody else.
    let mut command = larder.command(&["restore", "data@latest", "--to", back.to_str().unwrap()]);
    command.args(["--repo", stored.to_str().unwrap(), "--password-file", larder.path("password").to_str().unwrap()]);
    let output = command.env_remove("LARDER_KEY_FILE").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let same = Command::new("diff").args(["--recursive", "--no-dereference"]).args([&data, &back]).output().unwrap();
    assert!(same.status.success(), "{same:?}");
    // Its exit code is that of the container: nothing can be read.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    let failed = sidecar.command(&["--rm"], &["run"]).output().unwrap();
    assert!(matches!(failed.status.code(), Some(1 | 3)), "{failed:?}");
    let image = engine.ok(&["image", "inspect", "--format", "{{.Config.User}} {{.Config.Healthcheck.Test}}", IMAGE]);
    assert_eq!(image, "65532:65532 [CMD /larder daemon --health]");
}

#[test]
fn a_sidecar_runs_by_itself_and_is_healthy() {
    let (engine, larder) = (Engine::start(), Larder::new());
    build(&engine);
    let data = larder.path("data");
    write_day(&data, 1, 20, 3000);
    ok_tree(&data);
    let sidecar = Sidecar::new(&engine, &larder, &data);
    sidecar.ok(&INIT);
    let often = ["--detach", "--name", "sidecar", "--health-interval", "1s", "--health-start-period", "0s"];
    let output = sidecar.command(&often, &[]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    wait_for("it is healthy", || {
        assert_eq!(engine.state("sidecar"), "running", "{:?}", engine.docker(&["logs", "sidecar"]));
        engine.of("sidecar", "{{.State.Health.Status}}") == "healthy"
    });
    let snapshots = ["exec", "sidecar", "/larder", "snapshots", "--json", "--repo", "/repository"];
    let unlock = ["--password-file", "/run/secrets/larder"];
    wait_for("it stores what is due", || {
        let said = engine.ok(&[&snapshots[..], &unlock].concat());
        serde_json::from_str::<serde_json::Value>(&said).unwrap().as_array().unwrap().len() == 1
    });
    engine.ok(&["stop", "--time", "60", "sidecar"]);
    assert_eq!(engine.of("sidecar", "{{.State.ExitCode}} {{.State.OOMKilled}}"), "0 false");
    // A daemon that cannot run is not healthy, but ends, with what is wrong.
    fs::write(larder.path("larder.toml"), "[repository]\npath = \"/repository\"\n").unwrap();
    let failed = sidecar.command(&["--rm"], &[]).output().unwrap();
    assert_eq!(failed.status.code(), Some(2), "{failed:?}");
}

/// As `docs/deployment.md` says. This engine has no networks, which is all that is left out.
#[test]
fn the_sidecar_to_start_from_comes_up_and_stores_what_is_due() {
    let (engine, larder) = (Engine::start(), Larder::new());
    build(&engine);
    engine.ok(&["tag", IMAGE, "larder"]);
    fs::create_dir(larder.path("data")).unwrap();
    write_day(&larder.path("data"), 1, 20, 3000);
    Sidecar::new(&engine, &larder, &larder.path("data"));
    ok_tree(&larder.path("data"));
    fs::create_dir(larder.path("secrets")).unwrap();
    fs::rename(larder.path("password"), larder.path("secrets/larder")).unwrap();
    fs::copy(here("compose.yaml"), larder.path("compose.yaml")).unwrap();
    fs::write(larder.path("alone.yaml"), "services:\n  larder:\n    network_mode: none\n").unwrap();
    let compose = |words: &[&str]| {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", "shop", "--file", "compose.yaml", "--file", "alone.yaml"]).args(words);
        command.current_dir(larder.folder.path()).env("DOCKER_HOST", engine.host());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    };
    let once = ["run", "--rm", "-T", "larder"];
    compose(&[&once[..], &INIT].concat());
    compose(&[&once[..], &["doctor"]].concat());
    compose(&["up", "--detach", "--no-build"]);
    let stored = ["exec", "-T", "larder", "/larder", "snapshots", "--json"];
    let stored = [&stored[..], &["--repo", "/repository", "--password-file", "/run/secrets/larder"]].concat();
    wait_for("it stores what is due", || {
        serde_json::from_str::<serde_json::Value>(&compose(&stored)).unwrap().as_array().unwrap().len() == 1
    });
    wait_for("it waits", || {
        compose(&["exec", "-T", "larder", "/larder", "daemon", "--health"]).contains(", waiting; ")
    });
    compose(&["down", "--volumes"]);
}

fn ok_tree(folder: &Path) {
    for (_, path) in owners(folder) {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}
