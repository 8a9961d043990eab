//! The line protocol: which door first bytes knock at, requests, answers.

use appctl::control::line::AnswerLine;
use appctl::control::request;
use appctl::control::server::Door;

/// A door once found stays the same; requests are read or refused in words; an answer that was read
/// can be written and read again.
pub fn check(data: &[u8]) {
    let doors = (0..=data.len().min(16)).map(|length| Door::of(&data[..length]));
    let doors: Vec<Door> = doors.flatten().collect();
    assert!(doors.windows(2).all(|pair| pair[0] == pair[1]));
    for line in String::from_utf8_lossy(data).split('\n') {
        if let Err(trouble) = request::read(line) {
            assert!(!trouble.text.is_empty());
        }
        if let Ok(answer) = line.parse::<AnswerLine>() {
            let written = answer.to_string();
            assert!(!written.contains('\n'));
            let again = written.parse::<AnswerLine>().map(|it| it.to_string());
            assert_eq!(again, Ok(written));
        }
    }
}
