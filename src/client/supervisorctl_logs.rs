//! `tail`, `maintail` and `fg` of `supervisorctl`.

use super::fg::Ending;
use super::input::Input;
use super::output::{self, LogOutput};
use super::server::{Following, Log, Part, Trouble};
use super::session::Lost;
use super::supervisorctl::{Outcome, Supervisorctl, one};
use super::words::{self, Said};
use crate::config::integer;
use crate::control::request::TAIL_BYTES;
use crate::fleet::State;

impl Supervisorctl {
    pub(super) fn tail(&mut self, arguments: &[&str]) -> Outcome {
        self.check("tail")?;
        let (modifier, name, channel) = match read_tail(arguments) {
            Ok(parts) => parts,
            Err(said) => {
                self.say(said);
                return Ok(());
            }
        };
        let channel = &channel;
        let log = Log::Of { name, channel };
        match modifier {
            Modifier::Follow => self.follow(log),
            Modifier::Part(part) => self.show_log(name, log, part),
        }
    }

    pub(super) fn maintail(&mut self, arguments: &[&str]) -> Outcome {
        self.check("maintail")?;
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
            Modifier::Follow => self.follow(Log::Main),
            Modifier::Part(part) => self.show_log("supervisord", Log::Main, part),
        }
    }

    /// The end of a log, and a newline.
    fn show_log(&mut self, name: &str, log: Log<'_>, part: Part) -> Outcome {
        let mut output = LogOutput::new();
        let answer = self.answer("tail", |server| {
            server.read_log(log, part, &mut |bytes| output.write(bytes))
        })?;
        match answer {
            Ok(()) => {
                output.finish();
                output::line("");
            }
            Err(refused) => self.say(words::tail_refused(name, &refused)),
        }
        Ok(())
    }

    fn follow(&mut self, log: Log<'_>) -> Outcome {
        output::line(words::PRESS_CTRL_C);
        self.watch_interrupts();
        let followed = self.server("tail")?.follow(log);
        let status = match followed {
            Ok(Following::Interrupted) => {
                output::line("");
                return Ok(());
            }
            Ok(Following::Ended) | Err(Trouble::Lost(Lost::Closed)) => return Ok(()),
            Ok(Following::Refused(status)) => status,
            Err(trouble) => return Err(self.give_up("tail", trouble)),
        };
        output::complain(&words::follow_refused(&self.url(), &log.path(), status));
        self.status = words::exit::GENERIC;
        Ok(())
    }

    pub(super) fn foreground(&mut self, names: &[&str], input: &mut Input) -> Outcome {
        self.check("fg")?;
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
                self.watch_interrupts();
                match self.server("fg")?.foreground(&view.name, input) {
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

impl Modifier {
    fn read(argument: &str) -> Option<Modifier> {
        let what = argument.strip_prefix('-')?;
        if what == "f" {
            return Some(Modifier::Follow);
        }
        Some(Modifier::Part(match integer(what).ok()? {
            bytes if bytes > 0 => Part::Last(bytes.unsigned_abs()),
            offset => Part::From(offset.unsigned_abs()),
        }))
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
