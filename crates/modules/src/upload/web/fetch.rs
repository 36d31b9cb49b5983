//! A file is fetched, whole or in part.

use std::io::{self, ErrorKind};
use std::ops::Range;

use waxwing_kernel::http::{
    HeaderMap, HeaderValue, HttpReply, Method, StatusCode, header, percent_encoded,
};

use super::{busy, find, nothing};
use crate::upload::Upload;
use crate::upload::file::{File, State};
use crate::upload::shelf::Shelf;

const UNKNOWN: &str = "application/octet-stream";
const UNREADABLE: &str = "This file cannot be read at the moment; try again later.\n";

pub(super) async fn fetch(
    upload: &Upload,
    token: &str,
    name: &str,
    (method, headers): (&Method, &HeaderMap),
) -> HttpReply {
    let file = match find(upload, token, name).await {
        Ok(file) => file,
        Err(reply) => return reply,
    };
    let now = upload.hub.clock().wall_millis().cast_signed();
    let shelf = upload.shelf.as_ref();
    let (State::Stored, Some(shelf)) = (file.state, shelf.filter(|_| file.expires > now)) else {
        return nothing();
    };
    let etag = format!("\"{token}\"");
    if is_known(headers, &etag) {
        return about(&file, now, HttpReply::status(StatusCode::NOT_MODIFIED));
    }
    let size = file.size.unsigned_abs();
    let (status, part) = match asked(method, headers, &etag, size) {
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Nothing => {
            let reply = HttpReply::status(StatusCode::RANGE_NOT_SATISFIABLE);
            return reply.with(header::CONTENT_RANGE, value(format!("bytes */{size}")));
        }
    };
    let content = match shelf.content(token, part.clone(), *method != Method::HEAD).await {
        Ok(content) => content,
        Err(error) => return excuse(&error, &**shelf, token),
    };
    let mut reply = about(&file, now, HttpReply { content, ..HttpReply::status(status) });
    let (kind, manner) = manner(file.kind.as_deref());
    reply = reply
        .with(header::CONTENT_TYPE, value(kind))
        .with(header::CONTENT_DISPOSITION, value(disposition(manner, &file.name)))
        .with(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start))
        .with(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        reply = reply.with(header::CONTENT_RANGE, value(range));
    }
    reply
}

/// The answer when a file cannot be read.
fn excuse(error: &io::Error, shelf: &dyn Shelf, token: &str) -> HttpReply {
    if error.kind() == ErrorKind::ResourceBusy {
        tracing::warn!("a file found no place to be read; raise modules.upload.s3.readers");
        return busy("Too many files are being fetched; try again in half a minute.\n");
    }
    tracing::error!(%error, %shelf, token, "an upload cannot be read");
    match error.kind() {
        ErrorKind::NotFound => nothing(),
        _ => HttpReply::text(StatusCode::SERVICE_UNAVAILABLE, UNREADABLE),
    }
}

/// What a file that never changes lets others remember of it.
fn about(file: &File, now: i64, reply: HttpReply) -> HttpReply {
    let seconds = ((file.expires - now) / 1000).clamp(0, 31_536_000);
    let cache = format!("private, max-age={seconds}, immutable");
    reply
        .with(header::ETAG, value(format!("\"{}\"", file.token)))
        .with(header::CACHE_CONTROL, value(cache))
}

/// RFC 9110 §13.1.2: whether the client has the file already.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(','));
    known.any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag
    })
}

/// Which part of a file a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    /// A part that is not there.
    Nothing,
}

/// RFC 9110 §14.2 "A server MAY ignore the Range header field", and we do unless there is exactly
/// one range, so that a file cannot be asked for many times over in one request.
fn asked(method: &Method, headers: &HeaderMap, etag: &str, size: u64) -> Asked {
    // "GET is the only method for which range handling is defined".
    if method != Method::GET {
        return Asked::Whole;
    }
    // §13.1.5: If-Range compares strongly, and a date of ours there is none.
    if headers.get(header::IF_RANGE).is_some_and(|known| known.as_bytes() != etag.as_bytes()) {
        return Asked::Whole;
    }
    let mut ranges = headers.get_all(header::RANGE).iter();
    match (ranges.next().and_then(|range| range.to_str().ok()), ranges.next()) {
        (Some(range), None) => part(range, size).unwrap_or(Asked::Whole),
        _ => Asked::Whole,
    }
}

/// Reads `bytes=first-last`, `bytes=first-` or `bytes=-count`; None when it is something else.
fn part(range: &str, size: u64) -> Option<Asked> {
    let (unit, range) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| -> Option<u64> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are more than any file has.
        is_number.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let part = match (first, last) {
        ("", count) => size - number(count)?.min(size)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some(if part.is_empty() { Asked::Nothing } else { Asked::Part(part) })
}

/// How a file is shown: pictures, sound, films and plain text as such, and everything else to be
/// saved. What a browser would run is not even called by its name.
fn manner(kind: Option<&str>) -> (String, &'static str) {
    let kind = kind.unwrap_or(UNKNOWN);
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (main, sub) = essence.split_once('/').unwrap_or_default();
    let is_active = ["svg", "html", "xml", "javascript", "ecmascript", "css", "wasm", "multipart"]
        .iter()
        .any(|active| essence.contains(active));
    if is_active {
        (UNKNOWN.to_owned(), "attachment")
    } else if matches!(main, "image" | "audio" | "video") || (main, sub) == ("text", "plain") {
        (kind.to_owned(), "inline")
    } else {
        (kind.to_owned(), "attachment")
    }
}

/// RFC 6266 §4.3: the name, and for those who do not know `filename*` one in ASCII.
fn disposition(manner: &str, name: &str) -> String {
    let is_safe = |letter: char| letter == ' ' || letter.is_ascii_graphic();
    let plain =
        |letter: char| if is_safe(letter) && !"\"\\%".contains(letter) { letter } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    format!("{manner}; filename=\"{ascii}\"; filename*=UTF-8''{}", percent_encoded(name))
}

fn value(text: String) -> HeaderValue {
    HeaderValue::from_str(&text).expect("made of ASCII that is printed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upload::folder::Folder;

    #[test]
    fn who_found_no_place_is_told_when_to_come_again() {
        let folder = Folder::new("/nowhere".into());
        let reply = excuse(&ErrorKind::ResourceBusy.into(), &folder, "");
        assert_eq!(reply.status, 503);
        assert_eq!(reply.headers[header::RETRY_AFTER], "30");
        assert_eq!(excuse(&ErrorKind::NotFound.into(), &folder, "").status, 404);
    }

    #[test]
    fn one_range_is_served_and_nothing_odd() {
        for (range, expected) in [
            ("bytes=0-0", Some(Asked::Part(0..1))),
            ("bytes=2-4", Some(Asked::Part(2..5))),
            ("BYTES = 7-", Some(Asked::Part(7..10))),
            ("bytes=-3", Some(Asked::Part(7..10))),
            ("bytes=-99", Some(Asked::Part(0..10))),
            ("bytes=9-99999999999999999999999999", Some(Asked::Part(9..10))),
            ("bytes=10-", Some(Asked::Nothing)),
            ("bytes=99999999999999999999999999-", Some(Asked::Nothing)),
            ("bytes=-0", Some(Asked::Nothing)),
            ("bytes=0-1,3-4", None),
            ("bytes=4-2", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("bytes=+1-2", None),
            ("bytes=1", None),
            ("lines=1-2", None),
            ("", None),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
    }

    #[test]
    fn what_a_browser_would_run_is_never_shown() {
        for kind in [
            "text/html",
            "TEXT/HTML; charset=utf-8",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "text/javascript",
            "application/ecmascript",
            "text/css",
            "multipart/related",
        ] {
            assert_eq!(manner(Some(kind)), (UNKNOWN.to_owned(), "attachment"), "{kind}");
        }
        assert_eq!(manner(Some("image/jpeg")), ("image/jpeg".to_owned(), "inline"));
        assert_eq!(manner(Some("text/plain; charset=utf-8")).1, "inline");
        assert_eq!(manner(Some("application/pdf")).1, "attachment");
        assert_eq!(manner(None), (UNKNOWN.to_owned(), "attachment"));
    }

    #[test]
    fn names_cannot_break_out_of_their_header() {
        assert_eq!(
            disposition("inline", "très \"cool\".jpg"),
            "inline; filename=\"tr_s _cool_.jpg\"; filename*=UTF-8''tr%C3%A8s%20%22cool%22.jpg"
        );
        value(disposition("inline", "\u{202e}\u{7f}é\u{10ffff}"));
    }
}
