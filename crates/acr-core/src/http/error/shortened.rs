//! Text of at most so many bytes, of anything that can be printed.

use std::fmt::{self, Write};

/// What is printed, cut after `limit` bytes; then `…` follows. What would follow the cut is
/// not even formatted.
pub(crate) fn shortened(limit: usize, value: impl fmt::Display) -> String {
    let mut writer = Writer { text: String::new(), limit, is_cut: false };
    // The only error is ours, which ends the formatting early.
    let _ = write!(writer, "{value}");
    if writer.is_cut {
        writer.text.push('…');
    }
    writer.text
}

struct Writer {
    text: String,
    limit: usize,
    is_cut: bool,
}

impl Write for Writer {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let left = self.limit.saturating_sub(self.text.len());
        if piece.len() <= left && !self.is_cut {
            self.text.push_str(piece);
            return Ok(());
        }
        if !self.is_cut {
            let end = (0..=left).rev().find(|at| piece.is_char_boundary(*at)).unwrap_or_default();
            self.text.push_str(piece.get(..end).unwrap_or_default());
            self.is_cut = true;
        }
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_start_of_the_text_and_never_longer(text in "\\PC{0,80}", limit in 0usize..200) {
            let short = shortened(limit, &text);
            match short.strip_suffix('…').filter(|_| text.len() > limit) {
                Some(start) => prop_assert!(text.starts_with(start) && start.len() <= limit && start.len() + 4 > limit),
                None => prop_assert_eq!(&short, &text),
            }
        }
    }
}
