use super::Layout;
use crate::format::content::Content;
use crate::format::listing::{Extent, Node};

fn pieces(extents: Option<&[(u64, u64)]>, content_at: u64, bytes: usize) -> Vec<(u64, usize, usize)> {
    let extents = extents.map(|e| e.iter().map(|&(offset, bytes)| Extent { offset, bytes }).collect());
    let layout = Layout::of(&Node::File { bytes: 1 << 40, content: Content::EMPTY, extents });
    let mut found = Vec::new();
    layout.pieces(content_at, bytes, &mut |at, part| found.push((at, part.start, part.end)));
    found
}

#[test]
fn content_of_a_plain_file_lies_where_it_is() {
    assert_eq!(pieces(None, 5, 7), [(5, 0, 7)]);
}

#[test]
fn content_of_a_sparse_file_is_cut_at_its_extents() {
    let extents = Some(&[(10, 4), (20, 2), (100, 50)][..]);
    assert_eq!(pieces(extents, 0, 4), [(10, 0, 4)]);
    assert_eq!(pieces(extents, 2, 5), [(12, 0, 2), (20, 2, 4), (100, 4, 5)]);
    assert_eq!(pieces(extents, 4, 2), [(20, 0, 2)]);
    assert_eq!(pieces(extents, 30, 20), [(124, 0, 20)]);
}
