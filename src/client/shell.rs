//! The interactive shell: reads lines, completes names, keeps a history. What a line means is its
//! dialect's business.
//!
//! On a terminal it edits lines; without one it reads them from standard input and shows the
//! prompt all the same, as Supervisor does.

use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use super::input::{Input, Line};
use super::interrupt::Interrupts;
use super::output;
use super::plain_terminal::{self, PlainTerminal};
use crate::fleet::ProcessName;
use crate::ordered;

/// What to do after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Read the next.
    Continue,
    /// Leave the shell.
    Leave,
}

/// What can stand after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// Names of processes, and `group:*`.
    Processes,
    /// Names of groups.
    Groups,
    /// Names of commands.
    Commands,
    /// Nothing that can be known.
    Nothing,
}

/// A language of commands.
pub trait Dialect {
    /// What stands before the cursor.
    fn prompt(&self) -> String;
    /// The shell begins: from here on Ctrl-C ends a command, not the process.
    fn enter(&mut self) -> Option<Rc<Interrupts>>;
    /// Runs a line.
    fn run(&mut self, line: &str, input: &mut Input) -> Flow;
    /// The commands there are.
    fn commands(&self) -> Vec<String>;
    /// What can stand after a command.
    fn completion(&self, command: &str) -> Completion;
    /// The processes there are.
    fn names(&mut self) -> Vec<ProcessName>;
}

/// Runs the shell to its end: `status` first, then line by line.
pub fn run(dialect: &mut dyn Dialect, history: Option<&Path>) {
    let interrupts = dialect.enter();
    let mut input = Input::default();
    dialect.run("status", &mut input);
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        read_lines(dialect, &mut input, interrupts.as_deref());
    } else if plain_terminal::is_plain() {
        type_lines(dialect, &mut input, interrupts.as_deref(), history);
    } else {
        edit_lines(dialect, &mut input, history);
    }
}

fn read_lines(dialect: &mut dyn Dialect, input: &mut Input, interrupts: Option<&Interrupts>) {
    loop {
        output::text(&dialect.prompt());
        let Line::Text(line) = input.line(interrupts) else {
            output::line("");
            return;
        };
        if dialect.run(&line, input) == Flow::Leave {
            return;
        }
    }
}

/// Without escape sequences.
fn type_lines(
    dialect: &mut dyn Dialect,
    input: &mut Input,
    interrupts: Option<&Interrupts>,
    history: Option<&Path>,
) {
    let prompt = dialect.prompt();
    let before = history.map(|file| std::fs::read_to_string(file).unwrap_or_default());
    let before = before.unwrap_or_default();
    let mut terminal = PlainTerminal::remembering(before.lines().map(str::to_owned).collect());
    loop {
        let mut complete = |before: &str| complete(before, dialect);
        let line = terminal.line(&prompt, input, interrupts, &mut complete);
        let Line::Text(line) = line else {
            output::line("");
            break;
        };
        if dialect.run(&line, input) == Flow::Leave {
            break;
        }
    }
    if let Some(file) = history {
        save(terminal.history().iter().map(String::as_str), file);
    }
}

/// Writes a history as Supervisor's client has it, a line each; one that cannot be written is no
/// error.
fn save<'a>(lines: impl Iterator<Item = &'a str>, file: &Path) {
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let opened = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file);
    if let Ok(mut file) = opened {
        let _ = file.write_all(text.as_bytes());
    }
}

fn edit_lines(dialect: &mut dyn Dialect, input: &mut Input, history: Option<&Path>) {
    let prompt = dialect.prompt();
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let dialect = RefCell::new(dialect);
    let mut editor = match Editor::<Assistant<'_, '_>, DefaultHistory>::with_config(config) {
        Ok(editor) => editor,
        Err(error) => {
            output::complain(&format!("the terminal cannot be used: {error}"));
            return;
        }
    };
    editor.set_helper(Some(Assistant { dialect: &dialect }));
    if let Some(file) = history {
        // A history that cannot be read is an empty one.
        let _ = editor.load_history(file);
    }
    loop {
        let line = match editor.readline(&prompt) {
            Ok(line) => line,
            Err(ReadlineError::Eof | ReadlineError::Interrupted) => {
                output::line("");
                break;
            }
            Err(error) => {
                output::complain(&format!("the terminal cannot be read: {error}"));
                break;
            }
        };
        if dialect.borrow_mut().run(&line, input) == Flow::Leave {
            break;
        }
    }
    if let Some(file) = history {
        save(editor.history().iter().map(String::as_str), file);
    }
}

/// What rustyline asks while a line is edited.
struct Assistant<'d, 'a> {
    dialect: &'a RefCell<&'d mut dyn Dialect>,
}

impl Completer for Assistant<'_, '_> {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = line.get(..position).unwrap_or(line);
        Ok(match self.dialect.try_borrow_mut() {
            Ok(mut dialect) => complete(before, &mut **dialect),
            Err(_) => (position, Vec::new()),
        })
    }
}

impl Hinter for Assistant<'_, '_> {
    type Hint = String;
}
impl Highlighter for Assistant<'_, '_> {}
impl Validator for Assistant<'_, '_> {}
impl Helper for Assistant<'_, '_> {}

/// Where the word at the end of `before` begins, and what it can become. Words are divided at
/// blanks only: `group:name`, `group:*` and `some-name` are one.
fn complete(before: &str, dialect: &mut dyn Dialect) -> (usize, Vec<String>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &before[start..];
    let candidates = match before[..start].split_whitespace().next() {
        None => dialect.commands(),
        Some(command) => match dialect.completion(command) {
            Completion::Nothing => Vec::new(),
            Completion::Commands => dialect.commands(),
            Completion::Groups => groups(dialect.names()),
            Completion::Processes => processes(dialect.names()),
        },
    };
    let fitting = candidates
        .into_iter()
        .filter(|candidate| candidate.starts_with(word))
        .map(|candidate| candidate + " ")
        .collect();
    (start, fitting)
}

fn groups(names: Vec<ProcessName>) -> Vec<String> {
    let mut groups: Vec<String> = names.into_iter().map(|name| name.group).collect();
    ordered::sort(&mut groups);
    groups.dedup();
    groups
}

/// Every process, and `group:*` for every group that is more than one process of its own name.
fn processes(names: Vec<ProcessName>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for name in names {
        if name.group != name.process {
            words.push(format!("{}:*", name.group));
        }
        words.push(name.to_string());
    }
    ordered::sort(&mut words);
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sample;

    impl Dialect for Sample {
        fn prompt(&self) -> String {
            "> ".into()
        }
        fn enter(&mut self) -> Option<Rc<Interrupts>> {
            None
        }
        fn run(&mut self, _: &str, _: &mut Input) -> Flow {
            Flow::Continue
        }
        fn commands(&self) -> Vec<String> {
            ["start", "status", "stop"].map(str::to_string).to_vec()
        }
        fn completion(&self, command: &str) -> Completion {
            match command {
                "start" => Completion::Processes,
                "update" => Completion::Groups,
                "help" => Completion::Commands,
                _ => Completion::Nothing,
            }
        }
        fn names(&mut self) -> Vec<ProcessName> {
            [("web", "web"), ("pool", "pool_0"), ("pool", "pool_1")]
                .map(|(group, process)| ProcessName {
                    group: group.into(),
                    process: process.into(),
                })
                .to_vec()
        }
    }

    #[test]
    fn words_complete_by_their_place() {
        let table: &[(&str, usize, &[&str])] = &[
            ("st", 0, &["start ", "status ", "stop "]),
            ("sto", 0, &["stop "]),
            ("start w", 6, &["web "]),
            (
                "start web pool:",
                10,
                &["pool:* ", "pool:pool_0 ", "pool:pool_1 "],
            ),
            (
                "start ",
                6,
                &["pool:* ", "pool:pool_0 ", "pool:pool_1 ", "web "],
            ),
            ("update ", 7, &["pool ", "web "]),
            ("help sta", 5, &["start ", "status "]),
            ("version ", 8, &[]),
            ("größe", 0, &[]),
        ];
        for (line, start, expected) in table {
            let (at, words) = complete(line, &mut Sample);
            assert_eq!(
                (at, words),
                (
                    *start,
                    expected.iter().map(|word| word.to_string()).collect()
                ),
                "{line}"
            );
        }
    }
}
