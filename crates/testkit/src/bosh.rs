//! The client's side of BOSH (XEP-0124, XEP-0206), as small as a client of one server can be: two
//! connections that are kept, one request held at the server, and the other for what is to be said.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::link::{Sent, Socket, poll_read};
use tokio::io::AsyncWrite;

const NS: &str = "http://jabber.org/protocol/httpbind";
const XBOSH: &str = "urn:xmpp:xbosh";
/// The number of a session's first request. Scenarios need no secret one.
const FIRST_RID: u64 = 1000;

/// A session on its two connections.
pub struct Bosh {
    domain: String,
    /// Header lines besides the usual.
    headers: &'static str,
    lines: [Line; 2],
    sid: Option<String>,
    rid: u64,
    /// Answers that came and were not asked for.
    answers: VecDeque<Vec<u8>>,
    is_over: bool,
}

/// One connection.
struct Line {
    socket: Box<dyn Socket>,
    /// The request under way.
    rid: Option<u64>,
    /// What of it is still to be written.
    out: Vec<u8>,
    held: Vec<u8>,
    answer: Option<Vec<u8>>,
}

impl Bosh {
    /// A client that has said nothing yet.
    pub fn new(sockets: [Box<dyn Socket>; 2], domain: &str, headers: &'static str) -> Self {
        let line =
            |socket| Line { socket, rid: None, out: Vec::new(), held: Vec::new(), answer: None };
        Self {
            domain: domain.to_owned(),
            headers,
            lines: sockets.map(line),
            sid: None,
            rid: FIRST_RID,
            answers: VecDeque::new(),
            is_over: false,
        }
    }

    /// Opens a session, or the stream in it once more.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn open(&mut self) -> Result<(), String> {
        let to = self.domain.clone();
        let terms = match &self.sid {
            Some(_) => format!("xmpp:restart='true' to='{to}'"),
            None => format!("to='{to}' ver='1.11' hold='1' wait='60' xmpp:version='1.0'"),
        };
        self.request(&terms, "").await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn close(&mut self) -> Result<(), String> {
        self.request("type='terminate'", "").await
    }

    /// Sends whole elements.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, xml: &str) -> Result<(), String> {
        self.request("", xml).await
    }

    /// Polls for an answer that says something; `None` at the end.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Sent>> {
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return Poll::Ready(Some(Sent::Body(answer)));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            // The server has something to answer at all times.
            if self.sid.is_some() && self.lines.iter().all(|line| line.rid.is_none()) {
                self.put("", "");
            }
            ready!(self.poll_lines(cx));
        }
    }

    /// Waits for a connection that is free, and sends a request on it.
    async fn request(&mut self, attributes: &str, payload: &str) -> Result<(), String> {
        while !self.is_over && self.lines.iter().all(|line| line.rid.is_some()) {
            poll_fn(|cx| self.poll_lines(cx)).await;
        }
        if self.is_over {
            return Err("the session is over".to_owned());
        }
        let at = self.put(attributes, payload);
        let line = &mut self.lines[at];
        poll_fn(|cx| line.poll_write(cx)).await.map_err(|error| error.to_string())
    }

    /// Puts a request on a connection that is free, and tells which.
    fn put(&mut self, attributes: &str, payload: &str) -> usize {
        let rid = self.rid;
        self.rid += 1;
        let sid = self.sid.as_ref().map(|sid| format!("sid='{sid}'")).unwrap_or_default();
        let body = format!(
            "<body xmlns='{NS}' xmlns:xmpp='{XBOSH}' rid='{rid}' {sid} {attributes}>\
             {payload}</body>"
        );
        let request = format!(
            "POST /http-bind HTTP/1.1\r\nHost: {}\r\n{}Content-Type: text/xml\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.domain,
            self.headers,
            body.len()
        );
        let at = self.lines.iter().position(|line| line.rid.is_none()).unwrap_or(0);
        let line = &mut self.lines[at];
        (line.rid, line.out) = (Some(rid), request.into_bytes());
        at
    }

    /// Ready when an answer was taken, or the connections are gone.
    fn poll_lines(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for line in &mut self.lines {
            if let Poll::Ready(Err(_)) = line.poll(cx) {
                self.is_over = true;
                return Poll::Ready(());
            }
        }
        // In the order of the requests, whichever comes first.
        let first = self.lines.iter_mut().filter(|line| line.rid.is_some());
        let Some(line) = first.min_by_key(|line| line.rid) else { return Poll::Pending };
        let Some(answer) = line.answer.take() else { return Poll::Pending };
        line.rid = None;
        let head = String::from_utf8_lossy(&answer);
        let start = head.split('>').next().unwrap_or_default();
        let value = |name: &str| {
            let rest = start.split(&format!(" {name}=")).nth(1)?;
            rest[1..].split(&rest[..1]).next().map(str::to_owned)
        };
        if self.sid.is_none() {
            self.sid = value("sid");
        }
        if value("type").is_some() || self.sid.is_none() {
            self.is_over = true;
        }
        if !start.ends_with('/') {
            self.answers.push_back(answer);
        }
        Poll::Ready(())
    }
}

impl Line {
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let count = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.out))?;
            self.out.drain(..count);
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Writes what is to be written and reads until the answer is whole.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        if self.rid.is_none() || self.answer.is_some() {
            return Poll::Pending;
        }
        ready!(self.poll_write(cx)).map_err(|error| error.to_string())?;
        loop {
            if let Some(answer) = self.take_answer()? {
                self.answer = Some(answer);
                return Poll::Ready(Ok(()));
            }
            let more = ready!(poll_read(&mut self.socket, cx));
            if more.is_empty() {
                return Poll::Ready(Err("the server closed".to_owned()));
            }
            self.held.extend(more);
        }
    }

    /// The body of the answer, once it is whole.
    fn take_answer(&mut self) -> Result<Option<Vec<u8>>, String> {
        let end = self.held.windows(4).position(|part| part == b"\r\n\r\n");
        let Some(end) = end.map(|end| end + 4) else { return Ok(None) };
        let head = String::from_utf8_lossy(&self.held[..end]).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| {
            let digits = rest.split("\r\n").next()?;
            digits.parse::<usize>().ok()
        });
        let length = length.ok_or_else(|| format!("an answer without its length: {head}"))?;
        if self.held.len() < end + length {
            return Ok(None);
        }
        let body = self.held[end..end + length].to_vec();
        self.held.drain(..end + length);
        Ok(Some(body))
    }
}
