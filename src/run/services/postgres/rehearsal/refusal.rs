//! Why psql did not run a dump to its end.

/// What is wrong with the server, or with what the user may there, by the first letters of PostgreSQL's codes: connection,
/// missing feature (an extension, say), resources, operator, system, inner errors; and rights.
const OF_THE_SERVER: [&str; 7] = ["08", "0A000", "42501", "53", "57", "58", "XX"];
/// What tells of no error.
const OF_NO_ERROR: [&str; 4] = ["00", "01", "02", "03"];
/// How psql ends when a script has an error.
const OF_THE_SCRIPT: &str = "failed: exit status: 3\n";

/// Whether the dump is to blame, if what psql says (verbosely) tells: otherwise it could not be given, or psql itself was
/// hindered.
pub fn is_of_the_dump(error: &str) -> Option<bool> {
    let begins = |code: &str, with: &[&str]| with.iter().any(|class| code.starts_with(class));
    match error.lines().filter_map(code).rfind(|code| !begins(code, &OF_NO_ERROR)) {
        Some(code) => Some(!begins(code, &OF_THE_SERVER)),
        None => error.contains(OF_THE_SCRIPT).then_some(true),
    }
}

/// The code in a line such as `psql:<stdin>:7: ERROR:  42883: function f() does not exist`.
fn code(line: &str) -> Option<&str> {
    let (severity, said) = line.strip_prefix("psql:<stdin>:")?.split_once(":  ")?;
    let (code, _) = said.split_once(": ")?;
    let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    (is_code && severity.contains(": ")).then_some(code)
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
