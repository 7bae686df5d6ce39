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
    for said in ["user has no rights", "pass is wrong", "404 of hooks.example.com"] {
        let shown = without_path(&refused(said), url, &plain);
        assert!(!shown.contains("user") && !shown.contains("pass") && shown.contains("answered 404: "), "{shown}");
    }
    assert_eq!(
        without_path(&refused("no"), "http://localhost", &Url::Plain(String::new())),
        "localhost answered 404: no"
    );
}

/// As the server reads it, and not as it was written.
#[test]
fn what_was_encoded_is_hidden_too_where_the_server_decodes_it() {
    let url = "https://us%65r:p%40ss@hooks.example.com/hook/abc%2Fdef/T1%2Fs3cret77?key=long+secret%21";
    let plain = Url::Plain(url.to_owned());
    for (said, shown) in [
        ("Cannot POST /hook/abc/def/T1/s3cret77", "Cannot POST ..."),
        ("no hook abc/def here", "no hook ... here"),
        ("no hook abc%2Fdef here", "no hook ... here"),
        ("no hook s3cret77", "no hook ..."),
        ("bad key 'long secret!'", "bad key '...'"),
        ("user is not p@ss, p%40ss", "... is not ..., ..."),
        ("user:p@ss", "..."),
    ] {
        assert_eq!(
            without_path(&refused(said), url, &plain),
            format!("hooks.example.com answered 404: {shown}"),
            "{said}"
        );
    }
}

#[test]
fn of_an_address_that_is_secret_the_host_is_hidden_in_what_is_said_too() {
    let secret = Url::Secret(SecretFrom::Variable("HOOK".to_owned()));
    for (url, said, shown) in [
        ("https://Hooks.Example.com:8443/x", "no host Hooks.Example.com, hooks.example.com", "no host ..., ..."),
        ("https://Hooks.Example.com:8443/x", "connect to hooks.example.com:8443 failed", "connect to ... failed"),
        ("http://hooks.example.com/x", "no hooks.example.com", "no ..."),
        ("http://user@[::1]:80/x", "no route to [::1]:80 or [::1]", "no route to ... or ..."),
    ] {
        let silent = Error::Silent { place: String::new(), reason: said.to_owned() };
        assert_eq!(without_path(&silent, url, &secret), format!("no answer: {shown}"));
        assert_eq!(without_path(&refused(said), url, &secret), format!("the other side answered 404: {shown}"));
    }
    // A number that is no port belongs to the host.
    assert_eq!(without_port("[::1]"), "[::1]");
}
