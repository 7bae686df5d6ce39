use super::*;

fn refused(said: &str) -> Error {
    Error::Refused { place: String::new(), status: 404, said: said.to_owned() }
}

#[test]
fn of_an_address_the_host_is_shown_and_nothing_else_even_where_the_server_repeats_it() {
    let url = "https://user:pass@hooks.example.com:8443/services/T00/B0000001/s3cret?token=abcdef#x";
    let plain = Url::Plain(url.to_owned());
    for said in [
        "Cannot POST /services/T00/B0000001/s3cret",
        "moved to https://other.example.com/services/T00/B0000001/s3cret?token=abcdef",
        "no hook s3cret here",
        "abcdef is no token",
    ] {
        let shown = without_path(&refused(said), url, &plain);
        assert!(shown.starts_with("hooks.example.com:8443 answered 404: ") && shown.contains("..."), "{shown}");
        assert!(!["s3cret", "B0000001", "abcdef", "user", "pass"].iter().any(|part| shown.contains(part)), "{shown}");
    }
    let silent = Error::Silent { place: String::new(), reason: format!("bad uri: {url}") };
    let shown = without_path(&silent, url, &plain);
    assert!(shown.starts_with("no answer from hooks.example.com:8443: bad uri: "), "{shown}");
    assert!(!shown.contains("s3cret") && !shown.contains("user:pass"), "{shown}");
    let secret = Url::Secret(SecretFrom::Variable("HOOK".to_owned()));
    assert_eq!(without_path(&refused("no"), url, &secret), "the other side answered 404: no");
    assert_eq!(
        without_path(&refused("no"), "http://localhost", &Url::Plain(String::new())),
        "localhost answered 404: no"
    );
}
