use super::*;

#[test]
fn plain_and_quoted_values_pass() {
    let file =
        "# a comment; $(true)\n\n  # more\nA=\nB=a.b/c:d@e%f+g,h-i=j\n_C1='a b;$c `d` #\"e\" \u{e4}'\nD=''\nE=last";
    assert_eq!(check(file.as_bytes()), Ok(()));
}

#[test]
fn what_a_shell_would_run_or_read_otherwise_is_refused_by_its_line() {
    for (bad, why) in [
        ("A=hunter2 b", "in single quotes"),
        ("A=hunter2;b", "in single quotes"),
        ("A=$hunter2", "in single quotes"),
        ("A=`hunter2`", "in single quotes"),
        ("A=~hunter2", "in single quotes"),
        ("A=\"hunter2\"", "in single quotes"),
        ("A='hunter2", "in single quotes"),
        ("A='hunter2' ", "in single quotes"),
        ("A='hunter2'b'c'", "single quote within"),
        ("A='${hunter2}'", "compose replaces"),
        ("A='", "in single quotes"),
        ("A='hunter2\\'", "backslash"),
        ("# hunter2\\", "backslash"),
        ("A=hunter2\r", "control characters"),
        ("hunter2", "is not NAME=VALUE"),
        ("export A=hunter2", "a name has"),
        (" A=hunter2", "a name has"),
        ("1A=hunter2", "a name has"),
        ("=hunter2", "a name has"),
    ] {
        let said = check(format!("GOOD=1\n{bad}\n").as_bytes()).map_err(|flaw| flaw.to_string());
        let said = said.expect_err(bad);
        assert!(said.starts_with("line 2 ") && said.contains(why) && !said.contains("hunter2"), "{bad}: {said}");
    }
    assert_eq!(check(b"A='\xff'"), Err(Flaw { line: 1, why: "is no text" }));
}
