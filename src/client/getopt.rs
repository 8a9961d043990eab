//! The command line as Python's `getopt` reads it, for argh, which knows less. Pure.
//!
//! Supervisor's tools take clusters (`-ni`), glued values (`-cFILE`), `--name=value` and unique
//! prefixes of long names; argh takes none of these. This normaliser turns such a line into the
//! plain form `--name value … -- words` and words its errors as Python does.
//!
//! Must never: know what an option means, print, or exit.

use std::fmt;

/// An option that a command line may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// `-x`.
    pub short: Option<char>,
    /// `--name`, without the dashes. `_` and `-` are the same inside a name.
    pub long: String,
    /// Whether a value follows.
    pub takes_value: bool,
}

/// How one command line is to be read.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    /// The options it knows.
    pub flags: Vec<Flag>,
    /// Whether options may follow words (GNU), or end at the first word (Python's `getopt`).
    pub permute: bool,
    /// The option that `-100` is short for.
    pub number: Option<&'static str>,
}

/// An option as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The flag's long name.
    pub long: String,
    /// How Python's `getopt` reports it: `-c`, or `--configuration` in full.
    pub typed: String,
    /// Its value, if it takes one.
    pub value: Option<String>,
}

/// A command line taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Options in order.
    pub options: Vec<Given>,
    /// `-h`, `-?` or `--help` was among them, at this index of `options`.
    pub help_before: Option<usize>,
    /// The rest.
    pub words: Vec<String>,
}

/// What is wrong with a command line; displays as Python words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mistake {
    /// No such option.
    NotRecognized(String),
    /// The beginning of several long names.
    NotUnique(String),
    /// A value is missing.
    RequiresArgument(String),
    /// `--name=value` for an option without value.
    MustNotHaveArgument(String),
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mistake::NotRecognized(option) => write!(f, "option {option} not recognized"),
            Mistake::NotUnique(option) => write!(f, "option {option} not a unique prefix"),
            Mistake::RequiresArgument(option) => write!(f, "option {option} requires argument"),
            Mistake::MustNotHaveArgument(option) => {
                write!(f, "option {option} must not have an argument")
            }
        }
    }
}

impl Grammar {
    /// Takes a command line (without the program's name) apart.
    pub fn parse(&self, arguments: &[String]) -> Result<Parsed, Mistake> {
        let mut parsed = Parsed::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if argument == "--" {
                parsed.words.extend(rest.cloned());
                break;
            } else if let Some(long) = argument.strip_prefix("--") {
                self.long(long, &mut rest, &mut parsed)?;
            } else if argument.starts_with('-') && argument.len() > 1 {
                self.cluster(&argument[1..], &mut rest, &mut parsed)?;
            } else {
                parsed.words.push(argument.clone());
                if !self.permute {
                    parsed.words.extend(rest.cloned());
                    break;
                }
            }
        }
        Ok(parsed)
    }

    fn long<'a>(
        &self,
        text: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        parsed: &mut Parsed,
    ) -> Result<(), Mistake> {
        let (name, glued) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (text, None),
        };
        let canonical = name.replace('_', "-");
        let candidates: Vec<&Flag> = self
            .flags
            .iter()
            .filter(|flag| flag.long.starts_with(&canonical))
            .collect();
        let exact = candidates.iter().find(|flag| flag.long == canonical);
        let help = "help".starts_with(&canonical);
        let flag = match (exact, candidates.as_slice(), help) {
            (Some(flag), _, _) => flag,
            (None, [flag], false) => flag,
            (None, [], true) if glued.is_none() => {
                parsed.note_help();
                return Ok(());
            }
            (None, [], true) => return Err(Mistake::MustNotHaveArgument("--help".into())),
            (None, [], false) => return Err(Mistake::NotRecognized(format!("--{name}"))),
            (None, _, _) => return Err(Mistake::NotUnique(format!("--{name}"))),
        };
        let typed = format!("--{}", flag.long.replace('-', "_"));
        let value = match (flag.takes_value, glued) {
            (true, Some(value)) => Some(value),
            (true, None) => match rest.next() {
                Some(value) => Some(value.clone()),
                None => return Err(Mistake::RequiresArgument(typed)),
            },
            (false, None) => None,
            (false, Some(_)) => return Err(Mistake::MustNotHaveArgument(typed)),
        };
        parsed.note(flag, typed, value);
        Ok(())
    }

    fn cluster<'a>(
        &self,
        letters: &str,
        rest: &mut impl Iterator<Item = &'a String>,
        parsed: &mut Parsed,
    ) -> Result<(), Mistake> {
        if let Some(long) = self.number
            && letters.bytes().all(|byte| byte.is_ascii_digit())
        {
            parsed.options.push(Given {
                long: long.to_string(),
                typed: format!("-{letters}"),
                value: Some(letters.to_string()),
            });
            return Ok(());
        }
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let typed = format!("-{letter}");
            let known = self.flags.iter().find(|flag| flag.short == Some(letter));
            let Some(flag) = known else {
                if letter == 'h' || letter == '?' {
                    parsed.note_help();
                    continue;
                }
                return Err(Mistake::NotRecognized(typed));
            };
            if !flag.takes_value {
                parsed.note(flag, typed, None);
                continue;
            }
            let glued = letters.as_str();
            let value = if !glued.is_empty() {
                glued.to_string()
            } else if let Some(next) = rest.next() {
                next.clone()
            } else {
                return Err(Mistake::RequiresArgument(typed));
            };
            parsed.note(flag, typed, Some(value));
            break;
        }
        Ok(())
    }
}

impl Parsed {
    fn note(&mut self, flag: &Flag, typed: String, value: Option<String>) {
        self.options.push(Given {
            long: flag.long.clone(),
            typed,
            value,
        });
    }

    fn note_help(&mut self) {
        self.help_before.get_or_insert(self.options.len());
    }

    /// The options in the plain form: `--name value`, `--name`.
    pub fn canonical_options(&self) -> Vec<String> {
        let mut plain = Vec::new();
        for given in &self.options {
            plain.push(format!("--{}", given.long));
            plain.extend(given.value.clone());
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some of supervisord's options: `c:nie:l:y:` with `--configuration=`, `--nodaemon` and so on.
    fn grammar() -> Grammar {
        let flag = |short: Option<char>, long: &str, takes_value| Flag {
            short,
            long: long.to_string(),
            takes_value,
        };
        Grammar {
            flags: vec![
                flag(Some('c'), "configuration", true),
                flag(Some('n'), "nodaemon", false),
                flag(Some('k'), "nocleanup", false),
                flag(Some('i'), "identifier", true),
                flag(Some('l'), "logfile", true),
                flag(Some('y'), "logfile-maxbytes", true),
                flag(Some('e'), "loglevel", true),
                flag(None, "minprocs", true),
            ],
            ..Grammar::default()
        }
    }

    fn read(grammar: &Grammar, line: &[&str]) -> String {
        let line: Vec<String> = line.iter().map(|word| word.to_string()).collect();
        match grammar.parse(&line) {
            Err(mistake) => mistake.to_string(),
            Ok(parsed) => {
                let mut shown: Vec<String> = parsed
                    .options
                    .iter()
                    .map(|given| match &given.value {
                        Some(value) => format!("{}={value}", given.typed),
                        None => given.typed.clone(),
                    })
                    .collect();
                if let Some(index) = parsed.help_before {
                    shown.insert(index, "-h".into());
                }
                format!("{} | {}", shown.join(" "), parsed.words.join(" "))
            }
        }
    }

    /// The right column is what `getopt.getopt` of Python 3.11 answers.
    #[test]
    fn reads_like_python() {
        let table: &[(&[&str], &str)] = &[
            (&[], " | "),
            (&["-n"], "-n | "),
            (&["-nk"], "-n -k | "),
            (&["-nc", "f"], "-n -c=f | "),
            (&["-ncf"], "-n -c=f | "),
            (&["-cFILE"], "-c=FILE | "),
            (&["-c", "FILE"], "-c=FILE | "),
            (&["-c", "-n"], "-c=-n | "),
            (&["-c", "--"], "-c=-- | "),
            (&["-c"], "option -c requires argument"),
            (&["-nc"], "option -c requires argument"),
            (&["-Z"], "option -Z not recognized"),
            (&["-nZ"], "option -Z not recognized"),
            (&["--configuration", "f"], "--configuration=f | "),
            (&["--configuration=f"], "--configuration=f | "),
            (&["--configuration=a=b"], "--configuration=a=b | "),
            (&["--configuration="], "--configuration= | "),
            (&["--conf=f"], "--configuration=f | "),
            (&["--loglev=debug"], "--loglevel=debug | "),
            (&["--log=debug"], "option --log not a unique prefix"),
            (&["--logfile=x"], "--logfile=x | "),
            (&["--logfile_m=5"], "--logfile_maxbytes=5 | "),
            (&["--logfile_maxbytes", "5"], "--logfile_maxbytes=5 | "),
            (&["--no"], "option --no not a unique prefix"),
            (&["--nod"], "--nodaemon | "),
            (
                &["--nodaemon=1"],
                "option --nodaemon must not have an argument",
            ),
            (&["--nope"], "option --nope not recognized"),
            (&["--loglevel"], "option --loglevel requires argument"),
            (&["--min", "3"], "--minprocs=3 | "),
            (&["-n", "word", "-k"], "-n | word -k"),
            (&["-n", "--", "-k", "--"], "-n | -k --"),
            (&["-"], " | -"),
            (&["-n", "-", "-k"], "-n | - -k"),
            (&["-h"], "-h | "),
            (&["-n?k"], "-n -h -k | "),
            (&["--he"], "-h | "),
            (&["--help=1"], "option --help must not have an argument"),
            (&["-é"], "option -é not recognized"),
        ];
        for (line, expected) in table {
            assert_eq!(&read(&grammar(), line), expected, "{line:?}");
        }
    }

    #[test]
    fn options_may_follow_words_and_numbers_stand_for_bytes() {
        let mut tail = grammar();
        tail.permute = true;
        tail.number = Some("bytes");
        let table: &[(&[&str], &str)] = &[
            (&["web", "-n", "stderr"], "-n | web stderr"),
            (&["-100", "web"], "-100=100 | web"),
            (&["web", "-0"], "-0=0 | web"),
            (&["-10x"], "option -1 not recognized"),
            (&["web", "--", "-n"], " | web -n"),
        ];
        for (line, expected) in table {
            assert_eq!(&read(&tail, line), expected, "{line:?}");
        }
    }

    #[test]
    fn the_plain_form_keeps_order_and_values() {
        let line = ["-nc", "f", "--logfile_m=5"].map(str::to_string);
        let parsed = grammar().parse(&line).unwrap();
        assert_eq!(
            parsed.canonical_options(),
            [
                "--nodaemon",
                "--configuration",
                "f",
                "--logfile-maxbytes",
                "5"
            ]
        );
    }
}
