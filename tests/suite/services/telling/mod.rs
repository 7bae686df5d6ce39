//! Telling how a run ended, by real servers, and whom TLS trusts.

mod email;
mod tls;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Longer than a server on the slowest machine takes to start, or to say what it was sent.
const PATIENCE: Duration = Duration::from_secs(120);

/// What `openssl req` makes a key of, without a password.
const NEW_KEY: &str = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1";
/// Who signs.
const SIGNED: &str = "-CA ca.pem -CAkey ca.key -CAcreateserial";

/// An authority, and servers' certificates that it vouches for.
pub struct Authority(TempDir);

impl Authority {
    pub fn new(name: &str) -> Self {
        let authority = Self(TempDir::new().unwrap());
        authority.openssl(&format!("req -x509 -keyout ca.key -out ca.pem -subj /CN={name} -days 2 {NEW_KEY}"));
        authority
    }

    fn openssl(&self, line: &str) {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(self.0.path()).stdin(Stdio::null());
        let output = command.output().expect("openssl is missing: run scripts/test, which installs it");
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The certificate of a server of this name, and its key.
    pub fn certificate(&self, host: &str) -> (PathBuf, PathBuf) {
        std::fs::write(self.0.path().join("san"), format!("subjectAltName=DNS:{host}\n")).unwrap();
        self.openssl(&format!("req -new -keyout server.key -out server.csr -subj /CN=server {NEW_KEY}"));
        self.openssl(&format!("x509 -req -in server.csr -out server.pem -extfile san -days 2 {SIGNED}"));
        let place = |name: &str, end: &str| self.0.path().join(format!("{name}.{end}"));
        for end in ["pem", "key"] {
            std::fs::rename(place("server", end), place(host, end)).unwrap();
        }
        (place(host, "pem"), place(host, "key"))
    }

    /// The certificate of the authority itself.
    pub fn file(&self) -> String {
        self.0.path().join("ca.pem").display().to_string()
    }
}

/// A server in Python; it ends with its standard input, thus with the test, however that ends.
pub struct Server {
    child: Child,
    pub port: u16,
    says: Receiver<Value>,
}

impl Server {
    pub fn start(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/services/telling");
        let mut command = Command::new(crate::reader::python());
        command.args(["-B", "-W", "ignore"]).arg(folder.join(script)).args(arguments).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, says) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _nobody_may_listen = say.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut server = Self { child, port: 0, says };
        server.port = server.next().as_u64().unwrap().try_into().unwrap();
        server
    }

    /// What it says next.
    fn next(&self) -> Value {
        self.says.recv_timeout(PATIENCE).expect("the server says nothing")
    }

    /// That it has said nothing more.
    #[track_caller]
    fn has_nothing(&self) {
        assert_eq!(self.says.try_iter().collect::<Vec<_>>(), [] as [Value; 0]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
    }
}
