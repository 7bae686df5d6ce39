use super::*;

fn holds(schema: &str, document: &str) -> Result<(), String> {
    Schema::parse(schema.as_bytes()).unwrap().holds(document.as_bytes())
}

#[track_caller]
fn fails(schema: &str, document: &str, said: &str) {
    assert_eq!(holds(schema, document), Err(format!("is not as its schema wants: {said}")));
}

const FLOWS: &str = r#"{"type": "array", "minItems": 1, "items": {
    "required": ["name", "nodes"],
    "properties": {"name": {"type": "string", "pattern": "^[a-z]+$"}, "since": {"type": "string", "format": "date"}}}}"#;

#[test]
fn what_is_wrong_is_said_with_its_place_and_without_its_text() {
    assert_eq!(holds(FLOWS, r#"[{"name": "a", "nodes": [], "since": "2026-11-26"}]"#), Ok(()));
    fails(FLOWS, "[]", "at the top: minimum 1 items required, but got 0 items");
    fails(FLOWS, "{}", "at the top: want array, but got object");
    fails(
        FLOWS,
        r#"[{"name": "a", "nodes": 1}, {"name": 7}]"#,
        "/1/name: want string, but got number; /1: missing properties 'nodes'",
    );
    let secret = holds(FLOWS, r#"[{"name": "s3cret!", "nodes": 1, "since": "s3cret"}]"#).unwrap_err();
    assert!(
        secret.contains("/0/name: does not match the pattern \"^[a-z]+$\"; /0/since: is not of the format date"),
        "{secret}"
    );
    assert!(!secret.contains("s3cret"), "{secret}");
    fails(
        r#"{"anyOf": [{"type": "string"}, {"minimum": 3}]}"#,
        "2",
        "at the top: is none of what it may be (at the top: want string, but got number, or at the top: must be >=3, but got 2)",
    );
    fails(r#"{"properties": {"a": false}}"#, r#"{"a": 1}"#, "/a: must not be there");
    let many = holds(r#"{"items": {"type": "string"}}"#, &format!("[{}1]", "1,".repeat(99))).unwrap_err();
    assert!(many.ends_with("; and 90 more") && many.matches("want string").count() == 10, "{many}");
    assert!(holds(FLOWS, "[1").unwrap_err().starts_with("is no JSON: EOF"));
}

#[test]
fn a_schema_that_is_none_is_refused() {
    for (schema, said) in [
        ("[1", "is no JSON: "),
        ("true", "it must be an object"),
        (r#"{"type": "strng"}"#, "is no JSON Schema: /type: is none of what it may be"),
        (r#"{"properties": {"a": {"minItems": "1"}}}"#, "/properties/a/minItems: want integer, but got string"),
        (r#"{"pattern": "(?=a)"}"#, "/pattern: is not of the format regex"),
        (r##"{"$ref": "#/$defs/none"}"##, "/$defs/none"),
        (
            r#"{"$schema": "https://json-schema.org/draft/of-mine"}"#,
            "it refers to https://json-schema.org/draft/of-mine: a schema must be whole",
        ),
    ] {
        let error = Schema::parse(schema.as_bytes()).err().unwrap_or_default();
        assert!(error.contains(said), "{schema}: {error}");
        assert!(!error.contains(NAME), "{error}");
    }
}

/// Neither from a network nor from this machine.
#[test]
fn nothing_is_fetched() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("there.json");
    std::fs::write(&file, "{}").unwrap();
    for place in
        ["https://example.com/a.json".to_owned(), "there.json".to_owned(), format!("file://{}", file.display())]
    {
        let error = Schema::parse(format!(r#"{{"$ref": "{place}"}}"#).as_bytes()).err().unwrap_or_default();
        assert!(error.contains("it refers to ") && error.contains("is not fetched"), "{place}: {error}");
    }
    // What a schema calls itself is no place.
    assert_eq!(
        holds(r##"{"$id": "https://example.com/a", "$ref": "#/$defs/n", "$defs": {"n": {"type": "number"}}}"##, "1"),
        Ok(())
    );
}

#[test]
fn drafts_are_told_apart_and_what_turns_in_a_circle_ends() {
    let tuple = r#""items": [{"type": "string"}]}"#;
    fails(
        &format!("{{\"$schema\": \"http://json-schema.org/draft-07/schema#\", {tuple}"),
        "[1]",
        "/0: want string, but got number",
    );
    assert!(Schema::parse(format!("{{{tuple}").as_bytes()).is_err());
    let circle =
        holds(r##"{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}"##, "1");
    assert!(circle.unwrap_err().contains("cycle"));
}

/// Names may be addresses of people, or tokens.
#[test]
fn names_of_properties_that_must_not_be_there_are_counted_and_not_shown() {
    let only = r#"{"properties": {"a": {}}, "additionalProperties": false}"#;
    fails(only, r#"{"a": 1, "s3cret": 1}"#, "at the top: has a property that it may not have");
    fails(only, r#"{"s3cret": 1, "t0ken": 2}"#, "at the top: has 2 properties that it may not have");
    fails(
        r#"{"propertyNames": {"pattern": "^[a-z]+$"}}"#,
        r#"{"s3cret": 1}"#,
        "at the top: has a property of a name that is not as it should be (at the top: does not match the pattern \"^[a-z]+$\")",
    );
    let enumerated = holds(r#"{"propertyNames": {"enum": ["a"]}}"#, r#"{"s3cret": 1}"#).unwrap_err();
    assert!(
        enumerated.contains("of a name that is not as it should be") && !enumerated.contains("s3cret"),
        "{enumerated}"
    );
}

/// All of whose values are wrong.
#[test]
fn a_document_of_too_many_values_is_not_looked_into() {
    let schema = r#"{"type": "array", "items": {"type": "string"}}"#;
    let document = |values: usize| format!("[{}1]", "1,".repeat(values - 1));
    let most = STEPS_MAX / (STEPS_OF_A_FLAW + 1);
    let said = format!("has too many values to look into: at most {most}, and fewer the deeper they lie");
    assert_eq!(holds(schema, &document(most)), Err(said.clone()));
    assert_eq!(holds(schema, &document(10_000_000)), Err(said.clone()));
    assert!(holds(schema, &document(10_000)).unwrap_err().contains("; and 9990 more"));
    // So is what each of several alternatives finds, of which `items` has two, and one of them two.
    let either = r#"{"items": {"anyOf": [{"type": "string"}, {"not": {}, "oneOf": [{"minimum": 3}, {}]}]},
        "properties": {"anyOf": {"type": "array"}}}"#;
    assert_eq!(Schema::parse(either.as_bytes()).unwrap().flaws, 6);
    let fewer = said.replace(&most.to_string(), &(most / 6).to_string());
    assert_eq!(holds(either, &document(most / 6)), Err(fewer));
    assert!(holds(either, &document(10_000)).unwrap_err().contains("; and 9990 more"));
    // A long path is part of every flaw.
    let deep = format!("{}{}{}", "[".repeat(100), document(100_000), "]".repeat(100));
    assert_eq!(holds(schema, &deep), Err(said));
    // Texts are one value, whatever is in them.
    let texts = format!("[\"{}\", \"\\\"{}\"]", "[,".repeat(1_000_000), "{,".repeat(1_000_000));
    assert_eq!(holds(schema, &texts), Ok(()));
    assert_eq!(steps(texts.as_bytes()), 3 * STEPS_OF_A_FLAW + 2);
}
