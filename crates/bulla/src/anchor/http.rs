//! As much of HTTP/1.1 as a question to a witness takes.
//!
//! # Invariants
//!
//! - H1. An answer that is not one, or not whole, is an error; nothing in it makes us allocate more than it has.

/// An answer: status, the media type in lower case without parameters, body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) media_type: String,
    pub(super) body: Vec<u8>,
}

/// `http://host[:port]/path`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// What to connect to, with the port.
    pub(super) address: String,
    host: String,
    path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || host.contains(['@', '?', '#']) || !is_plain(host) || !is_plain(path) || path.contains('#')
        {
            return None;
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:80") };
        Some(Self { address, host: host.to_owned(), path: format!("/{}", path.trim_end_matches('/')) })
    }

    /// A POST to `name` below the address.
    pub(super) fn post(&self, name: &str, body: &str) -> Vec<u8> {
        let Self { host, path, .. } = self;
        let path = path.trim_end_matches('/');
        let (agent, len) = (concat!("bulla/", env!("CARGO_PKG_VERSION")), body.len());
        format!(
            "POST {path}/{name} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nContent-Type: text/plain\r\n\
             Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
        )
        .into_bytes()
    }
}

impl Response {
    /// H1. What was read until the other side closed.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let split = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, body) = (str::from_utf8(bytes.get(..split)?).ok()?, bytes.get(split + 4..)?);
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.splitn(3, ' ');
        if !matches!(words.next()?, "HTTP/1.1" | "HTTP/1.0") {
            return None;
        }
        let status = words.next().filter(|status| status.len() == 3)?.parse().ok()?;
        let (mut media_type, mut len, mut is_chunked) = (String::new(), None, false);
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-type" => {
                    value.split(';').next()?.trim().to_ascii_lowercase().clone_into(&mut media_type);
                }
                "content-length" => len = Some(value.parse::<usize>().ok()?),
                "transfer-encoding" => {
                    is_chunked = if value.eq_ignore_ascii_case("chunked") { true } else { return None }
                }
                _ => {}
            }
        }
        let body = match len {
            _ if is_chunked => unchunked(body)?,
            Some(len) => body.get(..len)?.to_vec(),
            None => body.to_vec(),
        };
        Some(Self { status, media_type, body })
    }
}

fn unchunked(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let line = str::from_utf8(bytes.get(..end)?).ok()?;
        let len = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        let rest = bytes.get(end + 2..)?;
        if len == 0 {
            return Some(body);
        }
        let (chunk, rest) = rest.split_at_checked(len)?;
        body.extend_from_slice(chunk);
        bytes = rest.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_plain_http_and_nothing_else() {
        let table = [
            ("http://127.0.0.1:8080", Some(("127.0.0.1:8080", "POST /add-checkpoint HTTP/1.1"))),
            ("http://witness.local/a/", Some(("witness.local:80", "POST /a/add-checkpoint HTTP/1.1"))),
            ("http://[::1]/a", Some(("[::1]:80", "POST /a/add-checkpoint HTTP/1.1"))),
            ("https://witness.example", None),
            ("http://", None),
            ("http://a b", None),
            ("http://user@host/", None),
            ("http://host/\r\nX: y", None),
        ];
        for (text, expected) in table {
            let url = Url::parse(text);
            let found = url.as_ref().map(|url| (url.address.as_str(), url.post("add-checkpoint", "old 0\n")));
            let found = found
                .map(|(address, post)| (address, String::from_utf8(post).unwrap().lines().next().unwrap().to_owned()));
            assert_eq!(found, expected.map(|(address, line)| (address, line.to_owned())), "{text}");
        }
    }

    /// An answer, and the status and body that it has if it is whole.
    type Answer = (&'static [u8], Option<(u16, &'static [u8])>);

    /// H1.
    #[test]
    fn answers_are_whole_or_refused() {
        let body = |bytes: &[u8]| Response::parse(bytes).map(|response| (response.status, response.body));
        let table: [Answer; 10] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay", Some((200, b"ok"))),
            (b"HTTP/1.1 200\r\n\r\nok", Some((200, b"ok"))),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n1\r\n!\r\n0\r\n\r\n",
                Some((200, b"ok!")),
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", None),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok", None),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nok", None),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", None),
            (b"HTTP/2 200 OK\r\n\r\nok", None),
            (b"garbage", None),
            (b"", None),
        ];
        for (bytes, expected) in table {
            let expected = expected.map(|(status, body)| (status, body.to_vec()));
            assert_eq!(body(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
        for (bytes, expected) in table {
            // H1. Cut anywhere or with any bit flipped it is refused or an answer, whose body is no longer than all of it.
            let is_bounded = |bytes: &[u8]| Response::parse(bytes).is_none_or(|found| found.body.len() < bytes.len());
            assert!((0..bytes.len()).all(|len| is_bounded(&bytes[..len])));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    is_bounded(&flipped),
                    "bit {bit} of {}, which was {expected:?}",
                    String::from_utf8_lossy(bytes)
                );
            }
        }
        let typed = Response::parse(b"HTTP/1.1 409 no\r\nCONTENT-TYPE: Text/x.Tlog.size; a=b\r\n\r\n7\n").unwrap();
        assert_eq!(typed.media_type, "text/x.tlog.size");
    }
}
