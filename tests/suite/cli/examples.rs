//! The configurations in `examples/`: all can be read as they are, and those that need no server but this machine's are
//! run from end to end. The services in them are tried in `services/`.

use std::fs;
use std::path::{Path, PathBuf};

use super::Shell;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Beside them lies what is for other programs.
    found.retain(|path| path.join("larder.toml").exists());
    found.sort();
    found
}

#[test]
fn all_can_be_read_as_they_are() {
    let names: Vec<String> =
        examples().iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["alan", "arasul", "gofr-plot", "hoppybrew", "schedgen"]);
    let shell = Shell::bare();
    for example in examples() {
        let seen = shell.types(&format!("config check --config {}", example.join("larder.toml").display()));
        assert_eq!(seen.code, 0, "{}", seen.stderr);
        assert!(seen.stdout.contains("no mistakes"), "{}", seen.stdout);
    }
}

#[test]
fn a_sidecar_is_set_by_variables_alone() {
    let shell = Shell::bare();
    fs::copy(examples()[2].join("larder.toml"), shell.path("larder.toml")).unwrap();
    let here = shell.folder.path().display().to_string();
    shell.write("data/storage/plot.png", "a plot\n");
    shell.write("data/auth/tokens", "tokens\n");
    shell.write("data/metadata/index.json", "{}\n");
    shell.write("password", "correct horse battery\n");
    fs::create_dir(shell.path("status")).unwrap();
    let mut shell = shell
        .set("GOFR_PLOT_BACKUP_DIR", &format!("{here}/repository"))
        .set("GOFR_PLOT_BACKUP_PASSWORD_FILE", &format!("{here}/password"))
        .set("GOFR_PLOT_BACKUP_STATUS", &format!("{here}/status"))
        .set("GOFR_PLOT_DATA", &format!("{here}/data"))
        .set("GOFR_PLOT_BACKUP_METADATA", "false")
        .set("LARDER__RETENTION__MAX_COUNT", "2");
    shell.unset("LARDER_KEY_FILE");
    shell.types("init --timezone UTC --recovery-file recovery --password-file password --quiet").sees(0, "", "");
    shell.types("doctor --quiet").sees(0, "*well\n*well\nauth*well\nstorage*well", "");
    for _ in 0..3 {
        let report = shell.types("run --json").json();
        let names: Vec<_> = report["sources"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        assert_eq!((report["status"].as_str(), names), (Some("done"), vec!["auth".into(), "storage".into()]));
    }
    assert!(shell.read("status/backup_report.json").contains("\"done\""));
    let listed = shell.types("snapshots --json --source storage --password-file password").json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "the most number");
    fs::remove_dir_all(shell.path("data/storage")).unwrap();
    shell.types("restore storage@latest --into storage --yes --no-safety-snapshot --quiet").sees(0, "", "");
    assert_eq!(shell.read("data/storage/plot.png"), "a plot\n");
}
