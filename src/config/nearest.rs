//! "Did you mean": the word of a list that is nearest to a mistyped one.

/// Longer words are not compared: the cost is the product of both lengths.
const WORD_LENGTH_MAX: usize = 64;

/// The nearest of `words` to `typed`, ignoring case, if one is near enough to be what was meant:
/// one edit in three characters. Of equally near words the first one.
pub fn nearest<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if typed.len() > WORD_LENGTH_MAX {
        return None;
    }
    let typed: Vec<char> = typed.to_lowercase().chars().collect();
    let limit = (typed.len() / 3).max(1);
    words
        .into_iter()
        .filter(|word| word.len() <= WORD_LENGTH_MAX)
        .map(|word| (distance(&typed, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= limit && *distance < word.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits (insert, delete, replace, swap of neighbours) that make one word of the other.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(from != to))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let words = ["autostart", "autorestart", "startsecs", "user", "on"];
        let table = [
            ("autorestrat", Some("autorestart")),
            ("AUTO_START", Some("autostart")),
            ("startsec", Some("startsecs")),
            ("usre", Some("user")),
            ("colour", None),
            ("x", None),
            ("", None),
        ];
        for (typed, expected) in table {
            assert_eq!(nearest(typed, words), expected, "{typed}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), words), None);
    }
}
