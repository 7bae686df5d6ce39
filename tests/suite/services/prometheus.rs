//! Prometheus, which scrapes a node exporter that reads what larder wrote, and fires the alerts of `examples/`.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::binary::Larder;

/// A server that ends with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}; run scripts/test")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The exporter and Prometheus itself, with alerts that wait for nothing.
struct Watch {
    port: u16,
    _folder: TempDir,
    _servers: [Server; 2],
}

impl Watch {
    fn over(textfiles: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (exporter_port, port) = (free_port(), free_port());
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/prometheus/larder.rules.yml");
        let rules = fs::read_to_string(rules).unwrap().replace("for: 5m", "for: 0s");
        fs::write(folder.path().join("larder.rules.yml"), rules).unwrap();
        fs::write(
            folder.path().join("prometheus.yml"),
            format!(
                "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [larder.rules.yml]\n\
                 scrape_configs:\n  - job_name: node\n    static_configs:\n      - targets: ['127.0.0.1:{exporter_port}']\n"
            ),
        )
        .unwrap();
        let exporter = Server::start(
            Command::new("prometheus-node-exporter")
                .args(["--collector.disable-defaults", "--collector.textfile"])
                .arg(format!("--collector.textfile.directory={}", textfiles.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{exporter_port}")),
        );
        let prometheus = Server::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}")),
        );
        Self { port, _folder: folder, _servers: [exporter, prometheus] }
    }

    /// What the API answers; `None` while it does not.
    fn asks(&self, path: &str) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let output = Command::new("curl").args(["-sS", "-g", "--max-time", "5", &url]).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// The alerts that fire, as `NAME SOURCE`.
    fn firing(&self) -> Vec<String> {
        let answer = self.asks("alerts").unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        let mut firing: Vec<String> = firing
            .map(|alert| {
                let label = |name: &str| alert["labels"][name].as_str().unwrap_or("-").to_owned();
                format!("{} {}", label("alertname"), label("source"))
            })
            .collect();
        firing.sort();
        firing
    }

    /// Waits until exactly these alerts fire.
    fn waits_for(&self, alerts: &[&str]) {
        let mut seen = Vec::new();
        for _ in 0..600 {
            seen = self.firing();
            if seen == alerts {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{seen:?} fire, not {alerts:?}");
    }

    /// Waits until a series has a value.
    fn waits_for_value(&self, series: &str, wanted: &str) {
        let mut seen = Value::Null;
        for _ in 0..600 {
            seen = self.asks(&format!("query?query={series}")).unwrap_or_default();
            if seen["data"]["result"][0]["value"][1] == wanted {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("{series}: {seen}");
    }
}

#[test]
fn an_alert_fires_when_backups_fail_or_grow_old_and_ends_when_they_do_not() {
    let larder = Larder::new();
    let folder = larder.path("textfiles");
    fs::create_dir(&folder).unwrap();
    let metrics = folder.join("larder.prom").display().to_string();
    let configure = |max_age: &str, command: &str| {
        larder.configure(&format!(
            "[status]\nmetrics = \"{metrics}\"\nmax_age = \"26h\"\n\
             [source.app]\nkind = \"command\"\ncommand = \"{command}\"\nfile = \"app\"\n\
             [source.old]\nkind = \"command\"\ncommand = \"echo old\"\nfile = \"old\"\nmax_age = \"{max_age}\"\n"
        ));
    };
    configure("26h", "echo well");
    larder.backs_up();
    let watch = Watch::over(&folder);
    watch.waits_for_value("larder_source_bytes%7Bsource=%22app%22%7D", "5");
    watch.waits_for_value("node_textfile_scrape_error", "0");
    watch.waits_for(&[]);
    // One fails; the other one is too old a second later, and nobody runs larder again.
    configure("1s", "exit 3");
    larder.fails("app");
    watch.waits_for(&["LarderBackupTooOld old", "LarderRunFailed app", "LarderWholeRunFailed -"]);
    configure("26h", "echo well again");
    larder.backs_up();
    watch.waits_for(&[]);
}
