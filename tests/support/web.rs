//! A small HTTP server, as tests need it: it remembers what it was asked, and can break off in the middle.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
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
    asked: Arc<Mutex<Vec<Asked>>>,
    ending: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Web {
    /// A server that answers so.
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, ending) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (heard, end, answer) = (asked.clone(), ending.clone(), Arc::new(answer));
        let serving = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, heard) = (answer.clone(), heard.clone());
                // Whoever breaks off has no answer to hear.
                thread::spawn(move || stream.and_then(|stream| serve(stream, answer.as_ref(), &heard)));
            }
        });
        Self { address, asked, ending, serving: Some(serving) }
    }

    /// Its address, with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
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

fn serve(stream: TcpStream, answer: &dyn Fn(&Asked) -> Reply, heard: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let asked = read(&mut reader)?;
    heard.lock().unwrap().push(asked.clone());
    let stream = reader.get_mut();
    answer(&asked).send(stream, &asked)?;
    stream.shutdown(Shutdown::Both)
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Asked> {
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
    reader.read_exact(&mut body)?;
    Ok(Asked { method, path, headers, body })
}
