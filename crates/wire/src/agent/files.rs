//! `/files/{browse,read,download}`: read access to sandboxes over plain HTTP.
//!
//! It relies on the API trait for every byte. It never reads more than [`READ_MAX_BYTES`] at once,
//! so that a download takes no more memory than that.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use holdfast_proto::mesos::v1::FileInfo;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde_json::json;

use super::{recovered, AgentApi};
use crate::answer::{self, Answer, JsonText};
use crate::body::Body;
use crate::call;
use crate::connection::{Caller, Connection};
use crate::query::Query;
use crate::refusal::Refusal;

/// The most that is read at once, in bytes: sixteen pages of memory, as Mesos has it.
pub(super) const READ_MAX_BYTES: u64 = 16 * 4096;

/// The operation on a path.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    /// List a folder.
    Browse,
    /// Read a part of a file.
    Read,
    /// Send a whole file.
    Download,
}

/// Answers one request.
pub(super) async fn answer(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    verb: Verb,
    request: Request<Body>,
) -> Answer {
    if let Some(answer) = call::unless_reading(request.method()) {
        return answer;
    }
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let answered = match recovered(api).and_then(|()| path(&query)) {
        Ok(path) => match verb {
            Verb::Browse => browse(api, connection, path, &query).await,
            Verb::Read => read(api, connection, path, &query).await,
            Verb::Download => download(api, connection, path).await,
        },
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| answer::refusal(&refusal))
}

fn path(query: &Query) -> Result<&str, Refusal> {
    let path = query.get("path").filter(|path| !path.is_empty());
    path.ok_or_else(|| {
        Refusal::bad_request(
            "Expecting 'path=value' in query: write ?path= and the path of a file or folder",
        )
    })
}

async fn browse(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    path: &str,
    query: &Query,
) -> Result<Answer, Refusal> {
    let files = api.list_files(&connection.caller(), path).await?;
    let rows: Vec<_> = files.iter().map(row).collect();
    Ok(answer::json(JsonText::of(&rows), query.get("jsonp")))
}

fn row(file: &FileInfo) -> serde_json::Value {
    let mtime_s =
        file.mtime.as_ref().map_or(0.0, |time| (time.nanoseconds / 1_000_000) as f64 / 1e3);
    json!({
        "path": file.path, "size": file.size(), "mtime": mtime_s, "mode": mode_text(file.mode()),
        "uid": file.uid(), "gid": file.gid(), "nlink": file.nlink(),
    })
}

/// Formats a mode as `ls -l` does.
fn mode_text(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let bits =
        (0..9).map(
            |place| if mode & (0o400 >> place) == 0 { '-' } else { ['r', 'w', 'x'][place % 3] },
        );
    std::iter::once(kind).chain(bits).collect()
}

async fn read(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    path: &str,
    query: &Query,
) -> Result<Answer, Refusal> {
    let number = |name: &str, otherwise: i64| match query.get(name).filter(|text| !text.is_empty())
    {
        None => Ok(otherwise),
        Some(text) => text
            .parse::<i64>()
            .map_err(|_| Refusal::bad_request(format!("{name}: `{text}` is no whole number"))),
    };
    let (offset, length) = (number("offset", -1)?, number("length", -1)?);
    if offset < -1 || length < -1 {
        return Err(Refusal::bad_request(
            "offset and length must not be negative; only -1 has a meaning: unset",
        ));
    }
    // Without an offset the size is asked for.
    let asks_size = offset == -1;
    let length_bytes = if asks_size {
        0
    } else {
        u64::try_from(length).unwrap_or(READ_MAX_BYTES).min(READ_MAX_BYTES)
    };
    let offset_bytes = u64::try_from(offset).unwrap_or(0);
    let chunk = api.read_file(&connection.caller(), path, offset_bytes, length_bytes).await?;
    let value = if asks_size {
        json!({"data": "", "offset": chunk.size_bytes})
    } else {
        let last = offset_bytes.saturating_add(chunk.data.len() as u64) >= chunk.size_bytes;
        json!({"data": whole_characters(&chunk.data, last), "offset": offset_bytes})
    };
    Ok(answer::json(JsonText::of(&value), query.get("jsonp")))
}

/// Decodes text for JSON. A character that the end of the chunk cuts is left for the next one, so
/// that a reader who goes on where the text ended misses nothing; what is not text becomes
/// replacement characters (READ_FILE gives the bytes themselves).
fn whole_characters(data: &[u8], last: bool) -> String {
    let kept = match std::str::from_utf8(data) {
        Err(error) if !last && error.error_len().is_none() && error.valid_up_to() > 0 => {
            &data[..error.valid_up_to()]
        }
        _ => data,
    };
    String::from_utf8_lossy(kept).into_owned()
}

/// A file that is being downloaded.
struct Download {
    api: Arc<dyn AgentApi>,
    caller: Caller,
    path: String,
    next: Option<Bytes>,
    sent_bytes: u64,
    size_bytes: u64,
}

async fn download(
    api: &Arc<dyn AgentApi>,
    connection: &Connection,
    path: &str,
) -> Result<Answer, Refusal> {
    let caller = connection.caller();
    let first = api.read_file(&caller, path, 0, READ_MAX_BYTES).await?;
    let name: String = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|letter| letter.is_ascii_graphic() && *letter != '"')
        .collect();
    let (path, size_bytes) = (path.to_owned(), first.size_bytes);
    let download = Download {
        api: api.clone(),
        caller,
        path,
        next: Some(first.data),
        sent_bytes: 0,
        size_bytes,
    };
    let mut answer =
        Response::new(Body::new(StreamBody::new(stream::try_unfold(download, Download::step))));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(answer)
}

impl Download {
    /// Reads the next piece, up to the size that the file had when the download began: a growing
    /// log must not keep it going.
    async fn step(mut self) -> Result<Option<(Frame<Bytes>, Self)>, Refusal> {
        let left = self.size_bytes - self.sent_bytes.min(self.size_bytes);
        if left == 0 {
            return Ok(None);
        }
        let mut data = match self.next.take() {
            Some(data) => data,
            None => {
                self.api
                    .read_file(&self.caller, &self.path, self.sent_bytes, READ_MAX_BYTES.min(left))
                    .await?
                    .data
            }
        };
        data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        if data.is_empty() {
            return Err(Refusal::conflict("the file became shorter while it was sent; ask again"));
        }
        self.sent_bytes += data.len() as u64;
        Ok(Some((Frame::data(data), self)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h46_modes_look_like_ls() {
        assert_eq!(mode_text(0o100_644), "-rw-r--r--");
        assert_eq!(mode_text(0o040_755), "drwxr-xr-x");
        assert_eq!(mode_text(0o120_777), "lrwxrwxrwx");
    }

    #[test]
    fn letters_are_not_cut() {
        let text = "aé".as_bytes();
        assert_eq!(whole_characters(&text[..2], false), "a");
        assert_eq!(whole_characters(&text[..2], true), "a\u{fffd}");
        assert_eq!(whole_characters(text, false), "aé");
        assert_eq!(whole_characters(&text[1..2], false), "\u{fffd}", "a reader must get on");
    }
}
