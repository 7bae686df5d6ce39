//! larder killed at the worst moments of a restore into a service: what it stored first is there, and it can be done again.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::drill::proves;
use super::http;
use super::mariadb::{self, PASSWORD};
use super::rabbitmq::{self, Node};
use crate::support::binary::Larder;
use crate::support::damage_repo::noise;
use crate::support::hold::{Hold, packs};
use crate::support::waiting::wait_for;

/// Stands between a client and a server, and keeps back what holds certain words, and all that comes after them.
struct Between {
    port: u16,
    met: Arc<AtomicBool>,
}

impl Between {
    fn new(server: u16, words: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let between = Self { port: listener.local_addr().unwrap().port(), met: Arc::default() };
        let met = between.met.clone();
        // It ends with the test's process; connections end with either side.
        thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(("127.0.0.1", server)).unwrap());
                let (mut from, mut to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
                thread::spawn(move || {
                    let _either_side = io::copy(&mut from, &mut to);
                    let _gone = to.shutdown(Shutdown::Both);
                });
                let met = met.clone();
                thread::spawn(move || there(near, far, words.as_bytes(), &met));
            }
        });
        between
    }

    fn is_met(&self) -> bool {
        self.met.load(Ordering::SeqCst)
    }
}

fn there(mut near: TcpStream, mut far: TcpStream, words: &[u8], met: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = near.read(&mut buffer) {
        if buffer[..bytes].windows(words.len()).any(|part| part == words) {
            met.store(true, Ordering::SeqCst);
            let _until_it_is_gone = io::copy(&mut near, &mut io::sink());
            break;
        }
        if far.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    let _gone = far.shutdown(Shutdown::Both);
}

/// The old database is dropped, and the server has not heard yet that a new one is to be made.
#[test]
fn a_database_of_mariadb_between_drop_and_create() {
    let (server, larder) = (mariadb::Server::start(), Larder::new());
    let account = "CREATE USER app@'127.0.0.1' IDENTIFIED BY 'it''s \"secret\\\\'";
    server.sql(
        "",
        &format!("CREATE DATABASE shop; CREATE DATABASE stock; {account}; GRANT ALL ON *.* TO app@'127.0.0.1'"),
    );
    server.sql("shop", "CREATE TABLE items (id INT); INSERT INTO items VALUES (1), (2)");
    mariadb::configure(&larder, &server, "database = \"shop\"");
    assert_eq!(mariadb::run(&larder).code, Some(0));
    let stored = id_of(&larder, "db");
    server.sql("shop", "INSERT INTO items VALUES (40)");
    let items = || server.sql("shop", "SELECT * FROM items");

    let between = Between::new(server.port, "CREATE DATABASE `shop`");
    let direct = fs::read_to_string(larder.path("larder.toml")).unwrap();
    let socket = format!("socket = \"{}\"", server.path("s").display());
    let detour = format!("host = \"127.0.0.1\"\nport = {}", between.port);
    larder.file("larder.toml", &direct.replace(&socket, &detour));
    let safety = larder.puts_back_and_is_killed("db", || between.is_met());
    larder.file("larder.toml", &direct);
    // The client has ended with larder, and the server knows that.
    server.until("SELECT COUNT(*) = 1 FROM information_schema.processlist WHERE user = 'app'");
    assert_eq!(server.databases(), ["stock"]);

    // Until it is back, that is said, and no snapshot of nothing is made.
    let said = format!("{}{}", larder.fails("db"), larder.troubles("db"));
    assert!(said.contains("Unknown database 'shop'") && said.contains("there is no database \"shop\""), "{said}");
    assert!(larder.snapshots("db") == 1 && !said.contains(PASSWORD));
    let again = ["restore", &safety, "--into", "db", "--yes"];
    let refused = larder.configured(&again);
    assert!(refused.code == Some(1) && refused.err.contains("add --no-safety-snapshot"), "{refused:?}");
    let done = larder.configured(&[&again[..], &["--no-safety-snapshot"]].concat());
    assert_eq!((done.code, items().as_str()), (Some(0), "1\n2\n40\n"), "{done:?}");
    larder.puts(&stored, "db");
    assert_eq!(items(), "1\n2\n");
    assert_eq!(
        (server.databases(), mariadb::run(&larder).code),
        (vec!["shop".to_owned(), "stock".to_owned()], Some(0))
    );
    larder.ok(&["check", "--read-data"]);
}

/// The newest snapshot of a source.
fn id_of(larder: &Larder, source: &str) -> String {
    let listed = larder.ok(&["snapshots", "--source", source, "--json"]).json();
    listed.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned()
}

/// Definitions on their way: the broker hears nothing of them, and runs on.
#[test]
fn a_broker_that_is_sent_definitions() {
    let (node, larder) = (Node::start(), Larder::new());
    node.fill();
    larder.configure(&rabbitmq::source(&larder, &node.url(), ""));
    larder.backs_up();
    let stored = node.has();
    node.delete("users/app");
    let changed = node.has();
    let between = Between::new(node.port, "POST /api/definitions");
    larder.configure(&rabbitmq::source(&larder, &format!("http://127.0.0.1:{}", between.port), ""));
    let safety = larder.puts_back_and_is_killed("rabbit", || between.is_met());
    assert_eq!(node.has(), changed);
    larder.configure(&rabbitmq::source(&larder, &node.url(), ""));
    larder.puts("rabbit@latest", "rabbit");
    assert_eq!(node.has(), stored);
    // What is there stays: definitions are added.
    larder.puts(&safety, "rabbit");
    assert_eq!(node.has(), stored);
    larder.backs_up();
    larder.ok(&["check", "--read-data"]);
    // Not there at all, the real one says as little as anybody.
    node.ends();
    assert!(larder.fails("rabbit").contains("no answer from http://127.0.0.1:"));
}

/// Stopped, and its folder being filled: it runs again. What was there is the safety snapshot, messages and all.
#[test]
fn a_broker_that_is_stopped_for_its_messages() {
    let (node, larder) = (Node::start(), Larder::new());
    node.fill();
    ["first", "second"].iter().for_each(|text| node.publish(text));
    larder.configure(&rabbitmq::with_data(&larder, &node));
    larder.backs_up();
    let listed = larder.ok(&["ls", "rabbit@latest"]).out;
    assert!(listed.contains("definitions.json") && listed.contains("data"), "{listed}");
    proves(&larder, "rabbit");
    node.is_up();
    assert_eq!(node.messages(), ["first", "second"]);
    node.delete("vhosts/shop%2Feu");
    // Read again when the folder is filled.
    let data = packs(&larder.path("repository")).remove(0);
    let hold = Hold::new(&[data]);
    let safety = larder.puts_back_and_is_killed("rabbit", || hold.is_met());
    drop(hold);
    node.is_up();
    let kept = larder.ok(&["cat", &format!("{safety}:definitions.json")]).json();
    assert!(kept["queues"].as_array().unwrap().is_empty(), "{kept}");
    // Without a further one, which would stop the broker once more.
    let done = larder.configured(&["restore", "rabbit@latest", "--into", "rabbit", "--yes", "--no-safety-snapshot"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(node.messages(), ["first", "second"]);
    assert_eq!(node.has()["policies"][0]["name"], "short");
    larder.backs_up();
    node.is_up();
    assert_eq!(node.messages(), ["first", "second"]);
    larder.ok(&["check", "--read-data"]);
}

/// Half of an export is with the server, which can tell that it is not the whole: it was told how long that is.
#[test]
fn a_server_that_is_sent_an_export() {
    let larder = Larder::new();
    let bytes = noise(5, 3_000_000);
    let document = Arc::new(Mutex::new(bytes[..2_000_000].to_vec()));
    let web = http::service(&document, |_| true);
    let holds = || document.lock().unwrap().clone();
    http::configure(&larder, &http::keys(&larder, &web));
    larder.backs_up();
    let known = packs(&larder.path("repository"));
    *document.lock().unwrap() = bytes.to_vec();
    larder.backs_up();
    *document.lock().unwrap() = b"changed".to_vec();
    // What came with the second half; the first one is read before that, and sent.
    let new = packs(&larder.path("repository")).into_iter().find(|pack| !known.contains(pack)).unwrap();
    let hold = Hold::new(&[new]);
    let safety = larder.puts_back_and_is_killed("export", || hold.is_met() && web.bytes() > 300_000);
    drop(hold);
    wait_for("the server notices", || !web.broken().is_empty());
    let half = web.broken().remove(0);
    assert_eq!((half.path.as_str(), half.header("content-length")), ("/import", "3000000"));
    assert!(half.header("transfer-encoding").is_empty() && half.body.len() < bytes.len(), "{}", half.body.len());
    assert!(half.body[..] == bytes[..half.body.len()]);
    assert_eq!(holds(), b"changed");
    larder.puts("export@latest", "export");
    assert!(holds()[..] == bytes[..]);
    larder.puts(&safety, "export");
    assert_eq!(holds(), b"changed");
    larder.backs_up();
    larder.ok(&["check", "--read-data"]);
}
