//! A real server that speaks S3 (Ceph's): a bucket is backed up, changed, lost and put back.

pub mod server;

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use larder::s3::upload::Upload;
use larder::s3::{Client, Headers};
use serde_json::Value;

use super::drill::proves;
use crate::support::binary::{Done, Larder};
use crate::support::damage_repo::noise;
use crate::support::hold::{Hold, packs};

use server::{Gateway, cutting, with_configuration};

/// Objects that make a listing of several pages.
const MANY: usize = 1200;
const LARGE_BYTES: usize = 20 << 20;
/// Keys that are no paths, or not their own.
const ODD_KEYS: &[&str] = &[
    "/leading",
    "a",
    "a!",
    "a//b",
    "a/b",
    "a^=",
    "folder/",
    "line\nfeed",
    "percent%25 and %",
    "sp ace+plus&=?#",
    "two^caret",
    "ünï/cödé/日本",
];

fn headers(pairs: &[(&str, &str)]) -> Headers {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect()
}

fn put(client: &Client, key: &str, content: &str) {
    client.put(key, &headers(&[("content-type", "text/plain")]), content.as_bytes()).unwrap();
}

fn fill(client: &Client) {
    thread::scope(|scope| {
        for part in 0..4 {
            scope.spawn(move || {
                (part..MANY).step_by(4).for_each(|n| put(client, &format!("many/{n:04}"), &format!("object {n}")));
            });
        }
    });
    ODD_KEYS.iter().for_each(|key| put(client, key, &format!("content of {key}")));
    let long = "long/".to_owned() + &"é".repeat(300);
    put(client, &long, "of a long name");
    client.put("empty", &Headers::new(), b"").unwrap();
    let own = headers(&[
        ("cache-control", "no-store"),
        ("content-disposition", "attachment; filename=\"x.bin\""),
        ("content-type", "video/x"),
        ("x-amz-meta-author", "somebody  else"),
        ("x-amz-meta-note", "a=b; c"),
    ]);
    let bytes = noise(7, LARGE_BYTES);
    let mut upload = Upload::new(client, "large.bin", own, bytes.len() as u64).unwrap();
    io::copy(&mut &bytes[..], &mut upload).unwrap();
    upload.finish().unwrap();
}

/// What was put this shortly before a backup is read again by the next; so long nothing must be put.
fn settle() {
    thread::sleep(Duration::from_secs(4));
}

fn run(larder: &Larder) -> Done {
    with_configuration(larder, &["run"])
}

fn done(larder: &Larder) -> Value {
    let ended = run(larder);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()["sources"][0].clone()
}

fn restored(larder: &Larder) -> Value {
    let ended = with_configuration(larder, &["restore", "pail@latest", "--into", "pail", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.json()
}

#[test]
fn a_bucket_comes_back_as_it_was_and_what_did_not_change_is_not_read_again() {
    let (gateway, larder) = (Gateway::new("whole"), Larder::new());
    let client = gateway.client();
    fill(&client);
    settle();
    gateway.configure(&larder, "");
    let objects = MANY + ODD_KEYS.len() + 3;
    assert_eq!(done(&larder)["files"], objects);
    let mut seen = 0;
    gateway.asked(&mut seen);
    // The large one was put in parts, and has no checksum.
    let place = proves(&larder, "pail");
    assert_eq!(place, format!("a folder with {objects} objects, {} with the checksum in their ETag", objects - 1));
    assert_eq!(gateway.asked(&mut seen), [""; 0], "a drill asks nobody");
    let report = done(&larder);
    assert_eq!((&report["files"], &report["new_bytes"]), (&Value::from(objects), &Value::from(0)));
    assert_eq!(gateway.asked(&mut seen), [""; 0], "nothing changed");

    put(&client, "many/0003", "OBJECT 3");
    client.put("many/0005", &headers(&[("content-type", "text/other")]), b"object 5").unwrap();
    put(&client, "many/new", "new");
    client.delete(&["many/0007".to_owned()]).unwrap();
    gateway.asked(&mut seen);
    settle();
    assert_eq!(done(&larder)["files"], objects);
    let mut asked = gateway.asked(&mut seen);
    asked.sort();
    assert_eq!(asked, ["GET /whole/many/0003", "GET /whole/many/0005", "GET /whole/many/new"]);

    let (before, names) = (gateway.objects(), gateway.cluster.names("whole"));
    assert_eq!(before.len(), objects);
    for keys in gateway.keys().chunks(1000) {
        client.delete(keys).unwrap();
    }
    put(&client, "many/0001", "something else");
    put(&client, "extra/line\u{1}", "nobody asked for this");
    restored(&larder);
    // As the cluster names them, not as larder reads them.
    assert_eq!(gateway.cluster.names("whole"), names);
    assert!(gateway.objects() == before, "content and headers");

    // Now everything is there: nothing is put again, although all times are others.
    gateway.asked(&mut seen);
    restored(&larder);
    let asked = gateway.asked(&mut seen);
    let changing: Vec<&String> =
        asked.iter().filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD ")).collect();
    assert_eq!(changing, [""; 0]);
    larder.ok(&["check"]);
}

#[test]
fn a_bucket_in_use_is_backed_up_and_goes_to_a_folder_too() {
    let (gateway, larder) = (Gateway::new("busy"), Larder::new());
    let client = gateway.client();
    (0..300).for_each(|n| put(&client, &format!("app/still/{n}"), &format!("{n}")));
    put(&client, "other/one", "out of the prefix");
    put(&client, "app/cache/one", "left out");
    ["app/a", "app/a/b", "app/a/"].iter().for_each(|key| put(&client, key, key));
    gateway.configure(&larder, "prefix = \"app/\"\nexclude = [\"cache/\"]");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let key = format!("app/live/{}", n % 50);
                if n % 3 == 0 { client.delete(&[key]).unwrap() } else { put(&client, &key, &"x".repeat(n % 7000)) }
            }
        });
        for _ in 0..3 {
            done(&larder);
        }
        stop.store(true, Ordering::Relaxed);
    });
    larder.ok(&["restore", "pail@latest", "--to", larder.path("out").to_str().unwrap()]);
    let read = |path: &str| std::fs::read_to_string(larder.path("out").join("app").join(path)).unwrap();
    (0..300).for_each(|n| assert_eq!(read(&format!("still/{n}")), n.to_string()));
    assert_eq!([read("a^="), read("a/b"), read("a/^")], ["app/a", "app/a/b", "app/a/"]);
    assert!(!larder.path("out/other").exists() && !larder.path("out/app/cache").exists());
    assert_eq!(xattr::get(larder.path("out/app/a^="), "user.s3.content-type").unwrap().unwrap(), b"text/plain");

    // Neither what is beside the prefix nor what is left out is touched.
    put(&client, "app/extra", "goes");
    restored(&larder);
    let keys = gateway.keys();
    for (key, there) in [("other/one", true), ("app/cache/one", true), ("app/extra", false), ("app/a/", true)] {
        assert_eq!(keys.contains(&key.to_owned()), there, "{key}: {keys:?}");
    }
    // A snapshot of something else does not go there.
    gateway.configure(&larder, "prefix = \"other/\"");
    let ended = with_configuration(&larder, &["restore", "pail@latest", "--into", "pail", "--yes"]);
    assert!(ended.code != Some(0) && ended.err.contains("not of s3://busy/other/"), "{ended:?}");
}

/// What a run and doctor say of a source that cannot be backed up.
fn refused(larder: &Larder) -> (String, String) {
    let ended = run(larder);
    let report = ended.json();
    let source = &report["sources"][0];
    assert_eq!((ended.code, source["snapshot"].is_null()), (Some(1), true), "{ended:?}");
    let looked = with_configuration(larder, &["doctor"]);
    assert_eq!(looked.code, Some(1), "{looked:?}");
    let trouble = &looked.json()["sources"][0]["troubles"][0];
    (source["errors"][0].as_str().unwrap().to_owned(), format!("{}; {}", trouble["what"], trouble["hint"]))
}

#[test]
fn a_server_that_refuses_or_is_not_there_is_said_with_a_way_out() {
    let (gateway, larder) = (Gateway::new("refusing"), Larder::new());
    put(&gateway.client(), "a", "a");
    gateway.configure(&larder, "");
    let looked = with_configuration(&larder, &["doctor"]);
    assert_eq!(looked.code, Some(0), "{looked:?}");
    let file = larder.path("larder.toml");
    let right = std::fs::read_to_string(&file).unwrap();
    let check = |from: &str, to: &str, said: &[&str]| {
        assert!(right.contains(from));
        std::fs::write(&file, right.replace(from, to)).unwrap();
        let (run, doctor) = refused(&larder);
        for said in said {
            assert!(run.contains(said) && doctor.contains(said), "{said}: {run}\n{doctor}");
        }
    };
    std::fs::write(larder.path("wrong"), "wrong").unwrap();
    check(
        "/secret\"",
        "/wrong\"",
        &["the secret key is not that of the access key", "SignatureDoesNotMatch", "secret_key_file"],
    );
    check("/access\"", "/wrong\"", &["does not know the access key", "InvalidAccessKeyId", "access_key_file"]);
    check("/access\"", "/none\"", &["no access key: cannot read"]);
    check("\"refusing\"", "\"no-such\"", &["there is no such bucket", "NoSuchBucket", "no-such", "correct `bucket`"]);
    std::fs::write(&file, &right).unwrap();
    gateway.kill();
    let (run, doctor) = refused(&larder);
    for said in ["no answer from http://127.0.0.1:", "that the server runs"] {
        assert!(run.contains(said) && doctor.contains(said), "{run}\n{doctor}");
    }
    assert_eq!(larder.ok(&["snapshots", "--json"]).json().as_array().unwrap().len(), 0);
}

#[test]
fn a_server_that_dies_in_the_middle_leaves_no_snapshot_and_keeps_no_other_source_back() {
    let (gateway, larder) = (Arc::new(Gateway::new("dying")), Larder::new());
    let client = gateway.client();
    put(&client, "a", "a");
    client.put("large", &Headers::new(), &noise(3, 8 << 20)).unwrap();
    let endpoint = cutting(&gateway, 4 << 20, Gateway::kill);
    let other = "[source.word]\nkind = \"command\"\ncommand = [\"echo\", \"hello\"]\nfile = \"word\"";
    gateway.configure_at(&larder, &endpoint, other);
    let ended = run(&larder);
    let sources = &ended.json()["sources"];
    assert_eq!((ended.code, sources[0]["snapshot"].is_null()), (Some(1), true), "{ended:?}");
    assert!(sources[0]["errors"][0].as_str().unwrap().contains("large: the download broke off after"), "{ended:?}");
    assert!(sources[1]["snapshot"].is_string(), "{ended:?}");
    assert_eq!(larder.ok(&["snapshots", "--json"]).json().as_array().unwrap().len(), 1);
    larder.ok(&["check"]);
}

#[test]
fn a_connection_that_is_cut_costs_nothing_but_time() {
    let (gateway, larder) = (Arc::new(Gateway::new("cut")), Larder::new());
    let bytes = noise(4, 8 << 20);
    gateway.client().put("large", &Headers::new(), &bytes).unwrap();
    let mut seen = 0;
    gateway.asked(&mut seen);
    let endpoint = cutting(&gateway, 4 << 20, |_| {});
    gateway.configure_at(&larder, &endpoint, "");
    done(&larder);
    assert_eq!(gateway.asked(&mut seen), ["GET /cut/large"; 2], "from the beginning, and the rest");
    let out = larder.path("out");
    larder.ok(&["restore", "pail@latest", "--to", out.to_str().unwrap()]);
    assert!(std::fs::read(out.join("large")).unwrap()[..] == bytes[..]);
}

#[test]
fn a_restore_that_fails_leaves_what_was_there() {
    let (gateway, larder) = (Gateway::new("failing"), Larder::new());
    let client = gateway.client();
    for n in 0..20 {
        put(&client, &format!("app/{n}"), &format!("{n}"));
    }
    put(&client, "locked/one", "first");
    gateway.configure(&larder, "");
    done(&larder);
    for n in 0..10 {
        put(&client, &format!("app/{n}"), "as it is now");
    }
    put(&client, "app/new", "new");
    put(&client, "locked/one", "second");
    let now: BTreeMap<_, _> = gateway.objects();
    let policy = |keys: &str| {
        format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Deny\",\"Principal\":\"*\",\
             \"Action\":\"s3:PutObject\",\"Resource\":\"arn:aws:s3:::failing/{keys}\"}}]}}"
        )
    };
    gateway.control("policy", Some(&policy("locked/*")));
    let ended = with_configuration(&larder, &["restore", "pail@latest", "--into", "pail", "--yes"]);
    let report = ended.json();
    assert_eq!((ended.code, &report["put_back"]), (Some(1), &Value::from(true)), "{ended:?}");
    let error = report["errors"][0].as_str().unwrap();
    assert!(error.contains("locked/one: the access key is not allowed") && error.contains("AccessDenied"), "{error}");
    assert!(gateway.objects() == now, "as before the restore");

    // A server that does not find itself well is what it was before, too.
    gateway.control("policy", Some(&policy("nothing")));
    let once = format!("mkdir '{}' && exit 1; exit 0", larder.path("probed").display());
    gateway.configure(&larder, &format!("[source.pail.hooks]\nprobe = \"{once}\""));
    let ended = with_configuration(&larder, &["restore", "pail@latest", "--into", "pail", "--yes"]);
    assert_eq!((ended.code, &ended.json()["put_back"]), (Some(1), &Value::from(true)), "{ended:?}");
    assert!(gateway.objects() == now, "as before the restore");
}

/// It takes the small objects, and not the large one; then what was there is put back into what room there is.
#[test]
fn a_server_without_room_is_left_what_it_had() {
    let (gateway, larder) = (Gateway::new("full"), Larder::new());
    let client = gateway.client();
    (0..5).for_each(|n| put(&client, &format!("a/{n}"), &format!("stored {n}")));
    client.put("large", &Headers::new(), &noise(5, 3 << 20)).unwrap();
    gateway.configure(&larder, "");
    done(&larder);
    let stored = gateway.objects();
    client.delete(&["large".to_owned()]).unwrap();
    (0..5).for_each(|n| put(&client, &format!("a/{n}"), "changed"));
    put(&client, "later", "later");
    let now = gateway.objects();
    gateway.cluster.limit("full", 1 << 20);
    let ended = with_configuration(&larder, &["restore", "pail@latest", "--into", "pail", "--yes"]);
    let report = ended.json();
    assert_eq!((ended.code, &report["put_back"]), (Some(1), &Value::from(true)), "{ended:?}");
    let error = report["errors"][0].as_str().unwrap();
    assert!(error.contains("large: the server has no room for it") && error.contains("QuotaExceeded"), "{error}");
    assert!(gateway.objects() == now, "as before the restore");
    gateway.cluster.limit("full", 1 << 30);
    restored(&larder);
    assert!(gateway.objects() == stored, "content and headers");
    done(&larder);
}

/// Killed when a part of the objects is back: the bucket is a mixture, nothing is deleted yet, and it can be done again.
#[test]
fn a_restore_that_is_killed_can_be_done_again() {
    let (gateway, larder) = (Gateway::new("killed"), Larder::new());
    let client = gateway.client();
    (0..20).for_each(|n| put(&client, &format!("a/{n:02}"), &format!("stored {n}")));
    gateway.configure(&larder, "");
    done(&larder);
    let known = packs(&larder.path("repository"));
    client.put("z", &Headers::new(), &noise(9, 100_000)).unwrap();
    done(&larder);
    let stored = gateway.objects();
    (0..20).for_each(|n| put(&client, &format!("a/{n:02}"), "changed"));
    // The same content, and so the same tag.
    client.put("a/05", &headers(&[("content-type", "text/other")]), b"stored 5").unwrap();
    put(&client, "later", "later");
    client.delete(&["z".to_owned()]).unwrap();
    let changed = gateway.objects();
    let mut new = packs(&larder.path("repository"));
    new.retain(|pack| !known.contains(pack));
    let hold = Hold::new(&new[..1]);
    let safety = larder.puts_back_and_is_killed("pail", || hold.is_met());
    drop(hold);
    let between = gateway.objects();
    assert!(between["later"] == changed["later"] && !between.contains_key("z"));
    restored(&larder);
    assert!(gateway.objects() == stored, "content and headers");
    larder.puts(&safety, "pail");
    assert!(gateway.objects() == changed, "content and headers");
    done(&larder);
    larder.ok(&["check", "--read-data"]);
}

#[test]
fn what_no_snapshot_can_hold_is_counted_and_never_deleted() {
    let (gateway, larder) = (Gateway::new("odd"), Larder::new());
    let client = gateway.client();
    put(&client, "a", "a");
    gateway.configure(&larder, "");
    done(&larder);
    gateway.put_raw("x/../y");
    let ended = run(&larder);
    let source = &ended.json()["sources"][0];
    assert_eq!((ended.code, &source["status"]), (Some(3), &Value::from("incomplete")), "{ended:?}");
    assert!(source["warnings"][0].as_str().unwrap().contains("x/../y"), "{ended:?}");
    // The first snapshot is complete, and knows nothing of it.
    let first = larder.ok(&["snapshots", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
    put(&client, "b", "b");
    // The second is not, and what it lacks may be what could not be read.
    restored(&larder);
    assert!(client.get("b", None).is_ok());
    let ended = with_configuration(&larder, &["restore", &first, "--into", "pail", "--yes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut keys = Vec::new();
    let each = &mut |object: larder::s3::Object| {
        keys.push(object.key);
        ControlFlow::Continue(())
    };
    client.list("", each).unwrap();
    assert_eq!(keys, ["a", "x/../y"]);
}
