use super::*;

/// Bytes that come in pieces.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl Content for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = &self.bytes[self.at..];
        let given = bytes.len().min(buffer.len()).min(self.piece);
        buffer[..given].copy_from_slice(&bytes[..given]);
        self.at += given;
        Ok(given)
    }

    fn finish(self: Box<Self>, _: &mut Entry, _: u64) -> Verdict {
        Verdict::Steady
    }
}

fn read(bytes: &[u8], piece: usize, buffer: usize) -> Vec<u8> {
    let content = Box::new(Pieces { bytes: bytes.to_vec(), at: 0, piece });
    let mut unmarked = Unmarked { content, held: Vec::new(), ended: false };
    let (mut buffer, mut all) = (vec![0; buffer], Vec::new());
    loop {
        match unmarked.read(&mut buffer).unwrap() {
            0 => return all,
            bytes => all.extend_from_slice(&buffer[..bytes]),
        }
    }
}

const MARK: &[u8] = b"733d99af8b8438c776eeb4075774912551dd27b3";

#[test]
fn a_mark_is_taken_away_and_nothing_else() {
    let digits = [b"REDIS0010".as_slice(), &b"0123456789abcdef".repeat(20), b"\xff12345678"].concat();
    let marked = [&digits, MARK].concat();
    for piece in [1, 7, 40, 41, 1000] {
        for buffer in [1, 39, 40, 41, 64, 1000] {
            assert_eq!(read(&digits, piece, buffer), digits, "{piece} {buffer}");
            assert_eq!(read(&marked, piece, buffer), digits, "{piece} {buffer}");
            assert_eq!(read(b"", piece, buffer), b"");
            assert_eq!(read(&digits[..39], piece, buffer), &digits[..39]);
        }
    }
}

#[test]
fn what_redis_cli_says_of_its_progress_is_no_remark_and_all_else_is() {
    let marked = "sending REPLCONF capa eof\nsending REPLCONF rdb-only 1\nSYNC sent to master, writing bytes of bulk \
                  transfer until EOF marker to '-'\nTransfer finished with success after 192 bytes";
    let counted = "SYNC sent to master, writing 192 bytes to '-'\nTransfer finished with success.";
    for progress in [marked, counted] {
        assert_eq!(without_progress(&format!("redis-cli said: {progress}")), None);
        let more = format!("docker said: AUTH failed: no\n{progress}\nsending REPLCONF capa eof failed");
        let left = "docker said: AUTH failed: no\nsending REPLCONF capa eof failed";
        assert_eq!(without_progress(&more).as_deref(), Some(left));
    }
}

#[test]
fn the_password_is_never_among_the_arguments() {
    for container in [None, Some("cache".to_owned())] {
        let place = Place { socket: Some("/run/redis.sock".into()), user: Some("app".into()), ..Place::default() };
        let secret = Some((PASSWORD_VARIABLE, "hidden".to_owned().into()));
        let client = Client { container: container.clone(), secret };
        let server = Server { place, client, options: vec!["--tls".to_owned()] };
        let output = server.client.output(DUMP, "redis-cli", server.words(&["--rdb", "-"]));
        let words: Vec<&str> = output.arguments.iter().map(|word| word.to_str().unwrap()).collect();
        let words = words.join(" ");
        assert!(words.ends_with("-s /run/redis.sock --user app --tls --rdb -") && !words.contains("hidden"), "{words}");
        let head = "exec --interactive --env REDISCLI_AUTH cache sh -c ";
        assert_eq!(words.starts_with(head), container.is_some());
    }
}
