//! Compares two files byte by byte, without reading either into memory.

use std::path::Path;

use acr_core::http::BoxError;
use tokio::io::{AsyncReadExt as _, BufReader};

pub(crate) async fn files(left: &Path, right: &Path) -> Result<(), BoxError> {
    let (mut a, mut b) = (open(left).await?, open(right).await?);
    let (mut piece_a, mut piece_b) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let read_a = fill(&mut a, &mut piece_a).await?;
        let read_b = fill(&mut b, &mut piece_b).await?;
        if piece_a.get(..read_a) != piece_b.get(..read_b) {
            return Err(format!("`{}` and `{}` differ", left.display(), right.display()).into());
        }
        if read_a == 0 {
            return Ok(());
        }
    }
}

type File = BufReader<tokio::fs::File>;

async fn open(path: &Path) -> Result<File, BoxError> {
    Ok(BufReader::new(tokio::fs::File::open(path).await?))
}

/// Reads until the buffer is full or the file ends.
async fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize, BoxError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).await? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

const PIECE: usize = 256 * 1024;
