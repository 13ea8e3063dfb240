// A worker: takes jobs, upper-cases each payload. TOKEN is its bearer token, if the server wants one. With nothing but
// the standard library, so over http:// alone: rustc worker.rs
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::{env, process, thread, time::Duration};

struct Answer {
    status: u16,
    location: String,
    payload: Vec<u8>,
}

fn ask(path: &str, body: &[u8]) -> Result<Answer> {
    let jobd = env::var("JOBD").unwrap();
    let place = jobd.strip_prefix("http://").unwrap_or(&jobd).trim_end_matches('/');
    let token = env::var("TOKEN").map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    let mut stream = TcpStream::connect(place)?;
    stream.set_read_timeout(Some(Duration::from_secs(90)))?;
    let size = body.len();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: {place}\r\n{token}Content-Length: {size}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(body)?;

    let mut answer = BufReader::new(stream);
    let (mut line, mut status, mut location, mut size) = (String::new(), 0, String::new(), 0);
    while answer.read_line(&mut line)? > 2 {
        let (name, value) = line.trim_end().split_once(' ').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "http/1.1" => status = value.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0),
            "location:" => location = value.to_string(),
            "content-length:" => size = value.parse().unwrap_or(0),
            _ => (),
        }
        line.clear();
    }
    if status == 0 {
        return Err(Error::new(ErrorKind::UnexpectedEof, "no answer"));
    }
    let mut payload = vec![0; size];
    answer.read_exact(&mut payload)?;
    Ok(Answer { status, location, payload })
}

/// Tries until the server has decided: its answer; or None, it never will.
fn post(path: &str, body: &[u8]) -> Option<Answer> {
    let mut pause = 1;
    loop {
        match ask(path, body) {
            Ok(answer) if answer.status < 300 => return Some(answer),
            Ok(answer) => {
                eprintln!("{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.payload).trim());
                match answer.status {
                    401 | 403 => process::exit(1),
                    408 | 429 | 500.. => (),
                    _ => return None,
                }
            }
            Err(error) => eprintln!("{path}: {error}"),
        }
        thread::sleep(Duration::from_secs(pause));
        pause = (2 * pause).min(30);
    }
}

fn work(payload: &[u8]) -> std::result::Result<Vec<u8>, String> {
    Ok(payload.to_ascii_uppercase())
}

fn main() {
    if env::var("JOBD").unwrap_or_default().is_empty() {
        eprintln!("JOBD is not set: where is the server, as http://localhost:8080");
        process::exit(1);
    }
    loop {
        match post("/take?wait=30s", b"") {
            None => thread::sleep(Duration::from_secs(5)),
            Some(job) if job.status == 200 => match work(&job.payload) {
                Ok(output) => post(&(job.location + "/done"), &output),
                Err(problem) => post(&(job.location + "/fail"), problem.as_bytes()),
            }
            .map_or((), |_| ()),
            Some(_) => (),
        }
    }
}
