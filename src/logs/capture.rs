//! Takes out of a flow of bytes what stands between the capture tags, over any cut of it into
//! chunks. The rest passes unchanged.
//!
//! Of one text the newest `most` bytes are kept. A text whose end never comes is given back when
//! the flow ends, and so is the beginning of a tag that comes to nothing: neither is lost.
//!
//! Pure. Must never: hold more than that, and one tag.

const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// The taker for one source of bytes.
#[derive(Debug)]
pub(super) struct Capture {
    most: usize,
    /// Between the tags: what stood there so far.
    within: Option<Vec<u8>>,
    /// The beginning of the tag that is looked for.
    held: Vec<u8>,
    captured: Vec<Vec<u8>>,
}

impl Capture {
    /// Keeps at most so many bytes of a text.
    pub fn new(most: u64) -> Capture {
        Capture {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            within: None,
            held: Vec::new(),
            captured: Vec::new(),
        }
    }

    /// Where the last text ends that ends in these bytes: they can be passed on up to there.
    pub fn cut(bytes: &[u8]) -> usize {
        let last = bytes.windows(END.len()).rposition(|window| window == END);
        last.map_or(0, |at| at + END.len())
    }

    /// Passes bytes on without what is between the tags, and without these.
    pub fn pass(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.held);
        rest.extend(bytes);
        let mut passed = Vec::new();
        loop {
            let tag = if self.within.is_some() { END } else { BEGIN };
            let Some(at) = rest.windows(tag.len()).position(|window| window == tag) else {
                let begun = beginning_at_end(&rest, tag);
                self.held = rest.split_off(rest.len() - begun);
                self.take(rest, &mut passed);
                return passed;
            };
            let after = rest.split_off(at + tag.len());
            rest.truncate(at);
            self.take(rest, &mut passed);
            match self.within.take() {
                Some(text) => self.captured.push(text),
                None => self.within = Some(Vec::new()),
            }
            rest = after;
        }
    }

    /// The texts that were captured since this was last asked.
    pub fn captured(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.captured)
    }

    /// The flow has ended: what is still held.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut rest = self.within.take().unwrap_or_default();
        rest.append(&mut self.held);
        rest
    }

    fn take(&mut self, bytes: Vec<u8>, passed: &mut Vec<u8>) {
        match &mut self.within {
            None => passed.extend(bytes),
            Some(text) => {
                text.extend(bytes);
                let surplus = text.len().saturating_sub(self.most);
                text.drain(..surplus);
            }
        }
    }
}

/// How many bytes at the end may be the beginning of the tag.
fn beginning_at_end(bytes: &[u8], tag: &[u8]) -> usize {
    let most = bytes.len().min(tag.len() - 1);
    let is_one = |length: &usize| bytes.ends_with(&tag[..*length]);
    (1..=most).rev().find(is_one).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Passes a text in pieces: what is passed on, what is captured, what is left at the end.
    fn pass(text: &[u8], size: usize, most: u64) -> (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) {
        let mut capture = Capture::new(most);
        let (mut passed, mut captured) = (Vec::new(), Vec::new());
        for piece in text.chunks(size) {
            passed.extend(capture.pass(piece.to_vec()));
            captured.extend(capture.captured());
        }
        (passed, captured, capture.finish())
    }

    #[test]
    fn texts_are_taken_out_however_they_are_cut() {
        // `[` and `]` stand for the tags.
        let table: &[(&str, &str, &[&str], &str)] = &[
            ("hi", "hi", &[], ""),
            ("a[on]b", "ab", &["on"], ""),
            ("[][1]", "", &["", "1"], ""),
            ("a\n[x\ny\n]\nb\n", "a\n\nb\n", &["x\ny\n"], ""),
            ("ab<!--XSUPER", "ab", &[], "<!--XSUPER"),
            (
                "a<!--XSUPERVISOR:BEGIN--)b",
                "a<!--XSUPERVISOR:BEGIN--)b",
                &[],
                "",
            ),
            ("<<!--[1<]", "<<!--", &["1<"], ""),
            ("a[never ends<!--", "a", &[], "never ends<!--"),
            ("]a[[]", "]a", &["["], ""),
            ("[0123456789]", "", &["456789"], ""),
        ];
        for (text, passed, captured, left) in table {
            let whole = |part: &str| -> String {
                let tag = |character| match character {
                    '[' => "<!--XSUPERVISOR:BEGIN-->".to_owned(),
                    ']' => "<!--XSUPERVISOR:END-->".to_owned(),
                    other => other.to_string(),
                };
                part.chars().map(tag).collect()
            };
            let passed = whole(passed);
            let captured: Vec<_> = captured.iter().map(|text| whole(text)).collect();
            let text = whole(text);
            let most = if text.contains("0123456789") { 6 } else { 100 };
            for size in 1..=text.len() {
                let (one, two, three) = pass(text.as_bytes(), size, most);
                let texts: Vec<_> = two.iter().map(|it| String::from_utf8_lossy(it)).collect();
                assert_eq!(String::from_utf8_lossy(&one), passed, "{text} by {size}");
                assert_eq!(texts, captured, "{text} by {size}");
                assert_eq!(String::from_utf8_lossy(&three), *left, "{text} by {size}");
            }
        }
    }

    #[test]
    fn what_ends_with_a_text_need_not_wait_for_a_line() {
        assert_eq!(Capture::cut(b"a<!--XSUPERVISOR:END-->b"), 23);
        assert_eq!(Capture::cut(b"a<!--XSUPERVISOR:END--"), 0);
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_invented(
            words in prop::collection::vec(
                prop_oneof![
                    Just(BEGIN.to_vec()),
                    Just(END.to_vec()),
                    prop::collection::vec(prop::sample::select(b"<!-XSUP:E>\n".to_vec()), 0..9),
                ],
                0..9,
            ),
            size in 1_usize..40,
        ) {
            let text = words.concat();
            let (passed, captured, left) = pass(&text, size.min(text.len().max(1)), 1_000_000);
            let tags = captured.len() * (BEGIN.len() + END.len());
            let open = text.len() - passed.len() - captured.concat().len() - left.len() - tags;
            prop_assert!(open == 0 || open == BEGIN.len());
        }
    }
}
