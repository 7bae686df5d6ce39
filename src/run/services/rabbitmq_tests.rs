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
