//! Takes out of a text what differs from run to run: pids, times, ports, places.

/// The text with the lab's directory, the programs' directory, and all that changes replaced.
pub fn plain(text: &str, directory: &str, bin: &str) -> String {
    let text = text.replace(bin, "@BIN@").replace(directory, "@D@");
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
}

fn line(text: &str) -> String {
    let mut text = without_stamp(text).to_owned();
    // `pid`, `pid all`, also behind a prompt
    let word = text.rsplit("> ").next().unwrap_or(&text);
    if word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{}PID", &text[..text.len() - word.len()]);
    }
    for before in ["pid ", "pid:", "when:", "' ("] {
        text = number_behind(&text, before);
    }
    if let Some(at) = text.find("uptime ") {
        text.truncate(at);
        text.push_str("uptime UPTIME");
    }
    // Where in Python's files an error of Supervisor's client came from.
    if let Some(at) = text.find(": file: /") {
        text.truncate(at);
        text.push_str(": file: FILE");
    }
    without_time_of_death(auto_names(&text).trim_end_matches('\r'))
}

/// The line without the time stamp of the main log.
fn without_stamp(line: &str) -> &str {
    let shape = "dddd-dd-dd dd:dd:dd,ddd ";
    let fits = line.len() > shape.len()
        && line
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, want)| match want {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            });
    if fits { &line[shape.len()..] } else { line }
}

fn number_behind(text: &str, before: &str) -> String {
    let Some(at) = text.find(before) else {
        return text.to_owned();
    };
    let (head, rest) = text.split_at(at + before.len());
    let tail = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    match &rest[..rest.len() - tail.len()] {
        "" | "0" => text.to_owned(),
        _ => format!("{head}PID{tail}"),
    }
}

/// The chance part of the names of automatic logs.
fn auto_names(text: &str) -> String {
    let Some(at) = text.find("---") else {
        return text.to_owned();
    };
    let Some(end) = text[at..].find(".log") else {
        return text.to_owned();
    };
    let Some(dash) = text[at..at + end].rfind('-') else {
        return text.to_owned();
    };
    format!("{}-CHANCE{}", &text[..at + dash], &text[at + end..])
}

/// `Nov 22 06:19 AM` at the end of a line of `status`.
pub fn without_time_of_death(text: &str) -> String {
    let shape = "Aaa dd dd:dd AM";
    let Some(at) = text.len().checked_sub(shape.len()) else {
        return text.to_owned();
    };
    let fits = text.is_char_boundary(at)
        && text[at..]
            .bytes()
            .zip(shape.bytes())
            .all(|(byte, want)| match want {
                b'd' => byte.is_ascii_digit(),
                b'A' => byte.is_ascii_uppercase(),
                b'a' => byte.is_ascii_lowercase(),
                b'M' => byte == b'M',
                other => byte == other,
            });
    match fits {
        true => format!("{}TIME", &text[..at]),
        false => text.to_owned(),
    }
}

#[test]
fn what_changes_is_taken_out() {
    let table = [
        ("4711", "PID"),
        ("0", "0"),
        (
            "a    RUNNING   pid 12, uptime 1 day, 0:01:02",
            "a    RUNNING   pid PID, uptime UPTIME",
        ),
        (
            "2026-11-22 07:31:55,544 INFO spawned: 'a' with pid 12",
            "INFO spawned: 'a' with pid PID",
        ),
        (
            "WARN killing 'a' (12) with SIGKILL",
            "WARN killing 'a' (PID) with SIGKILL",
        ),
        ("a    STOPPED   Nov 22 06:19 AM", "a    STOPPED   TIME"),
        (
            "/lab/a-stdout---supervisor-x1y2.log",
            "@D@/a-stdout---supervisor-CHANCE.log",
        ),
        ("use /bin/x/supervisord -h", "use @BIN@/supervisord -h"),
        (
            "error: <Fault>: file: /usr/x.py line: 1",
            "error: <Fault>: file: FILE",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(plain(text, "/lab", "/bin/x"), expected);
    }
}
