//! A proxy that knows CONNECT and nothing else, as many do; and hosts that are known to it alone.

use super::PATIENCE;
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// The proxy. It stays until the end of the tests, as its one thread does.
pub(crate) struct Proxy {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Each host with its port, and where it really is; others are what they are called.
    pub(crate) fn start(hosts: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let hosts: Vec<(String, String)> =
            hosts.iter().map(|(host, place)| ((*host).to_owned(), (*place).to_owned())).collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (hosts, log) = (hosts.clone(), Arc::clone(&log));
                // Whoever goes away in the middle is done.
                thread::spawn(move || connect(stream, &hosts, &log).unwrap_or_default());
            }
        });
        Self { address, asked }
    }

    /// What was asked of it: "CONNECT 127.0.0.1:4711".
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics").clone()
    }
}

fn connect(stream: TcpStream, hosts: &[(String, String)], log: &Mutex<Vec<String>>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut line = first.clone();
    while !line.trim().is_empty() {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    log.lock().expect("nobody panics").push(format!("{method} {target}"));
    let mut answer = &stream;
    if method != "CONNECT" {
        return answer.write_all(b"HTTP/1.1 405 Only CONNECT\r\nContent-Length: 0\r\n\r\n");
    }
    let place = hosts.iter().find(|(host, _)| host == target).map_or(target, |(_, place)| place);
    let Ok(far) = TcpStream::connect(place) else {
        return answer.write_all(b"HTTP/1.1 502 Nobody there\r\nContent-Length: 0\r\n\r\n");
    };
    answer.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let mut forth = far.try_clone()?;
    thread::spawn(move || {
        // What has been read already goes first.
        io::copy(&mut reader, &mut forth).unwrap_or_default();
        forth.shutdown(Shutdown::Write).unwrap_or_default();
    });
    io::copy(&mut &far, &mut answer)?;
    stream.shutdown(Shutdown::Write)
}
