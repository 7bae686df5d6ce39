use super::*;
use crate::config::{self, EXAMPLE};

const LEAST: &str = "[repository]\npath = \"/r\"\n[source.pail]\nkind = \"s3\"\nbucket = \"pail\"\n\
                     access_key_env = \"A\"\nsecret_key_file = \"/s\"\n";

fn bucket(text: &str) -> S3 {
    let config = config::read(text, &Default::default()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let mut buckets = config.sources.into_iter().filter_map(|source| match source.kind {
        Kind::S3(bucket) => Some(bucket),
        _ => None,
    });
    buckets.next().unwrap()
}

#[test]
fn a_bucket_without_a_server_is_amazons() {
    let found = bucket(LEAST);
    assert_eq!((found.endpoint, found.region.as_str(), found.path_style), (None, "us-east-1", false));
    assert_eq!((found.prefix.as_str(), found.exclude.len()), ("", 0));
    assert_eq!(found.access_key, Some(SecretFrom::Variable("A".to_owned())));
    let own = bucket(&format!("{LEAST}endpoint = \"http://here:9000\"\n"));
    assert!(own.path_style, "most servers have one name only");
    assert!(!bucket(&format!("{LEAST}endpoint = \"https://here\"\npath_style = false\n")).path_style);
}

#[test]
fn the_example_has_no_mistake_once_its_sign_is_taken_away() {
    let (before, example) = EXAMPLE.split_once("# [source.uploads]").unwrap();
    let (example, _) = example.split_once("\n\n").unwrap_or((example, ""));
    let found = bucket(&format!("{before}[source.uploads]{}", example.replace("\n# ", "\n")));
    assert_eq!((found.bucket.as_str(), found.prefix.as_str()), ("uploads", "app/"));
    assert_eq!(found.exclude, ["cache/"]);
}

#[test]
fn what_is_missing_is_said() {
    let text = "[repository]\npath = \"/r\"\n[source.pail]\nkind = \"s3\"\nendpoint = \"minio:9000\"\n";
    let said = config::read(text, &Default::default()).unwrap_err().to_string();
    for expected in [
        "endpoint: \"minio:9000\" must begin with",
        "access_key_file: is missing",
        "secret_key_file: is",
        "bucket: is missing",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}
