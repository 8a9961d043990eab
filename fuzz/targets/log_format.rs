//! The formats of logs, which take whatever a program prints.

use appctl::config::{FormatTime, LineFormat, OutputForm};
use appctl::logs::Format;

use super::pieces::Pieces;

/// Every record of `json` is JSON, each of `prefix` a line, and no text is lost between them.
pub fn check(data: &[u8]) {
    let pieces = Pieces::of(data);
    let bytes = pieces.rest();
    let goes_on = data.first().is_some_and(|byte| byte % 2 == 1);
    let json = written(LineFormat::Json, bytes, goes_on);
    let mut message = String::new();
    for record in json.lines() {
        let record: serde_json::Value = serde_json::from_str(record).expect("a record is JSON");
        message.push_str(record["message"].as_str().expect("it has a message"));
    }
    let texts = bytes.split(|byte| *byte == b'\n');
    let whole: String = texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    // A character that is none may be parted, and be shown as more than one mark.
    assert_eq!(without_marks(&message), without_marks(&whole));
    let prefix = written(LineFormat::Prefix, bytes, goes_on);
    assert!(prefix.is_empty() || prefix.ends_with('\n'));
    assert!(prefix.lines().count() >= json.lines().count());
}

fn written(line: LineFormat, bytes: &[u8], goes_on: bool) -> String {
    let format = Format {
        form: OutputForm {
            line,
            time: FormatTime::Utc,
        },
        name: "p".to_owned(),
        stream: "stdout",
    };
    let mut out = Vec::new();
    format.write(bytes, 1_764_062_958_123_456, goes_on, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn without_marks(text: &str) -> String {
    text.chars().filter(|it| *it != '\u{fffd}').collect()
}
