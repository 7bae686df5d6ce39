//! A small HTTP server, as tests need it: it remembers what it was asked, and can break off in the middle.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// What a server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// GET and so on.
    pub method: String,
    /// The path, with what follows a question mark.
    pub path: String,
    /// Headers by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// What came with it.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What a server answers.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection is cut.
    cut: Option<usize>,
    chunked: bool,
}

impl Reply {
    /// An answer with a status, a content type and a body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.into(), cut: None, chunked: false }
    }

    /// JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// With a further header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Without saying beforehand how long it is.
    pub fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// Broken off after so many bytes of the body.
    pub fn cut(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    fn send(&self, stream: &mut TcpStream, to: &Asked) -> io::Result<()> {
        write!(stream, "HTTP/1.1 {} Said\r\nconnection: close\r\n", self.status)?;
        for (name, value) in &self.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        let sent = &self.body[..self.cut.unwrap_or(self.body.len())];
        let sent = if to.method == "HEAD" { &[] } else { sent };
        if self.chunked {
            write!(stream, "transfer-encoding: chunked\r\n\r\n")?;
            for chunk in sent.chunks(1000) {
                write!(stream, "{:x}\r\n", chunk.len())?;
                stream.write_all(chunk)?;
                write!(stream, "\r\n")?;
            }
            if self.cut.is_none() {
                write!(stream, "0\r\n\r\n")?;
            }
        } else {
            write!(stream, "content-length: {}\r\n\r\n", self.body.len())?;
            stream.write_all(sent)?;
        }
        stream.flush()
    }
}

/// A server, which ends with the test.
pub struct Web {
    address: SocketAddr,
    heard: Arc<Heard>,
    ending: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

/// What came in.
#[derive(Default)]
struct Heard {
    asked: Mutex<Vec<Asked>>,
    /// What broke off, with as much as came of it.
    broken: Mutex<Vec<Asked>>,
    /// Bytes of bodies, also of those that are still coming.
    bytes: AtomicUsize,
}

impl Web {
    /// A server that answers so.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, ending) = (Arc::new(Heard::default()), Arc::new(AtomicBool::new(false)));
        let (hearing, end, answer) = (heard.clone(), ending.clone(), Arc::new(answer));
        let serving = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, heard) = (answer.clone(), hearing.clone());
                // Whoever breaks off has no answer to hear.
                thread::spawn(move || stream.and_then(|stream| serve(stream, answer.as_ref(), &heard)));
            }
        });
        Self { address, heard, ending, serving: Some(serving) }
    }

    /// Its address, with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.heard.asked.lock().unwrap().clone()
    }

    /// What broke off before all of its body was there; nobody was answered.
    pub fn broken(&self) -> Vec<Asked> {
        self.heard.broken.lock().unwrap().clone()
    }

    /// How many bytes of bodies came until now, also of those that are still coming.
    pub fn bytes(&self) -> usize {
        self.heard.bytes.load(Ordering::SeqCst)
    }

    /// The same as `METHOD /path`.
    pub fn calls(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let _wakes_it = TcpStream::connect(self.address);
        if let Some(serving) = self.serving.take() {
            let _may_have_panicked = serving.join();
        }
    }
}

/// An address where nobody listens.
pub fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Asked) -> Reply, heard: &Heard) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (asked, whole) = read(&mut reader, &heard.bytes)?;
    let heard = if whole.is_ok() { &heard.asked } else { &heard.broken };
    heard.lock().unwrap().push(asked.clone());
    whole?;
    let stream = reader.get_mut();
    answer(&asked).send(stream, &asked)?;
    stream.shutdown(Shutdown::Both)
}

/// A request, and whether all of its body is there.
fn read(reader: &mut BufReader<TcpStream>, bytes: &AtomicUsize) -> io::Result<(Asked, io::Result<()>)> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, path) = (word(), word());
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |bytes| bytes.parse().unwrap())];
    let (mut came, mut whole) = (0, Ok(()));
    while came < body.len() && whole.is_ok() {
        match reader.read(&mut body[came..]) {
            Ok(0) => whole = Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(more) => {
                came += more;
                bytes.fetch_add(more, Ordering::SeqCst);
            }
            Err(error) => whole = Err(error),
        }
    }
    body.truncate(came);
    Ok((Asked { method, path, headers, body }, whole))
}
