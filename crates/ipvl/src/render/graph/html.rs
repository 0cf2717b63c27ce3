//! How is the graph shown in a browser? As one file, without a server: the page has all answers with it.

use super::json;
use crate::graph::Graph;

const PAGE: &str = include_str!("page.html");
const DATA: &str = "{\"nodes\":[],\"answers\":[],\"unasked\":0}";

/// The page.
pub fn html(graph: &Graph) -> String {
    // Nothing in a name may end the element that the data are in.
    let data = json(graph).to_string().replace('<', "\\u003c");
    PAGE.replacen(DATA, &data, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::sample;

    #[test]
    fn a_hostile_name_stays_in_the_data() {
        let page = html(&sample());
        assert!(page.contains(r#""name":"s\"1\u003cb>""#) && !page.contains("1<b>"), "{page}");
        assert!(!page.contains("http://") && !page.contains("https://"), "it needs nothing from elsewhere");
    }
}
