use serde_json::json;

use super::*;

#[test]
fn the_tag_is_found_as_every_version_says_it() {
    assert!(is_administrator(&json!(["management", "administrator"])));
    assert!(is_administrator(&json!("management,administrator")));
    assert!(
        !is_administrator(&json!(["monitoring"])) && !is_administrator(&json!("")) && !is_administrator(&json!(null))
    );
}

#[test]
fn definitions_are_held_up_to_a_limit_and_only_if_they_are_some() {
    let held = |text: &'static str| {
        let body: Box<dyn Read + Send> = Box::new(text.as_bytes());
        let definitions = Definitions { url: "http://node".to_owned(), json: Watched::new(body).unwrap() };
        held(definitions, 30).map(|bytes| bytes.len())
    };
    assert_eq!(
        held("{\"queues\": [], \"exchanges\": []}"),
        Err("no definitions from http://node: they are longer than 30 \
         bytes: leave out `data_directory`, and store that apart"
            .to_owned())
    );
    assert_eq!(held("{\"queues\": [], \"exchanges\":[]}"), Ok(30));
    assert!(held("{\"queues\": []}").unwrap_err().contains("neither queues nor exchanges"));
    assert!(held("<html>").unwrap_err().starts_with("no definitions from http://node: expected value"));
}
