//! Pieces of log files: bytes as they are, with where they stand in the head of the reply.

use hyper::StatusCode;
use hyper::header::{CONTENT_DISPOSITION, HeaderName, HeaderValue};

use super::Answered;
use crate::control::codes::{Code, Trouble};
use crate::control::{Ask, Channel, selector};
use crate::fleet::ProcessName;
use crate::http::asking::Asking;
use crate::http::reply::{self, Reply, TEXT};
use crate::http::stream;

/// Bytes of a log unless told otherwise.
const LIMIT: u64 = 64 * 1024;

/// Which piece of a log.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Where it begins; negative: that many bytes before the end. `None`: `limit` before the end.
    pub offset: Option<i64>,
    /// How many bytes.
    pub limit: Option<u64>,
    /// Go on with what is written from then on.
    pub follow: bool,
    /// The whole file, to be saved.
    pub download: bool,
}

impl Wanted {
    /// Begin and end within a file of this size.
    fn window(&self, size: u64) -> (u64, u64) {
        if self.download {
            return (0, size);
        }
        let limit = self.limit.unwrap_or(LIMIT);
        let begin = match self.offset {
            None => size.saturating_sub(limit),
            Some(offset) if offset < 0 => size.saturating_sub(offset.unsigned_abs()),
            Some(offset) => offset.unsigned_abs().min(size),
        };
        (begin, begin.saturating_add(limit).min(size))
    }
}

/// `NAME`, or `NAME/stderr`.
pub fn named(text: &str) -> Result<(ProcessName, Channel), Trouble> {
    let (name, channel) = text.split_once('/').unwrap_or((text, "stdout"));
    let channel = match channel {
        "stdout" => Channel::Stdout,
        "stderr" => Channel::Stderr,
        _ => {
            let text = "a log is stdout or stderr";
            return Err(Trouble::new(Code::BadArguments, text));
        }
    };
    let name = selector::name(name).map_err(super::deeds::unreadable)?;
    Ok((name, channel))
}

/// Sends a piece of a log.
pub async fn send(asking: &Asking, ask: Ask, wanted: Wanted, file: &str) -> Answered {
    let path = asking.log(ask).await;
    let path = path.map_err(|failure| Trouble::from(&failure))?;
    let opened = stream::open(path).await;
    let (log, size) = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Trouble::new(Code::NoLogFile, Code::NoLogFile.meaning()),
        _ => Trouble::new(Code::Failed, format!("opening the log: {error}")),
    })?;
    let (begin, end) = wanted.window(size);
    let mut reply = match wanted.follow {
        true => reply::endless(TEXT, stream::of(log, begin, None)),
        false => reply::stream(TEXT, stream::of(log, begin, Some(end))),
    };
    tell(&mut reply, "x-log-offset", begin);
    if !wanted.follow {
        tell(&mut reply, "x-log-next", end);
    }
    tell(&mut reply, "x-log-size", size);
    if wanted.download {
        let disposition = format!("attachment; filename=\"{}\"", plain(file));
        if let Ok(value) = HeaderValue::try_from(disposition) {
            reply.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
    }
    debug_assert_eq!(reply.status(), StatusCode::OK);
    Ok(reply)
}

fn tell(reply: &mut Reply, name: &'static str, number: u64) {
    let headers = reply.headers_mut();
    headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
}

/// A name of a file that nothing takes for anything else.
fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars()
        .map(|c| if fits(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        let of = |offset, limit| Wanted {
            offset,
            limit,
            follow: false,
            download: false,
        };
        for (wanted, size, window) in [
            (of(None, None), 100, (0, 100)),
            (of(None, Some(10)), 100, (90, 100)),
            (of(Some(5), Some(10)), 100, (5, 15)),
            (of(Some(95), Some(10)), 100, (95, 100)),
            (of(Some(500), None), 100, (100, 100)),
            (of(Some(-30), Some(10)), 100, (70, 80)),
            (of(Some(-300), None), 100, (0, 100)),
            (of(Some(i64::MIN), Some(u64::MAX)), 100, (0, 100)),
            (of(Some(i64::MAX), Some(u64::MAX)), 100, (100, 100)),
            (of(None, None), LIMIT + 1, (1, LIMIT + 1)),
        ] {
            assert_eq!(wanted.window(size), window, "{wanted:?} of {size}");
        }
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(plain("a:b.stdout.log"), "a_b.stdout.log");
        assert_eq!(plain("\"../\r\nü"), "_..____");
    }
}
