//! One question and one answer over TCP, within a time and a size.
//!
//! Not a part of [`Host`](crate::Host), for the reason [`process`](crate::Program) gives.
//!
//! # Invariants
//!
//! - N1. Whatever the other side does, `exchange` returns soon after the time limit and holds no more than the size limit.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Connects to `address`, `host:port`, writes `request`, and reads until the other side closes.
///
/// # Errors
///
/// `TimedOut` when it is not over after `limit`, though looking a name up is not counted; `InvalidData` when the answer
/// has more than `bytes_max` bytes; else what the system says.
pub fn exchange(address: &str, request: &[u8], bytes_max: usize, limit: Duration) -> io::Result<Vec<u8>> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let addresses: Vec<_> = address.to_socket_addrs()?.collect();
    let deadline = Instant::now() + limit;
    for address in addresses {
        let connected = left(deadline).and_then(|left| TcpStream::connect_timeout(&address, left));
        match connected {
            Ok(stream) => return talk(stream, request, bytes_max, deadline),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn talk(mut stream: TcpStream, mut request: &[u8], bytes_max: usize, deadline: Instant) -> io::Result<Vec<u8>> {
    while !request.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?))?;
        match stream.write(request) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(len) => request = request.get(len..).unwrap_or_default(),
            Err(error) => again(error)?,
        }
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(len) if answer.len() + len > bytes_max => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the answer exceeds {bytes_max} bytes"),
                ));
            }
            Ok(len) => answer.extend_from_slice(buffer.get(..len).unwrap_or_default()),
            Err(error) => again(error)?,
        }
    }
}

/// A time-out of the system's is ours too early or just right; either way the deadline decides.
fn again(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(()),
        _ => Err(error),
    }
}

/// What is left until the deadline: never zero, which the system would take for no limit.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::Error::new(io::ErrorKind::TimedOut, "the other side took too long")) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    fn serve(answer: impl FnOnce(TcpStream) + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || answer(listener.accept().unwrap().0));
        address
    }

    /// N1.
    #[test]
    fn an_answer_is_bounded_in_size_and_time() {
        let echo = |mut stream: TcpStream| {
            let mut question = [0; 4];
            stream.read_exact(&mut question).unwrap();
            stream.write_all(&question).unwrap();
        };
        let limit = Duration::from_secs(20);
        assert_eq!(exchange(&serve(echo), b"ping", 4, limit).unwrap(), b"ping");
        assert_eq!(exchange(&serve(echo), b"ping", 3, limit).unwrap_err().kind(), io::ErrorKind::InvalidData);

        let drip = |mut stream: TcpStream| {
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        };
        let start = Instant::now();
        let late = exchange(&serve(drip), b"", 1 << 20, Duration::from_millis(200)).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
