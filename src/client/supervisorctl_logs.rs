//! `tail`, `maintail` and `fg` of `supervisorctl`.

use super::dialogue::{Item, Trouble, request};
use super::fg::{self, Ending};
use super::follow::{self, Followed};
use super::input::Input;
use super::output::{self, LogOutput};
use super::session::Lost;
use super::supervisorctl::{Outcome, Supervisorctl, one};
use super::words::{self, Said};
use crate::control::request::TAIL_BYTES;
use crate::fleet::State;

impl Supervisorctl {
    pub(super) fn tail(&mut self, arguments: &[&str]) -> Outcome {
        self.reach("tail")?;
        let (modifier, name, channel) = match read_tail(arguments) {
            Ok(parts) => parts,
            Err(said) => {
                self.say(said);
                return Ok(());
            }
        };
        match modifier {
            Modifier::Follow => {
                let path = format!("/logtail/{name}/{channel}");
                self.follow("tail", &[name, &channel], &path)
            }
            Modifier::Part(part) => {
                let (option, value) = part.option();
                let verb = ["tail", option, &value];
                self.show_log(name, &request(&verb, &[name, &channel]))
            }
        }
    }

    pub(super) fn maintail(&mut self, arguments: &[&str]) -> Outcome {
        self.reach("maintail")?;
        let modifier = match arguments {
            [] => DEFAULT,
            [argument] => match Modifier::read(argument) {
                Some(modifier) => modifier,
                None => {
                    self.say(words::bad_argument(argument));
                    return Ok(());
                }
            },
            _ => {
                self.say(words::tail_misuse("too many arguments", "maintail"));
                return Ok(());
            }
        };
        match modifier {
            Modifier::Follow => self.follow("maintail", &[], "/mainlogtail"),
            Modifier::Part(part) => {
                let (option, value) = part.option();
                self.show_log("supervisord", &["maintail", option, &value])
            }
        }
    }

    /// The end of a log, and a newline.
    fn show_log(&mut self, name: &str, request: &[&str]) -> Outcome {
        let mut log = LogOutput::new();
        let answer = self.daemon.ask(request, |item| {
            if let Item::Bytes(bytes) = item {
                log.write(&bytes);
            }
        });
        match answer {
            Ok(Ok(_)) => {
                log.finish();
                output::line("");
            }
            Ok(Err(refused)) => self.say(words::tail_refused(name, &refused)),
            Err(trouble) => return Err(self.give_up("tail", trouble)),
        }
        Ok(())
    }

    fn follow(&mut self, verb: &str, log: &[&str], path: &str) -> Outcome {
        output::line(words::PRESS_CTRL_C);
        self.daemon.watch_interrupts();
        match follow::run(&self.daemon, verb, &[], log) {
            Ok(Followed::Interrupted) => output::line(""),
            Ok(Followed::Ended) | Err(Trouble::Lost(Lost::Closed)) => {}
            Ok(Followed::Refused(_)) => {
                let url = self.daemon.address().url();
                output::complain(&words::follow_refused(&url, path));
            }
            Err(trouble) => return Err(self.give_up("tail", trouble)),
        }
        Ok(())
    }

    pub(super) fn foreground(&mut self, names: &[&str], input: &mut Input) -> Outcome {
        self.reach("fg")?;
        let [name] = names else {
            self.say(words::fg_misuse(names.len()));
            return Ok(());
        };
        let all = self.processes("fg")?;
        match one(&all, name) {
            None => self.say(words::fg_unknown()),
            Some(view) if view.state != State::Running => self.say(words::fg_not_running()),
            Some(view) => {
                output::line(words::PRESS_CTRL_C);
                match fg::run(&mut self.daemon, &view.name, input) {
                    Ok(Ending::Left) => {}
                    Ok(Ending::ProcessEnded) => output::line(words::FG_KILLED),
                    Err(trouble) => return Err(self.give_up("fg", trouble)),
                }
                output::line(words::FG_EXIT);
            }
        }
        Ok(())
    }
}

/// Without a modifier.
const DEFAULT: Modifier = Modifier::Part(Part::Last(TAIL_BYTES));

/// `-f`, `-100`, `-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modifier {
    /// Go on with what is written from now on.
    Follow,
    /// Show a part of what is there.
    Part(Part),
}

/// A part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The last so many bytes.
    Last(u64),
    /// Everything from this offset on: `-0` is the whole log.
    From(u64),
}

impl Modifier {
    fn read(argument: &str) -> Option<Modifier> {
        let what = argument.strip_prefix('-')?;
        if what == "f" {
            return Some(Modifier::Follow);
        }
        Some(Modifier::Part(match what.parse::<i64>().ok()? {
            bytes if bytes > 0 => Part::Last(bytes.unsigned_abs()),
            offset => Part::From(offset.unsigned_abs()),
        }))
    }
}

impl Part {
    /// As an option of the line protocol.
    fn option(self) -> (&'static str, String) {
        match self {
            Part::Last(bytes) => ("-c", bytes.to_string()),
            Part::From(offset) => ("--from", offset.to_string()),
        }
    }
}

/// Reads the arguments of `tail` with Supervisor's rules, in its order of complaints.
fn read_tail<'a>(arguments: &[&'a str]) -> Result<(Modifier, &'a str, String), Said> {
    let (modifier, rest) = match arguments {
        [] => return Err(words::tail_misuse("too few arguments", "tail")),
        [_, _, _, _, ..] => return Err(words::tail_misuse("too many arguments", "tail")),
        [modifier, rest @ ..] if modifier.starts_with('-') => (Some(*modifier), rest),
        rest => (None, rest),
    };
    let (name, channel) = match rest {
        [] => return Err(words::tail_nameless()),
        [name] => (*name, "stdout".to_string()),
        [name, .., channel] => (*name, channel.to_lowercase()),
    };
    if channel != "stdout" && channel != "stderr" {
        return Err(words::bad_channel(&channel));
    }
    let modifier = match modifier {
        None => DEFAULT,
        Some(text) => Modifier::read(text).ok_or_else(|| words::bad_argument(text))?,
    };
    Ok((modifier, name, channel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_reads_its_arguments_in_supervisors_order() {
        let read = |line: &str| {
            let arguments: Vec<&str> = line.split_whitespace().collect();
            match read_tail(&arguments) {
                Ok((modifier, name, channel)) => format!("{modifier:?} {name} {channel}"),
                Err(said) => said.text.lines().next().unwrap_or_default().to_string(),
            }
        };
        let table = [
            ("", "Error: too few arguments"),
            ("-1 a stdout more", "Error: too many arguments"),
            ("a", "Part(Last(1600)) a stdout"),
            ("a STDERR", "Part(Last(1600)) a stderr"),
            ("-100 a", "Part(Last(100)) a stdout"),
            ("-0 a", "Part(From(0)) a stdout"),
            ("--5 a", "Part(From(5)) a stdout"),
            ("-f a", "Follow a stdout"),
            ("a nope", "Error: bad channel 'nope'"),
            ("-x a", "Error: bad argument -x"),
            ("-5", "Error: tail requires process name"),
            ("a b stderr", "Part(Last(1600)) a stderr"),
        ];
        for (line, expected) in table {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
