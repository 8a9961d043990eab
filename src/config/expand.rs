//! `%(name)s` in values: Python's `%` operator with a mapping on its right.

use std::borrow::Cow;

use super::python;

/// Widest a single expansion may be padded. Python's bound is the memory.
pub const WIDTH_MAX: usize = 4096;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<'a> {
    /// Text, for `%(name)s`.
    Text(Cow<'a, str>),
    /// A number, which also takes `%(name)d` and its kin.
    Number(i64),
}

/// Why a value cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpandProblem {
    /// It names something that does not exist here.
    Unknown(String),
    /// Supervisor refuses it too, for this reason.
    Malformed(String),
}

/// A value with everything in it expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded<'t> {
    /// The text.
    pub text: Cow<'t, str>,
    /// A `%s` without a name. Supervisor puts its whole mapping there, environment and all; here it
    /// stays what it is, which is what somebody who wrote `date +%s` meant.
    pub nameless: Option<String>,
}

/// Replaces every `%(name)conversion` by what `lookup` gives for the name, and `%%` by `%`.
/// A value without `%` is given back as it is.
pub fn expand<'t, 'w>(
    text: &'t str,
    lookup: impl Fn(&str) -> Option<Word<'w>>,
) -> Result<Expanded<'t>, ExpandProblem> {
    if !text.contains('%') {
        return Ok(Expanded {
            text: Cow::Borrowed(text),
            nameless: None,
        });
    }
    let mut directives = Directives {
        chars: text.chars().collect(),
        at: 0,
    };
    let mut out = String::with_capacity(text.len());
    let mut nameless = None;
    // Python has one mapping to give, and it is gone with the first directive.
    let mut given = false;
    while let Some(c) = directives.next() {
        if c != '%' {
            out.push(c);
        } else if directives.peek() == Some('%') {
            directives.next();
            out.push('%');
        } else {
            let start = directives.at - 1;
            match directives.directive()? {
                Directive { name: None, .. } if given => {
                    let words = "not enough arguments for format string";
                    return Err(ExpandProblem::Malformed(words.to_owned()));
                }
                Directive {
                    name: None,
                    conversion,
                    ..
                } => {
                    takes_anything(conversion)?;
                    let written: String = directives.chars[start..directives.at].iter().collect();
                    out.push_str(&written);
                    nameless = Some(written);
                }
                Directive {
                    name: Some(name),
                    flags,
                    conversion,
                } => {
                    let word = lookup(&name).ok_or(ExpandProblem::Unknown(name))?;
                    out.push_str(&flags.apply(conversion, &word)?);
                }
            }
            given = true;
        }
    }
    Ok(Expanded {
        text: Cow::Owned(out),
        nameless,
    })
}

/// A directive without a name is given the whole mapping, which is neither a number nor a letter.
fn takes_anything(conversion: char) -> Result<(), ExpandProblem> {
    let problem = match conversion {
        'd' | 'i' | 'u' => {
            format!("%{conversion} format: a real number is required, not dict")
        }
        'o' | 'x' | 'X' => format!("%{conversion} format: an integer is required, not dict"),
        'c' => "%c requires int or char".to_owned(),
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => "must be real number, not dict".to_owned(),
        _ => return Ok(()),
    };
    Err(ExpandProblem::Malformed(problem))
}

/// One `%(name)…`.
struct Directive {
    name: Option<String>,
    flags: Flags,
    conversion: char,
}

/// What stands between the name and the conversion.
#[derive(Default)]
struct Flags {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
}

struct Directives {
    chars: Vec<char>,
    at: usize,
}

impl Directives {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn need(&self) -> Result<char, ExpandProblem> {
        self.peek()
            .ok_or_else(|| ExpandProblem::Malformed("incomplete format".to_string()))
    }

    /// Reads what follows a `%`.
    fn directive(&mut self) -> Result<Directive, ExpandProblem> {
        let name = match self.need()? {
            '(' => Some(self.name()?),
            _ => None,
        };
        let mut flags = Flags::default();
        loop {
            match self.need()? {
                '-' => flags.left = true,
                '0' => flags.zero = true,
                '+' => flags.plus = true,
                ' ' => flags.blank = true,
                '#' => flags.alternate = true,
                _ => break,
            }
            self.at += 1;
        }
        flags.width = self.number("width too big")?.unwrap_or(0);
        if self.need()? == '.' {
            self.at += 1;
            flags.precision = Some(self.number("precision too big")?.unwrap_or(0));
        }
        // A length modifier of C means nothing.
        if matches!(self.need()?, 'h' | 'l' | 'L') {
            self.at += 1;
        }
        let conversion = self.need()?;
        let at = self.at;
        self.at += 1;
        if !"diouxXeEfFgGcrsa".contains(conversion) {
            let shown = if (' '..'\x7f').contains(&conversion) {
                conversion
            } else {
                '?'
            };
            return Err(ExpandProblem::Malformed(format!(
                "unsupported format character '{shown}' (0x{:x}) at index {at}",
                u32::from(conversion)
            )));
        }
        Ok(Directive {
            name,
            flags,
            conversion,
        })
    }

    /// Reads `(name)`; brackets in it must be balanced.
    fn name(&mut self) -> Result<String, ExpandProblem> {
        let start = self.at + 1;
        let mut depth = 0_usize;
        while let Some(c) = self.next() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.chars[start..self.at - 1].iter().collect());
            }
        }
        Err(ExpandProblem::Malformed(
            "incomplete format key".to_string(),
        ))
    }

    fn number(&mut self, too_big: &str) -> Result<Option<usize>, ExpandProblem> {
        if self.need()? == '*' {
            return Err(ExpandProblem::Malformed("* wants int".to_string()));
        }
        let mut number = None;
        while let Some(digit) = self.need()?.to_digit(10) {
            let value = number.unwrap_or(0_usize) * 10 + digit as usize;
            if value > WIDTH_MAX {
                return Err(ExpandProblem::Malformed(too_big.to_string()));
            }
            number = Some(value);
            self.at += 1;
        }
        Ok(number)
    }
}

impl Flags {
    /// The text of one word.
    fn apply(&self, conversion: char, word: &Word<'_>) -> Result<String, ExpandProblem> {
        let refuse = |text: String| Err(ExpandProblem::Malformed(text));
        match (conversion, word) {
            ('s', Word::Text(text)) => Ok(self.text(text)),
            ('r' | 'a', Word::Text(text)) => Ok(self.text(&python::repr(text))),
            ('s' | 'r' | 'a', Word::Number(number)) => Ok(self.text(&number.to_string())),
            ('c', Word::Text(text)) if text.chars().count() == 1 => Ok(self.text(text)),
            ('c', Word::Number(number)) => {
                let c = u32::try_from(*number).ok().and_then(char::from_u32);
                match c {
                    Some(c) => Ok(self.text(c.encode_utf8(&mut [0; 4]))),
                    None => refuse("%c arg not in range(0x110000)".to_string()),
                }
            }
            ('c', Word::Text(_)) => refuse("%c requires int or char".to_string()),
            ('d' | 'i' | 'u', Word::Number(number)) => {
                Ok(self.number(*number, &number.unsigned_abs().to_string(), ""))
            }
            ('o', Word::Number(n)) => Ok(self.number(*n, &format!("{:o}", n.unsigned_abs()), "0o")),
            ('x', Word::Number(n)) => Ok(self.number(*n, &format!("{:x}", n.unsigned_abs()), "0x")),
            ('X', Word::Number(n)) => Ok(self.number(*n, &format!("{:X}", n.unsigned_abs()), "0X")),
            ('d' | 'i' | 'u', Word::Text(_)) => refuse(format!(
                "%{conversion} format: a real number is required, not str"
            )),
            ('o' | 'x' | 'X', Word::Text(_)) => refuse(format!(
                "%{conversion} format: an integer is required, not str"
            )),
            (_, Word::Text(_)) => refuse("must be real number, not str".to_string()),
            (_, Word::Number(number)) => Ok(self.real(conversion, *number)),
        }
    }

    /// `%f`, `%e` and `%g` of a whole number.
    fn real(&self, conversion: char, number: i64) -> String {
        let precision = self.precision.unwrap_or(6);
        let size = number.unsigned_abs();
        let digits = match conversion.to_ascii_lowercase() {
            'f' => format!("{size}.{}", "0".repeat(precision)),
            'e' => scientific(size, precision),
            _ => match size.to_string() {
                short if short.len() <= precision.max(1) => short,
                _ => {
                    let long = scientific(size, precision.max(1) - 1);
                    let (mantissa, exponent) = long.split_once('e').unwrap_or((&long, "+00"));
                    let mantissa = match mantissa.contains('.') {
                        true => mantissa.trim_end_matches('0'),
                        false => mantissa,
                    };
                    format!("{}e{exponent}", mantissa.trim_end_matches('.'))
                }
            },
        };
        let digits = digits.trim_end_matches('.');
        let whole = Flags {
            precision: None,
            alternate: false,
            ..*self
        };
        let text = whole.number(number, digits, "");
        match conversion.is_ascii_uppercase() {
            true => text.to_uppercase(),
            false => text,
        }
    }

    /// Cuts to the precision and pads with blanks: zeros are only for numbers.
    fn text(&self, text: &str) -> String {
        let cut: String = match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text.to_string(),
        };
        self.padded(cut)
    }

    fn number(&self, number: i64, digits: &str, prefix: &str) -> String {
        let sign = match (number < 0, self.plus, self.blank) {
            (true, _, _) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let prefix = if self.alternate { prefix } else { "" };
        let head = sign.len() + prefix.len();
        let zeros_to = match self.precision {
            Some(precision) => precision,
            None if self.zero && !self.left => self.width.saturating_sub(head),
            None => 0,
        };
        self.padded(format!("{sign}{prefix}{digits:0>zeros_to$}"))
    }

    fn padded(&self, text: String) -> String {
        let width = self.width;
        if self.left {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    }
}

/// A number as C writes it with `%e`: an exponent has a sign and two digits.
fn scientific(number: u64, precision: usize) -> String {
    // Converting loses what no double can hold, as Python does.
    let text = format!("{:.precision$e}", number as f64);
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{mantissa}e+{exponent:0>2}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<Word<'static>> {
        match name {
            "a" => Some(Word::Text("x".into())),
            "long" => Some(Word::Text("größer".into())),
            "n" => Some(Word::Number(5)),
            "neg" => Some(Word::Number(-5)),
            "many" => Some(Word::Number(1_234_567)),
            "a(b)" => Some(Word::Text("nested".into())),
            _ => None,
        }
    }

    #[test]
    fn expands_as_python_does() {
        let table = [
            ("plain", "plain"),
            ("100%%", "100%"),
            ("%(a)s%(a)s", "xx"),
            ("%(a(b))s", "nested"),
            ("%(n)d %(n)i %(n)u %(n)s %(n)r", "5 5 5 5 5"),
            ("%(n)02d|%(n)5d|%(n)-5d|%(n)-05d|", "05|    5|5    |5    |"),
            ("%(n)+d|%(n) d|%(n)+05d|%(n)- 5d|", "+5| 5|+0005| 5   |"),
            ("%(neg)d|%(neg)04d|%(neg)x", "-5|-005|-5"),
            ("%(n).3d|%(n)5.3d|%(n)05.3d", "005|  005|  005"),
            (
                "%(n)x|%(n)#x|%(n)X|%(n)o|%(n)#o|%(n)#06x",
                "5|0x5|5|5|0o5|0x0005",
            ),
            ("%(n)ld %(n)hd", "5 5"),
            (
                "%(a)5s|%(a)-5s|%(a)05s|%(long).2s|%(long)7.2s",
                "    x|x    |    x|gr|     gr",
            ),
            ("%(a)r %(a)a %(a)c", "'x' 'x' x"),
            ("%(n)c", "\x05"),
            (
                "%(n)f|%(n).2f|%(n)6.1f|%(neg)07.1F",
                "5.000000|5.00|   5.0|-0005.0",
            ),
            (
                "%(n)e|%(n).0e|%(n).2E|%(many)e",
                "5.000000e+00|5e+00|5.00E+00|1.234567e+06",
            ),
            (
                "%(n)g|%(n)03g|%(many)g|%(many).1G|%(many)9.7g",
                "5|005|1.23457e+06|1E+06|  1234567",
            ),
        ];
        for (text, expected) in table {
            let expanded = expand(text, lookup).unwrap();
            assert_eq!(expanded.text, expected, "{text}");
            assert_eq!(expanded.nameless, None, "{text}");
        }
    }

    #[test]
    fn what_has_no_name_stays_as_it_is() {
        let table = [
            ("date +%s", "date +%s", "%s"),
            ("%5s %(a)s 1%%", "%5s x 1%", "%5s"),
            ("%r", "%r", "%r"),
        ];
        for (text, expected, nameless) in table {
            let expanded = expand(text, lookup).unwrap();
            assert_eq!(expanded.text, expected, "{text}");
            assert_eq!(expanded.nameless.as_deref(), Some(nameless), "{text}");
        }
    }

    #[test]
    fn refuses_as_python_does() {
        let table = [
            ("%", "incomplete format"),
            ("100%", "incomplete format"),
            ("%%%", "incomplete format"),
            ("%(a)", "incomplete format"),
            ("%(a)5", "incomplete format"),
            ("%(a).", "incomplete format"),
            ("%(", "incomplete format key"),
            ("%(a", "incomplete format key"),
            ("%Y", "unsupported format character 'Y' (0x59) at index 1"),
            ("é%Y", "unsupported format character 'Y' (0x59) at index 2"),
            (
                "%(a)é",
                "unsupported format character '?' (0xe9) at index 4",
            ),
            ("%\n", "unsupported format character '?' (0xa) at index 1"),
            ("%5%", "unsupported format character '%' (0x25) at index 2"),
            (
                "%(n)lld",
                "unsupported format character 'l' (0x6c) at index 5",
            ),
            ("%(a)d", "%d format: a real number is required, not str"),
            ("%(a)x", "%x format: an integer is required, not str"),
            ("%(a)f", "must be real number, not str"),
            ("%(long)c", "%c requires int or char"),
            ("%(a)*d", "* wants int"),
            ("%d", "%d format: a real number is required, not dict"),
            ("%r%s", "not enough arguments for format string"),
            ("%(a)s %s", "not enough arguments for format string"),
            ("%(n)99999999999999999999d", "width too big"),
        ];
        for (text, expected) in table {
            let problem = expand(text, lookup).unwrap_err();
            assert_eq!(
                problem,
                ExpandProblem::Malformed(expected.to_string()),
                "{text}"
            );
        }
        for text in ["%(zz)s", "%(zz)%", "%()s"] {
            assert!(expand(text, lookup).is_err(), "{text}");
        }
        assert_eq!(
            expand("%(zz)d", lookup),
            Err(ExpandProblem::Unknown("zz".to_string()))
        );
    }
}
