//! A Ceph cluster in memory with gateways that speak S3, and what tests do with them past larder's own way of reading.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use larder::http::{self, Body, Method, Request};
use larder::s3::{Client, Headers, Keys, Place, Style};
use rusty_s3::actions::CreateBucket;
use rusty_s3::{Bucket, Credentials, S3Action as _, UrlStyle};
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::support::binary::{Done, Larder};

pub const ACCESS: &str = "larder-tests";
pub const SECRET: &str = "s3cret/of+the=tests";
const CLUSTER_ID: &str = "11111111-2222-3333-4444-555555555555";
const DISK_ID: &str = "66666666-7777-8888-9999-000000000000";
const POLL: Duration = Duration::from_millis(50);
/// So long a cluster may take to come up, on the slowest machine.
const POLLS_MAX: u32 = 2400;

/// What runs beside a test and ends with it, even if the test's process is killed: a shell waits for that.
struct Daemon(Child);

impl Daemon {
    fn start(program: &str, arguments: &[&str], output: &Path) -> Self {
        const SHELL: &str =
            "trap '' TERM INT HUP; \"$@\" </dev/null & child=$!; read -r _; kill -9 $child; wait $child";
        let file = fs::File::create(output).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "daemon", program]).args(arguments);
        command.stdin(Stdio::piped()).stdout(file.try_clone().unwrap()).stderr(file);
        Self(command.spawn().unwrap())
    }
}

/// Kills it, as `kill -9` does.
impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _status_of_the_shell = self.0.wait();
    }
}

/// Monitor and disk. One for all tests that run at a time.
pub struct Cluster {
    folder: TempDir,
    _monitor: Daemon,
    _disk: Daemon,
}

/// The cluster, started unless it runs.
pub fn cluster() -> Arc<Cluster> {
    static RUNNING: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let cluster = Arc::new(Cluster::start());
        *running = Arc::downgrade(&cluster);
        cluster
    })
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("s3").tempdir_in("/tmp").unwrap();
        let (path, port) = (folder.path().display().to_string(), free_port());
        for name in ["mon", "osd", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("ceph.conf"), configuration(&path, port)).unwrap();
        let (ring, map) = (format!("{path}/keyring"), format!("{path}/monmap"));
        let all = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"];
        run("ceph-authtool", &["--create-keyring", &ring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"]);
        run("ceph-authtool", &[&[&ring, "--gen-key", "-n", "client.admin"], &all[..]].concat());
        let address = format!("[v2:127.0.0.1:{port}]");
        run("monmaptool", &["--create", "--addv", "a", &address, "--fsid", CLUSTER_ID, &map]);
        let conf = format!("{path}/ceph.conf");
        run("ceph-mon", &["-c", &conf, "-i", "a", "--mkfs", "--monmap", &map, "--keyring", &ring]);
        let out = |name: &str| folder.path().join("run").join(name);
        let monitor = Daemon::start("ceph-mon", &["-c", &conf, "-f", "-i", "a"], &out("mon.out"));
        run("ceph", &["-c", &conf, "osd", "new", DISK_ID]);
        let caps = ["mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *"];
        let disk_ring = format!("{path}/osd/keyring");
        run("ceph", &[&["-c", &conf, "auth", "get-or-create", "osd.0"], &caps[..], &["-o", &disk_ring]].concat());
        run("ceph-osd", &["-c", &conf, "-i", "0", "--mkfs", "--osd-uuid", DISK_ID]);
        let disk = Daemon::start("ceph-osd", &["-c", &conf, "-f", "-i", "0"], &out("osd.out"));
        let cluster = Self { folder, _monitor: monitor, _disk: disk };
        cluster.admin(&[
            "user",
            "create",
            "--uid=t",
            "--display-name=t",
            "--access-key",
            ACCESS,
            "--secret-key",
            SECRET,
        ]);
        cluster
    }

    fn conf(&self) -> String {
        self.folder.path().join("ceph.conf").display().to_string()
    }

    fn admin(&self, arguments: &[&str]) -> String {
        run("radosgw-admin", &[&["-c", &self.conf()], arguments].concat())
    }

    /// How many bytes a bucket may hold from now on.
    pub fn limit(&self, bucket: &str, bytes: u64) {
        let size = format!("--max-size={bytes}B");
        self.admin(&["quota", "set", "--quota-scope=bucket", "--bucket", bucket, &size]);
        self.admin(&["quota", "enable", "--quota-scope=bucket", "--bucket", bucket]);
    }

    /// The names of a bucket's objects as the cluster itself keeps them.
    pub fn names(&self, bucket: &str) -> Vec<String> {
        let listed = self.admin(&["bucket", "list", "--bucket", bucket, "--max-entries", "100000"]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let mut names: Vec<String> =
            listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (of Ceph): {error}: run scripts/test"));
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn configuration(path: &str, port: u16) -> String {
    format!(
        "[global]\nfsid = {CLUSTER_ID}\nmon_initial_members = a\nmon_host = v2:127.0.0.1:{port}/0\n\
         public_addr = 127.0.0.1\ncluster_addr = 127.0.0.1\nosd_pool_default_size = 1\nosd_pool_default_min_size = 1\n\
         osd_pool_default_pg_num = 4\nosd_pool_default_pgp_num = 4\nosd_pool_default_pg_autoscale_mode = off\n\
         mon_allow_pool_size_one = true\nmon_max_pg_per_osd = 1000\nosd_crush_chooseleaf_type = 0\n\
         mon_data = {path}/mon\nosd_data = {path}/osd\nosd_objectstore = memstore\nmemstore_device_bytes = 1073741824\n\
         run_dir = {path}/run\nadmin_socket = {path}/run/$name.$pid.asok\npid_file =\n\
         log_file = {path}/run/$name.log\ncrash_dir = {path}/run\nkeyring = {path}/keyring\n\
         mon_data_avail_crit = 1\nrgw_dynamic_resharding = false\n[osd]\nkeyring = {path}/osd/keyring\n"
    )
}

/// A gateway, and a bucket behind it.
pub struct Gateway {
    pub cluster: Arc<Cluster>,
    daemon: Mutex<Option<Daemon>>,
    pub bucket: &'static str,
    port: u16,
    log: PathBuf,
}

impl Gateway {
    /// A gateway of the one cluster, with a new bucket.
    pub fn new(bucket: &'static str) -> Self {
        let (cluster, port) = (cluster(), free_port());
        let log = cluster.folder.path().join("run").join(format!("{bucket}.log"));
        let gateway = Self { cluster, daemon: Mutex::default(), bucket, port, log };
        let (front, log) = (format!("beast endpoint=127.0.0.1:{port}"), gateway.log.display().to_string());
        let conf = gateway.cluster.conf();
        let arguments = ["-c", &conf, "-n", "client.admin", "-f", "--rgw-frontends", &front, "--log-file", &log];
        let output = gateway.log.with_extension("out");
        *gateway.daemon.lock().unwrap() = Some(Daemon::start("radosgw", &arguments, &output));
        for _ in 0..POLLS_MAX {
            if TcpStream::connect(gateway.address()).is_ok() {
                gateway.control("", None);
                return gateway;
            }
            thread::sleep(POLL);
        }
        panic!("no gateway: {:?}", fs::read_to_string(output));
    }

    pub fn kill(&self) {
        drop(self.daemon.lock().unwrap().take());
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Puts the bucket itself, or what belongs to it as a whole.
    pub fn control(&self, what: &'static str, body: Option<&str>) {
        let bucket = Bucket::new(self.endpoint().parse().unwrap(), UrlStyle::Path, self.bucket, "us-east-1").unwrap();
        let credentials = Credentials::new(ACCESS, SECRET);
        let mut action = CreateBucket::new(&bucket, &credentials);
        if !what.is_empty() {
            action.query_mut().insert(what, "");
        }
        let url = action.sign(Duration::from_secs(60));
        let request = Request { method: Method::PUT, url: url.as_str(), headers: Vec::new() };
        let body = body.map_or(Body::Empty, |body| Body::Bytes(body.as_bytes()));
        http::Client::new(None).unwrap().request(&request, body).map(drop).unwrap();
    }

    /// Puts an object under a key as it stands, even if addresses usually mean something else by it.
    pub fn put_raw(&self, key: &str) {
        let mut command = Command::new("python3");
        command.args(["-c", include_str!("put.py"), &self.address().to_string(), self.bucket, key, ACCESS]);
        let mut python = command.stdin(Stdio::piped()).spawn().unwrap();
        python.stdin.take().unwrap().write_all(SECRET.as_bytes()).unwrap();
        assert!(python.wait().unwrap().success());
    }

    pub fn client(&self) -> Client {
        let place = Place {
            endpoint: Some(self.endpoint()),
            region: "us-east-1".to_owned(),
            bucket: self.bucket.to_owned(),
            style: Style::Path,
            certificates: None,
        };
        let text = |text: &str| Zeroizing::new(text.to_owned());
        Client::new(&place, &Keys { access: text(ACCESS), secret: text(SECRET), session: None }).unwrap()
    }

    /// All objects: content and headers.
    pub fn objects(&self) -> BTreeMap<String, (Vec<u8>, Headers)> {
        let client = self.client();
        let mut objects = BTreeMap::new();
        for key in self.keys() {
            let (head, mut body) = client.get(&key, None).unwrap();
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes).unwrap();
            objects.insert(key, (bytes, head.headers));
        }
        objects
    }

    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let each = &mut |object: larder::s3::Object| {
            keys.push(object.key);
            ControlFlow::Continue(())
        };
        self.client().list("", each).unwrap();
        keys.sort();
        keys
    }

    /// What the gateway was asked for since the last call: methods and paths, without listings.
    pub fn asked(&self, seen: &mut usize) -> Vec<String> {
        // Its own, as the end of what is looked for.
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let mark = format!("mark-{}", NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        assert!(self.client().get(&mark, None).is_err());
        for _ in 0..POLLS_MAX {
            let text = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
            let all: Vec<&str> = text.lines().filter_map(|line| line.split_once(" \"")?.1.split('?').next()).collect();
            if all.iter().any(|line| line.ends_with(&mark)) {
                let listing = format!("GET /{}/", self.bucket);
                let new = all[*seen..].iter().filter(|line| **line != listing && !line.contains("/mark-"));
                let new = new.map(|&line| line.to_owned()).collect();
                *seen = all.len();
                return new;
            }
            thread::sleep(POLL);
        }
        panic!("the gateway's log does not say what it was asked");
    }

    /// A configuration with the bucket as a source.
    pub fn configure(&self, larder: &Larder, more: &str) {
        self.configure_at(larder, &self.endpoint(), more);
    }

    pub fn configure_at(&self, larder: &Larder, endpoint: &str, more: &str) {
        fs::write(larder.path("access"), format!("{ACCESS}\n")).unwrap();
        fs::write(larder.path("secret"), format!("{SECRET}\n")).unwrap();
        let path = |name: &str| larder.path(name).display().to_string();
        let text = format!(
            "[repository]\npath = \"{}\"\n[source.pail]\nkind = \"s3\"\nendpoint = \"{endpoint}\"\nbucket = \"{}\"\n\
             access_key_file = \"{}\"\nsecret_key_file = \"{}\"\n{more}\n",
            path("repository"),
            self.bucket,
            path("access"),
            path("secret")
        );
        fs::write(larder.path("larder.toml"), text).unwrap();
    }
}

/// Runs a command that reads the configuration.
pub fn with_configuration(larder: &Larder, arguments: &[&str]) -> Done {
    let file = larder.path("larder.toml").display().to_string();
    let done = larder.run(&[arguments, &["--json", "--config", &file]].concat());
    assert!(!done.out.contains(SECRET) && !done.err.contains(SECRET), "{done:?}");
    assert!(!done.out.contains("X-Amz") && !done.err.contains("X-Amz"), "{done:?}");
    done
}

/// Between larder and a gateway: passes everything on, but cuts the first connection that has carried so many bytes.
pub fn cutting(gateway: &Arc<Gateway>, after: u64, then: impl Fn(&Gateway) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the test's process, so it must not keep the gateway; connections end with either side.
    let (address, gateway) = (gateway.address(), Arc::downgrade(gateway));
    let (then, cut) = (Arc::new(then), Arc::new(Mutex::new(false)));
    thread::spawn(move || {
        for near in listener.incoming() {
            let Ok(far) = TcpStream::connect(address) else { continue };
            let near = near.unwrap();
            let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || {
                let _either_side = std::io::copy(&mut near_in, &mut far_out);
                let _gone = far_out.shutdown(std::net::Shutdown::Both);
            });
            let (gateway, then, cut) = (gateway.clone(), then.clone(), cut.clone());
            thread::spawn(move || {
                back(far, near, after, &cut, || gateway.upgrade().iter().for_each(|gateway| then(gateway)))
            });
        }
    });
    endpoint
}

fn back(mut far: TcpStream, mut near: TcpStream, after: u64, cut: &Mutex<bool>, then: impl Fn()) {
    let (mut buffer, mut carried) = (vec![0; 64 << 10], 0);
    while let Ok(bytes @ 1..) = far.read(&mut buffer) {
        carried += bytes as u64;
        let mut cut = cut.lock().unwrap();
        if carried > after && !*cut {
            *cut = true;
            then();
            break;
        }
        drop(cut);
        if near.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    for stream in [near, far] {
        let _gone = stream.shutdown(std::net::Shutdown::Both);
    }
}
