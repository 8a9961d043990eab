//! Scenarios: what is configured, and what is done then, in a text file.
//!
//! A line `=== KIND NAME` begins a section that goes on to the next one. Before the first stands
//! what the scenario is about.
//!
//! | section | is |
//! |---|---|
//! | `=== config` | programs, and what else comes behind the lab's daemon sections |
//! | `=== config NAME` | the same, to be put in place by `use NAME` |
//! | `=== file NAME` | a file; `@D@` is the lab's directory |
//! | `=== script NAME` | an executable `/bin/sh` script |
//! | `=== refused` | broken configurations, one a paragraph, each behind `[supervisord]` |
//! | `=== steps` | what is done, a line each; see [`Step`] |
//!
//! A step, or a paragraph of `refused`, that ends with `## ROW` is a listed difference: ROW is how
//! a row of docs/differences.md begins.

use std::path::Path;

/// A scenario.
#[derive(Debug, Default)]
pub struct Scenario {
    pub name: String,
    /// Configurations by name; the first one is called `""`.
    pub configs: Vec<(String, String)>,
    pub files: Vec<(String, String)>,
    pub scripts: Vec<(String, String)>,
    pub steps: Vec<Listed>,
}

/// A step, and the difference it shows.
#[derive(Debug)]
pub struct Listed {
    /// As written, without the row.
    pub text: String,
    pub step: Step,
    /// The beginning of a row of docs/differences.md.
    pub row: Option<String>,
}

/// What is done.
#[derive(Debug)]
pub enum Step {
    /// `daemon`: starts it and waits until it answers.
    Daemon,
    /// `launch`: starts it and waits for nothing.
    Launch,
    /// `ctl WORDS`: runs supervisorctl; notes exit code and output.
    Ctl(String),
    /// `sorted WORDS`: the same, for output whose order is chance.
    Sorted(String),
    /// `shell A; B; C`: supervisorctl with these lines as its input.
    Shell(String),
    /// `terminal => SHOWN; TYPED => SHOWN; …`: supervisorctl on a terminal without escape
    /// sequences: types, waits until SHOWN is shown, and so on; `END` is its end. Notes the exit
    /// code and everything that was shown. `^X` is Ctrl-X.
    Terminal(Vec<(String, String)>),
    /// `follow TEXT :: WORDS`: runs supervisorctl until it has written TEXT, then sends SIGINT.
    Follow { text: String, words: String },
    /// `rpc METHOD JSON JSON`: calls it over XML-RPC; notes the answer.
    Rpc { method: String, arguments: String },
    /// `post XML`: sends that to `/RPC2`; notes the answer.
    Post(String),
    /// `http LINE :: HEADER; HEADER`: a request, such as `GET /`, with further headers; notes the
    /// status and where it leads.
    Http { line: String, headers: Vec<String> },
    /// `stale`: leaves a socket that nobody serves where the daemon's will be.
    Stale,
    /// `supervisord WORDS`: runs it to its end; notes exit code and output.
    Supervisord(String),
    /// A paragraph of `=== refused`: the exit code, and what is said last.
    Refused(String),
    /// `sh COMMAND`: runs it in the lab, with the programs in `$BIN`; notes its output.
    Sh(String),
    /// `await NAME STATE`.
    Await { name: String, state: String },
    /// `until FILE TEXT`: waits for it.
    Until { file: String, text: String },
    /// `signal NAME`: to the daemon.
    Signal(String),
    /// `use NAME`: puts another configuration in place.
    Use(String),
    /// `show FILE`: notes what is in it.
    Show(String),
    /// `main-log TEXT`: notes the lines of the main log that contain it. Ours may have more.
    MainLog(String),
    /// `end`: waits for the daemon's end; notes exit code and what it leaves.
    End,
}

impl Scenario {
    /// Reads a scenario file.
    pub fn read(path: &Path) -> Scenario {
        let text = std::fs::read_to_string(path).unwrap();
        let mut scenario = Scenario {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            ..Scenario::default()
        };
        for section in text.split("\n=== ").skip(1) {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            let (kind, name) = head.split_once(' ').unwrap_or((head, ""));
            let named = (name.to_owned(), body.to_owned());
            match kind {
                "config" => scenario.configs.push(named),
                "file" => scenario.files.push(named),
                "script" => scenario.scripts.push(named),
                "refused" => {
                    let paragraphs = body.split("\n\n").map(str::trim);
                    let paragraphs = paragraphs.filter(|text| !text.is_empty());
                    scenario
                        .steps
                        .extend(paragraphs.map(|text| Listed::of(text, refused)));
                }
                "steps" => {
                    let lines = body.lines().map(str::trim);
                    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
                    scenario
                        .steps
                        .extend(lines.map(|line| Listed::of(line, step)));
                }
                _ => panic!("{}: no section is called {kind}", scenario.name),
            }
        }
        assert!(!scenario.steps.is_empty(), "{}: no steps", scenario.name);
        scenario
    }
}

impl Listed {
    fn of(text: &str, read: fn(&str) -> Step) -> Listed {
        let (text, row) = match text.split_once("##") {
            Some((text, row)) => (text.trim(), Some(row.trim().to_owned())),
            None => (text, None),
        };
        Listed {
            text: text.to_owned(),
            step: read(text),
            row,
        }
    }
}

fn refused(paragraph: &str) -> Step {
    Step::Refused(paragraph.to_owned())
}

fn step(line: &str) -> Step {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim().to_owned();
    let pair = |divider: &str| {
        let (a, b) = rest.split_once(divider).unwrap_or_else(|| panic!("{line}"));
        (a.to_owned(), b.to_owned())
    };
    match verb {
        "daemon" => Step::Daemon,
        "launch" => Step::Launch,
        "ctl" => Step::Ctl(rest),
        "sorted" => Step::Sorted(rest),
        "shell" => Step::Shell(rest),
        "terminal" => {
            let pairs = rest.split("; ").map(|pair| match pair.split_once("=>") {
                Some((typed, shown)) => (keys(typed), shown.to_owned()),
                None => panic!("{line}"),
            });
            Step::Terminal(pairs.collect())
        }
        "follow" => {
            let (text, words) = pair(" :: ");
            Step::Follow { text, words }
        }
        "rpc" => {
            let (method, arguments) = rest.split_once(' ').unwrap_or((&rest, ""));
            Step::Rpc {
                method: method.to_owned(),
                arguments: arguments.to_owned(),
            }
        }
        "post" => Step::Post(rest),
        "http" => {
            let (line, headers) = rest.split_once(" :: ").unwrap_or((&rest, ""));
            let headers = headers.split("; ").filter(|header| !header.is_empty());
            Step::Http {
                line: line.to_owned(),
                headers: headers.map(str::to_owned).collect(),
            }
        }
        "stale" => Step::Stale,
        "supervisord" => Step::Supervisord(rest),
        "sh" => Step::Sh(rest),
        "await" => {
            let (name, state) = pair(" ");
            Step::Await { name, state }
        }
        "until" => {
            let (file, text) = pair(" ");
            Step::Until { file, text }
        }
        "signal" => Step::Signal(rest),
        "use" => Step::Use(rest),
        "show" => Step::Show(rest),
        "main-log" => Step::MainLog(rest),
        "end" => Step::End,
        _ => panic!("no step is called {verb}"),
    }
}

/// Keys as written: `\n`, `\t`, and `^C` for Ctrl-C. The blank before `=>` is none.
fn keys(text: &str) -> String {
    let text = text.strip_suffix(' ').unwrap_or(text);
    let mut keys = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let key = match (letter, letters.clone().next()) {
            ('\\', Some('n')) => '\r',
            ('\\', Some('t')) => '\t',
            ('^', Some(letter @ 'A'..='Z')) => char::from(letter as u8 & 0x1f),
            _ => {
                keys.push(letter);
                continue;
            }
        };
        letters.next();
        keys.push(key);
    }
    keys
}
