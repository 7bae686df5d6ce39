//! `examples/gofr-plot`: a sidecar, of which everything is set by variables.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::data::{content_of, empty, live_a_day_in};
use super::{Site, Stage, Variables, file, names};

/// A user who owns nothing.
const NOBODY: u32 = 65_534;

pub struct GofrPlot {
    data: TempDir,
    switched_off: Option<&'static str>,
}

/// The sources, and where they are in the folder.
const FOLDERS: [(&str, &str); 4] =
    [("auth", "data/auth"), ("logs", "logs"), ("metadata", "data/metadata"), ("storage", "data/storage")];

/// What switches each of them off.
const SWITCHES: [(&str, &str); 4] = [
    ("auth", "GOFR_PLOT_BACKUP_INCLUDE_AUTH"),
    ("logs", "GOFR_PLOT_BACKUP_INCLUDE_LOGS"),
    ("metadata", "GOFR_PLOT_BACKUP_INCLUDE_METADATA"),
    ("storage", "GOFR_PLOT_BACKUP_INCLUDE_STORAGE"),
];

impl GofrPlot {
    pub fn start() -> Self {
        let stage = Self { data: TempDir::new().unwrap(), switched_off: None };
        FOLDERS.iter().for_each(|(_, folder)| fs::create_dir_all(stage.path(folder)).unwrap());
        stage
    }

    fn path(&self, folder: &str) -> PathBuf {
        self.data.path().join(folder)
    }
}

impl Stage for GofrPlot {
    const NAME: &'static str = "gofr-plot";
    const BREAKS: &'static str = "metadata";

    fn variables(&self, here: &Path) -> Variables {
        let at = |name: &str| here.join(name).display().to_string();
        let mut variables = vec![
            ("GOFR_PLOT_BACKUP_DIR", at("larder")),
            ("GOFR_PLOT_BACKUP_PASSWORD_FILE", at("password")),
            ("GOFR_PLOT_BACKUP_STATUS", at("status")),
            ("GOFR_PLOT_DATA", self.path("data").display().to_string()),
            ("GOFR_PLOT_LOGS", self.path("logs").display().to_string()),
        ];
        variables.extend(self.switched_off.map(|switch| (switch, "false".to_owned())));
        variables
    }

    fn live_a_day(&self, day: u32) {
        for (_, folder) in FOLDERS {
            let there = Some(self.path(folder)).filter(|folder| folder.exists());
            live_a_day_in(&there.unwrap_or_else(|| self.path("gone")), day);
        }
    }

    fn content(&self) -> BTreeMap<&'static str, String> {
        FOLDERS.iter().map(|(name, folder)| (*name, content_of(&self.path(folder)))).collect()
    }

    fn destroy(&self) {
        FOLDERS.iter().for_each(|(_, folder)| empty(&self.path(folder)));
    }

    fn break_one(&self) {
        fs::rename(self.path("data/metadata"), self.path("gone")).unwrap();
    }

    fn mend_it(&self) {
        fs::rename(self.path("gone"), self.path("data/metadata")).unwrap();
    }
}

#[test]
fn each_folder_has_a_switch_and_comes_back_by_name_or_as_the_newest() {
    let mut site = Site::new(GofrPlot::start());
    site.stage.live_a_day(1);
    site.ok(&["doctor"]);
    let report = site.run(&[]);
    let all = FOLDERS.map(|(name, _)| name);
    assert_eq!(names(&report), all);
    assert!(site.read("status/backup_report.json").contains("\"done\""));
    let (day, first) = (site.stage.content(), report["sources"][3]["snapshot"].as_str().unwrap().to_owned());
    site.stage.live_a_day(2);
    for (name, switch) in SWITCHES {
        site.stage.switched_off = Some(switch);
        let others: Vec<&str> = all.into_iter().filter(|one| *one != name).collect();
        assert_eq!(names(&site.run(&[])), others);
    }
    // All of it switched off: nothing is due any more, and a run by hand does what it is told.
    site.stage.switched_off = Some("GOFR_PLOT_BACKUP_ENABLED");
    assert_eq!(names(&site.run(&["--due"])), [""; 0]);
    site.stage.switched_off = None;
    let newest = site.stage.content();
    site.loses_and_puts_back(&all);
    assert_eq!(site.stage.content(), newest);
    site.ok(&["restore", &first, "--into", "storage", "--yes"]);
    assert_eq!(site.stage.content()["storage"], day["storage"]);
}

/// By days, by number, weekly and monthly at once; and what is more than the most goes first.
#[test]
fn the_most_number_counts_whatever_else_is_kept() {
    let site = Site::new(GofrPlot::start());
    for day in 1..=4 {
        site.stage.live_a_day(day);
        let mut command = site.command(&["run", "auth", "--quiet"]);
        assert!(command.env("GOFR_PLOT_BACKUP_MAX_COUNT", "2").status().unwrap().success());
    }
    assert_eq!(site.snapshots("auth").len(), 2);
}

/// The neighbour's folders are mounted read-only, and larder is not root there.
#[test]
fn a_sidecar_needs_neither_rights_to_write_nor_root() {
    let site = Site::new(GofrPlot::start());
    site.stage.live_a_day(1);
    let does = |program: &str, words: &[&str]| assert!(Command::new(program).args(words).status().unwrap().success());
    let (here, data) = (site.folder.path().display().to_string(), site.stage.data.path().display().to_string());
    // The build folder may be out of reach. By another process: no child of this one may hold the file open for writing.
    let program = format!("{here}/program");
    does("cp", &[env!("CARGO_BIN_EXE_larder"), &program]);
    does("chown", &["-R", &NOBODY.to_string(), &here]);
    does("chmod", &["-R", "a+rX,a-w", &data]);
    let mut command = Command::new(&program);
    command.args(["run", "--json"]).uid(NOBODY).gid(NOBODY).env_clear();
    command.envs(site.command(&[]).get_envs().filter_map(|(name, value)| Some((name, value?))));
    let (example, copy) = (file(GofrPlot::NAME), site.path("larder.toml"));
    does("install", &["-m", "444", example.to_str().unwrap(), copy.to_str().unwrap()]);
    let output = command.env("LARDER_CONFIG", copy).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}
