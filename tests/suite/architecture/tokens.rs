//! Rust source as tokens with their lines: enough to see what a file names, without a parser.
//!
//! Promise: comments and the insides of strings are never taken for code.
//! Left out on purpose: numbers and operators as the compiler sees them; `::` is the only long one.

/// A word, `::`, or one other character. A string or character literal is `"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    pub line: usize,
    pub text: &'a str,
}

/// The tokens of a source file.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let (len, text) = next(rest, first);
        if let Some(text) = text {
            tokens.push(Token { line, text });
        }
        line += rest[..len].matches('\n').count();
        rest = &rest[len..];
    }
    tokens
}

/// How long the next piece of source is, and the token that it makes, if any.
fn next(rest: &str, first: char) -> (usize, Option<&str>) {
    if first.is_whitespace() {
        return (first.len_utf8(), None);
    }
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (block_comment_len(rest), None);
    }
    if let Some(len) = string_len(rest).or_else(|| char_len(rest)) {
        return (len, Some("\""));
    }
    if rest.starts_with("::") {
        return (2, Some("::"));
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let len = if word(first) { rest.find(|c| !word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
    (len, Some(&rest[..len]))
}

/// Block comments nest.
fn block_comment_len(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a string literal of any kind, if one begins here.
fn string_len(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        let after = rest.strip_prefix(prefix).unwrap_or("");
        after.starts_with('"') || (prefix.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    })?;
    let body = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = &body[hashes + 1..];
        return Some(inside.find(&end).map_or(rest.len(), |at| prefix.len() + hashes + 1 + at + end.len()));
    }
    Some(prefix.len() + quoted_len(body, '"'))
}

/// The length of a character literal, if one begins here. A lifetime is none.
fn char_len(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("b'").map(|_| &rest[1..]).or_else(|| rest.starts_with('\'').then_some(rest))?;
    let mut chars = body[1..].chars();
    let literal = chars.next() == Some('\\') || chars.next() == Some('\'');
    literal.then(|| rest.len() - body.len() + quoted_len(body, '\''))
}

/// The length of what is between two of these quotes, and both.
fn quoted_len(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    body.len()
}

#[test]
fn comments_and_strings_are_no_code() {
    let source = r####"
        // unsafe
        /* unsafe /* unsafe */ unsafe */ a::b
        "unsafe \" unsafe" b"unsafe" r#"un"safe"# br##"un"#safe"## c"unsafe"
        'u' '\'' b'\\' '"' &'a str 'static r#type crate::c
    "####;
    let words: Vec<(usize, &str)> = tokens(source).into_iter().map(|token| (token.line, token.text)).collect();
    let expected = [
        (3, "a"),
        (3, "::"),
        (3, "b"),
        (4, "\""),
        (4, "\""),
        (4, "\""),
        (4, "\""),
        (4, "\""),
        (5, "\""),
        (5, "\""),
        (5, "\""),
        (5, "\""),
        (5, "&"),
        (5, "'"),
        (5, "a"),
        (5, "str"),
        (5, "'"),
        (5, "static"),
        (5, "r"),
        (5, "#"),
        (5, "type"),
        (5, "crate"),
        (5, "::"),
        (5, "c"),
    ];
    assert_eq!(words, expected);
}
