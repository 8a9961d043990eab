//! Questions to whoever sits at the terminal.

use std::io::{self, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::input::{Input, Line};
use super::interrupt::Interrupts;
use super::output;
use super::plain_terminal::PlainTerminal;

/// Asks for a line.
pub fn ask(question: &str, input: &mut Input, interrupts: Option<&Interrupts>) -> Line {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        let nothing = &mut |_: &str| (0, Vec::new());
        return PlainTerminal::default().line(question, input, interrupts, nothing);
    }
    output::text(question);
    input.line(interrupts)
}

/// Asks for yes or no; only an answer that begins with `y` or `Y` is a yes. `None` at Ctrl-C.
pub fn ask_yes_no(
    question: &str,
    input: &mut Input,
    interrupts: Option<&Interrupts>,
) -> Option<bool> {
    let answer = ask(question, input, interrupts);
    if !matches!(answer, Line::Text(_)) {
        output::line("");
    }
    match answer {
        Line::Text(answer) => Some(answer.starts_with(['y', 'Y'])),
        Line::End => Some(false),
        Line::Interrupted => None,
    }
}

/// Asks for something that is not shown while it is typed.
pub fn ask_hidden(question: &str, input: &mut Input, interrupts: Option<&Interrupts>) -> Line {
    output::text(question);
    let stdin = io::stdin();
    let before = tcgetattr(&stdin).ok();
    if let Some(mut quiet) = before.clone() {
        quiet.local_modes.remove(LocalModes::ECHO);
        // Without that it is shown, which is better than not to be asked.
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &quiet);
    }
    let line = input.line(interrupts);
    if let Some(before) = before {
        let _ = tcsetattr(&stdin, OptionalActions::Flush, &before);
        output::line("");
    }
    line
}
