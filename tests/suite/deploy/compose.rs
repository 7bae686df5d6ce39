//! A service of Docker Compose, read by Docker Compose.

use std::process::Command;

use super::{ODD, configure, ok, write};
use crate::support::binary::Larder;

/// What compose makes of a file, as JSON.
fn read(file: &str) -> serde_json::Value {
    let said = ok(Command::new("docker-compose").args(["--file", file, "config"]));
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", "import sys, json, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))", &said]);
    serde_json::from_str(&ok(&mut python)).unwrap()
}

#[test]
fn compose_reads_the_service_and_only_what_must_be_is_writable() {
    let larder = Larder::new();
    let odd = larder.path(ODD).display().to_string();
    let more = "[schedule]\ncron = \"0 2 * * *\"\n\
                [source.etc]\nkind = \"directory\"\npaths = [\"/etc\"]\n\
                [source.settings]\nkind = \"sqlite\"\npath = \"/srv/app/data.db\"\n\
                [source.dump]\nkind = \"postgres\"\npassword_file = \"/run/secrets/app\"\n\
                [source.data]\nkind = \"docker_volume\"\nvolume = \"data\"\n";
    let config = configure(&larder, more);
    let made = larder.ok(&["schedule", "compose", "--config", &config, "--image", "registry.example.org/larder:0.1"]);
    for warning in ["source dump needs pg_dump", "source data: volumes are not reached"] {
        assert!(made.err.contains(warning) && made.out.contains(warning), "{warning}: {made:?}");
    }
    let whole = read(&write(&larder.path("compose.yaml"), &made.out));
    let service = &whole["services"]["larder"];
    assert_eq!(
        (service["user"].as_str(), service["read_only"].as_bool(), service["restart"].as_str()),
        (Some("65532:65532"), Some(true), Some("unless-stopped")),
        "{service}"
    );
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(service["hostname"].as_str(), Some(host.trim()));
    assert_eq!(service["image"].as_str(), Some("registry.example.org/larder:0.1"));
    assert_eq!(service["healthcheck"]["test"], serde_json::json!(["CMD", "/larder", "daemon", "--health"]));
    let mounts = service["volumes"].as_array().unwrap().iter().map(|mount| {
        let text = |key: &str| mount[key].as_str().unwrap().replace("$$", "$");
        (text("source"), text("target"), mount["read_only"].as_bool().unwrap_or(false))
    });
    let mut mounts: Vec<(String, String, bool)> = mounts.collect();
    mounts.sort();
    let place = |name: &str| larder.path(name).display().to_string();
    let same = |path: String, read_only| (path.clone(), path, read_only);
    let mut expected = vec![
        (config, "/larder.toml".to_owned(), true),
        ("larder-cache".to_owned(), "/cache".to_owned(), false),
        same("/etc".to_owned(), true),
        same("/srv/app".to_owned(), false),
        same(format!("{odd}/files"), true),
        same(format!("{odd}/status"), false),
        same(place("key"), true),
        same(place("repository"), false),
    ];
    expected.sort();
    assert_eq!(mounts, expected);
    let secret = whole["secrets"]["app"]["file"].as_str().unwrap();
    assert!(secret.ends_with("secrets/app"), "{secret}");
}

#[test]
fn compose_reads_the_sidecar_to_start_from() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/compose.yaml");
    let service = &read(file)["services"]["larder"];
    assert_eq!((service["user"].as_str(), service["read_only"].as_bool()), (Some("65532:65532"), Some(true)));
    let mounts = service["volumes"].as_array().unwrap().iter().map(|mount| mount.as_str().unwrap().to_owned());
    let writable: Vec<String> = mounts.filter(|mount| !mount.ends_with(":ro")).collect();
    assert_eq!(writable, ["repository:/repository:rw", "cache:/cache:rw"]);
}

#[test]
fn a_shell_and_compose_read_files_of_variables_alike() {
    let larder = Larder::new();
    let file =
        "# a comment\n\nPLAIN=aZ9_./:@%+,-=\nEMPTY=\nQUOTED='a b;$HOME {X} `c` #\"d\" ~ *&|<>(){}[]!?^ \u{e4}'\n";
    let variables = write(&larder.path("variables"), file);
    larder::deploy::variables::check(file.as_bytes()).unwrap();
    let text = format!("services:\n  larder:\n    image: larder\n    env_file: [\"{variables}\"]\n");
    let whole = read(&write(&larder.path("compose.yaml"), &text));
    let script = format!("set -ae; . {variables}; env");
    let shell = ok(Command::new("/bin/sh").args(["-c", &script]));
    for (name, value) in
        [("PLAIN", "aZ9_./:@%+,-="), ("EMPTY", ""), ("QUOTED", "a b;$HOME {X} `c` #\"d\" ~ *&|<>(){}[]!?^ \u{e4}")]
    {
        assert!(shell.lines().any(|line| line == format!("{name}={value}")), "{name}: {shell}");
        // What is printed is a compose file again.
        let theirs = whole["services"]["larder"]["environment"][name].as_str().unwrap().replace("$$", "$");
        assert_eq!(theirs, value, "{name}");
    }
}
